//! Accounts, grants and `me` over HTTP.

use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::store::{self, account, role_grant};
use super::{AccountState, GrantDraft, GrantState};
use crate::auth::policy::permit::{ManageGrants, ReadGrants, ReadSelf};
use crate::auth::{Caller, Permission, Permit, Role};
use crate::clock::rfc3339;
use crate::db::idempotency::Answer;
use crate::db::{Outcome, WriteTx};
use crate::error::{Code, Error};
use crate::http::page::Page;
use crate::http::{
    App, Body, Call, IdempotencyKey, IfMatch, Listing, Operation, PathId, Query, Registry, Search, answer, changed,
    created, found,
};
use crate::log::http::{EventPage, History, history};
use crate::units;

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[
    Operation { id: "get_me", permission: Permission::ReadSelf, call: Call::Read, events: &[] },
    Operation { id: "list_accounts", permission: Permission::ReadGrants, call: Call::Read, events: &[] },
    Operation { id: "search_accounts", permission: Permission::ReadGrants, call: Call::Read, events: &[] },
    Operation { id: "get_account", permission: Permission::ReadGrants, call: Call::Read, events: &[] },
    Operation { id: "list_account_events", permission: Permission::ReadGrants, call: Call::Read, events: &[] },
    Operation { id: "list_grants", permission: Permission::ReadGrants, call: Call::Read, events: &[] },
    Operation { id: "get_grant", permission: Permission::ReadGrants, call: Call::Read, events: &[] },
    Operation { id: "list_grant_events", permission: Permission::ReadGrants, call: Call::Read, events: &[] },
    Operation {
        id: "give_grant",
        permission: Permission::ManageGrants,
        call: Call::Create,
        events: &["account.registered", "grant.given"],
    },
    Operation { id: "end_grant", permission: Permission::ManageGrants, call: Call::Change, events: &["grant.ended"] },
];

/// The routes of this room.
pub fn routes(config: &mut Registry) {
    config
        .service(get_me)
        .service(list_accounts)
        .service(search_accounts)
        .service(get_account)
        .service(list_account_events)
        .service(list_grants)
        .service(get_grant)
        .service(list_grant_events)
        .service(give_grant)
        .service(end_grant);
}

/// Who the caller is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// The account: the actor of one's events.
    pub account: Uuid,
    /// Grants valid today.
    #[schema(max_items = 1000)]
    pub grants: Vec<MyGrant>,
    /// Everything that some grant permits somewhere.
    #[schema(max_items = 100)]
    pub permissions: Vec<Permission>,
}

/// A grant of one's own.
#[derive(Debug, Serialize, ToSchema)]
pub struct MyGrant {
    /// The role.
    pub role: Role,
    /// The unit; null is every unit.
    pub unit: Option<Uuid>,
}

/// Says who the caller is and what the caller may do.
#[utoipa::path(tag = "access", responses((status = 200, body = Me)))]
#[get("/me")]
pub async fn get_me(permit: Permit<ReadSelf>) -> Result<HttpResponse, Error> {
    let caller = &permit.caller;
    let grants = caller.grants.iter().map(|held| MyGrant { role: held.role, unit: held.unit }).collect();
    let permissions = Permission::ALL.iter().copied().filter(|permission| caller.holds(*permission)).collect();
    Ok(HttpResponse::Ok().json(Me { account: caller.account, grants, permissions }))
}

/// An account as administrators and auditors see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountView {
    /// The actor's id in events.
    pub id: Uuid,
    /// The token's `iss`.
    #[schema(max_length = 255)]
    pub issuer: String,
    /// The token's `sub`; null after erasure.
    #[schema(max_length = 255)]
    pub subject: Option<String>,
    /// A name for lists.
    #[schema(max_length = 200)]
    pub label: Option<String>,
    /// Whether it may call.
    pub state: AccountState,
    /// Version; the first part of the ETag.
    pub version: i64,
    /// Time of the first event, UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
}

impl AccountView {
    fn new(row: account::Model) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            issuer: row.issuer,
            subject: row.subject,
            label: row.label,
            state: AccountState::parse(&row.state).ok_or_else(|| Error::internal("an unknown state"))?,
            version: row.version,
            created_at: rfc3339(row.created_at),
        })
    }
}

/// Filters of the list of accounts.
#[derive(Debug, Deserialize, Validate, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AccountQuery {
    /// With a grant for this unit that is valid today.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// With a grant, valid today, for this unit or one that it covers.
    #[garde(skip)]
    within: Option<Uuid>,
    /// In this state.
    #[garde(skip)]
    state: Option<AccountState>,
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
pub type AccountSearch = Search<AccountQuery>;

