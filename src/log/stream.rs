//! Following the log as server-sent events. Every event is read from the table, by position, in the scope of whoever
//! follows, and only as fast as it is taken: nothing is kept for a follower, so that a thousand of them cost no memory and
//! none can miss what a buffer had no room for. Those who want the same at the same moment share one read ([`super::reads`]).

use std::time::Duration;

use actix_web::web::Bytes;
use futures_util::{Stream, stream};
use serde_json::json;
use tokio::sync::watch;

use super::http::view;
use super::news::Head;
use super::reads::Part;
use super::store::{self, Filter, Range};
use crate::auth::Scope;
use crate::auth::policy::permit::ReadEvents;
use crate::auth::tenure::Tenure;
use crate::clock::{now, steady};
use crate::error::{Code, Error};
use crate::http::App;
use crate::http::limits::PATIENCE;

/// What is sent is this.
pub const MEDIA_TYPE: &str = "text/event-stream";

/// Events that are read at a time.
const STEP: u64 = 50;
/// Without events a comment is sent, so that nothing in between takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Between news and the question for them: several seals make one question.
const GATHER: Duration = Duration::from_millis(25);
/// When to come back, in milliseconds.
const RETRY: &[u8] = b"retry: 2000\n\n";

/// One who follows.
pub struct Follower {
    app: App,
    filter: Filter,
    scope: Scope,
    tenure: Tenure,
    news: watch::Receiver<Head>,
    /// The last position that was looked at.
    position: i64,
    /// Events that are sealed, as far as we know.
    size: i64,
    /// Events that are still to be sent.
    left: u64,
    /// Size of the last checkpoint that was sent.
    signed: u64,
    /// When something was sent last, and when the grants were read last.
    sent: Option<Duration>,
    renewed: Duration,
}

impl Follower {
    /// From behind the first position, so many events, of a log that has the size that stands beside it.
    pub fn new(app: App, filter: Filter, scope: Scope, tenure: Tenure, place: [i64; 2], left: u64) -> Self {
        let (news, [position, size]) = (app.news.follow(), place);
        let (signed, sent, renewed) = (0, None, steady());
        Self { app, filter, scope, tenure, news, position, size, left, signed, sent, renewed }
    }

