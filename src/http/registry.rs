//! Where a room's routes go.

use actix_web::dev::HttpServiceFactory;
use actix_web::web;
use utoipa_actix_web::OpenApiFactory;
use utoipa_actix_web::service_config::ServiceConfig;

/// Takes the handlers of a room, for a server or for the contract: a worker that serves them needs no description, and
/// describing everything once a worker costs each of them some megabytes.
pub enum Registry<'a, 'b> {
    /// They answer requests.
    Served(&'a mut web::ServiceConfig),
    /// They are described.
    Described(&'a mut ServiceConfig<'b>),
}

impl Registry<'_, '_> {
    /// One handler more.
    pub fn service<F: HttpServiceFactory + OpenApiFactory + 'static>(&mut self, handler: F) -> &mut Self {
        match self {
            Self::Served(config) => drop(config.service(handler)),
            Self::Described(config) => drop(config.service(handler)),
        }
        self
    }
}
