//! Roles of the database (PostgreSQL): the service does all its work with three of them, none of which could do the work of
//! another; and what each may do is what one table in the code says.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database as Sea, DatabaseConnection, DbErr, RuntimeErr, Statement, TransactionTrait};
use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::auth::sign::SigningKey;
use thidua::db::roles::{self, Roles, Urls, rights, tables};
use thidua::db::{Db, event::leaf_hash};
use thidua::log::proof::policy::Policy;
use thidua::log::proof::{note, tlog_proof};

use crate::log::rebuild_of;
use crate::support::{AUDIENCE, Database, Engine, ISSUER, Running, World, free_address, log_key, many, run, watch};

/// A world whose service is served by roles, unless PostgreSQL is not there and need not be.
async fn with_roles(body: impl AsyncFnOnce(&World, &Roles)) {
    let Some(database) = Database::create(Engine::Postgres).await else { return };
    let database = database.served_by_roles().await;
    let roles = database.roles.clone().unwrap();
    let world = World::new(database).await;
    body(&world, &roles).await;
    world.end().await;
}

/// One connection as this role, beside the service.
async fn connection(world: &World, role: &str) -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new(world.database.url_of(role));
    options.max_connections(1).sqlx_logging(false);
    Sea::connect(options).await.unwrap()
}

/// PostgreSQL's code for why a statement does not run; nothing if it does. Nothing of it stays.
async fn refusal(conn: &DatabaseConnection, sql: &str) -> Option<String> {
    let tx = conn.begin().await.unwrap();
    let ran = tx.execute_unprepared(sql).await;
    tx.rollback().await.unwrap();
    match ran {
        Ok(_) => None,
        Err(DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) => {
            Some(error.as_database_error().unwrap().code().unwrap().into_owned())
        }
        Err(error) => panic!("{sql}: {error}"),
    }
}

const DENIED: &str = "42501";

async fn texts(conn: &DatabaseConnection, sql: &str) -> BTreeSet<String> {
    let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get::<String>("", "text").unwrap()).collect()
}

async fn in_schema(conn: &DatabaseConnection) -> BTreeSet<String> {
    texts(conn, "SELECT table_name::text AS text FROM information_schema.tables WHERE table_schema = 'public'").await
}

fn leaf(event: &Value) -> Vec<u8> {
    base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, event["leaf"].as_str().unwrap()).unwrap()
}

/// What somebody does with a table, in a statement that needs the right and nothing else.
fn attempt(word: &str, table: &str) -> String {
    match word {
        "SELECT" => format!("SELECT * FROM {table}"),
        "INSERT" => format!("INSERT INTO {table} DEFAULT VALUES"),
        "UPDATE" => {
            let column = match table {
                "audit_inbox" | "audit_event" | "audit_disclosure" | "audit_quarantine" => "event_id",
                "audit_head" | "audit_checkpoint" | "audit_signature" => "size",
                "audit_tile" => "idx",
                "audit_span" => "block",
                "document" => "sha256",
                "idempotency" => "status",
                "unit_attribute" | "unit_closure" => "valid_from",
                "search_entry" | "search_word" => "record_id",
                "derived" | "seaql_migrations" => "version",
                _ => "id",
            };
            format!("UPDATE {table} SET {column} = {column}")
        }
        "DELETE" => format!("DELETE FROM {table}"),
        _ => format!("TRUNCATE {table} CASCADE"),
    }
}

const WORDS: [&str; 5] = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"];

