//! Reasons that are read: why a record was last changed after somebody relied on it. Returns, revocations and ends have
//! columns of their own. What was changed before this has its reason in no row, because no event says so.

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
        for table in TABLES {
            dialect::run(manager, &format!("ALTER TABLE {table} ADD COLUMN change_reason {{text}}")).await?;
        }
        Ok(())
    }
}

/// Records with a step that takes a reason and had no column for it.
const TABLES: [&str; 9] =
    ["unit", "succession", "figure", "activity", "initiative", "obligation", "observation", "register", "nomination"];
