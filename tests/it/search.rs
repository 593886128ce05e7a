//! Searches: names found without diacritics, by the beginnings of their words, in Vietnamese order, on both engines
//! alike; by whoever may see the record, and by its present names only.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use actix_web::dev::Service as _;
use actix_web::test::{TestRequest, init_service};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use sea_orm::{ConnectionTrait, Database as Sea, Statement};
use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::commands::grant::console;
use thidua::db::{Outcome, WriteTx};
use thidua::id::new_id;
use thidua::text::sort_key;
use thidua::units::{UnitKind, store};
use tracing::instrument::WithSubscriber;
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

use crate::both_engines;
use crate::log::rebuild_of;
use crate::support::campaign::{CAMPAIGN, load};
use crate::support::database::server;
use crate::support::{Answer, ISSUER, Person, World, unit};

const TONES: [&str; 6] = ["", "\u{300}", "\u{309}", "\u{303}", "\u{301}", "\u{323}"];

async fn ask(person: &Person<'_>, resource: &str, body: Value) -> Answer {
    person.post(&format!("/v1/{resource}:search"), &body).await
}

/// The members `name` of what is found.
async fn found(person: &Person<'_>, resource: &str, query: &str, name: &str) -> Vec<String> {
    members(&ask(person, resource, json!({ "query": query, "limit": 200 })).await.is(200).json(), name)
}

fn members(page: &Value, pointer: &str) -> Vec<String> {
    let member = |item: &Value| item.pointer(pointer).unwrap().as_str().unwrap_or_default().to_owned();
    page["items"].as_array().unwrap().iter().map(member).collect()
}

/// An account with this label.
async fn label(administrator: &Person<'_>, label: &str) -> Answer {
    let body = json!({ "issuer": ISSUER, "subject": new_id(), "label": label, "role": "auditor" });
    administrator.create("/v1/grants", &body).await.is(201)
}

/// Villages with these names, beside those that every world has.
async fn villages(world: &World, names: &[String]) {
    world
        .db
        .record(&console(), async |tx: &WriteTx<'_>| {
            store::lock_room(tx).await?;
            for name in names {
                store::register(tx, new_id(), &unit(name, UnitKind::Village, None)).await?;
            }
            store::derive(tx.conn()).await?;
            Ok(Outcome::Changed(()))
        })
        .await
        .unwrap();
}

fn activity(title: &str, giver: Option<&str>) -> Value {
    json!({ "clause_kind": "II.d", "support_kind": "technique", "held_on": "2023-03-15", "title": title,
        "households_helped": 1, "pupils_helped": 0, "beneficiary_area": "poor_person",
        "resources": [{ "giver_name": giver, "cash_vnd": 1 }] })
}

async fn report(reporter: &Person<'_>, village: Uuid, title: &str, giver: Option<&str>) -> Answer {
    let draft = json!({ "campaign": CAMPAIGN, "unit": village, "content": activity(title, giver) });
    reporter.create("/v1/activities", &draft).await.is(201)
}

