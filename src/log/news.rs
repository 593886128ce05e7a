//! News of the log for whoever follows it: that something was sealed, and what was signed. One question to the database
//! serves all followers of a process, however many there are; without followers nothing is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::reads::Reads;
use super::seal;
use super::signer::{Signed, Signer};
use crate::db::Db;
use crate::error::Error;

/// How often the head is looked at unasked: another replica may have sealed.
const UNASKED: Duration = Duration::from_millis(250);

/// Between two looks: under load each of them finds several seals.
const GATHER: Duration = Duration::from_millis(20);

/// What is known of the log's end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    /// Events that are sealed.
    pub size: i64,
    /// The newest checkpoint.
    pub signed: Option<Arc<Signed>>,
    /// True once the process is about to end: whoever follows goes elsewhere.
    pub stopping: bool,
}

/// Where a process tells its followers.
#[derive(Default)]
pub struct News {
    head: watch::Sender<Head>,
    asking: Arc<AtomicBool>,
    /// What those who follow read together.
    pub reads: Reads,
}

impl News {
    /// What is known, and whatever comes. [`keep`](Self::keep) brings it.
    pub fn follow(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    /// Makes sure that somebody asks. Whoever waits calls this first, and again from time to time: who asked before may
    /// have ended with its thread.
    pub fn keep(&self, db: &Db, signer: Option<&Arc<Signer>>) {
        if let Some(asking) = Asking::begin(&self.asking) {
            tokio::spawn(ask(asking, db.clone(), signer.cloned(), self.head.clone()));
        }
    }

    /// Ends every answer that would not end by itself.
    pub fn stop(&self) {
        self.head.send_modify(|head| head.stopping = true);
    }
}

/// Held by the one who asks, until it ends, however that comes.
struct Asking(Arc<AtomicBool>);

impl Asking {
    fn begin(flag: &Arc<AtomicBool>) -> Option<Self> {
        (!flag.swap(true, Ordering::AcqRel)).then(|| Self(flag.clone()))
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Asks for as long as somebody follows.
async fn ask(mut asking: Asking, db: Db, signer: Option<Arc<Signer>>, head: watch::Sender<Head>) {
    let mut sealed = db.sealed();
    loop {
        if let Err(error) = tell(&db, signer.as_deref(), &head).await {
            tracing::warn!(%error, "the head of the log could not be read; trying again");
        }
        tokio::time::sleep(GATHER).await;
        let _ = tokio::time::timeout(UNASKED, sealed.changed()).await;
        if head.receiver_count() == 0 {
            let flag = asking.0.clone();
            drop(asking);
            // Somebody may have come just before that.
            let Some(again) = Asking::begin(&flag).filter(|_| head.receiver_count() > 0) else { return };
            asking = again;
        }
    }
}

async fn tell(db: &Db, signer: Option<&Signer>, head: &watch::Sender<Head>) -> Result<(), Error> {
    let size = seal::size(db.reader().conn()).await?;
    let signed = match signer {
        // A log in trouble has news, but nothing more to sign.
        Some(signer) => signer.newest().await.ok(),
        None => None,
    };
    head.send_if_modified(|head| {
        let newer = signed.filter(|signed| head.signed.as_deref() != Some(signed));
        let moved = head.size != size || newer.is_some();
        head.size = size;
        if let Some(newer) = newer {
            head.signed = Some(Arc::new(newer));
        }
        moved
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_asks_for_all_and_nobody_once_all_are_gone() {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::connect(&format!("sqlite://{}", directory.path().join("x.db").display())).await.unwrap();
        db.migrate().await.unwrap();
        let news = News::default();
        let followers: Vec<_> = (0..100).map(|_| news.follow()).collect();
        (0..100).for_each(|_| news.keep(&db, None));
        assert!(Asking::begin(&news.asking).is_none(), "one asks");
        drop(followers);
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if let Some(free) = Asking::begin(&news.asking) {
                drop(free);
                return db.close().await;
            }
        }
        panic!("still asking");
    }

    #[test]
    fn whoever_follows_learns_of_the_end() {
        let news = News::default();
        let mut follower = news.follow();
        news.stop();
        assert!(follower.has_changed().unwrap() && follower.borrow_and_update().stopping);
    }
}
