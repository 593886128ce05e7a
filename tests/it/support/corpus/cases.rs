//! The cases: what is right, and every way to spoil it that somebody thought of.

use serde_json::json;
use thidua::log::proof::checkpoint::Checkpoint;
use thidua::log::proof::key::SigningKey;
use thidua::log::proof::manifest::Manifest;

use super::{
    Case, ERASED, Log, SIZE, Twist, disclosure, event, exchanged, lines, log_key, place, policy, serve, sign, stranger,
    witness,
};

/// All of them.
pub fn all() -> Vec<Case> {
    let log = Log::new(Twist::None);
    let mut cases = proofs(&log);
    cases.extend(states(&log));
    cases.extend(exports(&log));
    cases.extend(exports_by_others(&log));
    cases.extend(ranges(&log));
    cases.extend(faulty_logs());
    cases.extend(streams(&log));
    cases.extend(diffs(&log));
    cases.extend(disclosed(&log));
    cases
}

const BOTH: &str = "the witnesses that cosigned it are no quorum";

fn proofs(log: &Log) -> Vec<Case> {
    let (leaf, proof) = (log.leaves[17].clone(), log.proof(17, SIZE));
    let good = |name: &str| {
        Case::new(name, "proof", &[("leaf", leaf.clone()), ("proof", proof.clone()), ("policy", policy("some"))])
    };
    let text = |from: &str, to: &str| exchanged(&proof, from, to);
    let flipped = flip(&leaf, 40);
    let other = log.proof(18, SIZE);
    let note = log.signed(SIZE);
    let by = |keys: &[SigningKey], witnesses: &[SigningKey]| {
        let changed = sign(&log.checkpoint(SIZE), keys, witnesses);
        exchanged(&proof, std::str::from_utf8(&note).unwrap(), std::str::from_utf8(&changed).unwrap())
    };
    let elsewhere = Checkpoint::new("other.invalid/log", SIZE, log.root(SIZE)).unwrap().to_string();
    let elsewhere = sign(&elsewhere, &[log_key()], &[witness(1)]);
    let elsewhere = text(std::str::from_utf8(&note).unwrap(), std::str::from_utf8(&elsewhere).unwrap());
    let line = |bytes: &[u8]| [bytes, b"\n"].concat();
    let two_lines = Log::new(Twist::Text(17, "Bản Pá", "Bản\nPá"));
    let signature = std::str::from_utf8(&note).unwrap().lines().nth(4).unwrap().to_owned();
    let signed_otherwise = text(&signature[signature.len() - 12..signature.len() - 6], "AAAAAA");
    let root = "the proof does not lead to the root";
    vec![
        good("good"),
        good("with a newline").with("leaf", line(&leaf)),
        good("of a leaf of two lines")
            .with("leaf", two_lines.leaves[17].clone())
            .with("proof", two_lines.proof(17, SIZE))
            .refused("the line is no leaf"),
        good("of the only event").with("leaf", log.leaves[0].clone()).with("proof", log.proof(0, 1)),
        good("without witnesses").with("policy", policy("none")).with("proof", by(&[log_key()], &[])),
        good("of both witnesses")
            .with("policy", policy("both"))
            .with("proof", by(&[log_key()], &[witness(1), witness(2)])),
        good("by a second key nobody knows").with("proof", by(&[log_key(), stranger()], &[witness(1)])),
        good("leaf byte flipped").with("leaf", flipped).refused(root),
        good("of two lines").with("leaf", line(&line(&leaf))).refused("the line is no leaf"),
        good("no leaf").with("leaf", Vec::new()).refused(root),
        good("of another event").with("proof", other).refused(root),
        good("index altered").with("proof", text("index 17", "index 16")).refused(root),
        good("index outside").with("proof", text("index 17", "index 57")).refused("there is no leaf 57 among 40"),
        good("index malformed").with("proof", text("index 17", "index 017")).refused("the index line is malformed"),
        good("hash missing").with("proof", without_line(&proof, 2)).refused("the proof has the wrong number of hashes"),
        good("hash altered").with("proof", altered_line(&proof, 3)).refused(root),
        good("forged signature").with("proof", signed_otherwise).refused("is wrong"),
        good("size altered").with("proof", text("\n40\n", "\n41\n")).refused("is wrong"),
        good("by another key").with("proof", by(&[stranger()], &[witness(1)])).refused("no key of the log"),
        good("by a witness alone").with("proof", by(&[], &[witness(1)])).refused("no key of the log"),
        good("in another log").with("proof", elsewhere).refused("no key of the log other.invalid/log"),
        good("without a quorum").with("policy", policy("both")).refused(BOTH),
        good("by the other witness").with("policy", policy("two")).refused(BOTH),
        good("not a proof").with("proof", note.clone()).refused("not a c2sp.org/tlog-proof@v1"),
        good("no policy").with("policy", policy("zzz")).refused("the policy: line 6"),
        Case { code: 2, says: "", ..good("no file").without("policy") },
        Case { code: 2, says: "", ..good("no leaf file").without("leaf") },
    ]
}

