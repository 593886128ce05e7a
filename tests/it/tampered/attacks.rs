//! Tamperings that an export or a record's history shows.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::{ConnectionTrait, DatabaseTransaction, Statement};
use serde_json::{Value, json};
use thidua::canonical::canonical;
use thidua::log::proof::export::ExportError;
use thidua::log::proof::history::History;
use thidua::log::proof::state::StateError;
use thidua::log::proof::tree::{Frontier, leaf_hash};
use uuid::Uuid;

use super::given::{self, Hand};
use super::random::Random;
use super::story::{Event, Story};
use super::tables;
use super::{Class, Judged};

/// What was done in a transaction that is still open.
struct Done {
    what: String,
    /// The first position that differs.
    position: usize,
    /// Chains, tiles and head were made anew: another log, true in itself.
    anew: bool,
    /// A record whose history shows it as well.
    record: Option<Uuid>,
    /// Its chains are broken: refused wherever it lies.
    broken: bool,
}

/// One event is changed, or its place; what is given away then is refused.
pub async fn changed(story: &Story<'_>, class: Class, random: &mut Random) -> Judged {
    let tx = story.begin().await;
    let done = match class {
        Class::Delete => delete(story, &tx, random).await,
        Class::Edit => edit(story, &tx, random).await,
        Class::Reorder => reorder(story, &tx, random).await,
        Class::Insert => insert(story, &tx, random).await,
        Class::Truncate => truncate(story, &tx, random).await,
        Class::Swap => swap(story, &tx, random).await,
        Class::Previous => previous(story, &tx, random).await,
        Class::Rewrite => rewrite(story, &tx, random).await,
        other => unreachable!("{other:?} is made elsewhere"),
    };
    let by_history = done.record.filter(|_| random.between(0, 4) == 0);
    let hand = if done.anew || random.coin() { Hand::Key } else { Hand::Old };
    // What another log has in common with ours may be left out: the consistency proof tells.
    let end = if done.anew && !done.broken { story.held() + 20 } else { done.position + 1 };
    let from = if random.coin() || done.broken { 0 } else { random.between(0, end) };
    let mut judged = match by_history {
        Some(record) => Judged {
            what: format!("{}, shown as the history of {record} by {hand:?}", done.what),
            refused: given::history(story, &tx, record, hand)
                .await
                .map_or_else(Ok, |versions| Err(format!("{versions} versions of {record} are believed"))),
            alarm: None,
            named: false,
        },
        None => exported(story, &tx, &done, from, hand).await,
    };
    tx.rollback().await.unwrap();
    judged.alarm = match by_history {
        Some(record) => alarm_of_history(story, record, hand).await,
        None => alarm(story, from, hand).await,
    };
    judged
}

async fn exported(story: &Story<'_>, tx: &DatabaseTransaction, done: &Done, from: usize, hand: Hand) -> Judged {
    let what = format!("{}, exported from {from} on by {hand:?}", done.what);
    let given = match given::export(story, tx, from, hand).await {
        Ok(given) => given,
        Err(error) => {
            return Judged { what, refused: Ok(format!("nothing is given: {error}")), alarm: None, named: false };
        }
    };
    match given::judge(&story.policy, &story.held, &given, Some(&story.hashes)) {
        Ok(events) => Judged { what, refused: Err(format!("{events} events are believed")), alarm: None, named: false },
        Err(error) => {
            let named = given::named(&error);
            let refused = match named {
                // Against what was truly signed, the first bad position is known.
                _ if done.anew => Ok(error.to_string()),
                Some(position) if position == done.position => Ok(error.to_string()),
                _ => Err(format!("refused, but position {} is not named: {error}", done.position)),
            };
            Judged { what, refused, alarm: None, named: named == Some(done.position) }
        }
    }
}

/// The same, of what nobody touched.
pub async fn alarm(story: &Story<'_>, from: usize, hand: Hand) -> Option<String> {
    let given = match given::export(story, &story.raw, from, hand).await {
        Ok(given) => given,
        Err(error) => return Some(format!("from {from} by {hand:?}: {error}")),
    };
    match given::judge(&story.policy, &story.held, &given, Some(&story.hashes)) {
        Ok(events) if events == (story.events.len() - from) as u64 => None,
        said => Some(format!("from {from} by {hand:?}: {said:?}")),
    }
}

