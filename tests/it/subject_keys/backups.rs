//! What was erased is unreadable in a backup from before, for whoever has the backup and the keys of today; and only that.

use actix_web::web;
use sea_orm::{ConnectionTrait, Database as Sea};
use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::auth::keys::Keys;
use thidua::db::{Db, Urls};
use thidua::http::Shared;
use thidua::http::limits::Limits;
use thidua::log::check::Check;
use thidua::log::rebuild;

use super::{MARK, columns, erase, figure, file, literal, occurrences, sealed_worlds};
use crate::support::{Engine, World, database, serve, verifier};

/// A backup, and how it goes.
struct Backup {
    url: String,
    directory: tempfile::TempDir,
}

impl Backup {
    async fn of(world: &World) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = match world.database.engine {
            Engine::Sqlite => {
                let copy = directory.path().join("copy.db");
                Db::back_up(&world.database.url, &copy).await.unwrap();
                format!("sqlite://{}", copy.display())
            }
            Engine::Postgres => copied(world).await,
        };
        Self { url, directory }
    }

    /// With today's keys.
    async fn open(&self, world: &World) -> Db {
        Db::connect(Urls { keys: world.database.urls().keys, ..Urls::from(&self.url) }).await.unwrap()
    }

    /// The columns in which marks stand.
    async fn columns(&self) -> Vec<String> {
        let raw = Sea::connect(&self.url).await.unwrap();
        let found = columns(&raw, MARK).await;
        raw.close().await.unwrap();
        found
    }

    async fn differences(&self, db: &Db) -> Vec<String> {
        let scratch = self.directory.path().join(thidua::id::new_id().to_string());
        let fresh = Db::connect(&format!("sqlite://{}", scratch.display())).await.unwrap();
        let report = rebuild::check(db, &fresh, |_| Ok(())).await.unwrap();
        fresh.close().await;
        report.differences
    }

    async fn remove(self, world: &World) {
        if let (Engine::Postgres, Some(server)) = (world.database.engine, database::server()) {
            let admin = Sea::connect(server).await.unwrap();
            let name = self.url.rsplit('/').next().unwrap();
            admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
            admin.close().await.unwrap();
        }
    }
}

/// A copy of the whole database, for which nobody may use it.
async fn copied(world: &World) -> String {
    let admin = Sea::connect(database::server().unwrap()).await.unwrap();
    let (base, name) = world.database.url.rsplit_once('/').unwrap();
    let copy = format!("thidua_test_{}", thidua::id::new_id().simple());
    for sql in [
        format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
        format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"),
        format!("CREATE DATABASE {copy} TEMPLATE {name}"),
        format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
    ] {
        admin.execute_unprepared(&sql).await.unwrap();
    }
    admin.close().await.unwrap();
    // The service's connections are new ones.
    tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while world.db.settle().await.is_err() || world.db.ping().await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await
    .unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    format!("{base}/{copy}")
}

/// What the backup's own service says to somebody whom it knows.
async fn asked(world: &World, backup: &Backup, token: &str, paths: &[String]) -> Vec<Value> {
    // Its own connections: they end with its runtime.
    let db = backup.open(world).await;
    let shared = Shared::new(db.clone(), verifier(Keys::from_jwks(&world.jwks).unwrap()), Limits::default(), None);
    let (base, handle) = serve(&web::Data::new(shared.await.unwrap()));
    let mut said = Vec::new();
    for path in paths {
        let answer = world.client.get(format!("{base}{path}")).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        said.push(answer.json().await.unwrap());
    }
    handle.stop(false).await;
    db.close().await;
    said
}

