//! `thidua openapi` and `thidua docs`: what is generated from the code.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::error::Error;

/// Which page.
#[derive(Args)]
pub struct DocsArgs {
    page: Page,
}

#[derive(Clone, Copy, ValueEnum)]
enum Page {
    /// Problem codes.
    Errors,
    /// Events and their fields.
    Events,
    /// Who may do what.
    Policy,
    /// What `thidua serve` can be told.
    Configuration,
}

/// Prints the contract.
pub fn openapi() -> Result<ExitCode, Error> {
    super::say(serde_json::to_string_pretty(&crate::app::openapi()).map_err(Error::internal)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a page.
pub fn run(args: &DocsArgs) -> Result<ExitCode, Error> {
    let page = match args.page {
        Page::Errors => crate::docs::print_errors(),
        Page::Events => crate::docs::print_events(),
        Page::Policy => crate::auth::policy::print(),
        Page::Configuration => crate::commands::serve::print_configuration(),
    };
    super::say(page.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
