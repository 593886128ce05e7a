//! The demonstration: its steps are taken once, whatever interrupts them; the command starts, continues and starts over.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use serde_json::Value;
use thidua::auth::Role;
use thidua::demo::Script;

use crate::both_engines;
use crate::support::watch::{LONGEST, stopped, watch};
use crate::support::{Database, Engine, World};

async fn events(world: &World) -> i64 {
    world.somebody("auditor").get("/v1/events?limit=1").await.is(200).json()["size"].as_i64().unwrap()
}

/// The journal without its last line: the process ended between an effect and its line.
fn forget_a_line(journal: &Path) {
    let text = std::fs::read_to_string(journal).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    std::fs::write(journal, lines[..lines.len() - 1].join("\n") + "\n").unwrap();
}

both_engines! {
    async fn the_steps_are_taken_once_and_the_log_rebuilds(world: World) {
        let directory = tempfile::tempdir().unwrap();
        let script = Script::embedded().unwrap();
        world.play(directory.path(), &script).await;
        let size = events(world).await;
        world.play(directory.path(), &script).await;
        assert_eq!(events(world).await, size, "a second run changes nothing");
        let report = crate::log::rebuild_of(world).await;
        assert_eq!(report.differences, Vec::<String>::new());
        assert!(report.events as i64 >= size);
    }

    async fn an_interrupted_run_continues_and_no_step_is_taken_twice(world: World) {
        let directory = tempfile::tempdir().unwrap();
        let (script, journal) = (Script::embedded().unwrap(), directory.path().join("journal"));
        let until = |what: fn(&thidua::demo::Step) -> bool| script.steps.iter().position(what).unwrap() + 1;
        // A creation first, a change then.
        for end in [until(|step| step.post == "/v1/figures"), until(|step| step.post.ends_with(":confirm"))] {
            let part = Script { steps: script.steps[..end].to_vec(), ..script.clone() };
            world.play(directory.path(), &part).await;
            let size = events(world).await;
            forget_a_line(&journal);
            world.play(directory.path(), &part).await;
            assert_eq!(events(world).await, size, "the step had its effect once");
        }
        world.play(directory.path(), &script).await;
        assert_eq!(std::fs::read_to_string(&journal).unwrap().lines().count(), script.steps.len() + 1);
    }

    async fn a_step_that_is_refused_stops_the_run_and_says_which(world: World) {
        let directory = tempfile::tempdir().unwrap();
        let script = Script::read("format: demo/1\nsteps:\n  - { as: nobody, post: /v1/campaigns, body: {} }").unwrap();
        let (folder, signer) = (thidua::demo::folder().unwrap(), world.signer());
        thidua::demo::stage::set(&world.db, &folder, &signer).await.unwrap();
        let mut journal = thidua::demo::journal::Journal::open(&directory.path().join("j"), &script).unwrap();
        let run = thidua::demo::stage::play(&world.shared, &signer, &folder, &script, &mut journal, |_, _| {});
        let told = run.await.err().unwrap().to_string();
        assert!(told.contains("step 1: nobody to /v1/campaigns: 405") && told.contains("method_not_allowed"), "{told}");
    }
}

/// `thidua demo`, stopped when dropped.
pub struct Running {
    child: Child,
    printed: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn command(directory: &Path, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
        command.args(["demo", "--listen", "127.0.0.1:0", "--data-dir"]).arg(directory).args(more);
        command
    }

    pub fn start(directory: &Path, more: &[&str]) -> Self {
        watch(LONGEST);
        let about = directory.join("demo.json");
        let _ = std::fs::remove_file(&about);
        let mut command = Self::command(directory, more);
        let printed = directory.with_extension("printed");
        let file = std::fs::File::create(&printed).unwrap();
        let child = command.env("RUST_LOG", "error").stdout(file).spawn().unwrap();
        let running = Self { child, printed };
        for _ in 0..600 {
            if about.exists() {
                return running;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the demo did not start");
    }

    /// What it has printed so far.
    pub fn printed(&self) -> String {
        std::fs::read_to_string(&self.printed).unwrap()
    }

    /// Asks it to stop, as an operator does.
    pub fn stop(mut self) {
        assert!(stopped(&mut self.child).success());
    }
}

pub fn about(directory: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(directory.join("demo.json")).unwrap()).unwrap()
}

/// The answer to a role's call.
async fn get(about: &Value, role: &str, path: &str) -> Value {
    let url = format!("{}{path}", about["base_url"].as_str().unwrap());
    let request = reqwest::Client::new().get(url).bearer_auth(about["tokens"][role].as_str().unwrap());
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200, "{role} {path}");
    response.json().await.unwrap()
}

async fn state(about: &Value) -> (Value, Value) {
    let events = get(about, "auditor", "/v1/events?limit=1").await["size"].clone();
    (get(about, "auditor", "/v1/me").await["account"].clone(), events)
}

#[actix_web::test]
async fn the_command_continues_where_it_ended_and_starts_over_when_told() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("data");
    let running = Running::start(&directory, &[]);
    let first = about(&directory);
    for role in Role::ALL {
        let me = get(&first, role.as_str(), "/v1/me").await;
        assert_eq!(me["grants"][0]["role"], role.as_str());
    }
    let docs = format!("{}/init.js", first["docs_url"].as_str().unwrap());
    let script = reqwest::get(docs).await.unwrap().text().await.unwrap();
    assert!(script.contains("preauthorizeApiKey('bearer','ey"), "the page authorises itself: {script}");
    let before = state(&first).await;
    // Tokens, a key and, in the database, people: nobody else's, from the first moment on.
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    let files = ["thidua.db", "thidua.db-wal", "thidua.db-shm", "demo-steps.jsonl", "demo-key.pem", "demo.json"];
    for name in files {
        assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
    }
    running.stop();
    std::fs::write(directory.join("mine.txt"), "x").unwrap();

    let running = Running::start(&directory, &[]);
    let second = about(&directory);
    assert_eq!(state(&second).await, before, "the same data");
    assert_ne!(first["tokens"], second["tokens"], "fresh tokens");
    let mut old = first.clone();
    old["base_url"] = second["base_url"].clone();
    assert_eq!(state(&old).await, before, "the same key");
    running.stop();

    let running = Running::start(&directory, &["--fresh"]);
    let after = state(&about(&directory)).await;
    assert_eq!(after.1, before.1, "the same steps");
    assert_ne!(after.0, before.0, "other records");
    assert!(directory.join("mine.txt").exists(), "what the demo did not write stays");
    running.stop();
}

#[actix_web::test]
async fn another_database_is_taken_if_it_is_empty_or_this_demonstration_began_it() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(database) = Database::empty(engine).await else { continue };
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("data");
        let elsewhere = ["--database-url", &database.url];
        let running = Running::start(&directory, &elsewhere);
        let first = state(&about(&directory)).await;
        running.stop();
        assert!(!directory.join("thidua.db").exists());

        let running = Running::start(&directory, &elsewhere);
        assert_eq!(state(&about(&directory)).await, first, "it continues");
        running.stop();

        let refused = Running::command(&scratch.path().join("other"), &elsewhere).output().unwrap();
        assert!(!refused.status.success());
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(told.contains("begins in an empty database"), "{told}");
        let over = Running::command(&directory, &["--fresh", elsewhere[0], elsewhere[1]]).output().unwrap();
        assert!(!over.status.success(), "what is elsewhere is never thrown away");
        database.remove().await;
    }
}