fn states(log: &Log) -> Vec<Case> {
    let other = Log::new(Twist::Value(7));
    let good = |name: &str| {
        let files = [("leaf", log.leaves[17].clone()), ("proof", log.proof(17, SIZE)), ("policy", policy("some"))];
        Case::new(&format!("state {name}"), "proof", &files)
    };
    let moves = |case: Case| Case { moves_to: Some(log.signed(SIZE)), ..case };
    let held = |case: Case, size: u64| case.with("state", log.signed(size));
    let shown = |case: Case, size: u64| held(case, size).with("consistency", log.consistency(size, SIZE));
    let elsewhere = Checkpoint::new("other.invalid/log", SIZE, log.root(SIZE)).unwrap().to_string();
    let elsewhere = sign(&elsewhere, &[stranger()], &[]);
    let forked = "the log forked";
    let broken = altered_consistency(&log.consistency(13, SIZE));
    let proof = "the consistency proof from 13 to 40 events";
    vec![
        moves(Case { first: true, ..good("first") }),
        moves(shown(good("forward"), 13)),
        moves(shown(good("from a perfect tree"), 32)),
        moves(shown(good("by one"), SIZE - 1)),
        moves(held(good("from nothing"), 0)),
        held(good("the same"), SIZE),
        held(good("not shown"), 13).refused("a consistency proof from 13 to 40 events is needed"),
        held(good("ahead").with("proof", log.proof(17, 30)), SIZE)
            .refused("fewer than the 40 that were accepted before"),
        good("forked at one size").with("state", other.signed(SIZE)).refused(forked),
        good("forked").with("state", other.signed(13)).with("consistency", log.consistency(13, SIZE)).refused(proof),
        good("forked and proven there")
            .with("state", other.signed(13))
            .with("consistency", other.consistency(13, SIZE))
            .refused(proof),
        held(good("stale proof"), 13).with("consistency", log.consistency(12, SIZE)).refused("is from 12 to 40 events"),
        held(good("proof too short"), 13)
            .with("consistency", log.consistency(13, 39))
            .refused("is from 13 to 39 events"),
        held(good("proof altered"), 13).with("consistency", broken).refused(proof),
        held(good("no proof"), 13).with("consistency", b"{}".to_vec()).refused("cannot be read"),
        good("of another log").with("state", elsewhere).refused("the older checkpoint is of other.invalid/log"),
        good("unreadable").with("state", b"nothing".to_vec()).refused("the remembered checkpoint"),
        held(good("kept where the leaf is wrong"), SIZE).with("leaf", flip(&log.leaves[17], 9)).refused("the root"),
        Case { first: true, ..good("not made where the leaf is wrong") }
            .with("leaf", flip(&log.leaves[17], 9))
            .refused("the root"),
    ]
}

