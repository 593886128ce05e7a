//! The schema, one migration a room, on SQLite and PostgreSQL alike.
//!
//! Migrations are plain SQL with the few words that differ between the engines written as `{uuid}`,
//! `{json}`, … (see [`dialect`]). They never import the service's types: a migration must keep its
//! meaning while the types move on. [`audited`] attaches the guard that refuses a change without
//! its event.

use sea_orm_migration::prelude::*;
pub use sea_orm_migration::{MigratorTrait, SchemaManager};

pub mod audited;
pub mod dialect;
mod leaf;
mod log_guards;
mod m0001_log;
mod m0002_house;
mod m0003_units;
mod m0004_campaigns;
mod m0005_figures;
mod m0006_activities;
mod m0007_initiatives;
mod m0008_obligations;
mod m0009_observations;
mod m0010_registers;
mod m0011_attestations;
mod m0012_nominations;
mod m0013_revocations;
mod m0014_search;
mod m0015_annulled_and_withdrawn;
mod m0016_reasons;
mod m0017_inbox_plans;
mod m0018_tree;
mod m0019_list_order;
mod m0020_checkpoints;
mod m0021_exports;
mod m0021_log_reads;
mod m0022_erasures;
mod m0023_log_keys;
pub mod subject_keys;

/// Every migration in the order in which it runs.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_log::Migration),
            Box::new(m0002_house::Migration),
            Box::new(m0003_units::Migration),
            Box::new(m0004_campaigns::Migration),
            Box::new(m0005_figures::Migration),
            Box::new(m0006_activities::Migration),
            Box::new(m0007_initiatives::Migration),
            Box::new(m0008_obligations::Migration),
            Box::new(m0009_observations::Migration),
            Box::new(m0010_registers::Migration),
            Box::new(m0011_attestations::Migration),
            Box::new(m0012_nominations::Migration),
            Box::new(m0013_revocations::Migration),
            Box::new(m0014_search::Migration),
            Box::new(m0015_annulled_and_withdrawn::Migration),
            Box::new(m0016_reasons::Migration),
            Box::new(m0017_inbox_plans::Migration),
            Box::new(m0018_tree::Migration),
            Box::new(m0019_list_order::Migration),
            Box::new(m0020_checkpoints::Migration),
            Box::new(m0021_exports::Migration),
            Box::new(m0021_log_reads::Migration),
            Box::new(m0022_erasures::Migration),
            Box::new(m0023_log_keys::Migration),
        ]
    }
}