#[actix_web::test]
async fn the_service_does_all_its_work_with_three_roles() {
    with_roles(async |world, _| {
        let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        let officer = world.person(Role::LabourOffice, Some(world.units.district)).await;
        let auditor = world.person(Role::Auditor, None).await;
        let administrator = world.person(Role::Administrator, None).await;
        // Reported, corrected and confirmed, with a value that can be erased.
        let counts = |poor: i64| json!({ "poor_households": poor, "recognised_by": world.units.commune_a,
            "decision_number": "15/QĐ-UBND", "note": "Ghi chú của bà Lò Thị Ở" });
        let body = json!({ "unit": world.units.village_a, "year": 2023, "poverty_standard": "2022-2025",
            "counts": counts(40) });
        let made = reporter.create("/v1/figures", &body).await.is(201);
        let path = made.header("location").unwrap().to_owned();
        let amended = reporter.change(&format!("{path}:amend"), &made.etag(), &json!({ "counts": counts(41) })).await.is(200);
        officer.change(&format!("{path}:confirm"), &amended.etag(), &json!({})).await.is(200);
        officer.get(&path).await.is(200);
        // Sealed, signed, proven.
        let events = auditor.get(&format!("{path}/events")).await.is(200).json();
        let event = &events["items"][2];
        assert_eq!(event["type"], "figure.confirmed");
        let proof = auditor.get(&format!("/v1/events/{}/proof", event["id"].as_str().unwrap())).await.is(200).text;
        let policy = Policy::parse(format!("log {}\nquorum none\n", log_key().verifier()).as_bytes()).unwrap();
        tlog_proof::verify(&proof, &leaf(event), &policy).unwrap();
        let signed = world.nobody().get("/v1/log/checkpoint").await.is(200).text;
        note::open(&signed, &[log_key().verifier().clone()]).unwrap();
        world.db.keep_signature(1, "a witness", "— a line\n", 0).await.unwrap();
        // Tiles and spans become full.
        many(world, 1100, 0).await;
        let raw = world.database.raw().await;
        for (table, rows) in [("audit_tile", 4), ("audit_span", 1), ("audit_signature", 1)] {
            let found = texts(&raw, &format!("SELECT count(*)::text AS text FROM {table}")).await;
            assert_eq!(found, BTreeSet::from([rows.to_string()]), "{table}");
        }
        // A unit by way of the service: what is derived from all of them is computed anew.
        let village = json!({ "names": [{ "value": "Bản Cuối", "from": "2021-01-01" }],
            "kinds": [{ "value": "village", "from": "2021-01-01" }], "exists_from": "2021-01-01" });
        administrator.create("/v1/units", &village).await.is(201);
        // Searched and disclosed.
        administrator.post("/v1/accounts:search", &json!({ "query": "x" })).await.is(200);
        let first = events["items"][0]["id"].as_str().unwrap();
        administrator.get(&format!("/v1/events/{first}/disclosures?purpose=audit")).await.is(200);
        // What is no event is set aside.
        let hash = thidua::canonical::hex(&leaf_hash("{}"));
        raw.execute_unprepared(&format!(
            "INSERT INTO audit_inbox (event_id, stream_type, stream_id, stream_ver, event_type, at, day, leaf, leaf_hash) \
             VALUES (gen_random_uuid(), 'unit', gen_random_uuid(), 1, 'unit.registered', 0, '2021-01-01', '{{}}', '\\x{hash}')"
        ))
        .await
        .unwrap();
        world.db.settle().await.unwrap();
        assert_eq!(texts(&raw, "SELECT leaf AS text FROM audit_quarantine").await, BTreeSet::from(["{}".to_owned()]));
        // Erased, and asked again.
        let draft = json!({ "subject": { "type": "figure", "id": made.id() }, "legal_basis": "consent_withdrawn" });
        administrator.create_as("/v1/erasures", "once", &draft).await.is(201);
        let again = administrator.create_as("/v1/erasures", "once", &draft).await.is(201);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        let stream = format!("SELECT path AS text FROM audit_disclosure WHERE stream_id = '{}'", made.id());
        assert_eq!(texts(&raw, &stream).await, BTreeSet::new());
        world.db.forget_old_answers(thidua::clock::now()).await.unwrap();
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    })
    .await;
}

#[actix_web::test]
async fn the_application_cannot_touch_the_log() {
    with_roles(async |world, roles| {
        let app = connection(world, &roles.app).await;
        let all = in_schema(&app).await;
        let log: Vec<&String> = all.iter().filter(|name| name.starts_with("audit_")).collect();
        assert!(log.len() >= 9, "{log:?}");
        let mut done = BTreeSet::new();
        for table in &log {
            for word in WORDS {
                if refusal(&app, &attempt(word, table)).await.as_deref() != Some(DENIED) && word != "SELECT" {
                    done.insert(format!("{word} {table}"));
                }
            }
        }
        let only = ["INSERT audit_disclosure", "INSERT audit_inbox"].map(str::to_owned);
        assert_eq!(done, BTreeSet::from(only), "an event and what it discloses: nothing else is ever written");
        // Keys of the log are recorded, with their event, and never changed.
        for sql in [
            "UPDATE log_key SET new_key = old_key",
            "DELETE FROM log_key",
            "TRUNCATE log_key",
            "UPDATE audit_head SET size = 0",
            "SELECT size FROM audit_head FOR UPDATE",
            "SELECT setval('audit_inbox_inbox_id_seq', 1)",
            // Nor can it take away what else protects the log.
            "ALTER TABLE audit_event DISABLE TRIGGER ALL",
            "DROP TRIGGER audit_event_no_change ON audit_event",
            "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "SET session_replication_role = replica",
            "CREATE TABLE public.mine (id int)",
            "LOCK TABLE audit_head IN ACCESS EXCLUSIVE MODE",
        ] {
            assert_eq!(refusal(&app, sql).await.as_deref(), Some(DENIED), "{sql}");
        }
        for other in [&roles.sealer, &roles.eraser, &roles.auditor] {
            assert_eq!(refusal(&app, &format!("SET ROLE {other}")).await.as_deref(), Some(DENIED));
        }
        app.close().await.unwrap();
    })
    .await;
}

