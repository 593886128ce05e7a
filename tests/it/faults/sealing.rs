//! Sealing is cut at every message, done by two at once, and met with databases that are not the ones that were signed:
//! positions stay dense, the tree is that of the leaves, no second history is signed, and a flipped bit is found.

use std::path::Path;
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};
use thidua::auth::Role;
use thidua::commands::grant::console;
use thidua::db::{Db, Event, Outcome, WriteTx};
use thidua::error::Code;
use thidua::log::anchor::Anchor;
use thidua::log::check::Check;
use thidua::log::proof::rotation::kin;
use thidua::log::proof::tree::{Hash, leaf_hash, root_of};
use thidua::log::signer::{Keys, Signer, Trouble};
use thidua::log::{seal, store, tiles};
use thidua::units::{UnitKind, store as units};

use super::unanswered::over_a_line;
use crate::support::database::server;
use crate::support::program::village;
use crate::support::proxy::{Break, Proxy, Whose};
use crate::support::{Database, Engine, World, log_key, run, unit};

/// Positions are dense, the head is that of the leaves, and so is everything that is kept of the tree.
pub async fn is_sound(db: &Db) {
    let reader = db.reader();
    let leaves = store::leaves(reader.conn(), -1, 10_000_000).await.unwrap();
    let positions: Vec<i64> = leaves.iter().map(|leaf| leaf.seq).collect();
    assert_eq!(positions, (0..i64::try_from(leaves.len()).unwrap()).collect::<Vec<_>>(), "dense");
    let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(&leaf.leaf)).collect();
    let head = tiles::head(reader.conn()).await.unwrap();
    assert_eq!((head.size(), head.root()), (hashes.len() as u64, root_of(&hashes)));
    let keys = kin([], &[log_key().verifier().clone()]);
    let mut check = Check::resume(db, Some(&keys), None).await.unwrap();
    check.run(|_, _| Ok(())).await.unwrap();
    assert_eq!(check.state().findings, Vec::<String>::new());
}

/// Writes so many events, not more than a transaction takes.
pub async fn write(db: &Db, events: usize) -> Result<(), thidua::error::Error> {
    db.record(&console(), async |tx: &WriteTx<'_>| {
        units::lock_room(tx).await?;
        for _ in 0..events {
            units::register(tx, thidua::id::new_id(), &unit("Bản", UnitKind::Village, None)).await?;
        }
        units::derive(tx.conn()).await?;
        Ok(Outcome::Changed(()))
    })
    .await
}

/// The same beside others: what is derived of units would have them wait for one another.
async fn write_beside(db: &Db, events: usize) {
    let console = console();
    let written = db.record(&console, async |tx: &WriteTx<'_>| {
        for _ in 0..events {
            units::register(tx, thidua::id::new_id(), &unit("Bản", UnitKind::Village, None)).await?;
        }
        Ok(Outcome::Changed(()))
    });
    written.await.unwrap();
}

/// What a service finds that starts here with this anchor.
pub async fn started(db: &Db, anchor: &Path) -> Arc<Signer> {
    let keys = Keys::new(vec![log_key()], Anchor::at(anchor), None).unwrap();
    let signer = Arc::new(Signer::new(db.clone(), keys));
    signer.start().await.unwrap();
    signer
}

pub async fn sign_all(db: &Db, signer: &Signer) -> u64 {
    db.settle().await.unwrap();
    let size = u64::try_from(seal::size(db.reader().conn()).await.unwrap()).unwrap();
    signer.covering(size).await.unwrap().checkpoint.size()
}

