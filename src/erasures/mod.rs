//! An erasure takes the personal values out of one record: out of its row, of every version that was disclosed of it,
//! of what it is found by and of stored answers. The log stands as it did and goes on proving; what it keeps of the values
//! are commitments that nobody can open any more. The erasure itself says how many, and which, on what legal basis.
//!
//! It is never taken back. What is written into the record afterwards is a new value, and may be erased in turn.

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::words;

pub mod http;
pub mod store;

words! {
    /// Why personal values have to go.
    pub enum ErasureBasis {
        /// The person no longer consents.
        ConsentWithdrawn = "consent_withdrawn",
        /// What they were kept for is done.
        PurposeEnded = "purpose_ended",
        /// They should never have been there.
        Unlawful = "unlawful",
        /// A court has said so.
        CourtOrder = "court_order",
        /// A law says so.
        Law = "law",
    }
}

/// The record whose personal values go.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ErasureSubject {
    /// The kind of record, as events name it.
    #[serde(rename = "type")]
    #[garde(length(min = 1, max = 60))]
    #[schema(min_length = 1, max_length = 60, example = "account")]
    pub kind: String,
    /// The record.
    #[garde(skip)]
    pub id: Uuid,
}

/// An erasure that is asked for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "subject": { "type": "account", "id": "01900000-0000-7000-8000-000000000099" },
    "legal_basis": "consent_withdrawn", "reason": "Theo đơn ngày 1 tháng 7"
}))]
pub struct ErasureDraft {
    /// What is to be erased.
    #[garde(dive)]
    pub subject: ErasureSubject,
    /// On what basis.
    #[garde(skip)]
    pub legal_basis: ErasureBasis,
    /// Why, in words; personal, and better without the name that is to be forgotten.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 1000)))]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: Option<String>,
}