/// Lists accounts.
#[utoipa::path(tag = "access", params(AccountQuery), responses((status = 200, body = Page<AccountView>)))]
#[get("/accounts")]
pub async fn list_accounts(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadGrants>,
    query: Query<AccountQuery>,
) -> Result<HttpResponse, Error> {
    let listing = Listing::new(&request, &app, query.0.cursor.as_deref(), query.0.limit)?;
    accounts(&app, &permit, &listing, query.0).await
}

/// Finds accounts by words of their labels, in Vietnamese order.
#[utoipa::path(tag = "access", request_body = AccountSearch, responses((status = 200, body = Page<AccountView>)))]
#[post("/accounts:search")]
pub async fn search_accounts(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadGrants>,
    search: AccountSearch,
) -> Result<HttpResponse, Error> {
    let listing = Listing::search(&request, &app, &search)?;
    accounts(&app, &permit, &listing, search.filter).await
}

async fn accounts(
    app: &App,
    permit: &Permit<ReadGrants>,
    listing: &Listing<'_>,
    query: AccountQuery,
) -> Result<HttpResponse, Error> {
    app.db.settle().await?;
    let caller = &permit.caller;
    let filter = store::AccountFilter {
        unit: query.unit,
        within: query.within.map(|unit| caller.under(unit)),
        state: query.state,
        changed_since: query.changed_since,
    };
    let found = store::accounts(app.db.reader().conn(), &filter, caller.today, &listing.slice).await?;
    listing.answer(found, |row| row.id, AccountView::new)
}

/// Reads an account.
#[utoipa::path(tag = "access", params(("id" = Uuid, Path)), responses((status = 200, body = AccountView)))]
#[get("/accounts/{id}")]
pub async fn get_account(
    request: HttpRequest,
    app: App,
    _permit: Permit<ReadGrants>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    let row = store::find_account(app.db.reader().conn(), id.0).await?.ok_or(Code::NotFound)?;
    found(&request, row.version, &AccountView::new(row.clone())?)
}

/// Reads an account's history.
#[utoipa::path(tag = "access", params(("id" = Uuid, Path), History), responses((status = 200, body = EventPage)))]
#[get("/accounts/{id}/events")]
pub async fn list_account_events(
    request: HttpRequest,
    app: App,
    _permit: Permit<ReadGrants>,
    id: PathId,
    query: Query<History>,
) -> Result<HttpResponse, Error> {
    store::find_account(app.db.reader().conn(), id.0).await?.ok_or(Code::NotFound)?;
    history(&request, &app, id.0, query.0).await
}

/// A grant as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct GrantView {
    /// Identity.
    pub id: Uuid,
    /// Who holds it.
    pub account: Uuid,
    /// The role.
    #[schema(value_type = Role)]
    pub role: String,
    /// The unit whose subtree it reaches; null is every unit.
    pub unit: Option<Uuid>,
    /// First day.
    pub valid_from: NaiveDate,
    /// Last day; open if null.
    pub valid_to: Option<NaiveDate>,
    /// How it stands today.
    pub state: GrantState,
    /// Why it was last ended or cut short; personal. Null if it was not, and once erased.
    #[schema(max_length = 1000)]
    pub end_reason: Option<String>,
    /// What the caller may do now.
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

impl GrantView {
    fn new(row: &role_grant::Model, caller: &Caller) -> Self {
        let state = GrantState::of(row.valid_from, row.valid_to, caller.today);
        let may_end = caller.holds(Permission::ManageGrants) && state != GrantState::Ended;
        Self {
            id: row.id,
            account: row.account_id,
            role: row.role.clone(),
            unit: row.unit_id,
            valid_from: row.valid_from,
            valid_to: row.valid_to,
            state,
            end_reason: row.end_reason.clone(),
            allowed_actions: if may_end { vec!["end"] } else { vec![] },
            version: row.version,
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
        }
    }
}

/// Filters of the list of grants.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GrantQuery {
    /// Of this account.
    #[garde(skip)]
    account: Option<Uuid>,
    /// For this unit.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// For this unit or one that it covers today.
    #[garde(skip)]
    within: Option<Uuid>,
    /// Of this role.
    #[garde(skip)]
    role: Option<Role>,
    /// As they stand today.
    #[garde(skip)]
    state: Option<GrantState>,
    /// With an event at this log position or later.
    #[garde(range(min = 0, max = 9_007_199_254_740_991))]
    #[param(minimum = 0, maximum = 9007199254740991_i64)]
    changed_since: Option<i64>,
    /// Items per page.
    #[garde(range(min = 1, max = 200))]
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u64>,
    /// From `next_cursor` or `prev_cursor`.
    #[garde(length(max = 200))]
    #[param(max_length = 200)]
    cursor: Option<String>,
}

