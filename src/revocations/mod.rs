//! A revocation ends tokens before they expire: one token by its `jti`, a session by its `sid`, or whatever an account
//! was given up to a time. It holds from the next request on, and is never taken back: whoever may still come in gets a
//! new token from the issuer.
//!
//! `sid` and `jti` are made by the issuer and say nothing of a person; the reason may.

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::token::LEEWAY_SECONDS;
use crate::clock::{Micros, parse_rfc3339};
use crate::error::Error;
use crate::words;

pub mod http;
pub mod store;

words! {
    /// How a revocation stands.
    pub enum RevocationState {
        /// It refuses tokens.
        Active = "active",
        /// What it was about cannot be alive any more.
        Over = "over",
    }
}

impl RevocationState {
    /// How a revocation with this end stands at `at`.
    pub fn of(expires_at: Option<Micros>, at: Micros) -> Self {
        if expires_at.is_some_and(|end| end <= at) { Self::Over } else { Self::Active }
    }
}

/// What is to be revoked: exactly one of `sid`, `jti` and `account`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "sid": "c0ffee00-phien-mau", "reason": "Mất máy tính" }))]
pub struct RevocationDraft {
    /// Every token of this session.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 255)))]
    #[schema(min_length = 1, max_length = 255)]
    pub sid: Option<String>,
    /// This token.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 255)))]
    #[schema(min_length = 1, max_length = 255)]
    pub jti: Option<String>,
    /// Every token of this account that was issued before `issued_before`.
    #[serde(default)]
    #[garde(skip)]
    pub account: Option<Uuid>,
    /// RFC 3339; with `account` alone. If absent, everything issued up to now by any clock: a token of the next five
    /// seconds may be refused as well.
    #[serde(default)]
    #[garde(inner(length(max = 40)))]
    #[schema(max_length = 40, format = DateTime)]
    pub issued_before: Option<String>,
    /// Why.
    #[garde(length(chars, min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
    /// RFC 3339: when it may be forgotten. If absent, a token or an account's tokens are revoked for as long as they
    /// could live, and a session for ever, since the issuer may go on giving it tokens.
    #[serde(default)]
    #[garde(inner(length(max = 40)))]
    #[schema(max_length = 40, format = DateTime)]
    pub expires_at: Option<String>,
}

/// The times of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// With an account: its tokens issued before this.
    pub issued_before: Option<Micros>,
    /// When it may be forgotten; never if `None`.
    pub expires_at: Option<Micros>,
}

const SECOND: Micros = 1_000_000;

/// From then on microseconds are no exact number in JSON: 2^53 - 1, on 5 June 2255.
const FARTHEST: Micros = (1 << 53) - 1;

impl RevocationDraft {
    /// Refuses what cannot be. `longest_life` is how many seconds a token that was issued by now can still be accepted.
    pub fn times(&self, at: Micros, longest_life: i64) -> Result<Times, Error> {
        let named = [self.sid.is_some(), self.jti.is_some(), self.account.is_some()];
        if named.iter().filter(|named| **named).count() != 1 {
            let (vi, en) = ("cần đúng một trong sid, jti, account", "needs exactly one of sid, jti and account");
            return Err(Error::invalid("", vi, en));
        }
        let issued_before = self.issued_before(at)?;
        let last_death = at.saturating_add(longest_life.saturating_mul(SECOND));
        let expires_at = match time(self.expires_at.as_deref(), "/expires_at")? {
            Some(end) if end <= at => {
                return Err(Error::invalid("/expires_at", "phải ở tương lai", "must lie in the future"));
            }
            Some(end) => Some(end),
            None if self.sid.is_some() => None,
            None => Some(last_death),
        };
        Ok(Times { issued_before, expires_at })
    }

