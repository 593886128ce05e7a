//! Accounts and grants. An account is an issuer and a subject; a grant is a role within a unit's
//! subtree for a time. The subject is personal: it stands in the account's row, never in an event.

use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::Role;
use crate::error::Error;
use crate::words;

pub mod http;
pub mod issuer;
pub mod store;

words! {
    /// How a grant stands on a day.
    pub enum GrantState {
        /// Its first day is still to come.
        Upcoming = "upcoming",
        /// It gives its role.
        Valid = "valid",
        /// Its last day is over.
        Ended = "ended",
    }
}

impl GrantState {
    /// How a grant with these days stands today.
    pub fn of(from: NaiveDate, to: Option<NaiveDate>, today: NaiveDate) -> Self {
        if to.is_some_and(|to| to < today) {
            Self::Ended
        } else if from > today {
            Self::Upcoming
        } else {
            Self::Valid
        }
    }
}

words! {
    /// Whether an account may call at all.
    pub enum AccountState {
        /// It may, as far as its grants go.
        Active = "active",
    }
}

/// A grant to be given.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "issuer": "https://idp.example.vn", "subject": "nguoi-dung-mau", "role": "unit_reporter",
    "unit": "01900000-0000-7000-8000-000000000001"
}))]
pub struct GrantDraft {
    /// The token's `iss`: an `https` URL without query and fragment (RFC 8414), or `http` on this machine.
    #[garde(length(chars, min = 1, max = issuer::LONGEST))]
    #[schema(min_length = 1, max_length = 255, format = "uri", example = "https://idp.example.vn")]
    pub issuer: String,
    /// The token's `sub`.
    #[garde(length(chars, min = 1, max = 255))]
    #[schema(min_length = 1, max_length = 255)]
    pub subject: String,
    /// A name for lists; personal.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 200)))]
    #[schema(min_length = 1, max_length = 200)]
    pub label: Option<String>,
    /// The role.
    #[garde(skip)]
    pub role: Role,
    /// The unit whose subtree it reaches; absent only for roles over everything.
    #[serde(default)]
    #[garde(skip)]
    pub unit: Option<Uuid>,
    /// First day; today if absent.
    #[serde(default)]
    #[garde(skip)]
    pub valid_from: Option<NaiveDate>,
    /// Last day; open if absent.
    #[serde(default)]
    #[garde(skip)]
    pub valid_to: Option<NaiveDate>,
}

impl GrantDraft {
    /// Refuses what cannot be.
    pub fn check(&self, today: NaiveDate) -> Result<(), Error> {
        if !issuer::is_issuer(&self.issuer) {
            let vi = "cần địa chỉ https của nơi cấp token, không có truy vấn";
            return Err(Error::invalid("/issuer", vi, "needs the https URL of the issuer, without a query"));
        }
        let needs_no_unit = matches!(self.role, Role::Administrator | Role::Auditor);
        if self.unit.is_none() && !needs_no_unit {
            return Err(Error::invalid("/unit", "vai trò này cần một đơn vị", "this role needs a unit"));
        }
        if self.unit.is_some() && needs_no_unit {
            return Err(Error::invalid("/unit", "vai trò này không gắn với đơn vị", "this role reaches every unit"));
        }
        if self.valid_to.is_some_and(|to| to < self.valid_from.unwrap_or(today)) {
            return Err(Error::invalid("/valid_to", "trước ngày bắt đầu", "is before the first day"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roles_over_everything_go_without_a_unit() {
        for role in Role::ALL {
            let draft = GrantDraft {
                issuer: "https://idp.test".into(),
                subject: "s".into(),
                label: None,
                role: *role,
                unit: None,
                valid_from: None,
                valid_to: None,
            };
            let global = matches!(role, Role::Administrator | Role::Auditor);
            assert_eq!(draft.check(NaiveDate::MIN).is_ok(), global, "{role}");
        }
    }
}
