//! Creating requests that run ahead of a transaction: what they write travels together, and whatever happens to one of
//! them, the others, its key, its event and its answer are as if each had had a transaction of its own.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use thidua::commands::grant::console;
use thidua::db::constraint::translate;
use thidua::db::idempotency::{Answer, Once};
use thidua::db::{Record as _, WriteTx};
use thidua::error::{Code, Error};
use thidua::id::new_id;
use thidua::log::rebuild;
use thidua::revocations::store::{self, revocation};
use thidua::revocations::{RevocationDraft, Times};
use uuid::Uuid;

use crate::both_engines;
use crate::support::World;

fn once(operation: &'static str, key: &str) -> Once {
    Once { operation, key: key.to_owned(), payload: [7; 32] }
}

/// Revokes; an account that does not exist is refused by the database alone.
async fn revoke(tx: &WriteTx<'_>, account: Option<Uuid>) -> Result<Answer, Error> {
    let jti = account.is_none().then(|| new_id().to_string());
    let draft = RevocationDraft { account, jti, ..serde_json::from_str(r#"{ "reason": "Thử" }"#).unwrap() };
    let times = Times { issued_before: account.map(|_| 1), expires_at: Some(7_258_118_400_000_000) };
    let row = store::revoke(tx, &draft, times).await?;
    let location = Some(row.id.to_string());
    Ok(Answer { status: 201, location, etag: None, body: "{}".to_owned(), subject: None, replayed: false })
}

async fn rows(world: &World) -> BTreeSet<String> {
    let rows = revocation::Model::all(world.db.reader().conn()).await.unwrap();
    rows.into_iter().map(|row| row.id.to_string()).collect()
}

/// Ten calls of one caller, each with a fate; what was acknowledged.
async fn call(world: &World, n: usize) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for round in 0..10 {
        let fate = (n + round * 5) % 8;
        // Two callers share each of these keys, so that two runs of one key meet.
        let key = if fate == 3 { format!("shared {round} {}", n / 2) } else { new_id().to_string() };
        let (context, once) = (console(), once("revoke", &key));
        let run = world.db.record_once(&context, &once, async |tx: &WriteTx<'_>| match fate {
            0 => {
                revoke(tx, None).await?;
                Err(Code::Conflict.into())
            }
            1 => revoke(tx, Some(Uuid::nil())).await,
            _ => revoke(tx, None).await,
        });
        let dropped_after = Duration::from_micros(if fate == 4 { 300 } else { 2_000 });
        let result = match fate {
            4 | 5 => tokio::time::timeout(dropped_after, run).await.ok(),
            _ => Some(run.await),
        };
        match (fate, result) {
            (_, Some(Ok(answer))) if fate > 1 => acknowledged.extend(answer.location),
            (0 | 1, Some(Err(_))) | (4 | 5, None) => {}
            (3, Some(Err(error))) if error.code == Code::IdempotencyInFlight => {}
            (_, other) => panic!("{fate}: {other:?}"),
        }
    }
    acknowledged
}

both_engines! {
    async fn what_was_acknowledged_stands_and_each_row_has_its_event(world: World) {
        let calls = futures_util::future::join_all((0..48).map(|n| call(world, n))).await;
        let acknowledged: BTreeSet<String> = calls.into_iter().flatten().collect();
        let rows = rows(world).await;
        assert!(acknowledged.len() > 200, "{}", acknowledged.len());
        assert!(acknowledged.is_subset(&rows), "acknowledged and lost");
        // Half of two fates of eight were left before they were answered, and may stand or not.
        assert!(rows.len() <= acknowledged.len() + 120, "{} rows, {} acknowledged", rows.len(), acknowledged.len());
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("fresh.db").display());
        let fresh = thidua::db::Db::connect(&url).await.unwrap();
        let report = rebuild::check(&world.db, &fresh, |_| Ok(())).await.unwrap();
        assert_eq!(report.differences, Vec::<String>::new());
        fresh.close().await;
    }

    async fn a_closure_that_only_writes_runs_once_and_its_key_is_kept(world: World) {
        let (context, runs) = (console(), AtomicUsize::new(0));
        let run = async |key: &str| {
            let once = once("write", key);
            let answer = world.db.record_once(&context, &once, async |tx: &WriteTx<'_>| {
                runs.fetch_add(1, Ordering::Relaxed);
                revoke(tx, None).await
            });
            answer.await.unwrap()
        };
        let first = run("a").await;
        assert_eq!((runs.load(Ordering::Relaxed), first.replayed), (1, false), "ahead, and not again");
        let second = run("a").await;
        assert_eq!(second, Answer { replayed: true, ..first.clone() });
        let other = Once { payload: [8; 32], ..once("write", "a") };
        let refused = world.db.record_once(&context, &other, async |tx: &WriteTx<'_>| revoke(tx, None).await).await;
        assert_eq!(refused.unwrap_err().code, Code::IdempotencyKeyReused);
        assert_eq!(rows(world).await, BTreeSet::from([first.location.unwrap()]));
    }

    async fn what_only_a_transaction_does_is_done_in_one(world: World) {
        let context = console();
        // Each operation asks for something else; the second call of it knows that.
        for operation in ["lock", "read after write", "two records", "change"] {
            for expected in [2, 1] {
                let (key, runs) = (new_id().to_string(), AtomicUsize::new(0));
                let once = once(operation, &key);
                let answer = world.db.record_once(&context, &once, async |tx: &WriteTx<'_>| {
                    runs.fetch_add(1, Ordering::Relaxed);
                    if operation == "lock" {
                        tx.lock("test").await?;
                    }
                    let answer = revoke(tx, None).await?;
                    let id: Uuid = answer.location.as_deref().unwrap().parse().unwrap();
                    match operation {
                        "read after write" => assert!(store::find(tx.conn(), id).await?.is_some()),
                        "two records" => drop(revoke(tx, None).await?),
                        "change" => {
                            let row = revocation::Model::find_locked(tx.conn(), id).await;
                            assert!(row.map_err(translate)?.is_some());
                        }
                        _ => {}
                    }
                    Ok(answer)
                });
                answer.await.unwrap();
                assert_eq!(runs.load(Ordering::Relaxed), expected, "{operation}");
            }
        }
        assert_eq!(rows(world).await.len(), 10, "two of two records and six of one");
    }
}