    fn issued_before(&self, at: Micros) -> Result<Option<Micros>, Error> {
        let given = time(self.issued_before.as_deref(), "/issued_before")?;
        // The issuer's clock may be ahead of ours by this much.
        let latest = at.saturating_add(LEEWAY_SECONDS * SECOND);
        match (self.account, given) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Error::invalid("/issued_before", "chỉ đi cùng account", "goes with account alone")),
            (Some(_), None) => Ok(Some(latest)),
            (Some(_), Some(given)) if given <= latest => Ok(Some(given)),
            // Whoever is not to come in any more loses the grants instead.
            (Some(_), Some(_)) => {
                Err(Error::invalid("/issued_before", "không được ở tương lai", "must not lie in the future"))
            }
        }
    }
}

fn time(text: Option<&str>, pointer: &str) -> Result<Option<Micros>, Error> {
    let Some(text) = text else { return Ok(None) };
    let time = parse_rfc3339(text);
    let time = time.ok_or_else(|| Error::invalid(pointer, "không phải thời điểm RFC 3339", "is no RFC 3339 time"))?;
    if time.unsigned_abs() > FARTHEST.unsigned_abs() {
        return Err(Error::invalid(
            pointer,
            "phải từ năm 1685 đến năm 2254",
            "must lie between the years 1685 and 2254",
        ));
    }
    Ok(Some(time))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AT: Micros = 1_800_000_000 * SECOND;
    const LIFE: i64 = 910;

    fn times(draft: serde_json::Value) -> Result<Times, String> {
        let mut draft = draft;
        draft["reason"] = json!("Thử");
        let draft: RevocationDraft = serde_json::from_value(draft).unwrap();
        draft.times(AT, LIFE).map_err(|error| error.faults[0].pointer.clone())
    }

    #[test]
    fn exactly_one_thing_is_revoked() {
        for draft in [json!({}), json!({ "sid": "s", "jti": "j" }), json!({ "jti": "j", "account": Uuid::nil() })] {
            assert_eq!(times(draft), Err(String::new()));
        }
        assert_eq!(times(json!({ "jti": "j", "issued_before": "2027-01-01T00:00:00Z" })), Err("/issued_before".into()));
    }

    #[test]
    fn a_token_is_remembered_while_it_could_live_and_a_session_for_ever() {
        let end = Some(AT + LIFE * SECOND);
        assert_eq!(times(json!({ "jti": "j" })), Ok(Times { issued_before: None, expires_at: end }));
        assert_eq!(times(json!({ "sid": "s" })), Ok(Times { issued_before: None, expires_at: None }));
        let account = times(json!({ "account": Uuid::nil() }));
        assert_eq!(account, Ok(Times { issued_before: Some(AT + 5 * SECOND), expires_at: end }));
        let told = times(json!({ "sid": "s", "expires_at": "2027-01-15T08:00:01Z" }));
        assert_eq!(told, Ok(Times { issued_before: None, expires_at: Some(AT + SECOND) }));
    }

    #[test]
    fn times_lie_where_they_make_sense() {
        let account = |before: &str| times(json!({ "account": Uuid::nil(), "issued_before": before }));
        assert_eq!(account("2027-01-15T15:00:05+07:00").unwrap().issued_before, Some(AT + 5 * SECOND));
        assert_eq!(account("2027-01-15T08:00:06Z"), Err("/issued_before".into()));
        assert_eq!(account("hôm qua"), Err("/issued_before".into()));
        let expiring = |end: &str| times(json!({ "jti": "j", "expires_at": end }));
        assert_eq!(expiring("2027-01-15T08:00:00Z"), Err("/expires_at".into()));
        assert_eq!(expiring("soon"), Err("/expires_at".into()));
    }

    #[test]
    fn it_is_over_when_its_end_has_come() {
        assert_eq!(RevocationState::of(Some(AT), AT - 1), RevocationState::Active);
        assert_eq!(RevocationState::of(Some(AT), AT), RevocationState::Over);
        assert_eq!(RevocationState::of(None, Micros::MAX), RevocationState::Active);
    }
}