both_engines! {
    async fn a_name_is_found_however_it_is_typed(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        for name in ["Đặng Thị Hường", "Đặng Văn Thịnh", "Trần Thị Hương Giang", "Lò Văn Ở"] {
            label(&administrator, name).await;
        }
        let huong = vec!["Đặng Thị Hường".to_owned()];
        let decomposed: String = "Đặng Thị Hường".nfd().collect();
        for query in [
            "dang thi huong", "đặng THỊ hường", "huong dang", "dan hu", "  Đặng,  Hường! ", "HƯỜNG đặng",
            "hường-đặng-thị", &decomposed,
        ] {
            assert_eq!(found(&administrator, "accounts", query, "/label").await, huong, "{query}");
        }
        for (query, names) in [
            ("HƯỜNG", vec!["Đặng Thị Hường", "Trần Thị Hương Giang"]),
            ("thi", vec!["Đặng Thị Hường", "Đặng Văn Thịnh", "Trần Thị Hương Giang"]),
            ("thi thi th", vec!["Đặng Thị Hường", "Đặng Văn Thịnh", "Trần Thị Hương Giang"]),
            ("Đặng thị", vec!["Đặng Thị Hường", "Đặng Văn Thịnh"]),
            ("o", vec!["Lò Văn Ở"]),
            // A word is found by its beginning, not by what stands within it.
            ("uong", vec![]),
            ("dangthi", vec![]),
            ("hường hoàng", vec![]),
        ] {
            assert_eq!(found(&administrator, "accounts", query, "/label").await, names, "{query}");
        }
    }

    async fn a_query_is_words_and_nothing_else(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        for name in ["Quỹ 50% hộ", "Quỹ 500 hộ", "a_b", "axb"] {
            label(&administrator, name).await;
        }
        for (query, names) in [
            ("50%", vec!["Quỹ 50% hộ", "Quỹ 500 hộ"]),
            ("q%", vec!["Quỹ 50% hộ", "Quỹ 500 hộ"]),
            ("q%y", vec![]),
            ("a_b", vec!["a_b"]),
            ("qu_", vec!["Quỹ 50% hộ", "Quỹ 500 hộ"]),
            ("x' OR '1'='1", vec![]),
        ] {
            assert_eq!(found(&administrator, "accounts", query, "/label").await, names, "{query}");
        }
        for (body, pointer) in [
            (json!({ "query": "" }), "/query"),
            (json!({ "query": "a".repeat(101) }), "/query"),
            (json!({ "query": "%_ -" }), "/query"),
            (json!({ "query": "a\u{0}" }), "/query"),
            (json!({ "query": "a", "limit": 0 }), "/limit"),
            (json!({ "query": "a", "limit": 201 }), "/limit"),
            (json!({ "query": "a", "changed_since": -1 }), "/changed_since"),
        ] {
            let refused = ask(&administrator, "accounts", body.clone()).await.problem(422, "invalid_value");
            assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{body}");
        }
        ask(&administrator, "accounts", json!({ "query": "a".repeat(100) })).await.is(200);
        ask(&administrator, "accounts", json!({ "limit": 1 })).await.problem(400, "wrong_type");
        ask(&administrator, "accounts", json!([])).await.problem(400, "wrong_type");
        let refused = ask(&administrator, "accounts", json!({ "query": 7 })).await.problem(400, "wrong_type");
        assert_eq!(refused.json()["errors"][0]["pointer"], "/query");
        let refused = ask(&administrator, "accounts", json!({ "query": "a", "state": "gone" })).await;
        assert_eq!(refused.problem(400, "wrong_type").json()["errors"][0]["pointer"], "/state");
        let refused = ask(&administrator, "accounts", json!({ "query": "a", "castle": 1 })).await;
        assert_eq!(refused.problem(400, "unknown_member").json()["errors"][0]["pointer"], "/castle");
        let refused = ask(&administrator, "activities", json!({ "query": "a", "round": "mid" })).await;
        assert_eq!(refused.problem(422, "invalid_value").json()["errors"][0]["pointer"], "/round");
        administrator.get("/v1/accounts?query=a").await.problem(400, "invalid_query");
    }

    async fn only_who_may_see_a_record_finds_it(world: World) {
        load(world).await;
        let units = world.units;
        let a = world.person(Role::UnitReporter, Some(units.village_a)).await;
        let b = world.person(Role::UnitReporter, Some(units.village_b)).await;
        let mine = report(&a, units.village_a, "Giúp hộ bà Lò Thị Ở", Some("Cầm Văn Ưởng")).await;
        let other = report(&b, units.village_b, "Giúp hộ bà Lò Thị Ẩm", None).await;
        let ids = async |person: &Person<'_>, query: &str| found(person, "activities", query, "/id").await;
        for query in ["giup ho", "lo thi", "GIÚP"] {
            assert_eq!(ids(&a, query).await, [mine.id()], "{query}");
            assert_eq!(ids(&b, query).await, [other.id()], "{query}");
        }
        assert_eq!(ids(&b, "cam van uong").await, Vec::<String>::new());
        assert_eq!(ids(&a, "cam van uong").await, [mine.id()], "by the giver's name");
        let district = world.person(Role::HomeAffairs, Some(units.district)).await;
        assert_eq!(ids(&district, "lo").await, [other.id(), mine.id()], "ẩm before ở");
        let narrowed = json!({ "query": "lo", "unit": units.village_a, "campaign": CAMPAIGN, "state": "draft" });
        assert_eq!(members(&ask(&district, "activities", narrowed).await.is(200).json(), "/id"), [mine.id()]);
        let narrowed = json!({ "query": "lo", "within": units.commune_b, "campaign": CAMPAIGN, "round": "mid" });
        assert_eq!(members(&ask(&district, "activities", narrowed).await.is(200).json(), "/id"), [other.id()]);
        let item = ask(&a, "activities", json!({ "query": "lo" })).await.is(200).json()["items"][0].clone();
        assert_eq!(item, a.get(&format!("/v1/activities/{}", mine.id())).await.is(200).json(), "shown as it is read");
        ask(&a, "accounts", json!({ "query": "a" })).await.problem(403, "forbidden");
        ask(&world.nobody(), "units", json!({ "query": "a" })).await.problem(401, "unauthenticated");
    }

    async fn what_was_renamed_is_found_by_its_new_name_and_units_by_every_name(world: World) {
        load(world).await;
        let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        let made = report(&reporter, world.units.village_a, "Trồng ngô", Some("Hoàng Ỷ")).await;
        let amended = json!({ "content": activity("Trồng lúa", None) });
        let path = format!("/v1/activities/{}:amend", made.id());
        reporter.change(&path, &made.etag(), &amended).await.is(200);
        for (query, count) in [("ngo", 0), ("hoang y", 0), ("lua", 1), ("trong lua", 1)] {
            assert_eq!(found(&reporter, "activities", query, "/id").await.len(), count, "{query}");
        }
        let administrator = world.person(Role::Administrator, None).await;
        let path = format!("/v1/units/{}", world.units.enterprise);
        let unit = administrator.get(&path).await.is(200);
        let mut history = unit.json()["history"].clone();
        history["names"] = json!([{ "value": "Công ty Thử", "from": "2021-01-01", "to": "2023-12-31" },
            { "value": "Tập đoàn Ước Mơ", "from": "2024-01-01" }]);
        let amendment = json!({ "unit": history, "reason": "Đổi tên" });
        administrator.change(&format!("{path}:amend"), &unit.etag(), &amendment).await.is(200);
        for query in ["cong ty thu", "tap doan", "uoc mo"] {
            assert_eq!(found(&administrator, "units", query, "/id").await, [world.units.enterprise.to_string()], "{query}");
        }
        assert!(found(&administrator, "units", "2021", "/id").await.is_empty(), "a day is no name");
        let campaigns = found(&administrator, "campaigns", "nguoi ngheo", "/id").await;
        assert_eq!(campaigns, [CAMPAIGN.to_string()]);
        let initiative = json!({ "campaign": CAMPAIGN, "unit": world.units.village_a, "content": { "kind": "production",
            "beneficiary": "community", "title": "Máy tẽ ngô đạp chân", "proposed_on": "2023-03-15" } });
        reporter.create("/v1/initiatives", &initiative).await.is(201);
        assert_eq!(found(&reporter, "initiatives", "may te", "/content/title").await, ["Máy tẽ ngô đạp chân"]);
        let keeper = world.person(Role::HomeAffairs, Some(world.units.district)).await;
        let obligation = json!({ "campaign": CAMPAIGN, "unit": world.units.village_a,
            "terms": { "kind": "settlement", "title": "Quyết toán quỹ", "due_on": "2023-12-15" } });
        keeper.create("/v1/obligations", &obligation).await.is(201);
        assert_eq!(found(&keeper, "obligations", "quyet toan", "/terms/title").await, ["Quyết toán quỹ"]);
        assert_eq!(found(&reporter, "obligations", "quyet toan", "/terms/title").await, ["Quyết toán quỹ"]);
    }

    async fn every_letter_is_found_by_every_form_of_it(world: World) {
        let letters: Vec<(char, String)> = "aăâeêioôơuưy".chars().flat_map(|vowel| {
            let base = thidua::text::fold(&vowel.to_string()).chars().next().unwrap();
            TONES.map(|tone| (base, format!("{vowel}{tone}").nfc().collect()))
        }).chain([('d', "đ".to_owned()), ('d', "d".to_owned())]).collect();
        let names: Vec<String> = letters.iter().map(|(_, letter)| format!("Xq{letter}q")).collect();
        villages(world, &names).await;
        let reader = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        for (base, letter) in &letters {
            let same = letters.iter().filter(|(other, _)| other == base).map(|(_, letter)| format!("Xq{letter}q"));
            let same: BTreeSet<String> = same.collect();
            for typed in [letter.clone(), letter.to_uppercase(), letter.nfd().collect()] {
                let found = found(&reader, "units", &format!("xq{typed}q"), "/name").await;
                assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), same, "{typed}");
            }
        }
    }

    async fn the_order_is_vietnamese_and_pages_lose_and_repeat_nothing_while_names_come(world: World) {
        // Letters first (d before đ, a ă â), then tones (à ả ã á ạ), over the whole name.
        let order = ["Bản Ái", "Bản Ăn", "Bản Ân", "Bản Da", "Bản Đa", "Bản Đà", "Bản Đả", "Bản Đã", "Bản Đá", "Bản Đạ",
            "Bản Đe", "Bản Đê", "Bản Lò", "Bản Lô", "Bản Lơ", "Bản Lu", "Bản Lư", "Bản Y"];
        let names: Vec<String> = order.iter().rev().map(ToString::to_string).collect();
        villages(world, &names).await;
        let reader = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        let all = found(&reader, "units", "ban", "/name").await;
        let ours: Vec<&str> = all.iter().map(String::as_str).filter(|name| order.contains(name)).collect();
        assert_eq!(ours, order);

        let page = async |cursor: &Value| {
            let body = json!({ "query": "Bản", "limit": 5, "cursor": cursor });
            let answer = ask(&reader, "units", body).await.is(200);
            assert_eq!(answer.header("link"), None, "the pages of a search have no URL");
            answer.json()
        };
        let (mut seen, mut cursor, mut last) = (Vec::new(), Value::Null, Value::Null);
        for round in 0.. {
            let next = page(&cursor).await;
            assert_eq!(next["prev_cursor"].is_null(), round == 0);
            seen.extend(members(&next, "/name"));
            villages(world, &[format!("Bản Aa{round}"), format!("Bản Zz{round}")]).await;
            cursor = next["next_cursor"].clone();
            last = next;
            if cursor.is_null() {
                break;
            }
        }
        let late = |name: &&String| name.starts_with("Bản Zz");
        assert_eq!(seen.iter().filter(|name| !late(name)).cloned().collect::<Vec<_>>(), all, "forwards");
        assert!(seen.iter().filter(late).count() > 0, "what came behind the place was met");
        let mut back = members(&last, "/name");
        while !last["prev_cursor"].is_null() {
            last = page(&last["prev_cursor"]).await;
            assert!(last["next_cursor"].is_string());
            back = members(&last, "/name").into_iter().chain(back).collect();
        }
        let early = |name: &&String| name.starts_with("Bản Aa");
        assert!(back.iter().filter(early).count() > 1, "what came before the place was met on the way back");
        assert_eq!(back.iter().filter(|name| !early(name)).cloned().collect::<Vec<_>>(), seen, "backwards");
    }

    async fn a_common_word_is_found_in_the_same_order(world: World) {
        let reader = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        let pages = async |query: &str| {
            let first = ask(&reader, "units", json!({ "query": query, "limit": 2 })).await.is(200).json();
            let next = json!({ "query": query, "limit": 2, "cursor": first["next_cursor"] });
            let next = ask(&reader, "units", next).await.is(200).json();
            [members(&first, "/name"), members(&next, "/name")]
        };
        villages(world, &["Bản Cuối".into(), "Bản Đầu".into()]).await;
        let rare = pages("ban").await;
        assert_eq!(rare, [["Bản Ấ", "Bản Bê"], ["Bản Cuối", "Bản Đầu"]]);
        // As many words as 20,000 more names would have.
        let many = "INSERT INTO search_word SELECT DISTINCT 'unit', word || s.n, record_id FROM \
            (WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5100) SELECT n FROM n) AS s, search_word \
            WHERE word = 'ban'";
        world.database.raw().await.execute_unprepared(many).await.unwrap();
        assert_eq!(pages("ban").await, rare);
        assert_eq!(pages("dau ban").await, [vec!["Bản Đầu".to_owned()], vec!["Bản Đầu".to_owned()]]);
    }

    async fn a_cursor_belongs_to_its_search(world: World) {
        let reader = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        let first = ask(&reader, "units", json!({ "query": "ban", "limit": 1 })).await.is(200).json();
        let cursor = first["next_cursor"].as_str().unwrap();
        let with = |query: &str| json!({ "query": query, "cursor": cursor });
        ask(&reader, "units", with("BẢN ban")).await.is(200);
        for (resource, body) in [
            ("units", with("be")),
            ("campaigns", with("ban")),
            ("units", json!({ "query": "ban", "kind": "village", "cursor": cursor })),
            ("units", json!({ "query": "ban", "cursor": "AAAA" })),
        ] {
            let refused = ask(&reader, resource, body.clone()).await.problem(400, "invalid_cursor");
            assert_eq!(refused.json()["errors"][0]["pointer"], "/cursor", "{body}");
        }
        reader.get(&format!("/v1/units?cursor={cursor}")).await.problem(400, "invalid_cursor");
        let list = reader.get("/v1/units?limit=1").await.is(200).json();
        ask(&reader, "units", json!({ "query": "ban", "cursor": list["next_cursor"] })).await.problem(400, "invalid_cursor");
        // 200 characters, the longest name: its place fits into a cursor.
        let long = |last: &str| format!("{}{last}", "Ặ".repeat(199));
        villages(world, &[long("a"), long("b")]).await;
        let query = json!({ "query": "Ặ".repeat(100), "limit": 1 });
        let first = ask(&reader, "units", query.clone()).await.is(200).json();
        let mut next = query;
        next["cursor"] = first["next_cursor"].clone();
        let second = ask(&reader, "units", next).await.is(200).json();
        assert_eq!([members(&first, "/name"), members(&second, "/name")], [vec![long("a")], vec![long("b")]]);
        assert!(second["next_cursor"].is_null());
    }

    async fn what_is_found_follows_from_the_log(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        label(&administrator, "Đặng Thị Hường").await;
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
        let raw = world.database.raw().await;
        raw.execute_unprepared("DELETE FROM search_word WHERE word = 'huong'").await.unwrap();
        let told = rebuild_of(world).await.differences;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("search account/") && !told[0].contains("huong"), "{told:?}");

        // The tables of another version of the program are computed anew; until then the service is not ready.
        raw.execute_unprepared("UPDATE derived SET version = 0 WHERE name = 'search'").await.unwrap();
        raw.execute_unprepared("DELETE FROM search_entry WHERE stream_type = 'unit'").await.unwrap();
        assert_eq!(world.db.pending_migrations().await.unwrap(), ["search"]);
        assert_eq!(world.nobody().get("/readyz").await.is(503).json()["pending_migrations"], json!(["search"]));
        world.db.migrate().await.unwrap();
        assert_eq!(world.db.pending_migrations().await.unwrap(), Vec::<String>::new());
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
        assert_eq!(found(&administrator, "accounts", "huong", "/label").await, ["Đặng Thị Hường"]);
        raw.execute_unprepared("UPDATE search_entry SET stream_type = 'obligation' WHERE stream_type = 'account'").await.unwrap();
        let told = rebuild_of(world).await.differences;
        assert!(told.iter().any(|line| line.contains("obligation") && line.contains("not in the log")), "{told:?}");
    }

    async fn every_name_of_the_demonstration_is_found_by_its_bare_letters(world: World) {
        world.demo().await;
        let auditor = world.somebody("auditor");
        let mut searched = 0;
        for step in thidua::demo::Script::embedded().unwrap().steps {
            let (resource, pointers) = match step.post.as_str() {
                "/v1/units" => ("units", vec!["/names/0/value"]),
                "/v1/activities" => ("activities", vec!["/content/title", "/content/resources/0/giver_name"]),
                "/v1/initiatives" => ("initiatives", vec!["/content/title"]),
                "/v1/obligations" => ("obligations", vec!["/terms/title"]),
                "/v1/grants" => ("accounts", vec!["/label"]),
                _ => continue,
            };
            for name in pointers.iter().filter_map(|pointer| step.body.pointer(pointer)?.as_str()) {
                let bare: String = thidua::text::fold(name).chars().take(100).collect();
                let page = ask(&auditor, resource, json!({ "query": bare, "limit": 200 })).await.is(200);
                let quoted = format!("\"{name}\"");
                assert!(page.text.contains(&quoted), "{resource}: {name} by {bare}: {}", page.text);
                searched += 1;
            }
        }
        assert!(searched > 30, "{searched}");
    }
}

