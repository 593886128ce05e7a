//! The commands, as an operator runs them.

use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use thidua::auth::sign::SigningKey;

use crate::both_engines;
use crate::support::database::Database;
use crate::support::{AUDIENCE, Engine, ISSUER, Running};

fn thidua(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
    command.env("THIDUA_DATABASE_URL", url).env("RUST_LOG", "error").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
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

async fn several_migrate_at_once_and_serve_waits_for_them(engine: Engine) {
    let Some(database) = Database::empty(engine).await else { return };
    let directory = tempfile::tempdir().unwrap();
    let jwks = directory.path().join("jwks.json");
    std::fs::write(&jwks, SigningKey::generate().unwrap().jwks).unwrap();
    let address = free_address();
    let mut serve = thidua(&database.url);
    serve.args(["serve", "--listen", &address]).env("THIDUA_JWKS_FILE", &jwks);
    let mut serve = Running(serve.env("THIDUA_ISSUER", ISSUER).env("THIDUA_AUDIENCE", AUDIENCE).spawn().unwrap());
    becomes(&address, "/livez", 200).await;
    assert_eq!(status(&address, "/readyz").await, Some(503), "serve never migrates");
    let waiting = reqwest::get(format!("http://{address}/v1/units")).await.unwrap();
    assert_eq!(waiting.status().as_u16(), 503);
    let problem: serde_json::Value = waiting.json().await.unwrap();
    assert_eq!((&problem["code"], problem["trace_id"].as_str().unwrap().len()), (&serde_json::json!("busy"), 32));
    let migrations: Vec<_> = (0..4).map(|_| thidua(&database.url).arg("migrate").spawn().unwrap()).collect();
    for migration in migrations {
        let output = migration.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
    becomes(&address, "/readyz", 200).await;
    assert_eq!(status(&address, "/v1/units").await, Some(401));
    // A graceful stop.
    Command::new("kill").arg(serve.0.id().to_string()).status().unwrap();
    assert!(serve.0.wait().unwrap().success());
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
    let keys = thidua::auth::token::Keys::from_jwks(&std::fs::read_to_string(&jwks).unwrap()).unwrap();
    let verifier = thidua::auth::token::Verifier {
        keys,
        issuer: ISSUER.into(),
        audience: AUDIENCE.into(),
        max_lifetime: Duration::from_secs(900),
    };
    let now = thidua::clock::now() / 1_000_000;
    assert_eq!(verifier.verify(token.trim(), now).unwrap().subject, "s");
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
}
