//! `thidua migrate`: the schema, as its owner, and the rights of those who are not.

use std::process::ExitCode;

use clap::Args;

use crate::config::DatabaseArgs;
use crate::db::{Db, Roles};
use crate::error::Error;

/// What to migrate, and who gets which rights.
#[derive(Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// PostgreSQL: the role that serves. With it and the other three, which have to be there, the rights of all four are
    /// set, whatever they were.
    #[arg(long, requires_all = ["sealer_role", "auditor_role", "eraser_role"])]
    app_role: Option<String>,
    /// The role that seals the log and keeps what is signed.
    #[arg(long, requires = "app_role")]
    sealer_role: Option<String>,
    /// The role of people who read the log in SQL.
    #[arg(long, requires = "app_role")]
    auditor_role: Option<String>,
    /// The role that erases personal values.
    #[arg(long, requires = "app_role")]
    eraser_role: Option<String>,
}

impl MigrateArgs {
    fn roles(&self) -> Option<Roles> {
        Some(Roles {
            app: self.app_role.clone()?,
            sealer: self.sealer_role.clone()?,
            auditor: self.auditor_role.clone()?,
            eraser: self.eraser_role.clone()?,
        })
    }
}

/// Migrates with the one URL: whoever owns the schema needs nobody else's rights.
pub async fn run(args: MigrateArgs) -> Result<ExitCode, Error> {
    let db = Db::connect(args.database.owner()?).await?;
    let roles = args.roles();
    let run = match &roles {
        Some(roles) => db.migrate_for(roles).await?,
        None => db.migrate().await?,
    };
    db.close().await;
    super::say(format_args!("{run} migrations were waiting; the schema is up to date"))?;
    if roles.is_some() {
        super::say("the four roles have their rights")?;
    }
    Ok(ExitCode::SUCCESS)
}
