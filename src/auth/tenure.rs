//! How long an answer that does not end by itself may go on: as long as the token lives, and as far as the grants reach,
//! which are read again and again as every request reads them.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::token::Caller as Identity;
use super::{Authenticated, Caller, Needed, Scope};
use crate::clock::{Micros, civil_date};
use crate::db::Reader;
use crate::error::{Code, Error};
use crate::grants::store::{Holder, holder};

/// What a caller may go on with.
pub struct Tenure(Identity);

impl Tenure {
    /// When the token ends.
    pub fn ends_at(&self) -> Micros {
        self.0.expires_at.saturating_mul(1_000_000)
    }

    /// What may be seen under this permission now; nothing once the right is gone or the token revoked.
    pub async fn scope<P: Needed>(&self, reader: &Reader, at: Micros) -> Result<Option<Scope>, Error> {
        let today = civil_date(at);
        let Holder::Account(account, grants) = holder(reader.conn(), &self.0, at, today).await? else {
            return Ok(None);
        };
        let caller = Caller { account, grants, today };
        Ok(caller.holds(P::PERMISSION).then(|| caller.scope(P::PERMISSION)))
    }
}

impl FromRequest for Tenure {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let identity = request.extensions().get::<Authenticated>().map(|known| known.identity.clone());
        ready(identity.map(Self).ok_or_else(|| Code::Unauthenticated.into()))
    }
}

#[cfg(test)]
impl Tenure {
    /// Of whoever holds this token.
    pub fn of(token: Identity) -> Self {
        Self(token)
    }
}
