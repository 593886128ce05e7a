//! Who calls and what they may do. The token says who ([`token`]); the database says what: grants
//! are read on every request, so that a changed right takes effect at once.
//!
//! A handler that acts says so in its arguments: no [`Permit`], no call.

use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use chrono::NaiveDate;
use uuid::Uuid;

use crate::clock::{self, Micros, civil_date};
use crate::db::{Actor, Context};
use crate::error::{Code, Error, Fault};
use crate::grants::{self, store::Holder};
use crate::http::{App, trace_id};

pub mod bearer;
pub mod keyring;
pub mod keys;
pub mod policy;
pub mod scope;
pub mod sign;
pub mod source;
pub mod tenure;
pub mod token;
#[cfg(test)]
mod token_attacks;
pub mod transition;
#[cfg(test)]
mod wycheproof;

pub use policy::{Needed, Permission, Reach, Role};
pub use scope::{Place, Scope};
pub use transition::{Standing, Transition};

use token::{TokenRefusal, Verifier};

/// One grant that is valid today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The role.
    pub role: Role,
    /// The unit that it was given for; `None` is every unit.
    pub unit: Option<Uuid>,
}

/// Who calls, with the grants of today.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account.
    pub account: Uuid,
    /// Grants valid today.
    pub grants: Vec<Held>,
    /// The civil date of the request.
    pub today: NaiveDate,
}

impl Caller {
    /// True if some grant gives the permission somewhere.
    pub fn holds(&self, permission: Permission) -> bool {
        self.grants.iter().any(|grant| policy::reaches(permission, grant.role).next().is_some())
    }

    /// True if some grant gives the permission for a record at `place`. The same call decides on
    /// requests and fills in `allowed_actions`.
    pub fn may(&self, permission: Permission, place: &Place) -> bool {
        self.grants.iter().any(|grant| {
            policy::reaches(permission, grant.role).any(|reach| {
                let covers = grant.unit.is_none_or(|unit| place.covered_by.contains(&unit));
                let village = place.kind == Some(crate::units::UnitKind::Village);
                match reach {
                    Reach::Everywhere => true,
                    Reach::Subtree => covers,
                    Reach::Villages => covers && village,
                    Reach::NotVillages => covers && !village,
                    Reach::Own => grant.unit == Some(place.unit),
                }
            })
        })
    }

    /// What a list under this permission may show.
    pub fn scope(&self, permission: Permission) -> Scope {
        let reaching = |grant: &&Held| policy::reaches(permission, grant.role).next().is_some();
        let everywhere = |grant: &Held| {
            grant.unit.is_none() || policy::reaches(permission, grant.role).any(|reach| reach == Reach::Everywhere)
        };
        if self.grants.iter().filter(reaching).any(everywhere) {
            return Scope::Everything;
        }
        let units = self.grants.iter().filter(reaching).filter_map(|grant| grant.unit).collect();
        Scope::Units { units, today: self.today }
    }

    /// Everything that `unit` covers: a list is narrowed by it, never widened.
    pub fn under(&self, unit: Uuid) -> Scope {
        Scope::Units { units: vec![unit], today: self.today }
    }

    /// The place of a record that the caller may see; 404 otherwise.
    pub async fn see(&self, conn: &impl sea_orm::ConnectionTrait, unit: Uuid, day: NaiveDate) -> Result<Place, Error> {
        let place = scope::place(conn, unit, day, self.today).await?;
        if self.may(Permission::ReadRecords, &place) { Ok(place) } else { Err(Code::NotFound.into()) }
    }

    /// 404 if the caller may not see the record, 403 if it may be seen but not touched.
    pub fn require(&self, permission: Permission, place: &Place) -> Result<(), Error> {
        if self.may(permission, place) {
            Ok(())
        } else if self.may(Permission::ReadRecords, place) {
            Err(Code::Forbidden.into())
        } else {
            Err(Code::NotFound.into())
        }
    }
}

/// Proof that the caller holds the permission somewhere; where, the record's place decides.
pub struct Permit<P> {
    /// Who calls.
    pub caller: Caller,
    /// Who, when and under which request, for the events.
    pub context: Context,
    needed: PhantomData<P>,
}

impl<P: Needed> Permit<P> {
    /// True if the permission holds for a record at `place`.
    pub fn may(&self, place: &Place) -> bool {
        self.caller.may(P::PERMISSION, place)
    }

    /// 404 or 403 unless the permission holds for a record at `place`.
    pub fn require(&self, place: &Place) -> Result<(), Error> {
        self.caller.require(P::PERMISSION, place)
    }

