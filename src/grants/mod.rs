//! Accounts and grants. An account is an issuer and a subject; a grant is a role within a unit's
//! subtree for a time. The subject is personal: it stands in the account's row, never in an event.

use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::Role;
use crate::error::Error;

pub mod http;
pub mod store;

/// A grant to be given.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "issuer": "https://idp.example.vn", "subject": "nguoi-dung-mau", "role": "unit_reporter",
    "unit": "01900000-0000-7000-8000-000000000001"
}))]
pub struct GrantDraft {
    /// The token's `iss`.
    #[garde(length(chars, min = 1, max = 255))]
    #[schema(min_length = 1, max_length = 255)]
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
                issuer: "i".into(),
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
