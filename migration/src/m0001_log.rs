//! The event log: inbox, sealed events, head, disclosures.

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
        dialect::run(manager, TABLES).await?;
        dialect::run(manager, GUARDS).await
    }
}

/// `inbox_id` is handed out one at a time (CACHE 1) after the row lock, so that a record's events
/// keep their order; positions are given by the sealer to committed rows only.
const TABLES: &str = r#"sqlite:CREATE TABLE audit_inbox (
  inbox_id INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id BLOB NOT NULL UNIQUE, stream_type TEXT NOT NULL, stream_id BLOB NOT NULL, stream_ver INTEGER NOT NULL,
  event_type TEXT NOT NULL, actor_id BLOB, unit_id BLOB, scope_id BLOB, corr_id TEXT,
  at INTEGER NOT NULL, day TEXT NOT NULL, leaf TEXT NOT NULL CHECK (length(leaf) <= 65535),
  leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32)) STRICT
;;
sqlite:CREATE INDEX audit_inbox_stream ON audit_inbox (stream_id, stream_ver)
;;
postgres:CREATE TABLE audit_inbox (
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  inbox_id BIGINT GENERATED ALWAYS AS IDENTITY (CACHE 1),
  event_id UUID NOT NULL UNIQUE, stream_type TEXT NOT NULL, stream_id UUID NOT NULL, stream_ver BIGINT NOT NULL,
  event_type TEXT NOT NULL, actor_id UUID, unit_id UUID, scope_id UUID, corr_id TEXT,
  at BIGINT NOT NULL, day DATE NOT NULL, leaf TEXT NOT NULL CHECK (octet_length(leaf) <= 65535),
  leaf_hash BYTEA NOT NULL CHECK (leaf_hash = sha256('\x00'::bytea || convert_to(leaf, 'UTF8'))),
  PRIMARY KEY (xid, inbox_id))
  WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0)
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

/// The log refuses UPDATE, DELETE and TRUNCATE; an inbox row leaves only once its event stands in
/// the log (or in quarantine).
const GUARDS: &str = r#"sqlite:CREATE TRIGGER audit_event_no_update BEFORE UPDATE ON audit_event BEGIN
  SELECT RAISE(ABORT, 'audit guard: an event never changes'); END
;;
sqlite:CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON audit_event BEGIN
  SELECT RAISE(ABORT, 'audit guard: an event is never deleted'); END
;;
sqlite:CREATE TRIGGER audit_event_from_inbox BEFORE INSERT ON audit_event BEGIN
  SELECT RAISE(ABORT, 'audit guard: an event enters the log from the inbox, once')
  WHERE NEW.seq < (SELECT size FROM audit_head WHERE log_id = 1)
     OR EXISTS (SELECT 1 FROM audit_event WHERE seq = NEW.seq OR event_id = NEW.event_id
                OR (stream_id = NEW.stream_id AND stream_ver = NEW.stream_ver))
     OR NOT EXISTS (SELECT 1 FROM audit_inbox WHERE event_id = NEW.event_id AND leaf = NEW.leaf); END
;;
sqlite:CREATE TRIGGER audit_inbox_no_update BEFORE UPDATE ON audit_inbox BEGIN
  SELECT RAISE(ABORT, 'audit guard: an event never changes'); END
;;
sqlite:CREATE TRIGGER audit_inbox_sealed_delete BEFORE DELETE ON audit_inbox BEGIN
  SELECT RAISE(ABORT, 'audit guard: an unsealed event is never deleted')
  WHERE NOT EXISTS (SELECT 1 FROM audit_event WHERE event_id = OLD.event_id AND leaf = OLD.leaf)
    AND NOT EXISTS (SELECT 1 FROM audit_quarantine WHERE event_id = OLD.event_id); END
;;
sqlite:CREATE TRIGGER audit_inbox_next_version BEFORE INSERT ON audit_inbox BEGIN
  SELECT RAISE(ABORT, 'audit guard: an event must carry the next version of its record')
  WHERE EXISTS (SELECT 1 FROM audit_inbox WHERE event_id = NEW.event_id OR inbox_id = NEW.inbox_id)
     OR EXISTS (SELECT 1 FROM audit_event WHERE event_id = NEW.event_id)
     OR EXISTS (SELECT 1 FROM audit_event WHERE stream_id = NEW.stream_id AND stream_ver >= NEW.stream_ver)
     OR EXISTS (SELECT 1 FROM audit_inbox WHERE stream_id = NEW.stream_id AND stream_ver >= NEW.stream_ver); END
;;
sqlite:CREATE TRIGGER audit_head_forward BEFORE UPDATE ON audit_head BEGIN
  SELECT RAISE(ABORT, 'audit guard: the head follows the log')
  WHERE NEW.size <> (SELECT coalesce(max(seq), -1) + 1 FROM audit_event) OR NEW.log_id <> OLD.log_id; END
;;
sqlite:CREATE TRIGGER audit_head_one BEFORE INSERT ON audit_head BEGIN
  SELECT RAISE(ABORT, 'audit guard: there is one head') WHERE EXISTS (SELECT 1 FROM audit_head); END
;;
sqlite:CREATE TRIGGER audit_quarantine_from_inbox BEFORE INSERT ON audit_quarantine BEGIN
  SELECT RAISE(ABORT, 'audit guard: quarantine takes from the inbox, once')
  WHERE EXISTS (SELECT 1 FROM audit_quarantine WHERE event_id = NEW.event_id)
     OR NOT EXISTS (SELECT 1 FROM audit_inbox WHERE event_id = NEW.event_id AND leaf = NEW.leaf); END
