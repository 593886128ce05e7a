//! Reading the log like a history: frozen pages, filters with an index each, records at any moment and what changed.

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value, json};
use thidua::auth::{Role, Scope};
use thidua::db::event::leaf_hash;
use thidua::log::spans::Spans;
use thidua::log::store::{BUDGET, Filter, Range, first_look, read};
use uuid::Uuid;

use crate::both_engines;
use crate::support::{Engine, Person, World, many};

/// A figure that was reported, amended and confirmed: its id.
async fn figure(world: &World) -> String {
    let committee = world.person(Role::CommuneCommittee, Some(world.units.commune_a)).await;
    let officer = world.person(Role::LabourOffice, Some(world.units.province)).await;
    let counts = |poor: i64| json!({ "poor_households": poor, "recognised_by": world.units.commune_a, "decision_number": "15/QĐ-UBND" });
    let draft =
        json!({ "unit": world.units.village_a, "year": 2023, "poverty_standard": "2022-2025", "counts": counts(7) });
    let made = committee.create("/v1/figures", &draft).await.is(201);
    let path = format!("/v1/figures/{}", made.id());
    let amended =
        committee.change(&format!("{path}:amend"), &made.etag(), &json!({ "counts": counts(9) })).await.is(200);
    officer.change(&format!("{path}:confirm"), &amended.etag(), &json!({})).await.is(200);
    made.id()
}

async fn items(person: &Person<'_>, path: &str) -> Vec<Value> {
    person.get(path).await.is(200).json()["items"].as_array().unwrap().clone()
}

/// Many more events than one read looks at, of one account and unit, past the guards: what only plans are asked about.
async fn fill(raw: &DatabaseConnection, engine: Engine, events: u64) {
    let columns = "event_id, stream_type, stream_id, stream_ver, event_type, actor_id, unit_id, scope_id, corr_id, at, day, \
                   sealed_at, leaf";
    let id = |salt: &str| match engine {
        Engine::Sqlite => "randomblob(16)".to_owned(),
        Engine::Postgres => format!("md5('{salt}' || n)::uuid"),
    };
    let one = match engine {
        Engine::Sqlite => "x'01900000000070008000000000000001'",
        Engine::Postgres => "'01900000-0000-7000-8000-000000000001'::uuid",
    };
    let day = if engine == Engine::Sqlite { "'2023-01-01'" } else { "'2023-01-01'::date" };
    let numbers = match engine {
        Engine::Sqlite => {
            format!("WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < {}) ", events - 1)
        }
        Engine::Postgres => format!("WITH s AS (SELECT n FROM generate_series(0, {}) n) ", events - 1),
    };
    let opened = match engine {
        Engine::Sqlite => vec!["DROP TRIGGER audit_event_from_inbox"],
        Engine::Postgres => vec!["ALTER TABLE audit_event DISABLE TRIGGER USER"],
    };
    for statement in opened {
        raw.execute_unprepared(statement).await.unwrap();
    }
    let sql = format!(
        "{numbers}, h AS (SELECT max(seq) AS top FROM audit_event) \
         INSERT INTO audit_event (seq, {columns}) SELECT h.top + 1 + n, {}, 'figure', {}, 1, \
         CASE WHEN n % 2 = 0 THEN 'figure.reported' ELSE 'figure.amended' END, {one}, {one}, {one}, \
         '4bf92f3577b34da6a3ce929d0e0e47' || (10 + n % 90), 1000000 + n, {day}, 0, '{{}}' FROM s, h",
        id("e"),
        id("s")
    );
    // SQLite wants the recursive part to say so, PostgreSQL does not mind.
    raw.execute_unprepared(&sql).await.unwrap();
    raw.execute_unprepared("ANALYZE").await.unwrap();
}

async fn plan(raw: &DatabaseConnection, statement: Statement) -> String {
    let explain =
        if raw.get_database_backend() == sea_orm::DbBackend::Sqlite { "EXPLAIN QUERY PLAN" } else { "EXPLAIN" };
    let values = statement.values.unwrap_or(sea_orm::Values(Vec::new()));
    let asked = Statement::from_sql_and_values(statement.db_backend, format!("{explain} {}", statement.sql), values);
    let rows = raw.query_all_raw(asked).await.unwrap();
    let column = if explain == "EXPLAIN" { "QUERY PLAN" } else { "detail" };
    rows.iter().map(|row| row.try_get::<String>("", column).unwrap() + "\n").collect()
}

