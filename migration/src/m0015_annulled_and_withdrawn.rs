//! Second thoughts: an act of succession is annulled, and a figure that was withdrawn makes room for another.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, SCRIPT).await
    }
}

/// The unique key of a figure counts those only that were not withdrawn. On SQLite its triggers go with it: they refuse
/// first what `INSERT OR REPLACE` would delete.
const SCRIPT: &str = r#"ALTER TABLE succession ADD COLUMN ends {json}
;;
ALTER TABLE succession ADD COLUMN annulled_on {date}
;;
DROP INDEX figure_once
;;
sqlite:DROP TRIGGER figure_once_insert
;;
sqlite:DROP TRIGGER figure_once_update
;;
CREATE UNIQUE INDEX figure_once ON figure (unit_id, year, poverty_standard) WHERE state <> 'withdrawn'
;;
sqlite:CREATE TRIGGER figure_once_insert BEFORE INSERT ON figure WHEN NEW.state <> 'withdrawn' BEGIN
  SELECT RAISE(ABORT, 'UNIQUE constraint failed: figure_once') WHERE EXISTS (SELECT 1 FROM figure
    WHERE unit_id = NEW.unit_id AND year = NEW.year AND poverty_standard = NEW.poverty_standard
      AND state <> 'withdrawn'); END
;;
sqlite:CREATE TRIGGER figure_once_update BEFORE UPDATE ON figure WHEN NEW.state <> 'withdrawn' BEGIN
  SELECT RAISE(ABORT, 'UNIQUE constraint failed: figure_once') WHERE EXISTS (SELECT 1 FROM figure
    WHERE unit_id = NEW.unit_id AND year = NEW.year AND poverty_standard = NEW.poverty_standard
      AND state <> 'withdrawn' AND id <> NEW.id); END"#;
