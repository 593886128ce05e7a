//! Tamperings beside the leaves: columns, stored hashes and checkpoints, personal values. No export shows them, or not
//! all of them; the check of the live log names each, and so does whoever is given the values.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::{ConnectionTrait, DatabaseTransaction, Statement, Value as SqlValue};
use serde_json::{Value, json};
use thidua::canonical::canonical;
use thidua::db::Conn;
use thidua::log::again;
use thidua::log::check::Check;
use thidua::log::erased::{Commitments, commitments, fingerprint};
use thidua::log::proof::checkpoint::Checkpoint;
use thidua::log::proof::disclosures::Disclosures;
use thidua::log::proof::key::{Algorithm, SigningKey};
use thidua::log::proof::note;
use thidua::log::proof::rotation::kin;
use thidua::log::proof::tile::Tile;
use thidua::log::store::DisclosureRow;
use thidua::log::{prove, store, tiles};
use uuid::Uuid;

use super::Judged;
use super::given::{self, Hand, signed};
use super::random::Random;
use super::story::{Event, Story};
use super::tables::{self, run};
use crate::support::{ORIGIN, log_key};

/// A column that does not say what its leaf says.
pub async fn columns(story: &Story<'_>, random: &mut Random) -> Judged {
    let position = random.between(0, story.events.len());
    let tx = story.begin().await;
    let columns = [
        "event_id",
        "stream_type",
        "stream_id",
        "stream_ver",
        "event_type",
        "actor_id",
        "unit_id",
        "scope_id",
        "corr_id",
        "at",
    ];
    let column = *random.one_of(&columns);
    let (expression, values): (&str, Vec<SqlValue>) = match column {
        "stream_ver" | "at" => match random.coin() {
            true => ("+ 1000", vec![]),
            false => ("- 1000", vec![]),
        },
        "stream_type" | "event_type" => ("|| 'x'", vec![]),
        "corr_id" => ("'another'", vec![]),
        "event_id" | "stream_id" => ("?", vec![random.id().into()]),
        _ if random.coin() && !story.events[position].value[beside(column)].is_null() => ("NULL", vec![]),
        _ => ("?", vec![random.id().into()]),
    };
    let own = if expression.starts_with(['+', '-', '|']) { column } else { Default::default() };
    let sql = format!("UPDATE audit_event SET {column} = {own} {expression} WHERE seq = ?");
    let place = i64::try_from(position).unwrap();
    assert_eq!(run(&tx, &sql, [values, vec![place.into()]].concat()).await, 1);
    let found = lies(story, &tx, position).await;
    tx.rollback().await.unwrap();
    let refused = match found.iter().find(|(at, _)| *at == position) {
        // An account that is not named has no column to be set to nothing.
        Some((_, what)) => Ok((*what).to_owned()),
        None => Err(format!("found: {found:?}")),
    };
    let what = format!("{column} of position {position} is {own} {expression}");
    let found = lies(story, &story.raw, position).await;
    let alarm = (!found.is_empty()).then(|| format!("{found:?}"));
    Judged { what, named: refused.is_ok(), refused, alarm }
}

/// The leaf's member that a column repeats.
fn beside(column: &str) -> &str {
    match column {
        "actor_id" => "nobody is asked",
        "unit_id" => "unit",
        "scope_id" => "scope",
        other => other,
    }
}

/// What the check of the live log says of the tile that a position lies in.
async fn lies(story: &Story<'_>, conn: &impl ConnectionTrait, position: usize) -> Vec<(usize, &'static str)> {
    let index = position as u64 / 256;
    let tile = Tile::at_size(0, index, story.events.len() as u64).unwrap();
    let hashes = prove::tile(conn, tile).await.unwrap();
    let events = store::sealed(conn, i64::try_from(index * 256).unwrap() - 1, u64::from(tile.width())).await.unwrap();
    let changed = again::changed(index * 256, &events, &hashes);
    changed.into_iter().map(|one| (usize::try_from(one.position).unwrap(), one.what)).collect()
}

async fn check(story: &Story<'_>) -> Vec<String> {
    let keys = kin([], &[log_key().verifier().clone()]);
    let mut check = Check::resume(&story.world.db, Some(&keys), None).await.unwrap();
    check.run(|_, _| Ok(())).await.unwrap();
    check.state().findings
}

fn told(what: String, findings: Vec<String>, afterwards: Vec<String>) -> Judged {
    let refused = if findings.is_empty() { Err("nothing was found".into()) } else { Ok(findings.join("; ")) };
    Judged { what, refused, alarm: (!afterwards.is_empty()).then(|| afterwards.join("; ")), named: false }
}

