//! Initiatives: proposals that somebody may recognise.

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
            "initiative",
            "campaign_id {uuid} NOT NULL REFERENCES campaign (id), unit_id {uuid} NOT NULL REFERENCES unit (id), \
             kind {text} NOT NULL, beneficiary {text} NOT NULL, title {text}, description {text}, \
             proposed_on {date} NOT NULL, evidence {json} NOT NULL, state {text} NOT NULL, \
             recognised_by {uuid} REFERENCES unit (id), decision_number {text}, decided_on {date}, \
             written_by {uuid}, submitted_by {uuid}, decided_by {uuid}",
            &[],
        )
        .await?;
        dialect::run(manager, "CREATE INDEX initiative_unit ON initiative (unit_id, proposed_on)").await
    }
}