pub async fn alarm_of_history(story: &Story<'_>, record: Uuid, hand: Hand) -> Option<String> {
    let versions = story.events.iter().filter(|event| event.record() == record).count();
    match given::history(story, &story.raw, record, hand).await {
        Ok(found) if found == versions as u64 => None,
        said => Some(format!("the history of {record}: {said:?}")),
    }
}

/// Makes chains (optionally), tiles and head anew.
async fn anew(story: &Story<'_>, tx: &DatabaseTransaction, from: usize, rest: &[Event]) {
    for (place, leaf) in rechained(&story.events[..from], rest) {
        tables::set_leaf(tx, from + place, &leaf).await;
    }
    tables::grow_the_tree(tx).await;
}

/// The leaves of `rest` that have to change so that versions and hashes follow one another.
fn rechained(before: &[Event], rest: &[Event]) -> Vec<(usize, Vec<u8>)> {
    let mut tips = std::collections::HashMap::new();
    for event in before {
        tips.insert(event.stream.clone(), (event.version, leaf_hash(&event.leaf)));
    }
    let mut different = Vec::new();
    for (place, event) in rest.iter().enumerate() {
        let tip = tips.get(&event.stream).copied();
        let mut value = event.value.clone();
        value["ver"] = json!(tip.map_or(1, |(version, _)| version + 1));
        value["prev"] = tip.map_or(Value::Null, |(_, hash)| json!(URL_SAFE_NO_PAD.encode(hash)));
        let leaf = if value == event.value { event.leaf.clone() } else { canonical(&value).unwrap().into_bytes() };
        tips.insert(event.stream.clone(), (value["ver"].as_u64().unwrap(), leaf_hash(&leaf)));
        different.push((place, leaf));
    }
    // Those that stay need not be written: who calls has the others written already.
    different.into_iter().filter(|(place, leaf)| rest[*place].leaf != *leaf).collect()
}

async fn delete(story: &Story<'_>, tx: &DatabaseTransaction, random: &mut Random) -> Done {
    let anew_too = random.between(0, 3) == 0;
    let position = random.between(0, if anew_too { story.held() } else { story.events.len() });
    tables::delete(tx, position).await;
    let closed = anew_too || random.coin();
    if closed {
        tables::shift(tx, position, -1).await;
    }
    if anew_too {
        anew(story, tx, position, &story.events[position + 1..]).await;
    }
    let event = &story.events[position];
    let later = story.events[position + 1..].iter().any(|later| later.stream == event.stream);
    Done {
        what: format!("position {position} deleted, closed up: {closed}, anew: {anew_too}"),
        position,
        anew: anew_too,
        // A record's last event leaves no hole in its history.
        record: Some(event.record()).filter(|_| later),
        broken: false,
    }
}

async fn edit(story: &Story<'_>, tx: &DatabaseTransaction, random: &mut Random) -> Done {
    let position = random.between(0, story.events.len());
    let (how, leaf) = edited(&story.events[position], random);
    tables::set_leaf(tx, position, &leaf).await;
    let anew_too = position < story.held() && random.between(0, 3) == 0;
    if anew_too {
        tables::grow_the_tree(tx).await;
    }
    Done {
        what: format!("position {position}: {how}, anew: {anew_too}"),
        position,
        anew: anew_too,
        record: Some(story.events[position].record()).filter(|_| !anew_too),
        broken: false,
    }
}

/// Another leaf.
fn edited(event: &Event, random: &mut Random) -> (String, Vec<u8>) {
    let text = String::from_utf8(event.leaf.clone()).unwrap();
    match random.between(0, 8) {
        0..3 => {
            // A letter or a digit becomes another one.
            let places: Vec<usize> = event
                .leaf
                .iter()
                .enumerate()
                .filter(|(_, byte)| byte.is_ascii_alphanumeric())
                .map(|(n, _)| n)
                .collect();
            let (place, mut leaf) = (*random.one_of(&places), event.leaf.clone());
            leaf[place] = if leaf[place] == b'7' { b'8' } else { b'7' };
            (format!("byte {place} changed"), leaf)
        }
        3 => {
            let place = *random.one_of(&[0, text.len()]);
            ("a space added".into(), [&text[..place], " ", &text[place..]].concat().into_bytes())
        }
        4 => ("a line break put in".into(), text.replacen(',', ",\n", 1).into_bytes()),
        5 => {
            let place = random.between(1, text.len());
            let place = (0..=place).rev().find(|place| text.is_char_boundary(*place)).unwrap();
            ("cut off".into(), text.as_bytes()[..place].to_vec())
        }
        6 => ("a member said twice".into(), text.replacen("{\"actor\"", "{\"actor\":null,\"actor\"", 1).into_bytes()),
        _ => {
            let members =
                ["actor", "at", "changes", "corr", "id", "reason", "scope", "type", "unit", "v", "ver", "stream"];
            let (member, mut value) = (*random.one_of(&members), event.value.clone());
            value[member] = match member {
                "at" => json!("2020-01-01T00:00:00.000000Z"),
                "ver" | "v" => json!(value[member].as_u64().unwrap() + 1),
                "actor" => json!({ "id": random.id(), "kind": "account" }),
                "changes" => json!({ "name": [null, "Người khác"] }),
                "stream" => json!(format!("{}/{}", event.kind(), random.id())),
                "reason" => json!({ "$c": URL_SAFE_NO_PAD.encode(random.bytes()) }),
                "type" => json!(format!("{}.invented", event.kind())),
                _ => json!(random.id()),
            };
            (format!("another {member}"), canonical(&value).unwrap().into_bytes())
        }
    }
}

