//! Erasures in SQL.

use serde_json::Value;
use uuid::Uuid;

use super::{ErasureBasis, ErasureDraft};
use crate::db::constraint::translate;
use crate::db::{Conn, Erased, Event, Record, WriteTx, list::List};
use crate::error::Error;
use crate::http::page::{Found, Slice};
use crate::log::erased::fingerprint;
use crate::{id, record};

record! {
    /// That the personal values of a record went.
    erasure in "erasure", unit: |_| None, campaign: |_| None, day: |_| None, {
        internal subject_type: String,
        internal subject_id: Uuid,
        internal digests: i64,
        internal digests_sha256: String,
        internal legal_basis: String,
        personal erase_reason: Option<String>,
    }
}

/// Records what was erased.
pub async fn record(tx: &WriteTx<'_>, draft: &ErasureDraft, erased: &Erased) -> Result<erasure::Model, Error> {
    let erasure = erasure::Model {
        id: id::new_id(),
        version: 0,
        tip: Vec::new(),
        commitments: Value::Null,
        created_at: 0,
        updated_at: 0,
        subject_type: draft.subject.kind.clone(),
        subject_id: draft.subject.id,
        digests: i64::try_from(erased.digests.len()).map_err(Error::internal)?,
        digests_sha256: fingerprint(&erased.digests),
        legal_basis: draft.legal_basis.as_str().to_owned(),
        erase_reason: draft.reason.clone(),
    };
    tx.insert(erasure, Event { name: "erasure.recorded", reason: draft.reason.as_deref() }).await
}

/// One erasure.
pub async fn find(conn: &impl Conn, id: Uuid) -> Result<Option<erasure::Model>, Error> {
    erasure::Model::find(conn, id).await.map_err(translate)
}

/// What a list is narrowed to.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Of this record.
    pub subject: Option<Uuid>,
    /// On this basis.
    pub legal_basis: Option<ErasureBasis>,
    /// With an event at this position or later.
    pub changed_since: Option<i64>,
}

/// One page of erasures.
pub async fn page(conn: &impl Conn, filter: &Filter, slice: &Slice) -> Result<Found<erasure::Model>, Error> {
    List::<erasure::Entity>::all()
        .equal(erasure::Column::SubjectId, filter.subject)
        .equal(erasure::Column::LegalBasis, filter.legal_basis.map(ErasureBasis::as_str))
        .changed_since(filter.changed_since)
        .page(conn, erasure::Column::Id, slice)
        .await
}
