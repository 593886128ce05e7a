//! The edge of the service: HEAD, wrong methods, what is not acceptable, what cannot be decoded, and panics.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use actix_web::{HttpResponse, HttpServer, middleware, web};
use reqwest::header::HeaderMap;
use thidua::auth::Role;

use crate::both_engines;
use crate::support::http::send;
use crate::support::{Answer, Person, World};

/// Every path that is read, with a village in place of an id: some are found, some are not.
fn readable(world: &World) -> Vec<String> {
    let contract = thidua::app::openapi();
    let documented = contract["paths"].as_object().unwrap().iter();
    // What has no end has no length.
    let read = documented.filter(|(path, item)| item["get"].is_object() && !path.ends_with("/stream"));
    let read = read.map(|(path, _)| path.as_str());
    let pages = thidua::docs::PATHS.iter().copied().chain(thidua::audit_page::paths()).map(|(path, _)| path);
    let village = world.units.village_a.to_string();
    read.chain(pages).map(|path| path.replace("{id}", &village).replace("{file}", "swagger-ui.css")).collect()
}

/// The headers that do not differ from one call to the next.
fn steady(answer: &Answer) -> HeaderMap {
    let mut headers = answer.headers.clone();
    for changing in ["date", "traceparent"] {
        headers.remove(changing);
    }
    headers
}

async fn head(person: &Person<'_>, path: &str) -> Answer {
    send(person.request("HEAD", path)).await
}

async fn accepting(person: &Person<'_>, path: &str, accept: &str) -> Answer {
    send(person.request("GET", path).header("Accept", accept)).await
}

