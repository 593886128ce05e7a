//! Disclosures in SQL.

use serde_json::{Value, json};
use uuid::Uuid;

use super::DisclosurePurpose;
use crate::db::{Event, WriteTx};
use crate::error::Error;
use crate::{id, record};

record! {
    /// That somebody was shown personal values of an event.
    disclosure in "disclosure", unit: |_| None, campaign: |_| None, day: |_| None, {
        internal event_id: Uuid,
        internal account_id: Option<Uuid>,
        internal purpose: String,
        internal paths: Json,
    }
}

/// Records who is about to be shown which values, and for what.
pub async fn record(
    tx: &WriteTx<'_>,
    event: Uuid,
    purpose: DisclosurePurpose,
    paths: &[&str],
) -> Result<disclosure::Model, Error> {
    let disclosure = disclosure::Model {
        id: id::new_id(),
        version: 0,
        tip: Vec::new(),
        commitments: Value::Null,
        created_at: 0,
        updated_at: 0,
        event_id: event,
        account_id: tx.account(),
        purpose: purpose.as_str().to_owned(),
        paths: json!(paths),
    };
    tx.insert(disclosure, Event::new("disclosure.made")).await
}