#[actix_web::test]
async fn each_role_does_what_the_table_says_and_nothing_else() {
    with_roles(async |world, roles| {
        let raw = world.database.raw().await;
        for (n, role) in roles.names().into_iter().enumerate() {
            let conn = connection(world, role).await;
            for table in in_schema(&raw).await {
                let given = rights(&table).unwrap_or_else(|| panic!("src/db/roles.rs does not know {table}"))[n];
                for word in WORDS {
                    let denied = refusal(&conn, &attempt(word, &table)).await.as_deref() == Some(DENIED);
                    // TRUNCATE would reach tables that refer to this one; nobody may do it to any.
                    assert_eq!(denied, !given.contains(&word), "{role}: {word} {table}");
                }
            }
            conn.close().await.unwrap();
        }
        let auditor = connection(world, &roles.auditor).await;
        let may = |sql: &'static str| refusal(&auditor, sql);
        assert_eq!(may("SELECT event_id, path FROM audit_disclosure").await, None);
        for column in ["SELECT salt FROM audit_disclosure", "SELECT value FROM audit_disclosure"] {
            assert_eq!(may(column).await.as_deref(), Some(DENIED), "{column}");
        }
        auditor.close().await.unwrap();
    })
    .await;
}

/// As the database says it: `grantee RIGHT table` and `grantee RIGHT table.column`.
const GRANTED: &str = "SELECT format('%s %s %s', coalesce(nullif(a.grantee, 0)::regrole::text, 'PUBLIC'), a.privilege_type, c.relname) \
    AS text FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'public'::regnamespace AND a.grantee <> c.relowner \
    UNION ALL SELECT format('%s %s %s.%s', coalesce(nullif(a.grantee, 0)::regrole::text, 'PUBLIC'), a.privilege_type, c.relname, \
    t.attname) FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a \
    WHERE c.relnamespace = 'public'::regnamespace";