/// Stored hashes, or the head.
pub async fn tiles(story: &Story<'_>, random: &mut Random) -> Judged {
    let full = story.events.len() / 256;
    let index = random.between(0, full);
    let tx = story.begin().await;
    let what = match random.between(0, 7) {
        0 => {
            flip_tile(&tx, "hashes", index, random.between(0, 8192)).await;
            format!("a byte in tile 0/{index}")
        }
        1 => {
            flip_tile(&tx, "root", index, random.between(0, 32)).await;
            format!("a byte of the root of tile 0/{index}")
        }
        2 => {
            run(&tx, "DELETE FROM audit_tile WHERE idx = ?", vec![(index as i64).into()]).await;
            format!("tile 0/{index} deleted")
        }
        3 => {
            let (level, index) = *random.one_of(&[(0, full as i64), (1, 0), (2, 7)]);
            let hashes: Vec<u8> = (0..256).flat_map(|_| random.bytes()).collect();
            let values = vec![i64::from(level).into(), index.into(), hashes.into(), random.bytes().to_vec().into()];
            run(&tx, "INSERT INTO audit_tile (level, idx, hashes, root) VALUES (?, ?, ?, ?)", values).await;
            format!("tile {level}/{index} invented")
        }
        4 => {
            let other = i64::try_from((index + 1) % full.max(2)).unwrap();
            let sql = "UPDATE audit_tile SET idx = ? WHERE idx = ?";
            for (from, to) in [(index as i64, 1000), (other, index as i64), (1000, other)] {
                run(&tx, sql, vec![to.into(), from.into()]).await;
            }
            format!("tiles {index} and {other} exchanged")
        }
        5 => {
            let head = tiles::head(&tx).await.unwrap();
            let mut frontier = head.to_bytes();
            let place = random.between(0, frontier.len());
            frontier[place] ^= 1;
            run(&tx, "UPDATE audit_head SET frontier = ?", vec![frontier.into()]).await;
            format!("byte {place} of the head")
        }
        _ => {
            let by = *random.one_of(&[-1_i64, 1]);
            run(&tx, "UPDATE audit_head SET size = size + ?", vec![by.into()]).await;
            format!("the head says {by} more")
        }
    };
    tx.commit().await.unwrap();
    let findings = check(story).await;
    let tx = story.begin().await;
    tables::grow_the_tree(&tx).await;
    tx.commit().await.unwrap();
    told(what, findings, check(story).await)
}

async fn flip_tile(tx: &DatabaseTransaction, column: &str, index: usize, place: usize) {
    let sql = format!("SELECT {column} AS bytes FROM audit_tile WHERE level = 0 AND idx = {index}");
    let row = tx.query_one_raw(Statement::from_string(tx.get_database_backend(), sql)).await.unwrap().unwrap();
    let mut bytes: Vec<u8> = row.try_get("", "bytes").unwrap();
    bytes[place] ^= 1;
    let sql = format!("UPDATE audit_tile SET {column} = ? WHERE level = 0 AND idx = ?");
    assert_eq!(run(tx, &sql, vec![bytes.into(), (index as i64).into()]).await, 1);
}

/// Stored checkpoints.
pub async fn checkpoints(story: &Story<'_>, random: &mut Random) -> Judged {
    let (checkpoint, note) = random.one_of(&story.signed).clone();
    let size = i64::try_from(checkpoint.size()).unwrap();
    let text = checkpoint.to_string();
    let root = text.lines().nth(2).unwrap();
    let other_root = Checkpoint::new(ORIGIN, checkpoint.size(), random.bytes()).unwrap().to_string();
    let (what, now, forged) = match random.between(0, 7) {
        0 => ("another root under the old signature", size, note.replace(&text, &other_root)),
        1 => {
            let mut changed = text.lines().map(str::to_owned).collect::<Vec<_>>();
            changed[1] = (size + 1).to_string();
            ("another size under the old signature", size, note.replace(&text, &(changed.join("\n") + "\n")))
        }
        2 => {
            let place = note.len() - 2 - random.between(0, 60);
            let other = if &note[place..=place] == "A" { "B" } else { "A" };
            ("a letter of the signature", size, [&note[..place], other, &note[place + 1..]].concat())
        }
        3 => {
            let stranger = SigningKey::from_seed(ORIGIN, Algorithm::Ed25519, &random.bytes()).unwrap();
            ("signed by a stranger", size, note::write(&text, &[stranger.sign(&text).unwrap()]).unwrap())
        }
        4 => ("another root, signed", size, signed(&other_root)),
        5 => ("of another size, and nothing changed", size + 1, note.clone()),
        _ => ("cut off", size, note[..note.len() - random.between(1, root.len())].to_owned()),
    };
    let replace = async |from: i64, to: i64, note: &str| {
        let tx = story.begin().await;
        let sql = "UPDATE audit_checkpoint SET size = ?, note = ? WHERE size = ?";
        assert_eq!(run(&tx, sql, vec![to.into(), note.into(), from.into()]).await, 1);
        tx.commit().await.unwrap();
    };
    // No other checkpoint may stand there.
    let free = now == size || !taken(story, now).await;
    let (now, forged) = if free { (now, forged) } else { (size, signed(&other_root)) };
    replace(size, now, &forged).await;
    let findings = check(story).await;
    replace(now, size, &note).await;
    told(format!("checkpoint of {size} events: {what}"), findings, check(story).await)
}