async fn reorder(story: &Story<'_>, tx: &DatabaseTransaction, random: &mut Random) -> Done {
    let anew_too = random.between(0, 3) == 0;
    let one = random.between(0, if anew_too { story.held() } else { story.events.len() - 1 });
    let other = if random.coin() { one + 1 } else { random.between(one + 1, story.events.len()) };
    tables::exchange(tx, one, other).await;
    if anew_too {
        let mut rest = story.events[one..].to_vec();
        rest.swap(0, other - one);
        anew(story, tx, one, &rest).await;
    }
    let what = format!("positions {one} and {other} exchanged, anew: {anew_too}");
    Done { what, position: one, anew: anew_too, record: None, broken: false }
}

async fn insert(story: &Story<'_>, tx: &DatabaseTransaction, random: &mut Random) -> Done {
    let anew_too = random.between(0, 3) == 0;
    let position = random.between(0, if anew_too { story.held() } else { story.events.len() + 1 });
    let (like, event, record) = (random.between(0, story.events.len()), random.id(), random.id());
    let mut value = story.events[like].value.clone();
    (value["id"], value["ver"], value["prev"]) = (json!(event), json!(1), Value::Null);
    value["stream"] = json!(format!("{}/{record}", story.events[like].kind()));
    let leaf = canonical(&value).unwrap();
    tables::shift(tx, position, 1).await;
    let stands = if like < position { like } else { like + 1 };
    tables::insert(tx, position, stands, [event, record], leaf.as_bytes()).await;
    if anew_too {
        tables::grow_the_tree(tx).await;
    }
    let what = format!("an event like {like} put in at {position}, anew: {anew_too}");
    Done { what, position, anew: anew_too, record: None, broken: false }
}

async fn truncate(story: &Story<'_>, tx: &DatabaseTransaction, random: &mut Random) -> Done {
    let anew_too = random.coin();
    let position = random.between(1, if anew_too { story.held() } else { story.events.len() });
    tables::truncate(tx, position).await;
    if anew_too {
        tables::grow_the_tree(tx).await;
    }
    let what = format!("cut off behind {position} events, anew: {anew_too}");
    Done { what, position, anew: anew_too, record: None, broken: true }
}

async fn swap(story: &Story<'_>, tx: &DatabaseTransaction, random: &mut Random) -> Done {
    let one = random.between(0, story.events.len() - 1);
    let other = random.between(one + 1, story.events.len());
    tables::set_leaf(tx, one, &story.events[other].leaf).await;
    tables::set_leaf(tx, other, &story.events[one].leaf).await;
    let anew_too = one < story.held() && random.between(0, 3) == 0;
    if anew_too {
        tables::grow_the_tree(tx).await;
    }
    let record = Some(story.events[*random.one_of(&[one, other])].record()).filter(|_| !anew_too);
    let what = format!("leaves of {one} and {other} exchanged, anew: {anew_too}");
    Done { what, position: one, anew: anew_too, record, broken: false }
}

