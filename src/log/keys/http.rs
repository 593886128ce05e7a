//! The log's keys over HTTP: whoever trusts an old one follows to the one that signs now.

use actix_web::{HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::store;
use crate::error::Error;
use crate::http::App;

/// A key of the log that took over from another.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rotation {
    /// The record; its event `log.key_rotated` stands in the log.
    pub id: Uuid,
    /// The key that was trusted before, as a C2SP vkey.
    #[schema(max_length = 500)]
    pub old_key: String,
    /// The key that took over.
    #[schema(max_length = 500)]
    pub new_key: String,
    /// A C2SP signed note, signed by both keys. Its text: `thidua.key-rotation/1`, the log's name, both keys, size and
    /// root of the checkpoint at which they changed; a line each.
    #[schema(max_length = 4000)]
    pub statement: String,
}

/// The keys of the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rotations {
    /// Each key that took over, oldest first; empty while the first key signs.
    #[schema(max_items = 10_000)]
    pub rotations: Vec<Rotation>,
}

/// Reads how the log's key changed: each key that took over, with the statement that the old and the new key signed.
///
/// Whoever trusts one of the old keys verifies each statement in turn and trusts the last new key then.
#[utoipa::path(tag = "events", responses((status = 200, body = Rotations)))]
#[get("/log/keys")]
pub async fn get_log_keys(app: App) -> Result<HttpResponse, Error> {
    let rotations = store::rotations(app.db.reader().conn()).await?.into_iter();
    let view = |row: store::log_key::Model| {
        let store::log_key::Model { id, old_key, new_key, statement, .. } = row;
        Rotation { id, old_key, new_key, statement }
    };
    Ok(HttpResponse::Ok().json(Rotations { rotations: rotations.map(view).collect() }))
}