#[actix_web::test]
async fn the_rights_in_the_database_are_those_in_the_code() {
    with_roles(async |world, roles| {
        let raw = world.database.raw().await;
        let known: BTreeSet<String> = tables().into_iter().map(str::to_owned).collect();
        assert_eq!(in_schema(&raw).await, known, "src/db/roles.rs says who may do what with each table");
        let mut said = BTreeSet::new();
        for table in tables() {
            for (role, words) in roles.names().into_iter().zip(rights(table).unwrap()) {
                for word in words {
                    match word.split_once(" (") {
                        None => _ = said.insert(format!("{role} {word} {table}")),
                        Some((word, columns)) => {
                            let columns = columns.trim_end_matches(')').split(", ");
                            said.extend(columns.map(|column| format!("{role} {word} {table}.{column}")));
                        }
                    }
                }
            }
        }
        assert_eq!(texts(&raw, GRANTED).await, said);
        // Whatever was given by hand is taken back by the next migration.
        for sql in
            [format!("GRANT ALL ON audit_event TO {}", roles.app), "GRANT INSERT ON audit_tile TO PUBLIC".to_owned()]
        {
            raw.execute_unprepared(&sql).await.unwrap();
        }
        let owner = Db::connect(&world.database.url).await.unwrap();
        owner.migrate_for(roles).await.unwrap();
        assert_eq!(texts(&raw, GRANTED).await, said);
        // What a role has by other ways is said, and nothing is changed.
        raw.execute_unprepared(&format!("GRANT {} TO {}", roles.eraser, roles.app)).await.unwrap();
        let refused = owner.migrate_for(roles).await.unwrap_err();
        let told = refused.source.unwrap().to_string();
        assert!(told.contains(&format!("{} may DELETE audit_disclosure as well", roles.app)), "{told}");
        let one = Roles { eraser: roles.app.clone(), ..roles.clone() };
        assert!(owner.migrate_for(&one).await.is_err(), "one role for two");
        raw.execute_unprepared(&format!("REVOKE {} FROM {}", roles.eraser, roles.app)).await.unwrap();
        owner.migrate_for(roles).await.unwrap();
        // Nor what it would have to ask for first.
        let (app, above) = (&roles.app, format!("{}_above", roles.app));
        for (given, taken, told) in [
            (
                format!("CREATE ROLE {above} CREATEROLE; ALTER ROLE {app} NOINHERIT; GRANT {above} TO {app}"),
                format!("DROP ROLE {above}; ALTER ROLE {app} INHERIT"),
                format!("as {above}"),
            ),
            (
                format!("ALTER ROLE {app} NOINHERIT; GRANT {} TO {app}", roles.eraser),
                format!("REVOKE {} FROM {app}; ALTER ROLE {app} INHERIT", roles.eraser),
                format!("as {}", roles.eraser),
            ),
            (format!("ALTER ROLE {app} CREATEROLE"), format!("ALTER ROLE {app} NOCREATEROLE"), "by itself".into()),
            (
                format!("ALTER DATABASE {} OWNER TO {app}", world.database.url.rsplit('/').next().unwrap()),
                format!("ALTER DATABASE {} OWNER TO CURRENT_USER", world.database.url.rsplit('/').next().unwrap()),
                "by itself".into(),
            ),
            (format!("GRANT pg_read_all_data TO {app}"), format!("REVOKE pg_read_all_data FROM {app}"), String::new()),
        ] {
            raw.execute_unprepared(&given).await.unwrap();
            let refused = owner.migrate_for(roles).await.unwrap_err().source.unwrap().to_string();
            assert!(refused.contains(app.as_str()) && refused.contains(&told), "{given}: {refused}");
            raw.execute_unprepared(&taken).await.unwrap();
            owner.migrate_for(roles).await.unwrap();
        }
        let nobody = Roles { eraser: "nobody_of_this_name".into(), ..roles.clone() };
        let told = owner.migrate_for(&nobody).await.unwrap_err().source.unwrap().to_string();
        assert!(told.contains("does not exist"), "{told}");
        owner.close().await;
    })
    .await;
}

#[actix_web::test]
async fn a_sealer_elsewhere_is_refused() {
    let Some(database) = Database::create(Engine::Postgres).await else { return };
    let other = Database::create(Engine::Postgres).await.unwrap();
    let urls = Urls { sealer: Some(other.url.clone()), ..Urls::from(&database.url) };
    let Err(refused) = Db::connect(urls).await else { panic!("another database") };
    assert!(refused.source.unwrap().to_string().starts_with(roles::SEALER_URL));
    database.remove().await;
    other.remove().await;
}

