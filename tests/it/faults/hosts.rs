//! Replicas on two hosts, each with an anchor of its own.

use thidua::db::Db;
use thidua::error::Code;
use thidua::log::anchor::Anchor;
use thidua::log::signer::Trouble;

use super::sealing::{copy, forget, is_sound, sign_all, started, write};
use crate::support::{Database, Engine};

/// One signs, the other only shows what was signed: an older copy is refused by both.
async fn what_another_host_signed(engine: Engine) {
    let Some(database) = Database::create(engine).await else { return };
    let directory = tempfile::tempdir().unwrap();
    let [here, elsewhere] = ["here", "elsewhere"].map(|name| directory.path().join(name));
    let db = database.connect().await;
    write(&db, 20).await.unwrap();
    let old = sign_all(&db, &*started(&db, &here).await).await;
    assert_eq!(started(&db, &elsewhere).await.newest().await.unwrap().checkpoint.size(), old);
    db.close().await;
    let url = copy(&database, directory.path()).await;

    let db = database.connect().await;
    let (signs, shows) = (started(&db, &here).await, started(&db, &elsewhere).await);
    write(&db, 5).await.unwrap();
    let signed = sign_all(&db, &signs).await;
    assert_eq!(signed, old + 5);
    let before = Anchor::at(&elsewhere).read().unwrap();
    assert_ne!(before, Anchor::at(&here).read().unwrap(), "it has not heard of it");
    assert_eq!(shows.newest().await.unwrap().checkpoint.size(), signed);
    let remembered = Anchor::at(&elsewhere).read().unwrap();
    assert_eq!(remembered, Anchor::at(&here).read().unwrap(), "no less will do from then on");
    is_sound(&db).await;
    drop((signs, shows));
    db.close().await;

    let restored = Db::connect(&url).await.unwrap();
    for anchor in [&here, &elsewhere] {
        let there = started(&restored, anchor).await;
        assert_eq!(there.trouble(), Some(&Trouble::Behind { has: old, signed }));
        assert_eq!(there.covering(1).await.map(|_| ()).map_err(|error| error.code), Err(Code::ReadOnly));
    }
    assert_eq!(Anchor::at(&elsewhere).read().unwrap(), remembered, "nothing was signed");
    restored.close().await;
    forget(engine, &url).await;
    database.remove().await;
}

#[actix_web::test]
async fn what_another_host_signed_is_remembered_on_sqlite() {
    what_another_host_signed(Engine::Sqlite).await;
}

#[actix_web::test]
async fn what_another_host_signed_is_remembered_on_postgres() {
    what_another_host_signed(Engine::Postgres).await;
}
