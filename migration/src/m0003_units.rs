//! Units, their succession, and the derived tables that make them searchable and scoped.

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
            "unit",
            "codes {json} NOT NULL, names {json} NOT NULL, kinds {json} NOT NULL, parents {json} NOT NULL, \
             area_classes {json} NOT NULL, exists_from {date} NOT NULL, exists_to {date}, fictitious {bool} NOT NULL",
            &[],
        )
        .await?;
        audited::create(
            manager,
            "succession",
            "kind {text} NOT NULL, effective_on {date} NOT NULL, predecessors {json} NOT NULL, \
             successors {json} NOT NULL, basis {text}",
            &[],
        )
        .await?;
        dialect::run(manager, TABLES).await
    }
}

/// A closure row says: from `effective_from` on, whoever has rights over the ancestor has them over the
/// descendant's records dated `valid_from` to `valid_to`. A successor gets its predecessor's rows.
/// Both tables are computed from `unit` and `succession` by the store that writes those.
const TABLES: &str = r#"CREATE TABLE unit_attribute (
  unit_id {uuid} NOT NULL, attribute {text} NOT NULL, value {text} NOT NULL, folded {text} NOT NULL,
  valid_from {date} NOT NULL, valid_to {date}, PRIMARY KEY (unit_id, attribute, valid_from)) {strict}
;;
CREATE INDEX unit_attribute_value ON unit_attribute (attribute, value)
;;
CREATE TABLE unit_closure (
  ancestor_id {uuid} NOT NULL, descendant_id {uuid} NOT NULL, valid_from {date} NOT NULL, valid_to {date} NOT NULL,
  effective_from {date} NOT NULL, PRIMARY KEY (ancestor_id, descendant_id, valid_from, effective_from)) {strict}
;;
CREATE INDEX unit_closure_descendant ON unit_closure (descendant_id, ancestor_id)"#;