/// `serve` until it is ready, or ended by itself: what it said.
async fn said_by_serve(urls: &Urls) -> String {
    watch::watch(watch::LONGEST);
    let directory = tempfile::tempdir().unwrap();
    let (jwks, said) = (directory.path().join("jwks.json"), directory.path().join("said"));
    std::fs::write(&jwks, SigningKey::generate().unwrap().jwks).unwrap();
    let address = free_address();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_thidua"));
    serve.args(["serve", "--listen", &address]).env("THIDUA_DATABASE_URL", &urls.app).env("RUST_LOG", "warn");
    serve.env("THIDUA_JWKS_FILE", &jwks).env("THIDUA_ISSUER", ISSUER).env("THIDUA_AUDIENCE", AUDIENCE);
    serve.envs(urls.sealer.iter().map(|url| (roles::SEALER_URL, url)));
    if let Some(url) = &urls.eraser {
        let file = directory.path().join("eraser");
        std::fs::write(&file, format!("{url}\n")).unwrap();
        serve.env(format!("{}_FILE", roles::ERASER_URL), file);
    }
    serve.stdout(Stdio::null()).stderr(std::fs::File::create(&said).unwrap());
    let mut serve = Running(serve.spawn().unwrap());
    for _ in 0..400 {
        let ready = reqwest::get(format!("http://{address}/readyz")).await;
        if ready.is_ok_and(|answer| answer.status() == 200) || serve.0.try_wait().unwrap().is_some() {
            return std::fs::read_to_string(said).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("neither ready nor ended");
}

#[actix_web::test]
async fn serve_says_in_one_line_that_one_role_does_everything() {
    let Some(database) = Database::create(Engine::Postgres).await else { return };
    let database = database.served_by_roles().await;
    let lines =
        |said: &str| said.lines().filter(|line| line.contains("database role")).map(str::to_owned).collect::<Vec<_>>();
    let alone = Urls::from(&database.url);
    let told = lines(&said_by_serve(&alone).await);
    assert!(told.len() == 1 && told[0].contains(roles::SEALER_URL) && told[0].contains(roles::ERASER_URL), "{told:?}");
    let half = Urls { sealer: database.urls().sealer, ..alone };
    let told = lines(&said_by_serve(&half).await);
    assert!(told.len() == 1 && !told[0].contains(roles::SEALER_URL) && told[0].contains(roles::ERASER_URL), "{told:?}");
    let owner = Urls { app: database.url.clone(), ..database.urls() };
    let told = lines(&said_by_serve(&owner).await);
    assert!(told.len() == 1 && told[0].contains("by itself"), "{told:?}");
    assert_eq!(lines(&said_by_serve(&database.urls()).await), Vec::<String>::new());
    database.remove().await;
}

#[actix_web::test]
async fn an_embedded_database_has_no_roles() {
    let database = Database::create(Engine::Sqlite).await.unwrap();
    let told =
        said_by_serve(&Urls { sealer: Some("postgres://s@127.0.0.1/x".into()), ..Urls::from(&database.url) }).await;
    assert!(told.contains(roles::SEALER_URL) && told.contains("no roles"), "{told}");
    let told = said_by_serve(&Urls::from(&database.url)).await;
    assert!(!told.contains("database role"), "{told}");
    let mut migrate = Command::new(env!("CARGO_BIN_EXE_thidua"));
    migrate.env("THIDUA_DATABASE_URL", &database.url).args(["migrate", "--app-role", "a", "--sealer-role", "b"]);
    assert!(!migrate.output().unwrap().status.success(), "all four or none");
    let output = migrate.args(["--auditor-role", "c", "--eraser-role", "d"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("no roles") && !output.status.success(), "{output:?}");
    database.remove().await;
}

/// What no trigger of an embedded database looks at: what was disclosed is deleted.
const OPEN: [&str; 1] = ["audit_disclosure DELETE"];

#[actix_web::test]
async fn on_an_embedded_database_triggers_stand_before_each_table_of_the_log() {
    let database = Database::create(Engine::Sqlite).await.unwrap();
    let raw = database.raw().await;
    let mut open = BTreeSet::new();
    for table in
        texts(&raw, "SELECT name AS text FROM sqlite_schema WHERE type = 'table' AND name LIKE 'audit!_%' ESCAPE '!'")
            .await
    {
        for word in ["INSERT", "UPDATE", "DELETE"] {
            let guards = format!(
                "SELECT name AS text FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = '{table}' \
                 AND sql LIKE '%BEFORE {word} ON {table} %RAISE(ABORT%'"
            );
            if texts(&raw, &guards).await.is_empty() {
                open.insert(format!("{table} {word}"));
            }
        }
    }
    assert_eq!(open, BTreeSet::from(OPEN.map(str::to_owned)));
    // And they refuse, where there is a row.
    for row in [
        "INSERT INTO audit_tile VALUES (0, 9, zeroblob(8192), zeroblob(32))",
        "INSERT INTO audit_span VALUES (9, 0, 0)",
        "INSERT INTO audit_checkpoint VALUES (9, 'note', 0)",
        "INSERT INTO audit_signature VALUES (9, 'signer', 'line', 0)",
    ] {
        raw.execute_unprepared(row).await.unwrap();
        let table = row.split(' ').nth(2).unwrap();
        for sql in [
            row.replace("INSERT", "INSERT OR REPLACE").replace("'note'", "'other'"),
            attempt("UPDATE", table),
            attempt("DELETE", table),
        ] {
            let refused = raw.execute_unprepared(&sql).await.unwrap_err().to_string();
            assert!(refused.contains("audit guard"), "{sql}: {refused}");
        }
    }
    raw.close().await.unwrap();
    database.remove().await;
}

#[actix_web::test]
async fn a_server_that_answers_before_its_disk_is_known() {
    run(Engine::Postgres, async |world| {
        let raw = world.database.raw().await;
        let careless = texts(&raw, "SELECT 'yes' AS text WHERE current_setting('fsync') = 'off'").await;
        assert_eq!(world.db.may_forget_commits().await.unwrap(), !careless.is_empty());
        let off =
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$";
        raw.execute_unprepared(off).await.unwrap();
        let anew = world.database.connect().await;
        assert!(anew.may_forget_commits().await.unwrap());
        anew.close().await;
    })
    .await;
}
