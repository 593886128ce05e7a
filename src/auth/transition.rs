//! What may happen to a record next, decided once: the same table and the same function refuse a
//! request and fill in `allowed_actions`.

use uuid::Uuid;

use super::{Caller, Permission, Place};
use crate::error::{Code, Error};

/// One step of a record's life. A verb that leads to different states has several rows with the same permission.
#[derive(Clone, Copy, Debug)]
pub struct Transition<S: 'static> {
    /// The verb in the path, `POST …/{id}:verb`.
    pub verb: &'static str,
    /// States from which it is possible.
    pub from: &'static [S],
    /// State afterwards.
    pub to: S,
    /// Permission at the record's place.
    pub permission: Permission,
    /// True if whoever submitted the record, or wrote it last, may not take this step.
    pub four_eyes: bool,
}

/// A record as the table of transitions sees it.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a, S> {
    /// Its state.
    pub state: S,
    /// Its place.
    pub place: &'a Place,
    /// Who submitted it.
    pub submitter: Option<Uuid>,
    /// Who wrote it last, where that may be somebody else.
    pub writer: Option<Uuid>,
}

/// The verbs that this caller could use now.
pub fn allowed<S: Copy + PartialEq>(
    table: &[Transition<S>],
    caller: &Caller,
    record: Standing<'_, S>,
) -> Vec<&'static str> {
    table.iter().filter(|step| refusal(step, caller, record).is_none()).map(|step| step.verb).collect()
}

/// The step that `verb` takes; 404, 403 or 409 if this caller cannot take it now.
pub fn take<'t, S: Copy + PartialEq>(
    table: &'t [Transition<S>],
    verb: &str,
    caller: &Caller,
    record: Standing<'_, S>,
) -> Result<&'t Transition<S>, Error> {
    let mut steps = table.iter().filter(|step| step.verb == verb);
    let step = steps.clone().find(|step| step.from.contains(&record.state)).or_else(|| steps.next());
    let step = step.ok_or_else(|| Error::internal("an unknown verb"))?;
    match refusal(step, caller, record) {
        None => Ok(step),
        Some(Code::Forbidden) => {
            caller.require(step.permission, record.place)?;
            Err(Code::Forbidden.into())
        }
        Some(code) => Err(code.into()),
    }
}

/// Rights first, then the state: whoever may not act learns nothing of the state.
fn refusal<S: Copy + PartialEq>(step: &Transition<S>, caller: &Caller, record: Standing<'_, S>) -> Option<Code> {
    if !caller.may(step.permission, record.place) {
        Some(Code::Forbidden)
    } else if !step.from.contains(&record.state) {
        Some(Code::InvalidTransition)
    } else if step.four_eyes && [record.submitter, record.writer].contains(&Some(caller.account)) {
        Some(Code::SeparationOfDuties)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::auth::{Held, Role};
    use crate::units::UnitKind;

    const TABLE: &[Transition<u8>] = &[
        Transition { verb: "amend", from: &[0], to: 0, permission: Permission::ReportFigures, four_eyes: false },
        Transition { verb: "confirm", from: &[0], to: 1, permission: Permission::ConfirmFigures, four_eyes: true },
        Transition { verb: "amend", from: &[2], to: 2, permission: Permission::ReportFigures, four_eyes: false },
    ];

    #[test]
    fn what_is_allowed_is_what_is_not_refused() {
        let unit = Uuid::from_u128(1);
        let place = Place { unit, kind: Some(UnitKind::Village), covered_by: HashSet::from([unit]) };
        let caller = |role, account| Caller {
            account: Uuid::from_u128(account),
            grants: vec![Held { role, unit: Some(unit) }],
            today: chrono::NaiveDate::MIN,
        };
        let (reporter, officer) = (caller(Role::UnitReporter, 7), caller(Role::LabourOffice, 8));
        let submitter = Some(reporter.account);
        for (who, state, submitter, verbs) in [
            (&reporter, 0, submitter, vec!["amend"]),
            (&officer, 0, submitter, vec!["confirm"]),
            (&officer, 0, Some(officer.account), vec![]),
            (&officer, 1, submitter, vec![]),
            (&reporter, 2, submitter, vec!["amend"]),
        ] {
            let record = Standing { state, place: &place, submitter, writer: None };
            assert_eq!(allowed(TABLE, who, record), verbs);
            for step in TABLE {
                assert_eq!(take(TABLE, step.verb, who, record).is_ok(), verbs.contains(&step.verb));
            }
        }
        let amended =
            take(TABLE, "amend", &reporter, Standing { state: 2, place: &place, submitter, writer: None }).unwrap();
        assert_eq!(amended.to, 2, "the row for the present state");
        let code = |who: &Caller, verb, state, submitter| {
            take(TABLE, verb, who, Standing { state, place: &place, submitter, writer: None }).unwrap_err().code
        };
        assert_eq!(code(&reporter, "confirm", 0, submitter), Code::Forbidden);
        assert_eq!(code(&officer, "confirm", 1, submitter), Code::InvalidTransition);
        assert_eq!(code(&officer, "confirm", 0, Some(officer.account)), Code::SeparationOfDuties);
    }
}
