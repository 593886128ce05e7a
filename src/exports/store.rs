//! Exports in SQL.

use sea_orm::ColumnTrait;
use serde_json::Value;
use uuid::Uuid;

use super::{ExportDraft, ExportFormat, ExportPurpose};
use crate::db::constraint::translate;
use crate::db::{Conn, Event, Record, WriteTx, list::List};
use crate::error::Error;
use crate::http::page::{Found, Slice};
use crate::log::store::Filter as Events;
use crate::{id, record};

record! {
    /// A stretch of the log that was asked for.
    export in "export", unit: |_| None, campaign: |_| None, day: |_| None, {
        internal format: String,
        internal purpose: String,
        internal from_position: i64,
        internal to_position: i64,
        internal requested_by: Option<Uuid>,
        internal only_record: Option<Uuid>,
        internal only_type: Option<String>,
        internal only_actor: Option<Uuid>,
        internal only_unit: Option<Uuid>,
        internal only_campaign: Option<Uuid>,
    }
}

impl export::Model {
    /// The form as a word.
    pub fn format(&self) -> Result<ExportFormat, Error> {
        ExportFormat::parse(&self.format).ok_or_else(|| Error::internal("an unknown format"))
    }

    /// The purpose as a word.
    pub fn purpose(&self) -> Result<ExportPurpose, Error> {
        ExportPurpose::parse(&self.purpose).ok_or_else(|| Error::internal("an unknown purpose"))
    }

    /// Which events it has, between its positions.
    pub fn filter(&self) -> Events {
        Events {
            record: self.only_record,
            kind: self.only_type.clone(),
            actor: self.only_actor,
            unit: self.only_unit,
            campaign: self.only_campaign,
            ..Events::default()
        }
    }
}

/// Writes down that a stretch up to `to`, the size of a signed checkpoint, was asked for.
pub async fn request(tx: &WriteTx<'_>, draft: &ExportDraft, to: i64) -> Result<export::Model, Error> {
    let export = export::Model {
        id: id::new_id(),
        version: 0,
        tip: Vec::new(),
        commitments: Value::Null,
        created_at: 0,
        updated_at: 0,
        format: draft.format.as_str().to_owned(),
        purpose: draft.purpose.as_str().to_owned(),
        from_position: draft.from.unwrap_or(0),
        to_position: to,
        requested_by: tx.account(),
        only_record: draft.record,
        only_type: draft.r#type.clone(),
        only_actor: draft.actor,
        only_unit: draft.unit,
        only_campaign: draft.campaign,
    };
    tx.insert(export, Event::new("export.requested")).await
}

/// One export.
pub async fn find(conn: &impl Conn, id: Uuid) -> Result<Option<export::Model>, Error> {
    export::Model::find(conn, id).await.map_err(translate)
}

/// What a list is narrowed to.
#[derive(Clone, Debug)]
pub struct Filter {
    /// In this form.
    pub format: Option<ExportFormat>,
    /// For this purpose.
    pub purpose: Option<ExportPurpose>,
    /// Asked for by this account.
    pub requested_by: Option<Uuid>,
    /// With an event at this position or later.
    pub changed_since: Option<i64>,
}

/// One page of exports.
pub async fn page(conn: &impl Conn, filter: &Filter, slice: &Slice) -> Result<Found<export::Model>, Error> {
    List::<export::Entity>::all()
        .equal(export::Column::Format, filter.format.map(ExportFormat::as_str))
        .equal(export::Column::Purpose, filter.purpose.map(ExportPurpose::as_str))
        .equal(export::Column::RequestedBy, filter.requested_by)
        .changed_since(filter.changed_since)
        .page(conn, export::Column::Id, slice)
        .await
}
