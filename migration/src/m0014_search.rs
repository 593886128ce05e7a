//! What `:search` reads: the words of names and their place in Vietnamese order.

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
        dialect::run(manager, TABLES).await
    }
}

/// Both tables are computed from the rows of audited tables by the code that writes those; `derived` says by which
/// version of that code. Version 0 computed nothing: `Db::migrate` computes the tables anew after the migrations.
const TABLES: &str = r#"CREATE TABLE search_entry (
  record_id {uuid} NOT NULL PRIMARY KEY, stream_type {text} NOT NULL, sort_key {bytes} NOT NULL) {rowless}
;;
CREATE INDEX search_entry_order ON search_entry (stream_type, sort_key, record_id)
;;
CREATE TABLE search_word (
  stream_type {text} NOT NULL, word {text} NOT NULL, record_id {uuid} NOT NULL,
  PRIMARY KEY (stream_type, word, record_id)) {rowless}
;;
CREATE INDEX search_word_record ON search_word (record_id, word)
;;
CREATE TABLE derived (name {text} NOT NULL PRIMARY KEY, version {bigint} NOT NULL) {strict}
;;
INSERT INTO derived (name, version) VALUES ('search', 0)"#;
