//! Erasures of personal values, and who was shown such values of an event, for what.

use sea_orm_migration::prelude::*;

use crate::{audited, dialect};

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
            "erasure",
            "subject_type {text} NOT NULL, subject_id {uuid} NOT NULL, digests {bigint} NOT NULL CHECK (digests >= 0), \
             digests_sha256 {text} NOT NULL, legal_basis {text} NOT NULL, erase_reason {text}",
            &[],
        )
        .await?;
        audited::create(
            manager,
            "disclosure",
            "event_id {uuid} NOT NULL, account_id {uuid}, purpose {text} NOT NULL, paths {json} NOT NULL",
            &[],
        )
        .await?;
        dialect::run(manager, INDEXES).await
    }
}

const INDEXES: &str = "CREATE INDEX erasure_subject ON erasure (subject_id, id)";