fn export(log: &Log, name: &str, from: u64, to: u64) -> Case {
    let files = [("content", log.content(from, to)), ("manifest", log.served(from, to)), ("policy", policy("some"))];
    Case::new(name, "export", &files)
}

fn exports(log: &Log) -> Vec<Case> {
    let good = |name: &str| export(log, name, 0, SIZE);
    let of = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut leaves = log.leaves.clone();
        change(&mut leaves);
        lines(&leaves)
    };
    let flipped = of(&|leaves| leaves[17] = flip(&leaves[17], 40));
    let dropped = of(&|leaves| drop(leaves.remove(17)));
    let swapped = of(&|leaves| leaves.swap(17, 22));
    let neighbours = of(&|leaves| leaves.swap(12, 13));
    let inserted = of(&|leaves| leaves.insert(17, leaves[16].clone()));
    let invented = of(&|leaves| leaves.insert(17, exchanged(&leaves[16], "corpus", "corpse")));
    let truncated = of(&|leaves| leaves.truncate(35));
    let longer = of(&|leaves| leaves.push(leaves[39].clone()));
    let prev = of(&|leaves| leaves[28] = exchanged(&leaves[28], "\"prev\":\"", "\"prev\":\"x"));
    let last = of(&|leaves| leaves[39] = flip(&leaves[39], 40));
    let with = |name: &str, content: &Vec<u8>| good(name).with("content", content.clone());
    let exact = |name: &str, content: &Vec<u8>| with(name, content).with("tiles", log.tiles());
    let not_it = "the event is not the one in the log";
    vec![
        good("good"),
        good("of a few").with("content", log.content(0, 3)).with("manifest", log.served(0, 3)),
        good("of nothing").with("content", Vec::new()).with("manifest", log.served(0, 0)),
        good("with tiles").with("tiles", log.tiles()),
        good("with other tiles").with("tiles", Log::new(Twist::Value(7)).tiles()),
        with("leaf byte flipped", &flipped).refused("prev of version").at(19),
        exact("leaf byte flipped, tiles", &flipped).refused(not_it).at(17),
        with("line dropped", &dropped).refused("follows version").at(18),
        exact("line dropped, tiles", &dropped).refused(not_it).at(17),
        with("lines swapped", &swapped).refused("follows version 3").at(17),
        exact("lines swapped, tiles", &swapped).refused(not_it).at(17),
        exact("neighbours swapped, tiles", &neighbours).refused(not_it).at(12),
        with("neighbours swapped", &neighbours).refused("not verified: "),
        with("line inserted", &inserted).refused("follows version").at(17),
        exact("line inserted, tiles", &inserted).refused(not_it).at(17),
        with("line invented", &invented).refused("follows version").at(17),
        with("tail truncated", &truncated).refused("the content ends after 35 of 40 events").at(35),
        exact("tail truncated, tiles", &truncated).refused("the content ends after 35 of 40 events").at(35),
        with("nothing left", &Vec::new()).refused("the content ends after 0 of 40 events").at(0),
        with("too long", &longer).refused("the content goes on after its last event").at(40),
        with("prev altered", &prev).refused("is not the hash of the version before").at(28),
        with("last leaf flipped", &last).refused("the first bad position lies from 0 to 39"),
        exact("last leaf flipped, tiles", &last).refused(not_it).at(39),
        with("last newline missing", &log.content(0, SIZE)[..log.content(0, SIZE).len() - 1].to_vec())
            .refused("the line is not ended, or too long"),
        with("carriage returns", &exchanged(&log.content(0, SIZE), "\n", "\r\n")).refused("not verified: "),
        with("empty line", &[b"\n".to_vec(), log.content(0, SIZE)].concat()).refused("the line is no leaf").at(0),
        with("empty line at the end", &[log.content(0, SIZE), b"\n".to_vec()].concat()).refused("goes on").at(40),
        with("no text", &vec![0xff; 70_000]).refused("the line is not ended, or too long").at(0),
        with("another log's", &Log::new(Twist::Value(7)).content(0, SIZE)).refused("lies from 0 to 39"),
        exact("another log's, tiles", &Log::new(Twist::Value(7)).content(0, SIZE)).refused(not_it).at(7),
        with("another log's, from a state", &Log::new(Twist::Value(17)).content(0, SIZE))
            .with("state", log.signed(13))
            .refused("lies from 13 to 39"),
        with("another log's, up to a state", &Log::new(Twist::Value(7)).content(0, SIZE))
            .with("state", log.signed(13))
            .refused("lies from 0 to 12"),
    ]
}

