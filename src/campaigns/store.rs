//! Campaigns in SQL, and what their documents say. Documents never change, so what was read once is kept by hash.

use std::sync::Arc;

use chrono::NaiveDate;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::cache::Cache;
use super::{Definition, UnitsFile, definition as file};
use crate::db::constraint::translate;
use crate::db::{self, Conn, DocumentRef, Record, WriteTx, document, list::List};
use crate::error::{Code, Error, Fault};
use crate::http::page::{Found, Slice};
use crate::recommendations::rules::RuleSet;
use crate::record;
use crate::yaml::{Document, Finding};

record! {
    /// A campaign: its frame, and references to the documents that say the rest.
    campaign in "campaign", unit: |row| Some(row.owner_unit_id), campaign: |row| Some(row.id), day: |_| None, {
        public code: String,
        public [searched] title: Json,
        public starts_on: Date,
        public ends_on: Date,
        public owner_unit_id: Uuid,
        public definition: Json,
        public rule_sets: Json,
        public units: Json,
    }
}

/// A rule set of a campaign: an entry of the column `rule_sets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSetRef {
    /// The rounds that it serves.
    pub rounds: Vec<String>,
    /// Its own id.
    pub id: String,
    /// Its own version.
    pub version: String,
    /// SHA-256 of the canonical JSON of the whole file.
    pub hash: String,
    /// The file.
    #[serde(rename = "$ref")]
    pub document: DocumentRef,
}

impl campaign::Model {
    /// The campaign's rule sets.
    pub fn rule_set_refs(&self) -> Result<Vec<RuleSetRef>, Error> {
        Vec::deserialize(&self.rule_sets).map_err(Error::internal)
    }
}

/// What a list of campaigns is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// With this code.
    pub code: Option<String>,
    /// Run by this unit.
    pub owner: Option<Uuid>,
    /// With an event at this position or later.
    pub changed_since: Option<i64>,
}

/// One page of campaigns.
pub async fn page(conn: &impl Conn, filter: &Filter, slice: &Slice) -> Result<Found<campaign::Model>, Error> {
    List::<campaign::Entity>::all()
        .equal(campaign::Column::Code, filter.code.as_deref())
        .equal(campaign::Column::OwnerUnitId, filter.owner)
        .changed_since(filter.changed_since)
        .page(conn, campaign::Column::Id, slice)
        .await
}

/// One campaign.
pub async fn find(conn: &impl Conn, id: Uuid) -> Result<Option<campaign::Model>, Error> {
    campaign::Model::find(conn, id).await.map_err(translate)
}

/// The campaign of this code.
pub async fn find_code(conn: &impl Conn, code: &str) -> Result<Option<campaign::Model>, Error> {
    db::one(conn, campaign::Entity::find().filter(campaign::Column::Code.eq(code))).await.map_err(translate)
}

/// The row, to be changed in this transaction.
pub async fn locked(tx: &WriteTx<'_>, id: Uuid) -> Result<Option<campaign::Model>, Error> {
    campaign::Model::find_locked(tx.conn(), id).await.map_err(translate)
}

/// Campaigns are loaded one after another.
pub async fn lock_room(tx: &WriteTx<'_>) -> Result<(), Error> {
    tx.lock("campaigns").await
}

static DEFINITIONS: Cache<Definition> = Cache::new();
static RULE_SETS: Cache<RuleSet> = Cache::new();

/// What the campaign says today. An unknown campaign is an invalid value at `/campaign`.
pub async fn definition(conn: &impl Conn, campaign: Uuid) -> Result<Arc<Definition>, Error> {
    let row = find(conn, campaign).await?.ok_or_else(unknown_campaign)?;
    definition_of(conn, &row).await
}

