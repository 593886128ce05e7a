//! The schema is brought up to date by its owner, with what is derived for searches and the table of the subjects' keys; what
//! waits for that is told to whoever serves.

use migration::{Migrator, MigratorTrait, SchemaManager};

use super::conn::Keyed;
use super::{Db, Engine, Roles, constraint, search, unlogged};
use crate::error::Error;

impl Db {
    /// Brings the schema up to date and tells how many migrations ran; several processes may call this at once.
    pub async fn migrate(&self) -> Result<usize, Error> {
        self.keys_are_the_right_ones().await?;
        let run = match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.migrate(self.keys.as_ref()).await?,
            Engine::Postgres(postgres) => postgres.migrate(None, self.keys.as_ref()).await?,
        };
        self.migrate_keys().await?;
        self.find_what_can_be_found().await;
        Ok(run)
    }

    /// Brings the schema up to date and gives these roles their rights, at once: no new table is ever without them.
    pub async fn migrate_for(&self, roles: &Roles) -> Result<usize, Error> {
        self.keys_are_the_right_ones().await?;
        let run = match &self.engine {
            Engine::Sqlite(_) => return Err(Error::internal("an embedded database has no roles")),
            Engine::Postgres(postgres) => postgres.migrate(Some(roles), self.keys.as_ref()).await?,
        };
        self.migrate_keys().await?;
        self.find_what_can_be_found().await;
        Ok(run)
    }

    /// Before anything is changed: the key database is the one that values are sealed with, or can be.
    async fn keys_are_the_right_ones(&self) -> Result<(), Error> {
        let reader = self.reader();
        let begun = SchemaManager::new(&**reader.conn()).has_table("derived").await.map_err(constraint::translate)?;
        if !begun {
            return Ok(());
        }
        self.keys_are_there().await?;
        // Whoever may not make it shall know before anything is taken out for its sake.
        match &self.keys {
            Some(keys) => keys.create().await.map_err(constraint::translate),
            None => Ok(()),
        }
    }

    /// What was migrated is migrated; what is left to fill, whoever serves fills.
    async fn find_what_can_be_found(&self) {
        if let Err(error) = self.find_again().await {
            tracing::warn!(%error, "what records are found by is not filled; `serve` goes on with it");
        }
    }

    /// Fills what records are found by, if a crash of the server took it ([`unlogged`]).
    pub async fn find_again(&self) -> Result<(), Error> {
        match &self.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(postgres) => unlogged::find_again(&Keyed::new(postgres.pool(), self.keys.clone())).await,
        }
    }

    /// The names of migrations that have not run, `search` if what is derived for it is of another version or logged where it
    /// must not be, `subject_keys` if there is no such database yet; reading them needs no rights to change the schema.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, Error> {
        let pending = Migrator::get_pending_migrations_read_only(self.reader().conn()).await;
        let pending = pending.map_err(constraint::translate)?;
        let mut names: Vec<String> = pending.iter().map(|migration| migration.name().to_owned()).collect();
        let reader = self.reader();
        let conn = reader.conn();
        if names.is_empty() {
            if !self.keys_are_there().await? {
                names.push("subject_keys".to_owned());
            }
            if search::is_stale(conn).await? || unlogged::are_otherwise(conn).await? {
                names.push("search".to_owned());
            }
        }
        Ok(names)
    }
}
