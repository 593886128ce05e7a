//! Recommendations over HTTP, on the demonstration's data: the answers of both rounds, the same bytes again, and what is
//! refused. What rules mean is tested beside them.

use serde_json::{Value, json};
use thidua::canonical::{canonical, hex, sha256};
use thidua::recommendations::compute::{self, Asked, Question};
use thidua::recommendations::rules::Mode;
use thidua::recommendations::store;
use uuid::Uuid;

use crate::both_engines;
use crate::support::demo::Demo;
use crate::support::{Answer, Database, Engine, World};

const PATH: &str = "/v1/recommendations";

fn ask(demo: &Demo, round: &str, scope: Value) -> Value {
    json!({ "campaign": demo.campaign, "round": round, "scope": scope })
}

async fn of(world: &World, demo: &Demo, round: &str, name: &str) -> Value {
    let body = ask(demo, round, json!({ "subjects": [demo.id(name)] }));
    let answer = world.somebody("council_member").post(PATH, &body).await.is(200).json();
    assert_eq!(answer["subjects"].as_array().unwrap().len(), 1, "{answer}");
    answer["subjects"][0].clone()
}

fn criterion<'a>(subject: &'a Value, id: &str) -> &'a Value {
    let criteria = subject["criteria"].as_array().unwrap();
    criteria.iter().find(|criterion| criterion["id"] == id).unwrap_or_else(|| panic!("no {id}: {subject}"))
}

fn outcome_of<'a>(subject: &'a Value, award: &str) -> &'a str {
    let awards = subject["awards"].as_array().unwrap();
    awards.iter().find(|result| result["award"] == award).unwrap()["outcome"].as_str().unwrap()
}

async fn size(world: &World) -> Value {
    world.somebody("auditor").get("/v1/events?limit=1").await.is(200).json()["size"].clone()
}