fn states(view: &Value) -> Vec<&str> {
    view["commitments"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect()
}

sealed_worlds! {
    async fn what_was_erased_is_unreadable_in_a_backup_from_before(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let (gone, kept) = (figure(world, 2023).await, figure(world, 2022).await);
        let paths: Vec<String> = [&gone, &kept].iter().map(|made| made.header("location").unwrap().to_owned()).collect();
        let mut all = paths.clone();
        for path in &paths {
            let events = administrator.get(&format!("{path}/events")).await.is(200).json();
            let event = events["items"][0]["id"].as_str().unwrap().to_owned();
            all.push(format!("/v1/events/{event}/disclosures?purpose=audit"));
        }
        let grant = json!({ "issuer": crate::support::ISSUER, "subject": "yen", "label": "hoangyen", "role": "auditor" });
        let account = administrator.create("/v1/grants", &grant).await.is(201).json()["account"].clone();
        all.push("/v1/accounts?limit=200".to_owned());
        let token = administrator.token.clone().unwrap();
        world.db.settle().await.unwrap();
        let backup = Backup::of(world).await;
        match world.database.engine {
            // What records are found by is no part of it: whoever restores it computes that anew.
            Engine::Sqlite => {
                assert_eq!(backup.columns().await, Vec::<String>::new());
                assert_eq!(occurrences(&format!("{}/copy.db", backup.directory.path().display())), 0);
                let db = backup.open(world).await;
                assert_eq!(db.pending_migrations().await.unwrap(), ["search"]);
                db.migrate().await.unwrap();
                db.close().await;
            }
            Engine::Postgres => {}
        }
        assert_eq!(backup.columns().await, ["search_word.word"]);

        // As long as nobody was erased the backup and the keys are as good as the database.
        let db = backup.open(world).await;
        let said = asked(world, &backup, &token, &all).await;
        let listed = said[4]["items"].as_array().unwrap().iter().find(|one| one["id"] == account).unwrap();
        assert_eq!(listed["label"], "hoangyen");
        for n in [0, 1] {
            assert_eq!(said[n]["counts"]["note"], "hoangyen hai");
            assert_eq!((said[n + 2]["disclosures"][0]["value"].as_str(), states(&said[n + 2])), (Some("hoangyen một"), vec!["disclosed"]));
        }
        assert_eq!(backup.differences(&db).await, Vec::<String>::new());
        db.close().await;

        erase(world, "figure", &gone.id()).await;
        let db = backup.open(world).await;
        let said = asked(world, &backup, &token, &all).await;
        assert_eq!((&said[0]["counts"]["note"], &said[0]["change_reason"]), (&Value::Null, &Value::Null));
        assert_eq!(said[0]["counts"]["poor_households"], 1);
        // This database knows of no erasure: to it the value is lost.
        assert_eq!((&said[2]["disclosures"], states(&said[2])), (&json!([]), vec!["missing"]));
        assert_eq!((&said[1]["counts"]["note"], states(&said[3])), (&json!("hoangyen hai"), vec!["disclosed"]));

        // The log is what it was, and says what it misses.
        let mut check = Check::resume(&db, None, None).await.unwrap();
        check.run(|_, _| Ok(())).await.unwrap();
        assert_eq!(check.state().findings, Vec::<String>::new());
        drop(check);
        let differences = backup.differences(&db).await;
        let lost = format!("figure/{}: ", gone.id());
        let is_lost = |line: &String| line.starts_with(&lost) && line.ends_with("is withheld or lost, and was not erased");
        assert!(differences.len() == 4 && differences.iter().all(is_lost), "{differences:?}");

        // Erased there as well, it is known as erased.
        let kind = thidua::rooms::kinds().find(|kind| kind.stream == "figure").unwrap();
        let record = gone.id().parse().unwrap();
        let console = thidua::commands::grant::console();
        let again = db.record(&console, async |tx: &thidua::db::WriteTx<'_>| {
            Ok(thidua::db::Outcome::Changed((kind.erase)(tx, record).await?.unwrap()))
        });
        assert_eq!(again.await.unwrap().digests, Vec::<String>::new());
        db.settle().await.unwrap();
        assert_eq!(states(&asked(world, &backup, &token, &all[2..3]).await[0]), ["erased"]);
        db.close().await;

        assert_eq!(backup.columns().await, ["search_word.word"]);
        if world.database.engine == Engine::Sqlite {
            let keys = file(world.database.keys.as_ref().unwrap());
            assert_eq!((occurrences(&keys), occurrences(&format!("{keys}-wal"))), (0, 0), "{MARK}");
        }
        backup.remove(world).await;
    }

    async fn a_deleted_key_is_nowhere_in_the_key_database(world: World) {
        let made = figure(world, 2023).await;
        let of = literal(world.database.engine, &made.id());
        let database = world.database.keys.as_ref().unwrap();
        let raw = database.raw().await;
        let sql = format!("SELECT key FROM subject_key WHERE subject_id = {of}");
        let statement = sea_orm::Statement::from_string(raw.get_database_backend(), sql);
        let key: Vec<u8> = raw.query_one_raw(statement.clone()).await.unwrap().unwrap().try_get("", "key").unwrap();
        raw.close().await.unwrap();
        let stands = || {
            let files = [file(database), format!("{}-wal", file(database))];
            files.iter().any(|file| std::fs::read(file).unwrap_or_default().windows(32).any(|bytes| bytes == key))
        };
        assert!(world.database.engine == Engine::Postgres || stands());
        erase(world, "figure", &made.id()).await;
        assert!(!stands());
        let raw = database.raw().await;
        assert!(raw.query_one_raw(statement).await.unwrap().is_none());
        raw.close().await.unwrap();
    }
}
