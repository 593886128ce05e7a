//! `thidua serve`: the API, until it is told to stop.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpServer, middleware, web};
use clap::Args;
use tokio::sync::watch;

use crate::app;
use crate::clock::now;
use crate::config::{DatabaseArgs, LimitArgs, LogKeyArgs, TokenArgs};
use crate::db::{Db, Urls};
use crate::error::Error;
use crate::http::{App, Shared, edge, health, limits};
use crate::log::signer::Signer;
use crate::log::{sampler, witnesses};

/// How long the first lines of a request may take to arrive.
const HEAD: Duration = Duration::from_secs(5);
/// How often it is looked whether records can still be found by their names.
const FINDABLE: Duration = Duration::from_secs(2);

/// Where to listen and whom to believe.
#[derive(Args)]
pub struct ServeArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    tokens: TokenArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    log_key: LogKeyArgs,
    /// Address and port.
    #[arg(long, env = "THIDUA_LISTEN", default_value = "127.0.0.1:8080")]
    listen: String,
    /// A listener of its own for `/metrics`, without a token.
    #[arg(long, env = "THIDUA_METRICS_LISTEN")]
    metrics_listen: Option<String>,
}

/// Serves until SIGTERM or SIGINT; what is in flight is finished first.
pub async fn run(args: ServeArgs) -> Result<ExitCode, Error> {
    let limits = args.limits.limits()?;
    let verifier = args.tokens.verifier().await?;
    let log_keys = args.log_key.keys()?;
    let urls = args.database.urls()?;
    let db = Db::connect(urls.clone()).await?;
    if !until_migrated(&db, &args.listen).await? {
        db.close().await;
        return Ok(ExitCode::SUCCESS);
    }
    if !Db::is_embedded(&urls.app) {
        tell_of_rights(&db, &urls).await?;
        if db.may_forget_commits().await? {
            tracing::warn!(
                "synchronous_commit or fsync is off: what is acknowledged or signed can be lost with the server"
            );
        }
    }
    let shared = Shared::new(db.clone(), verifier, limits, None).await?;
    let shared = match log_keys {
        Some(keys) => shared.signed_by(begun(Signer::new(db, keys)).await?),
        None => {
            tracing::warn!("the log is not signed: nobody outside can prove anything (THIDUA_LOG_KEY_FILE)");
            shared
        }
    };
    let shared = web::Data::new(shared);
    if let Some(listen) = args.metrics_listen {
        tokio::spawn(metrics(shared.clone(), &listen)?);
    }
    listen(shared, &args.listen, args.limits.max_connections, |_| {}).await
}

/// Whoever takes over the application should not be able to change the log, or to delete what was disclosed.
async fn tell_of_rights(db: &Db, urls: &Urls) -> Result<(), Error> {
    let missing = urls.missing();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        tracing::warn!(
            "one database role serves, and seals or erases as well: roles of their own are safer ({missing})"
        );
    } else if db.may_do_everything().await? {
        tracing::warn!("the database role that serves may seal and erase by itself: `thidua migrate --app-role …`");
    }
    Ok(())
}

/// A signer that knows whether the database is the one that was signed.
pub async fn begun(signer: Signer) -> Result<Arc<Signer>, Error> {
    let signer = Arc::new(signer);
    signer.start().await?;
    Ok(signer)
}

