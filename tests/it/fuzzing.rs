//! What fuzzing found, and where it starts from, replayed without a fuzzer. `fuzz/run` searches for more.

use std::path::Path;

#[path = "../../fuzz/src/lib.rs"]
mod targets;

#[test]
fn every_seed_is_replayed() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for (name, target) in targets::TARGETS {
        let files: Vec<_> = std::fs::read_dir(seeds.join(name)).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty(), "{name} has seeds");
        for file in files {
            let data = std::fs::read(&file).unwrap();
            let run = std::panic::catch_unwind(|| target(&data));
            assert!(run.is_ok(), "{name}: {}", file.display());
        }
    }
}

#[test]
fn the_shipped_campaign_is_read_by_the_targets() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("campaigns/quynh-nhai-2021-2025");
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let files = ["campaign.yaml", "units.yaml", "rules.yaml"].map(|name| format!("=== {name}\n{}", text(name)));
    targets::campaign(files.concat().as_bytes());
    targets::rules(text("rules.yaml").as_bytes());
}
