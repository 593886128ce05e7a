//! The event log: inbox, sealed events, head, disclosures.

use sea_orm_migration::prelude::*;

use crate::{dialect, leaf, log_guards};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let function = format!("postgres:{}", leaf::postgres_function());
        dialect::run(manager, &function).await?;
        let tables = TABLES.replace("{sqlite_leaf}", &leaf::sqlite()).replace("{postgres_leaf}", &leaf::postgres());
        dialect::run(manager, &tables).await?;
        dialect::run(manager, log_guards::script(manager.get_database_backend())).await
    }
}

/// `inbox_id` is handed out one at a time (CACHE 1) after the row lock, so that a record's events
/// keep their order; positions are given by the sealer to committed rows only.
///
/// `true_to_leaf` says whether the sealer would take the event ([`leaf`]). SQLite cannot compute the hash; PostgreSQL
/// checks it here.
const TABLES: &str = r#"sqlite:CREATE TABLE audit_inbox (
  inbox_id INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id BLOB NOT NULL UNIQUE, stream_type TEXT NOT NULL, stream_id BLOB NOT NULL, stream_ver INTEGER NOT NULL,
  event_type TEXT NOT NULL, actor_id BLOB, unit_id BLOB, scope_id BLOB, corr_id TEXT,
  at INTEGER NOT NULL, day TEXT NOT NULL, leaf TEXT NOT NULL CHECK (length(leaf) <= 65535),
  leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32),
  true_to_leaf INTEGER NOT NULL GENERATED ALWAYS AS ({sqlite_leaf}) STORED) STRICT
;;
sqlite:CREATE INDEX audit_inbox_stream ON audit_inbox (stream_id, stream_ver)
;;
postgres:CREATE TABLE audit_inbox (
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  inbox_id BIGINT GENERATED ALWAYS AS IDENTITY (CACHE 1),
  event_id UUID NOT NULL UNIQUE, stream_type TEXT NOT NULL, stream_id UUID NOT NULL, stream_ver BIGINT NOT NULL,
  event_type TEXT NOT NULL, actor_id UUID, unit_id UUID, scope_id UUID, corr_id TEXT,
  at BIGINT NOT NULL, day DATE NOT NULL CHECK (day BETWEEN '0001-01-01' AND '9999-12-31'),
  leaf TEXT NOT NULL CHECK (octet_length(leaf) <= 65535),
  leaf_hash BYTEA NOT NULL CHECK (leaf_hash = sha256('\x00'::bytea || convert_to(leaf, 'UTF8'))),
  true_to_leaf BOOLEAN NOT NULL GENERATED ALWAYS AS ({postgres_leaf}) STORED,
  PRIMARY KEY (xid, inbox_id))
  WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0)
;;
postgres:CREATE UNIQUE INDEX audit_inbox_stream ON audit_inbox (stream_id, stream_ver)
;;
CREATE TABLE audit_event (
  seq {bigint} NOT NULL PRIMARY KEY,
  event_id {uuid} NOT NULL, stream_type {text} NOT NULL, stream_id {uuid} NOT NULL, stream_ver {bigint} NOT NULL,
  event_type {text} NOT NULL, actor_id {uuid}, unit_id {uuid}, scope_id {uuid}, corr_id {text},
  at {bigint} NOT NULL, day {date} NOT NULL, sealed_at {bigint} NOT NULL, leaf TEXT NOT NULL) {rowless}
;;
CREATE UNIQUE INDEX audit_event_id ON audit_event (event_id)
;;
CREATE UNIQUE INDEX audit_event_stream ON audit_event (stream_id, stream_ver)
;;
CREATE INDEX audit_event_record ON audit_event (stream_id, seq)
;;
CREATE INDEX audit_event_actor ON audit_event (actor_id, seq)
;;
CREATE INDEX audit_event_unit ON audit_event (unit_id, seq)
;;
CREATE INDEX audit_event_scope ON audit_event (scope_id, seq)
;;
CREATE INDEX audit_event_type ON audit_event (event_type, seq)
;;
CREATE INDEX audit_event_at ON audit_event (at, seq)
;;
CREATE TABLE audit_head (log_id {bigint} NOT NULL PRIMARY KEY, size {bigint} NOT NULL) {strict}
;;
INSERT INTO audit_head (log_id, size) VALUES (1, 0)
;;
CREATE TABLE audit_quarantine (
  event_id {uuid} NOT NULL PRIMARY KEY, found_at {bigint} NOT NULL, leaf TEXT NOT NULL, leaf_hash {bytes} NOT NULL) {strict}
;;
CREATE TABLE audit_disclosure (
  event_id {uuid} NOT NULL, path {text} NOT NULL, stream_id {uuid} NOT NULL, subject_id {uuid} NOT NULL,
  salt {text} NOT NULL, value {json} NOT NULL, PRIMARY KEY (event_id, path)) {strict}
;;
CREATE INDEX audit_disclosure_stream ON audit_disclosure (stream_id)
;;
CREATE INDEX audit_disclosure_subject ON audit_disclosure (subject_id)"#;
