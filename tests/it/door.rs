//! The door under everything at once: good writes, failing ones, ones that change nothing, ones that collide,
//! and requests that are dropped half way. What was acknowledged stands, what was not does not, and every row has
//! its event.

use std::collections::BTreeSet;
use std::time::Duration;

use thidua::commands::grant::console;
use thidua::db::{Outcome, WriteTx};
use thidua::error::Code;
use thidua::id::new_id;
use thidua::log::rebuild;
use thidua::units::{UnitKind, store};
use uuid::Uuid;

use crate::both_engines;
use crate::support::{World, unit};

#[derive(Default)]
struct Ledger {
    stands: BTreeSet<Uuid>,
    never: BTreeSet<Uuid>,
}

async fn write(world: &World, n: u64, shared: Uuid) -> Ledger {
    let mut ledger = Ledger::default();
    for round in 0..10 {
        let (id, fate) = (new_id(), (n + round * 5) % 8);
        let id = if fate == 3 { shared } else { id };
        let draft = unit("Bản", UnitKind::Village, None);
        let context = console();
        let write = world.db.record(&context, async |tx: &WriteTx<'_>| {
            store::register(tx, id, &draft).await?;
            match fate {
                0 => Err(Code::Conflict.into()),
                1 => Ok(Outcome::Unchanged(())),
                2 => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    Ok(Outcome::Changed(()))
                }
                _ => Ok(Outcome::Changed(())),
            }
        });
        // Fates 4 and 5 are dropped after a moment, wherever they are.
        let dropped_after = Duration::from_micros(if fate == 4 { 300 } else { 2_000 });
        let result = match fate {
            4 | 5 => tokio::time::timeout(dropped_after, write).await.ok(),
            _ => Some(write.await),
        };
        match (fate, result) {
            (0 | 1, _) => {
                ledger.never.insert(id);
            }
            (_, Some(Ok(()))) => {
                ledger.stands.insert(id);
            }
            // A dropped request may have been committed or not; the shared id collides.
            (3..=5, _) => {}
            (_, other) => panic!("{fate}: {other:?}"),
        }
    }
    ledger
}

both_engines! {
    async fn what_was_acknowledged_stands_and_nothing_else_does(world: World) {
        let shared = new_id();
        let ledgers = futures_util::future::join_all((0..48).map(|n| write(world, n, shared))).await;
        let mut rows = BTreeSet::new();
        for row in store::all(world.db.reader().conn()).await.unwrap() {
            rows.insert(row.id);
        }
        for ledger in &ledgers {
            let lost: Vec<_> = ledger.stands.difference(&rows).collect();
            assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
            let ghosts: Vec<_> = ledger.never.intersection(&rows).collect();
            assert!(ghosts.is_empty(), "refused and there: {ghosts:?}");
        }
        let winners = ledgers.iter().filter(|ledger| ledger.stands.contains(&shared)).count();
        assert_eq!(winners, 1, "one of the colliding writes won");
        // The writers above did not derive; what rebuild says of the derived tables is not the point here.
        world.db.record(&console(), async |tx: &WriteTx<'_>| {
            store::register(tx, new_id(), &unit("Bản", UnitKind::Village, None)).await?;
            store::derive(tx.conn()).await?;
            Ok(Outcome::Changed(()))
        }).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("fresh.db").display());
        let fresh = thidua::db::Db::connect(&url).await.unwrap();
        let report = rebuild::check(&world.db, &fresh, |_| Ok(())).await.unwrap();
        assert_eq!(report.differences, Vec::<String>::new());
        fresh.close().await;
    }

    async fn a_change_without_an_event_is_refused(world: World) {
        let result = world.db.record(&console(), async |_: &WriteTx<'_>| Ok(Outcome::Changed(()))).await;
        assert_eq!(result.unwrap_err().code, Code::Internal);
    }
}
