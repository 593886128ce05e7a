//! Nominations: who proposes whom for which award form in which round.

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
            "nomination",
            "campaign_id {uuid} NOT NULL REFERENCES campaign (id), round {text} NOT NULL, \
             unit_id {uuid} NOT NULL REFERENCES unit (id), award_form {text} NOT NULL, path {text} NOT NULL, \
             nominator_unit {uuid} NOT NULL REFERENCES unit (id), filed_on {date} NOT NULL, achievement {text}, \
             evidence {json} NOT NULL, state {text} NOT NULL, submitted_by {uuid}, returned_by {uuid}, \
             return_reason {text}",
            &[],
        )
        .await?;
        dialect::run(manager, INDEXES).await
    }
}

/// The first finds what stands for one subject already; the second what a unit has filed.
const INDEXES: &str = r#"CREATE INDEX nomination_subject ON nomination (unit_id, campaign_id, round, award_form)
;;
CREATE INDEX nomination_nominator ON nomination (nominator_unit, id)"#;