both_engines! {
    async fn both_rounds_answer_for_the_demo_as_its_data_say(world: World) {
        let demo = world.demo().await;
        for (round, name, id, status) in [
            ("mid", "ban-ot-do", "III.2.3.d", "met"),
            ("final", "ban-ot-do", "III.2.3.d", "met"),
            ("mid", "ban-phieng-o", "III.2.3.d", "not_met"),
            ("final", "ban-phieng-o", "III.2.3.d", "not_met"),
            ("final", "ban-nam-at", "III.2.3.d", "insufficient"),
            ("mid", "xa-muong-chien-cu", "III.2.2.d", "not_met"),
            ("mid", "xa-ca-nang", "III.2.2.d", "met"),
            ("mid", "xa-chieng-bang", "III.2.2.d", "insufficient"),
            ("mid", "thi-tran-muong-giang", "III.2.2.d", "not_applicable"),
            ("final", "xa-muong-chien", "III.2.2.d", "met"),
            ("final", "xa-muong-gion", "III.2.2.d", "not_met"),
            ("final", "xa-muong-sai", "III.2.2.d", "insufficient"),
            ("final", "xa-quynh-nhai", "III.2.2.d", "not_applicable"),
        ] {
            let subject = of(world, &demo, round, name).await;
            assert_eq!(criterion(&subject, id)["status"], status, "{round} {name}");
        }
        for (round, name, status, award, outcome) in [
            ("mid", "ban-ot-do", "met", "bang_khen_tinh", "recommended"),
            ("final", "ban-ot-do", "met", "bang_khen_tinh", "recommended"),
            ("final", "ban-ot-do", "met", "bang_khen_ttg", "insufficient_evidence"),
            ("final", "ban-phieng-o", "not_met", "bang_khen_tinh", "not_eligible"),
            ("final", "ban-nam-at", "insufficient", "bang_khen_tinh", "insufficient_evidence"),
            ("mid", "xa-ca-nang", "met", "giay_khen_huyen", "recommended"),
            ("mid", "xa-ca-nang", "met", "bang_khen_ttg", "not_in_round"),
            ("mid", "tram-khuyen-nong", "not_met", "bang_khen_tinh", "not_eligible"),
            ("final", "cong-ty-suong-som", "met", "bang_khen_tinh", "insufficient_evidence"),
        ] {
            let subject = of(world, &demo, round, name).await;
            assert_eq!((&subject["status"], outcome_of(&subject, award)), (&json!(status), outcome), "{round} {name} {award}");
        }
        let disputed = of(world, &demo, "final", "ban-phieng-o").await;
        assert_eq!(criterion(&disputed, "III.2.3.a")["steps"][1]["reason"], "disputed", "{disputed}");
        let miss = of(world, &demo, "final", "ban-phieng-o").await;
        let step = &criterion(&miss, "III.2.3.d")["steps"][0];
        assert_eq!(step["gap"]["amount"], 1, "one household: {step}");
        let merged = of(world, &demo, "final", "xa-muong-chien").await;
        let step = &criterion(&merged, "III.2.2.d")["steps"][1];
        let text = step.to_string();
        assert!(text.contains("300") && text.contains("108"), "the sum over three predecessors: {step}");
        let disputed = of(world, &demo, "mid", "xa-chieng-bang").await;
        assert!(criterion(&disputed, "III.2.2.d").to_string().contains("disputed"));
    }

    async fn asked_again_at_its_position_the_bytes_are_the_same(world: World) {
        let demo = world.demo().await;
        let person = world.somebody("commune_committee");
        let mut body = ask(&demo, "final", json!({ "unit": demo.id("xa-muong-chien") }));
        let before = size(world).await;
        let first = person.post(PATH, &body).await.is(200);
        assert_eq!(size(world).await, before, "computing writes no event");
        let run = &first.json()["run"];
        assert_eq!(run["log_position"], json!(before.as_i64().unwrap() - 1));
        assert!(run["mark"].as_str().unwrap().contains("simulation"), "{run}");
        sealed(&first);

        let figure = demo.names.get("ban-ot-do-2025").unwrap();
        let counts = json!({ "poor_households": 30, "near_poor_households": 20,
            "recognised_by": demo.names.get("xa-muong-chien").unwrap().id, "decision_number": "15/QĐ-UBND" });
        let correction = json!({ "counts": counts, "reason": "Thử" });
        let path = format!("/v1/figures/{}:correct", figure.id);
        world.somebody("labour_office").change(&path, &figure.etag, &correction).await.is(200);
        let newest = person.post(PATH, &body).await.is(200);
        assert_ne!(newest.json()["subjects"], first.json()["subjects"], "the change counts now");
        body["log_position"] = first.json()["run"]["log_position"].clone();
        assert_eq!(person.post(PATH, &body).await.is(200).text, first.text);

        let ids: Vec<Uuid> = subjects(&first);
        assert!(ids.len() > 6 && ids.is_sorted(), "in the order of the UUID bytes: {ids:?}");
    }

    async fn the_other_engine_gives_the_same_bytes(world: World) {
        let demo = world.demo().await;
        let body = ask(&demo, "final", json!({ "unit": demo.id("tinh-son-la") }));
        let answer = world.somebody("province_officer").post(PATH, &body).await.is(200);
        let other = match world.database.engine {
            Engine::Sqlite => Engine::Postgres,
            Engine::Postgres => Engine::Sqlite,
        };
        let Some(database) = Database::empty(other).await else { return };
        let copy = copy(world, &database).await;
        let question = Question {
            campaign: demo.campaign,
            round: "final".into(),
            scope: Asked::Subtree(demo.id("tinh-son-la")),
            mode: Mode::Simulation,
            special_on: None,
        };
        let position = answer.json()["run"]["log_position"].as_i64().unwrap();
        let reader = copy.reader();
        let knowledge = store::knowledge(reader.conn(), demo.campaign, position).await.unwrap();
        let said = store::said_at(reader.conn(), &knowledge, demo.campaign, "final").await.unwrap();
        let computed = compute::answer(&said.rules, &said.labels, &knowledge, &question, said.days.first, position).unwrap();
        assert_eq!(computed, answer.text);
        copy.close().await;
        database.remove().await;
    }

    async fn an_official_run_uses_only_what_was_adopted(world: World) {
        let demo = world.demo().await;
        let mut body = ask(&demo, "final", json!({ "subjects": [demo.id("ban-ot-do")] }));
        body["mode"] = json!("official");
        let answer = world.somebody("district_chair").post(PATH, &body).await.is(200).json();
        assert!(answer["run"].get("mark").is_none(), "no simulation: {}", answer["run"]);
        let subject = &answer["subjects"][0];
        let fall = criterion(subject, "III.2.3.d");
        assert_eq!((&fall["status"], &fall["steps"][0]["reason"]), (&json!("insufficient"), &json!("parameter_not_adopted")));
        assert_eq!(fall["steps"][0]["would_be"], "met");
        assert_eq!(subject["status"], "insufficient");

        // Both cut-offs are proposed, so nothing that is dated up to them is settled: no leaf, criterion or award.
        for round in ["mid", "final"] {
            let mut body = ask(&demo, round, json!({ "unit": demo.id("tinh-son-la") }));
            body["mode"] = json!("official");
            let answer = world.somebody("province_officer").post(PATH, &body).await.is(200).json();
            let subjects = answer["subjects"].as_array().unwrap();
            assert!(subjects.len() > 10, "{round}");
            for subject in subjects {
                let name = &subject["name"];
                assert_eq!(subject["status"], "insufficient", "{round} {name}");
                for criterion in subject["criteria"].as_array().unwrap() {
                    for step in criterion["steps"].as_array().unwrap() {
                        let said = (&step["status"], &step["gap"]);
                        assert_eq!(said, (&json!("insufficient"), &Value::Null), "{round} {name} {}", step["path"]);
                    }
                    assert_eq!(criterion["status"], "insufficient", "{round} {name} {}", criterion["id"]);
                }
                for award in subject["awards"].as_array().unwrap() {
                    let outcome = award["outcome"].as_str().unwrap();
                    assert!(["insufficient_evidence", "not_in_round"].contains(&outcome), "{round} {name} {award}");
                }
            }
        }
    }

    async fn a_round_has_the_subjects_that_exist_at_its_cut_off(world: World) {
        let demo = world.demo().await;
        let nobody = Uuid::from_u128(7);
        let (village, ended, fresh) = (demo.id("ban-ot-do"), demo.id("xa-muong-chien-cu"), demo.id("xa-muong-chien"));
        let refused = async |round: &str, scope: Value| {
            let answer = world.somebody("auditor").post(PATH, &ask(&demo, round, scope)).await;
            answer.problem(422, "invalid_value").json()["errors"].clone()
        };
        let pointers = |errors: &Value| -> Vec<String> {
            errors.as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
        };
        let errors = refused("final", json!({ "subjects": [village, ended, village, nobody] })).await;
        assert_eq!(pointers(&errors), ["/scope/subjects/1", "/scope/subjects/3"]);
        assert!(errors[0]["detail"].to_string().contains("không tồn tại vào ngày 2025-12-31"), "{errors}");
        assert!(errors[1]["detail"].to_string().contains("không có đơn vị này"), "{errors}");
        assert_eq!(pointers(&refused("mid", json!({ "subjects": [fresh] })).await), ["/scope/subjects/0"]);
        let district = json!({ "unit": demo.id("huyen-quynh-nhai") });
        assert_eq!(pointers(&refused("final", district.clone()).await), ["/scope/unit"], "it ended");
        assert_eq!(pointers(&refused("final", json!({ "unit": nobody })).await), ["/scope/unit"]);
        world.somebody("auditor").post(PATH, &ask(&demo, "mid", district)).await.is(200);
        // Whoever sees not everything is not told what there is elsewhere.
        for scope in [json!({ "subjects": [nobody] }), json!({ "unit": nobody }), json!({ "subjects": [village, ended] })] {
            let committee = world.somebody("uy-ban-muong-gion");
            committee.post(PATH, &ask(&demo, "final", scope)).await.problem(404, "not_found");
        }
        let officer = world.somebody("council_member");
        let own = officer.post(PATH, &ask(&demo, "final", json!({ "subjects": [ended] }))).await;
        assert_eq!(pointers(&own.problem(422, "invalid_value").json()["errors"]), ["/scope/subjects/0"]);
        // Named twice, answered once.
        let twice = officer.post(PATH, &ask(&demo, "final", json!({ "subjects": [village, village] }))).await.is(200);
        assert_eq!(subjects(&twice), [village]);
        // At a position before it was registered there was no such unit.
        let mut early = ask(&demo, "final", json!({ "subjects": [village] }));
        let history = world.somebody("auditor").get(&format!("/v1/units/{village}/events")).await.is(200).json();
        early["log_position"] = json!(history["items"][0]["position"].as_i64().unwrap() - 1);
        let errors = world.somebody("auditor").post(PATH, &early).await.problem(422, "invalid_value").json()["errors"].clone();
        assert_eq!(pointers(&errors), ["/scope/subjects/0"]);
    }

    async fn the_special_path_asks_its_own_question(world: World) {
        let demo = world.demo().await;
        let mut body = ask(&demo, "final", json!({ "subjects": [demo.id("cong-ty-suong-som")] }));
        body["special_on"] = json!("2024-11-20");
        let answer = world.somebody("home_affairs").post(PATH, &body).await.is(200).json();
        let run = &answer["run"];
        assert_eq!((&run["special"], &run["as_of"]), (&json!(true), &json!("2024-11-20")));
        let subject = &answer["subjects"][0];
        assert_eq!((&subject["special"], &subject["category"]), (&json!(true), &json!(null)), "{subject}");
        assert_eq!(criterion(subject, "III.3.4")["status"], "met");
        assert_eq!(outcome_of(subject, "bang_khen_tinh"), "recommended", "whom it helped nominated it");
        for day in ["1990-01-01", "2020-12-31", "2026-01-01", "2030-01-01"] {
            body["special_on"] = json!(day);
            let problem = world.somebody("home_affairs").post(PATH, &body).await.problem(422, "invalid_value").json();
            assert_eq!(problem["errors"][0]["pointer"], "/special_on", "{day}");
        }
    }

    async fn what_cannot_be_asked_is_refused(world: World) {
        let demo = world.demo().await;
        let village = json!({ "unit": demo.id("ban-ot-do") });
        let good = ask(&demo, "final", village.clone());
        let auditor = world.somebody("auditor");
        for (member, value, pointer) in [
            ("round", json!("quarterly"), "/round"),
            ("log_position", json!(1_000_000), "/log_position"),
            ("scope", json!({ "unit": demo.id("ban-ot-do"), "subjects": [demo.id("ban-ot-do")] }), "/scope"),
            ("scope", json!({}), "/scope"),
        ] {
            let mut body = good.clone();
            body[member] = value;
            let problem = auditor.post(PATH, &body).await.problem(422, "invalid_value").json();
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        }
        let mut body = good.clone();
        body["scope"]["units"] = json!(1);
        auditor.post(PATH, &body).await.problem(400, "unknown_member");
        body = good.clone();
        body["campaign"] = json!(Uuid::nil());
        auditor.post(PATH, &body).await.problem(404, "not_found");
        world.somebody("uy-ban-muong-gion").post(PATH, &good).await.problem(404, "not_found");
        let mixed = ask(&demo, "final", json!({ "subjects": [demo.id("xa-muong-gion"), demo.id("ban-ot-do")] }));
        world.somebody("uy-ban-muong-gion").post(PATH, &mixed).await.problem(404, "not_found");
        world.somebody("unit_reporter").post(PATH, &good).await.problem(403, "forbidden");
        world.nobody().post(PATH, &good).await.problem(401, "unauthenticated");
        world.somebody("commune_committee").post(PATH, &good).await.is(200);
    }
}