/// The content is right; what is signed is not.
fn exports_by_others(log: &Log) -> Vec<Case> {
    let good = |name: &str| export(log, name, 0, SIZE);
    let signed = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = log.manifest(0, SIZE);
        change(&mut manifest);
        serve(&manifest.to_string(), &log_key(), &log.signed(SIZE))
    };
    let served = log.served(0, SIZE);
    let text = log.manifest(0, SIZE).to_string();
    let other = Log::new(Twist::Value(7));
    let by = |keys: &[SigningKey], witnesses: &[SigningKey]| {
        serve(&text, &log_key(), &sign(&log.checkpoint(SIZE), keys, witnesses))
    };
    let cases: Vec<(&str, Vec<u8>, &'static str)> = vec![
        ("manifest altered", exchanged(&served, "bytes ", "bytes 1"), "the manifest: the signature"),
        ("manifest by another key", serve(&text, &stranger(), &log.signed(SIZE)), "the manifest: no known key"),
        ("manifest of another count", signed(&|manifest| manifest.events = 39), "from 0 to 40 are not 39 events"),
        ("manifest of other bytes", signed(&|manifest| manifest.bytes += 1), "the manifest's bytes is not"),
        ("manifest of another digest", signed(&|manifest| manifest.sha256 = [1; 32]), "the manifest's sha256 is not"),
        ("manifest of another log", signed(&|manifest| manifest.log = "x.invalid/log".to_owned()), "no key of the log"),
        ("manifest with a tree before", signed(&|manifest| manifest.left = vec![[1; 32]]), "the left lines"),
        (
            "manifest with a line more",
            {
                let manifest = format!("{text}more 1\n");
                serve(&manifest, &log_key(), &log.signed(SIZE))
            },
            "the manifest's left line",
        ),
        ("checkpoint of another size", serve(&text, &log_key(), &log.signed(39)), "the checkpoint is of 39 events"),
        (
            "checkpoint of another root",
            serve(&text, &log_key(), &other.signed(SIZE)),
            "the first bad position lies from",
        ),
        ("checkpoint by another key", by(&[stranger()], &[witness(1)]), "the checkpoint: no key of the log"),
        ("checkpoint without a quorum", by(&[log_key()], &[]), "the witnesses that cosigned it are no quorum"),
        ("no checkpoint", served[..served.len() - log.signed(SIZE).len() - 3].to_vec(), "no line --"),
        ("manifest twice", serve(&text, &log_key(), &sign(&text, &[log_key()], &[])), "the checkpoint: "),
        ("checkpoint twice", [log.signed(SIZE), b"--\n".to_vec(), log.signed(SIZE)].concat(), "the first line is not"),
    ];
    cases.into_iter().map(|(name, manifest, says)| good(name).with("manifest", manifest).refused(says)).collect()
}

