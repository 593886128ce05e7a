//! The issuer's keys: fetched, rotated while requests run, kept when the issuer answers nonsense, and refused from
//! anywhere else.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::auth::keyring::{Ages, Keyring, MOST_LOOKS_AT_ONCE};
use thidua::auth::keys::{MAX_KEY_SET_BYTES, MAX_KEYS};
use thidua::auth::sign::SigningKey;
use thidua::auth::source::FETCH_TIMEOUT;
use tokio::time::sleep;

use crate::both_engines;
use crate::support::issuer::{Issuer, Key, Manner, Service, key_set};

const MILLISECOND: Duration = Duration::from_millis(1);

/// Nothing happens by itself within a test's time, and tokens may cause looks as they would in a minute.
const CALM: Ages =
    Ages { refresh: Duration::from_secs(3600), discard: Duration::from_secs(7200), pause: Duration::from_millis(100) };

/// The person of `world.person(Role::Auditor, None)`.
const AUDITOR: &str = "auditor-";

fn current(keyring: &Keyring) -> Vec<String> {
    let keys = keyring.current();
    keys.map(|keys| keys.kids().into_iter().map(str::to_owned).collect()).unwrap_or_default()
}

/// A series of the service's metrics.
async fn metric(service: &Service, token: &str, name: &str) -> u64 {
    let text = service.get("/metrics", Some(token)).await.is(200).text;
    let line = text.lines().find(|line| line.split(' ').next() == Some(name));
    let value = line.and_then(|line| line.split(' ').nth(1)).unwrap_or_else(|| panic!("no {name} in {text}"));
    value.parse().unwrap()
}

