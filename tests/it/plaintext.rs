//! After an erasure the values are nowhere: on SQLite not in the file and not in its WAL, on PostgreSQL in no table; on
//! either in no list, search, event or later answer. What PostgreSQL keeps below SQL is said in docs/operations.md.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use serde_json::{Value, json};
use thidua::auth::Role;

use crate::both_engines;
use crate::support::campaign::{CAMPAIGN, load};
use crate::support::{Engine, Person, World};

/// Words that stand nowhere else, each a different one, and so long that they fill pages.
struct Marks(u32);

impl Marks {
    fn next(&mut self) -> String {
        self.0 += 1;
        // As somebody would write it, and as it is searched.
        (0..6).map(|part| format!("{MARK}{}x{part}", self.0)).collect::<Vec<_>>().join(" ")
    }
}

/// Every mark begins so, in either spelling.
pub const MARK: &str = "hoangyen";

/// Values in the rooms that have most of them, in several versions: path and kind of each record.
async fn written(world: &World, marks: &mut Marks) -> Vec<(&'static str, String)> {
    let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
    let administrator = world.person(Role::Administrator, None).await;
    let mut made = Vec::new();
    for year in 2021..=2024 {
        let counts = |note: String| {
            json!({ "poor_households": 1, "recognised_by": world.units.commune_a,
            "decision_number": "1/QĐ", "note": note })
        };
        let body = json!({ "unit": world.units.village_a, "year": year, "poverty_standard": "2022-2025",
            "counts": counts(marks.next()) });
        let figure = reporter.create("/v1/figures", &body).await.is(201);
        let path = figure.header("location").unwrap().to_owned();
        let amended = json!({ "counts": counts(marks.next()) });
        let amended = reporter.change(&format!("{path}:amend"), &figure.etag(), &amended).await.is(200);
        let reason = json!({ "reason": marks.next() });
        reporter.change(&format!("{path}:withdraw"), &amended.etag(), &reason).await.is(200);
        made.push(("figure", path));
    }
    for n in 0..30_usize {
        let mut content = |held_on: &str| {
            json!({ "clause_kind": "II.d", "support_kind": "technique", "held_on": held_on,
            "title": marks.next(), "description": vec![marks.next(); n % 7 * 6 + 1].join(" "), "households_helped": 1, "pupils_helped": 0,
            "beneficiary_area": "poor_person",
            "resources": [{ "giver_name": marks.next(), "cash_vnd": 1_000_000 }] })
        };
        let body = json!({ "campaign": CAMPAIGN, "unit": world.units.village_a, "content": content("2023-03-15") });
        let activity = reporter.create("/v1/activities", &body).await.is(201);
        let path = activity.header("location").unwrap().to_owned();
        let other = json!({ "content": content("2023-03-16") });
        reporter.change(&format!("{path}:amend"), &activity.etag(), &other).await.is(200);
        made.push(("activity", path));
    }
    let grant =
        json!({ "issuer": crate::support::ISSUER, "subject": marks.next(), "label": marks.next(), "role": "auditor" });
    let given = administrator.create("/v1/grants", &grant).await.is(201);
    let path = given.header("location").unwrap().to_owned();
    let ending = json!({ "reason": marks.next() });
    administrator.change(&format!("{path}:end"), &given.etag(), &ending).await.is(200);
    made.push(("role_grant", path));
    made.push(("account", format!("/v1/accounts/{}", given.json()["account"].as_str().unwrap())));
    let revoked = json!({ "sid": "phien-1", "reason": marks.next() });
    let revoked = administrator.create("/v1/revocations", &revoked).await.is(201);
    made.push(("revocation", revoked.header("location").unwrap().to_owned()));
    made
}

/// What is not to be erased, among the rest.
async fn others(world: &World) {
    let administrator = world.person(Role::Administrator, None).await;
    for n in 0..40 {
        let body = json!({ "names": [{ "value": format!("Bản {n}"), "from": "2021-01-01" }],
            "kinds": [{ "value": "village", "from": "2021-01-01" }], "exists_from": "2021-01-01" });
        administrator.create("/v1/units", &body).await.is(201);
        let revoked = json!({ "sid": format!("phien-{n}"), "reason": format!("Mất máy tính thứ {n}") });
        administrator.create("/v1/revocations", &revoked).await.is(201);
    }
}

