//! One file a command. Commands print for people on standard output and log on standard error.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Subcommand;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Code, Error};

pub mod backup;
pub mod campaign;
pub mod demo;
pub mod docs;
pub mod findings;
pub mod grant;
pub mod health;
pub mod log;
mod log_check;
mod log_key;
pub mod migrate;
pub mod rules;
pub mod serve;
pub mod token;
pub mod verify;

/// What the program can do.
#[derive(Subcommand)]
pub enum Command {
    /// Serves a demonstration: the shipped campaign, fictitious data, a token for every role.
    Demo(demo::DemoArgs),
    /// Serves the API. Never migrates.
    Serve(Box<serve::ServeArgs>),
    /// Asks a running service whether it is ready.
    Health(health::HealthArgs),
    /// Brings the schema up to date; several at once are safe.
    Migrate(migrate::MigrateArgs),
    /// Copies an embedded database while it is in use.
    Backup(backup::BackupArgs),
    /// Prints the contract.
    Openapi,
    /// Prints a generated page of documentation.
    Docs(docs::DocsArgs),
    /// Makes keys and signs tokens for small installations.
    Token(token::TokenArgs),
    /// Gives a role at the console, as an event.
    Grant(grant::GrantArgs),
    /// Loads campaigns.
    Campaign(campaign::CampaignArgs),
    /// Checks rule files.
    Rules(rules::RulesArgs),
    /// Checks the event log.
    Log(log::LogArgs),
    /// Answers the standing questions of the self-audit.
    Findings(findings::FindingsArgs),
}

/// Runs a command.
pub async fn run(command: Command) -> ExitCode {
    let result = match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Serve(args) => serve::run(*args).await,
        Command::Health(args) => health::run(&args).await,
        Command::Migrate(args) => migrate::run(args).await,
        Command::Backup(args) => backup::run(args).await,
        Command::Openapi => docs::openapi(),
        Command::Docs(args) => docs::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Grant(args) => grant::run(args).await,
        Command::Campaign(args) => campaign::run(args).await,
        Command::Rules(args) => rules::run(&args),
        Command::Log(args) => log::run(args).await,
        Command::Findings(args) => findings::run(args).await,
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("thidua: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// Why a command failed. What callers over HTTP are not to know is what the operator has to.
fn told(error: &Error) -> String {
    match (&error.code, &error.source) {
        (Code::Internal, Some(source)) => source.to_string(),
        _ => error.to_string(),
    }
}

/// What reads or writes tables says plainly that they are not there yet.
async fn require_migrated(db: &crate::db::Db) -> Result<(), Error> {
    match db.pending_migrations().await?.len() {
        0 => Ok(()),
        waiting => Err(Error::internal(format!("{waiting} migrations wait; run `thidua migrate` first"))),
    }
}

/// Writes a line to standard output. Whoever reads may leave before the end, as `head` does: nobody is told the rest
/// then, and the command goes on to its own end and exit code.
fn say(line: impl Display) -> Result<(), Error> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Error::internal),
    }
}

/// Ends when the process is told to end.
async fn told_to_end() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
