//! What filtered reads of the log stand on: one index a filter, each in the order of positions, so that no page is sorted
//! and none reads more than it looks at.
//!
//! Times are no order: an event of an earlier time may be sealed later. `audit_span` says for each thousand or so
//! positions between which times their events lie, so that a filter of times knows where to begin and where to end.

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
        dialect::run(manager, READS).await
    }
}

const READS: &str = r#"CREATE INDEX audit_event_corr ON audit_event (corr_id, seq) WHERE corr_id IS NOT NULL
;;
sqlite:CREATE INDEX audit_event_family ON audit_event (substr(event_type, 1, instr(event_type, '.') - 1), seq)
;;
postgres:CREATE INDEX audit_event_family ON audit_event (split_part(event_type, '.', 1), seq)
;;
DROP INDEX audit_event_at
;;
CREATE TABLE audit_span (block {bigint} NOT NULL PRIMARY KEY, min_at {bigint} NOT NULL, max_at {bigint} NOT NULL) {rowless}
;;
INSERT INTO audit_span (block, min_at, max_at)
  SELECT seq / 1024, min(at), max(at) FROM audit_event GROUP BY seq / 1024 HAVING count(*) = 1024
;;
sqlite:CREATE TRIGGER audit_span_once BEFORE INSERT ON audit_span BEGIN
  SELECT RAISE(ABORT, 'audit guard: a span never changes')
  WHERE EXISTS (SELECT 1 FROM audit_span WHERE block = NEW.block); END
;;
sqlite:CREATE TRIGGER audit_span_no_update BEFORE UPDATE ON audit_span BEGIN
  SELECT RAISE(ABORT, 'audit guard: a span never changes'); END
;;
sqlite:CREATE TRIGGER audit_span_no_delete BEFORE DELETE ON audit_span BEGIN
  SELECT RAISE(ABORT, 'audit guard: a span never changes'); END
;;
postgres:CREATE TRIGGER audit_span_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_span
  FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"#;
