//! `thidua log`: is what is served what the log says?

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::clock::Stopwatch;
use crate::config::{self, DatabaseArgs};
use crate::db::Db;
use crate::error::Error;
use crate::id::new_id;
use crate::log::rebuild;

/// Checks of the log.
#[derive(Args)]
pub struct LogArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Replays the log into fresh tables and compares them with those that are served.
    Rebuild {
        #[command(flatten)]
        database: DatabaseArgs,
        /// Compare and report; the served tables are never written.
        #[arg(long, required = true)]
        check: bool,
    },
}

/// Runs the check; any difference fails it.
pub async fn run(args: LogArgs) -> Result<ExitCode, Error> {
    let What::Rebuild { database, check: _ } = args.what;
    let live = Db::connect(&database.url()?).await?;
    super::require_migrated(&live).await?;
    let scratch = config::scratch().join(format!("thidua-rebuild-{}.db", new_id()));
    // The copy holds what the log holds, personal values included.
    config::keep_private(&scratch)?;
    let fresh = Db::connect(&format!("sqlite://{}", scratch.display())).await?;
    let watch = Stopwatch::start();
    let mut told = 0;
    let report = rebuild::check(&live, &fresh, |events| {
        if watch.elapsed().as_secs() > told {
            told = watch.elapsed().as_secs();
            eprintln!("{events} events replayed");
        }
    })
    .await;
    fresh.close().await;
    live.close().await;
    for suffix in ["", "-wal", "-shm"] {
        // A scratch file that cannot be removed is no reason to hide the report.
        let _ = std::fs::remove_file(format!("{}{suffix}", scratch.display()));
    }
    let report = report?;
    for difference in &report.differences {
        super::say(difference)?;
    }
    for event in &report.set_aside {
        super::say(event)?;
    }
    let set_aside = match report.set_aside.len() {
        0 => String::new(),
        events => format!(", {events} events set aside"),
    };
    let (events, records, differences) = (report.events, report.records, report.differences.len());
    super::say(format_args!("{events} events, {records} records, {differences} differences{set_aside}"))?;
    Ok(if report.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
