//! Campaigns. What a campaign says stands in documents; the row refers to them by hash.

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
            "campaign",
            "code {text} NOT NULL, title {json} NOT NULL, starts_on {date} NOT NULL, ends_on {date} NOT NULL, \
             owner_unit_id {uuid} NOT NULL REFERENCES unit (id), definition {json} NOT NULL, \
             rule_sets {json} NOT NULL, units {json} NOT NULL",
            &[("campaign_code", &["code"])],
        )
        .await
    }
}
