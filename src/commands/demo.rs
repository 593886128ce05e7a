//! `thidua demo`: the shipped campaign with fictitious data on an embedded database, and a token for every role.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use actix_web::web;
use clap::Args;
use migration::{Migrator, MigratorTrait};

use super::serve;
use crate::auth::Role;
use crate::campaigns::Folder;
use crate::clock::{Stopwatch, now};
use crate::db::Db;
use crate::demo::directory::{About, Directory};
use crate::demo::journal::Journal;
use crate::demo::tokens::Signer;
use crate::demo::{self, Script, stage};
use crate::error::Error;
use crate::http::limits::Limits;
use crate::http::{App, Shared};
use crate::log::signer::Signer as LogSigner;

/// Connections that are open at once.
const CONNECTIONS: usize = 256;

/// Where the demonstration lives and listens.
#[derive(Args)]
pub struct DemoArgs {
    /// Where the database, the key and `demo.json` go.
    #[arg(long, default_value = "demo-data")]
    data_dir: PathBuf,
    /// Address and port.
    #[arg(long, env = "THIDUA_LISTEN", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Starts over: removes what an earlier demonstration wrote there.
    #[arg(long, conflicts_with = "database_url")]
    fresh: bool,
    /// Another database in place of the embedded one, e.g. `postgres://…`; an empty one, and a directory of its own. Never
    /// taken from the environment: fictitious data do not get into a service's database by accident.
    #[arg(long)]
    database_url: Option<String>,
}

/// How often somebody who waits hears something.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sets the stage, or continues where the last start ended, and serves until it is told to stop.
pub async fn run(args: DemoArgs) -> Result<ExitCode, Error> {
    let directory = Directory::open(&args.data_dir, args.fresh)?;
    let signer = directory.signer()?;
    let db = match &args.database_url {
        Some(url) => elsewhere(url, &directory).await?,
        None => Db::connect(&directory.database_url()?).await?,
    };
    let shared = prepare(&directory, &signer, db).await?;
    serve::listen(shared, &args.listen, CONNECTIONS, |bound| {
        if let Err(error) = directory.tell(&base_url(bound), &signer).and_then(|about| tell(&about)) {
            eprintln!("thidua: {error}");
        }
    })
    .await
}

/// A database that this demonstration began, or an empty one.
async fn elsewhere(url: &str, directory: &Directory) -> Result<Db, Error> {
    let db = Db::connect(url).await?;
    let is_empty = db.pending_migrations().await?.len() == Migrator::migrations().len();
    if !directory.has_begun() && !is_empty {
        return Err(Error::internal("--database-url: a demonstration begins in an empty database"));
    }
    Ok(db)
}

/// Migrates, loads the campaign and takes the steps that were not taken yet.
async fn prepare(directory: &Directory, signer: &Signer, db: Db) -> Result<App, Error> {
    let script = Script::embedded().map_err(Error::internal)?;
    let mut journal = Journal::open(&directory.journal()?, &script)?;
    let folder = with_progress(load(&db, signer)).await?;
    // The documentation page may read everything and change nothing.
    let docs = signer.token(Role::Auditor.as_str(), now())?;
    let log = serve::begun(LogSigner::new(db.clone(), directory.log_keys()?)).await?;
    if let Some(trouble) = log.trouble() {
        return Err(Error::internal(format!("{trouble}; --fresh starts over")));
    }
    let shared = Shared::new(db, signer.verifier()?, Limits::default(), Some(docs)).await?.signed_by(log);
    let shared = web::Data::new(shared);
    if journal.is_complete() && !journal.is_of(&script) {
        eprintln!("demo: the data there were written by another version; --fresh starts over");
    }
    let mut watch = Stopwatch::start();
    let told = |done, all| {
        if watch.elapsed() >= PATIENCE {
            eprintln!("demo: {done} of {all} steps");
            watch = Stopwatch::start();
        }
    };
    stage::play(&shared, signer, &folder, &script, &mut journal, told).await?;
    Ok(shared)
}

/// The schema, the campaign and its first administrator.
async fn load(db: &Db, signer: &Signer) -> Result<Folder, Error> {
    db.migrate().await?;
    let folder = demo::folder().map_err(Error::internal)?;
    stage::set(db, &folder, signer).await?;
    Ok(folder)
}

/// Says every second that something still goes on.
async fn with_progress<T>(work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    let mut seconds = 0;
    loop {
        match tokio::time::timeout(PATIENCE, &mut work).await {
            Ok(done) => return done,
            Err(_) => {
                seconds += 1;
                eprintln!("demo: loading the campaign, {seconds} s");
            }
        }
    }
}

/// Where a browser on this machine finds it.
fn base_url(bound: SocketAddr) -> String {
    let host = if bound.ip().is_unspecified() { "127.0.0.1".to_owned() } else { bound.ip().to_string() };
    let host = if bound.is_ipv6() && host.contains(':') { format!("[{host}]") } else { host };
    format!("http://{host}:{}", bound.port())
}

fn tell(about: &About) -> Result<(), Error> {
    super::say(format_args!("base URL  {}", about.base_url))?;
    super::say(format_args!("docs URL  {}", about.docs_url))?;
    super::say(
        "\nAll people, villages, area classes and figures are fictitious. Tokens, valid for 30 days here only:\n",
    )?;
    for (role, token) in &about.tokens {
        super::say(format_args!("{role}\n  {token}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_url_is_one_that_a_browser_can_open() {
        for (bound, url) in [
            ("127.0.0.1:80", "http://127.0.0.1:80"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(base_url(bound.parse().unwrap()), url);
        }
    }
}
