//! People calling the service, and its answers.

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use uuid::Uuid;

use super::World;

pub struct Person<'a> {
    pub world: &'a World,
    pub account: Uuid,
    pub token: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn etag(&self) -> String {
        self.header("etag").expect("an ETag").to_owned()
    }

    /// The id of the record in the body.
    pub fn id(&self) -> String {
        self.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Asserts the status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Asserts a problem with this code and its status.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.json()["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        self
    }
}

impl Person<'_> {
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.world.client.request(method, format!("{}{path}", self.world.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request("GET", path)).await
    }

    /// A creating POST with a fresh key.
    pub async fn create(&self, path: &str, body: &Value) -> Answer {
        self.create_as(path, &thidua::id::new_id().to_string(), body).await
    }

    /// A creating POST with this key.
    pub async fn create_as(&self, path: &str, key: &str, body: &Value) -> Answer {
        send(self.request("POST", path).header("Idempotency-Key", key).json(body)).await
    }

    /// A changing POST; a step that says nothing has no body.
    pub async fn change(&self, path: &str, etag: &str, body: &Value) -> Answer {
        let request = self.request("POST", path).header("If-Match", etag);
        let silent = body.as_object().is_some_and(serde_json::Map::is_empty);
        send(if silent { request } else { request.json(body) }).await
    }

    /// A POST with a body and nothing else.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request("POST", path).json(body)).await
    }
}

pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}
