//! What one request, one caller and one address may ask for, and what whoever asks for more is told.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Response;
use sea_orm::ConnectionTrait as _;
use serde_json::Value;
use thidua::auth::Role;
use thidua::http::body;
use thidua::http::limits::{HEADERS, Limits, Rates, URI};

use crate::both_engines;
use crate::support::http::send;
use crate::support::program::Program;
use crate::support::watch::{LONGEST, ended, watch};
use crate::support::{Database, Engine, Person, World};

async fn get(base: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let request = reqwest::Client::new().get(format!("{base}{path}"));
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn bearer(person: &Person<'_>) -> String {
    format!("Bearer {}", person.token.as_ref().unwrap())
}

/// Writes raw bytes and reads until the service closes the connection.
fn raw(world: &World, parts: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(world.base.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for part in parts {
        if stream.write_all(part).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a byte now and then, whatever is answered, until the other side closes; the answer.
fn trickle(host: &str, head: &str) -> String {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    for _ in 0..600 {
        let sent = stream.write_all(b"1\r\n \r\n");
        match stream.read(&mut part) {
            Ok(0) => return String::from_utf8(answer).unwrap(),
            Ok(read) => answer.extend_from_slice(&part[..read]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) && sent.is_ok() => {}
            Err(_) => return String::from_utf8(answer).unwrap(),
        }
    }
    panic!("still open after 30 seconds: {}", String::from_utf8_lossy(&answer));
}

both_engines! {
    async fn each_size_has_a_limit_and_one_less_is_allowed(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let administrator = world.person(Role::Administrator, None).await;
        let path = |length: usize| format!("/v1/units?cursor={}", "x".repeat(length - "/v1/units?cursor=".len()));
        auditor.get(&path(URI)).await.problem(400, "invalid_query");
        auditor.get(&path(URI + 1)).await.problem(414, "uri_too_long");

        let padded = |length: usize| auditor.request("GET", "/v1/me").header("x-padding", "x".repeat(length));
        send(padded(HEADERS - 4096)).await.is(200);
        send(padded(HEADERS)).await.problem(431, "headers_too_large");
        let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
        let answer = raw(world, &[b"GET /livez HTTP/1.1\r\nhost: x\r\n", many.as_bytes(), b"\r\n"]);
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        let endless = raw(world, &[b"GET /livez HTTP/1.1\r\nx: ", &vec![b'y'; 1 << 20]]);
        assert!(endless.is_empty() || endless.starts_with("HTTP/1.1 431"), "{endless}");

        let sized = |length: usize| {
            let body = format!("{{\"reason\":\"{}\"}}", "x".repeat(length - "{\"reason\":\"\"}".len()));
            administrator.request("POST", "/v1/grants").header("content-type", "application/json").header("idempotency-key", "k").body(body)
        };
        send(sized(body::LIMIT)).await.problem(400, "unknown_member");
        send(sized(body::LIMIT + 1)).await.problem(413, "body_too_large");

        let deep = |depth: usize| {
            let body = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
            administrator.request("POST", "/v1/grants").header("content-type", "application/json").header("idempotency-key", "k").body(body)
        };
        send(deep(100)).await.problem(400, "wrong_type");
        send(deep(10_000)).await.problem(400, "malformed_body");
        send(deep(100_000)).await.problem(400, "malformed_body");
    }

    async fn a_slow_body_is_given_up_and_its_connection_closed(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let limits = Limits { body: Duration::from_millis(300), ..Limits::default() };
        let (base, server) = world.beside(limits).await;
        let host = base.trim_start_matches("http://").to_owned();
        let head = format!(
            "POST /v1/grants HTTP/1.1\r\nhost: {host}\r\nauthorization: {}\r\nidempotency-key: k\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
            bearer(&administrator)
        );
        let answer = actix_web::rt::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(host).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            let mut answer = Vec::new();
            // Ends only because the service closes the connection.
            stream.read_to_end(&mut answer).unwrap();
            String::from_utf8(answer).unwrap()
        });
        let answer = answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
        server.stop(false).await;
    }

    async fn whoever_goes_on_sending_is_not_read_for_ever(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let limits = Limits { body: Duration::from_millis(300), ..Limits::default() };
        let (base, server) = world.beside(limits).await;
        let host = base.trim_start_matches("http://").to_owned();
        let head = |authorization: String| format!(
            "POST /v1/grants HTTP/1.1\r\nhost: {host}\r\n{authorization}idempotency-key: k\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        for (head, status) in [
            (head(format!("authorization: {}\r\n", bearer(&administrator))), "408"),
            (head(String::new()), "401"),
        ] {
            let host = host.clone();
            let answer = actix_web::rt::task::spawn_blocking(move || trickle(&host, &head)).await.unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
            assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
        }
        server.stop(false).await;
    }

    async fn a_request_that_takes_too_long_is_told_to_come_back(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let limits = Limits { request: Duration::from_millis(400), ..Limits::default() };
        let (base, server) = world.beside(limits).await;
        // Somebody holds what the request waits for.
        let raw = world.database.raw().await;
        let hold = match world.database.engine {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN; LOCK TABLE unit IN ACCESS EXCLUSIVE MODE",
        };
        raw.execute_unprepared(hold).await.unwrap();
        let body = serde_json::json!({ "names": [{ "value": "Bản", "from": "2021-01-01" }],
            "kinds": [{ "value": "village", "from": "2021-01-01" }], "exists_from": "2021-01-01" });
        let register = || {
            let request = reqwest::Client::new().post(format!("{base}/v1/units")).header("authorization", bearer(&administrator));
            request.header("idempotency-key", "slow").json(&body).send()
        };
        let late = register().await.unwrap();
        assert_eq!((late.status().as_u16(), header(&late, "retry-after")), (503, "2"));
        assert_eq!(late.json::<Value>().await.unwrap()["code"], "busy");
        raw.execute_unprepared("ROLLBACK").await.unwrap();
        if world.database.engine == Engine::Postgres {
            // So it is with what is asked first: who calls, and what for. SQLite's readers wait for nobody.
            let raw = world.database.raw().await;
            raw.execute_unprepared("BEGIN; LOCK TABLE role_grant, account IN ACCESS EXCLUSIVE MODE").await.unwrap();
            let token = bearer(&administrator);
            let headers = [("authorization", token.as_str())];
            let me = get(&base, "/v1/me", &headers);
            let late = tokio::time::timeout(Duration::from_secs(20), me).await.unwrap();
            assert_eq!((late.status().as_u16(), header(&late, "retry-after")), (503, "2"));
            // Its session ends, whichever of its connections has the lock.
            raw.close().await.unwrap();
        }
        let mut status = 0;
        for _ in 0..50 {
            status = register().await.unwrap().status().as_u16();
            if status == 201 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(status, 201, "the same key, once there is room");
        server.stop(false).await;
    }

    async fn with_every_connection_taken_requests_are_told_to_come_back_and_health_stays_up(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let mut taken = Vec::new();
        while let Ok(Ok(snapshot)) = tokio::time::timeout(Duration::from_millis(200), world.db.snapshot()).await {
            taken.push(snapshot);
        }
        assert!(taken.len() >= 8, "{}", taken.len());
        // After its 2 seconds, that is, and not when the request's own time is up, which says the same after 30.
        let refused = tokio::time::timeout(Duration::from_secs(10), auditor.get("/v1/me")).await.unwrap();
        assert_eq!(refused.header("retry-after"), Some("2"));
        refused.problem(503, "busy");
        world.nobody().get("/livez").await.is(200);
        world.nobody().get("/readyz").await.is(503);
        drop(taken);
        auditor.get("/v1/me").await.is(200);
    }

    async fn callers_and_addresses_have_rates_that_every_answer_states(world: World) {
        let (one, other) = (world.person(Role::Auditor, None).await, world.person(Role::Administrator, None).await);
        let (base, server) = world.beside(Limits { rates: Rates::new(0, 2), ..Limits::default() }).await;
        let me = async |person: &Person<'_>| get(&base, "/v1/me", &[("authorization", &bearer(person))]).await;
        let first = me(&one).await;
        assert_eq!(header(&first, "ratelimit-policy"), "\"caller\";q=2;w=60");
        assert_eq!((first.status().as_u16(), header(&first, "ratelimit")), (200, "\"caller\";r=1;t=30"));
        assert_eq!(me(&one).await.status().as_u16(), 200);
        let refused = me(&one).await;
        assert_eq!((refused.status().as_u16(), header(&refused, "ratelimit").starts_with("\"caller\";r=0;")), (429, true));
        assert!((1..=30).contains(&header(&refused, "retry-after").parse::<u32>().unwrap()));
        assert_eq!(refused.json::<Value>().await.unwrap()["code"], "too_many_requests");
        assert_eq!(me(&other).await.status().as_u16(), 200, "somebody else");
        server.stop(false).await;

        let proxies = vec!["127.0.0.1/32".parse().unwrap()];
        let limits = Limits { proxies, rates: Rates::new(2, 0), ..Limits::default() };
        let (base, server) = world.beside(limits).await;
        let from = async |address: &'static str| get(&base, "/v1/me", &[("x-forwarded-for", address)]).await.status().as_u16();
        // A wrong token is counted as well: nobody tries tokens without end.
        assert_eq!([from("198.51.100.1").await, from("198.51.100.1").await, from("198.51.100.1").await], [401, 401, 429]);
        assert_eq!(from("198.51.100.2").await, 401, "another address");
        assert_eq!(from("203.0.113.1, 198.51.100.1").await, 429, "what the caller wrote itself changes nothing");
        for _ in 0..5 {
            assert_eq!(get(&base, "/livez", &[]).await.status().as_u16(), 200, "health is never counted");
        }
        server.stop(false).await;
    }

    async fn only_listed_origins_may_call_from_a_browser(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let limits = Limits { origins: vec!["https://thidua.example.vn".into()], ..Limits::default() };
        let (base, server) = world.beside(limits).await;
        let token = bearer(&auditor);
        let call = async |origin: &str| get(&base, "/v1/me", &[("origin", origin), ("authorization", &token)]).await;
        let listed = call("https://thidua.example.vn").await;
        assert_eq!(header(&listed, "access-control-allow-origin"), "https://thidua.example.vn");
        assert!(header(&listed, "access-control-expose-headers").contains("etag"));
        assert!(header(&listed, "vary").to_lowercase().contains("origin"));
        assert!(header(&listed, "access-control-allow-credentials").is_empty(), "there are no cookies");
        let stranger = get(&base, "/v1/me", &[("origin", "https://thidua.example.vn"), ("authorization", "Bearer x")]).await;
        assert_eq!((stranger.status().as_u16(), header(&stranger, "access-control-allow-origin")), (401, "https://thidua.example.vn"));
        for origin in ["https://thidua.example.vn.evil.test", "http://thidua.example.vn", "https://thidua.example.vn:444", "null"] {
            assert_eq!(header(&call(origin).await, "access-control-allow-origin"), "", "{origin}");
        }
        let preflight = async |origin: &str, asked: &str| {
            let request = reqwest::Client::new().request(reqwest::Method::OPTIONS, format!("{base}/v1/figures"));
            let request = request.header("origin", origin).header("access-control-request-method", "POST");
            request.header("access-control-request-headers", asked).send().await.unwrap()
        };
        let allowed = preflight("https://thidua.example.vn", "authorization,idempotency-key,if-match,content-type").await;
        assert_eq!((allowed.status().as_u16(), header(&allowed, "access-control-allow-origin")), (200, "https://thidua.example.vn"));
        assert!(header(&allowed, "access-control-allow-methods").contains("POST"));
        for refused in [preflight("https://evil.test", "authorization").await, preflight("https://thidua.example.vn", "x-other").await] {
            assert_eq!(header(&refused, "access-control-allow-origin"), "");
        }
        server.stop(false).await;
        let none = get(&world.base, "/v1/me", &[("origin", "https://thidua.example.vn"), ("authorization", &token)]).await;
        assert_eq!(header(&none, "access-control-allow-origin"), "", "no origin is listed by default");
    }

    async fn every_answer_has_the_security_headers(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        for (path, status) in [("/v1/me", 200), ("/nowhere", 404), ("/livez", 200), ("/docs", 200), ("/openapi.json", 200)] {
            let answer = auditor.get(path).await.is(status);
            let policy = answer.header("content-security-policy").unwrap().to_owned();
            assert!(policy.contains("frame-ancestors 'none'") && !policy.contains('*'), "{path}: {policy}");
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("x-frame-options", "DENY"),
                ("strict-transport-security", "max-age=31536000"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(answer.header(name), Some(value), "{path}");
            }
            assert_eq!(answer.header("server"), None);
        }
    }
}

/// What an operator says with variables is what counts; what is said empty is not said.
#[actix_web::test]
async fn limits_are_what_the_variables_say() {
    watch(LONGEST);
    let database = Database::create(Engine::Sqlite).await.unwrap();
    let mut program = Program::new(&database.url).await;
    let say = |program: &mut Program, said: &[(&str, &str)]| {
        program.environment = said.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    };
    let address = async |base: &str, forwarded: &str| {
        let answer = get(base, "/v1/me", &[("x-forwarded-for", forwarded)]).await;
        (answer.status().as_u16(), header(&answer, "ratelimit-policy").to_owned())
    };
    let page = "https://thidua.example.vn";
    say(
        &mut program,
        &[
            ("THIDUA_TRUSTED_PROXIES", "10.0.0.0/8,127.0.0.0/8"),
            ("THIDUA_CORS_ORIGINS", "https://front.example.vn,https://thidua.example.vn"),
            ("THIDUA_RATE_PER_ADDRESS", "4"),
            ("THIDUA_RATE_PER_CALLER", "2"),
            ("THIDUA_BODY_TIMEOUT", "1"),
        ],
    );
    let service = program.serve().await;
    let base = program.base.clone();
    let head = format!(
        "POST /v1/grants HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nidempotency-key: k\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        program.token()
    );
    let host = base.trim_start_matches("http://").to_owned();
    let slow = actix_web::rt::task::spawn_blocking(move || trickle(&host, &head)).await.unwrap();
    assert!(slow.starts_with("HTTP/1.1 408"), "a body that may take a second: {slow}");
    let mine = program.get("/v1/me").await.unwrap().is(200);
    assert!(mine.header("ratelimit-policy").unwrap().contains("\"caller\";q=2;w=60"), "{:?}", mine.headers);
    program.get("/v1/me").await.unwrap().is(429);
    for (forwarded, status) in [("198.51.100.1", 401), ("198.51.100.2", 401), ("198.51.100.3", 401)] {
        assert_eq!(address(&base, forwarded).await.0, status, "each has a rate of its own: {forwarded}");
    }
    for status in [401, 401, 401, 429] {
        assert_eq!(address(&base, "198.51.100.1").await, (status, "\"address\";q=4;w=60".to_owned()));
    }
    let listed = get(&base, "/v1/me", &[("origin", page), ("x-forwarded-for", "198.51.100.4")]).await;
    assert_eq!(header(&listed, "access-control-allow-origin"), page);
    drop(service);

    say(&mut program, &[("THIDUA_TRUSTED_PROXIES", ""), ("THIDUA_CORS_ORIGINS", ""), ("THIDUA_RATE_PER_ADDRESS", "4")]);
    let service = program.serve().await;
    let statuses = [
        address(&base, "198.51.100.1").await.0,
        address(&base, "198.51.100.2").await.0,
        address(&base, "198.51.100.3").await.0,
        address(&base, "198.51.100.4").await.0,
        address(&base, "198.51.100.5").await.0,
    ];
    assert_eq!(statuses, [401, 401, 401, 401, 429], "nobody's word on where it comes from is believed");
    drop(service);

    for (name, value) in [
        ("THIDUA_TRUSTED_PROXIES", "10.0.0.0/8,gateway"),
        ("THIDUA_CORS_ORIGINS", "https://thidua.example.vn/"),
        ("THIDUA_CORS_ORIGINS", "*"),
        ("THIDUA_RATE_PER_CALLER", "-1"),
    ] {
        let mut refused = program.serving();
        let refused = refused.env(name, value).env("RUST_LOG", "error").stderr(std::process::Stdio::piped());
        let mut refused = refused.spawn().unwrap();
        let mut why = String::new();
        let mut stderr = refused.stderr.take().unwrap();
        let why = actix_web::rt::task::spawn_blocking(move || stderr.read_to_string(&mut why).map(|_| why));
        let why = why.await.unwrap().unwrap();
        assert!(!ended(&mut refused).success(), "{name}={value}");
        assert!(
            why.contains(&name.to_lowercase().replace("thidua_", "").replace('_', "-")) || why.contains(name),
            "{why}"
        );
    }
    database.remove().await;
}

/// True if there is an answer by then.
fn is_answered(stream: &mut TcpStream, within: Duration) -> bool {
    stream.set_read_timeout(Some(within)).unwrap();
    let mut part = [0; 4096];
    let read = stream.read(&mut part).unwrap_or(0);
    part[..read].starts_with(b"HTTP/1.1 200")
}

/// More connections than the service takes wait until one of the others ends; none is refused, none is lost.
#[actix_web::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let database = Database::create(Engine::Sqlite).await.unwrap();
    let mut program = Program::new(&database.url).await;
    let limit = 4 * std::thread::available_parallelism().unwrap().get();
    program.environment.push(("THIDUA_MAX_CONNECTIONS".into(), limit.to_string()));
    let service = program.serve().await;
    let host = program.base.trim_start_matches("http://").to_owned();
    let held = actix_web::rt::task::spawn_blocking(move || {
        let mut all: Vec<TcpStream> = (0..2 * limit).map(|_| TcpStream::connect(&host).unwrap()).collect();
        for stream in &mut all {
            stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        }
        // Less than the service keeps an idle connection.
        std::thread::sleep(Duration::from_secs(2));
        let instantly = Duration::from_millis(1);
        let (served, waiting): (Vec<_>, Vec<_>) = all
            .into_iter()
            .map(|mut stream| (is_answered(&mut stream, instantly), stream))
            .partition(|(answered, _)| *answered);
        let (taken, waiting_before) = (served.len(), waiting.len());
        drop(served);
        // Each makes room for the next.
        let late = waiting
            .into_iter()
            .filter_map(|(_, mut stream)| is_answered(&mut stream, Duration::from_secs(10)).then_some(()))
            .count();
        (limit, taken, waiting_before, late)
    });
    let (limit, taken, waiting, late) = held.await.unwrap();
    // The program that asked whether the service is ready has a connection of its own.
    assert!((limit - 2..=limit).contains(&taken), "{taken} of {limit}");
    assert_eq!(late, waiting, "of those that waited");
    drop(service);
    database.remove().await;
}
