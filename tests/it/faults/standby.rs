//! The server is lost, and an asynchronous standby takes its place: one that had everything goes on; one that lagged behind
//! what was signed is neither signed nor written.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database as Sea, DatabaseConnection, Statement};
use thidua::db::Db;
use thidua::error::Code;
use thidua::log::anchor::Anchor;
use thidua::log::signer::Trouble;

use super::sealing::{is_sound, sign_all, started, write};
use crate::support::cluster::Cluster;

/// Waits until the answer is yes.
async fn until(conn: &DatabaseConnection, question: &str) {
    let statement = Statement::from_string(conn.get_database_backend(), format!("SELECT {question} AS yes"));
    for _ in 0..1200 {
        let row = conn.query_one_raw(statement.clone()).await.unwrap().unwrap();
        if row.try_get::<bool>("", "yes").unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never: {question}");
}

async fn admin(cluster: &Cluster) -> DatabaseConnection {
    Sea::connect(cluster.url("thidua")).await.unwrap()
}

/// The events that a server has, sealed or not, as far as it answers.
fn has(size: u64) -> String {
    format!("(SELECT size FROM audit_head WHERE log_id = 1) = {size}")
}

/// Makes it a server of its own.
async fn promoted(standby: &Cluster) -> Db {
    let admin = admin(standby).await;
    admin.execute_unprepared("SELECT pg_promote()").await.unwrap();
    until(&admin, "NOT pg_is_in_recovery()").await;
    admin.close().await.unwrap();
    Db::connect(&standby.url("thidua")).await.unwrap()
}

#[actix_web::test]
async fn a_standby_that_lagged_behind_is_neither_signed_nor_written() {
    let directory = tempfile::tempdir().unwrap();
    // The server's user has to reach what lies below.
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let place = |name: &str| directory.path().join(name);
    let settings = ["wal_level=replica", "max_wal_senders=4", "hot_standby=on", "fsync=off"];
    let Some(mut primary) = Cluster::create(&place("primary"), &settings) else { return };
    primary.start().await;
    let db = Db::connect(&primary.database().await).await.unwrap();
    db.migrate().await.unwrap();
    let anchor = place("anchor");
    write(&db, 40).await.unwrap();
    let signer = started(&db, &anchor).await;
    let old = sign_all(&db, &signer).await;

    let (mut near, mut far) = (primary.standby(&place("near")), primary.standby(&place("far")));
    near.start().await;
    far.start().await;
    let (near_admin, far_admin) = (admin(&near).await, admin(&far).await);
    until(&far_admin, &has(old)).await;
    // The line to one of them breaks; the service goes on and signs.
    for sql in ["ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"] {
        far_admin.execute_unprepared(sql).await.unwrap();
    }
    until(&far_admin, "NOT EXISTS (SELECT FROM pg_stat_wal_receiver)").await;
    write(&db, 7).await.unwrap();
    let signed = sign_all(&db, &signer).await;
    assert_eq!(signed, old + 7);
    until(&near_admin, &has(signed)).await;
    near_admin.close().await.unwrap();
    far_admin.close().await.unwrap();
    let remembered = Anchor::at(&anchor).read().unwrap();
    drop(signer);
    db.close().await;
    primary.stop("QUIT");

    let lagging = promoted(&far).await;
    let there = started(&lagging, &anchor).await;
    assert_eq!(there.trouble(), Some(&Trouble::Behind { has: old, signed }));
    assert_eq!(write(&lagging, 1).await.map_err(|error| error.code), Err(Code::ReadOnly));
    assert_eq!(there.covering(1).await.map(|_| ()).map_err(|error| error.code), Err(Code::ReadOnly));
    // What it has is true, and is read.
    is_sound(&lagging).await;
    assert_eq!(Anchor::at(&anchor).read().unwrap(), remembered, "nothing was signed");
    drop(there);
    lagging.close().await;

    let whole = promoted(&near).await;
    let there = started(&whole, &anchor).await;
    assert_eq!(there.trouble(), None);
    write(&whole, 1).await.unwrap();
    assert_eq!(sign_all(&whole, &there).await, signed + 1);
    is_sound(&whole).await;
    drop(there);
    whole.close().await;
}
