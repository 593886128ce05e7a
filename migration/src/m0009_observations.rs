//! Observations: what the rule sets read and no other room holds.

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
            "observation",
            "campaign_id {uuid} NOT NULL REFERENCES campaign (id), unit_id {uuid} NOT NULL REFERENCES unit (id), \
             name {text} NOT NULL, sort {text} NOT NULL, period {text}, value_integer {bigint}, value_text {text}, \
             value_bool {bool}, value_date {date}, known_none {bool} NOT NULL, fields {json}, observed_on {date} NOT NULL, \
             evidence {json} NOT NULL, state {text} NOT NULL, reported_by {uuid}, confirmed_by {uuid}, note {text}",
            &[],
        )
        .await?;
        // At most one in effect; withdrawn ones stay. The room holds that under a lock, by this index.
        dialect::run(manager, "CREATE INDEX observation_name ON observation (campaign_id, unit_id, name, period)")
            .await?;
        dialect::run(manager, "CREATE INDEX observation_unit ON observation (unit_id, observed_on, id)").await
    }
}
