//! `thidua log`: the log's key, whether what is served is what the log says, and whether what it gave away is the log.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::verify::{self, Verify};
use super::{log_check, log_key};
use crate::clock::Stopwatch;
use crate::config::{self, DatabaseArgs};
use crate::db::Db;
use crate::error::Error;
use crate::id::new_id;
use crate::log::replayed::Replayed;
use crate::log::{rebuild, signer};

/// Keys and checks of the log.
#[derive(Args)]
pub struct LogArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Makes a key that signs the log, and prints its public part for those who verify.
    NewKey {
        /// The log's name for ever, e.g. `thidua.example.vn/log`: host and path, without a scheme.
        #[arg(long)]
        origin: String,
        /// Where the key goes (`THIDUA_LOG_KEY_FILE`); must not exist.
        #[arg(long)]
        private: PathBuf,
    },
    /// Hands the log on to a new key, as an event that the old and the new key sign.
    RotateKey(log_key::RotateArgs),
    /// Checks a live database: the log against tiles, head, checkpoints and columns, then the tables against the log.
    Check(log_check::CheckArgs),
    /// Replays the log into fresh tables and compares them with those that are served.
    Rebuild {
        #[command(flatten)]
        database: DatabaseArgs,
        /// Compare and report; the served tables are never written.
        #[arg(long, required = true)]
        check: bool,
    },
    /// Checks, without database or network, what the log gave away.
    #[command(subcommand)]
    Verify(Verify),
}

/// Runs the command; any difference that a check finds fails it.
pub async fn run(args: LogArgs) -> Result<ExitCode, Error> {
    match args.what {
        What::NewKey { origin, private } => new_key(&origin, &private),
        What::Check(args) => log_check::check(args).await,
        What::RotateKey(args) => log_key::rotate(args).await,
        What::Rebuild { database, check: _ } => rebuild_check(&database).await,
        What::Verify(what) => verify::run(&what),
    }
}

fn new_key(origin: &str, private: &Path) -> Result<ExitCode, Error> {
    if origin == crate::demo::LOG_ORIGIN {
        return Err(Error::internal("--origin: that is the demonstration's"));
    }
    let key = signer::new_key(origin).map_err(|error| Error::internal(format!("--origin: {error}")))?;
    let mut text = key.to_skey().map_err(Error::internal)?;
    text.push('\n');
    config::write_secret(private, &text)?;
    super::say(key.verifier())?;
    Ok(ExitCode::SUCCESS)
}

async fn rebuild_check(database: &DatabaseArgs) -> Result<ExitCode, Error> {
    let live = Db::connect(database.of_one_that_is_there()?).await?;
    super::require_migrated(&live).await?;
    let report = replayed(&live, None).await;
    live.close().await;
    let report = report?;
    for difference in &report.differences {
        super::say(difference)?;
    }
    for remark in &report.remarks {
        super::say(remark)?;
    }
    let remarks = match report.remarks.len() {
        0 => String::new(),
        remarks => format!(", {remarks} remarks"),
    };
    let (events, records, differences) = (report.events, report.records, report.differences.len());
    super::say(format_args!("{events} events, {records} records, {differences} differences{remarks}"))?;
    Ok(if report.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The comparison with a replay, which goes on where an earlier one was if `kept` says where its copy lies. The copy holds
/// personal values in the clear: one that is not kept does not outlive an interruption, and where values are sealed none is.
pub(super) async fn replayed(live: &Db, kept: Option<&Path>) -> Result<rebuild::Report, Error> {
    let kept = kept.filter(|_| !live.seals_personal_values());
    let scratch = kept.map_or_else(|| config::scratch().join(format!("thidua-rebuild-{}.db", new_id())), copy_of);
    let report = tokio::select! {
        report = compared(live, &scratch) => report,
        () = super::told_to_end() => Err(Error::internal("interrupted")),
    };
    if report.is_ok() || kept.is_none() {
        remove(&scratch);
    }
    report
}

async fn compared(live: &Db, scratch: &Path) -> Result<rebuild::Report, Error> {
    let fresh = match copy(scratch).await {
        Ok(fresh) if Replayed::of(live, &fresh).await.is_ok_and(|replayed| replayed.is_some()) => fresh,
        unfit => {
            if let Ok(unfit) = unfit {
                unfit.close().await;
            }
            remove(scratch);
            copy(scratch).await?
        }
    };
    let watch = Stopwatch::start();
    let mut told = 0;
    let report = rebuild::check(live, &fresh, |events| {
        if watch.elapsed().as_secs() > told {
            told = watch.elapsed().as_secs();
            eprintln!("{events} events replayed");
        }
        Ok(())
    })
    .await;
    fresh.close().await;
    report
}

/// Where the copy lies of a comparison whose state is kept in this file.
pub(super) fn copy_of(state: &Path) -> PathBuf {
    state.with_added_extension("copy")
}

/// It holds what the log holds, personal values included.
async fn copy(scratch: &Path) -> Result<Db, Error> {
    config::keep_private(scratch)?;
    Db::connect(&format!("sqlite://{}", scratch.display())).await
}

/// A scratch file that cannot be removed is no reason to hide the report.
pub(super) fn remove(scratch: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", scratch.display()));
    }
}
