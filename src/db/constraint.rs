//! Database errors by meaning: which constraint or condition becomes which code, on both engines.

use sea_orm::sqlx::error::ErrorKind;
use sea_orm::{DbBackend, DbErr, RuntimeErr, sqlx};

use crate::error::{Code, Error};

/// Turns a database error into the meaning that callers see.
pub fn translate(error: DbErr) -> Error {
    let code = match &error {
        DbErr::ConnectionAcquire(_) => Code::Busy,
        // A row that was to be replaced has another version by now.
        DbErr::RecordNotUpdated => Code::Conflict,
        _ => match database_error(&error) {
            Some(inner) => by_database(inner),
            None => match sqlx_error(&error) {
                Some(sqlx::Error::PoolTimedOut | sqlx::Error::Io(_)) => Code::Busy,
                _ => Code::Internal,
            },
        },
    };
    Error { source: Some(Box::new(error)), ..Error::new(code) }
}

/// True if PostgreSQL asks to run the transaction again.
pub fn wants_retry(error: &Error) -> bool {
    let source = error.source.as_deref().and_then(|source| source.downcast_ref::<DbErr>());
    let code = source.and_then(database_error).and_then(|inner| inner.code());
    matches!(code.as_deref(), Some("40001" | "40P01"))
}

/// True if a database failed to answer: what it holds is as it was, as far as anybody knows.
pub fn no_answer(error: &Error) -> bool {
    let source = error.source.as_deref().and_then(|source| source.downcast_ref::<DbErr>());
    match source {
        Some(DbErr::ConnectionAcquire(_)) => true,
        Some(source) => sqlx_error(source).is_some_and(|inner| !is_about_values(inner)),
        None => false,
    }
}

/// It answered, but not with what such a table holds.
fn is_about_values(error: &sqlx::Error) -> bool {
    use sqlx::Error::{ColumnDecode, ColumnIndexOutOfBounds, ColumnNotFound, Decode, RowNotFound, TypeNotFound};
    matches!(
        error,
        ColumnDecode { .. }
            | ColumnIndexOutOfBounds { .. }
            | ColumnNotFound(_)
            | Decode(_)
            | RowNotFound
            | TypeNotFound { .. }
    )
}

fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(inner))
        | DbErr::Exec(RuntimeErr::SqlxError(inner))
        | DbErr::Query(RuntimeErr::SqlxError(inner)) => Some(inner),
        _ => None,
    }
}

pub(super) fn database_error(error: &DbErr) -> Option<&dyn sqlx::error::DatabaseError> {
    sqlx_error(error)?.as_database_error()
}

pub(super) fn by_database(error: &dyn sqlx::error::DatabaseError) -> Code {
    match error.kind() {
        ErrorKind::UniqueViolation => return Code::AlreadyExists,
        // The trigger that stands before each unique key on SQLite (`migration/src/audited.rs`).
        _ if error.message().starts_with("UNIQUE constraint failed") => return Code::AlreadyExists,
        ErrorKind::ForeignKeyViolation => return Code::InvalidValue,
        _ => {}
    }
    match error.code().as_deref() {
        // PostgreSQL: serialization, deadlock, lock not available.
        Some("40001" | "40P01" | "55P03") => Code::Conflict,
        // PostgreSQL: cancelled, shutting down, too many connections, read only after a switchover, idle for too long.
        Some("57014" | "57P01" | "57P02" | "57P03" | "53300" | "25006" | "25P03") => Code::Busy,
        Some(code) if code.starts_with("08") => Code::Busy,
        // PostgreSQL 53100 disk full; SQLite 13 SQLITE_FULL.
        Some("53100" | "13") => Code::StorageFull,
        // SQLite: busy, busy recovery, busy snapshot, locked.
        Some("5" | "261" | "517" | "6") => Code::Busy,
        _ => Code::Internal,
    }
}

/// `?, ?, ?` on SQLite, `$1, $2, $3` on PostgreSQL.
pub fn placeholders(backend: DbBackend, first: usize, count: usize) -> String {
    (first..first + count)
        .map(|n| if backend == DbBackend::Postgres { format!("${n}") } else { "?".to_owned() })
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_the_database_is_no_change_of_what_it_holds() {
        let query = |inner: sqlx::Error| translate(DbErr::Query(RuntimeErr::SqlxError(inner.into())));
        assert!(no_answer(&query(sqlx::Error::WorkerCrashed)));
        assert!(no_answer(&query(sqlx::Error::Io(std::io::Error::other("a disk")))));
        let decoded = sqlx::Error::ColumnDecode { index: "root".into(), source: "31 bytes".into() };
        assert!(!no_answer(&query(decoded)), "that is what stands there");
        assert!(!no_answer(&Error::internal("no tile")));
        assert!(!no_answer(&Error::new(Code::Busy)));
    }
}
