//! One read of the log for all who follow it at the same place: a thousand followers at its end ask for the same next
//! events, and get them from one question, put into words once. Nothing is kept for anybody: what is read anew is read from
//! the table.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::web::Bytes;
use tokio::sync::OnceCell;

use crate::clock::steady;
use crate::error::Error;

/// Reads that are shared at a time: 50 events each at most.
const MOST: usize = 64;
/// For how long: what somebody may see may change.
const FRESH: Duration = Duration::from_secs(1);

/// The next events of somebody's, as they are sent.
#[derive(Clone, Debug)]
pub struct Part {
    /// The last position that was looked at.
    pub position: i64,
    /// How many events there are.
    pub events: u64,
    /// They themselves.
    pub text: Bytes,
}

/// Reads that others may share.
#[derive(Default)]
pub struct Reads(Mutex<VecDeque<Shared>>);

struct Shared {
    what: String,
    began: Duration,
    part: Arc<OnceCell<Part>>,
}

impl Reads {
    /// What `read` gives, unless somebody asks for the very same at the moment: then what that gives. `what` says all that
    /// it depends on. Each failure is its own: whoever waited for it tries again.
    pub async fn part(&self, what: String, read: impl Future<Output = Result<Part, Error>>) -> Result<Part, Error> {
        let part = self.shared(what);
        part.get_or_try_init(|| read).await.cloned()
    }

    fn shared(&self, what: String) -> Arc<OnceCell<Part>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = steady();
        while all.front().is_some_and(|first| all.len() >= MOST || now.saturating_sub(first.began) > FRESH) {
            all.pop_front();
        }
        if let Some(known) = all.iter().rfind(|known| known.what == what) {
            return known.part.clone();
        }
        let part = Arc::default();
        all.push_back(Shared { what, began: now, part: Arc::clone(&part) });
        part
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Code;

    fn part(position: i64) -> Part {
        Part { position, events: 1, text: Bytes::from_static(b"x") }
    }

    #[tokio::test]
    async fn the_same_is_read_once_and_a_failure_is_tried_again() {
        let (reads, asked) = (Reads::default(), AtomicUsize::new(0));
        let read = async |fails: bool| {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(10)).await;
            if fails && number == 0 { Err(Error::from(Code::Busy)) } else { Ok(part(7)) }
        };
        let all = (0..100).map(|_| reads.part("a".into(), read(true)));
        let answers = futures_util::future::join_all(all).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1, "the one that failed");
        assert!(answers.iter().flatten().all(|part| part.position == 7));
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        reads.part("b".into(), read(false)).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 3, "something else");
    }

    #[tokio::test]
    async fn no_more_than_some_are_kept() {
        let reads = Reads::default();
        for n in 0..1000 {
            reads.part(n.to_string(), async { Ok(part(n)) }).await.unwrap();
        }
        assert_eq!(reads.0.lock().unwrap().len(), MOST);
        assert_eq!(reads.part("999".into(), async { Ok(part(0)) }).await.unwrap().position, 999);
        assert_eq!(reads.part("1".into(), async { Ok(part(0)) }).await.unwrap().position, 0, "read anew");
    }
}
