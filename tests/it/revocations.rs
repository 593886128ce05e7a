//! Revocations over HTTP: a token, a session, what an account was given so far.

use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::auth::sign::Claims;
use thidua::clock::{now, parse_rfc3339, rfc3339};
use uuid::Uuid;

use crate::both_engines;
use crate::log::rebuild_of;
use crate::support::{AUDIENCE, ISSUER, Person, World};

/// What a token of this person says; issued `ago` seconds ago.
fn claims(person: &str, jti: &str, sid: Option<&str>, ago: i64) -> Claims {
    let iat = now() / 1_000_000 - ago;
    let (iss, aud, sub) = (ISSUER.into(), AUDIENCE.into(), person.into());
    Claims { iss, aud, sub, iat, exp: iat + 600, jti: jti.into(), sid: sid.map(Into::into) }
}

/// Somebody with this token.
fn with<'a>(world: &'a World, claims: &Claims) -> Person<'a> {
    let token = world.signer().key.sign(claims).unwrap();
    Person { world, account: Uuid::nil(), token: Some(token) }
}

/// The person of `world.person(Role::Auditor, None)`.
const AUDITOR: &str = "auditor-";

fn because(draft: Value) -> Value {
    let mut draft = draft;
    draft["reason"] = json!("Mất máy tính của Đặng Thị Hường");
    draft
}

