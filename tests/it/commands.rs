//! The commands, as an operator runs them.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use sea_orm::ConnectionTrait;
use thidua::auth::Role;
use thidua::auth::sign::SigningKey;

use crate::both_engines;
use crate::support::database::Database;
use crate::support::forge::{self, in_one_transaction};
use crate::support::watch::{LONGEST, stopped, watch};
use crate::support::{AUDIENCE, Engine, ISSUER, Running, free_address};

fn thidua(url: &str) -> Command {
    watch(LONGEST);
    let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
    command.env("THIDUA_DATABASE_URL", url).env("RUST_LOG", "error").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn status(address: &str, path: &str) -> Option<u16> {
    Some(reqwest::get(format!("http://{address}{path}")).await.ok()?.status().as_u16())
}

async fn becomes(address: &str, path: &str, wanted: u16) {
    for _ in 0..200 {
        if status(address, path).await == Some(wanted) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} never answered {wanted}");
}

/// A problem with this status, and this `Allow` if any.
async fn refuses(address: &str, method: &str, path: &str, status: u16, allow: &str) {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let request = reqwest::Client::new().request(method, format!("http://{address}{path}"));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), status, "{path}");
    assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
    assert_eq!(answer.headers().get("allow").map_or("", |allow| allow.to_str().unwrap()), allow, "{path}");
    let problem: serde_json::Value = answer.json().await.unwrap();
    assert_eq!((&problem["status"], problem["trace_id"].as_str().unwrap().len()), (&serde_json::json!(status), 32));
}

async fn several_migrate_at_once_and_serve_waits_for_them(engine: Engine) {
    let Some(database) = Database::empty(engine).await else { return };
    let directory = tempfile::tempdir().unwrap();
    let jwks = directory.path().join("jwks.json");
    std::fs::write(&jwks, SigningKey::generate().unwrap().jwks).unwrap();
    let address = free_address();
    let mut serve = thidua(&database.url);
    // Nobody reads what it says, and a full pipe would stop it.
    serve.stdout(Stdio::null()).stderr(Stdio::null());
    let metrics = free_address();
    serve.args(["serve", "--listen", &address, "--metrics-listen", &metrics]).env("THIDUA_JWKS_FILE", &jwks);
    let mut serve = Running(serve.env("THIDUA_ISSUER", ISSUER).env("THIDUA_AUDIENCE", AUDIENCE).spawn().unwrap());
    becomes(&address, "/livez", 200).await;
    assert_eq!(status(&address, "/readyz").await, Some(503), "serve never migrates");
    let waiting = reqwest::get(format!("http://{address}/v1/units")).await.unwrap();
    assert_eq!(waiting.status().as_u16(), 503);
    let problem: serde_json::Value = waiting.json().await.unwrap();
    assert_eq!((&problem["code"], problem["trace_id"].as_str().unwrap().len()), (&serde_json::json!("busy"), 32));
    refuses(&address, "POST", "/livez", 405, "GET, HEAD").await;
    let migrations: Vec<_> = (0..4).map(|_| thidua(&database.url).arg("migrate").spawn().unwrap()).collect();
    let mut ran = 0;
    for migration in migrations {
        let output = migration.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        ran += i32::from(!text(&output).starts_with("0 migrations"));
    }
    assert_eq!(ran, 1, "one of them did the work, and says so");
    becomes(&address, "/readyz", 200).await;
    assert_eq!(status(&address, "/v1/units").await, Some(401));
    let scraped = reqwest::get(format!("http://{metrics}/metrics")).await.unwrap();
    assert_eq!(scraped.headers()["x-content-type-options"], "nosniff");
    assert!(scraped.text().await.unwrap().contains("thidua_http_requests_total"), "without a token");
    refuses(&metrics, "GET", "/", 404, "").await;
    refuses(&metrics, "GET", "/v1/units", 404, "").await;
    refuses(&metrics, "POST", "/metrics", 405, "GET, HEAD").await;
    refuses(&metrics, "OPTIONS", "/metrics", 405, "GET, HEAD").await;
    // A graceful stop.
    assert!(stopped(&mut serve.0).success());
    database.remove().await;
}

#[actix_web::test]
async fn several_migrate_at_once_and_serve_waits_for_them_on_sqlite() {
    several_migrate_at_once_and_serve_waits_for_them(Engine::Sqlite).await;
}

