//! The topology of docker-compose.yml, run natively: its commands, its environment, its secrets, its volumes and its health
//! checks, with two replicas of the service on one PostgreSQL, which sign one log.

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
use thidua::log::anchor::Anchor;
use thidua::log::proof::checkpoint::Checkpoint;
use thidua::log::proof::key::{self, VerifierKey};
use thidua::log::proof::note;
use thidua::log::proof::tree::{Hash, verify_consistency};

use crate::support::cluster::Cluster;
use crate::support::watch::stopped;
use crate::support::{AUDIENCE, ISSUER, Running, free_address};

fn compose() -> Value {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docker-compose.yml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// The named volumes of a service, and where they are mounted.
fn volumes(service: &Value) -> impl Iterator<Item = (&str, &str)> {
    service["volumes"].as_array().into_iter().flatten().map(|volume| volume.as_str().unwrap().split_once(':').unwrap())
}

/// What the environment says of places, as they are here: `/run/secrets` is `secrets`, volumes stand beside it.
fn here(service: &Value, value: &str, secrets: &Path) -> String {
    let placed = value.replace("/run/secrets", secrets.to_str().unwrap());
    volumes(service).fold(placed, |placed, (volume, inside)| {
        placed.replace(inside, secrets.with_file_name(volume).to_str().unwrap())
    })
}

/// A command of a service as the file says it: entry point, words, environment.
fn command(service: &Value, words: &Value, secrets: &Path, own: &[(&str, &str)]) -> Command {
    let words = words.as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
    command.args(words.filter(|word| !["CMD", "/usr/local/bin/thidua"].contains(word)));
    for (name, value) in service["environment"].as_object().unwrap() {
        command.env(name, here(service, value.as_str().unwrap(), secrets));
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
    let mut shell = Command::new("sh");
    shell.args(["-euc", &script]).current_dir(secrets.parent().unwrap()).stdout(Stdio::null());
    let program = Path::new(env!("CARGO_BIN_EXE_thidua")).parent().unwrap().display();
    shell.env("PATH", format!("{program}:{}", std::env::var("PATH").unwrap()));
    assert!(shell.status().unwrap().success(), "{script}");
    for secret in std::fs::read_dir(secrets).unwrap() {
        let secret = secret.unwrap();
        // The container's user is somebody else.
        assert_eq!(secret.metadata().unwrap().permissions().mode() & 0o004, 0o004, "{}", secret.path().display());
    }
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

/// The public part of the key that signs.
fn signed_with(secrets: &Path) -> VerifierKey {
    let text = std::fs::read_to_string(secrets.join("log_key")).unwrap();
    key::SigningKey::from_skey(text.trim()).unwrap().verifier().clone()
}

/// The newest checkpoint that this replica shows, once it covers everything that is there now.
async fn checkpoint(address: &str, token: &str, key: &VerifierKey) -> Checkpoint {
    let size = get(address, token, "/v1/events?limit=1").await["size"].as_u64().unwrap();
    for _ in 0..200 {
        let answer = reqwest::get(format!("http://{address}/v1/log/checkpoint")).await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        let (shown, keys) = (answer.text().await.unwrap(), [key.clone()]);
        let checkpoint: Checkpoint = note::open(&shown, &keys).unwrap().text.parse().unwrap();
        assert_eq!(checkpoint.origin(), key.name());
        if checkpoint.size() >= size {
            return checkpoint;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{size} events were never signed");
}

/// That one checkpoint continues another, by the proof that this replica gives.
async fn continues(address: &str, token: &str, old: &Checkpoint, new: &Checkpoint) {
    let path = format!("/v1/log/consistency?from={}&to={}", old.size(), new.size());
    let hashes = get(address, token, &path).await["hashes"].clone();
    let decode =
        |hash: &Value| base64::Engine::decode(&base64::engine::general_purpose::STANDARD, hash.as_str().unwrap());
    let hashes: Vec<Hash> =
        hashes.as_array().unwrap().iter().map(|hash| decode(hash).unwrap().try_into().unwrap()).collect();
    verify_consistency(old.size(), old.root(), new.size(), new.root(), &hashes).unwrap();
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
    for (volume, _) in volumes(&services["service"]) {
        std::fs::create_dir(secrets.with_file_name(volume)).unwrap();
    }
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

    // Both show signed checkpoints, of one log.
    let key = signed_with(secrets);
    assert_eq!(key.name(), "issuer.example/log");
    let (old, new) = (checkpoint(&first, &token, &key).await, checkpoint(&second, &token, &key).await);
    continues(&first, &token, &old, &new).await;
    continues(&second, &token, &old, &new).await;

    // One replica dies; the other goes on, and positions stay dense.
    drop(one);
    assert!(!health_one.stderr(Stdio::null()).status().unwrap().success());
    assert_eq!(register(&second, &token, "alone").await.0, 201);
    let events = get(&second, &token, "/v1/events?limit=200").await;
    let positions: Vec<i64> =
        events["items"].as_array().unwrap().iter().map(|event| event["position"].as_i64().unwrap()).collect();
    assert_eq!(positions, (0..events["size"].as_i64().unwrap()).collect::<Vec<_>>());
    let alone = checkpoint(&second, &token, &key).await;
    assert!(alone.size() > new.size());
    continues(&second, &token, &new, &alone).await;

    // It comes back to the same anchor, and the other goes: what it signs continues what was signed without it.
    let (mut one, mut health_one) = start(&first, &free_address());
    healthy(&mut health_one).await;
    // A container is stopped with SIGTERM: what is in flight is finished.
    assert!(stopped(&mut two.0).success());
    assert_eq!(register(&first, &token, "back").await.0, 201);
    let back = checkpoint(&first, &token, &key).await;
    assert!(back.size() > alone.size());
    continues(&first, &token, &alone, &back).await;
    assert!(stopped(&mut one.0).success());
    let anchor = here(service, service["environment"]["THIDUA_LOG_ANCHOR_FILE"].as_str().unwrap(), secrets);
    let (last, keys) = (Anchor::at(Path::new(&anchor)).read().unwrap().unwrap(), [key]);
    let last: Checkpoint = note::open(&last, &keys).unwrap().text.parse().unwrap();
    assert_eq!((last.size(), last.root()), (back.size(), back.root()));

    // As whom it served: somebody who cannot change the log.
    let raw = Sea::connect(std::fs::read_to_string(secrets.join("app_url")).unwrap().trim()).await.unwrap();
    let refused = raw.execute_unprepared("DELETE FROM audit_event").await.unwrap_err().to_string();
    assert!(refused.contains("permission denied"), "{refused}");
    raw.close().await.unwrap();
}

fn dockerfile() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Dockerfile")).unwrap()
}

/// The root of the service's file system is read-only, and it is nobody: all that it may write to is a volume which has
/// the owner that the directory has in the image.
#[test]
fn the_anchor_lies_on_a_volume_of_its_own_that_the_service_may_write_to() {
    let compose = compose();
    let service = &compose["services"]["service"];
    let anchor = Path::new(service["environment"]["THIDUA_LOG_ANCHOR_FILE"].as_str().unwrap());
    let (volume, inside) = volumes(service).find(|(_, inside)| anchor.starts_with(inside)).unwrap();
    assert!(compose["volumes"].get(volume).is_some(), "{volume}");
    assert!(volumes(&compose["services"]["database"]).all(|(other, _)| other != volume));
    let made = |line: &str| {
        line.starts_with("COPY --from=build --chown=65532:65532 ") && line.ends_with(&format!(" {inside}"))
    };
    assert_eq!(dockerfile().lines().filter(|line| made(line)).count(), 1, "the image has no {inside} of its user's");
}

#[test]
fn secrets_come_from_files_and_the_service_has_no_more_rights_than_it_needs() {
    let compose = compose();
    for (name, service) in compose["services"].as_object().unwrap() {
        for (variable, value) in service["environment"].as_object().unwrap() {
            let secret = ["PASSWORD", "URL", "JWKS", "LOG_KEY"].iter().any(|word| variable.contains(word));
            let given = value.as_str().unwrap().strip_prefix("/run/secrets/");
            assert!(!secret || given.is_some(), "{name}: {variable}");
            let mounted = service["secrets"].as_array().unwrap();
            assert!(given.is_none_or(|given| mounted.contains(&json!(given))), "{name}: {variable} is not given to it");
        }
        for secret in service["secrets"].as_array().unwrap() {
            assert!(compose["secrets"].get(secret.as_str().unwrap()).is_some(), "{name}: {secret}");
        }
        if name != "database" {
            assert_eq!(service["read_only"], true, "{name}");
            assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        }
    }
    let dockerfile = dockerfile();
    assert!(dockerfile.lines().rfind(|line| line.starts_with("FROM")).unwrap().contains(":nonroot"));
    let toolchain = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/rust-toolchain.toml")).unwrap();
    let version = toolchain.split('"').nth(1).unwrap();
    assert!(dockerfile.contains(&format!("FROM rust:{version}-")), "the image builds with the toolchain {version}");
}