both_engines! {
    async fn rotation_refuses_no_request(world: World) {
        world.person(Role::Auditor, None).await;
        let first = Key::new();
        let issuer = Issuer::new(Manner::good(key_set(&[&first]))).await;
        let ages = Ages { refresh: Duration::from_millis(300), ..CALM };
        let service = Service::new(world, issuer.keyring(ages)).await;
        service.becomes("/readyz", None, 200).await;
        let signing = Mutex::new(first.clone());
        let (answered, over) = (Mutex::new(0), Mutex::new(false));
        let caller = || async {
            while !*over.lock().unwrap() {
                let token = signing.lock().unwrap().token(AUDITOR);
                service.get("/v1/me", Some(&token)).await.is(200);
                *answered.lock().unwrap() += 1;
            }
        };
        let rotate = async {
            let mut old = first.clone();
            for _ in 0..6 {
                let new = Key::new();
                // Published beside the old one, and used at once: the service meets it in a request first.
                issuer.does(Manner::good(key_set(&[&old, &new])));
                *signing.lock().unwrap() = new.clone();
                service.get("/v1/me", Some(&new.token(AUDITOR))).await.is(200);
                service.get("/v1/me", Some(&old.token(AUDITOR))).await.is(200);
                sleep(250 * MILLISECOND).await;
                issuer.does(Manner::good(key_set(&[&new])));
                sleep(250 * MILLISECOND).await;
                old = new;
            }
            *over.lock().unwrap() = true;
        };
        tokio::join!(rotate, caller(), caller(), caller(), caller());
        assert!(*answered.lock().unwrap() > 100, "requests ran meanwhile");
        // What was withdrawn is forgotten when the keys come of age.
        service.becomes("/v1/me", Some(&first.token(AUDITOR)), 401).await.problem(401, "unauthenticated");
        assert_eq!(current(&service.keyring).len(), 1);
        assert_eq!(issuer.most_at_once(), 1, "one look at a time");
        service.end().await;
    }

    async fn a_key_that_many_requests_name_first_is_looked_up_once(world: World) {
        world.person(Role::Auditor, None).await;
        let (old, new) = (Key::new(), Key::new());
        let issuer = Issuer::new(Manner::good(key_set(&[&old]))).await;
        let service = Service::new(world, issuer.keyring(CALM)).await;
        service.becomes("/readyz", None, 200).await;
        assert_eq!(issuer.asked(), 1);
        issuer.does(Manner::Late(300 * MILLISECOND, key_set(&[&old, &new]).into_bytes()));
        let token = new.token(AUDITOR);
        let calls = (0..40).map(|_| service.get("/v1/me", Some(&token)));
        let others = (0..20).map(|_| async {
            sleep(50 * MILLISECOND).await;
            // Whoever has a known key waits for nobody.
            let watch = thidua::clock::Stopwatch::start();
            service.get("/v1/me", Some(&old.token(AUDITOR))).await.is(200);
            watch.elapsed()
        });
        let (answers, others) = tokio::join!(futures_util::future::join_all(calls), futures_util::future::join_all(others));
        assert!(answers.into_iter().all(|answer| answer.status == 200));
        assert!(others.iter().min().unwrap() < &(200 * MILLISECOND), "{others:?}");
        // One more for those who came when the first look had begun: it may have been too early for their key.
        assert!((2..=3).contains(&issuer.asked()), "{}", issuer.asked());
        assert_eq!(issuer.most_at_once(), 1);
        service.end().await;
    }

    async fn invented_key_names_do_not_wear_the_issuer_down(world: World) {
        world.person(Role::Auditor, None).await;
        let key = Key::new();
        let issuer = Issuer::new(Manner::good(key_set(&[&key]))).await;
        let service = Service::new(world, issuer.keyring(Ages { pause: Duration::from_secs(60), ..CALM })).await;
        service.becomes("/readyz", None, 200).await;
        for _ in 0..60 {
            service.get("/v1/me", Some(&Key::new().token(AUDITOR))).await.problem(401, "unauthenticated");
        }
        assert_eq!(issuer.asked(), 1 + MOST_LOOKS_AT_ONCE as usize);
        service.get("/v1/me", Some(&key.token(AUDITOR))).await.is(200);
        service.end().await;
    }

    async fn readiness_tells_that_there_never_was_a_key_set(world: World) {
        world.person(Role::Auditor, None).await;
        let key = Key::new();
        let issuer = Issuer::new(Manner::Answer(500, vec![])).await;
        let service = Service::new(world, issuer.keyring(CALM)).await;
        service.get("/livez", None).await.is(200);
        let health = service.get("/readyz", None).await.is(503).json();
        assert_eq!(health["status"], "the issuer's keys are not known");
        // A token that cannot be judged is not called bad; what is no token at all is.
        service.get("/v1/me", Some(&key.token(AUDITOR))).await.problem(503, "busy");
        service.get("/v1/me", Some("garbage")).await.problem(401, "unauthenticated");
        service.get("/v1/me", None).await.problem(401, "unauthenticated");
        issuer.does(Manner::good(key_set(&[&key])));
        assert_eq!(service.becomes("/readyz", None, 200).await.json()["status"], "ok");
        service.get("/v1/me", Some(&key.token(AUDITOR))).await.is(200);
        assert!(metric(&service, &key.token(AUDITOR), "thidua_jwks_failures_total").await >= 1);
        service.end().await;
    }

    async fn old_keys_stay_in_use_for_a_bounded_time(world: World) {
        world.person(Role::Auditor, None).await;
        let key = Key::new();
        let issuer = Issuer::new(Manner::good(key_set(&[&key]))).await;
        let ages = Ages { refresh: 200 * MILLISECOND, discard: 3000 * MILLISECOND, pause: 100 * MILLISECOND };
        let service = Service::new(world, issuer.keyring(ages)).await;
        service.becomes("/readyz", None, 200).await;
        let token = key.token(AUDITOR);
        let read = metric(&service, &token, "thidua_jwks_read_timestamp_seconds").await;
        assert!(read + 5 > u64::try_from(thidua::clock::now() / 1_000_000).unwrap());
        assert_eq!(metric(&service, &token, "thidua_jwks_keys").await, 1);
        issuer.does(Manner::Answer(500, vec![]));
        let watch = thidua::clock::Stopwatch::start();
        while metric(&service, &token, "thidua_jwks_failures_total").await < 3 {
            service.get("/v1/me", Some(&token)).await.is(200);
            service.get("/readyz", None).await.is(200);
            sleep(50 * MILLISECOND).await;
        }
        assert!(watch.elapsed() < ages.discard, "still within the time");
        service.becomes("/readyz", None, 503).await;
        service.get("/v1/me", Some(&token)).await.problem(503, "busy");
        issuer.does(Manner::good(key_set(&[&key])));
        service.becomes("/v1/me", Some(&token), 200).await;
        service.get("/readyz", None).await.is(200);
        service.end().await;
    }
}

