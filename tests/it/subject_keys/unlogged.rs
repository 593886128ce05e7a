//! On PostgreSQL the words by which records are found stand in clear in the database, and nowhere else: not in a base backup,
//! not in its WAL. In return a crash loses them, and the service fills them again.

use std::path::Path;

use serde_json::json;

use super::MARK;
use crate::support::ISSUER;
use crate::support::cluster::Cluster;
use crate::support::program::Program;
use crate::support::watch::ended;

/// The files below a directory in which the mark stands.
fn marked(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(marked(&path));
        } else if path.is_file()
            && std::fs::read(&path).unwrap().windows(MARK.len()).any(|bytes| bytes == MARK.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[actix_web::test]
async fn what_records_are_found_by_is_in_no_base_backup_and_survives_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mut cluster) = Cluster::create(directory.path(), &[]) else { return };
    cluster.start().await;
    let keys = tempfile::tempdir().unwrap();
    let mut program = Program::around(&cluster.database().await);
    let place = format!("sqlite://{}", keys.path().join("keys.db").display());
    program.environment.push(("THIDUA_SUBJECT_KEYS".into(), place));
    program.begin();
    let running = program.serve().await;
    let label = format!("{MARK} Lò Thị");
    let account = json!({ "issuer": ISSUER, "subject": "s-1", "label": label, "role": "auditor" });
    program.create("/v1/grants", "account", &account).await.unwrap().is(201);
    let search = async || program.post("/v1/accounts:search", &json!({ "query": MARK })).await.unwrap();
    let labels = |answer: crate::support::Answer| {
        let items = answer.is(200).json()["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["label"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(labels(search().await), [json!(label)]);

    let copy = cluster.directory(&directory.path().join("copy"));
    let backup = format!(
        "{} -h 127.0.0.1 -p {} -U postgres -X stream -c fast -D {}",
        cluster.programs().join("pg_basebackup").display(),
        cluster.url("x").rsplit([':', '/']).nth(1).unwrap(),
        copy.display()
    );
    assert!(ended(&mut cluster.shell().args(["-c", &backup]).spawn().unwrap()).success(), "{backup}");
    assert_eq!(marked(&copy), Vec::<String>::new());
    // What is unlogged is written when the server ends in order.
    cluster.stop("INT");
    assert!(!marked(&directory.path().join("data")).is_empty(), "what is looked for is there at all");
    cluster.start().await;

    cluster.stop("QUIT");
    cluster.start().await;
    let mut answer = search().await;
    for _ in 0..200 {
        if answer.status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        answer = search().await;
    }
    assert_eq!(labels(answer), [json!(label)], "never nothing in between");
    drop(running);
}
