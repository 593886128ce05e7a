//! `thidua backup`: a copy of the embedded database, while it is in use.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::config::{self, DatabaseArgs};
use crate::db::Db;
use crate::error::Error;

/// What to copy, and where to.
#[derive(Args)]
pub struct BackupArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The copy; must not exist.
    file: PathBuf,
}

/// Copies one moment of the database into a new file that only its owner reads. Where personal values are sealed, what
/// records are found by is left out.
pub async fn run(args: BackupArgs) -> Result<ExitCode, Error> {
    let url = args.database.of_one_that_is_there()?.app;
    if !Db::is_embedded(&url) {
        return Err(Error::internal("only an embedded database is copied; for PostgreSQL see docs/operations.md"));
    }
    config::write_secret(&args.file, "")?;
    if let Err(error) = Db::back_up(&url, &args.file).await {
        // What is there is no copy of anything.
        let _ = std::fs::remove_file(&args.file);
        return Err(error);
    }
    let size = std::fs::metadata(&args.file).map_err(Error::internal)?.len();
    super::say(format_args!("{}: {size} bytes", args.file.display()))?;
    Ok(ExitCode::SUCCESS)
}
