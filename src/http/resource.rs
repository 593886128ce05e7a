//! What every room does alike with its records: a page of them, one of them, its history, a step of its life.
//!
//! A room says in one `impl` what a caller must be known to be before a record is shown or touched, and how it looks;
//! the order of the questions stands here once: is it there and visible (404), is the step the caller's (403), is it
//! still the version that was read (412), is it possible now (409).

use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use uuid::Uuid;

use super::page::Found;
use super::{App, IfMatch, Listing, changed, created, found};
use crate::auth::{Caller, Needed, Permission, Permit, Place, Standing, Transition, scope, transition};
use crate::db::constraint::translate;
use crate::db::idempotency::Answer;
use crate::db::{Conn, Outcome, Record, WriteTx};
use crate::error::{Code, Error};
use crate::log::http::{History, history};

/// A kind of record as one caller meets it.
pub trait Resource: Record {
    /// Its states.
    type State: Copy + PartialEq + 'static;
    /// What is looked up beside the row before it is judged or shown: its place, who answers for it.
    type Sight;
    /// The record as clients see it.
    type View: Serialize;

    /// The sights of many records, in their order, with a fixed number of queries.
    fn sights(
        conn: &impl Conn,
        rows: &[Self],
        caller: &Caller,
    ) -> impl Future<Output = Result<Vec<Self::Sight>, Error>>;

    /// The places from which the record is seen.
    fn places(sight: &Self::Sight) -> impl Iterator<Item = &Place>;

    /// The steps that this caller could ever take.
    fn steps(&self, sight: &Self::Sight) -> &'static [Transition<Self::State>];

    /// The record as the table of steps sees it.
    fn standing<'a>(&self, sight: &'a Self::Sight, caller: &Caller) -> Result<Standing<'a, Self::State>, Error>;

    /// The record as this caller sees it.
    fn view(&self, sight: &Self::Sight, caller: &Caller) -> Result<Self::View, Error>;

    /// False for a step that something beside the record's own state stands in the way of.
    fn possible(&self, _sight: &Self::Sight, _verb: &str) -> Result<bool, Error> {
        Ok(true)
    }

    /// 403 where a step belongs to somebody whom the permission alone does not name.
    fn claim(&self, _sight: &Self::Sight, _verb: &str) -> Result<(), Error> {
        Ok(())
    }

    /// What must hold of other records for `old` to become `new`; asked after the step was written, undone if refused.
    fn consent(_tx: &WriteTx<'_>, _old: &Self, _new: &Self) -> impl Future<Output = Result<(), Error>> {
        async { Ok(()) }
    }

    /// A refusal that says what this caller could do instead.
    fn instead(&self, sight: &Self::Sight, caller: &Caller, refused: Error) -> Result<Error, Error> {
        Ok(refused.member("allowed_actions", self.allowed_actions(sight, caller)?))
    }

    /// The verbs that this caller could use now.
    fn allowed_actions(&self, sight: &Self::Sight, caller: &Caller) -> Result<Vec<&'static str>, Error> {
        let allowed = transition::allowed(self.steps(sight), caller, self.standing(sight, caller)?);
        let possible = |verb: &&'static str| match self.possible(sight, verb) {
            Ok(true) => Some(Ok(*verb)),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        };
        allowed.iter().filter_map(possible).collect()
    }
}

/// What a creating request answers with: the record as a read would show it.
pub async fn made<R: Resource>(tx: &WriteTx<'_>, path: &str, row: R, caller: &Caller) -> Result<Answer, Error> {
    let sight = sight(tx.conn(), &row, caller).await?;
    created(format!("/v1/{path}/{}", row.id()), row.version(), &row.view(&sight, caller)?)
}

/// The places of records that stand at one unit on one day.
pub async fn places<R: Record>(conn: &impl Conn, rows: &[R], caller: &Caller) -> Result<Vec<Place>, Error> {
    let records: Option<Vec<_>> = rows.iter().map(|row| Some((row.unit()?, row.day()?))).collect();
    let records = records.ok_or_else(|| Error::internal("a record without a place"))?;
    scope::places(conn, &records, caller.today).await
}

