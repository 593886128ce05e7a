//! What every room stands on: accounts, grants, documents, idempotency keys, the instance's secret.

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
            "account",
            "issuer {text} NOT NULL, subject {text}, label {text}, state {text} NOT NULL",
            &[("account_identity", &["issuer", "subject"])],
        )
        .await?;
        audited::create(
            manager,
            "role_grant",
            "account_id {uuid} NOT NULL REFERENCES account (id), role {text} NOT NULL, unit_id {uuid}, \
             valid_from {date} NOT NULL, valid_to {date}, end_reason {text}",
            &[],
        )
        .await?;
        dialect::run(manager, TABLES).await
    }
}

const TABLES: &str = r#"CREATE INDEX role_grant_account ON role_grant (account_id)
;;
CREATE TABLE document (
  sha256 {text} NOT NULL PRIMARY KEY, media_type {text} NOT NULL, body TEXT NOT NULL, created_at {bigint} NOT NULL) {strict}
;;
sqlite:CREATE TRIGGER document_no_update BEFORE UPDATE ON document BEGIN
  SELECT RAISE(ABORT, 'audit guard: a document never changes'); END
;;
sqlite:CREATE TRIGGER document_no_delete BEFORE DELETE ON document BEGIN
  SELECT RAISE(ABORT, 'audit guard: a document never changes'); END
;;
sqlite:CREATE TRIGGER document_no_replace BEFORE INSERT ON document BEGIN
  SELECT RAISE(ABORT, 'audit guard: a document never changes')
  WHERE EXISTS (SELECT 1 FROM document WHERE sha256 = NEW.sha256); END
;;
postgres:CREATE TRIGGER document_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON document
  FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
;;
CREATE TABLE idempotency (
  actor_id {uuid} NOT NULL, operation {text} NOT NULL, idempotency_key {text} NOT NULL, payload_hash {bytes} NOT NULL,
  status {bigint}, location {text}, etag {text}, body TEXT, created_at {bigint} NOT NULL,
  PRIMARY KEY (actor_id, operation, idempotency_key)) {strict}
;;
CREATE INDEX idempotency_age ON idempotency (created_at)
;;
CREATE TABLE instance (id {bigint} NOT NULL PRIMARY KEY CHECK (id = 1), cursor_secret {bytes} NOT NULL) {strict}"#;
