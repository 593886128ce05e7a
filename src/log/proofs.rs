//! What proves the log, over HTTP: checkpoints, hash tiles, consistency and the policy for anybody, in the formats and
//! under the paths of C2SP's tlog-tiles; the events themselves for those who may read them.

use actix_web::http::header::{self, ContentDisposition, DispositionParam, DispositionType};
use actix_web::{HttpResponse, get, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::keys::http::get_log_keys;
use super::proof::tile::{Tile, TilePath, encode_entries, encode_tile};
use super::proof::tlog_proof::TlogProof;
use super::prove;
use super::signer::{Signed, Signer};
use super::store::{self, Filter, Range};
use crate::auth::policy::permit::{ReadEvents, ReadLog};
use crate::auth::{Permission, Permit};
use crate::canonical::MAX_SAFE;
use crate::error::{Code, Error, Fault};
use crate::http::{App, Call, Operation, PathId, Query, Registry, Shared};

/// What the contract says of each operation that needs a permission.
pub const OPERATIONS: &[Operation] = &[
    Operation { id: "get_log_entries", permission: Permission::ReadLog, call: Call::Read, events: &[] },
    Operation { id: "get_event_proof", permission: Permission::ReadEvents, call: Call::Read, events: &[] },
];

/// Operations that anybody may call: they tell hashes and sizes, and who signed them.
pub const PUBLIC: &[&str] =
    &["get_log_checkpoint", "get_log_tile", "get_log_consistency", "get_log_policy", "get_log_keys"];

/// The last part of a tile's path has slashes in it.
pub const TAILED: &[&str] = &["/v1/log/tile/{level}/{index}", "/v1/log/tile/entries/{index}"];

/// The routes of this room.
pub fn routes(config: &mut Registry) {
    config
        .service(get_log_checkpoint)
        .service(get_log_entries)
        .service(get_log_tile)
        .service(get_log_consistency)
        .service(get_log_policy)
        .service(get_log_keys)
        .service(get_event_proof);
}

const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";
/// A tile of these coordinates has these bytes for ever.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The signer, where the service has a key.
pub fn signer(app: &Shared) -> Result<&Signer, Error> {
    app.signer.as_deref().ok_or_else(|| Code::NotSigned.into())
}

/// Reads the newest signed checkpoint: a C2SP signed note with the log's name, its size and its root.
///
/// Signed once a second while events come, of committed events only. Cosignatures of witnesses stand under it as they
/// come in: the newest checkpoint may not have all yet that the policy asks for.
#[utoipa::path(tag = "events", responses((status = 200, body = String, content_type = "text/plain")))]
#[get("/log/checkpoint")]
pub async fn get_log_checkpoint(app: App) -> Result<HttpResponse, Error> {
    let signed = signer(&app)?.newest().await?;
    Ok(HttpResponse::Ok().content_type(TEXT).insert_header((header::CACHE_CONTROL, "no-cache")).body(signed.note))
}

/// Reads whose signatures are enough: a C2SP tlog-policy, to be kept by whoever verifies.
#[utoipa::path(tag = "events", responses((status = 200, body = String, content_type = "text/plain")))]
#[get("/log/policy")]
pub async fn get_log_policy(app: App) -> Result<HttpResponse, Error> {
    Ok(HttpResponse::Ok().content_type(TEXT).body(signer(&app)?.policy().to_owned()))
}

/// Reads a tile of hashes: 32 bytes each, up to 256 of them.
///
/// `index` is written as C2SP tlog-tiles writes it: groups of three digits, all but the last with an `x` before them,
/// and `.p/W` behind it for a tile that has only W hashes.
#[utoipa::path(tag = "events", params(
    ("level" = String, Path, description = "0 for the hashes of events, 1 for the roots of full tiles below, up to 5", pattern = "^[0-5]$", example = "0"),
    ("index" = String, Path, description = "The place within the level", pattern = r"^(x[0-9]{3}/)*[0-9]{3}(\.p/[0-9]{1,3})?$", max_length = 40, example = "000.p/1"),
), responses((status = 200, body = String, content_type = "application/octet-stream")))]
#[get("/log/tile/{level}/{index:.*}")]
pub async fn get_log_tile(app: App, path: web::Path<(String, String)>) -> Result<HttpResponse, Error> {
    let (level, index) = path.into_inner();
    let Ok(TilePath::Hashes(tile)) = format!("tile/{level}/{index}").parse() else { return Err(Code::NotFound.into()) };
    let size = signer(&app)?.newest().await?.checkpoint.size();
    if !is_there(tile, size) {
        return Err(Code::NotFound.into());
    }
    let hashes = prove::tile(app.db.reader().conn(), tile).await?;
    Ok(HttpResponse::Ok()
        .content_type(BYTES)
        .insert_header((header::CACHE_CONTROL, FOR_EVER))
        .body(encode_tile(&hashes)))
}

