//! The database of subjects' keys: one table, in no backup of the main database. It is no migration of that one, and so
//! has no history: every statement may run again.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// Makes the table if it is not there.
pub async fn create(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    dialect::run(manager, TABLE).await
}

/// A subject has one key at a time; `since` is the record's version before the first write that the key sealed, so that
/// an erasure of a later version covers all that it seals. A retired key seals nothing more and waits for its end.
const TABLE: &str = r#"CREATE TABLE IF NOT EXISTS subject_key (
  id {uuid} NOT NULL PRIMARY KEY, subject_id {uuid} NOT NULL, key {bytes} NOT NULL CHECK (length(key) = 32),
  since {bigint} NOT NULL, created_at {bigint} NOT NULL, retired_at {bigint}) {strict}
;;
CREATE UNIQUE INDEX IF NOT EXISTS subject_key_present ON subject_key (subject_id) WHERE retired_at IS NULL
;;
CREATE INDEX IF NOT EXISTS subject_key_subject ON subject_key (subject_id)"#;
