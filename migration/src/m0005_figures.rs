//! Poverty figures: annual counts of poor and near-poor households.

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
            "figure",
            "unit_id {uuid} NOT NULL REFERENCES unit (id), year {bigint} NOT NULL, poverty_standard {text} NOT NULL, \
             poor_households {bigint} CHECK (poor_households >= 0), near_poor_households {bigint} CHECK (near_poor_households >= 0), \
             recognised_by {uuid} REFERENCES unit (id), decision_number {text}, decided_on {date}, note {text}, \
             state {text} NOT NULL, reported_by {uuid}, confirmed_by {uuid}, day {date} NOT NULL",
            &[("figure_once", &["unit_id", "year", "poverty_standard"])],
        )
        .await?;
        dialect::run(manager, "CREATE INDEX figure_year ON figure (year, id)").await
    }
}