/// Reads a bundle of events: up to 256 leaves, each after its length in two bytes.
///
/// `index` is written as for hash tiles.
#[utoipa::path(tag = "events", params(
    ("index" = String, Path, description = "The place of the bundle", pattern = r"^(x[0-9]{3}/)*[0-9]{3}(\.p/[0-9]{1,3})?$", max_length = 40, example = "000.p/1"),
), responses((status = 200, body = String, content_type = "application/octet-stream")))]
#[get("/log/tile/entries/{index:.*}")]
pub async fn get_log_entries(
    app: App,
    _permit: Permit<ReadLog>,
    index: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let Ok(TilePath::Entries(tile)) = format!("tile/entries/{index}").parse() else {
        return Err(Code::NotFound.into());
    };
    let size = signer(&app)?.newest().await?.checkpoint.size();
    let range = tile.children().filter(|_| is_there(tile, size)).ok_or(Code::NotFound)?;
    let before = i64::try_from(range.start).map_err(Error::internal)? - 1;
    let leaves = store::leaves(app.db.reader().conn(), before, u64::from(tile.width())).await?;
    let leaves: Vec<Vec<u8>> = leaves.into_iter().map(|leaf| leaf.leaf).collect();
    // Not for caches that others read: the events are for those who may read the log.
    let private = "private, max-age=31536000, immutable";
    let body = encode_entries(&leaves).map_err(Error::internal)?;
    Ok(HttpResponse::Ok().content_type(BYTES).insert_header((header::CACHE_CONTROL, private)).body(body))
}

/// True if a log of `size` events has this tile, at least as wide.
fn is_there(tile: Tile, size: u64) -> bool {
    Tile::at_size(tile.level(), tile.index(), size).is_some_and(|now| now.width() >= tile.width())
}

/// Two sizes of the log.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConsistencyQuery {
    /// Size of the older checkpoint.
    #[garde(range(min = 0, max = MAX_SAFE))]
    #[param(minimum = 0)]
    from: i64,
    /// Size of the newer checkpoint, at most that of the newest.
    #[garde(range(min = 0, max = MAX_SAFE))]
    #[param(minimum = 0)]
    to: i64,
}

/// A proof that one tree continues another (RFC 9162, 2.1.4).
#[derive(Debug, Serialize, ToSchema)]
pub struct Consistency {
    /// Size of the older tree.
    #[schema(minimum = 0, example = 3)]
    pub from: u64,
    /// Size of the newer tree.
    #[schema(minimum = 0, example = 7)]
    pub to: u64,
    /// The hashes, in the order in which they are used, base64.
    #[schema(max_items = 64)]
    pub hashes: Vec<String>,
}

/// Proves that the log of one size continues that of another: nothing was changed, dropped or put in between.
#[utoipa::path(tag = "events", params(ConsistencyQuery), responses((status = 200, body = Consistency)))]
#[get("/log/consistency")]
pub async fn get_log_consistency(app: App, query: Query<ConsistencyQuery>) -> Result<HttpResponse, Error> {
    let size = signer(&app)?.newest().await?.checkpoint.size();
    let number = |value: i64| u64::try_from(value).map_err(Error::internal);
    let (from, to) = (number(query.0.from)?, number(query.0.to)?);
    let refused = |name: &str, vi: &'static str, en: &'static str| {
        Err(Error::at(Code::InvalidQuery, Fault::new(format!("query/{name}"), vi, en)))
    };
    if from > to {
        return refused("from", "lớn hơn `to`", "is greater than `to`");
    }
    if to > size {
        return refused("to", "lớn hơn mốc đã ký mới nhất", "is greater than the newest checkpoint");
    }
    let hashes = prove::consistency(app.db.reader().conn(), from, to).await?;
    let base64 = |hash: &[u8; 32]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hash);
    Ok(HttpResponse::Ok().json(Consistency { from, to, hashes: hashes.iter().map(base64).collect() }))
}

/// Proves that an event stands in the log: a `.tlog-proof` file (C2SP tlog-proof) with a checkpoint signed by now.
///
/// The checkpoint is the newest one that is enough by the policy; where the policy asks for witnesses and they have not
/// cosigned the event within three seconds, the answer is 503 `busy`. It is checked with the event's `leaf` and the policy; `thidua log verify proof` and `docs/verify.py` do so.
#[utoipa::path(tag = "events", params(("id" = uuid::Uuid, Path)), responses((status = 200, body = String, content_type = "text/plain")))]
#[get("/events/{id}/proof")]
pub async fn get_event_proof(app: App, permit: Permit<ReadEvents>, id: PathId) -> Result<HttpResponse, Error> {
    let filter = Filter { event: Some(id.0), ..Filter::default() };
    let range = Range { after: None, before: None, descending: false, limit: 1 };
    let find = async || store::read(app.db.reader().conn(), &filter, &permit.scope(), range).await;
    let mut found = find().await?;
    if found.rows.is_empty() {
        // It may have been committed just now; whoever read it before need not wait for what came since.
        app.db.settle().await?;
        found = find().await?;
    }
    let position = found.rows.first().map(|row| row.seq).ok_or(Code::NotFound)?;
    let proof = event_proof(&app, position).await?;
    let name = DispositionParam::Filename(format!("{}.tlog-proof", id.0));
    let disposition = ContentDisposition { disposition: DispositionType::Attachment, parameters: vec![name] };
    Ok(HttpResponse::Ok().content_type(TEXT).insert_header((header::CONTENT_DISPOSITION, disposition)).body(proof))
}

/// The proof of the event at a position, which is sealed.
pub async fn event_proof(app: &Shared, position: i64) -> Result<String, Error> {
    let index = u64::try_from(position).map_err(Error::internal)?;
    let signer = signer(app)?;
    let Signed { checkpoint, note } = signer.enough(index + 1).await?;
    let hashes = signer.edge().inclusion(app.db.reader().conn(), index, &checkpoint).await?;
    TlogProof::new(index, hashes, &note).map(|proof| proof.to_string()).map_err(Error::internal)
}
