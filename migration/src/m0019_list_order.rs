//! Lists are in the order of ids, from a cursor on. Narrowed to a unit, a state or a campaign they are read from an index
//! in that order: without one a page of a unit's records sorts all of them, and a page of a state that few records are in
//! reads the whole table.

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
            let columns: &[&str] =
                if table == "figure" { &["unit_id", "state"] } else { &["unit_id", "state", "campaign_id"] };
            for column in columns {
                dialect::run(manager, &format!("CREATE INDEX {table}_by_{column} ON {table} ({column}, id)")).await?;
            }
        }
        Ok(())
    }
}

/// Records that are reported; figures serve every campaign.
const TABLES: [&str; 8] =
    ["figure", "activity", "initiative", "obligation", "observation", "register", "attestation", "nomination"];
