//! On PostgreSQL the words by which records are found stand in clear in the database, and nowhere else: not in a base backup,
//! not in its WAL, not in what the server knows of its tables. In return a crash loses them, and the service fills them again.

use std::path::Path;

use sea_orm::{ConnectionTrait, Database as Sea};
use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::commands::grant::console;
use thidua::db::{Db, Outcome, Urls, WriteTx};
use thidua::units::{self, UnitKind};

use super::{MARK, number};
use crate::log::rebuild_of;
use crate::support::cluster::Cluster;
use crate::support::program::{Program, village};
use crate::support::watch::ended;
use crate::support::{Answer, Database, Engine, ISSUER, Person, World, unit};

/// The files below a directory in which the mark stands.
fn marked(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(marked(&path));
        } else if path.is_file()
            && std::fs::read(&path).unwrap().windows(MARK.len()).any(|bytes| bytes == MARK.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

fn labels(answer: &Answer) -> Vec<Value> {
    answer.json()["items"].as_array().unwrap().iter().map(|item| item["label"].clone()).collect()
}

/// As whoever owns the database.
async fn said(url: &str, sql: &str) {
    let raw = Sea::connect(url).await.unwrap();
    raw.execute_unprepared(sql).await.unwrap();
    raw.close().await.unwrap();
}

/// How many columns the server knows the values of.
async fn known(url: &str) -> i64 {
    let raw = Sea::connect(url).await.unwrap();
    let sql = "SELECT count(*) AS n FROM pg_stats WHERE (tablename, attname) IN \
        (('search_word', 'word'), ('search_entry', 'sort_key'))";
    let known = number(&raw, sql).await;
    raw.close().await.unwrap();
    known
}

#[actix_web::test]
async fn what_records_are_found_by_is_in_no_base_backup_and_survives_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mut cluster) = Cluster::create(directory.path(), &[]) else { return };
    cluster.start().await;
    let keys = tempfile::tempdir().unwrap();
    let url = cluster.database().await;
    let mut program = Program::around(&url);
    let place = format!("sqlite://{}", keys.path().join("keys.db").display());
    program.environment.push(("THIDUA_SUBJECT_KEYS".into(), place));
    program.begin();
    let running = program.serve().await;
    let label = format!("{MARK} Lò Thị");
    let account = json!({ "issuer": ISSUER, "subject": "s-1", "label": label, "role": "auditor" });
    program.create("/v1/grants", "account", &account).await.unwrap().is(201);
    let search = async || program.post("/v1/accounts:search", &json!({ "query": MARK })).await.unwrap();
    assert_eq!(labels(&search().await.is(200)), [json!(label)]);

    said(&url, "ANALYZE").await;
    let copy = cluster.directory(&directory.path().join("copy"));
    let backup = format!(
        "{} -h 127.0.0.1 -p {} -U postgres -X stream -c fast -D {}",
        cluster.programs().join("pg_basebackup").display(),
        cluster.url("x").rsplit([':', '/']).nth(1).unwrap(),
        copy.display()
    );
    assert!(ended(&mut cluster.shell().args(["-c", &backup]).spawn().unwrap()).success(), "{backup}");
    assert_eq!(marked(&copy), Vec::<String>::new());
    // What is unlogged is written when the server ends in order.
    cluster.stop("INT");
    assert!(!marked(&directory.path().join("data")).is_empty(), "what is looked for is there at all");
    cluster.start().await;

    cluster.stop("QUIT");
    cluster.start().await;
    let mut answer = search().await;
    for _ in 0..200 {
        if answer.status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        answer = search().await;
    }
    assert_eq!(labels(&answer.is(200)), [json!(label)], "never nothing in between");
    drop(running);
}

/// Who served without keys until now has the words in the WAL up to here, and from here on no more.
#[actix_web::test]
async fn a_database_that_had_no_keys_takes_its_words_out() {
    let Some(database) = Database::create(Engine::Postgres).await else { return };
    if database.keys.is_some() {
        return database.remove().await;
    }
    let mut program = Program::new(&database.url).await;
    let running = program.serve().await;
    let account = json!({ "issuer": ISSUER, "subject": "s-1", "label": format!("{MARK} Lò"), "role": "auditor" });
    program.create("/v1/grants", "account", &account).await.unwrap().is(201);
    drop(running);

    // A migration with keys that ended too early, and now there are none: the words are taken back.
    let out = "TRUNCATE search_entry, search_word; ALTER TABLE search_entry SET UNLOGGED; \
        ALTER TABLE search_word SET UNLOGGED; ALTER TABLE search_word ALTER word SET STATISTICS 0; \
        ALTER TABLE search_entry ALTER sort_key SET STATISTICS 0";
    said(&database.url, out).await;
    let db = Db::connect(&database.url).await.unwrap();
    assert_eq!(db.pending_migrations().await.unwrap(), ["search"]);
    db.close().await;
    program.does(&["migrate"]);
    let running = program.serve().await;
    let found = program.post("/v1/accounts:search", &json!({ "query": MARK })).await.unwrap().is(200);
    assert_eq!(labels(&found).len(), 1);
    drop(running);
    said(&database.url, "ANALYZE").await;
    assert_eq!(known(&database.url).await, 2);

    let place = tempfile::tempdir().unwrap();
    let keys = format!("sqlite://{}", place.path().join("keys.db").display());
    program.environment.push(("THIDUA_SUBJECT_KEYS".into(), keys.clone()));
    let urls = Urls { keys: Some(keys), ..Urls::from(&database.url) };
    let db = Db::connect(urls).await.unwrap();
    assert_eq!(db.pending_migrations().await.unwrap(), ["subject_keys", "search"]);
    db.close().await;
    program.does(&["migrate"]);
    said(&database.url, "ANALYZE").await;
    assert_eq!(known(&database.url).await, 0);
    let raw = Sea::connect(&database.url).await.unwrap();
    let by_bytes = "SELECT count(*) AS n FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation WHERE \
        a.attrelid = 'search_word'::regclass AND a.attname = 'word' AND c.collname = 'C'";
    assert_eq!(number(&raw, by_bytes).await, 1, "words are compared as bytes, whatever the database's language");
    raw.close().await.unwrap();
    let running = program.serve().await;
    let found = program.post("/v1/accounts:search", &json!({ "query": MARK })).await.unwrap().is(200);
    assert_eq!(labels(&found).len(), 1);
    drop(running);
    database.remove().await;
}

