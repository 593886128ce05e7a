//! The Merkle tree of the log (RFC 6962): the head knows the roots of its perfect subtrees, full tiles of 256 hashes are
//! kept for ever. What was sealed before is hashed right after the migrations, by the program (`log/tiles.rs`).

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
        dialect::run(manager, TREE).await
    }
}

/// Hashes do not compress. A partial tile is never stored: its leaves are.
const TREE: &str = r#"sqlite:ALTER TABLE audit_head ADD COLUMN frontier BLOB NOT NULL DEFAULT x''
;;
postgres:ALTER TABLE audit_head ADD COLUMN frontier BYTEA NOT NULL DEFAULT ''
;;
CREATE TABLE audit_tile (
  level {bigint} NOT NULL, idx {bigint} NOT NULL, hashes {bytes} NOT NULL CHECK (length(hashes) = 8192),
  root {bytes} NOT NULL CHECK (length(root) = 32), PRIMARY KEY (level, idx)) {rowless}
;;
postgres:ALTER TABLE audit_tile ALTER hashes SET STORAGE EXTERNAL
;;
sqlite:CREATE TRIGGER audit_tile_once BEFORE INSERT ON audit_tile BEGIN
  SELECT RAISE(ABORT, 'audit guard: a tile never changes')
  WHERE EXISTS (SELECT 1 FROM audit_tile WHERE level = NEW.level AND idx = NEW.idx); END
;;
sqlite:CREATE TRIGGER audit_tile_no_update BEFORE UPDATE ON audit_tile BEGIN
  SELECT RAISE(ABORT, 'audit guard: a tile never changes'); END
;;
sqlite:CREATE TRIGGER audit_tile_no_delete BEFORE DELETE ON audit_tile BEGIN
  SELECT RAISE(ABORT, 'audit guard: a tile never changes'); END
;;
sqlite:CREATE TRIGGER audit_head_frontier BEFORE UPDATE ON audit_head BEGIN
  SELECT RAISE(ABORT, 'audit guard: the head follows the log')
  WHERE NEW.size = OLD.size AND length(OLD.frontier) > 0; END
;;
postgres:CREATE FUNCTION audit_head_frontier() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.size = OLD.size AND length(OLD.frontier) > 0 THEN
    RAISE EXCEPTION 'audit guard: the head follows the log' USING ERRCODE = 'TD001';
  END IF;
  RETURN NEW;
END $$
;;
postgres:CREATE TRIGGER audit_head_frontier BEFORE UPDATE ON audit_head FOR EACH ROW EXECUTE FUNCTION audit_head_frontier()
;;
postgres:CREATE TRIGGER audit_tile_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_tile
  FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"#;
