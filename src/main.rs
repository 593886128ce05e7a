//! Parses the command line, starts telemetry, calls `commands`. No logic.

use clap::Parser;
use thidua::commands::Command;

/// Emulation and commendation campaigns: reports, confirmed figures, recommendations, an event log.
#[derive(Parser)]
#[command(name = "thidua", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[actix_web::main]
async fn main() -> std::process::ExitCode {
    thidua::telemetry::start();
    thidua::commands::run(Cli::parse().command).await
}
