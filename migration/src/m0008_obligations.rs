//! Obligations: papers and reports that a unit owes by a day.

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
            "obligation",
            "campaign_id {uuid} NOT NULL REFERENCES campaign (id), unit_id {uuid} NOT NULL REFERENCES unit (id), \
             kind {text} NOT NULL, title {text}, document_number {text}, due_on {date} NOT NULL, fulfilled_on {date}, \
             received_on {date}, entered_later {bool} NOT NULL, evidence {json} NOT NULL, state {text} NOT NULL, \
             kept_by {uuid}, fulfilment_by {uuid}",
            &[],
        )
        .await?;
        dialect::run(manager, "CREATE INDEX obligation_unit ON obligation (unit_id, due_on, id)").await
    }
}
