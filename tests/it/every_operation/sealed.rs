//! With keys, marked personal values through every operation stand in no column of any table and in no byte of the file, but
//! where docs/operations.md says so; and every personal column that may be sealed is.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value, json};
use thidua::db::Class;
use thidua::rooms;

use super::canary::marked;
use super::cases;
use crate::subject_keys::{MARK, columns, file, number, sealed_worlds};
use crate::support::Engine;
use crate::support::contract::put;

/// Where personal values stand unsealed: what an account is looked up by, and what records are found by.
const UNSEALED: [&str; 2] = ["account.subject", "search_word.word"];

/// What every mark begins with; only some of what does is personal.
const BEGIN: &str = "hoang";

async fn texts(conn: &DatabaseConnection, table: &str, column: &str) -> String {
    let sql = format!("SELECT CAST(\"{column}\" AS TEXT) AS value FROM \"{table}\" WHERE \"{column}\" IS NOT NULL");
    let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get::<String>("", "value").unwrap() + "\n").collect()
}

/// Values that no right call carries: the operation, where its body has them, and where they go.
const OPTIONAL: [(&str, &str, &str); 6] = [
    ("report_figure", "/counts/note", "figure.note"),
    ("report_activity", "/content/description", "activity.description"),
    ("report_activity", "/content/resources/0/giver_name", "activity.giver_names"),
    ("propose_initiative", "/content/description", "initiative.description"),
    ("report_observation", "/content/note", "observation.note"),
    ("attest", "/basis", "attestation.basis"),
];

/// How many rows have a sealed value in `table.column`.
async fn sealed(conn: &DatabaseConnection, column: &str) -> i64 {
    let (table, name) = column.split_once('.').unwrap();
    // In JSON its first character is escaped.
    let like = if name == "giver_names" { "%s1:%" } else { "\u{1}s1:%" };
    number(conn, &format!("SELECT count(*) AS n FROM {table} WHERE CAST({name} AS TEXT) LIKE '{like}'")).await
}

sealed_worlds! {
    async fn values_that_need_not_be_given_are_sealed_as_well(world: World) {
        let raw = world.database.raw().await;
        for (operation, pointer, column) in OPTIONAL {
            let case = cases::case(world, operation).await.unwrap();
            let mut body = put(case.body.unwrap(), pointer, &json!(MARK)).0;
            if let Some(resource) = body.pointer_mut("/content/resources/0").and_then(Value::as_object_mut) {
                resource.remove("giver_unit");
                resource.insert("cash_vnd".to_owned(), json!(1_000_000));
            }
            let person = world.person(case.role, case.unit).await;
            let before = sealed(&raw, column).await;
            person.create(&case.path, &body).await.is(201);
            assert_eq!(sealed(&raw, column).await, before + 1, "{column}");
        }
        let found: Vec<String> = columns(&raw, MARK).await;
        assert_eq!(found, ["search_word.word"], "a giver's name is searched");
        raw.close().await.unwrap();
    }

    async fn every_personal_value_is_sealed(world: World) {
        let sent = marked(world).await;
        let raw = world.database.raw().await;
        let mut unsealed = BTreeSet::new();
        for place in columns(&raw, BEGIN).await {
            let (table, column) = place.split_once('.').unwrap();
            let texts = texts(&raw, table, column).await;
            if sent.iter().any(|(mark, _)| texts.contains(mark.as_str())) {
                unsealed.insert(place);
            }
        }
        assert_eq!(unsealed, UNSEALED.map(str::to_owned).into());

        let mut unwritten = BTreeSet::new();
        for kind in rooms::kinds() {
            for field in kind.fields.iter().filter(|field| field.class == Class::Personal && !field.looked_up) {
                let column = format!("{}.{}", kind.stream, field.name);
                if sealed(&raw, &column).await == 0 {
                    unwritten.insert(column);
                }
            }
        }
        let optional = OPTIONAL.iter().map(|(_, _, column)| (*column).to_owned()).collect();
        assert_eq!(unwritten, optional, "no right call writes it");

        if world.database.engine == Engine::Sqlite {
            for sql in ["DELETE FROM search_word", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"] {
                raw.execute_unprepared(sql).await.unwrap();
            }
            let bytes = std::fs::read(file(&world.database)).unwrap();
            let subjects = texts(&raw, "account", "subject").await;
            let text = String::from_utf8_lossy(&bytes);
            let stands = |mark: &str| text.contains(mark) && !subjects.contains(mark);
            let left: Vec<&str> = sent.iter().map(|(mark, _)| mark.as_str()).filter(|mark| stands(mark)).collect();
            assert_eq!(left, Vec::<&str>::new());
        }
        raw.close().await.unwrap();
    }
}
