//! Exports: which stretch of the log was given out, in which form and for what.

use sea_orm_migration::prelude::*;

use crate::audited;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        audited::create(
            manager,
            "export",
            "format {text} NOT NULL, purpose {text} NOT NULL, from_position {bigint} NOT NULL CHECK (from_position >= 0), \
             to_position {bigint} NOT NULL, requested_by {uuid} REFERENCES account (id), only_record {uuid}, \
             only_type {text}, only_actor {uuid}, only_unit {uuid}, only_campaign {uuid}, \
             CHECK (from_position <= to_position), \
             CHECK (format <> 'ndjson' OR (only_record IS NULL AND only_type IS NULL AND only_actor IS NULL \
                 AND only_unit IS NULL AND only_campaign IS NULL))",
            &[],
        )
        .await
    }
}