async fn taken(story: &Story<'_>, size: i64) -> bool {
    let sql = format!("SELECT size FROM audit_checkpoint WHERE size = {size}");
    let statement = Statement::from_string(story.raw.get_database_backend(), sql);
    story.raw.query_one_raw(statement).await.unwrap().is_some()
}

/// A value that is disclosed and not the one committed to, or not disclosed any more.
pub async fn disclosures(story: &Story<'_>, random: &mut Random) -> Judged {
    let all = store::disclosures(&story.raw).await.unwrap();
    let one = random.one_of(&all).clone();
    let event = event_of(story, one.event_id);
    let tx = story.begin().await;
    let of_record: Vec<&Event> = story.events.iter().filter(|other| other.stream == event.stream).collect();
    let sets = [
        "value = '\"khác\"'",
        "value = 'null'",
        "salt = 'AAAAAAAAAAAAAAAAAAAAAA'",
        "path = 'other'",
        "event_id = ?",
        "",
    ];
    let set = *random.one_of(&sets);
    let key: Vec<SqlValue> = vec![one.event_id.into(), one.path.as_str().into()];
    let condition = "WHERE event_id = ? AND path = ?";
    if set.is_empty() {
        run(&tx, &format!("DELETE FROM audit_disclosure {condition}"), key).await;
    } else {
        let other: Vec<SqlValue> = if set.contains('?') { vec![random.id().into()] } else { vec![] };
        let touched = run(&tx, &format!("UPDATE audit_disclosure SET {set} {condition}"), [other, key].concat()).await;
        assert_eq!(touched, 1);
    }
    let said = disclosed(&tx, &of_record).await;
    tx.rollback().await.unwrap();
    let refused = match said {
        Ok((_, 0)) => Err("every value is believed".into()),
        Ok((shown, withheld)) => Ok(format!("{shown} disclosed, {withheld} withheld")),
        Err(why) => Ok(why),
    };
    let alarm = match disclosed(&story.raw, &of_record).await {
        Ok((_, 0)) => None,
        said => Some(format!("{}: {said:?}", event.stream)),
    };
    let what = format!("{} of {}: {}", one.path, event.stream, if set.is_empty() { "deleted" } else { set });
    Judged { what, refused, alarm, named: false }
}

fn event_of<'s>(story: &'s Story<'_>, id: Uuid) -> &'s Event {
    let id = id.to_string();
    story.events.iter().find(|event| event.value["id"] == *id).unwrap()
}

/// What somebody says who is given a record's events and values: how many were shown, and how many kept back.
async fn disclosed(conn: &impl Conn, events: &[&Event]) -> Result<(u64, u64), String> {
    let rows = store::disclosures_of(conn, events[0].record()).await.unwrap();
    let shown =
        |row: &DisclosureRow| json!({ "event": row.event_id, "path": row.path, "salt": row.salt, "value": row.value });
    let list: Vec<Value> = rows.iter().map(shown).collect();
    let mut disclosures = Disclosures::parse(&Value::from(list).to_string()).map_err(|error| error.to_string())?;
    events.iter().for_each(|event| disclosures.meet(&event.leaf));
    let counts = disclosures.counts().map_err(|error| error.to_string())?;
    Ok((counts.disclosed, counts.withheld))
}