fn ranges(log: &Log) -> Vec<Case> {
    let moves = |case: Case, to: u64| Case { moves_to: Some(log.signed(to)), ..case };
    let range = |name: &str| export(log, name, 13, 37);
    let held = |case: Case, size: u64| case.with("state", log.signed(size));
    let other = Log::new(Twist::Value(7));
    let mut left = log.manifest(13, 37);
    left.left[1] = [5; 32];
    let left = serve(&left.to_string(), &log_key(), &log.signed(37));
    let mut leaves = log.leaves[13..37].to_vec();
    leaves[5] = flip(&leaves[5], 30);
    vec![
        range("range"),
        export(log, "range of nothing", 37, 37),
        moves(held(export(log, "range from a state within, from 0", 0, 37), 20), 37),
        moves(held(range("range from a state within"), 20), 37),
        moves(held(range("range from where a state ends"), 13), 37),
        held(range("range up to the state"), 37),
        moves(held(range("range from a state before"), 5).with("consistency", log.consistency(5, 37)), 37),
        moves(
            held(range("range from a state within, shown as well"), 20).with("consistency", log.consistency(20, 37)),
            37,
        ),
        held(range("range from a state before, not shown"), 5)
            .refused("a consistency proof from 5 to 37 events is needed"),
        held(range("range from a state within, stale proof"), 20)
            .with("consistency", log.consistency(19, 37))
            .refused("is from 19 to 37 events"),
        held(range("range before the state"), 40).refused("fewer than the 40 that were accepted before"),
        range("range, forked before").with("state", other.signed(20)).refused("the log forked"),
        range("range, forked before it")
            .with("state", other.signed(10))
            .with("consistency", log.consistency(10, 37))
            .refused("the consistency proof from 10 to 37 events"),
        range("range of another tree before")
            .with("manifest", left)
            .refused("the first bad position lies from 13 to 36"),
        range("range, flipped, tiles")
            .with("content", lines(&leaves))
            .with("tiles", log.tiles())
            .refused("in the log")
            .at(18),
        range("range, other range").with("content", log.content(12, 36)).refused("not verified: "),
    ]
}

/// Signed by the log, and yet not what a log may have.
fn faulty_logs() -> Vec<Case> {
    const CONSOLE: &str = "{\"actor\":{\"id\":null,\"kind\":\"console\"}";
    const MARKED: &str = "\u{feff}{\"actor\":{\"id\":null,\"kind\":\"console\"}";
    let of = |name: &str, twist: Twist| export(&Log::new(twist), name, 0, SIZE);
    let no_leaf = "the line is no leaf, in the log itself";
    vec![
        of("the log itself, prev", Twist::Prev(28)).refused("the version before, in the log itself").at(28),
        of("the log itself, version", Twist::Version(28)).refused("in the log itself").at(28),
        of("the log itself, no leaf", Twist::Junk(39)).refused("the line is no leaf, in the log itself").at(39),
        of("the log itself, no leaf but for its end", Twist::Text(39, CONSOLE, "not json")).refused(no_leaf).at(39),
        of("the log itself, no leaf but for a comma", Twist::Text(39, CONSOLE, "{")).refused(no_leaf).at(39),
        of("the log itself, half a version", Twist::Text(39, "\"ver\":9}", "\"ver\":9.0}")).refused(no_leaf).at(39),
        of("the log itself, no number", Twist::Text(39, "[39,40]", "[NaN,40]")).refused(no_leaf).at(39),
        of("the log itself, a mark of bytes", Twist::Text(39, CONSOLE, MARKED)).refused(no_leaf).at(39),
        of("the log itself, version yes", Twist::Text(0, "\"ver\":1}", "\"ver\":true}")).refused(no_leaf).at(0),
        of("the log itself, first version", Twist::Version(0)).refused("begins with version 2").at(0),
        of("the log itself, first prev", Twist::Prev(0)).refused("in the log itself").at(0),
    ]
}

