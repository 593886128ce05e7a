//! Registers: whose entries of one kind are complete, per unit and round.

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
            "register",
            "campaign_id {uuid} NOT NULL REFERENCES campaign (id), unit_id {uuid} NOT NULL REFERENCES unit (id), \
             round {text} NOT NULL, name {text} NOT NULL, state {text} NOT NULL, day {date} NOT NULL, closed_by {uuid}, \
             closed_on {date}",
            &[("register_once", &["campaign_id", "unit_id", "round", "name"])],
        )
        .await?;
        dialect::run(manager, "CREATE INDEX register_unit ON register (unit_id, day, id)").await
    }
}