/// Values that are gone, and an erasure that does not cover them, or none.
pub async fn erasure(story: &Story<'_>, random: &mut Random) -> Judged {
    let shown = store::disclosures(&story.raw).await.unwrap();
    let tx = story.begin().await;
    let subject = event_of(story, random.one_of(&shown).event_id).clone();
    let gone = "DELETE FROM audit_disclosure WHERE stream_id = ?";
    let recorded: Vec<usize> = places(story, "erasure");
    let (what, said) = match random.between(0, 5) {
        0 => {
            run(&tx, gone, vec![subject.record().into()]).await;
            ("values deleted, and nobody says so", covered(story, &tx, None).await)
        }
        1 => {
            run(&tx, gone, vec![subject.record().into()]).await;
            let event = erased(story, &subject, random);
            ("values deleted, and an event that says so without an erasure", covered(story, &tx, Some(event)).await)
        }
        2 => {
            run(&tx, gone, vec![subject.record().into()]).await;
            let event = forged(story, &subject, random);
            ("an erasure of other values", covered(story, &tx, Some(event)).await)
        }
        3 => {
            // What was erased is there again.
            let covers = &story.events[*random.one_of(&recorded)].value["changes"];
            let record: Uuid = covers["subject_id"][1].as_str().unwrap().parse().unwrap();
            let made = |event: &&Event| event.record() == record && !commitments(&event.value).is_empty();
            let made: Vec<&Event> = story.events.iter().filter(made).collect();
            let event = *random.one_of(&made);
            let path = commitments(&event.value)[0].0.to_owned();
            let id: Uuid = event.value["id"].as_str().unwrap().parse().unwrap();
            let sql = "INSERT INTO audit_disclosure (event_id, path, stream_id, subject_id, salt, value) \
                       VALUES (?, ?, ?, ?, 'AAAA', '\"lại\"')";
            run(&tx, sql, vec![id.into(), path.into(), record.into(), record.into()]).await;
            ("an erased value put back", covered(story, &tx, None).await)
        }
        _ => {
            // The past says now that something was erased.
            let position = random.between(0, story.held());
            let event = erased(story, &subject, random);
            tables::shift(&tx, position, 1).await;
            let stands = if position == 0 { 1 } else { 0 };
            let id: Uuid = event["id"].as_str().unwrap().parse().unwrap();
            let leaf = canonical(&event).unwrap();
            tables::insert(&tx, position, stands, [id, random.id()], leaf.as_bytes()).await;
            tables::grow_the_tree(&tx).await;
            let given = given::export(story, &tx, 0, Hand::Key).await.unwrap();
            let said = match given::judge(&story.policy, &story.held, &given, None) {
                Ok(_) => vec![],
                Err(error) => vec![error.to_string()],
            };
            ("an erasure in the past", said)
        }
    };
    tx.rollback().await.unwrap();
    let afterwards = covered(story, &story.raw, None).await;
    told(format!("{what} ({})", subject.stream), said, afterwards)
}

fn places(story: &Story<'_>, kind: &str) -> Vec<usize> {
    let all = story.events.iter().enumerate().filter(|(_, event)| event.kind() == kind && event.version == 1);
    all.map(|(place, _)| place).collect()
}

/// The event with which a record loses its values, as the service writes it.
fn erased(story: &Story<'_>, subject: &Event, random: &mut Random) -> Value {
    let last = story.events.iter().rposition(|event| event.stream == subject.stream).unwrap();
    let mut value = story.events[last].value.clone();
    value["id"] = json!(random.id());
    value["type"] = json!(format!("{}.erased", subject.kind()));
    value["ver"] = json!(story.events[last].version + 1);
    value["prev"] = json!(URL_SAFE_NO_PAD.encode(story.hashes[last]));
    value["changes"] = json!({});
    value["reason"] = Value::Null;
    value
}

/// An erasure that covers something else.
fn forged(story: &Story<'_>, subject: &Event, random: &mut Random) -> Value {
    let like = &story.events[places(story, "erasure")[0]].value;
    let of_record = story.events.iter().filter(|event| event.stream == subject.stream);
    let mut digests: Vec<String> =
        of_record.flat_map(|event| commitments(&event.value)).map(|(_, digest)| digest.to_owned()).collect();
    let (mut number, mut id) = (digests.len(), subject.record());
    match random.between(0, 4) {
        0 => number += 1,
        1 => digests.push(URL_SAFE_NO_PAD.encode(random.bytes())),
        2 => drop(digests.pop()),
        _ => id = random.id(),
    }
    let mut value = like.clone();
    (value["id"], value["ver"], value["prev"]) = (json!(random.id()), json!(1), Value::Null);
    value["stream"] = json!(format!("erasure/{}", random.id()));
    value["changes"]["subject_type"] = json!([null, subject.kind()]);
    value["changes"]["subject_id"] = json!([null, id]);
    value["changes"]["digests"] = json!([null, number]);
    value["changes"]["digests_sha256"] = json!([null, fingerprint(&digests)]);
    value
}

/// What the check of the live log says of the values that the leaves commit to, with one more event at the end.
async fn covered(story: &Story<'_>, conn: &impl Conn, more: Option<Value>) -> Vec<String> {
    let shown = store::disclosures(conn).await.unwrap();
    let shown: HashSet<(String, String)> = shown.into_iter().map(|row| (row.event_id.to_string(), row.path)).collect();
    let mut log = Commitments::default();
    let mut wrong = Vec::new();
    for (position, value) in story.events.iter().map(|event| &event.value).chain(more.as_ref()).enumerate() {
        let id = value["id"].as_str().unwrap().to_owned();
        let is_disclosed = |path: &str| shown.contains(&(id.clone(), path.to_owned()));
        wrong.extend(log.read(i64::try_from(position).unwrap(), value, is_disclosed));
    }
    wrong.extend(log.withheld());
    wrong
}
