//! Findings: what the questions find in what the service permits, at a pinned position, page by page, and by the command.
//! What it refuses is asked for over hand-made leaves, beside each question.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::campaigns::load::Loading;
use thidua::clock::{civil_date, now};
use thidua::commands::campaign::load_directory;
use uuid::Uuid;

use crate::both_engines;
use crate::support::campaign::{self, CAMPAIGN};
use crate::support::watch::{LONGEST, watch};
use crate::support::{Engine, ISSUER, Person, World};

async fn ask(auditor: &Person<'_>, query: &str) -> Value {
    auditor.get(&format!("/v1/findings?limit=200&{query}")).await.is(200).json()
}

/// The findings of one question, in order.
async fn found(auditor: &Person<'_>, question: &str) -> Vec<Value> {
    ask(auditor, &format!("question={question}")).await["items"].as_array().unwrap().clone()
}

fn types(finding: &Value) -> Vec<&str> {
    finding["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// Every event that a finding names is there, under its id and type.
async fn shown(auditor: &Person<'_>, finding: &Value) {
    for event in finding["events"].as_array().unwrap() {
        let after = event["position"].as_i64().unwrap() - 1;
        let page = auditor.get(&format!("/v1/events?limit=1&after={after}")).await.is(200).json();
        for member in ["position", "id", "type"] {
            assert_eq!(page["items"][0][member], event[member], "{finding}");
        }
    }
}

/// The command, while the service goes on: on PostgreSQL it is the service that gives events their positions.
async fn thidua(world: &World, arguments: &[&str]) -> Output {
    watch(LONGEST);
    let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
    command.env("THIDUA_DATABASE_URL", &world.database.url).env("RUST_LOG", "error").arg("findings").args(arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(str::to_owned).collect()
}

/// The shipped campaign with its final cut-off today.
async fn campaign_that_ends_today(world: &World) {
    let today = civil_date(now()).to_string();
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("campaigns/quynh-nhai-2021-2025");
    let folder = tempfile::tempdir().unwrap();
    for file in ["campaign.yaml", "rules.yaml", "units.yaml"] {
        let text = std::fs::read_to_string(shipped.join(file)).unwrap();
        // The examples of the rules are about the cut-off that they were written for; one is not.
        let (text, examples) = text.split_once("\ntests:\n").unwrap_or((&text, ""));
        let example = examples.lines().find(|line| line.contains("data: {}"));
        let text = example.map_or(text.to_owned(), |example| format!("{text}\ntests:\n{example}\n"));
        let text = if file == "units.yaml" { text } else { text.replace("2025-12-31", &today) };
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    match load_directory(&world.db, folder.path()).await.unwrap() {
        Loading::Done(_) => {}
        Loading::Refused(findings) => panic!("refused: {findings:#?}"),
    }
}

/// Village A's register of regulations for the final round is closed, reopened, filled and closed again.
async fn reopened(world: &World, fill: bool) -> Vec<Uuid> {
    let village = world.units.village_a;
    let owner = world.person(Role::CommuneCommittee, Some(world.units.commune_n)).await;
    let reporter = world.person(Role::UnitReporter, Some(village)).await;
    let body = json!({ "campaign": CAMPAIGN, "unit": village, "round": "final", "name": "regulation" });
    let made = owner.create("/v1/registers", &body).await.is(201);
    let path = made.header("location").unwrap().to_owned();
    let reason = json!({ "reason": "Còn sót quy chế của ông Lò Văn Ở" });
    let open = owner.change(&format!("{path}:reopen"), &made.etag(), &reason).await.is(200);
    if fill {
        let entry = json!({ "campaign": CAMPAIGN, "unit": village, "name": "regulation", "observed_on": "2023-06-01",
            "content": { "fields": { "kind": "revolving_capital" }, "evidence": [{ "kind": "document", "number": "1/QC" }] } });
        reporter.create("/v1/observations", &entry).await.is(201);
    }
    owner.change(&format!("{path}:reclose"), &open.etag(), &json!({})).await.is(200);
    vec![owner.account, reporter.account]
}

both_engines! {
    async fn the_demonstration_has_the_findings_that_its_data_make(world: World) {
        world.demo().await;
        let auditor = world.somebody("auditor");
        let answer = ask(&auditor, "").await;
        let mut told = BTreeMap::new();
        for finding in answer["items"].as_array().unwrap() {
            *told.entry(finding["question"].as_str().unwrap()).or_insert(0) += 1;
            shown(&auditor, finding).await;
            let not_asked = finding.get("outcome").is_none_or(|outcome| outcome["evaluated"] == false);
            assert!(not_asked, "outcomes only where the question is asked by its id: {finding}");
        }
        // One count is corrected, and five heads still stand for units that ended with the district.
        assert_eq!(told, BTreeMap::from([("figure_changed_after_confirmation", 1), ("grant_outlives_unit", 5)]), "{answer:#}");
        let texts = answer["items"].to_string();
        for name in ["Quàng", "Lò Thị", "(giả định)"] {
            assert!(!texts.contains(name), "a personal value: {texts}");
        }
    }

    async fn a_correction_tells_by_how_much_it_moved_outcomes(world: World) {
        let demo = world.demo().await;
        let auditor = world.somebody("auditor");
        let question = "figure_changed_after_confirmation";
        let before = found(&auditor, question).await;
        assert_eq!(before[0]["outcome"]["evaluated"], true, "{before:?}");
        let correct = async |etag: &str, poor: i64| {
            let counts = json!({ "poor_households": poor, "near_poor_households": 20,
                "recognised_by": demo.id("xa-muong-chien"), "decision_number": "15/QĐ-UBND" });
            let path = format!("/v1/figures/{}:correct", demo.names.get("ban-ot-do-2025").unwrap().id);
            let correction = json!({ "counts": counts, "reason": "Bà Lò Thị Ở kể lại" });
            world.somebody("labour_office").change(&path, etag, &correction).await.is(200).etag()
        };
        // From 15 of 60 to 50 of 60, and then to one household less, which changes nothing.
        let etag = correct(&demo.names.get("ban-ot-do-2025").unwrap().etag, 50).await;
        correct(&etag, 49).await;
        let found = found(&auditor, question).await;
        assert_eq!(found.len(), before.len() + 2);
        let [moved, still] = &found[before.len()..] else { panic!() };
        let changes = moved["outcome"]["changes"].as_array().unwrap();
        let village = json!(demo.id("ban-ot-do"));
        let fall = changes.iter().find(|change| change["name"] == "III.2.3.d" && change["unit"] == village).unwrap();
        let expected = (&json!("final"), &json!("criterion"), &json!("met"), &json!("not_met"));
        assert_eq!((&fall["round"], &fall["part"], &fall["before"], &fall["after"]), expected);
        let award = changes.iter().find(|change| change["part"] == "award" && change["unit"] == village).unwrap();
        assert_eq!((&award["name"], &award["before"]), (&json!("bang_khen_tinh"), &json!("recommended")), "{changes:?}");
        assert!(changes.iter().all(|change| change["round"] == "final"), "2025 is not read at mid-term: {changes:?}");
        assert_eq!((&moved["severity"], types(moved)), (&json!("serious"), vec!["figure.confirmed", "figure.corrected"]));
        let text = moved["text"]["en"].as_str().unwrap();
        assert!(text.contains("→ 50") && text.contains("outcomes changed") && !moved.to_string().contains("Lò Thị"), "{text}");
        assert_eq!(still["outcome"], json!({ "evaluated": true, "changes": [] }), "{still}");
        assert!(still["text"]["en"].as_str().unwrap().ends_with("No outcome changed."), "{still}");
        shown(&auditor, moved).await;
        // The command says the same.
        let output = thidua(world, &["--question", question]).await;
        assert_eq!(output.status.code(), Some(1));
        let told = lines(&output);
        assert_eq!(told.len(), found.len());
        assert!(told[before.len()].contains(text), "{told:?}");
    }

    async fn a_position_is_pinned_and_pages_keep_it(world: World) {
        let units = world.units;
        let auditor = world.person(Role::Auditor, None).await;
        for unit in [units.commune_a, units.commune_b, units.district, units.village_a] {
            world.person(Role::UnitReporter, Some(unit)).await;
        }
        let question = "question=grant_outlives_unit";
        let all = ask(&auditor, question).await;
        let items = all["items"].as_array().unwrap().clone();
        let concerned: Vec<&Value> = items.iter().map(|finding| &finding["unit"]).collect();
        assert_eq!(concerned, [&json!(units.commune_a), &json!(units.commune_b), &json!(units.district)], "the village is still there");
        let first = auditor.get(&format!("/v1/findings?{question}&limit=2")).await.is(200);
        assert_eq!(first.json()["items"], json!(items[..2]));
        assert!(first.header("link").unwrap().contains("rel=\"next\""));
        // What is written now is not on the next page.
        world.person(Role::UnitHead, Some(units.district)).await;
        let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
        let second = auditor.get(&format!("/v1/findings?{question}&limit=2&cursor={cursor}")).await.is(200).json();
        let expected = (json!(items[2..]), all["log_position"].clone(), Value::Null);
        assert_eq!((second["items"].clone(), second["log_position"].clone(), second["next_cursor"].clone()), expected);
        let back = second["prev_cursor"].as_str().unwrap();
        let back = auditor.get(&format!("/v1/findings?{question}&limit=2&cursor={back}")).await.is(200).json();
        assert_eq!((&back["items"], &back["prev_cursor"]), (&first.json()["items"], &Value::Null));
        let position = &all["log_position"];
        assert_eq!(ask(&auditor, &format!("{question}&log_position={position}")).await, all, "the same again");
        assert_eq!(ask(&auditor, question).await["items"].as_array().unwrap().len(), 4);
        // The service has read further and answered nothing there: it reads anew, and what it tells is what the command tells.
        let size = position.as_i64().unwrap();
        for position in [size + 1, size - 1, 0, size - 2, size] {
            let told = ask(&auditor, &format!("log_position={position}")).await["items"].as_array().unwrap().len();
            let output = thidua(world, &["--log-position", &position.to_string()]).await;
            assert_eq!(lines(&output).len(), told, "{position}");
        }
        let of_unit = ask(&auditor, &format!("{question}&unit={}&log_position={position}", units.commune_b)).await;
        assert_eq!(of_unit["items"], json!([items[1]]));
        for (query, pointer) in [
            ("log_position=999999", "query/log_position"),
            ("question=who_did_it", "query/question"),
            ("limit=201", "query/limit"),
            ("colour=red", "query/colour"),
        ] {
            let refused = auditor.get(&format!("/v1/findings?{query}")).await.problem(400, "invalid_query");
            assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
        }
        let other = auditor.get(&format!("/v1/findings?question=unmasks_much&cursor={cursor}")).await;
        other.problem(400, "invalid_cursor");
    }

    async fn a_grant_that_ends_when_its_unit_is_ended_outlives_nothing(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let administrator = world.person(Role::Administrator, None).await;
        let front = world.units.front;
        let body = json!({ "issuer": ISSUER, "subject": "s", "role": "front_officer", "unit": front });
        let given = administrator.create("/v1/grants", &body).await.is(201);
        assert_eq!(found(&auditor, "grant_outlives_unit").await, Vec::<Value>::new());
        let act = json!({ "kind": "abolish", "effective_on": "2024-01-01", "predecessors": [front], "successors": [],
            "basis": "Nghị quyết 1/NQ-HĐND" });
        let act = administrator.create("/v1/successions", &act).await.is(201);
        let findings = found(&auditor, "grant_outlives_unit").await;
        assert_eq!((findings.len(), types(&findings[0])), (1, vec!["grant.given", "unit.ended"]));
        assert_eq!(findings[0]["unit"], json!(front));
        shown(&auditor, &findings[0]).await;
        let path = format!("{}:end", given.header("location").unwrap());
        administrator.change(&path, &given.etag(), &json!({ "reason": "Giải thể" })).await.is(200);
        assert_eq!(found(&auditor, "grant_outlives_unit").await, Vec::<Value>::new(), "on the day that tells of the end");
        drop(act);
    }

    async fn a_grant_to_oneself_is_found_and_one_to_another_is_not(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let administrator = world.person(Role::Administrator, None).await;
        let body = |subject: &str| json!({ "issuer": ISSUER, "subject": subject, "role": "auditor" });
        administrator.create("/v1/grants", &body("another")).await.is(201);
        assert_eq!(found(&auditor, "grant_to_oneself").await, Vec::<Value>::new());
        let own = administrator.create("/v1/grants", &body("administrator-")).await.is(201);
        assert_eq!(own.json()["account"], json!(administrator.account));
        let findings = found(&auditor, "grant_to_oneself").await;
        assert_eq!((findings.len(), types(&findings[0])), (1, vec!["grant.given"]));
        assert_eq!((&findings[0]["severity"], &findings[0]["accounts"]), (&json!("serious"), &json!([administrator.account])));
        shown(&auditor, &findings[0]).await;
    }

    async fn a_corrected_activity_waits_again_and_nobody_accepted_their_own(world: World) {
        campaign::load(world).await;
        let auditor = world.person(Role::Auditor, None).await;
        campaign::helped(world, world.units.village_a).await;
        assert_eq!(found(&auditor, "accepted_returned_to_draft").await, Vec::<Value>::new());
        let giver = world.person(Role::UnitReporter, Some(world.units.enterprise)).await;
        let list = giver.get("/v1/activities").await.is(200).json();
        let path = format!("/v1/activities/{}", list["items"][0]["id"].as_str().unwrap());
        let read = giver.get(&path).await.is(200);
        let content = json!({ "clause_kind": "II.a", "support_kind": "cash", "held_on": "2023-05-02", "title": "Hỗ trợ",
            "households_helped": 2, "pupils_helped": 0, "beneficiary_area": "poor_person" });
        let correction = json!({ "content": content, "reason": "Ghi nhầm ngày" });
        giver.change(&format!("{path}:correct"), &read.etag(), &correction).await.is(200);
        let findings = found(&auditor, "accepted_returned_to_draft").await;
        assert_eq!((findings.len(), types(&findings[0])), (1, vec!["activity.accepted", "activity.corrected"]));
        assert_eq!((&findings[0]["severity"], &findings[0]["accounts"]), (&json!("notice"), &json!([giver.account])));
        shown(&auditor, &findings[0]).await;
        assert_eq!(found(&auditor, "own_work_accepted").await, Vec::<Value>::new());
    }

    async fn a_register_that_is_reopened_at_its_cut_off_is_found(world: World) {
        campaign_that_ends_today(world).await;
        let auditor = world.person(Role::Auditor, None).await;
        let accounts = reopened(world, true).await;
        let findings = found(&auditor, "register_reopened_at_cut_off").await;
        let expected = vec!["register.closed", "register.reopened", "observation.reported", "register.reclosed"];
        assert_eq!((findings.len(), types(&findings[0])), (1, expected));
        assert_eq!((&findings[0]["severity"], &findings[0]["unit"]), (&json!("serious"), &json!(world.units.village_a)));
        for account in accounts {
            assert!(findings[0]["accounts"].as_array().unwrap().contains(&json!(account)), "{findings:?}");
        }
        assert!(!findings[0].to_string().contains("Lò Văn"), "a reason is personal");
        shown(&auditor, &findings[0]).await;
    }

    async fn long_after_its_cut_off_a_register_may_be_reopened(world: World) {
        campaign::load(world).await;
        let auditor = world.person(Role::Auditor, None).await;
        reopened(world, false).await;
        assert_eq!(found(&auditor, "register_reopened_at_cut_off").await, Vec::<Value>::new());
    }

    async fn an_event_that_is_gone_holds_up_nobody_and_is_remembered_by_nobody(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        world.person(Role::UnitHead, Some(world.units.commune_a)).await;
        let newest = ask(&auditor, "").await;
        assert_eq!(newest["items"].as_array().unwrap().len(), 1);
        let raw = world.database.raw().await;
        let free = match world.database.engine {
            Engine::Sqlite => "DROP TRIGGER audit_event_no_delete; DROP TRIGGER audit_event_no_update",
            Engine::Postgres => "ALTER TABLE audit_event DISABLE TRIGGER USER",
        };
        raw.execute_unprepared(free).await.unwrap();
        raw.execute_unprepared("DELETE FROM audit_event WHERE seq = 3").await.unwrap();
        assert_eq!(ask(&auditor, "log_position=3").await["log_position"], 3);
        assert_eq!(thidua(world, &["--log-position", "3"]).await.status.code(), Some(0));
        // The newest event is another one, as on a server that had not heard of it: what was known of it is forgotten.
        assert_eq!(ask(&auditor, "").await, newest);
        let last = &newest["log_position"];
        let other = format!("UPDATE audit_event SET leaf = replace(leaf, '\"unit_id\"', '\"unit_no\"') WHERE seq = {last}");
        raw.execute_unprepared(&other).await.unwrap();
        assert_eq!(ask(&auditor, "").await, json!({ "items": [], "log_position": last, "next_cursor": null, "prev_cursor": null }));
        raw.close().await.unwrap();
    }

    async fn the_command_prints_a_line_a_finding_and_exits_by_them(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let nothing = thidua(world, &[]).await;
        assert_eq!((nothing.status.code(), lines(&nothing)), (Some(0), Vec::new()));
        let position = ask(&auditor, "").await["log_position"].to_string();
        world.person(Role::UnitHead, Some(world.units.commune_a)).await;
        let finding = found(&auditor, "grant_outlives_unit").await.remove(0);
        let output = thidua(world, &[]).await;
        let told = lines(&output);
        assert_eq!((output.status.code(), told.len()), (Some(1), 1), "{told:?}");
        assert!(told[0].starts_with("grant_outlives_unit notice events ") && told[0].contains(finding["text"]["vi"].as_str().unwrap()));
        assert_eq!(thidua(world, &["--log-position", &position]).await.status.code(), Some(0), "before it was given");
        assert_eq!(thidua(world, &["--question", "unmasks_much"]).await.status.code(), Some(0));
        for refused in [["--question", "who_did_it"], ["--log-position", "999999"]] {
            assert_eq!(thidua(world, &refused).await.status.code(), Some(2), "{refused:?}");
        }
        let list = lines(&thidua(world, &["--list"]).await).join("\n");
        for question in thidua::findings::questions::QUESTIONS {
            assert!(list.contains(question.id) && list.contains(&(question.explanation)().vi), "{}", question.id);
        }
    }
}
