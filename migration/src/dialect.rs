//! The words in which SQLite's and PostgreSQL's DDL differ, and how a script of statements runs.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

/// Runs a script of statements separated by a line holding only `;;`, after filling in `{word}`s.
///
/// A statement that starts with `sqlite:` or `postgres:` runs on that engine only.
pub async fn run(manager: &SchemaManager<'_>, script: &str) -> Result<(), DbErr> {
    let backend = manager.get_database_backend();
    for statement in script.split("\n;;\n") {
        let statement = statement.trim();
        let statement = match statement.split_once(':') {
            Some(("sqlite", rest)) if backend == DbBackend::Sqlite => rest,
            Some(("postgres", rest)) if backend == DbBackend::Postgres => rest,
            Some(("sqlite" | "postgres", _)) => continue,
            _ => statement,
        };
        if !statement.is_empty() {
            let sql = fill(statement, backend);
            manager.get_connection().execute_unprepared(&sql).await?;
        }
    }
    Ok(())
}

/// `{table}` endings are `STRICT` on SQLite, so that a wrong type is refused there as well.
fn fill(statement: &str, backend: DbBackend) -> String {
    let words: [(&str, &str, &str); 9] = [
        ("{uuid}", "BLOB", "UUID"),
        ("{bytes}", "BLOB", "BYTEA"),
        ("{bigint}", "INTEGER", "BIGINT"),
        ("{json}", "TEXT", "JSONB"),
        ("{date}", "TEXT", "DATE"),
        ("{bool}", "INTEGER", "BOOLEAN"),
        ("{strict}", "STRICT", ""),
        // Without a rowid there is no second key by which a row could be replaced.
        ("{rowless}", "STRICT, WITHOUT ROWID", ""),
        // Text compares by bytes on both engines, whatever the server's locale.
        ("{text}", "TEXT", "TEXT COLLATE \"C\""),
    ];
    let mut sql = statement.to_owned();
    for (word, sqlite, postgres) in words {
        let value = if backend == DbBackend::Sqlite { sqlite } else { postgres };
        sql = sql.replace(word, value);
    }
    sql
}