#[actix_web::test]
async fn several_migrate_at_once_and_serve_waits_for_them_on_postgres() {
    several_migrate_at_once_and_serve_waits_for_them(Engine::Postgres).await;
}

#[test]
fn serve_refuses_demo_keys_and_empty_names() {
    let directory = tempfile::tempdir().unwrap();
    let jwks = directory.path().join("jwks.json");
    let url = format!("sqlite://{}", directory.path().join("x.db").display());
    std::fs::write(&jwks, SigningKey::generate_demo().unwrap().jwks).unwrap();
    let run = |issuer: &str| {
        let mut command = thidua(&url);
        command.arg("serve").env("THIDUA_JWKS_FILE", &jwks).env("THIDUA_ISSUER", issuer);
        command.env("THIDUA_AUDIENCE", AUDIENCE).output().unwrap()
    };
    let refused = run(ISSUER);
    assert!(!refused.status.success() && text(&refused).contains("demo keys"), "{}", text(&refused));
    assert!(!run("").status.success());
    let refused = run("https://demo.thidua.invalid");
    assert!(!refused.status.success() && text(&refused).contains("demonstration"), "{}", text(&refused));
    // The keys are looked at after the names.
    let refused = run("iss");
    assert!(!refused.status.success() && text(&refused).contains("THIDUA_ISSUER"), "{}", text(&refused));
}

#[test]
fn a_local_key_signs_tokens_and_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let (private, jwks) = (directory.path().join("key.pem"), directory.path().join("jwks.json"));
    let make = || {
        let mut command = thidua("sqlite://unused.db");
        command.args(["token", "new-key", "--private"]).arg(&private).arg("--jwks").arg(&jwks).output().unwrap()
    };
    assert!(make().status.success());
    assert!(!make().status.success(), "an existing key stays");
    let mut sign = thidua("sqlite://unused.db");
    sign.args(["token", "sign", "--issuer", ISSUER, "--audience", AUDIENCE, "--subject", "s", "--private"])
        .arg(&private);
    let output = sign.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let token = String::from_utf8(output.stdout).unwrap();
    let keys = thidua::auth::keys::Keys::from_jwks(&std::fs::read_to_string(&jwks).unwrap()).unwrap();
    let verifier = crate::support::verifier(keys);
    let now = thidua::clock::now() / 1_000_000;
    assert_eq!(verifier.verify(token.trim(), now).unwrap().subject, "s");
}

#[test]
fn whoever_reads_may_leave_before_the_end() {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/campaigns/quynh-nhai-2021-2025/rules.yaml");
    let commands: [&[&str]; 4] = [&["rules", "check", rules], &["openapi"], &["docs", "errors"], &["docs", "events"]];
    for words in commands {
        let mut child = thidua("sqlite://unused.db").args(words).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output)), (Some(0), String::new()), "{words:?}");
    }
    // What the command found out is still its exit code.
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("rules.yaml");
    std::fs::write(&broken, "rules: []").unwrap();
    let mut child = thidua("sqlite://unused.db").args(["rules", "check"]).arg(&broken).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output)), (Some(1), String::new()));
}

async fn what_needs_tables_says_that_migrations_wait(engine: Engine) {
    let Some(database) = Database::empty(engine).await else { return };
    let campaign = concat!(env!("CARGO_MANIFEST_DIR"), "/campaigns/quynh-nhai-2021-2025");
    for command in [
        vec!["campaign", "load", campaign],
        vec!["grant", "--issuer", ISSUER, "--subject", "root", "--role", "administrator"],
        vec!["log", "rebuild", "--check"],
    ] {
        if let Some(file) = database.url.strip_prefix("sqlite://") {
            let told = text(&thidua(&database.url).args(&command).output().unwrap());
            assert!(told.contains("there is no such database") && !told.contains("internal"), "{told}");
            assert!(!std::path::Path::new(file).exists(), "looking makes no database");
            std::fs::write(file, "").unwrap();
        }
        let output = thidua(&database.url).args(&command).output().unwrap();
        if let Some(file) = database.url.strip_prefix("sqlite://") {
            std::fs::remove_file(file).unwrap();
        }
        let told = text(&output);
        assert!(!output.status.success() && told.contains("migrations wait; run `thidua migrate` first"), "{told}");
        assert!(!told.contains("no such table") && !told.contains("does not exist"), "{told}");
    }
    assert!(thidua(&database.url).arg("migrate").output().unwrap().status.success());
    let loaded = thidua(&database.url).args(["campaign", "load", campaign]).output().unwrap();
    assert!(loaded.status.success(), "{}", text(&loaded));
    database.remove().await;
}