/// What this row's documents say; the row may be the present one or one folded up to a position.
pub async fn definition_of(conn: &impl Conn, row: &campaign::Model) -> Result<Arc<Definition>, Error> {
    let said = DocumentRef::from_column(&row.definition)?;
    let units = DocumentRef::from_column(&row.units)?;
    let key = format!("{} {}", said.sha256, units.sha256);
    if let Some(known) = DEFINITIONS.get(&key) {
        return Ok(known);
    }
    let units = units_file(conn, &units).await?;
    let text = document::read(conn, &said).await?;
    let read = Document::parse(&text).map_err(|findings| unreadable(&findings))?;
    match file::read(&read, Some(&units.ids)) {
        (Some(definition), findings) if findings.is_empty() => Ok(DEFINITIONS.keep(key, definition)),
        (_, findings) => Err(unreadable(&findings)),
    }
}

/// The rule set that serves a round of the campaign today. An unknown round is an invalid value at `/round`.
pub async fn rule_set(conn: &impl Conn, campaign: Uuid, round: &str) -> Result<Arc<RuleSet>, Error> {
    let row = find(conn, campaign).await?.ok_or_else(unknown_campaign)?;
    rule_set_of(conn, &row, round).await
}

/// The rule set that serves a round, by this row.
pub async fn rule_set_of(conn: &impl Conn, row: &campaign::Model, round: &str) -> Result<Arc<RuleSet>, Error> {
    let mut refs = row.rule_set_refs()?.into_iter();
    let serving = refs.find(|rule_set| rule_set.rounds.iter().any(|known| known == round));
    let file = serving.ok_or_else(unknown_round)?.document;
    if let Some(known) = RULE_SETS.get(&file.sha256) {
        return Ok(known);
    }
    let text = document::read(conn, &file).await?;
    let rule_set = RuleSet::load(&text).map_err(|findings| unreadable(&findings))?;
    Ok(RULE_SETS.keep(file.sha256, rule_set))
}

/// The cut-off of a round as the filter of a list: whatever is dated up to that civil date. None if no round is asked
/// for. A round is known within its campaign only.
pub async fn cut_off(
    conn: &impl Conn,
    campaign: Option<Uuid>,
    round: Option<&str>,
) -> Result<Option<NaiveDate>, Error> {
    let Some(round) = round else { return Ok(None) };
    let Some(campaign) = campaign else {
        return Err(bad("query/round", "cần kèm phong trào", "needs the campaign"));
    };
    let said = definition(conn, campaign).await.map_err(|error| match error.code {
        Code::InvalidValue => bad("query/campaign", "không có phong trào này", "there is no such campaign"),
        _ => error,
    })?;
    match said.round(round) {
        Some(known) => Ok(Some(known.as_of)),
        None => Err(bad("query/round", "phong trào không có đợt này", "the campaign has no such round")),
    }
}

/// The round that a list of what belongs to rounds is narrowed to; refused as [`cut_off`] refuses it.
pub async fn round(conn: &impl Conn, campaign: Option<Uuid>, round: Option<String>) -> Result<Option<String>, Error> {
    cut_off(conn, campaign, round.as_deref()).await?;
    Ok(round)
}

fn bad(pointer: &'static str, vi: &'static str, en: &'static str) -> Error {
    Error::at(Code::InvalidQuery, Fault::new(pointer, vi, en))
}

/// The units as a campaign's folder gave them.
pub(super) async fn units_file(conn: &impl Conn, file: &DocumentRef) -> Result<UnitsFile, Error> {
    UnitsFile::stored(&document::read(conn, file).await?).map_err(|findings| unreadable(&findings))
}

/// A document was checked before it was stored, so only another version of the program can stumble over it.
fn unreadable(findings: &[Finding]) -> Error {
    let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Error::internal(format!("a stored document cannot be read: {}", told.join("; ")))
}

fn unknown_campaign() -> Error {
    Error::invalid("/campaign", "không có phong trào này", "there is no such campaign")
}

fn unknown_round() -> Error {
    Error::invalid("/round", "phong trào không có đợt này", "the campaign has no such round")
}