    /// What is sent, for as long as it is taken.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes, Error>> {
        stream::try_unfold(self, async |mut follower: Self| {
            let said = follower.next().await.inspect_err(|error| tracing::info!(%error, "a follower was cut off"))?;
            Ok(said.map(|text| (text, follower)))
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(sent) = self.sent else {
            self.sent = Some(steady());
            return Ok(Some(Bytes::from_static(RETRY)));
        };
        // Of what was sent last, nothing was taken for so long.
        if steady().saturating_sub(sent) > PATIENCE {
            return Err(Error::new(Code::RequestTimeout));
        }
        let said = self.say(sent).await?;
        self.sent = Some(steady());
        Ok(said)
    }

    async fn say(&mut self, sent: Duration) -> Result<Option<Bytes>, Error> {
        loop {
            let head = self.news.borrow_and_update().clone();
            self.size = self.size.max(head.size);
            if head.stopping || self.left == 0 || now() >= self.tenure.ends_at() || !self.may_go_on().await? {
                return Ok(None);
            }
            if self.position + 1 < self.size
                && let Some(events) = self.events().await?
            {
                return Ok(Some(events));
            }
            let caught_up = self.position + 1 >= self.size;
            if let Some(checkpoint) = self.checkpoint(&head).filter(|_| caught_up) {
                return Ok(Some(checkpoint.into()));
            }
            let rest = HEARTBEAT.saturating_sub(steady().saturating_sub(sent));
            if rest.is_zero() {
                return Ok(Some(Bytes::from_static(b":\n\n")));
            }
            if caught_up {
                self.wait(rest).await;
            }
        }
    }

    /// False once the right is gone.
    async fn may_go_on(&mut self) -> Result<bool, Error> {
        if steady().saturating_sub(self.renewed) < HEARTBEAT {
            return Ok(true);
        }
        self.renewed = steady();
        let scope = self.tenure.scope::<ReadEvents>(&self.app.db.reader(), now()).await?;
        Ok(scope.map(|scope| self.scope = scope).is_some())
    }

    /// The next events, if there are any as far as one read looks.
    async fn events(&mut self) -> Result<Option<Bytes>, Error> {
        let limit = STEP.min(self.left);
        let range = Range { after: Some(self.position), before: Some(self.size), descending: false, limit };
        let what = format!("{range:?} {:?} {:?}", self.filter, self.scope);
        let part = self.app.news.reads.part(what, self.read(range)).await?;
        self.position = part.position;
        self.left -= part.events;
        Ok(Some(part.text).filter(|text| !text.is_empty()))
    }

    async fn read(&self, range: Range) -> Result<Part, Error> {
        let found = store::read(self.app.db.reader().conn(), &self.filter, &self.scope, range).await?;
        let events = u64::try_from(found.rows.len()).map_err(Error::internal)?;
        let last = found.rows.last().map(|row| row.seq).filter(|_| events == range.limit);
        let position = found.stopped.or(last).unwrap_or(self.size - 1);
        let mut text = String::new();
        for row in &found.rows {
            let event = view(row)?;
            let data = serde_json::to_string(&event).map_err(Error::internal)?;
            text.push_str(&format!("id: {}\nevent: {}\ndata: {data}\n\n", row.seq, event.kind));
        }
        Ok(Part { position, events, text: text.into() })
    }

    /// A checkpoint of what was sent, without an id: it is no place to come back to.
    fn checkpoint(&mut self, head: &Head) -> Option<String> {
        let signed = head.signed.as_deref()?;
        let size = signed.checkpoint.size();
        let sent = u64::try_from(self.position + 1).ok()?;
        if size > sent || size <= self.signed {
            return None;
        }
        self.signed = size;
        let data = json!({ "size": size, "note": signed.note });
        Some(format!("event: checkpoint\ndata: {data}\n\n"))
    }

    async fn wait(&mut self, longest: Duration) {
        self.app.news.keep(&self.app.db, self.app.signer.as_ref());
        let left = u64::try_from(self.tenure.ends_at() - now()).unwrap_or(0);
        let longest = longest.min(Duration::from_micros(left));
        if let Ok(Ok(())) = tokio::time::timeout(longest, self.news.changed()).await {
            tokio::time::sleep(GATHER).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use actix_web::web::Data;
    use futures_util::StreamExt;

    use super::*;
    use crate::auth::Role;
    use crate::auth::keys::Keys;
    use crate::auth::sign::SigningKey;
    use crate::auth::token::{Caller, Verifier};
    use crate::clock::tests::pass;
    use crate::commands::grant;
    use crate::db::Db;
    use crate::grants::GrantDraft;
    use crate::http::Shared;
    use crate::http::limits::Limits;
    use crate::log::seal;

    const ISSUER: &str = "https://idp.test";
    const SECOND: Duration = Duration::from_secs(1);

    type Sent = Pin<Box<dyn Stream<Item = Result<Bytes, Error>>>>;

    /// A log, and an auditor who may follow it.
    struct Log {
        app: App,
        _directory: tempfile::TempDir,
    }

    impl Log {
        async fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let db = Db::connect(&format!("sqlite://{}", directory.path().join("x.db").display())).await.unwrap();
            db.migrate().await.unwrap();
            let keys = Keys::from_jwks(&SigningKey::generate().unwrap().jwks).unwrap();
            let verifier =
                Verifier { keys: keys.into(), issuer: ISSUER.into(), audience: "a".into(), max_lifetime: SECOND };
            let app = Data::new(Shared::new(db, verifier, Limits::default(), None).await.unwrap());
            let log = Self { app, _directory: directory };
            log.lets_in("auditor").await;
            log
        }

        /// An event or two.
        async fn lets_in(&self, subject: &str) {
            let (issuer, subject, role) = (ISSUER.into(), subject.into(), Role::Auditor);
            let draft = GrantDraft { issuer, subject, label: None, role, unit: None, valid_from: None, valid_to: None };
            grant::give(&self.app.db, &draft).await.unwrap();
        }

        async fn follow(&self) -> Sent {
            let (issued_at, issuer, subject) = (now() / 1_000_000, ISSUER.into(), "auditor".into());
            let token = Caller { issuer, subject, issued_at, expires_at: issued_at + 600, sid: None, jti: None };
            let (app, scope) = (self.app.clone(), Scope::Everything);
            let place = [-1, self.size().await];
            let follower = Follower::new(app, Filter::default(), scope, Tenure::of(token), place, u64::MAX);
            Box::pin(follower.stream())
        }

        async fn size(&self) -> i64 {
            seal::size(self.app.db.reader().conn()).await.unwrap()
        }
    }

    /// What is sent next, to whoever takes it.
    async fn take(sent: &mut Sent) -> Option<Result<String, Code>> {
        let next = tokio::time::timeout(10 * SECOND, sent.next()).await.expect("something is sent");
        next.map(|text| text.map(|text| String::from_utf8(text.to_vec()).unwrap()).map_err(|error| error.code))
    }

    /// The positions that are sent, up to this one.
    async fn positions(sent: &mut Sent, last: i64) -> Vec<i64> {
        let mut seen = Vec::new();
        while seen.last() != Some(&last) {
            let text = take(sent).await.unwrap().unwrap();
            seen.extend(text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse::<i64>().ok()));
        }
        seen
    }

    #[tokio::test]
    async fn whoever_takes_nothing_for_30_seconds_is_cut_off_and_nobody_else() {
        let log = Log::new().await;
        let mut sent = log.follow().await;
        assert_eq!(take(&mut sent).await.unwrap().unwrap().as_bytes(), RETRY);
        positions(&mut sent, log.size().await - 1).await;
        // However long it lasts, if something is taken now and then.
        for _ in 0..5 {
            pass(20 * SECOND);
            assert_eq!(take(&mut sent).await, Some(Ok(":\n\n".to_owned())));
        }
        // Nor does it matter what there is to take.
        log.lets_in("another").await;
        pass(31 * SECOND);
        assert_eq!(take(&mut sent).await, Some(Err(Code::RequestTimeout)));
        assert_eq!(take(&mut sent).await, None);
    }

    #[tokio::test]
    async fn nobody_waits_for_one_who_takes_nothing() {
        let log = Log::new().await;
        let (mut deaf, mut other) = (log.follow().await, log.follow().await);
        assert_eq!(take(&mut deaf).await.unwrap().unwrap().as_bytes(), RETRY);
        for round in 0..3 {
            log.lets_in(&format!("somebody {round}")).await;
            let size = log.size().await;
            let first = positions(&mut other, size - 1).await[0];
            assert!(first == 0 || round > 0);
        }
        // It has missed nothing, if it comes back in time.
        pass(20 * SECOND);
        let size = log.size().await;
        assert_eq!(positions(&mut deaf, size - 1).await, (0..size).collect::<Vec<_>>());
    }
}
