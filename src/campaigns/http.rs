//! Campaigns over HTTP: every grant holder reads them; they change by loading a folder at the console.

use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::definition::{LegalBasis, OpenReading, Text};
use super::store::{self, Filter, campaign};
use super::{ActivityKind, AttestingBody, AwardForm, Clause, Definition, Named, Round};
use crate::auth::policy::permit::ReadCampaigns;
use crate::auth::{Permission, Permit};
use crate::clock::rfc3339;
use crate::db::DocumentRef;
use crate::error::{Code, Error};
use crate::http::page::Page;
use crate::http::{App, Call, Listing, Operation, PathId, Query, Registry, Search, found};
use crate::log::http::{EventPage, History, history};

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[
    Operation { id: "list_campaigns", permission: Permission::ReadCampaigns, call: Call::Read, events: &[] },
    Operation { id: "search_campaigns", permission: Permission::ReadCampaigns, call: Call::Read, events: &[] },
    Operation { id: "get_campaign", permission: Permission::ReadCampaigns, call: Call::Read, events: &[] },
    Operation { id: "list_campaign_clauses", permission: Permission::ReadCampaigns, call: Call::Read, events: &[] },
    Operation { id: "list_campaign_events", permission: Permission::ReadCampaigns, call: Call::Read, events: &[] },
];

/// The routes of this room.
pub fn routes(config: &mut Registry) {
    config
        .service(list_campaigns)
        .service(search_campaigns)
        .service(get_campaign)
        .service(list_campaign_clauses)
        .service(list_campaign_events);
}

/// A rule set of a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleSetView {
    /// The rounds that it serves.
    #[schema(max_items = 1000)]
    pub rounds: Vec<String>,
    /// Its own id.
    #[schema(max_length = 100, example = "vn.sonla.quynhnhai.vi-nguoi-ngheo.2021-2025")]
    pub id: String,
    /// Its own version.
    #[schema(max_length = 100, example = "0.1.0")]
    pub version: String,
    /// SHA-256 of the canonical JSON of the whole file; recommendations name it.
    #[schema(min_length = 64, max_length = 64)]
    pub hash: String,
    /// SHA-256 of the file's bytes.
    #[schema(min_length = 64, max_length = 64)]
    pub content_sha256: String,
}

/// A campaign in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "01a205b3-d001-7306-a710-04bdc8a0a609", "code": "quynh-nhai-2021-2025",
    "title": { "vi": "Phong trào thi đua vì người nghèo", "en": "Emulation movement for the poor" },
    "starts_on": "2021-01-01", "ends_on": "2025-12-31", "owner": "01a205b3-d003-746c-a14a-84feeb771a10",
    "content_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "rule_sets": [], "allowed_actions": [], "version": 1,
    "created_at": "2026-01-01T00:00:00.000000Z", "updated_at": "2026-01-01T00:00:00.000000Z"
}))]
pub struct CampaignSummary {
    /// Identity, for ever.
    pub id: Uuid,
    /// A readable name.
    #[schema(max_length = 100, example = "quynh-nhai-2021-2025")]
    pub code: String,
    /// The campaign's name.
    pub title: Text,
    /// First day.
    pub starts_on: NaiveDate,
    /// Last day.
    pub ends_on: NaiveDate,
    /// The unit that runs it.
    pub owner: Uuid,
    /// SHA-256 of the campaign file's bytes.
    #[schema(min_length = 64, max_length = 64)]
    pub content_sha256: String,
    /// Its rule sets.
    #[schema(max_items = 1000)]
    pub rule_sets: Vec<RuleSetView>,
    /// What the caller may do now: a campaign changes at the console only.
    #[schema(max_items = 10)]
    pub allowed_actions: Vec<&'static str>,
    /// Version; the first part of the ETag.
    pub version: i64,
    /// Time of the first event, UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Time of the newest event, UTC.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

impl CampaignSummary {
    fn new(row: &campaign::Model) -> Result<Self, Error> {
        let view = |rule_set: store::RuleSetRef| RuleSetView {
            rounds: rule_set.rounds,
            id: rule_set.id,
            version: rule_set.version,
            hash: rule_set.hash,
            content_sha256: rule_set.document.sha256,
        };
        Ok(Self {
            id: row.id,
            code: row.code.clone(),
            title: Text::deserialize(&row.title).map_err(Error::internal)?,
            starts_on: row.starts_on,
            ends_on: row.ends_on,
            owner: row.owner_unit_id,
            content_sha256: DocumentRef::from_column(&row.definition)?.sha256,
            rule_sets: row.rule_set_refs()?.into_iter().map(view).collect(),
            allowed_actions: vec![],
            version: row.version,
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
        })
    }
}

/// A campaign with everything but its clauses.
#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignView {
    /// As in a list.
    #[serde(flatten)]
    pub summary: CampaignSummary,
    /// Movements that it is linked with.
    #[schema(max_items = 1000)]
    pub linked_movements: Vec<Named>,
    /// Rounds in order of time.
    #[schema(max_items = 1000)]
    pub rounds: Vec<Round>,
    /// Forms of award, from low to high.
    #[schema(max_items = 1000)]
    pub award_forms: Vec<AwardForm>,
    /// Emulation titles, another list.
    #[schema(max_items = 1000)]
    pub titles: Vec<Named>,
    /// Kinds of activity.
    #[schema(max_items = 1000)]
    pub activity_kinds: Vec<ActivityKind>,
    /// Kinds of support.
    #[schema(max_items = 1000)]
    pub support_kinds: Vec<Named>,
    /// Where or who beneficiaries are.
    #[schema(max_items = 1000)]
    pub beneficiary_areas: Vec<Named>,
    /// Bodies that answer, with their holders by date.
    #[schema(max_items = 1000)]
    pub attesting_bodies: Vec<AttestingBody>,
    /// Legal documents with their validity.
    #[schema(max_items = 1000)]
    pub legal_bases: Vec<LegalBasis>,
    /// What nobody has decided yet.
    #[schema(max_items = 1000)]
    pub readings_open: Vec<OpenReading>,
}