;;
sqlite:CREATE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head BEGIN
  SELECT RAISE(ABORT, 'audit guard: the head is never deleted'); END
;;
sqlite:CREATE TRIGGER audit_quarantine_no_update BEFORE UPDATE ON audit_quarantine BEGIN
  SELECT RAISE(ABORT, 'audit guard: quarantine never changes'); END
;;
sqlite:CREATE TRIGGER audit_quarantine_no_delete BEFORE DELETE ON audit_quarantine BEGIN
  SELECT RAISE(ABORT, 'audit guard: quarantine never changes'); END
;;
sqlite:CREATE TRIGGER audit_disclosure_no_update BEFORE UPDATE ON audit_disclosure BEGIN
  SELECT RAISE(ABORT, 'audit guard: a disclosure is deleted, never changed'); END
;;
postgres:CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'audit guard: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'TD001'; END $$
;;
postgres:CREATE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'audit guard: % is never deleted from', TG_TABLE_NAME USING ERRCODE = 'TD001';
  END IF;
  IF TG_OP = 'INSERT' AND NEW.version <> 1
     OR TG_OP = 'UPDATE' AND (NEW.id <> OLD.id OR NEW.version <> OLD.version + 1)
     OR NOT EXISTS (SELECT 1 FROM public.audit_inbox WHERE xid = pg_current_xact_id() AND stream_id = NEW.id
                    AND stream_ver = NEW.version AND stream_type = TG_TABLE_NAME AND leaf_hash = NEW.tip) THEN
    RAISE EXCEPTION 'audit guard: % changed without its event', TG_TABLE_NAME USING ERRCODE = 'TD001';
  END IF;
  RETURN NULL;
END $$
;;
postgres:CREATE FUNCTION audit_inbox_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM public.audit_event WHERE event_id = OLD.event_id AND leaf = OLD.leaf)
     AND NOT EXISTS (SELECT 1 FROM public.audit_quarantine WHERE event_id = OLD.event_id AND leaf = OLD.leaf) THEN
    RAISE EXCEPTION 'audit guard: an unsealed event is never deleted' USING ERRCODE = 'TD001';
  END IF;
  RETURN NULL;
END $$
;;
postgres:CREATE FUNCTION audit_head_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.size <> (SELECT coalesce(max(seq), -1) + 1 FROM public.audit_event) OR NEW.log_id <> OLD.log_id THEN
    RAISE EXCEPTION 'audit guard: the head follows the log' USING ERRCODE = 'TD001';
  END IF;
  RETURN NEW;
END $$
;;
postgres:CREATE FUNCTION audit_event_from_inbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM fresh f WHERE NOT EXISTS
       (SELECT 1 FROM public.audit_inbox i WHERE i.event_id = f.event_id AND i.leaf = f.leaf))
     OR EXISTS (SELECT 1 FROM fresh f WHERE f.seq < (SELECT size FROM public.audit_head WHERE log_id = 1)) THEN
    RAISE EXCEPTION 'audit guard: an event enters the log from the inbox, once' USING ERRCODE = 'TD001';
  END IF;
  RETURN NULL;
END $$
;;
postgres:CREATE FUNCTION audit_quarantine_from_inbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM public.audit_inbox
                 WHERE event_id = NEW.event_id AND leaf = NEW.leaf AND xid <> pg_current_xact_id()) THEN
    RAISE EXCEPTION 'audit guard: quarantine takes from the inbox, once' USING ERRCODE = 'TD001';
  END IF;
  RETURN NEW;
END $$
;;
postgres:CREATE TRIGGER audit_quarantine_from_inbox BEFORE INSERT ON audit_quarantine FOR EACH ROW EXECUTE FUNCTION audit_quarantine_from_inbox()
;;
postgres:CREATE FUNCTION audit_inbox_own() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.xid := pg_current_xact_id(); RETURN NEW; END $$
;;
postgres:CREATE TRIGGER audit_inbox_own BEFORE INSERT ON audit_inbox FOR EACH ROW EXECUTE FUNCTION audit_inbox_own()
;;
postgres:CREATE TRIGGER audit_event_from_inbox AFTER INSERT ON audit_event REFERENCING NEW TABLE AS fresh
  FOR EACH STATEMENT EXECUTE FUNCTION audit_event_from_inbox()
;;
postgres:CREATE TRIGGER audit_event_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
;;
postgres:CREATE TRIGGER audit_inbox_no_change BEFORE UPDATE OR TRUNCATE ON audit_inbox FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
;;
postgres:CREATE TRIGGER audit_inbox_sealed_delete AFTER DELETE ON audit_inbox FOR EACH ROW EXECUTE FUNCTION audit_inbox_sealed()
;;
postgres:CREATE TRIGGER audit_head_no_delete BEFORE DELETE OR TRUNCATE ON audit_head FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
;;
postgres:CREATE TRIGGER audit_head_forward BEFORE UPDATE ON audit_head FOR EACH ROW EXECUTE FUNCTION audit_head_forward()
;;
postgres:CREATE TRIGGER audit_quarantine_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_quarantine FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
;;
sqlite:CREATE TRIGGER audit_disclosure_no_replace BEFORE INSERT ON audit_disclosure BEGIN
  SELECT RAISE(ABORT, 'audit guard: a disclosure is deleted, never changed')
  WHERE EXISTS (SELECT 1 FROM audit_disclosure WHERE event_id = NEW.event_id AND path = NEW.path); END
;;
postgres:CREATE TRIGGER audit_disclosure_no_change BEFORE UPDATE OR TRUNCATE ON audit_disclosure FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"#;
