//! A register says of one unit and round that the entries of one kind are complete: its owner closes it. Closed without
//! entries is a real zero; not closed is unknown. Reopening needs a reason.
//!
//! While a register is closed no entry dated up to the round's cut-off is reported or changed, neither of the unit nor
//! of one that it follows; see [`store::require_open`]. Never here: the entries.

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::{Permission, Transition};
use crate::words;

pub mod http;
pub mod store;
pub mod view;

words! {
    /// Whether the entries are complete.
    pub enum RegisterState {
        /// They are.
        Closed = "closed",
        /// Not known to be.
        Open = "open",
    }
}

/// What may happen to a register, by the hands of whoever acts for its owner.
pub const TRANSITIONS: &[Transition<RegisterState>] = &[
    Transition {
        verb: "reopen",
        from: &[RegisterState::Closed],
        to: RegisterState::Open,
        permission: Permission::ConfirmObservations,
        four_eyes: false,
    },
    Transition {
        verb: "reclose",
        from: &[RegisterState::Open],
        to: RegisterState::Closed,
        permission: Permission::ConfirmObservations,
        four_eyes: false,
    },
];

/// Sums that rest on activities and have a register of their own.
pub const SUMS: [&str; 2] = ["mobilised_vnd", "contribution_vnd"];

/// A register to be closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "campaign": "01a205b3-d001-7306-a710-04bdc8a0a609", "unit": "01900000-0000-7000-8000-000000000006",
    "round": "mid", "name": "regulation"
}))]
pub struct RegisterDraft {
    /// The campaign.
    #[garde(skip)]
    pub campaign: Uuid,
    /// The unit whose entries are complete.
    #[garde(skip)]
    pub unit: Uuid,
    /// The round up to whose cut-off they are.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, example = "mid")]
    pub round: String,
    /// A kind of record, `mobilised_vnd` or `contribution_vnd`.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, example = "regulation")]
    pub name: String,
}
