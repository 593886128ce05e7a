//! When what was erased is gone from the files of an embedded database: with the answer, or as soon as nobody reads what
//! was there before, whatever became of the process that erased it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement, TransactionTrait};
use serde_json::{Value, json};
use thidua::auth::Role;

use crate::plaintext::{MARK, occurrences};
use crate::support::database::Database;
use crate::support::program::{Program, village};
use crate::support::{Engine, Person, run};

fn revocation(n: usize) -> Value {
    json!({ "sid": format!("phien-{n}"), "reason": format!("{MARK}{n} {}", "x".repeat(n % 20 * 40)) })
}

fn erasure(location: &str) -> Value {
    let id = location.rsplit('/').next().unwrap();
    json!({ "subject": { "type": "revocation", "id": id }, "legal_basis": "purpose_ended" })
}

/// How often what was erased stands in the database's file and in its WAL, and what is around it.
fn left(file: &str) -> [(usize, String); 2] {
    [occurrences(file), occurrences(&format!("{file}-wal"))]
}

fn clean() -> [(usize, String); 2] {
    [(0, String::new()), (0, String::new())]
}

async fn cleaned_in_the_end(file: &str) {
    for _ in 0..600 {
        if left(file) == clean() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(left(file), clean());
}

/// A reader who needs the WAL from now on.
async fn reading(database: &Database) -> DatabaseTransaction {
    let tx = database.raw().await.begin().await.unwrap();
    let count = Statement::from_string(DbBackend::Sqlite, "SELECT count(*) FROM revocation");
    tx.query_one_raw(count).await.unwrap();
    tx
}

/// Units until told to stop; how many.
async fn write(person: &Person<'_>, over: &AtomicBool) -> usize {
    let mut written = 0;
    while !over.load(Ordering::SeqCst) {
        person.create("/v1/units", &village("Bản")).await.is(201);
        written += 1;
    }
    written
}

/// Only short reads and writes: none of them may keep what was erased in a file behind the answer.
#[actix_web::test]
async fn what_is_erased_is_gone_with_the_answer_while_others_write() {
    run(Engine::Sqlite, async |world| {
        let administrator = world.person(Role::Administrator, None).await;
        let file = world.database.url.trim_start_matches("sqlite://").to_owned();
        let over = AtomicBool::new(false);
        let erasures = async {
            for n in 0..8 {
                let revoked = administrator.create("/v1/revocations", &revocation(n)).await.is(201);
                let body = erasure(revoked.header("location").unwrap());
                administrator.create("/v1/erasures", &body).await.is(201);
                assert_eq!(left(&file), clean(), "after erasure {n}");
            }
            over.store(true, Ordering::SeqCst);
        };
        let writers = join_all((0..12).map(|_| write(&administrator, &over)));
        let ((), written) = join(erasures, writers).await;
        assert!(written.iter().sum::<usize>() > 50, "{written:?}");
    })
    .await;
}

/// A backup, e.g.: the erasures are answered and others write on, and nothing of it is added to the WAL again and again.
#[actix_web::test]
async fn behind_a_long_read_it_is_gone_when_the_read_is_done() {
    run(Engine::Sqlite, async |world| {
        let administrator = world.person(Role::Administrator, None).await;
        let file = world.database.url.trim_start_matches("sqlite://").to_owned();
        let mut made = Vec::new();
        for n in 0..12 {
            let revoked = administrator.create("/v1/revocations", &revocation(n)).await.is(201);
            made.push(revoked.header("location").unwrap().to_owned());
        }
        let read = reading(&world.database).await;
        for location in &made {
            administrator.create("/v1/erasures", &erasure(location)).await.is(201);
            administrator.create("/v1/units", &village("Bản")).await.is(201);
        }
        let size = |file: &str| std::fs::metadata(file).unwrap().len();
        assert!(left(&file).iter().map(|(places, _)| places).sum::<usize>() > 0, "the read keeps it");
        assert!(size(&format!("{file}-wal")) < made.len() as u64 * size(&file), "it was written anew each time");
        read.rollback().await.unwrap();
        cleaned_in_the_end(&file).await;
        administrator.create("/v1/units", &village("Bản")).await.is(201);
    })
    .await;
}

/// Killed while a reader kept it: the next process makes up for it, as soon as that reader is done.
#[actix_web::test]
async fn what_a_killed_process_left_is_made_up_for_by_the_next() {
    let database = Database::empty(Engine::Sqlite).await.unwrap();
    let file = database.url.trim_start_matches("sqlite://").to_owned();
    let program = Program::new(&database.url).await;
    let running = program.serve().await;
    let mut made = Vec::new();
    for n in 0..5 {
        let revoked = program.create("/v1/revocations", &format!("r{n}"), &revocation(n)).await.unwrap().is(201);
        made.push(revoked.header("location").unwrap().to_owned());
    }
    let read = reading(&database).await;
    for (n, location) in made.iter().enumerate() {
        program.create("/v1/erasures", &format!("e{n}"), &erasure(location)).await.unwrap().is(201);
    }
    // What SQLite leaves in unused space when it moves a row.
    let raw = database.raw().await;
    raw.execute_unprepared(&format!(
        "PRAGMA secure_delete = OFF; INSERT INTO derived (name, version) VALUES ('{MARK}', 1); \
         DELETE FROM derived WHERE name = '{MARK}'"
    ))
    .await
    .unwrap();
    raw.close().await.unwrap();
    drop(running);
    let running = program.serve().await;
    assert!(left(&file).iter().map(|(places, _)| places).sum::<usize>() > 0, "the read keeps it");
    drop(running);
    read.rollback().await.unwrap();
    let running = program.serve().await;
    cleaned_in_the_end(&file).await;
    drop(running);
    database.remove().await;
}
