//! Who answers for a fact: the body that the rule set declares as its owner, as somebody who may act for it. Pure.
//!
//! A body with a role is every holder of that role over the subject. A body without one is the head of the unit that
//! holds it on the record's day; that unit need not stand above the subject, so it reaches what it owns all the same.

use chrono::NaiveDate;
use uuid::Uuid;

use crate::auth::{Caller, Permission, Place, Role};
use crate::campaigns::Definition;

/// Who answers for one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Whoever holds this role over the subject.
    Role(Role),
    /// The head of this unit; nobody if no unit holds the body on that day.
    Head(Option<Uuid>),
    /// The rule set names no owner: whoever may confirm there and does not act for the subject itself.
    Undeclared,
}

impl Owner {
    /// Who acts for `body` on `day`.
    pub fn of(definition: &Definition, body: Option<&str>, day: NaiveDate) -> Self {
        let Some(id) = body else { return Self::Undeclared };
        match definition.body(id) {
            Some(body) => match body.role {
                Some(role) => Self::Role(role),
                None => Self::Head(definition.holder(id, day).map(|holder| holder.unit)),
            },
            None => Self::nobody(),
        }
    }

    /// Nobody at all.
    pub const fn nobody() -> Self {
        Self::Head(None)
    }

    /// The record's place, which the unit that holds the owning body covers as well.
    pub fn widen(&self, mut place: Place) -> Place {
        if let Self::Head(Some(unit)) = self {
            place.covered_by.insert(*unit);
        }
        place
    }

    /// True if the caller acts for the owner; `place` is the widened one.
    pub fn is(&self, caller: &Caller, place: &Place) -> bool {
        let acting = caller.grants.iter().filter(|grant| match self {
            Self::Role(role) => grant.role == *role,
            Self::Head(unit) => grant.role == Role::UnitHead && unit.is_some() && grant.unit == *unit,
            Self::Undeclared => grant.unit != Some(place.unit),
        });
        let acting = Caller { grants: acting.cloned().collect(), ..caller.clone() };
        acting.may(Permission::ConfirmObservations, place)
    }
}

/// Records that a caller sees beyond the subtrees, because a unit of the caller's holds the body that owns them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The campaign.
    pub campaign: Uuid,
    /// The names that the body owns.
    pub names: Vec<String>,
    /// First day of the holding.
    pub from: NaiveDate,
    /// Last day; open if `None`.
    pub to: Option<NaiveDate>,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::declared::tests::{day, shipped};
    use super::*;
    use crate::auth::Held as Grant;
    use crate::units::UnitKind;

    #[test]
    fn the_owner_is_a_role_over_the_subject_or_the_head_of_the_holder() {
        let declared = shipped();
        let owner = |name: &str, on: &str| declared.owner(name, day(on));
        let bank = declared.definition.holder("nhcsxh", day("2023-12-31")).unwrap().unit;
        assert_eq!(owner("models_replicated", "2023-12-31"), Owner::Role(Role::LabourOffice));
        assert_eq!(owner("linkage", "2023-12-31"), Owner::Role(Role::CommuneCommittee));
        assert_eq!(owner("loan", "2023-12-31"), Owner::Head(Some(bank)));
        assert_eq!(owner("loan", "2020-12-31"), Owner::Head(None), "before its time");
        assert_eq!(owner("received_state_project_capital", "2023-12-31"), Owner::Undeclared);
        assert_eq!(owner("castle", "2023-12-31"), Owner::nobody());
        assert_eq!(declared.held(&[bank])[0].names, ["loan"]);

        let (commune, village) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let place =
            Place { unit: village, kind: Some(UnitKind::Village), covered_by: HashSet::from([commune, village]) };
        for (name, role, unit, is) in [
            ("models_replicated", Role::LabourOffice, commune, true),
            ("models_replicated", Role::LabourOffice, bank, false),
            ("models_replicated", Role::HomeAffairs, commune, false),
            ("models_replicated", Role::UnitHead, village, false),
            ("loan", Role::UnitHead, bank, true),
            ("loan", Role::UnitReporter, bank, false),
            ("loan", Role::UnitHead, commune, false),
            ("loan", Role::LabourOffice, commune, false),
            ("received_state_project_capital", Role::CommuneCommittee, commune, true),
            ("received_state_project_capital", Role::UnitHead, village, false),
            ("received_state_project_capital", Role::UnitReporter, commune, false),
            ("castle", Role::HomeAffairs, commune, false),
        ] {
            let caller =
                Caller { account: Uuid::nil(), grants: vec![Grant { role, unit: Some(unit) }], today: NaiveDate::MIN };
            let owner = owner(name, "2023-12-31");
            assert_eq!(owner.is(&caller, &owner.widen(place.clone())), is, "{name} {role} {unit}");
        }
    }
}
