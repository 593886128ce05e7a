//! Which key database belongs to a database, and what starts without it.

use std::process::{Command, Output, Stdio};

use thidua::db::{Db, Urls};

use super::{keys, sealed_worlds};
use crate::support::program::Program;
use crate::support::{Database, Engine, free_address};

/// What a command says to its operator.
fn said(urls: &Urls, words: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
    command.args(words).env("THIDUA_DATABASE_URL", &urls.app).env("RUST_LOG", "error");
    if let Some(keys) = &urls.keys {
        command.env("THIDUA_SUBJECT_KEYS", keys);
    }
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

const CHECK: &[&str] = &["log", "rebuild", "--check"];

sealed_worlds! {
    async fn a_database_knows_its_keys(world: World) {
        let urls = Urls { sealer: None, eraser: None, app: world.database.url.clone(), ..world.database.urls() };
        assert!(said(&urls, CHECK).0);
        let (done, told) = said(&Urls { keys: None, ..urls.clone() }, CHECK);
        assert!(!done && told.contains("sealed: set THIDUA_SUBJECT_KEYS"), "{told}");

        let other = Database::empty(world.database.engine).await.unwrap();
        for words in [CHECK, &["migrate"]] {
            let (done, told) = said(&Urls { keys: Some(other.url.clone()), ..urls.clone() }, words);
            assert!(!done && told.contains("is not the key database"), "{told}");
        }
        other.remove().await;

        let (done, told) = said(&Urls { keys: Some(urls.app.clone()), ..urls.clone() }, CHECK);
        assert!(!done && told.contains("THIDUA_SUBJECT_KEYS is the main database"), "{told}");
        let spelt_otherwise = match world.database.engine {
            Engine::Sqlite => format!("{}?mode=rwc", urls.app),
            Engine::Postgres => urls.app.replace("127.0.0.1", "localhost"),
        };
        let (done, told) = said(&Urls { keys: Some(spelt_otherwise), ..urls.clone() }, &["migrate"]);
        assert!(!done && told.contains("THIDUA_SUBJECT_KEYS is the main database"), "{told}");
        let (done, told) = said(&Urls { keys: Some("mysql://x".into()), ..urls.clone() }, CHECK);
        assert!(!done && told.contains("must start with sqlite:// or postgres://"), "{told}");
        assert!(format!("{:?}", world.db.reader().conn()).ends_with("keys: Some(SubjectKeys(…)) }"));
    }
}

/// From `migrate` to an erasure, with the program itself.
async fn served(engine: Engine) {
    let (Some(database), Some(keyring)) = (Database::empty(engine).await, Database::empty(engine).await) else {
        return;
    };
    Db::connect(&database.url).await.unwrap().migrate().await.unwrap();
    let urls = Urls { keys: Some(keyring.url.clone()), ..Urls::from(&database.url) };
    // Migrated without the option, it is not ready with it.
    let (done, told) = said(&urls, CHECK);
    assert!(!done && told.contains(" migrations wait; run `thidua migrate` first"), "{told}");
    let listen = free_address();
    let jwks = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(jwks.path(), thidua::auth::sign::SigningKey::generate().unwrap().jwks).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
    command.args(["serve", "--listen", &listen, "--issuer", "https://idp.test", "--audience", "x", "--subject-keys"]);
    command.arg(&keyring.url).env("THIDUA_DATABASE_URL", &database.url).env("THIDUA_JWKS_FILE", jwks.path());
    let running = crate::support::Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let ready = async || reqwest::get(format!("http://{listen}/readyz")).await.ok();
    let mut answer = ready().await;
    for _ in 0..400 {
        if answer.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        answer = ready().await;
    }
    let answer = answer.expect("it never listened");
    assert_eq!(answer.status(), 503);
    assert!(answer.text().await.unwrap().contains("subject_keys"));
    drop(running);

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{}\n", keyring.url)).unwrap();
    let mut program = Program::around(&database.url);
    program.environment.push(("THIDUA_SUBJECT_KEYS_FILE".into(), file.path().display().to_string()));
    program.begin();
    let running = program.serve().await;
    drop(running);
    let mut database = database;
    database.keys = Some(Box::new(keyring));
    assert!(keys(&database, "retired_at IS NULL").await > 0, "the administrator has a key");
    if engine == Engine::Sqlite {
        use std::os::unix::fs::PermissionsExt;
        let file = std::fs::metadata(super::file(database.keys.as_ref().unwrap())).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }
    database.remove().await;
}

#[actix_web::test]
async fn the_program_makes_and_uses_the_key_database_on_sqlite() {
    served(Engine::Sqlite).await;
}

#[actix_web::test]
async fn the_program_makes_and_uses_the_key_database_on_postgres() {
    served(Engine::Postgres).await;
}
