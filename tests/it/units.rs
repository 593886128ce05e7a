//! Units: registered, amended, succeeded; read as of a day; found by code and name.

use serde_json::json;
use thidua::auth::Role;

use crate::both_engines;

both_engines! {
    async fn a_unit_is_registered_read_amended_and_remembered(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let body = json!({
            "names": [{ "value": "Bản Mới", "from": "2021-01-01" }],
            "kinds": [{ "value": "village", "from": "2021-01-01" }],
            "parents": [{ "value": world.units.commune_a, "from": "2021-01-01", "to": "2025-06-30" }],
            "exists_from": "2021-01-01"
        });
        let made = administrator.create("/v1/units", &body).await.is(201);
        let path = made.header("location").unwrap().to_owned();
        let read = administrator.get(&path).await.is(200);
        assert_eq!(read.etag(), made.etag());
        assert_eq!(read.json()["name"], "Bản Mới");
        assert_eq!(read.json()["allowed_actions"], json!(["amend"]));

        let mut unit = read.json()["history"].clone();
        unit["names"] = json!([
            { "value": "Bản Mới", "from": "2021-01-01", "to": "2023-12-31" },
            { "value": "Bản Mới Hơn", "from": "2024-01-01" }
        ]);
        let amendment = json!({ "unit": unit, "reason": "Đổi tên" });
        let amended = administrator.change(&format!("{path}:amend"), &read.etag(), &amendment).await.is(200);
        assert_eq!(amended.json()["name"], "Bản Mới Hơn");
        assert_eq!(administrator.get(&format!("{path}?as_of=2022-05-05")).await.json()["name"], "Bản Mới");
        let stale = administrator.change(&format!("{path}:amend"), &read.etag(), &amendment).await;
        let stale = stale.problem(412, "precondition_failed");
        let current = administrator.get(&path).await.is(200).etag();
        assert_eq!((stale.etag(), &stale.json()["current_etag"]), (current.clone(), &json!(current)));
        // What is said again changes nothing and is not recorded, whatever reason is given.
        let again = administrator.change(&format!("{path}:amend"), &stale.etag(), &amendment).await;
        let again = again.problem(422, "invalid_value").json();
        assert_eq!(again["errors"], json!([{ "pointer": "/unit", "detail": "không thay đổi gì so với hiện tại" }]));
        unit["fictitious"] = json!(true);
        let amendment = json!({ "unit": unit, "reason": "Đổi tên" });
        administrator.change(&format!("{path}:amend"), &amended.etag(), &amendment).await.is(200);

        let history = administrator.get(&format!("{path}/events")).await.is(200).json();
        let types: Vec<&str> = history["items"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["unit.registered", "unit.amended", "unit.amended"]);
        assert!(history["items"][1]["reason"]["$c"].is_string(), "the reason is committed, not written");
        assert!(!history.to_string().contains("Đổi tên"));
    }

    async fn a_code_that_was_reused_needs_a_date(world: World) {
        let reader = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        let refused = reader.get("/v1/units:resolve?code=03688").await.problem(400, "ambiguous_unit").json();
        let candidate = |id: uuid::Uuid, name: &str, from: &str, to: Option<&str>| {
            json!({ "id": id, "code": "03688", "name": name, "kind": "commune", "from": from, "to": to })
        };
        assert_eq!(refused["candidates"], json!([
            candidate(world.units.commune_a, "Xã Ấ", "2021-01-01", Some("2025-06-30")),
            candidate(world.units.commune_n, "Xã Mới", "2025-07-01", None)
        ]));
        assert_eq!(refused["errors"], json!([{ "pointer": "query/code",
            "detail": "chỉ nhiều đơn vị; hãy nêu ngày bằng `on`" }]));
        let on = |day: &str| format!("/v1/units:resolve?code=03688&on={day}");
        assert_eq!(reader.get(&on("2025-06-30")).await.is(200).id(), world.units.commune_a.to_string());
        assert_eq!(reader.get(&on("2025-07-01")).await.is(200).id(), world.units.commune_n.to_string());
        assert_eq!(reader.get("/v1/units:resolve?code=03682").await.is(200).id(), world.units.commune_b.to_string());
        assert_eq!(reader.get("/v1/units:resolve?name=ban+be").await.is(200).id(), world.units.village_b.to_string());
        // Namesakes are told apart by their days at best; on one day only their ids do.
        let administrator = world.person(Role::Administrator, None).await;
        let namesake = json!({ "names": [{ "value": "Bản Bê", "from": "2024-01-01" }],
            "kinds": [{ "value": "village", "from": "2024-01-01" }], "exists_from": "2024-01-01" });
        let namesake = administrator.create("/v1/units", &namesake).await.is(201).id();
        let refused = reader.get("/v1/units:resolve?name=ban+be&on=2024-05-05").await.problem(400, "ambiguous_unit").json();
        assert_eq!(refused["errors"][0]["pointer"], "query/name");
        let found: Vec<_> = refused["candidates"].as_array().unwrap().iter().map(|c| (&c["id"], &c["name"], &c["code"])).collect();
        let (name, code) = (json!("Bản Bê"), json!(null));
        assert_eq!(found, [(&json!(world.units.village_b), &name, &code), (&json!(namesake), &name, &code)]);
        reader.get("/v1/units:resolve?code=99999").await.problem(404, "not_found");
        reader.get("/v1/units:resolve").await.problem(400, "invalid_query");
    }

    async fn what_is_wrong_with_a_parameter_is_said(world: World) {
        let reader = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        for (path, pointer, detail) in [
            ("/v1/units:resolve?code=03688&on=2024-02-30", "query/on", "ngày này không tồn tại"),
            ("/v1/units?changed_since=2024-01-01T00:00:00Z", "query/changed_since",
                "cần một vị trí trong nhật ký, là số nguyên, không phải thời điểm"),
        ] {
            let refused = reader.get(path).await.problem(400, "invalid_query").json();
            assert_eq!(refused["errors"], json!([{ "pointer": pointer, "detail": detail }]));
        }
    }

    async fn a_succession_ends_its_predecessors_once(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let act = json!({ "kind": "abolish", "effective_on": "2026-01-01",
            "predecessors": [world.units.enterprise], "successors": [], "basis": "Giải thể" });
        let first = administrator.create_as("/v1/successions", "key-1", &act).await.is(201);
        let again = administrator.create_as("/v1/successions", "key-1", &act).await.is(201);
        assert_eq!(first.text, again.text);
        assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
        administrator.get("/v1/successions?bogus=1").await.problem(400, "invalid_query");
        assert!(administrator.get("/v1/successions?limit=1").await.is(200).json()["next_cursor"].is_string());
        let path = first.header("location").unwrap();
        assert_eq!(administrator.get(path).await.is(200).json()["predecessors"], json!([world.units.enterprise]));
        let events = administrator.get(&format!("{path}/events")).await.is(200).json();
        assert_eq!(events["items"][0]["type"], "succession.recorded");
        let unit = administrator.get(&format!("/v1/units/{}", world.units.enterprise)).await.json();
        assert_eq!(unit["history"]["exists_to"], "2025-12-31");
        assert_eq!((&unit["as_of"], &unit["exists"]), (&json!("2025-12-31"), &json!(false)), "shown as it was last");
        assert_eq!(unit["name"], unit["history"]["names"][0]["value"]);
        let later = administrator.get(&format!("/v1/units/{}?as_of=2026-01-01", world.units.enterprise)).await.json();
        assert_eq!((&later["as_of"], &later["exists"]), (&json!("2026-01-01"), &json!(false)));
        let types = administrator.get(&format!("/v1/units/{}/events", world.units.enterprise)).await.json();
        assert_eq!(types["items"].as_array().unwrap().len(), 2, "ended once");
        let merge = json!({ "kind": "merge", "effective_on": "2026-01-01",
            "predecessors": [world.units.village_a], "successors": [world.units.village_b], "basis": "x" });
        administrator.create("/v1/successions", &merge).await.problem(422, "invalid_value");
    }

    async fn lists_page_both_ways_and_filter_as_of_a_day(world: World) {
        let reader = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        let all = reader.get("/v1/units").await.is(200).json();
        assert_eq!(all["items"].as_array().unwrap().len(), 10);
        let names = |page: &serde_json::Value| -> Vec<String> {
            page["items"].as_array().unwrap().iter().map(|unit| unit["id"].as_str().unwrap().to_owned()).collect()
        };
        let first = reader.get("/v1/units?limit=4").await.is(200);
        assert!(first.header("link").unwrap().contains("rel=\"next\""));
        let first = first.json();
        let second = reader.get(&format!("/v1/units?limit=4&cursor={}", first["next_cursor"].as_str().unwrap())).await.json();
        let third = reader.get(&format!("/v1/units?limit=4&cursor={}", second["next_cursor"].as_str().unwrap())).await.json();
        assert_eq!([names(&first), names(&second), names(&third)].concat(), names(&all));
        assert!(third["next_cursor"].is_null() && first["prev_cursor"].is_null());
        let back = reader.get(&format!("/v1/units?limit=4&cursor={}", third["prev_cursor"].as_str().unwrap())).await.json();
        assert_eq!(names(&back), names(&second));
        let other_list = format!("/v1/units?limit=4&kind=village&cursor={}", first["next_cursor"].as_str().unwrap());
        reader.get(&other_list).await.problem(400, "invalid_cursor");

        let communes = |page: serde_json::Value| names(&page).len();
        assert_eq!(communes(reader.get("/v1/units?kind=commune&as_of=2024-01-01").await.json()), 2);
        assert_eq!(communes(reader.get("/v1/units?kind=commune&as_of=2026-01-01").await.json()), 1);
        let within = format!("/v1/units?within={}&as_of=2024-01-01&kind=village", world.units.commune_a);
        assert_eq!(names(&reader.get(&within).await.json()), [world.units.village_a.to_string()]);
        let alone = format!("/v1/units?unit={}", world.units.commune_a);
        assert_eq!(names(&reader.get(&alone).await.json()), [world.units.commune_a.to_string()]);
        for bad in ["limit=0", "limit=201", "limit=x", "unknown=1", "kind=castle", "limit=1&limit=2", "as_of=2021-02-30", "as_of=%2B12345-01-01", "as_of=-0001-01-01"] {
            reader.get(&format!("/v1/units?{bad}")).await.problem(400, "invalid_query");
        }
    }

    async fn a_code_is_borne_by_one_unit_on_one_day(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let coded = |code: &str, from: &str, to: Option<&str>| json!({
            "codes": [{ "value": code, "from": from, "to": to }], "names": [{ "value": "Xã Khác", "from": "2021-01-01" }],
            "kinds": [{ "value": "commune", "from": "2021-01-01" }], "exists_from": "2021-01-01" });
        // Commune A bore it to June 2025, commune N bears it since.
        for (from, to, bearer) in [
            ("2021-01-01", Some("2021-01-01"), world.units.commune_a),
            ("2025-06-30", Some("2025-06-30"), world.units.commune_a),
            ("2025-07-01", None, world.units.commune_n),
        ] {
            let refused = administrator.create("/v1/units", &coded("03688", from, to)).await.problem(409, "already_exists");
            assert_eq!(refused.json()["unit"], json!(bearer), "{from}");
        }
        let made = administrator.create("/v1/units", &coded("03689", "2021-01-01", None)).await.is(201);
        let path = format!("/v1/units/{}:amend", made.id());
        let taken = json!({ "unit": coded("03682", "2021-01-01", None), "reason": "Thử" });
        administrator.change(&path, &made.etag(), &taken).await.problem(409, "already_exists");
        // Commune B's code is free once B has ended: a code that is reused is no code that is shared.
        let free = json!({ "unit": coded("03682", "2025-07-01", None), "reason": "Thử" });
        let amended = administrator.change(&path, &made.etag(), &free).await.is(200);
        let own = json!({ "unit": coded("03682", "2025-08-01", None), "reason": "Thử" });
        administrator.change(&path, &amended.etag(), &own).await.is(200);
    }

    async fn a_parent_exists_while_it_is_one(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let units = world.units;
        let under = |parents: serde_json::Value| json!({ "names": [{ "value": "Bản Mới", "from": "2021-01-01" }],
            "kinds": [{ "value": "village", "from": "2021-01-01" }], "parents": parents, "exists_from": "2021-01-01" });
        let (old, new) = (units.commune_a, units.commune_n);
        let moved = json!([{ "value": old, "from": "2021-01-01", "to": "2025-06-30" }, { "value": new, "from": "2025-07-01" }]);
        for (parents, pointer) in [
            (json!([{ "value": old, "from": "2021-01-01" }]), "/parents/0"),
            (json!([{ "value": old, "from": "2021-01-01", "to": "2025-07-01" }]), "/parents/0"),
            (json!([{ "value": new, "from": "2025-06-30" }]), "/parents/0"),
            (json!([{ "value": old, "from": "2021-01-01", "to": "2025-06-30" }, { "value": uuid::Uuid::nil(), "from": "2025-07-01" }]), "/parents/1"),
        ] {
            let refused = administrator.create("/v1/units", &under(parents)).await.problem(422, "invalid_value");
            assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{}", refused.text);
        }
        let made = administrator.create("/v1/units", &under(moved)).await.is(201);
        let path = format!("/v1/units/{}", made.id());
        let back = json!({ "unit": under(json!([{ "value": old, "from": "2021-01-01" }])), "reason": "Thử" });
        let refused = administrator.change(&format!("{path}:amend"), &made.etag(), &back).await.problem(422, "invalid_value");
        assert_eq!(refused.json()["errors"][0]["pointer"], "/unit/parents/0");
        // Nor is a parent's life cut short above somebody: the district stands under the province to June 2025.
        let province = administrator.get(&format!("/v1/units/{}", units.province)).await.is(200);
        let mut unit = province.json()["history"].clone();
        unit["exists_to"] = json!("2024-12-31");
        let shorter = json!({ "unit": unit, "reason": "Thử" });
        let refused = administrator.change(&format!("/v1/units/{}:amend", units.province), &province.etag(), &shorter).await;
        let refused = refused.problem(422, "invalid_value").json();
        assert_eq!((&refused["errors"][0]["pointer"], refused["units"].as_array().unwrap().contains(&json!(units.district))),
            (&json!("/unit"), true));
    }

    async fn a_parent_is_a_higher_part_of_the_land(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let units = world.units;
        let (first, last, next) = ("2021-01-01", "2025-06-30", "2025-07-01");
        for (kind, parent, from, to, told) in [
            ("province", units.province, first, None, Some("tỉnh không có đơn vị cấp trên")),
            ("province", units.enterprise, first, None, Some("tỉnh không có đơn vị cấp trên")),
            ("district", units.province, first, None, None),
            ("district", units.village_a, first, None, Some("đơn vị cấp trên phải là đơn vị hành chính ở cấp cao hơn")),
            ("district", units.district, first, Some(last), Some("đơn vị cấp trên phải là đơn vị hành chính ở cấp cao hơn")),
            ("commune", units.district, first, Some(last), None),
            ("commune", units.province, next, None, None),
            ("commune", units.enterprise, first, None, Some("đơn vị cấp trên phải là đơn vị hành chính ở cấp cao hơn")),
            ("township", units.commune_a, first, Some(last), Some("đơn vị cấp trên phải là đơn vị hành chính ở cấp cao hơn")),
            ("village", units.commune_n, next, None, None),
            ("village", units.home_affairs, first, None, Some("đơn vị cấp trên phải là đơn vị hành chính ở cấp cao hơn")),
            ("agency", units.village_a, first, None, None),
            ("cooperative", units.enterprise, first, None, None),
        ] {
            let said = |parents: serde_json::Value| json!({ "names": [{ "value": "Đơn vị", "from": first }],
                "kinds": [{ "value": kind, "from": first }], "parents": parents, "exists_from": first });
            let alone = administrator.create("/v1/units", &said(json!([]))).await.is(201);
            let under = said(json!([{ "value": parent, "from": from, "to": to }]));
            let made = administrator.create("/v1/units", &under).await;
            let amendment = json!({ "unit": under, "reason": "Thử" });
            let amended = administrator.change(&format!("/v1/units/{}:amend", alone.id()), &alone.etag(), &amendment).await;
            let Some(told) = told else {
                made.is(201);
                amended.is(200);
                continue;
            };
            for (refused, pointer) in [(made, "/parents/0"), (amended, "/unit/parents/0")] {
                let refused = refused.problem(422, "invalid_value").json();
                assert_eq!(refused["errors"], json!([{ "pointer": pointer, "detail": told }]), "{kind}");
            }
        }
    }

    async fn nobody_sinks_below_whom_they_stand_above(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let path = format!("/v1/units/{}", world.units.commune_n);
        let read = administrator.get(&path).await.is(200);
        let amend = async |kind: &str| {
            let mut unit = read.json()["history"].clone();
            unit["kinds"][0]["value"] = json!(kind);
            administrator.change(&format!("{path}:amend"), &read.etag(), &json!({ "unit": unit, "reason": "Thử" })).await
        };
        let refused = amend("village").await.problem(422, "invalid_value").json();
        assert_eq!(refused["errors"][0]["pointer"], "/unit/kinds");
        assert_eq!(refused["units"], json!([world.units.village_a, world.units.village_b]));
        amend("township").await.is(200);
    }

    async fn an_area_class_is_one_of_its_kind(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        for (kind, class, fits) in [
            ("commune", "I", true), ("township", "III", true), ("commune", "none", true), ("village", "special_village", true),
            ("village", "none", true), ("commune", "special_village", false), ("village", "II", false),
            ("agency", "I", false), ("enterprise", "none", false), ("district", "none", false),
        ] {
            let from = "2021-01-01";
            let unit = json!({ "names": [{ "value": "Mẫu", "from": from }], "kinds": [{ "value": kind, "from": from }],
                "area_classes": [{ "value": class, "from": from }], "exists_from": from });
            let answer = administrator.create("/v1/units", &unit).await;
            if fits {
                answer.is(201);
            } else {
                let refused = answer.problem(422, "invalid_value").json();
                assert_eq!(refused["errors"][0]["pointer"], "/area_classes/0", "{kind} {class}");
            }
        }
    }

    async fn what_is_said_of_a_unit_fits_its_life(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let (first, last) = ("2021-01-01", "2025-12-31");
        let unit = json!({ "names": [{ "value": "Bản Mới", "from": first }],
            "kinds": [{ "value": "village", "from": first }], "exists_from": first, "exists_to": last });
        let made = administrator.create("/v1/units", &unit).await.is(201);
        let path = format!("/v1/units/{}:amend", made.id());
        // Each list of periods, and where it is refused: in a list that covers the life, and in one that may have gaps.
        for (row, (periods, covering, other)) in [
            (vec![("2020-12-31", Some(last))], Some("0/from"), Some("0/from")),
            (vec![(first, Some("2026-01-01"))], Some("0/to"), Some("0/to")),
            (vec![(first, Some(last)), ("2026-01-01", None)], Some("1/from"), Some("1/from")),
            (vec![("2021-01-02", None)], Some("0/from"), None),
            (vec![(first, Some("2025-12-30"))], Some("0/to"), None),
            (vec![(first, Some("2022-12-31")), ("2023-01-02", None)], Some("1/from"), None),
            (vec![(first, Some("2022-12-31")), ("2023-01-01", Some(last))], None, None),
        ].into_iter().enumerate() {
            // No two units bear one code.
            for (list, value) in [("codes", json!(row.to_string())), ("names", json!("Bản")), ("kinds", json!("village")),
                ("parents", json!(world.units.province)), ("area_classes", json!("special_village"))] {
                let mut said = unit.clone();
                said[list] = periods.iter().map(|(from, to)| json!({ "value": value, "from": from, "to": to })).collect();
                let expected = if ["names", "kinds"].contains(&list) { covering } else { other };
                let Some(place) = expected else {
                    administrator.create("/v1/units", &said).await.is(201);
                    continue;
                };
                let refused = administrator.create("/v1/units", &said).await.problem(422, "invalid_value").json();
                assert_eq!(refused["errors"][0]["pointer"], format!("/{list}/{place}"), "{refused}");
                let amendment = json!({ "unit": said, "reason": "Thử" });
                let refused = administrator.change(&path, &made.etag(), &amendment).await.problem(422, "invalid_value").json();
                assert_eq!(refused["errors"][0]["pointer"], format!("/unit/{list}/{place}"), "{refused}");
            }
        }
    }

    async fn a_unit_that_an_act_ended_is_amended_without_ending_its_names(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let path = format!("/v1/units/{}", world.units.enterprise);
        let act = json!({ "kind": "abolish", "effective_on": "2022-01-01",
            "predecessors": [world.units.enterprise], "successors": [], "basis": "Giải thể" });
        administrator.create("/v1/successions", &act).await.is(201);
        let read = administrator.get(&path).await.is(200);
        let mut unit = read.json()["history"].clone();
        unit["names"][0]["value"] = json!("Công ty Khác");
        let amendment = json!({ "unit": unit, "reason": "Thử" });
        administrator.change(&format!("{path}:amend"), &read.etag(), &amendment).await.is(200);
    }
}
