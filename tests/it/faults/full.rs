//! The disk under the database is full: writes are refused as such, reads go on, and once there is space again so do
//! writes.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::{join, join_all};
use sea_orm::{ConnectionTrait, Database as Sea, DbBackend, Statement};
use thidua::auth::Role;
use thidua::commands::grant;
use thidua::db::constraint::translate;
use thidua::db::{Outcome, WriteTx};
use thidua::error::{Code, Error};

use super::load::Ledger;
use crate::support::cluster::Cluster;
use crate::support::disk::Disk;
use crate::support::program::{Program, village};
use crate::support::watch::{LONGEST, watch};
use crate::support::{Engine, run};

/// Fills the disk under load, and frees it; `revive` brings back what an operator would have to.
async fn filled(program: &Program, disk: &Disk, reads_go_on: bool, revive: impl AsyncFnOnce()) {
    let service = program.serve().await;
    let (ledger, over) = (Ledger::default(), Cell::new(false));
    let writers = (0..4).map(|writer| {
        let (ledger, over) = (&ledger, &over);
        async move { ledger.write(program, &format!("w{writer}"), || over.get()).await }
    });
    let fault = async {
        ledger.grows(20).await;
        disk.fill();
        for _ in 0..1200 {
            if ledger.refused().len() > 8 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(ledger.refused().len() > 8, "the disk was full");
        program.get("/livez").await.unwrap().is(200);
        for path in ["/v1/units?limit=5", "/v1/events?limit=5", "/readyz"].into_iter().filter(|_| reads_go_on) {
            program.get(path).await.unwrap().is(200);
        }
        disk.free();
        revive().await;
        ledger.grows(20).await;
        over.set(true);
    };
    join(join_all(writers), fault).await;
    for answer in ledger.refused() {
        match answer.status {
            507 => answer.problem(507, "storage_full"),
            _ if answer.text.contains("outcome_unknown") => answer.problem(503, "outcome_unknown"),
            _ => answer.problem(503, "busy"),
        };
    }
    // What was acknowledged does not live in the process alone.
    drop(service);
    let service = program.serve().await;
    ledger.holds(program, &program.url, 0).await;
    assert!(program.anchor().exists(), "the log was signed");
    program.does(&["log", "rebuild", "--check"]);
    drop(service);
}

#[actix_web::test]
async fn full_under_sqlite() {
    let Some(disk) = Disk::mount(8) else { return };
    watch(LONGEST);
    let mut program = Program::new(&format!("sqlite://{}", disk.path().join("thidua.db").display())).await;
    program.signs();
    filled(&program, &disk, true, async || {}).await;
    let raw = Sea::connect(&program.url).await.unwrap();
    let check = Statement::from_string(DbBackend::Sqlite, "PRAGMA integrity_check");
    let found: String = raw.query_one_raw(check).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    assert_eq!(found, "ok");
    raw.close().await.unwrap();
}

#[actix_web::test]
async fn full_under_postgres() {
    let Some(disk) = Disk::mount(120) else { return };
    let settings = ["fsync=on", "shared_buffers=16MB", "min_wal_size=2MB", "max_wal_size=4MB"];
    let Some(mut cluster) = Cluster::create(disk.path(), &settings) else { return };
    cluster.start().await;
    let mut program = Program::new(&cluster.database().await).await;
    program.signs();
    // Without room for its own log PostgreSQL stops altogether.
    filled(&program, &disk, false, async || {
        if cluster.lives() {
            cluster.accepts().await;
        } else {
            cluster.start().await;
        }
    })
    .await;
}

/// A full disk without a disk: SQLite ends the whole transaction itself, and whoever counts transactions has miscounted.
#[actix_web::test]
async fn what_is_acknowledged_after_sqlite_gave_up_a_transaction_stands() {
    run(Engine::Sqlite, async |world| {
        let administrator = world.person(Role::Administrator, None).await;
        let full = async |tx: &WriteTx<'_>| -> Result<Outcome<()>, Error> {
            let insert = "INSERT INTO idempotency (actor_id, operation, idempotency_key, payload_hash, created_at, body) \
                          VALUES (zeroblob(16), 'x', 'x', zeroblob(32), 0, hex(zeroblob(1000000)))";
            for sql in ["PRAGMA max_page_count = 1", insert] {
                tx.conn().execute_unprepared(sql).await.map_err(translate)?;
            }
            Ok(Outcome::Unchanged(()))
        };
        for n in 0..3 {
            let refused = world.db.record(&grant::console(), full).await.unwrap_err();
            assert_eq!(refused.code, Code::StorageFull);
            // Rolled back, as every refused request is.
            let nothing = async |_: &WriteTx<'_>| Ok(Outcome::Unchanged(()));
            world.db.record(&grant::console(), nothing).await.unwrap();
            let made = administrator.create("/v1/units", &village(&format!("Bản {n}"))).await.is(201);
            administrator.get(made.header("location").unwrap()).await.is(200);
        }
    })
    .await;
}
