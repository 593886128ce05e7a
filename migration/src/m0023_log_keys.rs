//! Keys of the log that took over from others, as records; and signatures under checkpoints that came after they were
//! kept: of witnesses, and of a key that took over.

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
        let columns = "old_key {text} NOT NULL, new_key {text} NOT NULL, statement {text} NOT NULL";
        audited::create(manager, "log_key", columns, &[("log_key_new", &["new_key"])]).await?;
        dialect::run(manager, SIGNATURES).await
    }
}

/// `signer` is the signer's public key as a vkey, `line` its signature line with the newline. The first one stays: a
/// witness that cosigns one checkpoint twice says nothing new.
const SIGNATURES: &str = r#"CREATE TABLE audit_signature (
  size {bigint} NOT NULL CHECK (size >= 0), signer {text} NOT NULL, line {text} NOT NULL, received_at {bigint} NOT NULL,
  PRIMARY KEY (size, signer)) {rowless}
;;
CREATE INDEX audit_signature_signer ON audit_signature (signer, size)
;;
sqlite:CREATE TRIGGER audit_signature_once BEFORE INSERT ON audit_signature BEGIN
  SELECT RAISE(ABORT, 'audit guard: a signature never changes')
  WHERE EXISTS (SELECT 1 FROM audit_signature WHERE size = NEW.size AND signer = NEW.signer); END
;;
sqlite:CREATE TRIGGER audit_signature_no_update BEFORE UPDATE ON audit_signature BEGIN
  SELECT RAISE(ABORT, 'audit guard: a signature never changes'); END
;;
sqlite:CREATE TRIGGER audit_signature_no_delete BEFORE DELETE ON audit_signature BEGIN
  SELECT RAISE(ABORT, 'audit guard: a signature never changes'); END
;;
postgres:CREATE TRIGGER audit_signature_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_signature
  FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"#;