/// Names as they occur and as they do not: syllables of every letter and tone, in either case, digits and marks between.
fn made_up_names() -> Vec<String> {
    let syllable = (
        "(|b|c|ch|d|đ|g|gh|h|kh|l|ng|ngh|nh|ph|q|s|t|th|tr|v|x)",
        "[aăâeêioôơuưy]{1,2}",
        0..6_usize,
        "(|c|ch|m|n|ng|nh|p|t)",
        0..4_u8,
    );
    let syllable = syllable.prop_map(|(initial, vowels, tone, last, case)| {
        let text: String = format!("{initial}{vowels}{}{last}", TONES[tone]).nfc().collect();
        match case {
            0 => text,
            1 => text.to_uppercase(),
            _ => text.chars().take(1).flat_map(char::to_uppercase).chain(text.chars().skip(1)).collect(),
        }
    });
    let between = "( | |  |-|, | & |\\. |/| 7 | 12 | \\(|\\) )";
    let name = proptest::collection::vec((syllable, between), 1..5);
    let name =
        name.prop_map(|parts| parts.into_iter().map(|(syllable, between)| syllable + &between).collect::<String>());
    let mut runner = TestRunner::deterministic();
    proptest::collection::vec(name, 5000).new_tree(&mut runner).unwrap().current()
}

