//! Plans that hold while the inbox is full of what was sealed. It is mostly empty when statistics are taken, and a plan
//! made then reads the whole table: with some ten thousand dead rows in it each guarded write took milliseconds.

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
        dialect::run(manager, PLANS).await
    }
}

const PLANS: &str = r#"postgres:ALTER FUNCTION audit_guard() SET enable_seqscan = off
;;
postgres:CREATE FUNCTION audit_inbox_waits(since xid8) RETURNS boolean LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN RETURN EXISTS (SELECT 1 FROM public.audit_inbox WHERE xid >= since); END $$"#;