impl CampaignView {
    fn new(row: &campaign::Model, definition: &Definition) -> Result<Self, Error> {
        Ok(Self {
            summary: CampaignSummary::new(row)?,
            linked_movements: definition.linked_movements.clone(),
            rounds: definition.rounds.clone(),
            award_forms: definition.award_forms.clone(),
            titles: definition.titles.clone(),
            activity_kinds: definition.activity_kinds.clone(),
            support_kinds: definition.support_kinds.clone(),
            beneficiary_areas: definition.beneficiary_areas.clone(),
            attesting_bodies: definition.attesting_bodies.clone(),
            legal_bases: definition.legal_bases.clone(),
            readings_open: definition.readings_open.clone(),
        })
    }
}

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CampaignQuery {
    /// With this code.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    #[schema(min_length = 1, max_length = 100)]
    code: Option<String>,
    /// Run by this unit.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// With an event at this log position or later.
    #[garde(range(min = 0, max = 9_007_199_254_740_991))]
    #[param(minimum = 0, maximum = 9007199254740991_i64)]
    #[schema(minimum = 0, maximum = 9007199254740991_i64)]
    changed_since: Option<i64>,
    /// Items per page.
    #[garde(range(min = 1, max = 200))]
    #[param(minimum = 1, maximum = 200)]
    #[schema(minimum = 1, maximum = 200)]
    limit: Option<u64>,
    /// From `next_cursor` or `prev_cursor`.
    #[garde(length(max = 1000))]
    #[param(max_length = 1000)]
    #[schema(max_length = 1000)]
    cursor: Option<String>,
}

/// A search among them.
pub type CampaignSearch = Search<CampaignQuery>;

/// Lists campaigns.
#[utoipa::path(tag = "campaigns", params(CampaignQuery), responses((status = 200, body = Page<CampaignSummary>)))]
#[get("/campaigns")]
pub async fn list_campaigns(
    request: HttpRequest,
    app: App,
    _permit: Permit<ReadCampaigns>,
    query: Query<CampaignQuery>,
) -> Result<HttpResponse, Error> {
    let listing = Listing::new(&request, &app, query.0.cursor.as_deref(), query.0.limit)?;
    list(&app, &listing, query.0).await
}

/// Finds campaigns by words of their titles, in Vietnamese order.
#[utoipa::path(tag = "campaigns", request_body = CampaignSearch, responses((status = 200, body = Page<CampaignSummary>)))]
#[post("/campaigns:search")]
pub async fn search_campaigns(
    request: HttpRequest,
    app: App,
    _permit: Permit<ReadCampaigns>,
    search: CampaignSearch,
) -> Result<HttpResponse, Error> {
    let listing = Listing::search(&request, &app, &search)?;
    list(&app, &listing, search.filter).await
}

async fn list(app: &App, listing: &Listing<'_>, query: CampaignQuery) -> Result<HttpResponse, Error> {
    app.db.settle().await?;
    let filter = Filter { code: query.code, owner: query.unit, changed_since: query.changed_since };
    let found = store::page(app.db.reader().conn(), &filter, &listing.slice).await?;
    listing.answer(found, |row| row.id, |row| CampaignSummary::new(&row))
}

/// Reads a campaign.
#[utoipa::path(tag = "campaigns", params(("id" = Uuid, Path)), responses((status = 200, body = CampaignView)))]
#[get("/campaigns/{id}")]
pub async fn get_campaign(
    request: HttpRequest,
    app: App,
    _permit: Permit<ReadCampaigns>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    let reader = app.db.reader();
    let row = store::find(reader.conn(), id.0).await?.ok_or(Code::NotFound)?;
    let definition = store::definition_of(reader.conn(), &row).await?;
    found(&request, row.version, &CampaignView::new(&row, &definition)?)
}

/// The clauses of a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClauseList {
    /// The clauses, each after its parent.
    #[schema(max_items = 1000)]
    pub items: Vec<Clause>,
}

/// Lists the clauses of a campaign in own words.
#[utoipa::path(tag = "campaigns", params(("id" = Uuid, Path)), responses((status = 200, body = ClauseList)))]
#[get("/campaigns/{id}/clauses")]
pub async fn list_campaign_clauses(
    request: HttpRequest,
    app: App,
    _permit: Permit<ReadCampaigns>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    let reader = app.db.reader();
    let row = store::find(reader.conn(), id.0).await?.ok_or(Code::NotFound)?;
    let definition = store::definition_of(reader.conn(), &row).await?;
    found(&request, row.version, &ClauseList { items: definition.clauses.clone() })
}

/// Reads a campaign's history.
#[utoipa::path(tag = "campaigns", params(("id" = Uuid, Path), History), responses((status = 200, body = EventPage)))]
#[get("/campaigns/{id}/events")]
pub async fn list_campaign_events(
    request: HttpRequest,
    app: App,
    _permit: Permit<ReadCampaigns>,
    id: PathId,
    query: Query<History>,
) -> Result<HttpResponse, Error> {
    store::find(app.db.reader().conn(), id.0).await?.ok_or(Code::NotFound)?;
    history(&request, &app, id.0, query.0).await
}