#[actix_web::test]
async fn what_needs_tables_says_that_migrations_wait_on_sqlite() {
    what_needs_tables_says_that_migrations_wait(Engine::Sqlite).await;
}

#[actix_web::test]
async fn what_needs_tables_says_that_migrations_wait_on_postgres() {
    what_needs_tables_says_that_migrations_wait(Engine::Postgres).await;
}

both_engines! {
    async fn a_grant_at_the_console_is_an_event_and_is_not_given_twice(world: World) {
        let run = || thidua(&world.database.url)
            .args(["grant", "--issuer", ISSUER, "--subject", "root", "--role", "administrator"]).output().unwrap();
        assert!(run().status.success());
        assert!(run().status.success());
        let mut root = world.nobody();
        root.token = Some(world.token("root"));
        let grants = root.get("/v1/grants").await.is(200).json();
        assert_eq!(grants["items"].as_array().unwrap().len(), 1);
        let events = root.get("/v1/events?type=grant.given").await.is(200).json();
        assert_eq!(events["items"][0]["actor"]["kind"], "console");
        let mut wrong = thidua(&world.database.url);
        let wrong = wrong.args(["grant", "--issuer", ISSUER, "--subject", "x", "--role", "king"]).output().unwrap();
        assert!(!wrong.status.success());
        let mut named = thidua(&world.database.url);
        let named = named.args(["grant", "--issuer", "Nguyễn Thị Hoa", "--subject", "x", "--role", "auditor"]).output().unwrap();
        assert!(!named.status.success() && text(&named).contains("/issuer"), "{}", text(&named));
    }

    async fn rebuild_check_names_differences_and_fails(world: World) {
        let run = || thidua(&world.database.url).args(["log", "rebuild", "--check"]).output().unwrap();
        let clean = run();
        assert!(clean.status.success() && text(&clean).contains(" 0 differences"), "{}", text(&clean));
        let raw = world.database.raw().await;
        sea_orm::ConnectionTrait::execute_unprepared(&raw, "DELETE FROM unit_closure").await.unwrap();
        let tampered = run();
        assert!(!tampered.status.success() && text(&tampered).contains("unit_closure"), "{}", text(&tampered));
    }

    async fn rebuild_check_names_a_leaf_that_cannot_be_read_and_compares_the_rest(world: World) {
        let check = || {
            let output = thidua(&world.database.url).args(["log", "rebuild", "--check"]).output().unwrap();
            (output.status.success(), text(&output))
        };
        let raw = world.database.raw().await;
        let junk = forge::next(world, &raw, world.units.village_b).await.with("no json");
        raw.execute_unprepared(&junk.insert()).await.unwrap();
        if world.database.engine == Engine::Sqlite {
            // Nobody seals until somebody writes.
            let (success, told) = check();
            assert!(!success && told.contains("position 11, not sealed yet: the leaf is no JSON: "), "{told}");
            assert!(told.contains(" 1 differences"), "{told}");
        }
        let auditor = world.person(Role::Auditor, None).await;
        auditor.get("/v1/events").await.is(200);
        let (success, told) = check();
        let line = format!("event {}: set aside at ", junk.event);
        assert!(success && told.contains(&line) && told.contains(" 0 differences, 1 remarks"), "{told}");

        // One that a row stands on stays where it is, on either engine.
        let good = forge::next(world, &raw, world.units.village_a).await;
        let unreadable = good.rewritten("[true,false]", "[true,1e999]");
        in_one_transaction(&raw, &[unreadable.insert(), unreadable.change()]).await.commit().await.unwrap();
        raw.execute_unprepared("DELETE FROM unit_closure WHERE ancestor_id = descendant_id").await.unwrap();
        let (success, told) = check();
        assert!(!success && told.contains(", not sealed yet: the leaf is no JSON: "), "{told}");
        assert!(told.contains(&format!("unit/{}: version differs", unreadable.stream)), "{told}");
        assert_eq!(told.matches("unit_closure").count(), 10, "the rest is compared: {told}");
    }
}