both_engines! {
    async fn a_token_is_refused_from_the_next_request_on_and_no_other_is(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        world.person(Role::Auditor, None).await;
        let stolen = with(world, &claims(AUDITOR, "t-1", Some("s-1"), 60));
        let other = with(world, &claims(AUDITOR, "t-2", Some("s-1"), 60));
        stolen.get("/v1/me").await.is(200);
        let made = administrator.create("/v1/revocations", &because(json!({ "jti": "t-1" }))).await.is(201);
        let refused = stolen.get("/v1/me").await.problem(401, "unauthenticated");
        let garbage = world.nobody().get("/v1/me").await.json();
        assert_eq!(refused.json()["title"], garbage["title"], "the caller learns no more than of any bad token");
        other.get("/v1/me").await.is(200);
        let made = made.json();
        let (begun, end) = (made["created_at"].as_str().unwrap(), made["expires_at"].as_str().unwrap());
        // 900 s of life, and five seconds of difference between the clocks at either end.
        assert_eq!(parse_rfc3339(end).unwrap() - parse_rfc3339(begun).unwrap(), 910_000_000);
        assert_eq!((&made["state"], &made["sid"]), (&json!("active"), &json!(null)));
        // Whoever nobody knows, too.
        let stranger = with(world, &claims("nobody-knows-me", "t-1", None, 60));
        stranger.get("/v1/me").await.problem(401, "unauthenticated");
        with(world, &claims("nobody-knows-me", "t-3", None, 60)).get("/v1/me").await.problem(403, "forbidden");
    }

    async fn a_session_ends_with_all_its_tokens_past_and_future(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        world.person(Role::Auditor, None).await;
        let session = |jti: &str, sid: &str| with(world, &claims(AUDITOR, jti, Some(sid), 0));
        let before = session("t-1", "phie\u{302}n 1");
        before.get("/v1/me").await.is(200);
        let made = administrator.create("/v1/revocations", &because(json!({ "sid": "phiên 1" }))).await.is(201).json();
        assert_eq!(made["expires_at"], json!(null), "the issuer may go on giving it tokens");
        before.get("/v1/me").await.problem(401, "unauthenticated");
        session("t-2", "phiên 1").get("/v1/me").await.problem(401, "unauthenticated");
        session("t-1", "phiên 2").get("/v1/me").await.is(200);
        // A name of a session is not one of a token.
        with(world, &claims(AUDITOR, "phiên 1", None, 0)).get("/v1/me").await.is(200);
    }

    async fn an_account_loses_what_it_was_given_so_far_and_may_come_again(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let auditor = world.person(Role::Auditor, None).await;
        let issued = |ago| with(world, &claims(AUDITOR, "t", None, ago));
        let minute = rfc3339(now() - 60_000_000);
        let draft = because(json!({ "account": auditor.account, "issued_before": minute }));
        administrator.create("/v1/revocations", &draft).await.is(201);
        issued(120).get("/v1/me").await.problem(401, "unauthenticated");
        issued(30).get("/v1/me").await.is(200);
        administrator.get("/v1/me").await.is(200);
        let made = administrator.create("/v1/revocations", &because(json!({ "account": auditor.account }))).await;
        let made = made.is(201).json();
        issued(0).get("/v1/me").await.problem(401, "unauthenticated");
        administrator.get("/v1/me").await.is(200);
        // An issuer's clock may be five seconds ahead; what it gives after that is good.
        let from = parse_rfc3339(made["issued_before"].as_str().unwrap()).unwrap();
        assert_eq!(from - parse_rfc3339(made["created_at"].as_str().unwrap()).unwrap(), 5_000_000);
while now() / 1_000_000 * 1_000_000 < from {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        issued(0).get("/v1/me").await.is(200);
    }

    async fn what_is_over_refuses_nothing(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        world.person(Role::Auditor, None).await;
        let someone = with(world, &claims(AUDITOR, "t-1", Some("s-1"), 0));
        let end = rfc3339(now() + 1_500_000);
        let mut revoked = vec![];
        for named in [json!({ "jti": "t-1" }), json!({ "sid": "s-1" })] {
            let mut draft = because(named);
            draft["expires_at"] = json!(end);
            revoked.push(administrator.create("/v1/revocations", &draft).await.is(201).id());
        }
        someone.get("/v1/me").await.problem(401, "unauthenticated");
        let listed = async |state: &str| {
            let page = administrator.get(&format!("/v1/revocations?state={state}")).await.is(200).json();
            page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((listed("active").await, listed("over").await), (revoked.clone(), vec![]));
        while now() <= parse_rfc3339(&end).unwrap() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        someone.get("/v1/me").await.is(200);
        assert_eq!((listed("active").await, listed("over").await), (vec![], revoked.clone()));
        assert_eq!(administrator.get(&format!("/v1/revocations/{}", revoked[0])).await.json()["state"], "over");
    }

    async fn it_is_recorded_once_and_without_what_is_personal(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let auditor = world.person(Role::Auditor, None).await;
        let draft = because(json!({ "sid": "s-1" }));
        let first = administrator.create_as("/v1/revocations", "k", &draft).await.is(201);
        let again = administrator.create_as("/v1/revocations", "k", &draft).await.is(201);
        assert_eq!((first.id(), again.header("idempotency-replayed")), (again.id(), Some("true")));
        let other = because(json!({ "account": auditor.account }));
        let other = administrator.create("/v1/revocations", &other).await.is(201).id();
        let path = format!("/v1/revocations/{}", first.id());
        let read = administrator.get(&path).await.is(200);
        assert_eq!((read.json()["sid"].as_str(), read.etag()), (Some("s-1"), first.etag()));
        assert_eq!(read.json()["reason"], draft["reason"]);
        let history = administrator.get(&format!("{path}/events")).await.is(200).json();
        let events: Vec<&Value> = history["items"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
        assert_eq!(events, ["token.revoked"]);
        assert_eq!(history["items"][0]["changes"]["sid"], json!([null, "s-1"]));
        let page = administrator.get(&format!("/v1/revocations?account={}", auditor.account)).await.is(200).json();
        assert_eq!((page["items"].as_array().unwrap().len(), &page["items"][0]["id"]), (1, &json!(other)));
        let events = administrator.get("/v1/events?limit=200").await.is(200).text;
        assert!(events.contains("token.revoked") && !events.contains("Hường"), "{events}");
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn only_an_administrator_revokes_and_only_what_can_be(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let auditor = world.person(Role::Auditor, None).await;
        let good = because(json!({ "sid": "s-1" }));
        auditor.create("/v1/revocations", &good).await.problem(403, "forbidden");
        auditor.get("/v1/revocations").await.problem(403, "forbidden");
        world.nobody().create("/v1/revocations", &good).await.problem(401, "unauthenticated");
        administrator.post("/v1/revocations", &good).await.problem(400, "idempotency_key_required");
        administrator.create("/v1/revocations", &json!({ "sid": "s-1" })).await.problem(400, "wrong_type");
        let wrong = because(json!({ "token": "eyJ" }));
        administrator.create("/v1/revocations", &wrong).await.problem(400, "unknown_member");
        for (pointer, draft) in [
            ("", json!({})),
            ("", json!({ "sid": "s", "jti": "j" })),
            ("/sid", json!({ "sid": "" })),
            ("/jti", json!({ "jti": "j".repeat(256) })),
            ("/account", json!({ "account": Uuid::nil() })),
            ("/issued_before", json!({ "sid": "s", "issued_before": "2025-01-01T00:00:00Z" })),
            ("/issued_before", json!({ "account": auditor.account, "issued_before": "2999-01-01T00:00:00Z" })),
            ("/expires_at", json!({ "jti": "j", "expires_at": "2025-01-01T00:00:00Z" })),
            ("/expires_at", json!({ "jti": "j", "expires_at": "mai" })),
            ("/expires_at", json!({ "jti": "j", "expires_at": "2999-01-01T00:00:00Z" })),
        ] {
            let refused = administrator.create("/v1/revocations", &because(draft)).await.problem(422, "invalid_value");
            assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
        }
        administrator.get(&format!("/v1/revocations/{}", Uuid::nil())).await.problem(404, "not_found");
        administrator.get(&format!("/v1/revocations/{}/events", Uuid::nil())).await.problem(404, "not_found");
        let none = administrator.get("/v1/revocations").await.is(200).json();
        assert_eq!(none["items"], json!([]));
    }
}
