//! Takes the steps of a script through the app itself: routes, policy, validation and events are those of a request from
//! outside.

use std::collections::HashMap;

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::test::{TestRequest, init_service};
use serde_json::Value;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::journal::Journal;
use super::tokens::Signer;
use super::{FIRST, Folder, Known, Names, Script, Step};
use crate::app;
use crate::auth::Role;
use crate::campaigns::load::{Loading, load};
use crate::clock::now;
use crate::commands::grant;
use crate::db::Db;
use crate::error::Error;
use crate::grants::GrantDraft;
use crate::http::App;

/// Loads the campaign and lets the first administrator in. Doing it twice has one effect.
pub async fn set(db: &Db, folder: &Folder, signer: &Signer) -> Result<(), Error> {
    if let Loading::Refused(findings) = load(db, &grant::console(), folder).await? {
        let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
        return Err(Error::internal(format!("the campaign was refused; --fresh starts over:\n{}", told.join("\n"))));
    }
    let first = GrantDraft {
        issuer: signer.issuer.clone(),
        subject: FIRST.to_owned(),
        label: None,
        role: Role::Administrator,
        unit: None,
        valid_from: None,
        valid_to: None,
    };
    grant::give(db, &first).await.map(drop)
}

/// Takes the steps that the journal does not have yet; `told` learns how many of how many are done. Answers with the
/// names that the steps gave.
pub async fn play(
    shared: &App,
    signer: &Signer,
    folder: &Folder,
    script: &Script,
    journal: &mut Journal,
    mut told: impl FnMut(usize, usize),
) -> Result<Names, Error> {
    let mut names = Names::fixed(folder, &signer.issuer);
    for (name, known) in &journal.taken {
        if let Some(name) = name {
            names.keep(name, known.clone());
        }
    }
    if journal.is_complete() {
        return Ok(names);
    }
    if !journal.is_of(script) {
        return Err(Error::internal("the steps so far are those of another version; start over with --fresh"));
    }
    let service = init_service(app::app(shared.clone())).await;
    let call = async |request: TestRequest| Answer::read(service.call(request.to_request()).await);
    let mut stage = Stage { call, signer, tokens: HashMap::new() };
    for (index, step) in script.steps.iter().enumerate().skip(journal.taken.len()) {
        let failed = |why| Error::internal(format!("step {}: {} to {}: {why}", index + 1, step.person, step.post));
        // A line a request is for requests from outside.
        let taken = stage.take(index, step, &names).with_subscriber(NoSubscriber::default()).await;
        let known = taken.map_err(failed)?;
        let name = step.save.as_deref().or(step.if_match.as_deref());
        journal.take(name, known.clone())?;
        if let Some(name) = name {
            names.keep(name, known);
        }
        told(index + 1, script.steps.len());
    }
    Ok(names)
}

struct Stage<'a, C> {
    call: C,
    signer: &'a Signer,
    tokens: HashMap<String, String>,
}

/// What the app answered.
struct Answer {
    status: StatusCode,
    etag: String,
    body: Value,
}

impl<C: AsyncFn(TestRequest) -> Result<Answer, String>> Stage<'_, C> {
    /// Takes one step; a step that was taken before its journal line was written has its effect once.
    async fn take(&mut self, index: usize, step: &Step, names: &Names) -> Result<Known, String> {
        let path = names.path(&step.post)?;
        let request = self.request(TestRequest::post().uri(&path), &step.person)?;
        let Some(changed) = &step.if_match else {
            let key = format!("demo-step-{}", index + 1);
            let body = names.body(&step.body)?;
            let answer = (self.call)(request.insert_header(("Idempotency-Key", key)).set_json(body)).await?;
            return answer.known(StatusCode::CREATED);
        };
        let old = names.get(changed)?;
        let request = request.insert_header((header::IF_MATCH, old.etag.as_str()));
        let body = names.body(&step.body)?;
        let request = if body.is_null() { request } else { request.set_json(body) };
        let answer = (self.call)(request).await?;
        if answer.status == StatusCode::PRECONDITION_FAILED {
            return self.one_further(&path, &step.person, old, answer).await;
        }
        answer.known(StatusCode::OK)
    }

    /// While the demonstration is being set up nobody else writes: a record that is one version further was changed by
    /// this very step, before an interruption.
    async fn one_further(&mut self, path: &str, person: &str, old: &Known, refusal: Answer) -> Result<Known, String> {
        let record = path.rsplit_once(':').map_or(path, |(record, _)| record);
        let request = self.request(TestRequest::get().uri(record), person)?;
        let found = (self.call)(request).await?.known(StatusCode::OK)?;
        if version(&found.etag).is_some_and(|new| Some(new - 1) == version(&old.etag)) {
            return Ok(found);
        }
        refusal.known(StatusCode::OK)
    }

    fn request(&mut self, request: TestRequest, person: &str) -> Result<TestRequest, String> {
        let token = match self.tokens.get(person) {
            Some(token) => token.clone(),
            None => {
                let token = self.signer.token(person, now()).map_err(|error| error.to_string())?;
                self.tokens.insert(person.to_owned(), token.clone());
                token
            }
        };
        Ok(request.insert_header((header::AUTHORIZATION, format!("Bearer {token}"))))
    }
}

impl Answer {
    fn read(response: Result<ServiceResponse, actix_web::Error>) -> Result<Self, String> {
        let response = response.map_err(|error| error.to_string())?;
        let status = response.status();
        let etag = response.headers().get(header::ETAG).and_then(|etag| etag.to_str().ok()).unwrap_or_default();
        let etag = etag.to_owned();
        let bytes = response.into_body().try_into_bytes().map_err(|_| "the answer is no whole body".to_owned())?;
        let body = serde_json::from_slice(&bytes).map_err(|error| format!("{status}: {error}"))?;
        Ok(Self { status, etag, body })
    }

    /// The record, or the problem.
    fn known(self, expected: StatusCode) -> Result<Known, String> {
        match self.body["id"].as_str() {
            Some(id) if self.status == expected => Ok(Known { id: id.to_owned(), etag: self.etag }),
            _ => Err(format!("{} {}", self.status.as_u16(), self.body)),
        }
    }
}

/// The version in an ETag.
fn version(etag: &str) -> Option<i64> {
    etag.trim_matches('"').split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_stands_first_in_an_etag() {
        assert_eq!(version("\"12.0123456789abcdef\""), Some(12));
        assert_eq!(version(""), None);
    }
}