/// What comes back on a plain connection until the other side closes it.
fn spoken(address: &str, requests: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    // The end of the test's runtime waits for this thread.
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(requests.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

both_engines! {
    async fn head_answers_as_get_does_without_the_body(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let paths = readable(world);
        assert!(paths.len() > 25, "{paths:?}");
        let nobody = world.nobody();
        for person in [&auditor, &nobody] {
            for path in &paths {
                let (got, headed) = (person.get(path).await, head(person, path).await);
                assert!(got.status == 200 || path.starts_with("/v1/") || person.token.is_none(), "{path} is served");
                assert_eq!(headed.status, got.status, "{path}");
                assert_eq!(headed.text, "", "{path}");
                let (mut expected, mut found) = (steady(&got), steady(&headed));
                if path == "/metrics" && got.status == 200 {
                    // The first call is counted in the second.
                    expected.remove("content-length");
                    assert!(found.remove("content-length").is_some_and(|length| length != "0"));
                }
                assert_eq!(found, expected, "{path}");
                let length = got.text.len().to_string();
                // Leaves are sent as they are read: nobody knows how many bytes come.
                let is_streamed = got.header("content-type") == Some("application/x-ndjson");
                assert!(is_streamed || got.text.is_empty() || got.header("content-length") == Some(&length), "{path}");
            }
        }
        let unit = format!("/v1/units/{}", world.units.village_a);
        let etag = head(&auditor, &unit).await.is(200).etag();
        assert_eq!(auditor.get(&unit).await.etag(), etag);
        send(auditor.request("HEAD", &unit).header("If-None-Match", &etag)).await.is(304);
        assert_eq!(head(&auditor, "/nowhere").await.is(404).text, "");
        let stream = head(&auditor, "/v1/events/stream").await.is(200);
        assert_eq!((stream.text.as_str(), stream.header("content-type")), ("", Some("text/event-stream")));
    }

    async fn an_answer_to_head_has_no_body_even_if_the_next_request_is_already_there(world: World) {
        let requests = "HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n\
                        GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let address = world.base.trim_start_matches("http://").to_owned();
        let text = tokio::task::spawn_blocking(move || spoken(&address, requests)).await.unwrap();
        assert_eq!(text.matches("HTTP/1.1 200").count(), 2, "{text}");
        assert_eq!(text.matches("\"status\":\"ok\"").count(), 1, "{text}");
        let lengths: Vec<&str> = text.lines().filter(|line| line.starts_with("content-length")).collect();
        assert_eq!((lengths.len(), lengths[0]), (2, lengths[1]), "{text}");
    }

    async fn a_wrong_method_learns_the_right_ones(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let village = world.units.village_a;
        for (method, path, allow) in [
            ("DELETE", "/v1/units".to_owned(), "GET, HEAD, POST"),
            // OPTIONS is not served while there is no CORS; what is allowed is said all the same.
            ("OPTIONS", "/v1/units".to_owned(), "GET, HEAD, POST"),
            ("OPTIONS", "/livez".to_owned(), "GET, HEAD"),
            ("TRACE", format!("/v1/units/{village}"), "GET, HEAD"),
            ("BREW", "/openapi.json".to_owned(), "GET, HEAD"),
            ("POST", "/docs".to_owned(), "GET, HEAD"),
            ("PUT", "/metrics".to_owned(), "GET, HEAD"),
            ("GET", format!("/v1/units/{village}:amend"), "POST"),
        ] {
            let answer = send(auditor.request(method, &path)).await.problem(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        }
        let headed = send(auditor.request("HEAD", &format!("/v1/units/{village}:amend"))).await.is(405);
        assert_eq!((headed.header("allow"), headed.text.as_str()), (Some("POST"), ""));
    }

    async fn what_a_caller_does_not_take_is_refused(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        for accept in ["*/*", "application/*", "application/json", "application/problem+json", "text/html, */*;q=0.1"] {
            accepting(&auditor, "/v1/units", accept).await.is(200);
            accepting(&auditor, "/v1/units/x", accept).await.problem(404, "not_found");
        }
        for accept in ["text/html", "application/xml", "application/json;q=0", "*/*;q=0"] {
            let refused = accepting(&auditor, "/v1/units", accept).await.problem(406, "not_acceptable");
            assert_eq!(refused.json()["errors"][0]["pointer"], "header/Accept");
            assert!(refused.json()["errors"][0]["detail"].as_str().unwrap().contains("application/json"));
            let twice = auditor.request("GET", "/v1/units").header("Accept", accept);
            send(twice.header("Accept", "application/json")).await.is(200);
        }
        let post = auditor.request("POST", "/v1/recommendations").header("Accept", "text/csv").body("{}");
        send(post).await.problem(406, "not_acceptable");
        // Who calls comes first, and what is nowhere has no form.
        accepting(&world.nobody(), "/v1/units", "text/html").await.problem(401, "unauthenticated");
        accepting(&auditor, "/nowhere", "text/html").await.problem(404, "not_found");

        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        for (path, page, style, json) in [
            ("/docs", 200, 406, 406),
            ("/openapi.json", 200, 406, 200),
            ("/docs/assets/swagger-ui.css", 200, 200, 200),
            ("/livez", 200, 406, 200),
        ] {
            accepting(&world.nobody(), path, browser).await.is(page);
            accepting(&world.nobody(), path, "text/css").await.is(style);
            accepting(&world.nobody(), path, "application/json").await.is(json);
            accepting(&world.nobody(), path, "application/json,*/*").await.is(200);
            accepting(&world.nobody(), path, "text/css,*/*;q=0.1").await.is(200);
        }
        let scraper = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        accepting(&auditor, "/metrics", scraper).await.is(200);
        accepting(&auditor, "/metrics", "application/openmetrics-text").await.is(200);
        accepting(&auditor, "/metrics", "application/json").await.problem(406, "not_acceptable");
    }

    async fn what_cannot_be_decoded_is_refused_with_its_place(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let unknown = format!("/v1/units/{}", uuid::Uuid::nil());
        for path in ["/v1/units", "/v1/figures", &unknown, "/v1/units/x"] {
            for value in ["%ff", "%zz", "%", "%e1%ba", "a%00b"] {
                let refused = auditor.get(&format!("{path}?name={value}")).await.problem(400, "invalid_query");
                assert_eq!(refused.json()["errors"][0]["pointer"], "query/name", "{path} {value}");
            }
        }
        for segment in ["%ff", "%zz", "%", "%00", "..%2f", "%2e%2e"] {
            auditor.get(&format!("/v1/units/{segment}")).await.problem(404, "not_found");
            auditor.get(&format!("/docs/assets/{segment}")).await.problem(404, "not_found");
        }
        // The same path, spelled otherwise.
        auditor.get("/%76%31/uni%74s").await.is(200);
        world.nobody().get("/%76%31/uni%74s").await.problem(401, "unauthenticated");
    }

    async fn a_panicking_handler_is_answered_like_any_other_failure(world: World) {
        async fn broken() -> HttpResponse {
            panic!("secret detail")
        }
        let shared = world.shared.clone();
        let server = HttpServer::new(move || {
            let app = actix_web::App::new().app_data(shared.clone()).app_data(shared.surface.clone());
            app.wrap(middleware::from_fn(thidua::http::edge::edge)).route("/broken", web::to(broken))
        });
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/broken", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let request = || world.client.get(&url).header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
        // Twice on one connection: the first panic has not harmed it.
        for count in 1..=2 {
            let answer = send(request().header("Accept-Language", "en")).await.problem(500, "internal");
            assert_eq!(answer.json()["trace_id"], trace);
            assert_eq!(answer.json()["title"], "Internal error");
            assert!(!answer.text.contains("secret"), "{}", answer.text);
            for (name, value) in [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"),
                ("x-frame-options", "DENY"), ("cache-control", "no-store")] {
                assert_eq!(answer.header(name), Some(value));
            }
            assert!(answer.header("traceparent").unwrap().starts_with(&format!("00-{trace}-")));
            let labels = "method=\"GET\",route=\"unknown\",status=\"500\"";
            let counted = format!("thidua_http_requests_total{{{labels}}} {count}\n");
            let metrics = world.shared.metrics.text();
            assert!(metrics.contains(&counted), "{metrics}");
        }
        let headed = send(world.client.head(&url)).await.is(500);
        assert_eq!(headed.text, "");
        handle.stop(false).await;
    }
}