/// Another leaf before; everything behind it stands on that one.
async fn previous(story: &Story<'_>, tx: &DatabaseTransaction, random: &mut Random) -> Done {
    let position = loop {
        let position = random.between(0, story.events.len());
        if story.events[position].version > 1 {
            break position;
        }
    };
    let mut event = story.events[position].clone();
    event.value["prev"] = match random.between(0, 3) {
        0 => Value::Null,
        1 => json!(URL_SAFE_NO_PAD.encode(random.bytes())),
        _ => json!(URL_SAFE_NO_PAD.encode(story.hashes[random.between(0, story.events.len())])),
    };
    if event.value == story.events[position].value {
        event.value["prev"] = Value::Null;
    }
    event.leaf = canonical(&event.value).unwrap().into_bytes();
    tables::set_leaf(tx, position, &event.leaf).await;
    let anew_too = random.coin();
    if anew_too {
        let before = [&story.events[..position], &[event.clone()]].concat();
        for (place, leaf) in rechained(&before, &story.events[position + 1..]) {
            tables::set_leaf(tx, position + 1 + place, &leaf).await;
        }
        tables::grow_the_tree(tx).await;
    }
    let what = format!("position {position}: another prev, anew: {anew_too}");
    Done { what, position, anew: anew_too, record: Some(event.record()), broken: true }
}

/// The log from a point on is another one, true in itself and signed.
async fn rewrite(story: &Story<'_>, tx: &DatabaseTransaction, random: &mut Random) -> Done {
    let position = random.between(0, story.held());
    let what = fork(story, tx, position, random).await;
    Done { what, position, anew: true, record: Some(story.events[position].record()), broken: false }
}

async fn fork(story: &Story<'_>, tx: &DatabaseTransaction, position: usize, random: &mut Random) -> String {
    let mut event = story.events[position].clone();
    let year = random.between(2000, 2020);
    event.value["at"] = json!(format!("{year}-01-01T00:00:00.000000Z"));
    event.leaf = canonical(&event.value).unwrap().into_bytes();
    tables::set_leaf(tx, position, &event.leaf).await;
    let before = [&story.events[..position], &[event.clone()]].concat();
    for (place, leaf) in rechained(&before, &story.events[position + 1..]) {
        tables::set_leaf(tx, position + 1 + place, &leaf).await;
    }
    let hashes = tables::grow_the_tree(tx).await;
    // The row stands on the new leaves as well.
    let last = story.events.iter().rposition(|other| other.stream == event.stream).unwrap();
    let sql = format!("UPDATE \"{}\" SET tip = ? WHERE id = ?", event.kind());
    assert_eq!(tables::run(tx, &sql, vec![hashes[last].to_vec().into(), event.record().into()]).await, 1);
    format!("all from position {position} on made anew and signed")
}

/// Two auditors hold the same older checkpoint and are shown two logs, each of them true in itself. Neither can tell,
/// until one sees what the other has.
pub async fn views(story: &Story<'_>, random: &mut Random) -> Judged {
    let (position, from) = (random.between(story.held(), story.events.len()), random.between(0, story.held()));
    let mine = given::export(story, &story.raw, from, Hand::Key).await.unwrap();
    let tx = story.begin().await;
    let mut what = fork(story, &tx, position, random).await;
    if random.coin() && position + 1 < story.events.len() {
        let end = random.between(position + 1, story.events.len());
        tables::truncate(&tx, end).await;
        tables::grow_the_tree(&tx).await;
        what = format!("{what}, shown up to {end}");
    }
    let theirs = given::export(story, &tx, from, Hand::Key).await.unwrap();
    let their_checkpoint = given::sign_the_head(&tx).await.unwrap().0;
    tx.rollback().await.unwrap();
    let alone = [&mine, &theirs].map(|view| given::judge(&story.policy, &story.held, view, None));
    let alarm = alone.iter().any(Result::is_err).then(|| format!("each view alone: {alone:?}"));
    let my_checkpoint = &story.newest().0;
    let crossed = [
        given::judge(&story.policy, my_checkpoint, &theirs, None),
        given::judge(&story.policy, &their_checkpoint, &mine, None),
    ];
    let forked = |said: &Result<u64, ExportError>| {
        matches!(said, Err(ExportError::State(StateError::Forked { .. } | StateError::Proof { .. })))
    };
    let refused = if crossed.iter().all(Result::is_err) && crossed.iter().any(forked) {
        Ok(format!("{crossed:?}"))
    } else {
        Err(format!("one auditor believes the other's view: {crossed:?}"))
    };
    Judged { what: format!("two views: {what}"), refused, alarm, named: false }
}

