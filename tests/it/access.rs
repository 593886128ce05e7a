//! Who may do what: tokens, grants, and the edge of the service.

use serde_json::json;
use thidua::auth::Role;

use crate::both_engines;
use crate::support::ISSUER;
use crate::support::http::send;

both_engines! {
    async fn without_a_token_without_an_account_and_without_the_right_grant(world: World) {
        world.nobody().get("/v1/me").await.problem(401, "unauthenticated");
        let mut stranger = world.nobody();
        stranger.token = Some(world.token("nobody-knows-me"));
        stranger.get("/v1/me").await.problem(403, "forbidden");
        stranger.token = Some("garbage".into());
        stranger.get("/v1/me").await.problem(401, "unauthenticated");
        let twice = stranger.request("GET", "/v1/me").header("Authorization", "Bearer x");
        send(twice).await.problem(400, "invalid_header");
        let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        reporter.get("/v1/grants").await.problem(403, "forbidden");
        let me = reporter.get("/v1/me").await.is(200).json();
        assert_eq!(me["grants"], json!([{ "role": "unit_reporter", "unit": world.units.village_a }]));
        assert_eq!(me["account"], json!(reporter.account));
    }

    async fn rights_come_before_everything_else_in_a_request(world: World) {
        let nobody = world.nobody();
        nobody.post("/v1/units", &json!({ "castle": true })).await.problem(401, "unauthenticated");
        let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        reporter.post("/v1/units", &json!({ "castle": true })).await.problem(403, "forbidden");
        let broken = reporter.request("POST", "/v1/units").header("content-type", "text/plain").body("{");
        send(broken).await.problem(403, "forbidden");
    }

    async fn a_grant_takes_effect_at_once_and_ends_at_once(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let mut friend = world.nobody();
        friend.token = Some(world.token("friend"));
        friend.get("/v1/me").await.problem(403, "forbidden");
        let body = json!({ "issuer": ISSUER, "subject": "friend", "label": "Đặng Thị Hường",
            "role": "unit_reporter", "unit": world.units.village_a });
        let given = administrator.create("/v1/grants", &body).await.is(201);
        friend.get("/v1/me").await.is(200);
        let path = given.header("location").unwrap().to_owned();
        let end = json!({ "reason": "Chuyển công tác" });
        send(administrator.request("POST", &format!("{path}:end")).json(&end)).await.problem(428, "precondition_required");
        let ended = administrator.change(&format!("{path}:end"), &given.etag(), &end).await.is(200);
        assert_eq!((&ended.json()["allowed_actions"], &ended.json()["end_reason"]), (&json!([]), &end["reason"]));
        assert!(friend.get("/v1/me").await.json()["grants"].is_null(), "a 403 problem");
        administrator.change(&format!("{path}:end"), &ended.etag(), &end).await.problem(409, "invalid_transition");

        let events = administrator.get("/v1/events?limit=200").await.is(200).text;
        for personal in ["friend", "Đặng Thị Hường", "Chuyển công tác"] {
            assert!(!events.contains(personal), "{personal} stands in an event");
        }
    }

    async fn grants_and_accounts_are_found_by_unit_and_by_how_they_stand(world: World) {
        let units = world.units;
        let administrator = world.person(Role::Administrator, None).await;
        let give = async |subject: &str, unit: uuid::Uuid, days: serde_json::Value| {
            let mut body = json!({ "issuer": ISSUER, "subject": subject, "role": "unit_reporter", "unit": unit });
            body.as_object_mut().unwrap().extend(days.as_object().unwrap().clone());
            administrator.create("/v1/grants", &body).await.is(201).json()
        };
        let valid = give("a", units.village_a, json!({})).await;
        let upcoming = give("b", units.village_a, json!({ "valid_from": "2999-01-01" })).await;
        let ended = give("c", units.village_b, json!({ "valid_from": "2024-01-01", "valid_to": "2024-12-31" })).await;
        for (grant, state) in [(&valid, "valid"), (&upcoming, "upcoming"), (&ended, "ended")] {
            assert_eq!(grant["state"], state);
        }
        let found = async |path: String, field: &str| {
            let page = administrator.get(&path).await.is(200).json();
            page["items"].as_array().unwrap().iter().map(|item| item[field].clone()).collect::<Vec<_>>()
        };
        let reporters = "/v1/grants?role=unit_reporter";
        for (query, expected) in [
            (String::new(), vec![&valid, &upcoming, &ended]),
            (format!("&unit={}", units.village_a), vec![&valid, &upcoming]),
            (format!("&within={}", units.commune_n), vec![&valid, &upcoming, &ended]),
            (format!("&within={}", units.front), vec![]),
            ("&state=valid".to_owned(), vec![&valid]),
            ("&state=upcoming".to_owned(), vec![&upcoming]),
            (format!("&state=ended&unit={}", units.village_b), vec![&ended]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|grant| grant["id"].clone()).collect();
            assert_eq!(found(format!("{reporters}{query}"), "id").await, expected, "{query}");
        }
        for (query, expected) in [
            (format!("unit={}", units.village_a), vec![&valid]),
            (format!("within={}&state=active", units.commune_n), vec![&valid]),
            (format!("unit={}", units.village_b), vec![]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|grant| grant["account"].clone()).collect();
            assert_eq!(found(format!("/v1/accounts?{query}"), "id").await, expected, "{query}");
        }
    }

    async fn a_role_below_everything_needs_a_unit_that_exists(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let grant = |role: &str, unit: serde_json::Value| json!({ "issuer": ISSUER, "subject": "s", "role": role, "unit": unit });
        let refused = administrator.create("/v1/grants", &grant("unit_reporter", json!(null))).await;
        assert_eq!(refused.problem(422, "invalid_value").json()["errors"][0]["pointer"], "/unit");
        administrator.create("/v1/grants", &grant("unit_reporter", json!(uuid::Uuid::nil()))).await.problem(422, "invalid_value");
        administrator.create("/v1/grants", &grant("king", json!(null))).await.problem(400, "wrong_type");
    }

    async fn an_issuer_is_an_address_and_nothing_that_names_a_person(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let grant = |issuer: &str| json!({ "issuer": issuer, "subject": "s", "role": "auditor" });
        for issuer in ["Nguyễn Thị Hoa 0912345678", "http://idp.example.vn", "https://hoa@idp.example.vn",
            "https://idp.example.vn?hoa", "https://idp.example.vn/nguyen thi hoa"] {
            let refused = administrator.create("/v1/grants", &grant(issuer)).await.problem(422, "invalid_value");
            assert_eq!(refused.json()["errors"][0]["pointer"], "/issuer", "{issuer}");
        }
        let events = administrator.get("/v1/events?limit=200").await.is(200).text;
        assert!(!events.contains("0912345678"), "{events}");
        for issuer in ["https://idp.example.vn/realms/thidua", "http://localhost:8080"] {
            administrator.create("/v1/grants", &grant(issuer)).await.is(201);
        }
    }

    async fn an_end_prolongs_nothing(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let body = json!({ "issuer": ISSUER, "subject": "s", "role": "auditor", "valid_from": "2024-01-01", "valid_to": "2998-12-31" });
        let given = administrator.create("/v1/grants", &body).await.is(201);
        let path = format!("{}:end", given.header("location").unwrap());
        let end = |day: &str| json!({ "reason": "Chuyển công tác", "last_day": day });
        let refused = administrator.change(&path, &given.etag(), &end("2999-12-31")).await;
        assert_eq!(refused.problem(422, "invalid_value").json()["errors"][0]["pointer"], "/last_day");
        let ended = administrator.change(&path, &given.etag(), &end("2997-12-31")).await.is(200);
        assert_eq!((&ended.json()["valid_to"], &ended.json()["state"]), (&json!("2997-12-31"), &json!("valid")));
        let again = administrator.change(&path, &ended.etag(), &end("2998-12-31")).await.problem(422, "invalid_value");
        assert_eq!(again.json()["errors"][0]["pointer"], "/last_day");
        administrator.change(&path, &ended.etag(), &json!({ "reason": "Thôi việc" })).await.is(200);
    }

    async fn a_grant_that_is_held_is_not_given_twice(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let (village, commune) = (world.units.village_a, world.units.commune_n);
        let grant = |role: &str, unit: uuid::Uuid, from: &str, to: serde_json::Value| json!({ "issuer": ISSUER,
            "subject": "s", "role": role, "unit": unit, "valid_from": from, "valid_to": to });
        let first = administrator.create("/v1/grants", &grant("unit_head", village, "2024-01-01", json!("2998-12-31"))).await.is(201);
        for (from, to) in [("2024-01-01", json!("2998-12-31")), ("2024-05-01", json!(null)), ("2998-12-31", json!(null))] {
            let refused = administrator.create("/v1/grants", &grant("unit_head", village, from, to)).await;
            assert_eq!(refused.problem(409, "already_exists").json()["grant"], json!(first.id()), "{from}");
        }
        // Another role, another unit, other days.
        for (role, unit, from, to) in [
            ("unit_reporter", village, "2024-01-01", json!(null)),
            ("unit_head", commune, "2024-01-01", json!(null)),
            ("unit_head", village, "2023-01-01", json!("2023-12-31")),
            ("unit_head", village, "2999-01-01", json!(null)),
        ] {
            administrator.create("/v1/grants", &grant(role, unit, from, to)).await.is(201);
        }
        let everywhere = json!({ "issuer": ISSUER, "subject": "s", "role": "auditor" });
        let auditor = administrator.create("/v1/grants", &everywhere).await.is(201);
        administrator.create("/v1/grants", &everywhere).await.problem(409, "already_exists");
        let path = format!("{}:end", auditor.header("location").unwrap());
        administrator.change(&path, &auditor.etag(), &json!({ "reason": "Nghỉ" })).await.is(200);
        administrator.create("/v1/grants", &everywhere).await.is(201);
    }

    async fn the_edge_answers_every_failure_as_a_problem_in_the_caller_s_language(world: World) {
        let someone = world.person(Role::Administrator, None).await;
        let missing = someone.get("/nowhere").await.problem(404, "not_found");
        assert_eq!(missing.json()["title"], "Không tìm thấy");
        assert_eq!(missing.header("content-language"), Some("vi"));
        let english = send(someone.request("GET", "/nowhere").header("Accept-Language", "en")).await;
        assert_eq!(english.json()["title"], "Not found");
        let wrong = send(someone.request("DELETE", "/v1/units")).await.problem(405, "method_not_allowed");
        assert_eq!(wrong.header("allow"), Some("GET, HEAD, POST"));
        let traced = someone.request("GET", "/nowhere").header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        assert_eq!(send(traced).await.json()["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        someone.get("/v1/units/not-an-id").await.problem(404, "not_found");
        let plain = someone.request("POST", "/v1/units").header("Idempotency-Key", "k").body("x");
        send(plain).await.problem(415, "unsupported_media_type");
        let broken = someone.request("POST", "/v1/units").header("Idempotency-Key", "k").header("content-type", "application/json");
        send(broken.body("{")).await.problem(400, "malformed_body");
        someone.post("/v1/units", &json!({})).await.problem(400, "idempotency_key_required");
        let huge = json!({ "reason": "x".repeat(300_000) });
        someone.create("/v1/units", &huge).await.problem(413, "body_too_large");
        someone.create("/v1/units", &json!({ "castle": true })).await.problem(400, "unknown_member");
    }

    async fn a_key_belongs_to_one_payload_of_one_caller(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let unit = |name: &str| json!({ "names": [{ "value": name, "from": "2021-01-01" }],
            "kinds": [{ "value": "village", "from": "2021-01-01" }], "exists_from": "2021-01-01" });
        let first = administrator.create_as("/v1/units", "k", &unit("Bản Một")).await.is(201);
        let same = administrator.create_as("/v1/units", "\"k\"", &unit("Bản Một")).await.is(201);
        assert_eq!(first.id(), same.id());
        administrator.create_as("/v1/units", "k", &unit("Bản Hai")).await.problem(422, "idempotency_key_reused");
        // A refused request leaves its key free.
        administrator.create_as("/v1/units", "k2", &unit(" ")).await.problem(422, "invalid_value");
        administrator.create_as("/v1/units", "k2", &unit("Bản Hai")).await.is(201);
        administrator.create_as("/v1/units", "a key", &unit("Bản Ba")).await.problem(400, "invalid_header");
    }

    async fn the_same_key_at_the_same_time_has_one_effect(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let body = json!({ "names": [{ "value": "Bản Song Song", "from": "2021-01-01" }],
            "kinds": [{ "value": "village", "from": "2021-01-01" }], "exists_from": "2021-01-01" });
        let calls = (0..12).map(|_| administrator.create_as("/v1/units", "same", &body));
        let answers = futures_util::future::join_all(calls).await;
        let mut ids: Vec<String> = answers.iter().filter(|a| a.status == 201).map(|a| a.id()).collect();
        ids.dedup();
        assert_eq!(ids.len(), 1, "one record");
        for answer in answers.iter().filter(|answer| answer.status != 201) {
            answer.clone().problem(409, "idempotency_in_flight");
        }
    }

    async fn a_read_that_changed_nothing_costs_nothing(world: World) {
        let someone = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        let path = format!("/v1/units/{}", world.units.village_a);
        let etag = someone.get(&path).await.is(200).etag();
        let again = send(someone.request("GET", &path).header("If-None-Match", &etag)).await.is(304);
        assert!(again.text.is_empty());
        send(someone.request("GET", &path).header("If-None-Match", "\"1.x\"")).await.is(200);
        send(someone.request("GET", &path).header("If-None-Match", "*")).await.is(304);
        let many = format!("\"1.x\", {etag}, {}", "\"1.y\", ".repeat(200));
        send(someone.request("GET", &path).header("If-None-Match", &many[..1000])).await.is(304);
        send(someone.request("GET", &path).header("If-None-Match", &many[..1001])).await.is(400);
    }

    async fn health_needs_no_token_and_metrics_do(world: World) {
        world.nobody().get("/livez").await.is(200);
        assert_eq!(world.nobody().get("/readyz").await.is(200).json()["status"], "ok");
        world.nobody().get("/metrics").await.problem(401, "unauthenticated");
        let auditor = world.person(Role::Auditor, None).await;
        assert!(auditor.get("/metrics").await.is(200).text.contains("thidua_http_requests_total"));
        let docs = world.nobody().get("/docs").await.is(200);
        assert!(docs.header("content-security-policy").unwrap().contains("default-src 'self'"));
        assert!(!docs.text.contains("https://"), "the page loads nothing from outside");
        world.nobody().get("/docs/assets/swagger-ui-bundle.js").await.is(200);
        assert_eq!(world.nobody().get("/openapi.json").await.is(200).json()["openapi"], "3.1.0");
    }
}