#[actix_web::test]
async fn the_order_is_that_of_postgresql_s_collation() {
    let Some(server) = server() else { return };
    let script = include_str!("../../campaigns/quynh-nhai-2021-2025/demo.yaml");
    let real = script.split(['\'', '"', '\n', ',']).map(|text| text.trim().nfc().collect());
    let mut names: Vec<String> =
        made_up_names().into_iter().chain(real).filter(|name: &String| !name.is_empty()).collect();
    names.sort();
    names.dedup();
    assert!(names.len() > 5000, "{}", names.len());
    let postgres = Sea::connect(server).await.unwrap();
    let sql = "SELECT name FROM jsonb_array_elements_text(($1::text)::jsonb) AS t(name) ORDER BY name COLLATE \"vi-VN-x-icu\"";
    let statement =
        Statement::from_sql_and_values(postgres.get_database_backend(), sql, [json!(names).to_string().into()]);
    let rows = postgres.query_all_raw(statement).await.unwrap();
    let theirs: Vec<String> = rows.iter().map(|row| row.try_get("", "name").unwrap()).collect();
    // What the collation holds to be equal, PostgreSQL orders by bytes; a page orders it by id.
    names.sort_by_cached_key(|name| (sort_key(name).unwrap(), name.clone()));
    let differing = names.iter().zip(&theirs).position(|(ours, theirs)| ours != theirs);
    assert_eq!(differing.map(|at| (&names[at], &theirs[at])), None);
}

/// What a program writes to its log.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

both_engines! {
    async fn what_was_looked_for_stands_in_no_log_line(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        label(&administrator, "Quàng Thị Ẵm").await;
        let service = init_service(thidua::app::app(world.shared.clone())).await;
        let written = Written::default();
        let writer = written.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::TRACE);
        let log = tracing::Dispatch::new(log.with_writer(move || writer.clone()).finish());
        for body in [json!({ "query": "Quàng ẵm" }), json!({ "query": "Quàng", "ẵm": 1 }), json!({ "query": ["Quàng"] })] {
            let request = TestRequest::post().uri("/v1/accounts:search").set_json(&body);
            let token = administrator.token.as_deref().unwrap();
            let request = request.insert_header(("Authorization", format!("Bearer {token}"))).to_request();
            let answer = service.call(request).with_subscriber(log.clone()).await.unwrap();
            assert!([200, 400].contains(&answer.status().as_u16()));
        }
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("route=\"/v1/accounts:search\"").count(), 3, "{text}");
        for word in ["Quàng", "quang", "Ẵm", "ẵm"] {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }
}