/// The database, or only its word, is of an earlier day.
pub async fn replay(story: &Story<'_>, random: &mut Random) -> Judged {
    let tx = story.begin().await;
    let (checkpoint, note) = random.one_of(&story.signed[..1]).clone();
    let size = usize::try_from(checkpoint.size()).unwrap();
    let from = random.between(0, size);
    let (what, refused) = match random.between(0, 3) {
        0 => {
            tables::truncate(&tx, size).await;
            tables::grow_the_tree(&tx).await;
            let given = given::export(story, &tx, from, Hand::Key).await.unwrap();
            ("the old log and its old head", given::judge(&story.policy, &story.held, &given, None))
        }
        1 => {
            let mut tree = Frontier::new();
            story.hashes[..size].iter().for_each(|hash| tree.push(*hash).unwrap());
            tables::set_head(&tx, &tree).await;
            let given = given::export(story, &tx, from, Hand::Key).await.unwrap();
            ("the old head under the log of today", given::judge(&story.policy, &story.held, &given, None))
        }
        _ => {
            // An old checkpoint beside what is said of today.
            let mut given = given::export(story, &tx, from, Hand::Old).await.unwrap();
            given.file = given.file.replace(&given.note, &note);
            ("an old checkpoint beside the manifest of today", given::judge(&story.policy, &story.held, &given, None))
        }
    };
    tx.rollback().await.unwrap();
    let refused = match refused {
        Ok(events) => Err(format!("{events} events are believed")),
        Err(error) => Ok(error.to_string()),
    };
    Judged { what: what.into(), refused, alarm: alarm(story, from, Hand::Old).await, named: false }
}

/// An event never reached the log, and everything that came later was sealed without it.
pub async fn unsealed(story: &Story<'_>, random: &mut Random) -> Judged {
    let tx = story.begin().await;
    let position = random.between(story.held(), story.events.len());
    let event = &story.events[position];
    let later = story.events[position + 1..].iter().any(|later| later.stream == event.stream);
    tables::delete(&tx, position).await;
    tables::shift(&tx, position, -1).await;
    tables::grow_the_tree(&tx).await;
    let by_history = !later || random.coin();
    let what = format!("what stands at {position} was thrown away before it was sealed, later events: {later}");
    let refused = if by_history {
        match given::history(story, &tx, event.record(), Hand::Key).await {
            // The last one leaves a history without a hole, but its row, and whoever was answered, know better.
            Ok(versions) => match row(&tx, event).await {
                (version, _) if version == versions => Err(format!("{versions} versions, and the row says the same")),
                (version, _) => Ok(format!("the row has version {version}, the log {versions}")),
            },
            // The only one.
            Err(why) if event.version == 1 && !later => match row(&tx, event).await.0 {
                0 => Err("neither a row nor an event".into()),
                version => Ok(format!("{why}, and the row has version {version}")),
            },
            Err(why) => Ok(why),
        }
    } else {
        let given = given::export(story, &tx, 0, Hand::Key).await.unwrap();
        match given::judge(&story.policy, &story.held, &given, None) {
            Ok(events) => Err(format!("{events} events are believed")),
            Err(error) => Ok(error.to_string()),
        }
    };
    tx.rollback().await.unwrap();
    let alarm = if by_history {
        let (version, tip) = row(&story.raw, event).await;
        let mut history = History::default();
        for (event, hash) in story.events.iter().zip(&story.hashes).filter(|(other, _)| other.stream == event.stream) {
            history.follow(&event.leaf, hash).unwrap();
        }
        let same = (version, Some(tip.as_slice())) == (history.version(), history.tip().as_ref().map(|tip| &tip[..]));
        (!same).then(|| format!("{}: the row is not what its events say", event.stream))
    } else {
        alarm(story, 0, Hand::Key).await
    };
    Judged { what, refused, alarm, named: false }
}

/// Version and tip of an event's record; version 0 if there is none.
async fn row(conn: &impl ConnectionTrait, event: &Event) -> (u64, Vec<u8>) {
    let backend = conn.get_database_backend();
    let place = if backend == sea_orm::DbBackend::Postgres { "$1" } else { "?" };
    let sql = format!("SELECT version, tip FROM \"{}\" WHERE id = {place}", event.kind());
    let found = conn.query_one_raw(Statement::from_sql_and_values(backend, sql, [event.record().into()])).await;
    let Some(row) = found.unwrap() else { return (0, Vec::new()) };
    (u64::try_from(row.try_get::<i64>("", "version").unwrap()).unwrap(), row.try_get("", "tip").unwrap())
}