fn streams(log: &Log) -> Vec<Case> {
    let positions = log.record(17);
    let leaves: Vec<Vec<u8>> = positions.iter().map(|position| log.leaves[place(*position)].clone()).collect();
    let last = *positions.last().unwrap();
    let proof = log.proof(last, SIZE);
    let good = |name: &str| {
        let files = [("leaves", lines(&leaves)), ("proof", proof.clone()), ("policy", policy("some"))];
        Case::new(name, "stream", &files)
    };
    let of = |name: &str, change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut leaves = leaves.clone();
        change(&mut leaves);
        good(name).with("leaves", lines(&leaves))
    };
    let stranger = log.leaves[place(*log.record(22).first().unwrap())].clone();
    let faulty = |name: &str, twist: Twist| {
        let other = Log::new(twist);
        let leaves: Vec<Vec<u8>> = positions.iter().map(|position| other.leaves[place(*position)].clone()).collect();
        good(name).with("leaves", lines(&leaves)).with("proof", other.proof(last, SIZE))
    };
    let root = "the proof does not lead to the root";
    vec![
        good("good"),
        of("of one event", &|leaves| leaves.truncate(1)).with("proof", log.proof(positions[0], SIZE)),
        of("up to an event", &|leaves| leaves.truncate(3)).with("proof", log.proof(positions[2], SIZE)),
        Case { moves_to: Some(log.signed(SIZE)), ..good("forward") }
            .with("state", log.signed(13))
            .with("consistency", log.consistency(13, SIZE)),
        good("not shown").with("state", log.signed(13)).refused("a consistency proof from 13 to 40 events is needed"),
        of("first line dropped", &|leaves| drop(leaves.remove(0))).refused("line 1: "),
        of("line dropped", &|leaves| drop(leaves.remove(2))).refused("line 3: version 4"),
        of("lines swapped", &|leaves| leaves.swap(2, 3)).refused("line 3: version 4"),
        of("line twice", &|leaves| leaves.insert(2, leaves[1].clone())).refused("line 3: version 2"),
        of("line of another record", &|leaves| leaves.insert(0, stranger.clone())).refused("line 2: the line is of"),
        of("line of another record last", &|leaves| leaves.push(stranger.clone())).refused("the line is of"),
        of("tail truncated", &|leaves| drop(leaves.pop())).refused(root),
        of("first leaf flipped", &|leaves| leaves[0] = flip(&leaves[0], 40)).refused("line 2: prev of version 2"),
        of("last leaf flipped", &|leaves| {
            let last = leaves.len() - 1;
            leaves[last] = flip(&leaves[last], 40);
        })
        .refused(root),
        of("prev altered", &|leaves| leaves[2] = exchanged(&leaves[2], "\"prev\":\"", "\"prev\":\"x"))
            .refused("line 3: prev"),
        of("no event", &Vec::clear).refused("there is no event"),
        of("empty line", &|leaves| leaves.insert(1, Vec::new())).refused("line 2: the line is no leaf"),
        good("last newline missing")
            .with("leaves", lines(&leaves)[..lines(&leaves).len() - 1].to_vec())
            .refused("the newline is missing"),
        good("proof of another event").with("proof", log.proof(18, SIZE)).refused(root),
        faulty("version missing in the log", Twist::Version(26)).refused("line 5: version 6"),
        faulty("prev wrong in the log", Twist::Prev(26)).refused("line 5: prev of version 5"),
    ]
}

fn diffs(log: &Log) -> Vec<Case> {
    let other = Log::new(Twist::Value(7));
    let diff = |name: &str, old: Vec<u8>, new: Vec<u8>| {
        Case::new(name, "diff", &[("old", old), ("new", new), ("policy", policy("some"))])
    };
    let shown = |case: Case, from: &Log| case.with("consistency", from.consistency(13, SIZE));
    let lone = |size: u64| sign(&log.checkpoint(size), &[log_key()], &[]);
    vec![
        diff("same", log.signed(SIZE), log.signed(SIZE)),
        shown(diff("continues", log.signed(13), log.signed(SIZE)), log),
        diff("not shown", log.signed(13), log.signed(SIZE))
            .refused("a consistency proof from 13 to 40 events is needed"),
        diff("fork", log.signed(SIZE), other.signed(SIZE)).refused("the log forked"),
        shown(diff("fork, by a proof", log.signed(13), other.signed(SIZE)), &other)
            .refused("the consistency proof from 13"),
        diff("proof altered", log.signed(13), log.signed(SIZE))
            .with("consistency", altered_consistency(&log.consistency(13, SIZE)))
            .refused("unless another proof leads from one to the other"),
        diff("reversed", log.signed(SIZE), log.signed(13)).refused("fewer than the 40"),
        diff("by another key", sign(&log.checkpoint(13), &[stranger()], &[]), log.signed(SIZE)).refused("OLD: "),
        diff("no checkpoint", log.signed(13), b"nothing".to_vec()).refused("NEW: "),
        diff("without a quorum", lone(SIZE), log.signed(SIZE))
            .refused("OLD: the witnesses that cosigned it are no quorum"),
        // The log's own signatures are enough to show that it forked.
        diff("fork without a quorum", lone(SIZE), other.signed(SIZE)).refused("the log forked"),
        Case { code: 2, says: "", ..diff("no file", log.signed(13), Vec::new()).without("new") },
    ]
}