/// The sight of one record, whether or not the caller may see it.
pub async fn sight<R: Resource>(conn: &impl Conn, row: &R, caller: &Caller) -> Result<R::Sight, Error> {
    let mut sights = R::sights(conn, std::slice::from_ref(row), caller).await?;
    sights.pop().ok_or_else(|| Error::internal("a row without a place"))
}

/// Answers a list.
pub async fn list<R: Resource>(
    listing: &Listing<'_>,
    conn: &impl Conn,
    found: Found<R>,
    caller: &Caller,
) -> Result<HttpResponse, Error> {
    let sights = R::sights(conn, &found.items, caller).await?;
    let mut sights = sights.iter();
    listing.answer(found, R::id, |row| {
        let sight = sights.next().ok_or_else(|| Error::internal("a row without a place"))?;
        row.view(sight, caller)
    })
}

/// Answers a read of one record.
pub async fn read<R: Resource>(
    request: &HttpRequest,
    conn: &impl Conn,
    caller: &Caller,
    id: Uuid,
) -> Result<HttpResponse, Error> {
    let (row, sight) = seen::<R>(conn, caller, id).await?;
    found(request, row.version(), &row.view(&sight, caller)?)
}

/// Answers a read of one record's history.
pub async fn events<R: Resource>(
    request: &HttpRequest,
    app: &App,
    caller: &Caller,
    id: Uuid,
    query: History,
) -> Result<HttpResponse, Error> {
    seen::<R>(app.db.reader().conn(), caller, id).await?;
    history(request, app, id, query).await
}

/// Takes one step of a record's life and answers with the record as it is then.
pub async fn step<R: Resource, P: Needed>(
    app: &App,
    permit: &Permit<P>,
    id: Uuid,
    if_match: &IfMatch,
    verb: &str,
    take: impl AsyncFn(&WriteTx<'_>, &R) -> Result<R, Error>,
) -> Result<HttpResponse, Error> {
    let caller = &permit.caller;
    let taken = app.db.record(&permit.context, async |tx: &WriteTx<'_>| {
        let old = R::find_locked(tx.conn(), id).await.map_err(translate)?.ok_or(Code::NotFound)?;
        let sight = visible(tx.conn(), &old, caller).await?;
        let standing = old.standing(&sight, caller)?;
        if !permit.may(standing.place) {
            return Err(Code::Forbidden.into());
        }
        old.claim(&sight, verb)?;
        if_match.check(old.version(), || old.view(&sight, caller))?;
        if let Err(refused) = transition::take(old.steps(&sight), verb, caller, standing) {
            let offers = matches!(refused.code, Code::InvalidTransition | Code::SeparationOfDuties);
            return Err(if offers { old.instead(&sight, caller, refused)? } else { refused });
        }
        let new = take(tx, &old).await?;
        R::consent(tx, &old, &new).await?;
        // The step may have moved the record to another day, or changed what its neighbours amount to.
        let sight = self::sight(tx.conn(), &new, caller).await?;
        Ok(Outcome::Changed((new, sight)))
    });
    let (row, sight) = taken.await?;
    changed(row.version(), &row.view(&sight, caller)?)
}

/// Refuses what is to replace the present content and says the same: a version and an event would tell of a change that
/// there was not, and a decision that stands would be asked for again.
pub fn differs<T: PartialEq>(old: &T, new: &T, pointer: &str) -> Result<(), Error> {
    if old == new {
        return Err(Error::invalid(pointer, "không thay đổi gì so với hiện tại", "changes nothing"));
    }
    Ok(())
}

async fn seen<R: Resource>(conn: &impl Conn, caller: &Caller, id: Uuid) -> Result<(R, R::Sight), Error> {
    let row = R::find(conn, id).await.map_err(translate)?.ok_or(Code::NotFound)?;
    let sight = visible(conn, &row, caller).await?;
    Ok((row, sight))
}

async fn visible<R: Resource>(conn: &impl Conn, row: &R, caller: &Caller) -> Result<R::Sight, Error> {
    let sight = sight(conn, row, caller).await?;
    let seen = R::places(&sight).any(|place| caller.may(Permission::ReadRecords, place));
    if seen { Ok(sight) } else { Err(Code::NotFound.into()) }
}
