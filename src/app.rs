//! Builds the app: routes of every room, the edge around them, the contract out of them.

use actix_cors::Cors;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::{App as ActixApp, Error as ActixError, body::BoxBody, middleware, web};
use utoipa_actix_web::{AppExt, scope};

use crate::audit_page;
use crate::contract;
use crate::docs;
use crate::http::{App, Registry, body, edge, health, wait};
use crate::rooms::ROOMS;

/// Where the rooms are.
const VERSION_1: &str = "/v1";

/// The whole app around the shared state.
pub fn app(
    shared: App,
) -> ActixApp<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = ActixError,
        InitError = (),
    >,
> {
    let origins = &shared.limits.origins;
    let cors = middleware::Condition::new(!origins.is_empty(), cors(origins));
    ActixApp::new()
        .app_data(shared.surface.clone())
        .app_data(shared)
        .app_data(web::PayloadConfig::new(body::LIMIT))
        .wrap(middleware::from_fn(edge::edge))
        .wrap(middleware::Compat::new(cors))
        .configure(|config| health::root_routes(&mut Registry::Served(config)))
        .service(
            web::scope(VERSION_1)
                .wrap(middleware::from_fn(wait::wait))
                .configure(|config| version_1(&mut Registry::Served(config))),
        )
        .configure(docs::routes)
        .configure(audit_page::routes)
        .default_service(web::to(health::nothing_here))
}

/// Scripts of these origins may call and read what they are answered; the service knows no cookies.
fn cors(origins: &[String]) -> Cors {
    let cors = origins.iter().fold(Cors::default(), |cors, origin| cors.allowed_origin(origin));
    cors.allowed_methods(["GET", "HEAD", "POST"])
        .allowed_headers(["accept-language", "authorization", "content-type", "traceparent"])
        .allowed_headers(["idempotency-key", "if-match", "if-none-match", "last-event-id", "prefer"])
        .expose_headers(["etag", "link", "location", "idempotency-replayed", "traceparent", "allow"])
        .expose_headers(["ratelimit", "ratelimit-policy", "retry-after", "first-position", "end-position"])
        .expose_headers(["preference-applied", "event-id", "event-proof"])
        .max_age(3600)
}

/// The rooms.
fn version_1(registry: &mut Registry) {
    for room in ROOMS {
        (room.routes)(registry);
    }
}

/// The contract, generated from the routes that are served.
pub fn openapi() -> serde_json::Value {
    let (_, openapi) = ActixApp::new()
        .into_utoipa_app()
        .openapi(contract::head())
        .configure(|config| health::root_routes(&mut Registry::Described(config)))
        .service(scope::scope(VERSION_1).configure(|config| version_1(&mut Registry::Described(config))))
        .split_for_parts();
    contract::finish(&openapi)
}
