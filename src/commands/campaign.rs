//! `thidua campaign load`: a campaign's folder into the database.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::grant::console;
use crate::campaigns::Folder;
use crate::campaigns::load::{Change, Loading, Report, load};
use crate::config::{self, DatabaseArgs};
use crate::db::Db;
use crate::error::Error;

/// Campaigns as folders.
#[derive(Args)]
pub struct CampaignArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Loads a folder; a second time changes nothing, and what is wrong refuses all of it.
    Load {
        #[command(flatten)]
        database: DatabaseArgs,
        /// The folder with `campaign.yaml`, `units.yaml` and the rule files.
        directory: PathBuf,
    },
}

/// Loads, and says what changed.
pub async fn run(args: CampaignArgs) -> Result<ExitCode, Error> {
    let What::Load { database, directory } = args.what;
    let db = Db::connect(database.of_one_that_is_there()?).await?;
    super::require_migrated(&db).await?;
    let loading = with_progress("loading", load_directory(&db, &directory)).await;
    db.close().await;
    Ok(match loading? {
        Loading::Done(report) => {
            super::say(told(&report))?;
            ExitCode::SUCCESS
        }
        Loading::Refused(findings) => {
            for finding in &findings {
                super::say(format_args!("{}/{finding}", directory.display()))?;
            }
            super::say("refused; nothing was written")?;
            ExitCode::FAILURE
        }
    })
}

/// Loads a folder as an act of the console.
pub async fn load_directory(db: &Db, directory: &Path) -> Result<Loading, Error> {
    match Folder::read(&files(directory)?) {
        Ok(folder) => load(db, &console(), &folder).await,
        Err(findings) => Ok(Loading::Refused(findings)),
    }
}

/// The text of every YAML file of a folder, by name.
fn files(directory: &Path) -> Result<BTreeMap<String, String>, Error> {
    let unreadable = |error| Error::internal(format!("{}: {error}", directory.display()));
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml")
            && let Some(name) = path.file_name().and_then(|name| name.to_str())
        {
            files.insert(name.to_owned(), config::read(&path)?);
        }
    }
    Ok(files)
}

/// What changed, a line each.
pub fn told(report: &Report) -> String {
    let campaign = match report.campaign {
        Change::Loaded => "loaded",
        Change::Revised => "revised",
        Change::Unchanged => "unchanged",
    };
    format!(
        "units: {} registered, {} amended, {} unchanged\nsuccessions: {} recorded, {} unchanged\ncampaign: {campaign}, version {}",
        report.units_registered,
        report.units_amended,
        report.units_unchanged,
        report.successions_recorded,
        report.successions_unchanged,
        report.version,
    )
}

/// Says every second that something still goes on.
async fn with_progress<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    let mut seconds = 0;
    loop {
        match tokio::time::timeout(Duration::from_secs(1), &mut work).await {
            Ok(done) => return done,
            Err(_) => {
                seconds += 1;
                eprintln!("{what}: {seconds} s");
            }
        }
    }
}
