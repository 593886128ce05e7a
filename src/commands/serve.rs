//! `thidua serve`: the API, until it is told to stop.

use std::process::ExitCode;

use actix_web::{HttpServer, web};
use clap::Args;

use crate::app;
use crate::clock::now;
use crate::config::{DatabaseArgs, TokenArgs};
use crate::db::Db;
use crate::error::Error;
use crate::http::{App, Shared, edge, health};

/// Where to listen and whom to believe.
#[derive(Args)]
pub struct ServeArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    tokens: TokenArgs,
    /// Address and port.
    #[arg(long, env = "THIDUA_LISTEN", default_value = "127.0.0.1:8080")]
    listen: String,
    /// A listener of its own for `/metrics`, without a token.
    #[arg(long, env = "THIDUA_METRICS_LISTEN")]
    metrics_listen: Option<String>,
}

/// Serves until SIGTERM or SIGINT; what is in flight is finished first.
pub async fn run(args: ServeArgs) -> Result<ExitCode, Error> {
    let verifier = args.tokens.verifier()?;
    let db = Db::connect(&args.database.url()?).await?;
    if !until_migrated(&db, &args.listen).await? {
        db.close().await;
        return Ok(ExitCode::SUCCESS);
    }
    let shared = web::Data::new(Shared::new(db, verifier, None).await?);
    if let Some(listen) = args.metrics_listen {
        tokio::spawn(metrics(shared.clone(), &listen)?);
    }
    listen(shared, &args.listen, |_| {}).await
}

/// `serve` never migrates: until somebody does, it lives and is not ready. False: told to stop.
async fn until_migrated(db: &Db, address: &str) -> Result<bool, Error> {
    if db.pending_migrations().await?.is_empty() {
        return Ok(true);
    }
    tracing::warn!("migrations wait: not ready until `thidua migrate` has run");
    let waiting = web::Data::new(db.clone());
    let server = HttpServer::new(move || {
        actix_web::App::new()
            .app_data(waiting.clone())
            .configure(health::waiting_routes)
            .wrap(actix_web::middleware::from_fn(edge::edge))
    });
    let server = server.workers(1).bind(address).map_err(|error| Error::internal(format!("{address}: {error}")))?.run();
    let handle = server.handle();
    let migrated = async {
        while !matches!(db.pending_migrations().await.as_deref(), Ok([])) {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
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
pub async fn listen(shared: App, address: &str, ready: impl FnOnce(std::net::SocketAddr)) -> Result<ExitCode, Error> {
    let db = shared.db.clone();
    db.start_sealer();
    let housekeeping = tokio::spawn(forget(db.clone()));
    let server = HttpServer::new(move || app::app(shared.clone()))
        .shutdown_timeout(20)
        .bind(address)
        .map_err(|error| Error::internal(format!("{address}: {error}")))?;
    if let Some(bound) = server.addrs().first() {
        tracing::info!(engine = db.engine_name(), address = %bound, "serving");
        ready(*bound);
    }
    server.run().await.map_err(Error::internal)?;
    housekeeping.abort();
    db.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Old idempotency answers go, once an hour.
async fn forget(db: Db) {
    loop {
        if let Err(error) = db.forget_old_answers(now()).await {
            tracing::warn!(%error, "old answers were not forgotten");
        }
        tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
    }
}

fn metrics(shared: App, address: &str) -> Result<actix_web::dev::Server, Error> {
    let server = HttpServer::new(move || {
        actix_web::App::new().app_data(shared.clone()).route("/metrics", web::get().to(health::open_metrics))
    });
    Ok(server.workers(1).disable_signals().bind(address).map_err(Error::internal)?.run())
}