    /// What a list may show.
    pub fn scope(&self) -> Scope {
        self.caller.scope(P::PERMISSION)
    }
}

impl<P: Needed> FromRequest for Permit<P> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match request.extensions().get::<Authenticated>() {
            None => Err(Code::Unauthenticated.into()),
            Some(Authenticated { caller, .. }) if !caller.holds(P::PERMISSION) => Err(Code::Forbidden.into()),
            Some(Authenticated { caller, at, .. }) => {
                let context = Context { actor: Actor::Account(caller.account), at: *at, request_id: trace_id(request) };
                Ok(Self { caller: caller.clone(), context, needed: PhantomData })
            }
        })
    }
}

/// What the edge leaves with a request whose token is good.
struct Authenticated {
    caller: Caller,
    at: Micros,
    identity: token::Caller,
}

/// Finds out who calls, before a handler's arguments are read: whoever is not known or may nothing at all learns that
/// first, whatever else is wrong with the request, and on either engine.
pub async fn authenticate(request: &ServiceRequest) -> Result<(), Error> {
    let at = clock::now();
    let app = request.app_data::<App>().ok_or_else(|| Error::internal("the app has no state"))?;
    let values: Vec<&[u8]> = request.headers().get_all(header::AUTHORIZATION).map(|value| value.as_bytes()).collect();
    let token = bearer::bearer(&values).map_err(|error| {
        let fault = Fault::new("header/Authorization", "không đọc được", error.code());
        Error::at(Code::InvalidHeader, fault)
    })?;
    let token = token.ok_or(Code::Unauthenticated)?;
    let identity = identify(&app.verifier, token, at / 1_000_000).await.map_err(refused)?;
    let today = civil_date(at);
    let (account, grants) = match grants::store::holder(app.db.reader().conn(), &identity, at, today).await? {
        Holder::Revoked => return Err(refused(TokenRefusal::Revoked)),
        Holder::Stranger => return Err(Code::Forbidden.into()),
        Holder::Account(account, grants) => (account, grants),
    };
    request.extensions_mut().insert(Authenticated { caller: Caller { account, grants, today }, at, identity });
    Ok(())
}

/// Judges a token; one that names a key which is not known is judged again once the issuer was asked.
async fn identify(verifier: &Verifier, token: &str, now: i64) -> Result<token::Caller, TokenRefusal> {
    match verifier.verify(token, now) {
        Err(refusal) if refusal.asks_for_news() => {
            verifier.keys.ask().await;
            verifier.verify(token, now)
        }
        verdict => verdict,
    }
}

/// The reason is for our log; the caller learns only that the token is not valid. Without any key that is not even
/// known: such a caller may come again.
fn refused(refusal: TokenRefusal) -> Error {
    tracing::info!(reason = refusal.code(), "a token was refused");
    Error::new(if refusal == TokenRefusal::NoKeys { Code::Busy } else { Code::Unauthenticated })
}

/// The account that calls, for the log line.
pub fn account(request: &HttpRequest) -> Option<Uuid> {
    request.extensions().get::<Authenticated>().map(|authenticated| authenticated.caller.account)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::units::UnitKind;

    fn caller(role: Role, unit: Option<Uuid>) -> Caller {
        Caller { account: Uuid::nil(), grants: vec![Held { role, unit }], today: NaiveDate::MIN }
    }

    fn place(unit: Uuid, kind: UnitKind, above: Uuid) -> Place {
        Place { unit, kind: Some(kind), covered_by: HashSet::from([unit, above]) }
    }

    #[test]
    fn communes_check_their_villages_and_home_affairs_the_rest() {
        let (commune, village, district) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let in_village = place(village, UnitKind::Village, commune);
        let in_commune = place(commune, UnitKind::Commune, district);
        let committee = caller(Role::CommuneCommittee, Some(commune));
        assert!(committee.may(Permission::AcceptActivities, &in_village));
        assert!(!committee.may(Permission::AcceptActivities, &in_commune));
        let home_affairs = caller(Role::HomeAffairs, Some(district));
        assert!(home_affairs.may(Permission::AcceptActivities, &in_commune));
        assert!(!home_affairs.may(Permission::AcceptActivities, &place(village, UnitKind::Village, district)));
    }

    #[test]
    fn invisible_is_absent_and_visible_but_forbidden_is_forbidden() {
        let (mine, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let reporter = caller(Role::UnitReporter, Some(mine));
        let code = |unit| {
            let place = place(unit, UnitKind::Village, unit);
            reporter.require(Permission::ConfirmFigures, &place).unwrap_err().code
        };
        assert_eq!(code(mine), Code::Forbidden);
        assert_eq!(code(other), Code::NotFound);
    }
}