/// Answers that are no key set of the issuer's, most of them with a key in it that an attacker would like to add.
fn nonsense(evil: &Key, elsewhere: &str) -> Vec<(&'static str, Manner)> {
    let set = key_set(&[evil]);
    let member = |changes: Value| {
        let mut member = evil.public.clone();
        member.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        Manner::good(json!({ "keys": [member] }).to_string())
    };
    let many: Vec<&Key> = std::iter::repeat_n(evil, MAX_KEYS + 1).collect();
    let padded = |size: usize| format!("{set}{}", " ".repeat(size - set.len())).into_bytes();
    let chunked = |size: usize| {
        let mut raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        let chunk = " ".repeat(65_536);
        for _ in 0..size / chunk.len() {
            raw.extend(format!("10000\r\n{chunk}\r\n").into_bytes());
        }
        Manner::Raw(raw)
    };
    vec![
        ("a page", Manner::good("<!doctype html><html><body>Đăng nhập</body></html>")),
        ("garbage", Manner::good("\u{1}\u{2}{{{")),
        ("nothing", Manner::good("")),
        ("no key", Manner::good(r#"{"keys":[]}"#)),
        ("a key alone", Manner::good(evil.public.to_string())),
        ("not UTF-8", Manner::Answer(200, [set.as_bytes(), b"\xff"].concat())),
        ("a symmetric key", member(json!({ "kty": "oct", "k": "c2VjcmV0", "alg": "HS256" }))),
        ("an unknown curve", member(json!({ "crv": "Ed448" }))),
        ("a small RSA key", member(json!({ "kty": "RSA", "n": "_".repeat(171), "e": "AQAB", "alg": "PS256" }))),
        ("one name twice", Manner::good(key_set(&[evil, evil]))),
        ("too many keys", Manner::good(key_set(&many))),
        ("a byte too many", Manner::Answer(200, padded(MAX_KEY_SET_BYTES + 1))),
        ("8 MiB", Manner::Answer(200, padded(8 << 20))),
        ("8 MiB in chunks", chunked(8 << 20)),
        ("500 with a key set", Manner::Answer(500, set.clone().into_bytes())),
        ("404 with a key set", Manner::Answer(404, set.clone().into_bytes())),
        ("203 with a key set", Manner::Answer(203, set.clone().into_bytes())),
        ("a redirect to a key set", Manner::Redirect(elsewhere.to_owned())),
        ("half an answer", Manner::Raw(format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{set}").into_bytes())),
        ("no HTTP", Manner::Raw(b"220 mail.example ESMTP\r\n".to_vec())),
        ("a hang-up", Manner::Raw(vec![])),
    ]
}

#[actix_web::test]
async fn nonsense_from_the_issuer_changes_nothing() {
    let (good, evil) = (Key::new(), Key::new());
    let elsewhere = Issuer::new(Manner::good(key_set(&[&evil]))).await;
    for (name, manner) in nonsense(&evil, &elsewhere.url) {
        let issuer = Issuer::new(Manner::good(key_set(&[&good]))).await;
        let keyring = issuer.keyring(CALM);
        keyring.ask().await;
        assert_eq!(current(&keyring), [good.private.kid()], "{name}: the control");
        issuer.does(manner);
        keyring.ask().await;
        assert_eq!(issuer.asked(), 2, "{name}");
        assert_eq!(current(&keyring), [good.private.kid()], "{name}");
        // The very next good answer counts.
        issuer.does(Manner::good(key_set(&[&good, &evil])));
        keyring.ask().await;
        assert_eq!(current(&keyring).len(), 2, "{name}: afterwards");
    }
    assert_eq!(elsewhere.asked(), 0, "a redirect was followed");
}

#[actix_web::test]
async fn the_size_limit_is_exact() {
    let (first, second) = (Key::new(), Key::new());
    let issuer = Issuer::new(Manner::good(key_set(&[&first]))).await;
    let keyring = issuer.keyring(CALM);
    keyring.ask().await;
    let set = key_set(&[&first, &second]);
    issuer.does(Manner::good(format!("{set}{}", " ".repeat(MAX_KEY_SET_BYTES - set.len()))));
    keyring.ask().await;
    assert_eq!(current(&keyring).len(), 2);
}

#[actix_web::test]
async fn a_slow_issuer_is_not_waited_for_longer_than_its_time() {
    let slow = [Manner::Drip, Manner::Hang, Manner::Late(FETCH_TIMEOUT * 2, b"{}".to_vec())].map(|manner| async {
        let key = Key::new();
        let issuer = Issuer::new(Manner::good(key_set(&[&key]))).await;
        let keyring = issuer.keyring(CALM);
        keyring.ask().await;
        issuer.does(manner);
        let watch = thidua::clock::Stopwatch::start();
        keyring.ask().await;
        assert!(watch.elapsed() < FETCH_TIMEOUT + Duration::from_secs(2), "{:?}", watch.elapsed());
        assert_eq!(issuer.asked(), 2);
        assert_eq!(current(&keyring), [key.private.kid()]);
    });
    futures_util::future::join_all(slow).await;
}

#[actix_web::test]
async fn a_caller_who_goes_away_does_not_end_the_look() {
    let key = Key::new();
    let issuer = Issuer::new(Manner::Late(200 * MILLISECOND, key_set(&[&key]).into_bytes())).await;
    let keyring = issuer.keyring(CALM);
    let impatient = tokio::time::timeout(50 * MILLISECOND, keyring.ask()).await;
    assert!(impatient.is_err());
    for _ in 0..100 {
        if !current(&keyring).is_empty() {
            break;
        }
        sleep(20 * MILLISECOND).await;
    }
    assert_eq!(current(&keyring), [key.private.kid()]);
    assert_eq!(issuer.asked(), 1);
}

#[actix_web::test]
async fn demo_keys_are_not_believed_from_a_url_either() {
    let demo: Value = serde_json::from_str(&SigningKey::generate_demo().unwrap().jwks).unwrap();
    let set = json!({ "keys": [demo["keys"][0], Key::new().public] });
    let issuer = Issuer::new(Manner::good(set.to_string())).await;
    let keyring = issuer.keyring(CALM);
    keyring.ask().await;
    assert_eq!((issuer.asked(), keyring.current().is_none()), (1, true));
}
