//! The clock is an hour and 400 days off, forth and back, while the service runs and when it starts: positions follow
//! commits, decisions do not change by a byte, and tokens are judged by the clock that is there.

use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::clock::{now, parse_rfc3339};
use thidua::commands::grant;
use thidua::grants::GrantDraft;

use crate::both_engines;
use crate::support::clock::Clock;
use crate::support::program::{CALLER, Program};
use crate::support::{ISSUER, day, signer};

const HOUR: i64 = 3600;
const DAYS_400: i64 = 400 * 24 * HOUR;

fn real_time() -> i64 {
    now() / 1_000_000
}

/// The decision that everything here must leave as it is.
async fn decision(program: &Program, question: &Value) -> String {
    program.post("/v1/recommendations", question).await.unwrap().is(200).text
}

/// Every event from this position on: position, type, record, version, time.
async fn events(program: &Program, after: i64) -> Vec<(i64, String, String, i64, i64)> {
    let page = program.get(&format!("/v1/events?limit=200&after={after}")).await.unwrap().is(200).json();
    assert_eq!(page["caught_up"], true);
    let (text, number) = (|value: &Value| value.as_str().unwrap().to_owned(), |value: &Value| value.as_i64().unwrap());
    let event = |event: &Value| {
        let record = &event["record"];
        let at = parse_rfc3339(event["at"].as_str().unwrap()).unwrap();
        (number(&event["position"]), text(&event["type"]), text(&record["id"]), number(&record["version"]), at)
    };
    page["items"].as_array().unwrap().iter().map(event).collect()
}

both_engines! {
    async fn a_clock_that_is_off_harms_neither_positions_nor_decisions(world: World) {
        let demo = world.demo().await;
        // Long enough ago that the grant holds by every clock.
        let (valid_from, role) = (Some(day("2021-01-01")), Role::Administrator);
        let (issuer, subject) = (ISSUER.to_owned(), CALLER.to_owned());
        let draft = GrantDraft { issuer, subject, label: None, role, unit: None, valid_from, valid_to: None };
        grant::give(&world.db, &draft).await.unwrap();
        let mut program = Program::new(&world.database.url).await;
        let anchor = program.signs();
        let directory = tempfile::tempdir().unwrap();
        let Some(clock) = Clock::of(&mut program, directory.path()) else { return };
        let mut service = program.serve().await;
        let mut question = json!({ "campaign": demo.campaign, "round": "final", "scope": { "unit": demo.id("xa-muong-chien") } });
        let right: Value = serde_json::from_str(&decision(&program, &question).await).unwrap();
        let start = right["run"]["log_position"].as_i64().unwrap();
        question["log_position"] = json!(start);
        let right = decision(&program, &question).await;

        let mut expected = vec![];
        for (n, off) in [HOUR, -HOUR, DAYS_400, -DAYS_400, 0].into_iter().enumerate() {
            for (m, restarted) in [false, true].into_iter().enumerate() {
                clock.off_by(off);
                if restarted {
                    drop(service);
                    service = program.serve().await;
                }
                // A token that is good by the right clock, and lasts a day.
                program.sign_at(real_time());
                let good = if (0..=HOUR).contains(&off) { 200 } else { 401 };
                program.get("/v1/me").await.unwrap().is(good);
                program.sign_at(real_time() + off);
                assert_eq!(decision(&program, &question).await, right, "{off} s off");
                let key = format!("c{n}{m}");
                let made = program.register(&key, &format!("Bản {key}")).await.unwrap().is(201);
                let again = program.register(&key, &format!("Bản {key}")).await.unwrap().is(201);
                assert_eq!(again.text, made.text);
                let renamed = program.rename(&made.id(), &made.etag(), &format!("Bản {key} mới")).await.unwrap().is(200);
                let at = parse_rfc3339(renamed.json()["updated_at"].as_str().unwrap()).unwrap() / 1_000_000;
                assert!((at - real_time() - off).abs() < 60, "the service's clock is {off} s off: {at}");
                for (version, what) in [(1, "unit.registered"), (2, "unit.amended")] {
                    expected.push((start + 1 + i64::try_from(expected.len()).unwrap(), what.to_owned(), made.id(), version));
                }
            }
        }
        let found = events(&program, start).await;
        let times: Vec<i64> = found.iter().map(|event| event.4).collect();
        assert!(!times.is_sorted(), "the clock did jump");
        let found: Vec<_> = found.into_iter().map(|(position, what, id, version, _)| (position, what, id, version)).collect();
        assert_eq!(found, expected, "dense, in the order of commits");
        drop(service);
        crate::faults::sealing::is_sound(&world.db).await;
        assert!(anchor.exists(), "the log was signed");
        assert_eq!(signer(&world.db, &anchor).await.trouble(), None);
        assert_eq!(crate::log::rebuild_of(world).await.differences, Vec::<String>::new());
    }
}
