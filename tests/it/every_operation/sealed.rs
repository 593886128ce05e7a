//! With keys, marked personal values through every operation stand in no column of any table and in no byte of the file, but
//! where docs/operations.md says so; and every personal column that may be sealed is.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use thidua::db::Class;
use thidua::rooms;

use super::canary::marked;
use crate::subject_keys::{columns, file, number, sealed_worlds};
use crate::support::Engine;

/// Where personal values stand unsealed: what an account is looked up by, and what records are found by.
const UNSEALED: [&str; 2] = ["account.subject", "search_word.word"];

/// What every mark begins with; only some of what does is personal.
const BEGIN: &str = "hoang";

async fn texts(conn: &DatabaseConnection, table: &str, column: &str) -> String {
    let sql = format!("SELECT CAST(\"{column}\" AS TEXT) AS value FROM \"{table}\" WHERE \"{column}\" IS NOT NULL");
    let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get::<String>("", "value").unwrap() + "\n").collect()
}

sealed_worlds! {
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

        let mut plain = Vec::new();
        for kind in rooms::kinds() {
            for field in kind.fields.iter().filter(|field| field.class == Class::Personal && !field.looked_up) {
                let like = if field.name == "giver_names" { "%s1:%" } else { "\u{1}s1:%" };
                let sql = format!("SELECT count(*) AS n FROM {} WHERE CAST({} AS TEXT) LIKE '{like}'", kind.stream, field.name);
                if number(&raw, &sql).await == 0 {
                    plain.push(format!("{}.{}", kind.stream, field.name));
                }
            }
        }
        assert_eq!(plain, Vec::<String>::new(), "no operation has written it");

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
