//! Signed checkpoints of the log: what was promised to the world, newest last. Written once, kept for ever.

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
        dialect::run(manager, CHECKPOINTS).await
    }
}

const CHECKPOINTS: &str = r#"CREATE TABLE audit_checkpoint (
  size {bigint} NOT NULL PRIMARY KEY CHECK (size >= 0), note {text} NOT NULL, signed_at {bigint} NOT NULL) {rowless}
;;
sqlite:CREATE TRIGGER audit_checkpoint_once BEFORE INSERT ON audit_checkpoint BEGIN
  SELECT RAISE(ABORT, 'audit guard: a checkpoint never changes')
  WHERE EXISTS (SELECT 1 FROM audit_checkpoint WHERE size = NEW.size AND note <> NEW.note); END
;;
sqlite:CREATE TRIGGER audit_checkpoint_no_update BEFORE UPDATE ON audit_checkpoint BEGIN
  SELECT RAISE(ABORT, 'audit guard: a checkpoint never changes'); END
;;
sqlite:CREATE TRIGGER audit_checkpoint_no_delete BEFORE DELETE ON audit_checkpoint BEGIN
  SELECT RAISE(ABORT, 'audit guard: a checkpoint never changes'); END
;;
postgres:CREATE TRIGGER audit_checkpoint_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoint
  FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"#;
