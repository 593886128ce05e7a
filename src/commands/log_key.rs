//! `thidua log rotate-key`: a new key of the log takes over.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::grant::console;
use crate::config::{self, DatabaseArgs};
use crate::db::Db;
use crate::error::Error;
use crate::log::anchor::Anchor;
use crate::log::keys::rotate;
use crate::log::proof::key::SigningKey;

/// From which key to which.
#[derive(Args)]
pub struct RotateArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The file of the key that signs now; of several keys in it, the first.
    #[arg(long, env = "THIDUA_LOG_KEY_FILE")]
    old: PathBuf,
    /// The file of the key that takes over, made with `thidua log new-key` for the same origin.
    #[arg(long)]
    new: PathBuf,
    /// Where the last signed checkpoint is remembered, as for `serve`.
    #[arg(long, env = "THIDUA_LOG_ANCHOR_FILE")]
    anchor: PathBuf,
}

/// Records the rotation.
pub async fn rotate(args: RotateArgs) -> Result<ExitCode, Error> {
    let (old, new) = (first(&args.old)?, first(&args.new)?);
    let db = Db::connect(args.database.of_one_that_is_there()?).await?;
    super::require_migrated(&db).await?;
    let rotation = rotate::rotate(&db, &console(), old, &new, Anchor::at(&args.anchor)).await;
    db.close().await;
    let rotation = rotation?;
    super::say(format_args!("{} takes over at {} events", rotation.new, rotation.size))?;
    Ok(ExitCode::SUCCESS)
}

fn first(file: &Path) -> Result<SigningKey, Error> {
    let key = config::signing_keys(file)?.into_iter().next();
    key.ok_or_else(|| Error::internal(format!("{}: there is no key in it", file.display())))
}