/// Renames some villages one after another, some of them twice.
async fn rename(administrator: &Person<'_>, villages: &[(String, String)], round: usize) {
    for n in 0..24 {
        let (id, base) = &villages[n % 16 * 37];
        let path = format!("/v1/units/{id}");
        let etag = administrator.get(&path).await.is(200).etag();
        let body = json!({ "unit": village(&format!("{base} thứ{round}x{n}")), "reason": "Đổi tên" });
        administrator.change(&format!("{path}:amend"), &etag, &body).await.is(200);
    }
}

/// As the service does it: whoever has no room now tries again.
async fn filled(db: &Db) {
    for _ in 0..40 {
        if db.find_again().await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("they are not filled");
}

/// More than one stretch of villages, with their names.
async fn villages(world: &World) -> Vec<(String, String)> {
    let console = console();
    let registered = world.db.record(&console, async |tx: &WriteTx<'_>| {
        let mut all = Vec::new();
        for n in 0..600 {
            let (id, name) = (thidua::id::new_id(), format!("Bản {n}"));
            units::store::register(tx, id, &unit(&name, UnitKind::Village, None)).await?;
            all.push((id.to_string(), name));
        }
        units::store::derive(tx.conn()).await?;
        Ok(Outcome::Changed(all))
    });
    registered.await.unwrap()
}

/// While they are filled again, by two replicas, names change: they are found by what they are called now, and by nothing else.
#[actix_web::test]
async fn names_that_change_while_they_are_filled_are_found_as_they_are() {
    let Some(database) = Database::create(Engine::Postgres).await else { return };
    // As the role that serves, which may do less than the owner.
    let world = World::new(database.sealing().await.served_by_roles().await).await;
    let administrator = world.person(Role::Administrator, None).await;
    let villages = villages(&world).await;
    let other = Db::connect(world.database.urls()).await.unwrap();
    for round in 0..3 {
        said(&world.database.url, "TRUNCATE search_entry, search_word").await;
        administrator.post("/v1/units:search", &json!({ "query": "Bản" })).await.is(503);
        let remarks = rebuild_of(&world).await.remarks;
        assert_eq!(remarks.len(), 1, "{remarks:?}");
        tokio::join!(filled(&world.db), filled(&other), rename(&administrator, &villages, round));
        let report = rebuild_of(&world).await;
        assert_eq!((report.differences, report.remarks), (Vec::<String>::new(), Vec::<String>::new()));
        let found = administrator.post("/v1/units:search", &json!({ "query": format!("thứ{round}") })).await.is(200);
        assert!(!found.json()["items"].as_array().unwrap().is_empty());
    }
    // A filling that was interrupted goes on: the units are behind it already.
    said(
        &world.database.url,
        "UPDATE search_entry SET stream_type = 'unit', sort_key = '\\xffffffffffffffffffffffffffffffff' \
        WHERE record_id = '00000000-0000-0000-0000-000000000000'; DELETE FROM search_word WHERE word = 'ban'",
    )
    .await;
    administrator.post("/v1/units:search", &json!({ "query": "Bản" })).await.is(503);
    world.db.find_again().await.unwrap();
    let found = administrator.post("/v1/units:search", &json!({ "query": "Bản" })).await.is(200);
    assert_eq!(found.json()["items"], json!([]), "what is behind it is not done again");
    // Of another version of the program: that one fills them.
    said(&world.database.url, "TRUNCATE search_entry; UPDATE derived SET version = 99 WHERE name = 'search'").await;
    world.db.find_again().await.unwrap();
    administrator.post("/v1/units:search", &json!({ "query": "Bản" })).await.is(503);
    let owner = Urls { sealer: None, eraser: None, app: world.database.url.clone(), ..world.database.urls() };
    let owner = Db::connect(owner).await.unwrap();
    owner.migrate().await.unwrap();
    owner.close().await;
    administrator.post("/v1/units:search", &json!({ "query": "Bản" })).await.is(200);
    other.close().await;
    world.end().await;
}
