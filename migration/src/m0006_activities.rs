//! Activities: what units did for a campaign.

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
            "activity",
            "campaign_id {uuid} NOT NULL REFERENCES campaign (id), unit_id {uuid} NOT NULL REFERENCES unit (id), \
             clause_kind {text} NOT NULL, support_kind {text} NOT NULL, held_on {date} NOT NULL, title {text}, \
             description {text}, resources {json} NOT NULL, giver_names {json}, \
             cash_vnd {bigint} NOT NULL CHECK (cash_vnd >= 0), in_kind_vnd {bigint} NOT NULL CHECK (in_kind_vnd >= 0), \
             labour_days {bigint} NOT NULL CHECK (labour_days >= 0), \
             households_helped {bigint} NOT NULL CHECK (households_helped >= 0), \
             pupils_helped {bigint} NOT NULL CHECK (pupils_helped >= 0), beneficiary_area {text} NOT NULL, \
             receiving_unit {uuid} REFERENCES unit (id), evidence {json} NOT NULL, state {text} NOT NULL, \
             written_by {uuid}, submitted_by {uuid}, decided_by {uuid}, return_reason {text}",
            &[],
        )
        .await?;
        dialect::run(manager, "CREATE INDEX activity_unit ON activity (unit_id, held_on)").await
    }
}
