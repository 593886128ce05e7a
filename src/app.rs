//! Builds the app: routes of every room, the edge around them, the contract out of them.

use actix_cors::Cors;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::{App as ActixApp, Error as ActixError, body::BoxBody, middleware, web};
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_actix_web::{AppExt, scope};

use crate::contract;
use crate::docs;
use crate::http::{App, body, edge, health};
use crate::rooms::ROOMS;

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
    let app = ActixApp::new()
        .app_data(shared.surface.clone())
        .app_data(shared)
        .app_data(web::PayloadConfig::new(body::LIMIT))
        .wrap(middleware::from_fn(edge::edge))
        .wrap(middleware::Compat::new(cors));
    app.into_utoipa_app()
        .configure(documented)
        .into_app()
        .configure(docs::routes)
        .default_service(web::to(health::nothing_here))
}

/// Scripts of these origins may call and read what they are answered; the service knows no cookies.
fn cors(origins: &[String]) -> Cors {
    let cors = origins.iter().fold(Cors::default(), |cors, origin| cors.allowed_origin(origin));
    cors.allowed_methods(["GET", "HEAD", "POST"])
        .allowed_headers(["accept-language", "authorization", "content-type", "traceparent"])
        .allowed_headers(["idempotency-key", "if-match", "if-none-match", "prefer"])
        .expose_headers(["etag", "link", "location", "idempotency-replayed", "traceparent", "allow"])
        .expose_headers(["ratelimit", "ratelimit-policy", "retry-after"])
        .max_age(3600)
}

/// Everything that stands in the contract.
fn documented(config: &mut ServiceConfig) {
    config.configure(health::root_routes).service(scope::scope("/v1").configure(version_1));
}

fn version_1(config: &mut ServiceConfig) {
    for room in ROOMS {
        config.configure(room.routes);
    }
}

/// The contract, generated from the routes that are served.
pub fn openapi() -> serde_json::Value {
    let (_, openapi) =
        ActixApp::new().into_utoipa_app().openapi(contract::head()).configure(documented).split_for_parts();
    contract::finish(&openapi)
}