/// Lists grants.
#[utoipa::path(tag = "access", params(GrantQuery), responses((status = 200, body = Page<GrantView>)))]
#[get("/grants")]
pub async fn list_grants(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadGrants>,
    query: Query<GrantQuery>,
) -> Result<HttpResponse, Error> {
    let query = query.0;
    let listing = Listing::new(&request, &app, query.cursor.as_deref(), query.limit)?;
    app.db.settle().await?;
    let caller = &permit.caller;
    let filter = store::GrantFilter {
        account: query.account,
        unit: query.unit,
        within: query.within.map(|unit| caller.under(unit)),
        role: query.role,
        state: query.state,
        changed_since: query.changed_since,
    };
    let found = store::page(app.db.reader().conn(), &filter, caller.today, &listing.slice).await?;
    listing.answer(found, |row| row.id, |row| Ok(GrantView::new(&row, caller)))
}

/// Reads a grant.
#[utoipa::path(tag = "access", params(("id" = Uuid, Path)), responses((status = 200, body = GrantView)))]
#[get("/grants/{id}")]
pub async fn get_grant(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadGrants>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    let row = store::find(app.db.reader().conn(), id.0).await?.ok_or(Code::NotFound)?;
    found(&request, row.version, &GrantView::new(&row, &permit.caller))
}

/// Reads a grant's history.
#[utoipa::path(tag = "access", params(("id" = Uuid, Path), History), responses((status = 200, body = EventPage)))]
#[get("/grants/{id}/events")]
pub async fn list_grant_events(
    request: HttpRequest,
    app: App,
    _permit: Permit<ReadGrants>,
    id: PathId,
    query: Query<History>,
) -> Result<HttpResponse, Error> {
    store::find(app.db.reader().conn(), id.0).await?.ok_or(Code::NotFound)?;
    history(&request, &app, id.0, query.0).await
}

/// Gives a role to an account; the account is registered if it is new.
#[utoipa::path(tag = "access", request_body = GrantDraft, responses((status = 201, body = GrantView)))]
#[post("/grants")]
pub async fn give_grant(
    app: App,
    permit: Permit<ManageGrants>,
    key: IdempotencyKey,
    body: Body<GrantDraft>,
) -> Result<HttpResponse, Error> {
    let today = permit.caller.today;
    body.value.check(today)?;
    let once = key.once("give_grant", body.digest);
    let stored = app.db.record_once(&permit.context, &once, async |tx: &WriteTx<'_>| {
        if let Some(unit) = body.value.unit {
            units::store::find(tx.conn(), unit)
                .await?
                .ok_or_else(|| Error::invalid("/unit", "không có đơn vị này", "there is no such unit"))?;
        }
        let account = store::account_for(tx, &body.value).await?;
        store::not_given(tx, account.id, &body.value, today).await?;
        let row = store::give(tx, account.id, &body.value, today).await?;
        let answer = created(format!("/v1/grants/{}", row.id), row.version, &GrantView::new(&row, &permit.caller))?;
        // It shows whose account it is, and is forgotten with that.
        Ok(Answer { subject: Some(account.id), ..answer })
    });
    Ok(answer(stored.await?))
}

/// The end of a grant.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "reason": "Chuyển công tác" }))]
pub struct GrantEnding {
    /// Why.
    #[garde(length(chars, min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
    /// Its last day, not after the present one; yesterday if absent, so that it ends at once.
    #[serde(default)]
    #[garde(skip)]
    pub last_day: Option<NaiveDate>,
}

/// Ends a grant.
#[utoipa::path(tag = "access", params(("id" = Uuid, Path)), request_body = GrantEnding, responses((status = 200, body = GrantView)))]
#[post("/grants/{id}:end")]
pub async fn end_grant(
    app: App,
    permit: Permit<ManageGrants>,
    id: PathId,
    if_match: IfMatch,
    body: Body<GrantEnding>,
) -> Result<HttpResponse, Error> {
    let today = permit.caller.today;
    let yesterday = today.pred_opt().ok_or_else(|| Error::internal("today has a day before"))?;
    let last = body.value.last_day.unwrap_or(yesterday);
    if last < yesterday {
        let (vi, en) = ("không thể kết thúc trong quá khứ", "a grant cannot end in the past");
        return Err(Error::invalid("/last_day", vi, en));
    }
    let row = app.db.record(&permit.context, async |tx: &WriteTx<'_>| {
        let old = store::locked(tx, id.0).await?;
        if_match.check(old.version, || Ok(GrantView::new(&old, &permit.caller)))?;
        if GrantState::of(old.valid_from, old.valid_to, today) == GrantState::Ended {
            return Err(Error::new(Code::InvalidTransition).member("allowed_actions", Vec::<String>::new()));
        }
        if old.valid_to.is_some_and(|to| last > to) {
            let (vi, en) = ("sau ngày cuối hiện nay", "is after its present last day: an end prolongs nothing");
            return Err(Error::invalid("/last_day", vi, en));
        }
        Ok(Outcome::Changed(store::end(tx, &old, last, &body.value.reason).await?))
    });
    let row = row.await?;
    changed(row.version, &GrantView::new(&row, &permit.caller))
}