/// How often a mark stands in the bytes of a file, and what stands around the first.
pub fn occurrences(path: &str) -> (usize, String) {
    let bytes = std::fs::read(path).unwrap_or_default();
    let places: Vec<usize> = bytes
        .windows(MARK.len())
        .enumerate()
        .filter(|(_, bytes)| *bytes == MARK.as_bytes())
        .map(|(at, _)| at)
        .collect();
    let around = places
        .first()
        .map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(80)..bytes.len().min(at + 80)]).into_owned());
    (places.len(), around.unwrap_or_default())
}

async fn texts(conn: &DatabaseConnection, sql: &str) -> Vec<String> {
    let rows = conn.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "value").unwrap()).collect()
}

/// Every column of every table, as text, in which a mark stands.
async fn columns(conn: &DatabaseConnection) -> BTreeSet<String> {
    let all = "SELECT format('SELECT DISTINCT %L AS value FROM %I WHERE position(''hoangyen'' IN %s) > 0', \
               table_name || '.' || column_name, table_name, CASE data_type WHEN 'bytea' \
               THEN format('encode(%I, ''escape'')', column_name) ELSE format('%I::text', column_name) END) AS value \
               FROM information_schema.columns WHERE table_schema = 'public'";
    let mut found = BTreeSet::new();
    for query in texts(conn, all).await {
        found.extend(texts(conn, &query).await);
    }
    found
}

/// Everything that is read later.
async fn said(person: &Person<'_>, made: &[(&str, String)]) -> String {
    let mut said = String::new();
    let mut after = -1;
    loop {
        let page = person.get(&format!("/v1/events?limit=200&after={after}")).await.is(200);
        said.push_str(&page.text);
        let page: Value = page.json();
        let Some(last) = page["items"].as_array().unwrap().last() else { break };
        after = last["position"].as_i64().unwrap();
    }
    for list in ["accounts", "activities", "figures", "grants"] {
        said.push_str(&person.get(&format!("/v1/{list}?limit=200")).await.is(200).text);
    }
    for list in ["accounts", "activities"] {
        let found = person.post(&format!("/v1/{list}:search"), &json!({ "query": MARK })).await.is(200);
        assert_eq!(found.json()["items"], json!([]), "{list}");
    }
    for (_, path) in made {
        said.push_str(&person.get(path).await.is(200).text);
    }
    said
}

both_engines! {
    async fn erased_values_are_nowhere(world: World) {
        load(world).await;
        others(world).await;
        let made = written(world, &mut Marks(0)).await;
        others(world).await;
        let administrator = world.person(Role::Administrator, None).await;
        let raw = world.database.raw().await;
        let file = world.database.url.trim_start_matches("sqlite://").to_owned();
        match world.database.engine {
            Engine::Sqlite => assert!(occurrences(&file).0 + occurrences(&format!("{file}-wal")).0 > 1000),
            Engine::Postgres => {
                let found = columns(&raw).await;
                let all = ["account.label", "audit_disclosure.value", "idempotency.body", "search_word.word"];
                // What keys do not seal (tests/it/subject_keys).
                let sealed = ["account.subject", "search_word.word"];
                let all = if world.database.keys.is_some() { &sealed[..] } else { &all };
                for column in all {
                    assert!(found.contains(*column), "{column}: {found:?}");
                }
            }
        }
        for (kind, path) in &made {
            let id = path.rsplit('/').next().unwrap();
            let body = json!({ "subject": { "type": kind, "id": id }, "legal_basis": "consent_withdrawn" });
            administrator.create("/v1/erasures", &body).await.is(201);
        }
        match world.database.engine {
            Engine::Sqlite => {
                for file in [file.clone(), format!("{file}-wal")] {
                    assert_eq!(occurrences(&file), (0, String::new()), "{file}");
                }
            }
            Engine::Postgres => assert_eq!(columns(&raw).await, BTreeSet::new()),
        }
        assert!(!said(&administrator, &made).await.contains(MARK));
        assert_eq!(crate::log::rebuild_of(world).await.differences, Vec::<String>::new());
    }
}