fn subjects(answer: &Answer) -> Vec<Uuid> {
    let json = answer.json();
    json["subjects"].as_array().unwrap().iter().map(|s| s["subject"]["id"].as_str().unwrap().parse().unwrap()).collect()
}

/// The answer is canonical, and its hash is over everything but itself.
fn sealed(answer: &Answer) {
    let mut document = answer.json();
    assert_eq!(canonical(&document).unwrap(), answer.text);
    let hash = document["run"].as_object_mut().unwrap().remove("result_hash").unwrap();
    assert_eq!(hash, hex(&sha256(canonical(&document).unwrap().as_bytes())));
}

/// This world's log in another database: leaf by leaf, with the documents that leaves refer to.
async fn copy(world: &World, database: &Database) -> thidua::db::Db {
    use sea_orm::{ConnectionTrait, Statement};
    let copy = database.connect().await;
    let report = thidua::log::rebuild::check(&world.db, &copy, |_| Ok(())).await.unwrap();
    assert_eq!(report.differences, Vec::<String>::new());
    let live = world.db.reader();
    let backend = live.conn().get_database_backend();
    let select = "SELECT sha256, media_type, body, created_at FROM document";
    let rows = live.conn().query_all_raw(Statement::from_string(backend, select)).await.unwrap();
    let raw = database.raw().await;
    for row in rows {
        let text = |name: &str| row.try_get::<String>("", name).unwrap().replace('\'', "''");
        let created_at: i64 = row.try_get("", "created_at").unwrap();
        let (sha256, media_type, body) = (text("sha256"), text("media_type"), text("body"));
        let insert = format!("INSERT INTO document VALUES ('{sha256}', '{media_type}', '{body}', {created_at})");
        raw.execute_unprepared(&insert).await.unwrap();
    }
    raw.close().await.unwrap();
    copy
}
