//! Rivals that speak HTTP as the service does, ask the same questions of a request, and write less carefully.

use actix_web::{HttpResponse, HttpServer, middleware, web};
use clap::{Args, ValueEnum};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use thidua::activities::ActivityDraft;
use thidua::auth::policy::permit::{ReportActivities, RevokeTokens};
use thidua::auth::{Permit, scope};
use thidua::config::{LimitArgs, TokenArgs};
use thidua::db::{Db, Keyed};
use thidua::error::Error;
use thidua::http::{App, Body, IdempotencyKey, Shared, edge};
use thidua::revocations::RevocationDraft;

#[derive(Args)]
pub struct RivalArgs {
    kind: Kind,
    #[arg(long)]
    database_url: String,
    #[arg(long, env = "THIDUA_LISTEN")]
    listen: String,
    #[command(flatten)]
    tokens: TokenArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Kind {
    /// The same checks and one INSERT: no event, no idempotency, no guard.
    OneInsert,
    /// The service itself, but every write is committed by itself.
    CommitEach,
}

pub fn run(args: RivalArgs) {
    actix_web::rt::System::new().block_on(async {
        let db = match args.kind {
            Kind::OneInsert => Db::connect(&args.database_url).await.unwrap(),
            Kind::CommitEach => Db::connect_committing_each(&args.database_url).await.unwrap(),
        };
        db.start_sealer();
        let verifier = args.tokens.verifier().await.unwrap();
        let shared = Shared::new(db, verifier, args.limits.limits().unwrap(), None).await.unwrap();
        let shared = web::Data::new(shared);
        if args.kind == Kind::CommitEach {
            let server = HttpServer::new(move || thidua::app::app(shared.clone()));
            return server.workers(2).bind(&args.listen).unwrap().run().await.unwrap();
        }
        let table = web::Data::new(shared.db.reader().conn().clone());
        let create = "CREATE TABLE IF NOT EXISTS bench_insert (body TEXT NOT NULL)";
        table.execute_unprepared(create).await.unwrap();
        let server = HttpServer::new(move || {
            actix_web::App::new()
                .app_data(shared.surface.clone())
                .app_data(shared.clone())
                .app_data(table.clone())
                .route("/readyz", web::get().to(HttpResponse::Ok))
                .route("/v1/activities", web::post().to(insert_activity))
                .route("/v1/revocations", web::post().to(insert_revocation))
                .wrap(middleware::from_fn(edge::edge))
        });
        server.workers(2).bind(&args.listen).unwrap().run().await.unwrap();
    });
}

type Table = web::Data<Keyed<DatabaseConnection>>;

async fn insert(table: &Table, body: String) -> Result<HttpResponse, Error> {
    let sql = "INSERT INTO bench_insert (body) VALUES ($1)";
    let statement = Statement::from_sql_and_values(table.get_database_backend(), sql, [body.clone().into()]);
    table.execute_raw(statement).await.map_err(Error::internal)?;
    Ok(HttpResponse::Created().content_type("application/json").body(body))
}

async fn insert_activity(
    app: App,
    table: Table,
    permit: Permit<ReportActivities>,
    _key: IdempotencyKey,
    body: Body<ActivityDraft>,
) -> Result<HttpResponse, Error> {
    let (draft, today) = (&body.value, permit.caller.today);
    let reader = app.db.reader();
    let place = scope::place(reader.conn(), draft.unit, draft.content.held_on, today).await?;
    permit.require(&place)?;
    let definition = thidua::campaigns::store::definition(reader.conn(), draft.campaign).await?;
    draft.content.check(&definition, today)?;
    let alive = thidua::units::store::alive(reader.conn(), &[place.unit], draft.content.held_on).await?;
    draft.content.check_units(&definition, &place, &alive)?;
    insert(&table, serde_json::to_string(draft).map_err(Error::internal)?).await
}

async fn insert_revocation(
    app: App,
    table: Table,
    permit: Permit<RevokeTokens>,
    _key: IdempotencyKey,
    body: Body<RevocationDraft>,
) -> Result<HttpResponse, Error> {
    body.value.times(permit.context.at, app.verifier.longest_life())?;
    insert(&table, serde_json::to_string(&body.value).map_err(Error::internal)?).await
}
