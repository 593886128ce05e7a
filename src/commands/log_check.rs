//! `thidua log check`: whether a live database is what its log says, and the log what was signed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::clock::Stopwatch;
use crate::config::{self, DatabaseArgs};
use crate::db::Db;
use crate::error::Error;
use crate::log::check::{Check, State};
use crate::log::keys::store;
use crate::log::proof::key::VerifierKey;
use crate::log::proof::policy::Policy;

/// What is checked, and where it goes on.
#[derive(Args)]
pub struct CheckArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Where the check remembers how far it is, with a copy of all records beside it (`….copy`): after an interruption it
    /// goes on there. Both are removed when it is through.
    #[arg(long)]
    state: Option<PathBuf>,
    /// Forgets where an interrupted check was.
    #[arg(long)]
    from_start: bool,
    /// Whose signatures stand under the checkpoints (C2SP tlog-policy): the log's keys there, those that took over from them,
    /// and as far as one of these signed afterwards those before. Without it checkpoints are compared and not verified.
    #[arg(long, env = "THIDUA_LOG_POLICY_FILE")]
    policy: Option<PathBuf>,
}

/// Says what it finds; anything fails the command.
pub async fn check(args: CheckArgs) -> Result<ExitCode, Error> {
    let keys = args.policy.as_deref().map(keys).transpose()?;
    let state = args.state.as_deref().filter(|_| !args.from_start).map(remembered).transpose()?.flatten();
    if let Some(state) = args.state.as_deref().filter(|_| args.from_start) {
        super::log::remove(&super::log::copy_of(state));
    }
    let live = Db::connect(args.database.of_one_that_is_there()?).await?;
    super::require_migrated(&live).await?;
    live.settle().await?;
    let keys = match keys {
        Some(keys) => Some(store::kin(live.reader().conn(), &keys).await?),
        None => None,
    };
    let (watch, mut told) = (Stopwatch::start(), 0);
    let mut check = Check::resume(&live, keys.as_ref(), state).await?;
    let ran = check.run(|check, size| {
        if watch.elapsed().as_secs() > told {
            told = watch.elapsed().as_secs();
            eprintln!("{} of {size} events checked", check.state().position);
            if let Some(file) = &args.state {
                remember(file, &check.state())?;
            }
        }
        Ok(())
    });
    ran.await?;
    let state = check.state();
    drop(check);
    if let Some(file) = &args.state {
        remember(file, &state)?;
    }
    let report = super::log::replayed(&live, args.state.as_deref()).await;
    live.close().await;
    let report = report?;
    for finding in state.findings.iter().chain(&report.differences).chain(&report.remarks) {
        super::say(finding)?;
    }
    if state.untold > 0 {
        super::say(format_args!("{} findings more", state.untold))?;
    }
    let findings = state.findings.len() + report.differences.len();
    super::say(format_args!("{} events, {} records, {findings} findings", state.position, report.records))?;
    if let Some(file) = &args.state {
        std::fs::remove_file(file).map_err(|error| Error::internal(format!("{}: {error}", file.display())))?;
    }
    Ok(if findings == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn keys(file: &Path) -> Result<Vec<VerifierKey>, Error> {
    let policy = Policy::parse(config::read(file)?.as_bytes());
    let policy = policy.map_err(|error| Error::internal(format!("{}: {error}", file.display())))?;
    Ok(policy.logs().iter().map(|log| log.key.clone()).collect())
}

fn remembered(file: &Path) -> Result<Option<State>, Error> {
    if !file.exists() {
        return Ok(None);
    }
    let state = serde_json::from_str(&config::read(file)?);
    state.map(Some).map_err(|error| Error::internal(format!("{}: {error}; --from-start forgets it", file.display())))
}

/// Whole or not at all.
fn remember(file: &Path, state: &State) -> Result<(), Error> {
    let failed = |error| Error::internal(format!("{}: {error}", file.display()));
    let draft = file.with_added_extension("draft");
    std::fs::write(&draft, serde_json::to_string(state).map_err(Error::internal)?).map_err(failed)?;
    std::fs::rename(&draft, file).map_err(failed)
}
