//! Figures: reported, amended, confirmed by somebody else, corrected; summed over villages and
//! predecessors; seen inside one's subtrees only.

use chrono::Datelike;
use serde_json::{Value, json};
use thidua::auth::Role;
use uuid::Uuid;

use crate::both_engines;
use crate::support::Person;

/// Stands over everybody, on every day.
const PROVINCE: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);

fn figure(unit: Uuid, year: i32, poor: i64, near_poor: Option<i64>) -> Value {
    json!({ "unit": unit, "year": year, "poverty_standard": "2022-2025",
        "counts": { "poor_households": poor, "near_poor_households": near_poor, "decision_number": "15/QĐ-UBND",
            "recognised_by": PROVINCE, "note": "Ghi chú của bà Lò Thị Ở" } })
}

async fn confirmed(reporter: &Person<'_>, officer: &Person<'_>, body: &Value) {
    let made = reporter.create("/v1/figures", body).await.is(201);
    officer.change(&format!("/v1/figures/{}:confirm", made.id()), &made.etag(), &json!({})).await.is(200);
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

both_engines! {
    async fn a_figure_is_reported_amended_confirmed_and_corrected(world: World) {
        let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        let officer = world.person(Role::LabourOffice, Some(world.units.district)).await;
        let made = reporter.create("/v1/figures", &figure(world.units.village_a, 2023, 40, None)).await.is(201);
        assert_eq!(made.json()["allowed_actions"], json!(["amend", "withdraw"]));
        let path = made.header("location").unwrap().to_owned();
        let counts = |poor: i64, near_poor: i64| json!({ "poor_households": poor, "near_poor_households": near_poor,
            "recognised_by": world.units.commune_a, "decision_number": "15/QĐ-UBND" });
        let amended = json!({ "counts": counts(41, 20) });
        let amended = reporter.change(&format!("{path}:amend"), &made.etag(), &amended).await.is(200);
        reporter.change(&format!("{path}:confirm"), &amended.etag(), &json!({})).await.problem(403, "forbidden");
        let seen = officer.get(&path).await.is(200);
        assert_eq!(seen.json()["allowed_actions"], json!(["confirm"]));
        officer.change(&format!("{path}:confirm"), &made.etag(), &json!({})).await.problem(412, "precondition_failed");
        let confirmed = officer.change(&format!("{path}:confirm"), &seen.etag(), &json!({})).await.is(200);
        assert_eq!((&confirmed.json()["state"], &confirmed.json()["allowed_actions"]), (&json!("confirmed"), &json!(["correct"])));

        let locked = json!({ "counts": { "poor_households": 1 } });
        let refused = reporter.change(&format!("{path}:amend"), &confirmed.etag(), &locked).await;
        assert_eq!(refused.problem(409, "invalid_transition").json()["allowed_actions"], json!([]));
        let correction = json!({ "counts": counts(39, 20), "reason": "Rà soát lại" });
        let corrected = officer.change(&format!("{path}:correct"), &confirmed.etag(), &correction).await.is(200);
        assert_eq!(corrected.json()["counts"]["poor_households"], 39);
        assert_eq!(corrected.json()["confirmed_by"], json!(officer.account));
        // Whoever corrects answers for the counts from then on.
        let other = world.person(Role::LabourOffice, Some(world.units.province)).await;
        let correction = json!({ "counts": counts(38, 20), "reason": "Rà soát lại" });
        let again = other.change(&format!("{path}:correct"), &corrected.etag(), &correction).await.is(200);
        assert_eq!(again.json()["confirmed_by"], json!(other.account));

        let history = officer.get(&format!("{path}/events")).await.is(200);
        let events = history.json();
        let types: Vec<&str> = events["items"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["figure.reported", "figure.amended", "figure.confirmed", "figure.corrected", "figure.corrected"]);
        assert_eq!(events["items"][3]["changes"]["poor_households"], json!([41, 39]));
        for outside in ["Lò Thị Ở", "Rà soát lại"] {
            assert!(!history.text.contains(outside), "{outside} stands in an event");
        }
    }

    async fn whoever_reports_cannot_confirm(world: World) {
        let officer = world.person(Role::LabourOffice, Some(world.units.district)).await;
        // The same account is also a reporter.
        let both = thidua::grants::GrantDraft {
            issuer: crate::support::ISSUER.into(),
            subject: format!("labour_office-{}", world.units.district),
            label: None,
            role: Role::UnitReporter,
            unit: Some(world.units.village_a),
            valid_from: None,
            valid_to: None,
        };
        thidua::commands::grant::give(&world.db, &both).await.unwrap();
        let made = officer.create("/v1/figures", &figure(world.units.village_a, 2023, 40, Some(20))).await.is(201);
        assert_eq!(made.json()["allowed_actions"], json!(["amend", "withdraw"]));
        let path = format!("/v1/figures/{}:confirm", made.id());
        officer.change(&path, &made.etag(), &json!({})).await.problem(403, "separation_of_duties");
    }

    async fn what_cannot_be_is_refused_with_a_pointer(world: World) {
        let reporter = world.person(Role::UnitReporter, Some(world.units.district)).await;
        let pointer = |answer: crate::support::http::Answer| answer.json()["errors"][0]["pointer"].as_str().unwrap().to_owned();
        let mut body = figure(world.units.village_a, 2023, -1, None);
        assert_eq!(pointer(reporter.create("/v1/figures", &body).await.problem(422, "invalid_value")), "/counts/poor_households");
        body = figure(world.units.village_a, 1999, 1, None);
        assert_eq!(pointer(reporter.create("/v1/figures", &body).await.problem(422, "invalid_value")), "/year");
        body = figure(world.units.village_a, 2023, 1, None);
        body["counts"] = json!({});
        assert_eq!(pointer(reporter.create("/v1/figures", &body).await.problem(422, "invalid_value")), "/counts");
        body["counts"] = json!({ "poor_households": 1, "decided_on": "2023-02-30" });
        assert_eq!(pointer(reporter.create("/v1/figures", &body).await.problem(400, "wrong_type")), "/counts/decided_on");
        body["counts"] = json!({ "poor_households": 1.5 });
        assert_eq!(pointer(reporter.create("/v1/figures", &body).await.problem(400, "wrong_type")), "/counts/poor_households");
        body = figure(world.units.home_affairs, 2023, 1, None);
        assert_eq!(pointer(reporter.create("/v1/figures", &body).await.problem(422, "invalid_value")), "/unit");
        reporter.create("/v1/figures", &figure(Uuid::nil(), 2023, 1, None)).await.problem(404, "not_found");
        let next_year = thidua::clock::civil_date(thidua::clock::now()).year() + 1;
        for (unit, year, standard, expected) in [
            // Its last day was 30 June, and the count is of the year's end.
            (world.units.commune_a, 2025, "2022-2025", "/unit"),
            (world.units.commune_n, 2024, "2022-2025", "/unit"),
            (world.units.village_a, next_year, &format!("{next_year}-{next_year}"), "/year"),
            (world.units.village_a, 2099, "2022-2025", "/year"),
            (world.units.village_a, 2021, "9999-0000", "/poverty_standard"),
            (world.units.village_a, 2022, "2025-2022", "/poverty_standard"),
            (world.units.village_a, 2016, "2022-2025", "/poverty_standard"),
        ] {
            let mut body = figure(unit, year, 1, None);
            body["poverty_standard"] = json!(standard);
            assert_eq!(pointer(world.person(Role::UnitReporter, Some(world.units.province)).await
                .create("/v1/figures", &body).await.problem(422, "invalid_value")), expected, "{body}");
        }
        for (decided_on, recognised_by) in [
            (json!(null), Uuid::nil()),
            (json!("2023-12-20"), Uuid::nil()),
            // It began in July 2025.
            (json!("2023-12-20"), world.units.commune_n),
            // Neither over these households: the village itself, another commune, an enterprise.
            (json!(null), world.units.village_a),
            (json!(null), world.units.commune_b),
            (json!("2023-12-20"), world.units.enterprise),
        ] {
            body = figure(world.units.village_a, 2023, 1, None);
            body["counts"] = json!({ "poor_households": 1, "recognised_by": recognised_by, "decided_on": decided_on });
            assert_eq!(pointer(reporter.create("/v1/figures", &body).await.problem(422, "invalid_value")), "/counts/recognised_by");
        }
        let once = figure(world.units.village_a, 2023, 1, None);
        let made = reporter.create("/v1/figures", &once).await.is(201);
        reporter.create("/v1/figures", &once).await.problem(409, "already_exists");
        let unknown = json!({ "counts": { "poor_households": 1, "recognised_by": Uuid::nil() } });
        let path = format!("/v1/figures/{}:amend", made.id());
        let refused = reporter.change(&path, &made.etag(), &unknown).await.problem(422, "invalid_value");
        assert_eq!(pointer(refused), "/counts/recognised_by");
        let known = json!({ "counts": { "poor_households": 1, "recognised_by": world.units.commune_a, "decided_on": "2023-12-20" } });
        reporter.change(&path, &made.etag(), &known).await.is(200);
    }

    async fn figures_are_seen_inside_one_s_subtrees_and_by_succession(world: World) {
        let units = world.units;
        let reporter = world.person(Role::UnitReporter, Some(units.district)).await;
        let a = reporter.create("/v1/figures", &figure(units.village_a, 2023, 40, Some(20))).await.is(201).id();
        let b = reporter.create("/v1/figures", &figure(units.village_b, 2023, 30, Some(10))).await.is(201).id();
        for (unit, sees) in [
            (units.village_a, vec![&a]),
            (units.commune_a, vec![&a]),
            (units.commune_b, vec![&b]),
            (units.commune_n, vec![&a, &b]),
            (units.province, vec![&a, &b]),
            (units.front, vec![]),
        ] {
            let committee = world.person(Role::CommuneCommittee, Some(unit)).await;
            assert_eq!(ids(&committee.get("/v1/figures").await.is(200).json()), sees, "{unit}");
            for id in [&a, &b] {
                let expected = if sees.contains(&id) { 200 } else { 404 };
                committee.get(&format!("/v1/figures/{id}")).await.is(expected);
                committee.get(&format!("/v1/figures/{id}/events")).await.is(expected);
            }
        }
        let auditor = world.person(Role::Auditor, None).await;
        assert_eq!(ids(&auditor.get("/v1/figures").await.json()), [&a, &b]);
        assert_eq!(ids(&auditor.get(&format!("/v1/figures?unit={}", units.village_b)).await.json()), [&b]);
        for (covering, found) in [(units.commune_a, vec![&a]), (units.commune_n, vec![&a, &b]), (units.front, vec![])] {
            assert_eq!(ids(&auditor.get(&format!("/v1/figures?within={covering}")).await.json()), found);
        }
        let stranger = world.person(Role::CommuneCommittee, Some(units.commune_b)).await;
        let path = format!("/v1/figures?within={}", units.commune_a);
        assert_eq!(ids(&stranger.get(&path).await.is(200).json()), Vec::<&str>::new(), "a filter widens nothing");
        assert_eq!(ids(&auditor.get("/v1/figures?year=2022").await.json()), Vec::<&str>::new());
        assert_eq!(ids(&auditor.get("/v1/figures?state=confirmed").await.json()), Vec::<&str>::new());
        crate::support::campaign::load(world).await;
        let of_round = |round: &str| format!("/v1/figures?campaign={}&round={round}", crate::support::campaign::CAMPAIGN);
        let early = reporter.create("/v1/figures", &figure(units.village_a, 2024, 35, None)).await.is(201).id();
        assert_eq!(ids(&auditor.get(&of_round("mid")).await.is(200).json()), [&a, &b]);
        assert_eq!(ids(&auditor.get(&of_round("final")).await.is(200).json()), [&a, &b, &early]);
        auditor.get("/v1/figures?round=mid").await.problem(400, "invalid_query");
        // What changed since a position: the second figure only.
        let events = auditor.get("/v1/events?type=figure.reported").await.json();
        let second = events["items"][1]["position"].as_i64().unwrap();
        assert_eq!(ids(&auditor.get(&format!("/v1/figures?changed_since={second}")).await.json()), [&b, &early]);
    }

    async fn a_successor_sums_its_predecessors_and_a_commune_is_compared_with_its_villages(world: World) {
        let units = world.units;
        let reporter = world.person(Role::UnitReporter, Some(units.province)).await;
        let officer = world.person(Role::LabourOffice, Some(units.province)).await;
        confirmed(&reporter, &officer, &figure(units.village_a, 2021, 40, Some(20))).await;
        confirmed(&reporter, &officer, &figure(units.commune_b, 2021, 30, Some(10))).await;
        let total = async |unit: Uuid, year: i32| {
            let path = format!("/v1/figures:total?unit={unit}&year={year}&poverty_standard=2022-2025");
            officer.get(&path).await.is(200).json()
        };
        let of_n = total(units.commune_n, 2021).await;
        assert_eq!(of_n["poor_households"]["households"], 70, "village A's and commune B's: {of_n}");
        assert_eq!(of_n["near_poor_households"]["basis"].as_array().unwrap().len(), 2);
        assert_eq!(total(units.commune_n, 2022).await["poor_households"]["status"], "missing");
        confirmed(&reporter, &officer, &figure(units.commune_a, 2021, 41, Some(20))).await;
        let of_a = total(units.commune_a, 2021).await;
        assert_eq!(of_a["poor_households"]["status"], "disputed");
        assert_eq!((&of_a["poor_households"]["own"], &of_a["poor_households"]["villages"]), (&json!(41), &json!(40)));
        assert_eq!(of_a["near_poor_households"]["households"], 20);
        assert_eq!(total(units.commune_n, 2021).await["poor_households"]["status"], "disputed");
        let outsider = world.person(Role::UnitReporter, Some(units.village_b)).await;
        outsider.get(&format!("/v1/figures:total?unit={}&year=2021&poverty_standard=2022-2025", units.commune_a)).await.problem(404, "not_found");
    }

    async fn a_figure_is_withdrawn_before_it_is_confirmed_and_makes_room(world: World) {
        let units = world.units;
        let reporter = world.person(Role::UnitReporter, Some(units.village_a)).await;
        let officer = world.person(Role::LabourOffice, Some(units.district)).await;
        let wrong = reporter.create("/v1/figures", &figure(units.village_a, 2023, 400, None)).await.is(201);
        let path = format!("/v1/figures/{}", wrong.id());
        let reason = json!({ "reason": "Nhầm năm, theo lời bà Lò Thị Ở" });
        officer.change(&format!("{path}:withdraw"), &wrong.etag(), &reason).await.problem(403, "forbidden");
        reporter.change(&format!("{path}:withdraw"), &wrong.etag(), &json!({ "reason": "" })).await.problem(422, "invalid_value");
        let withdrawn = reporter.change(&format!("{path}:withdraw"), &wrong.etag(), &reason).await.is(200);
        assert_eq!((&withdrawn.json()["state"], &withdrawn.json()["allowed_actions"]), (&json!("withdrawn"), &json!([])));
        reporter.change(&format!("{path}:withdraw"), &withdrawn.etag(), &reason).await.problem(409, "invalid_transition");
        officer.change(&format!("{path}:confirm"), &withdrawn.etag(), &json!({})).await.problem(409, "invalid_transition");

        let right = reporter.create("/v1/figures", &figure(units.village_a, 2023, 40, None)).await.is(201);
        reporter.create("/v1/figures", &figure(units.village_a, 2023, 41, None)).await.problem(409, "already_exists");
        // And a second one may be withdrawn beside the first.
        reporter.change(&format!("/v1/figures/{}:withdraw", right.id()), &right.etag(), &reason).await.is(200);
        let right = reporter.create("/v1/figures", &figure(units.village_a, 2023, 40, None)).await.is(201);
        let confirmed = officer.change(&format!("/v1/figures/{}:confirm", right.id()), &right.etag(), &json!({})).await.is(200);
        reporter.change(&format!("/v1/figures/{}:withdraw", right.id()), &confirmed.etag(), &reason).await.problem(409, "invalid_transition");
        let total = format!("/v1/figures:total?unit={}&year=2023&poverty_standard=2022-2025", units.village_a);
        assert_eq!(reporter.get(&total).await.is(200).json()["poor_households"]["households"], 40);
        assert_eq!(ids(&reporter.get("/v1/figures?state=withdrawn").await.is(200).json()).len(), 2);

        let history = reporter.get(&format!("{path}/events")).await.is(200);
        assert_eq!(history.json()["items"][1]["type"], "figure.withdrawn");
        assert!(!history.text.contains("Lò Thị Ở"), "the reason stands in an event");
        assert_eq!(crate::log::rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn two_figures_of_one_year_never_stand_beside_each_other_however_fast(world: World) {
        let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        let body = figure(world.units.village_a, 2023, 40, None);
        let made = futures_util::future::join_all((0..6).map(|_| reporter.create("/v1/figures", &body))).await;
        let mut codes: Vec<u16> = made.iter().map(|answer| answer.status).collect();
        codes.sort_unstable();
        assert_eq!(codes, [201, 409, 409, 409, 409, 409]);
    }

    async fn nothing_is_confirmed_that_nobody_recognised(world: World) {
        let commune = world.units.commune_a;
        let reporter = world.person(Role::UnitReporter, Some(commune)).await;
        let officer = world.person(Role::LabourOffice, Some(world.units.district)).await;
        let body = json!({ "unit": commune, "year": 2023, "poverty_standard": "2022-2025", "counts": { "poor_households": 5 } });
        let mut made = reporter.create("/v1/figures", &body).await.is(201);
        let path = made.header("location").unwrap().to_owned();
        assert_eq!(officer.get(&path).await.json()["allowed_actions"], json!([]), "nothing to confirm yet");
        let pointers = |refused: crate::support::Answer| -> Vec<String> {
            let errors = refused.problem(422, "invalid_value").json()["errors"].clone();
            errors.as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
        };
        let (by, number) = ("/counts/recognised_by", "/counts/decision_number");
        for (counts, missing) in [
            (json!({ "poor_households": 6 }), &[by, number][..]),
            (json!({ "poor_households": 6, "recognised_by": commune }), &[number]),
            (json!({ "poor_households": 6, "decision_number": "15/QĐ-UBND" }), &[by]),
            (json!({ "poor_households": 6, "recognised_by": commune, "decision_number": "15/QĐ-UBND" }), &[]),
        ] {
            made = reporter.change(&format!("{path}:amend"), &made.etag(), &json!({ "counts": counts })).await.is(200);
            let confirmed = officer.change(&format!("{path}:confirm"), &made.etag(), &json!({})).await;
            if missing.is_empty() {
                made = confirmed.is(200);
            } else {
                assert_eq!(pointers(confirmed), missing, "{counts}");
            }
        }
        let correction = json!({ "counts": { "poor_households": 7 }, "reason": "Rà soát lại" });
        assert_eq!(pointers(officer.change(&format!("{path}:correct"), &made.etag(), &correction).await), [by, number]);
        assert_eq!(officer.get(&path).await.is(200).json()["counts"]["poor_households"], 6);
    }

    async fn the_count_before_the_campaign_is_the_unit_s_own(world: World) {
        let units = world.units;
        let reporter = world.person(Role::UnitReporter, Some(units.province)).await;
        let officer = world.person(Role::LabourOffice, Some(units.province)).await;
        // The units of the world are known since 2021 and follow nobody: their lists at the end of 2020 are the base.
        for unit in [units.village_a, units.commune_a] {
            let mut body = figure(unit, 2020, 60, Some(5));
            body["poverty_standard"] = json!("2016-2020");
            confirmed(&reporter, &officer, &body).await;
            let path = format!("/v1/figures:total?unit={unit}&year=2020&poverty_standard=2016-2020");
            let total = officer.get(&path).await.is(200).json();
            assert_eq!((&total["poor_households"]["status"], &total["poor_households"]["households"]), (&json!("known"), &json!(60)));
        }
        let auditor = world.person(Role::Auditor, None).await;
        let nobody = format!("/v1/figures:total?unit={}&year=2021&poverty_standard=2022-2025", Uuid::nil());
        auditor.get(&nobody).await.problem(404, "not_found");
    }

    async fn a_figure_for_a_year_before_its_unit_replaces_nothing(world: World) {
        use thidua::figures::{Counts, FigureDraft, store};
        let units = world.units;
        let reporter = world.person(Role::UnitReporter, Some(units.province)).await;
        let officer = world.person(Role::LabourOffice, Some(units.province)).await;
        confirmed(&reporter, &officer, &figure(units.village_a, 2021, 40, Some(20))).await;
        // A log from before this was refused may hold one.
        let early = FigureDraft {
            unit: units.commune_n,
            year: 2021,
            poverty_standard: "2022-2025".into(),
            counts: Counts {
                poor_households: Some(999),
                near_poor_households: Some(20),
                recognised_by: None,
                decision_number: None,
                decided_on: None,
                note: None,
            },
        };
        world.db.record(&thidua::commands::grant::console(), async |tx: &thidua::db::WriteTx<'_>| {
            let reported = store::report(tx, &early).await?;
            Ok(thidua::db::Outcome::Changed(store::confirm(tx, &reported).await?))
        }).await.unwrap();
        let total = async || {
            let path = format!("/v1/figures:total?unit={}&year=2021&poverty_standard=2022-2025", units.commune_n);
            officer.get(&path).await.is(200).json()
        };
        let before = total().await;
        assert_eq!(before["poor_households"]["status"], "missing", "commune B is: {before}");
        confirmed(&reporter, &officer, &figure(units.commune_b, 2021, 15, None)).await;
        let poor = total().await["poor_households"].clone();
        assert_eq!((&poor["status"], &poor["own"], &poor["predecessors"], &poor["villages"]),
            (&json!("disputed"), &json!(999), &json!(55), &json!(null)));
        assert_eq!(poor["basis"].as_array().unwrap().len(), 3, "{poor}");
    }

    async fn a_village_that_has_more_than_its_commune_disputes_it_alone(world: World) {
        let units = world.units;
        let administrator = world.person(Role::Administrator, None).await;
        let other = json!({ "names": [{ "value": "Bản Khác", "from": "2021-01-01" }],
            "kinds": [{ "value": "village", "from": "2021-01-01" }], "exists_from": "2021-01-01",
            "parents": [{ "value": units.commune_a, "from": "2021-01-01", "to": "2025-06-30" }] });
        administrator.create("/v1/units", &other).await.is(201);
        let reporter = world.person(Role::UnitReporter, Some(units.district)).await;
        let officer = world.person(Role::LabourOffice, Some(units.district)).await;
        confirmed(&reporter, &officer, &figure(units.village_a, 2021, 50, Some(5))).await;
        confirmed(&reporter, &officer, &figure(units.commune_a, 2021, 12, Some(12))).await;
        let path = format!("/v1/figures:total?unit={}&year=2021&poverty_standard=2022-2025", units.commune_a);
        let total = officer.get(&path).await.is(200).json();
        let poor = &total["poor_households"];
        assert_eq!((&poor["status"], &poor["own"], &poor["villages"]), (&json!("disputed"), &json!(12), &json!(50)));
        assert_eq!(total["near_poor_households"]["households"], 12, "five of twelve are known: no contradiction");
    }
}