both_engines! {
    async fn a_frozen_read_never_shifts(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        figure(world).await;
        let upto = auditor.get("/v1/events?limit=1").await.is(200).json()["size"].as_i64().unwrap();
        for order in ["asc", "desc"] {
            let first = format!("/v1/events?order={order}&limit=4&upto={upto}");
            let read = async |path: String| {
                let (mut path, mut seen) = (path, Vec::new());
                loop {
                    let page = auditor.get(&path).await.is(200).json();
                    seen.extend(page["items"].as_array().unwrap().iter().map(|event| event["position"].as_i64().unwrap()));
                    let Some(cursor) = page["next_cursor"].as_str() else { return (seen, page["caught_up"].clone()) };
                    // The cursor carries `upto`: it need not be said again.
                    path = format!("/v1/events?order={order}&limit=4&cursor={cursor}");
                }
            };
            let before = read(first.clone()).await;
            let more = json!({ "issuer": crate::support::ISSUER, "subject": format!("s-{order}"), "role": "auditor" });
            world.person(Role::Administrator, None).await.create("/v1/grants", &more).await.is(201);
            assert_eq!(read(first).await, before);
            let mut expected: Vec<i64> = (0..upto).collect();
            if order == "desc" {
                expected.reverse();
            }
            assert_eq!(before, (expected, json!(true)));
        }
        let page = auditor.get("/v1/events?limit=4&upto=9").await.is(200).json();
        let cursor = page["next_cursor"].as_str().unwrap();
        let other = format!("/v1/events?limit=4&upto=8&cursor={cursor}");
        auditor.get(&other).await.problem(400, "invalid_cursor");
        auditor.get("/v1/events?upto=-1").await.problem(400, "invalid_query");
        // Back again within it.
        let second = auditor.get(&format!("/v1/events?limit=4&cursor={cursor}")).await.is(200).json();
        let back = auditor.get(&format!("/v1/events?limit=4&cursor={}", second["prev_cursor"].as_str().unwrap())).await;
        assert_eq!(back.is(200).json()["items"], page["items"]);
    }

    async fn events_are_found_by_request_and_by_time(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let id = figure(world).await;
        let all = items(&auditor, "/v1/events?limit=200").await;
        let of_figure = items(&auditor, &format!("/v1/events?record={id}")).await;
        let trace = of_figure[1]["request_id"].as_str().unwrap();
        assert_eq!(items(&auditor, &format!("/v1/events?request_id={trace}")).await, [of_figure[1].clone()]);
        assert_eq!(items(&auditor, &format!("/v1/events?request_id={trace}&type=figure.confirmed")).await, Vec::<Value>::new());
        auditor.get("/v1/events?request_id=xyz").await.problem(400, "invalid_query");
        let at = of_figure[1]["at"].as_str().unwrap();
        let since = items(&auditor, &format!("/v1/events?from={at}&limit=200")).await;
        let later = |event: &&Value| event["at"].as_str().unwrap() >= at;
        assert_eq!(since, all.iter().filter(later).cloned().collect::<Vec<_>>());
        let before = items(&auditor, &format!("/v1/events?until={at}&limit=200")).await;
        assert_eq!(before.len() + since.len(), all.len());
        let none = items(&auditor, "/v1/events?from=1990-01-01T00:00:00Z&until=1990-01-02T00:00:00Z").await;
        assert_eq!(none, Vec::<Value>::new());
    }

    async fn events_are_found_by_the_field_that_they_changed(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let id = figure(world).await;
        let events = items(&auditor, &format!("/v1/events?record={id}")).await;
        let of = |places: &[usize]| places.iter().map(|place| events[*place].clone()).collect::<Vec<_>>();
        for (field, places) in [("poor_households", &[0, 1][..]), ("state", &[0, 2]), ("no_such_field", &[])] {
            let found = items(&auditor, &format!("/v1/events?record={id}&field={field}")).await;
            assert_eq!(found, of(places), "{field}");
            let found = items(&auditor, &format!("/v1/events?type=figure.*&field={field}")).await;
            assert_eq!(found, of(places), "{field}");
        }
        // A personal one is known by its name; what it says is not there.
        let accounts = items(&auditor, "/v1/events?type=account.*&field=subject").await;
        assert!(!accounts.is_empty() && accounts.iter().all(|event| event["changes"]["subject"]["$c"].is_array()), "{accounts:?}");
        let stream = auditor.get(&format!("/v1/events/stream?record={id}&field=state&limit=2")).await.is(200);
        assert_eq!(stream.text.matches("\nevent: figure.").count(), 2, "{}", stream.text);
        for path in ["/v1/events?field=state", "/v1/events/stream?field=state&limit=1", "/v1/events?field=a.b&type=figure.*"] {
            auditor.get(path).await.problem(400, "invalid_query");
        }
    }

    async fn a_record_is_read_as_it_was(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let id = figure(world).await;
        let events = items(&auditor, &format!("/v1/events?record={id}")).await;
        let base = format!("/v1/log/records/{id}");
        let history = auditor.get(&base).await.is(200);
        assert_eq!(history.header("content-type"), Some("application/x-ndjson"));
        let lines: Vec<&str> = history.text.split_terminator('\n').collect();
        assert_eq!(lines.len(), 3);
        for pair in lines.windows(2) {
            let next: Value = serde_json::from_str(pair[1]).unwrap();
            let tip = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, leaf_hash(pair[0]));
            assert_eq!(next["prev"], json!(tip));
        }
        let position = |n: usize| events[n]["position"].as_i64().unwrap();
        let state = async |as_of: String| auditor.get(&format!("{base}/state?as_of={as_of}")).await;
        let (one, two, now) = (
            state(position(0).to_string()).await.is(200).json(),
            state((position(2) - 1).to_string()).await.is(200).json(),
            auditor.get(&format!("{base}/state")).await.is(200).json(),
        );
        assert_eq!(one["state"]["poor_households"], 7, "{one}");
        assert_eq!((&two["state"]["poor_households"], &two["record"]["version"]), (&json!(9), &json!(2)));
        assert_eq!((&now["state"]["state"], &now["position"]), (&json!("confirmed"), &json!(position(2))));
        assert_eq!(now["origin"]["poor_households"], json!(position(1)));
        assert_eq!(state(events[1]["at"].as_str().unwrap().to_owned()).await.is(200).json(), two);
        for (as_of, status) in [("0", 404), ("1990-01-01T00:00:00Z", 404), ("1000000", 400), ("yesterday", 400), ("", 400)] {
            assert_eq!(state(as_of.to_owned()).await.status, status, "{as_of}");
        }

        let diff = format!("{base}/diff?from={}", position(0));
        let told = auditor.get(&diff).await.is(200).json();
        assert_eq!((&told["from_version"], &told["to_version"]), (&json!(1), &json!(3)));
        assert_eq!(told["changes"]["poor_households"], json!([7, 9]));
        assert_eq!(told["changes"]["state"], json!(["reported", "confirmed"]));
        let nothing = auditor.get(&format!("{diff}&to={}", position(0))).await.is(200).json();
        assert_eq!(nothing["changes"], json!({}));
        let at = |n: usize| events[n]["at"].as_str().unwrap();
        let by_time = auditor.get(&format!("{base}/diff?from={}&to={}", at(0), at(2))).await.is(200).json();
        assert_eq!((&by_time["from_version"], &by_time["to_version"]), (&json!(1), &json!(3)));
        assert_eq!(by_time["changes"], told["changes"], "between two times");
        let patch = auditor.request("GET", &diff).header("Accept", "application/json-patch+json");
        let patch = crate::support::http::send(patch).await.is(200);
        assert_eq!(patch.header("content-type"), Some("application/json-patch+json"));
        let mut patched = one["state"].clone();
        for step in patch.json().as_array().unwrap() {
            let field = step["path"].as_str().unwrap().trim_start_matches('/');
            match step["op"].as_str().unwrap() {
                "remove" => drop(patched.as_object_mut().unwrap().remove(field)),
                _ => patched[field] = step["value"].clone(),
            }
        }
        assert_eq!(patched, now["state"], "the patch leads from one to the other");
        auditor.get(&format!("{base}/diff?from={}&to={}", position(1), position(0))).await.problem(400, "invalid_query");
        auditor.get(&format!("{base}/diff")).await.problem(400, "invalid_query");

        // All of it, or nothing.
        let elsewhere = world.person(Role::UnitReporter, Some(world.units.village_b)).await;
        for path in ["", "/state", "/diff?from=0"] {
            elsewhere.get(&format!("{base}{path}")).await.problem(404, "not_found");
        }
        world.person(Role::UnitReporter, Some(world.units.village_a)).await.get(&base).await.is(200);
        let grant = items(&auditor, "/v1/events?type=grant.given&limit=1").await[0]["record"]["id"].clone();
        elsewhere.get(&format!("/v1/log/records/{}", grant.as_str().unwrap())).await.problem(404, "not_found");
        auditor.get(&format!("/v1/log/records/{}", Uuid::nil())).await.problem(404, "not_found");
        // Personal values are not even here.
        let account = auditor.get(&format!("/v1/log/records/{}/state", auditor.account)).await.is(200).json();
        assert!(account["state"]["subject"]["$c"].is_string(), "{account}");
    }

    async fn every_filter_walks_an_index_and_no_page_takes_long(world: World) {
        world.db.settle().await.unwrap();
        let raw = world.database.raw().await;
        fill(&raw, world.database.engine, 3 * BUDGET).await;
        let one = Uuid::parse_str("01900000-0000-7000-8000-000000000001").unwrap();
        let own = Scope::Units { units: vec![world.units.village_a], today: crate::support::day("2026-01-01") };
        let filters = [
            ("nothing", Filter::default()),
            ("record", Filter { record: Some(one), ..Filter::default() }),
            ("type", Filter { kind: Some("figure.amended".into()), ..Filter::default() }),
            ("family", Filter { kind: Some("figure.*".into()), ..Filter::default() }),
            ("actor", Filter { actor: Some(one), ..Filter::default() }),
            ("unit", Filter { unit: Some(one), ..Filter::default() }),
            ("campaign", Filter { campaign: Some(one), ..Filter::default() }),
            ("request", Filter { request: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()), ..Filter::default() }),
            ("field", Filter { record: Some(one), field: Some("state".into()), ..Filter::default() }),
            ("times", Filter { from: Some(1), until: Some(2), ..Filter::default() }),
            ("two", Filter { actor: Some(one), kind: Some("figure.*".into()), ..Filter::default() }),
        ];
        let backend = raw.get_database_backend();
        for (name, filter) in &filters {
            for (scope, descending) in [(&Scope::Everything, false), (&Scope::Everything, true), (&own, false)] {
                let range = Range { after: Some(100), before: Some(50_000), descending, limit: 51 };
                let plan = plan(&raw, first_look(backend, filter, scope, range)).await;
                let scans = ["Seq Scan on audit_event", "SCAN audit_event", "Sort", "TEMP B-TREE", "Bitmap"];
                let bad = scans.iter().find(|bad| plan.contains(**bad));
                assert!(bad.is_none(), "{name}, {scope:?}, descending {descending}:\n{plan}");
            }
        }

        // Of much that fits one filter and not the other, a read looks at so much and says where it was.
        let nobody = Filter { actor: Some(one), request: None, campaign: Some(Uuid::nil()), ..Filter::default() };
        let (mut after, mut reads) = (-1, 0);
        loop {
            let range = Range { after: Some(after), before: None, descending: false, limit: 51 };
            let found = read(&raw, &nobody, &Scope::Everything, range).await.unwrap();
            assert!(found.rows.is_empty());
            reads += 1;
            let Some(stopped) = found.stopped else { break };
            assert!(stopped > after);
            after = stopped;
        }
        assert_eq!(reads, 4, "three that are full, and one that finds the end");
        raw.close().await.unwrap();
    }

    async fn times_are_found_where_they_lie(world: World) {
        let console = thidua::commands::grant::console();
        // A clock that stood still, went back and went on: more than two blocks of positions.
        let hour = 3_600_000_000;
        let times = [-6, -5, -4, -1, 0, 1, 2, 3].map(|hours| console.at + hours * hour);
        let all = Range { after: None, before: None, descending: false, limit: 10_000 };
        let at = |leaf: &str| {
            let leaf: Value = serde_json::from_str(leaf).unwrap();
            thidua::clock::parse_rfc3339(leaf["at"].as_str().unwrap()).unwrap()
        };
        let (reader, spans) = (world.db.reader(), Spans::default());
        let compare = async || {
            let everything = read(reader.conn(), &Filter::default(), &Scope::Everything, all).await.unwrap().rows;
            for from in times {
                for until in times {
                    let filter = Filter { from: Some(from), until: Some(until), ..Filter::default() };
                    let found = spans.read(reader.conn(), &filter, &Scope::Everything, all).await.unwrap().rows;
                    let found: Vec<i64> = found.iter().map(|row| row.seq).collect();
                    let fitting = everything.iter().filter(|row| (from..until).contains(&at(&row.leaf)));
                    assert_eq!(found, fitting.map(|row| row.seq).collect::<Vec<_>>(), "{from} {until}");
                }
            }
        };
        for (at, events) in [(0, 1100), (-5, 300), (2, 900), (-1, 10)] {
            many(world, events, console.at + at * hour).await;
            world.db.settle().await.unwrap();
            if events < 500 {
                compare().await;
            }
        }
        // As on a server that had not heard of the last block when it took over.
        let raw = world.database.raw().await;
        let unguarded = match world.database.engine {
            Engine::Sqlite => "DROP TRIGGER audit_span_no_delete",
            Engine::Postgres => "ALTER TABLE audit_span DISABLE TRIGGER USER",
        };
        raw.execute_unprepared(unguarded).await.unwrap();
        let deleted = async |block: u64| {
            let deleted = raw.execute_unprepared(&format!("DELETE FROM audit_span WHERE block = {block}")).await.unwrap();
            assert_eq!(deleted.rows_affected(), 1);
        };
        deleted(1).await;
        compare().await;
        many(world, 2 * 1024, console.at).await;
        world.db.settle().await.unwrap();
        // Nobody is shown a part as if it were all.
        let filter = Filter { from: Some(times[0]), ..Filter::default() };
        let told = spans.read(reader.conn(), &filter, &Scope::Everything, all).await.unwrap_err().to_string();
        assert!(told.contains("block 1 of the log"), "{told}");
    }
}