const OTHER: &str = "commitments: 0 disclosed, 0 erased, 21 withheld; 1 erasures say that they took other values than were committed to";

fn disclosed(log: &Log) -> Vec<Case> {
    let list = |disclosures: &[(u64, &str)]| {
        let one = |(position, path): &(u64, &str)| {
            let told = disclosure(*position, path);
            json!({ "event": event(*position), "path": told.path, "salt": told.salt, "value": told.value })
        };
        serde_json::to_vec(&disclosures.iter().map(one).collect::<Vec<_>>()).unwrap()
    };
    let whole = |log: &Log, name: &str| export(log, name, 0, SIZE);
    let export = |name: &str| whole(log, name);
    let told = list(&[(17, "name"), (3, "reason"), (1, "name")]);
    let wrong = exchanged(&told, "Hường 17", "Hương 17");
    let positions = log.record(ERASED);
    let leaves: Vec<Vec<u8>> = positions.iter().map(|position| log.leaves[place(*position)].clone()).collect();
    let proof = log.proof(*positions.last().unwrap(), SIZE);
    let files = [("leaves", lines(&leaves)), ("proof", proof), ("policy", policy("some"))];
    let stream = Case::new("disclosed", "stream", &files);
    let counts = |case: Case, says| Case { says, ..case };
    vec![
        counts(export("disclosed"), "commitments: 3 disclosed, 6 erased, 12 withheld").with("disclosures", told),
        counts(export("nothing disclosed"), "commitments: 0 disclosed, 7 erased, 14 withheld")
            .with("disclosures", list(&[])),
        counts(whole(&Log::new(Twist::Erasure), "erased otherwise"), OTHER).with("disclosures", list(&[])),
        export("another value disclosed").with("disclosures", wrong).refused("matches no commitment of these events"),
        export("an event disclosed that is not there").with("disclosures", list(&[(99, "name")])).refused("matches no"),
        export("no disclosures").with("disclosures", b"{}".to_vec()).refused("the disclosures are no JSON list"),
        counts(stream, "commitments: 1 disclosed, 6 erased, 0 withheld").with("disclosures", list(&[(17, "name")])),
        export("a path disclosed that is not there").with("disclosures", list(&[(19, "reason")])).refused("matches no"),
    ]
}

/// The bytes with one bit of the byte there flipped, which stays a letter or a digit, in a value.
fn flip(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

fn without_line(bytes: &[u8], place: usize) -> Vec<u8> {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    [&lines[..place], &lines[place + 1..]].concat().concat()
}

/// The first letter of a line is another one.
fn altered_line(bytes: &[u8], place: usize) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    lines[place][0] = if lines[place][0] == b'A' { b'B' } else { b'A' };
    lines.concat()
}

fn altered_consistency(bytes: &[u8]) -> Vec<u8> {
    let mut value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    let hash = value["hashes"][1].as_str().unwrap();
    let first = if hash.starts_with('A') { "B" } else { "A" };
    value["hashes"][1] = format!("{first}{}", &hash[1..]).into();
    serde_json::to_vec(&value).unwrap()
}