async fn until_sealed_or_cut(world: &World, proxy: &Proxy) {
    for _ in 0..400 {
        let empty = seal::inbox_is_empty(world.db.reader().conn(), &seal::Floor::default()).await;
        if proxy.has_broken() || empty.unwrap_or(false) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[actix_web::test]
async fn a_seal_that_is_cut_at_any_message_is_done_again() {
    over_a_line(async |world, proxy| {
        let administrator = world.person(Role::Administrator, None).await;
        world.db.settle().await.unwrap();
        let mut cut = 0;
        for message in 1..400 {
            proxy.breaks(Whose::Sealer, Break::Message(message));
            let made =
                administrator.create_as("/v1/units", &format!("k{message}"), &village(&format!("Bản {message}"))).await;
            let id = made.is(201).id();
            until_sealed_or_cut(world, proxy).await;
            if !proxy.has_broken() {
                // A seal that fills a tile has more messages.
                let _ = write(&world.db, 256).await;
                until_sealed_or_cut(world, proxy).await;
            }
            if !proxy.has_broken() {
                // The whole transaction has fewer messages than that.
                break;
            }
            cut += 1;
            let mut answer = administrator.get(&format!("/v1/units/{id}/events")).await;
            for _ in 0..40 {
                // Whoever asks at the very moment shares the line that broke.
                if answer.status != 503 {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                answer = administrator.get(&format!("/v1/units/{id}/events")).await;
            }
            let events = answer.is(200).json();
            assert_eq!(events["items"].as_array().unwrap().len(), 1, "cut at message {message}");
        }
        assert!(cut > 20, "cut {cut} times");
        crate::support::said(&format!("sealing was cut at each of its first {cut} messages"));
        let direct = world.database.connect().await;
        direct.settle().await.unwrap();
        is_sound(&direct).await;
        assert_eq!(started(&direct, &world.anchor.path().join("anchor")).await.trouble(), None);
        direct.close().await;
    })
    .await;
}

#[actix_web::test]
async fn two_sealers_at_once_give_each_position_once() {
    run(Engine::Postgres, async |world| {
        let others = [world.database.connect().await, world.database.connect().await];
        others.iter().for_each(Db::start_sealer);
        world.db.settle().await.unwrap();
        let before = seal::size(world.db.reader().conn()).await.unwrap();
        let writers = (0..12_usize).map(|writer| {
            let db = [&world.db, &others[0], &others[1]][writer % 3];
            async move {
                for round in 0..10_usize {
                    write_beside(db, 1 + (writer + round) % 7).await;
                    // Whoever reads seals as well.
                    if round % 2 == 0 {
                        db.settle().await.unwrap();
                    }
                }
            }
        });
        futures_util::future::join_all(writers).await;
        world.db.settle().await.unwrap();
        let written: usize = (0..12).flat_map(|writer| (0..10).map(move |round| 1 + (writer + round) % 7)).sum();
        let after = seal::size(world.db.reader().conn()).await.unwrap();
        assert_eq!(after - before, i64::try_from(written).unwrap(), "none lost, none twice");
        is_sound(&world.db).await;
        for other in others {
            other.close().await;
        }
    })
    .await;
}

/// An older copy of this database: a backup restored, or a standby that lagged behind.
pub async fn copy(database: &Database, directory: &Path) -> String {
    match database.engine {
        Engine::Sqlite => {
            let file = directory.join("copy.db");
            Db::back_up(&database.url, &file).await.unwrap();
            format!("sqlite://{}", file.display())
        }
        Engine::Postgres => {
            let (base, name) = database.url.rsplit_once('/').unwrap();
            let admin = sea_orm::Database::connect(server().unwrap()).await.unwrap();
            let sql = format!("CREATE DATABASE {name}_copy TEMPLATE {name}");
            admin.execute_unprepared(&sql).await.unwrap();
            admin.close().await.unwrap();
            format!("{base}/{name}_copy")
        }
    }
}

/// The copy is not needed any more.
pub async fn forget(engine: Engine, url: &str) {
    if engine == Engine::Postgres {
        let admin = sea_orm::Database::connect(server().unwrap()).await.unwrap();
        let name = url.rsplit('/').next().unwrap();
        admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
        admin.close().await.unwrap();
    }
}

async fn an_older_copy(engine: Engine) {
    let Some(database) = Database::create(engine).await else { return };
    let directory = tempfile::tempdir().unwrap();
    let anchor = directory.path().join("anchor");
    let db = database.connect().await;
    write(&db, 30).await.unwrap();
    let signer = started(&db, &anchor).await;
    let old = sign_all(&db, &signer).await;
    drop(signer);
    db.close().await;
    let url = copy(&database, directory.path()).await;

    let db = database.connect().await;
    let signer = started(&db, &anchor).await;
    assert_eq!(signer.trouble(), None);
    write(&db, 5).await.unwrap();
    let signed = sign_all(&db, &signer).await;
    assert_eq!(signed, old + 5);
    let remembered = Anchor::at(&anchor).read().unwrap();

    // Shorter than what was signed.
    let restored = Db::connect(&url).await.unwrap();
    let there = started(&restored, &anchor).await;
    assert_eq!(there.trouble(), Some(&Trouble::Behind { has: old, signed }));
    assert_eq!(write(&restored, 1).await.map_err(|error| error.code), Err(Code::ReadOnly));
    assert_eq!(there.covering(1).await.map(|_| ()).map_err(|error| error.code), Err(Code::ReadOnly));
    restored.close().await;
    // As long and longer, by other events than those that were signed.
    for more in [5, 1] {
        let restored = Db::connect(&url).await.unwrap();
        write(&restored, more).await.unwrap();
        restored.settle().await.unwrap();
        let there = started(&restored, &anchor).await;
        assert_eq!(there.trouble(), Some(&Trouble::Differs { signed }));
        assert_eq!(write(&restored, 1).await.map_err(|error| error.code), Err(Code::ReadOnly));
        restored.close().await;
    }
    assert_eq!(Anchor::at(&anchor).read().unwrap(), remembered, "nothing was signed");
    // The right one goes on.
    write(&db, 1).await.unwrap();
    assert_eq!(sign_all(&db, &signer).await, signed + 1);
    is_sound(&db).await;
    drop((signer, there));
    db.close().await;
    // Whoever restores it and means to, events lost or not, lays the anchor aside: another history begins, as anybody can
    // show who holds what was signed before.
    std::fs::rename(&anchor, directory.path().join("anchor.lost")).unwrap();
    let restored = Db::connect(&url).await.unwrap();
    let there = started(&restored, &anchor).await;
    assert_eq!(there.trouble(), None);
    write(&restored, 1).await.unwrap();
    assert_eq!(sign_all(&restored, &there).await, old + 7);
    there.confront(&remembered.unwrap()).await.unwrap_err();
    assert_eq!(there.trouble(), Some(&Trouble::Differs { signed }));
    drop(there);
    restored.close().await;
    forget(engine, &url).await;
    database.remove().await;
}

#[actix_web::test]
async fn an_older_copy_is_neither_signed_nor_written_on_sqlite() {
    an_older_copy(Engine::Sqlite).await;
}

#[actix_web::test]
async fn an_older_copy_is_neither_signed_nor_written_on_postgres() {
    an_older_copy(Engine::Postgres).await;
}

/// A committed event is flipped before it is sealed, as on a bad disk, and flipped back by whoever is told. On SQLite nothing
/// that is committed waits.
async fn flipped_in_the_inbox(flip: &str, back: &str) {
    run(Engine::Postgres, async |world| {
        world.db.settle().await.unwrap();
        let raw = world.database.raw().await;
        raw.execute_unprepared(
            "DO $$ BEGIN EXECUTE (SELECT format('ALTER TABLE audit_inbox DROP CONSTRAINT %I', conname) FROM pg_constraint \
             WHERE conrelid = 'audit_inbox'::regclass AND pg_get_constraintdef(oid) LIKE '%sha256%'); END $$",
        )
        .await
        .unwrap();
        let disk = async |change: &str, id: uuid::Uuid| {
            let disk = raw.begin().await.unwrap();
            disk.execute_unprepared("SET LOCAL session_replication_role = replica").await.unwrap();
            let sql = format!("UPDATE audit_inbox SET {change} WHERE stream_id = '{id}' AND stream_ver = 1");
            assert_eq!(disk.execute_unprepared(&sql).await.unwrap().rows_affected(), 1, "{change}");
            disk.commit().await.unwrap();
        };
        // The sealer waits for the head.
        let head = world.database.raw().await.begin().await.unwrap();
        head.execute_unprepared("SELECT size FROM audit_head FOR UPDATE").await.unwrap();
        let (id, console) = (thidua::id::new_id(), console());
        let registered = world.db.record(&console, async |tx: &WriteTx<'_>| {
            units::register(tx, id, &unit("Bản", UnitKind::Village, None)).await?;
            Ok(Outcome::Changed(()))
        });
        registered.await.unwrap();
        disk(flip, id).await;
        head.rollback().await.unwrap();
        world.db.settle().await.unwrap();
        let size = seal::size(world.db.reader().conn()).await.unwrap();
        let amended = world.db.record(&console, async |tx: &WriteTx<'_>| {
            let old = units::locked(tx, id).await?;
            units::amend(tx, &old, &unit("Bản Sửa", UnitKind::Village, None), Event::new("unit.amended")).await?;
            Ok(Outcome::Changed(()))
        });
        amended.await.unwrap();
        // The log goes on without that record.
        write(&world.db, 1).await.unwrap();
        world.db.settle().await.unwrap();
        assert_eq!(seal::size(world.db.reader().conn()).await.unwrap(), size + 1, "{flip}");
        let report = crate::log::rebuild_of(world).await;
        let named = report.differences.iter().any(|line| line.contains("not sealed, its leaf has another hash than it had"));
        assert!(named, "{flip}: {report:?}");
        assert_eq!(report.remarks.len(), 0, "a row stands on it: {report:?}");

        disk(back, id).await;
        // A sealer that begins looks at all that waits; one that runs does so now and then.
        let anew = world.database.connect().await;
        anew.settle().await.unwrap();
        assert_eq!(seal::size(world.db.reader().conn()).await.unwrap(), size + 3, "{back}");
        is_sound(&world.db).await;
        let report = crate::log::rebuild_of(world).await;
        assert_eq!(report.differences, Vec::<String>::new());
        anew.close().await;
    })
    .await;
}

#[actix_web::test]
async fn a_bit_that_is_flipped_in_the_inbox_never_enters_the_tree() {
    let replaced = |from: &str, to: &str| format!("leaf = replace(leaf, '{from}', '{to}')");
    for (from, to) in [("unit.registered", "unit.registeree"), ("[null,\"2021-01-01\"]", "[null,\"2021-01-03\"]")] {
        flipped_in_the_inbox(&replaced(from, to), &replaced(to, from)).await;
    }
    let hash = "leaf_hash = set_byte(leaf_hash, 3, get_byte(leaf_hash, 3) # 1)";
    flipped_in_the_inbox(hash, hash).await;
}

/// Nothing stops what flips a bit of the head.
async fn unguarded(world: &World) -> DatabaseConnection {
    let raw = world.database.raw().await;
    let sql = match world.database.engine {
        Engine::Sqlite => "DROP TRIGGER audit_head_frontier; DROP TRIGGER audit_head_forward",
        Engine::Postgres => "ALTER TABLE audit_head DISABLE TRIGGER ALL",
    };
    raw.execute_unprepared(sql).await.unwrap();
    raw
}

#[actix_web::test]
async fn a_flipped_bit_in_the_head_stops_the_signer_on_sqlite() {
    run(Engine::Sqlite, flipped_head).await;
}

#[actix_web::test]
async fn a_flipped_bit_in_the_head_stops_the_signer_on_postgres() {
    run(Engine::Postgres, flipped_head).await;
}

async fn flipped_head(world: &World) {
    write(&world.db, 20).await.unwrap();
    let anchor = world.anchor.path().join("anchor");
    let signed = sign_all(&world.db, world.shared.signer.as_ref().unwrap()).await;
    let raw = unguarded(world).await;
    let head = tiles::head(world.db.reader().conn()).await.unwrap();
    for bit in [0, 77, head.to_bytes().len() * 8 - 1] {
        let mut flipped = head.to_bytes();
        flipped[bit / 8] ^= 1 << (bit % 8);
        for (bytes, trouble) in [(flipped, Some(Trouble::Differs { signed })), (head.to_bytes(), None)] {
            let hex = thidua::canonical::hex(&bytes);
            let sql = match world.database.engine {
                Engine::Sqlite => format!("UPDATE audit_head SET frontier = x'{hex}'"),
                Engine::Postgres => format!("UPDATE audit_head SET frontier = '\\x{hex}'"),
            };
            raw.execute_unprepared(&sql).await.unwrap();
            let db = world.database.connect().await;
            let signer = started(&db, &anchor).await;
            assert_eq!(signer.trouble(), trouble.as_ref(), "bit {bit}");
            db.close().await;
        }
    }
    is_sound(&world.db).await;
}
