//! A check that is interrupted: its copy of the records has personal values as they are, so nothing of it is left.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use thidua::commands::grant::console;
use thidua::db::{Outcome, WriteTx};
use thidua::units::{UnitKind, store};

use super::{MARK, figure, sealed_worlds};
use crate::support::watch::{ended, signal};
use crate::support::{Running, World, many, unit};

/// What is computed of the units, which the check compares as well.
async fn derived(world: &World) {
    let console = console();
    let derived = world.db.record(&console, async |tx: &WriteTx<'_>| {
        store::register(tx, thidua::id::new_id(), &unit("Bản", UnitKind::Village, None)).await?;
        store::derive(tx.conn()).await?;
        Ok(Outcome::Changed(()))
    });
    derived.await.unwrap();
}

/// What lies in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// True if a marked value stands in a file there.
fn is_marked(directory: &Path) -> bool {
    let holds = |name: String| {
        // It may be gone by now.
        let bytes = std::fs::read(directory.join(name)).unwrap_or_default();
        bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes())
    };
    names(directory).into_iter().any(holds)
}

/// A check of this database, whose scratch files go there.
fn check(world: &World, words: &[&str], scratch: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
    command.args(words).env("THIDUA_DATABASE_URL", &world.database.url).env("TMPDIR", scratch);
    command.envs(world.database.urls().keys.map(|keys| ("THIDUA_SUBJECT_KEYS", keys)));
    command.env("RUST_LOG", "error").stdout(Stdio::null()).stderr(Stdio::null());
    command
}

sealed_worlds! {
    async fn a_check_that_is_interrupted_leaves_nothing_of_its_copy(world: World) {
        figure(world, 2023).await;
        many(world, 1000, 0).await;
        derived(world).await;
        let (scratch, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let state = beside.path().join("check");
        let kept = ["log", "check", "--state", state.to_str().unwrap()];
        for (words, how) in [(&kept[..], "INT"), (&["log", "rebuild", "--check"][..], "TERM")] {
            let mut running = Running(check(world, words, scratch.path()).spawn().unwrap());
            while !is_marked(scratch.path()) {
                assert!(running.0.try_wait().unwrap().is_none(), "{words:?} ended before it was interrupted");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(!is_marked(beside.path()), "where values are sealed nothing is kept");
            signal(&running.0, how);
            assert_eq!(ended(&mut running.0).code(), Some(1), "{words:?}, {how}");
            assert_eq!(names(scratch.path()), Vec::<String>::new(), "{words:?}, {how}");
            assert_eq!(names(beside.path()), ["check"], "it is known how far the first part is");
        }
        // It begins that part anew, and leaves nothing when it is through.
        assert!(check(world, &kept, scratch.path()).status().unwrap().success());
        assert_eq!((names(scratch.path()), names(beside.path())), (vec![], vec![]));
    }
}