/// `serve` never migrates: until somebody does, it lives and is not ready. False: told to stop.
///
/// The server that answers meanwhile never touches the database: a connection belongs to the runtime that opened it, and
/// that server's worker takes its runtime along when it ends.
async fn until_migrated(db: &Db, address: &str) -> Result<bool, Error> {
    if db.pending_migrations().await?.is_empty() {
        return Ok(true);
    }
    tracing::warn!("migrations wait: not ready until `thidua migrate` has run");
    let (told, seen) = watch::channel(health::waiting(db).await);
    let (seen, surface) = (web::Data::new(seen), web::Data::new(health::waiting_surface()));
    let server = HttpServer::new(move || {
        actix_web::App::new()
            .app_data(seen.clone())
            .app_data(surface.clone())
            .configure(health::waiting_routes)
            .wrap(middleware::from_fn(edge::edge))
    });
    let server = server.workers(1).bind(address).map_err(|error| Error::internal(format!("{address}: {error}")))?.run();
    let handle = server.handle();
    let migrated = async {
        while !matches!(db.pending_migrations().await.as_deref(), Ok([])) {
            told.send_replace(health::waiting(db).await);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        stopped = server => stopped.map(|()| false).map_err(Error::internal),
        () = migrated => {
            handle.stop(true).await;
            Ok(true)
        }
    }
}

/// Serves `shared` on `address`; `ready` learns the address that was bound.
pub async fn listen(
    shared: App,
    address: &str,
    max_connections: usize,
    ready: impl FnOnce(std::net::SocketAddr),
) -> Result<ExitCode, Error> {
    let db = shared.db.clone();
    db.start_clean().await;
    db.start_sealer();
    let housekeeping = tokio::spawn(forget(shared.clone()));
    let finding = actix_web::rt::spawn(keep_findable(shared.db.clone()));
    let signing = tokio::spawn(keep_signing(shared.signer.clone()));
    let ending = tokio::spawn(end_followers(shared.clone()));
    let keeping = tokio::spawn(shared.verifier.keys.clone().keep());
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let server = HttpServer::new(move || app::app(shared.clone()))
        .workers(workers)
        // Each worker accepts its part; whoever comes then waits in the backlog.
        .max_connections(max_connections.div_ceil(workers))
        .client_request_timeout(HEAD)
        .on_connect(|io, _| limits::forget_the_deaf(io))
        .shutdown_timeout(20)
        .bind(address)
        .map_err(|error| Error::internal(format!("{address}: {error}")))?;
    if let Some(bound) = server.addrs().first() {
        tracing::info!(engine = db.engine_name(), address = %bound, "serving");
        ready(*bound);
    }
    server.run().await.map_err(Error::internal)?;
    housekeeping.abort();
    keeping.abort();
    ending.abort();
    finding.abort();
    signing.abort();
    db.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Answers that do not end by themselves end when the process is told to: otherwise it would wait for them.
async fn end_followers(shared: App) {
    super::told_to_end().await;
    shared.news.stop();
}

/// Whoever searches before it is done is told to come back.
async fn keep_findable(db: Db) {
    loop {
        if let Err(error) = db.find_again().await {
            tracing::warn!(%error, "what records are found by was not looked at; trying again");
        }
        tokio::time::sleep(FINDABLE).await;
    }
}

async fn keep_signing(signer: Option<Arc<Signer>>) {
    if let Some(signer) = signer {
        tokio::join!(signer.keep_signing(), witnesses::keep_witnessed(signer.clone()), sampler::keep_sampling(&signer));
    }
}

/// Old idempotency answers and keys of what was erased go once an hour, callers that ceased to ask once a minute.
async fn forget(shared: App) {
    for minute in 0_u64.. {
        if minute % 60 == 0
            && let Err(error) = shared.db.forget_old_answers(now()).await
        {
            tracing::warn!(%error, "old answers were not forgotten");
        }
        if minute % 60 == 0 {
            shared.db.forget_keys();
            if let Err(error) = shared.db.bury_keys(None).await {
                tracing::warn!(%error, "keys of what was erased were not deleted");
            }
        }
        // At the start this came before anything was served.
        if minute % 60 == 59 {
            shared.db.make_up_for_scrubs().await;
        }
        shared.limits.rates.forget();
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

fn metrics(shared: App, address: &str) -> Result<actix_web::dev::Server, Error> {
    let surface = web::Data::new(health::metrics_surface());
    let server = HttpServer::new(move || {
        actix_web::App::new()
            .app_data(shared.clone())
            .app_data(surface.clone())
            .configure(health::metrics_routes)
            .wrap(middleware::from_fn(edge::edge))
    });
    Ok(server.workers(1).disable_signals().bind(address).map_err(Error::internal)?.run())
}

/// Everything that `serve` can be told, for `docs/configuration.md`.
pub fn print_configuration() -> String {
    let mut text = String::from(
        "# Configuration\n\nGenerated; refresh with `cargo run -- docs configuration > docs/configuration.md`.\n\n\
         What `thidua serve` can be told, as a variable or as the flag of the same name (`--listen`). Nothing else is read\n\
         from the environment but `RUST_LOG`, which chooses the log lines (`info`).\n\n\
         | variable | default | what it is |\n|---|---|---|\n",
    );
    for argument in ServeArgs::augment_args(clap::Command::new("serve")).get_arguments() {
        let Some(variable) = argument.get_env().and_then(|name| name.to_str()) else { continue };
        let default = argument.get_default_values().first().and_then(|value| value.to_str()).unwrap_or_default();
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
        text.push_str(&format!("| `{variable}` | {default} | {} |\n", help.replace('\n', " ")));
    }
    text
}
