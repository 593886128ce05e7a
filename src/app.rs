//! Builds the app: routes of every room, the edge around them, the contract out of them.

use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::{App as ActixApp, Error as ActixError, HttpResponse, body::BoxBody, middleware, web};
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_actix_web::{AppExt, scope};

use crate::contract;
use crate::docs;
use crate::error::{Code, Error};
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
    let app = ActixApp::new()
        .app_data(shared)
        .app_data(web::PayloadConfig::new(body::LIMIT))
        .wrap(middleware::from_fn(edge::edge));
    app.into_utoipa_app()
        .configure(documented)
        .into_app()
        .configure(docs::routes)
        .default_service(web::to(nothing_here))
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

async fn nothing_here() -> Result<HttpResponse, Error> {
    Err(Code::NotFound.into())
}

/// The contract, generated from the routes that are served.
pub fn openapi() -> serde_json::Value {
    let (_, openapi) =
        ActixApp::new().into_utoipa_app().openapi(contract::head()).configure(documented).split_for_parts();
    contract::finish(&openapi)
}
