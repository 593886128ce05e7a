//! An export: a stretch of the event log that somebody asked for, in one form and for one purpose.
//!
//! What it contains is settled when it is asked for: the positions from `from` up to a signed checkpoint. The log never
//! changes, so its content has the same bytes for ever, and a download that was cut goes on where it ended. The leaves
//! themselves (`ndjson`) can be proven; the other forms are for programs and people who need no proof.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use garde::Validate;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::canonical::MAX_SAFE;
use crate::error::Error;
use crate::words;

pub mod cloud;
pub mod content;
pub mod csv;
pub mod http;
pub mod manifest;
pub mod store;

words! {
    /// The form of an export.
    pub enum ExportFormat {
        /// The leaves, one a line: what can be proven.
        Ndjson = "ndjson",
        /// A table for people; it says less than the leaves.
        Csv = "csv",
        /// Batches of CloudEvents for programs.
        CloudEvents = "cloudevents",
    }
}

words! {
    /// What an export is for. A word of a list: free text would be a place for names.
    pub enum ExportPurpose {
        /// The audit of the log.
        Audit = "audit",
        /// An inspection (thanh tra, kiểm tra).
        Inspection = "inspection",
        /// The archive (lưu trữ).
        Archive = "archive",
        /// A complaint or denunciation (khiếu nại, tố cáo).
        Complaint = "complaint",
        /// Statistics and reports.
        Statistics = "statistics",
        /// Another system that follows the log.
        Integration = "integration",
    }
}

/// What is asked for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "format": "ndjson", "purpose": "audit", "from": 0 }))]
pub struct ExportDraft {
    /// The form.
    #[garde(skip)]
    pub format: ExportFormat,
    /// What it is for.
    #[garde(skip)]
    pub purpose: ExportPurpose,
    /// The first position; 0 if absent.
    #[serde(default)]
    #[garde(inner(range(min = 0, max = MAX_SAFE)))]
    #[schema(minimum = 0)]
    pub from: Option<i64>,
    /// Events of this record only; as the members below not with `ndjson`, whose lines leave nothing out.
    #[serde(default)]
    #[garde(skip)]
    pub record: Option<Uuid>,
    /// Events of this type only; `figure.*` is every type of the record.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 100), pattern("^[a-z_]+\\.([a-z_]+|\\*)$")))]
    #[schema(min_length = 1, max_length = 100, pattern = "^[a-z_]+\\.([a-z_]+|\\*)$")]
    pub r#type: Option<String>,
    /// Events by this account only.
    #[serde(default)]
    #[garde(skip)]
    pub actor: Option<Uuid>,
    /// Events that concern this unit only.
    #[serde(default)]
    #[garde(skip)]
    pub unit: Option<Uuid>,
    /// Events of this campaign only.
    #[serde(default)]
    #[garde(skip)]
    pub campaign: Option<Uuid>,
}

impl ExportDraft {
    /// Refuses what cannot be: leaves without gaps are what a tree is made of.
    pub fn check(&self) -> Result<(), Error> {
        let filters = [
            ("/record", self.record.is_some()),
            ("/type", self.r#type.is_some()),
            ("/actor", self.actor.is_some()),
            ("/unit", self.unit.is_some()),
            ("/campaign", self.campaign.is_some()),
        ];
        let filter = filters.into_iter().find(|(_, there)| *there && self.format == ExportFormat::Ndjson);
        let (vi, en) = ("bản ndjson không bỏ sót sự kiện nào nên không lọc được", "ndjson leaves nothing out");
        filter.map_or(Ok(()), |(pointer, _)| Err(Error::invalid(pointer, vi, en)))
    }
}

/// Manifests that were asked for: making one reads the whole export, and it is the same for ever.
#[derive(Default)]
pub struct Manifests(Mutex<HashMap<Uuid, Arc<OnceCell<String>>>>);

/// More manifests than this are not kept.
const MANIFESTS: usize = 200;

impl Manifests {
    /// Where the manifest of this export is, or will be.
    pub fn of(&self, export: Uuid) -> Arc<OnceCell<String>> {
        // A panic while the map was held leaves it as it was.
        let mut kept = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if kept.len() >= MANIFESTS && !kept.contains_key(&export) {
            kept.retain(|_, cell| !cell.initialized());
        }
        kept.entry(export).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_proven_is_not_filtered() {
        let refused = |draft: serde_json::Value| {
            let draft: ExportDraft = serde_json::from_value(draft).unwrap();
            draft.check().map_err(|error| error.faults[0].pointer.clone())
        };
        assert_eq!(refused(json!({ "format": "ndjson", "purpose": "audit", "from": 3 })), Ok(()));
        assert_eq!(refused(json!({ "format": "csv", "purpose": "audit", "type": "figure.*" })), Ok(()));
        let filtered = json!({ "format": "ndjson", "purpose": "archive", "unit": Uuid::nil() });
        assert_eq!(refused(filtered), Err("/unit".into()));
    }

    #[test]
    fn only_so_many_manifests_are_kept() {
        let manifests = Manifests::default();
        for n in 0..1000 {
            manifests.of(Uuid::from_u128(n)).set(String::new()).unwrap();
        }
        assert!(manifests.0.lock().unwrap().len() <= MANIFESTS);
    }
}
