//! The topology of docker-compose.yml, run natively: its commands, its environment, its secrets and its health checks, with
//! two replicas of the service on one PostgreSQL.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sea_orm::{ConnectionTrait as _, Database as Sea};
use serde_json::{Value, json};
use thidua::auth::sign::{Claims, SigningKey};
use thidua::clock::now;

use crate::support::cluster::Cluster;
use crate::support::watch::stopped;
use crate::support::{AUDIENCE, ISSUER, Running, free_address};

fn compose() -> Value {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docker-compose.yml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// A command of a service as the file says it: entry point, words, environment; `/run/secrets` is `secrets`.
fn command(service: &Value, words: &Value, secrets: &Path, own: &[(&str, &str)]) -> Command {
    let words = words.as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
    command.args(words.filter(|word| !["CMD", "/usr/local/bin/thidua"].contains(word)));
    for (name, value) in service["environment"].as_object().unwrap() {
        let value = value.as_str().unwrap().replace("/run/secrets", secrets.to_str().unwrap());
        command.env(name, value);
    }
    for (name, value) in own {
        assert!(service["environment"].get(name).is_some(), "{name} does not stand in docker-compose.yml");
        command.env(name, value);
    }
    command.env("RUST_LOG", "error").stdout(Stdio::null()).stderr(Stdio::inherit());
    command
}

fn token(key: &SigningKey) -> String {
    let iat = now() / 1_000_000;
    let (iss, aud, sub, jti) = (ISSUER.into(), AUDIENCE.into(), "replica".into(), "r".into());
    key.sign(&Claims { iss, aud, sub, iat, exp: iat + 600, jti, sid: None }).unwrap()
}

/// As docs/operations.md says; `database` is the URL of the database as the server's administrator.
fn make_secrets(secrets: &Path, database: &str) {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    let block = page.split("```sh\n").find(|block| block.starts_with("mkdir -m 700 secrets")).unwrap();
    let (script, _) = block.split_once("```").unwrap();
    let host = database.split('@').nth(1).unwrap();
    let script = script.replace("database:5432/thidua", host).replace("mkdir -m 700 secrets", "true");
    let made = Command::new("sh").args(["-euc", &script]).current_dir(secrets.parent().unwrap()).status().unwrap();
    assert!(made.success(), "{script}");
}

/// What the PostgreSQL image does with a script in that directory.
fn make_roles(database: &Value, secrets: &Path, cluster: &Cluster) {
    let mounted = database["volumes"].as_array().unwrap().iter().filter_map(Value::as_str);
    let script = mounted.filter_map(|volume| volume.split_once(":/docker-entrypoint-initdb.d/")).next().unwrap().0;
    let mut shell = Command::new("sh");
    shell.arg(script).current_dir(env!("CARGO_MANIFEST_DIR")).env("SECRETS", secrets);
    let environment = database["environment"].as_object().unwrap();
    for name in ["POSTGRES_USER", "POSTGRES_DB"] {
        shell.env(name, environment[name].as_str().unwrap());
    }
    let url = cluster.url("");
    let (host, port) = url.trim_end_matches('/').rsplit_once('@').unwrap().1.split_once(':').unwrap();
    assert!(shell.env("PGHOST", host).env("PGPORT", port).status().unwrap().success(), "{script}");
}

async fn healthy(health: &mut Command) {
    for _ in 0..200 {
        if health.stderr(Stdio::null()).status().unwrap().success() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never healthy");
}

async fn register(address: &str, token: &str, key: &str) -> (u16, Value) {
    let body = json!({ "names": [{ "value": format!("Bản {key}"), "from": "2021-01-01" }],
        "kinds": [{ "value": "village", "from": "2021-01-01" }], "exists_from": "2021-01-01" });
    let request = reqwest::Client::new().post(format!("http://{address}/v1/units")).bearer_auth(token);
    let answer = request.header("Idempotency-Key", key).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn get(address: &str, token: &str, path: &str) -> Value {
    let answer = reqwest::Client::new().get(format!("http://{address}{path}")).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    answer.json().await.unwrap()
}

#[actix_web::test]
async fn two_replicas_serve_one_database_as_the_compose_file_says() {
    let compose = compose();
    let services = &compose["services"];
    let directory = tempfile::tempdir().unwrap();
    // The server's user has to reach what lies below.
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let Some(mut cluster) = Cluster::create(&directory.path().join("database"), &[]) else { return };
    cluster.start().await;
    let secrets = &directory.path().join("secrets");
    std::fs::create_dir(secrets).unwrap();
    make_secrets(secrets, &cluster.database().await);
    make_roles(&services["database"], secrets, &cluster);
    let new = SigningKey::generate().unwrap();
    std::fs::write(secrets.join("jwks"), &new.jwks).unwrap();
    let token = token(&SigningKey::from_pem(new.private_pem.expose(), &new.kid).unwrap());

    let migrate = &services["migrate"];
    assert!(command(migrate, &migrate["command"], secrets, &[]).status().unwrap().success());
    let mut grant = command(
        &services["service"],
        &json!(["grant", "--issuer", ISSUER, "--subject", "replica", "--role", "administrator"]),
        secrets,
        &[],
    );
    assert!(grant.status().unwrap().success());

    let service = &services["service"];
    let start = |listen: &str, metrics: &str| {
        let own = [
            ("THIDUA_LISTEN", listen),
            ("THIDUA_METRICS_LISTEN", metrics),
            ("THIDUA_ISSUER", ISSUER),
            ("THIDUA_AUDIENCE", AUDIENCE),
        ];
        let child = command(service, &service["command"], secrets, &own).spawn().unwrap();
        (Running(child), command(service, &service["healthcheck"]["test"], secrets, &own))
    };
    let (first, second) = (free_address(), free_address());
    let (one, mut health_one) = start(&first, &free_address());
    let (mut two, mut health_two) = start(&second, &free_address());
    healthy(&mut health_one).await;
    healthy(&mut health_two).await;

    // The same key at both at once has one effect; each sees at once what the other wrote.
    let (a, b) = futures_util::future::join(register(&first, &token, "same"), register(&second, &token, "same")).await;
    let created: Vec<&Value> =
        [&a, &b].iter().filter(|(status, _)| *status == 201).map(|(_, body)| &body["id"]).collect();
    assert!(!created.is_empty() && created.iter().all(|id| *id == created[0]), "{a:?} {b:?}");
    let writes = (0..20).map(|n| {
        let (here, there, token) = if n % 2 == 0 { (&first, &second, &token) } else { (&second, &first, &token) };
        async move {
            let (status, body) = register(here, token, &format!("k{n}")).await;
            assert_eq!(status, 201, "{body}");
            let id = body["id"].as_str().unwrap().to_owned();
            assert_eq!(get(there, token, &format!("/v1/units/{id}")).await["id"], body["id"]);
            let history = get(there, token, &format!("/v1/units/{id}/events")).await;
            assert_eq!(
                history["items"].as_array().unwrap().len(),
                1,
                "a client sees its own write in the log, anywhere"
            );
            id
        }
    });
    let ids: BTreeSet<String> = futures_util::future::join_all(writes).await.into_iter().collect();
    assert_eq!(ids.len(), 20);
    // A cursor of one replica is good at the other.
    let page = get(&first, &token, "/v1/units?limit=5").await;
    let next = format!("/v1/units?limit=5&cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(get(&second, &token, &next).await["items"].as_array().unwrap().len(), 5);

    // One replica dies; the other goes on, and positions stay dense.
    drop(one);
    assert!(!health_one.stderr(Stdio::null()).status().unwrap().success());
    assert_eq!(register(&second, &token, "alone").await.0, 201);
    let events = get(&second, &token, "/v1/events?limit=200").await;
    let positions: Vec<i64> =
        events["items"].as_array().unwrap().iter().map(|event| event["position"].as_i64().unwrap()).collect();
    assert_eq!(positions, (0..events["size"].as_i64().unwrap()).collect::<Vec<_>>());
    // A container is stopped with SIGTERM: what is in flight is finished.
    assert!(stopped(&mut two.0).success());
    // As whom it served: somebody who cannot change the log.
    let raw = Sea::connect(std::fs::read_to_string(secrets.join("app_url")).unwrap().trim()).await.unwrap();
    let refused = raw.execute_unprepared("DELETE FROM audit_event").await.unwrap_err().to_string();
    assert!(refused.contains("permission denied"), "{refused}");
    raw.close().await.unwrap();
}

#[test]
fn secrets_come_from_files_and_the_service_has_no_more_rights_than_it_needs() {
    let compose = compose();
    for (name, service) in compose["services"].as_object().unwrap() {
        for (variable, value) in service["environment"].as_object().unwrap() {
            let secret = ["PASSWORD", "URL", "JWKS"].iter().any(|word| variable.contains(word));
            assert!(!secret || value.as_str().unwrap().starts_with("/run/secrets/"), "{name}: {variable}");
        }
        for secret in service["secrets"].as_array().unwrap() {
            assert!(compose["secrets"].get(secret.as_str().unwrap()).is_some(), "{name}: {secret}");
        }
        if name != "database" {
            assert_eq!(service["read_only"], true, "{name}");
            assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        }
    }
    let dockerfile = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Dockerfile")).unwrap();
    assert!(dockerfile.lines().rfind(|line| line.starts_with("FROM")).unwrap().contains(":nonroot"));
    let toolchain = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/rust-toolchain.toml")).unwrap();
    let version = toolchain.split('"').nth(1).unwrap();
    assert!(dockerfile.contains(&format!("FROM rust:{version}-")), "the image builds with the toolchain {version}");
}
