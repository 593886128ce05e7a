//! What review said twice: the import law, the size of rooms, module headers.

use std::path::{Path, PathBuf};

const LONGEST: usize = 500;

fn sources(under: &str) -> Vec<(String, String)> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join(under), &mut found);
    found.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        (name, std::fs::read_to_string(path).unwrap())
    };
    found.into_iter().map(read).collect()
}

/// The code of a file, without its comments and its tests.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Files that a rule is about, what they may not mention, and what to do instead.
type Law = (fn(&str) -> bool, &'static [&'static str], &'static str);

fn is_pure(name: &str) -> bool {
    let room_page = name.ends_with("/mod.rs") && name.matches('/').count() == 2;
    let house = ["src/db/", "src/http/", "src/auth/", "src/log/", "src/commands/"];
    (room_page && !house.iter().any(|prefix| name.starts_with(prefix)))
        || name.starts_with("src/recommendations/rules/")
        || (name.starts_with("src/campaigns/")
            && !["/store.rs", "/http.rs", "/load.rs"].iter().any(|end| name.ends_with(end)))
        || name.starts_with("src/log/proof/")
        || name.starts_with("src/findings/questions/")
        || ["closure", "fit", "lineage", "succession"].iter().any(|page| name == format!("src/units/{page}.rs"))
        || ["src/db/event.rs", "src/auth/policy.rs", "src/log/fold.rs", "src/figures/total.rs"].contains(&name)
}

const LAWS: &[Law] = &[
    (is_pure, &["actix_web", "sea_orm", "clock::now", "id::new_id", "std::env"], "this file is pure: pass values in"),
    (|name| name.ends_with("/store.rs"), &["actix_web", "Permit"], "stores speak SQL only"),
    (|name| name.ends_with("/http.rs"), &["sea_orm"], "SQL belongs into store.rs"),
    (|name| name.starts_with("src/db/"), &["actix_web"], "the door knows no HTTP"),
    (
        |name| !name.starts_with("src/db/"),
        &["DatabaseConnection", "Database::connect", ".begin(", "begin_with", "execute_unprepared(\"BEGIN"],
        "only db holds a connection",
    ),
    (|name| name != "src/config.rs", &["std::env"], "the environment enters in config.rs"),
    (|name| name != "src/clock.rs", &["SystemTime::now", "Utc::now", "Instant::now"], "time enters in clock.rs"),
    (
        |name| name.starts_with("src/commands/"),
        &[" println!", " print!"],
        "commands::say does not mind who leaves first",
    ),
    (|name| name != "src/id.rs", &["now_v7", "new_v4", "rand::fill"], "ids and randomness enter in id.rs"),
];

#[test]
fn the_import_law_holds() {
    let mut broken = Vec::new();
    for (name, text) in sources("src") {
        let code = code(&text);
        for (concerns, forbidden, instead) in LAWS {
            for word in forbidden.iter().filter(|_| concerns(&name)) {
                if code.contains(word) {
                    broken.push(format!("{name} mentions {word}: {instead}"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Rows of records are read through `db::one`, `db::all`, a list or the record itself, which open what is sealed in them.
#[test]
fn no_record_is_read_past_the_keys() {
    let mut past = Vec::new();
    for (name, text) in sources("src").into_iter().filter(|(name, _)| !name.starts_with("src/db/")) {
        for statement in code(&text).split(';') {
            let reads = ["one", "all"].iter().flat_map(|how| {
                ["conn", "tx.conn()", "reader.conn()", "snapshot.conn()"].map(|conn| format!(".{how}({conn})"))
            });
            let mut reads = reads.filter(|read| statement.contains(read.as_str()));
            let is_no_record = ["find_by_statement", "into_tuple"].iter().any(|word| statement.contains(word));
            if let (Some(read), false) = (reads.next(), is_no_record) {
                past.push(format!("{name}: {read}: db::one or db::all opens what it reads"));
            }
        }
    }
    assert!(past.is_empty(), "{}", past.join("\n"));
}

#[test]
fn no_file_is_longer_than_a_room() {
    let files = ["src", "migration/src", "tests"].iter().flat_map(|under| sources(under));
    let long: Vec<String> = files.filter(|(_, text)| text.lines().count() > LONGEST).map(|(name, _)| name).collect();
    assert!(long.is_empty(), "over {LONGEST} lines, split by operation: {}", long.join(", "));
}

#[test]
fn every_module_says_what_lives_there() {
    let files = ["src", "migration/src", "tests"].iter().flat_map(|under| sources(under));
    let silent: Vec<String> = files.filter(|(_, text)| !text.starts_with("//!")).map(|(name, _)| name).collect();
    assert!(silent.is_empty(), "begin with //!: {}", silent.join(", "));
}
