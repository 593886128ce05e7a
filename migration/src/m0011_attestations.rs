//! Attestations: what a body answers to a question that no figure can.

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
            "attestation",
            "campaign_id {uuid} NOT NULL REFERENCES campaign (id), round {text} NOT NULL, \
             unit_id {uuid} NOT NULL REFERENCES unit (id), statement {text} NOT NULL, body {text} NOT NULL, \
             attester_unit {uuid} NOT NULL REFERENCES unit (id) CHECK (attester_unit <> unit_id), \
             answer {text} NOT NULL, attested_on {date} NOT NULL, evidence {json} NOT NULL, basis {text}, \
             state {text} NOT NULL, attested_by {uuid}, revoke_reason {text}",
            &[],
        )
        .await?;
        dialect::run(manager, INDEXES).await
    }
}

/// The first finds all answers to one question; the second what a unit has answered.
const INDEXES: &str = r#"CREATE INDEX attestation_question ON attestation (unit_id, statement, campaign_id, round)
;;
CREATE INDEX attestation_attester ON attestation (attester_unit, id)"#;
