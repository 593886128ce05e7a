//! Where `thidua serve` takes keys from, as an operator configures it.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer as Authority, KeyPair};
use thidua::auth::keyring::{Ages, Keyring};
use thidua::auth::source::{Remote, Source, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::both_engines;
use crate::support::issuer::{Issuer, Key, Manner, key_set};
use crate::support::watch::{LONGEST, watch};
use crate::support::{AUDIENCE, ISSUER, Running, World};

fn serve(url: &str) -> Command {
    watch(LONGEST);
    let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
    command.arg("serve").env("THIDUA_DATABASE_URL", url).env("RUST_LOG", "error");
    command.env("THIDUA_ISSUER", ISSUER).env("THIDUA_AUDIENCE", AUDIENCE);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn serve_wants_exactly_one_source_of_keys_and_a_safe_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jwks.json").display().to_string();
    std::fs::write(&file, key_set(&[&Key::new()])).unwrap();
    let database = format!("sqlite://{}", directory.path().join("x.db").display());
    let good = "https://idp.example.vn/jwks";
    for (settings, complaint) in [
        (vec![], "THIDUA_JWKS_URL (the issuer's key set) or THIDUA_JWKS_FILE"),
        (vec![("THIDUA_JWKS_URL", "")], "tokens need keys"),
        (vec![("THIDUA_JWKS_URL", good), ("THIDUA_JWKS_FILE", &file)], "exactly one"),
        (vec![("THIDUA_JWKS_URL", "http://127.0.0.1:1/jwks")], "must begin with https://"),
        (
            vec![("THIDUA_JWKS_URL", "http://idp.example.vn/jwks"), ("THIDUA_INSECURE_JWKS_LOOPBACK", "true")],
            "loopback",
        ),
        (vec![("THIDUA_JWKS_URL", "http://localhost/jwks"), ("THIDUA_INSECURE_JWKS_LOOPBACK", "true")], "loopback"),
        (vec![("THIDUA_JWKS_URL", "https://me:secret@idp.example.vn/jwks")], "user name or password"),
        (vec![("THIDUA_JWKS_URL", good), ("THIDUA_JWKS_CA_FILE", &file)], "holds none"),
        (vec![("THIDUA_JWKS_URL", good), ("THIDUA_JWKS_CA_FILE", "/nowhere/ca.pem")], "/nowhere/ca.pem"),
        (vec![("THIDUA_JWKS_URL", good), ("THIDUA_JWKS_MAX_STALE", "300")], "longer than THIDUA_JWKS_MAX_AGE"),
        (vec![("THIDUA_JWKS_FILE", "/nowhere/jwks.json")], "/nowhere/jwks.json"),
    ] {
        let output = serve(&database).envs(settings.clone()).output().unwrap();
        let said = text(&output);
        assert!(!output.status.success() && said.contains(complaint), "{settings:?}: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

/// A service with these settings, ready to answer.
async fn running(world: &World, settings: &[(&str, &str)]) -> (Running, String) {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut command = serve(&world.database.url);
    command.args(["--listen", &address]).envs(settings.iter().copied());
    let running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    for _ in 0..200 {
        if status(world, &address, "/readyz", "").await == 200 {
            return (running, address);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not ready");
}

async fn status(world: &World, address: &str, path: &str, token: &str) -> u16 {
    let request = world.client.get(format!("http://{address}{path}")).bearer_auth(token);
    request.send().await.map_or(0, |response| response.status().as_u16())
}

both_engines! {
    async fn serve_believes_what_the_issuer_publishes(world: World) {
        let (old, new) = (Key::new(), Key::new());
        let issuer = Issuer::new(Manner::good(key_set(&[&old]))).await;
        let settings = [("THIDUA_JWKS_URL", issuer.url.as_str()), ("THIDUA_INSECURE_JWKS_LOOPBACK", "true")];
        let (_running, address) = running(world, &settings).await;
        // Known, but without a grant.
        assert_eq!(status(world, &address, "/v1/me", &old.token("s")).await, 403);
        issuer.does(Manner::good(key_set(&[&old, &new])));
        assert_eq!(status(world, &address, "/v1/me", &new.token("s")).await, 403);
        assert_eq!(status(world, &address, "/v1/me", &Key::new().token("s")).await, 401);
    }

    async fn a_key_in_a_file_is_rotated_without_a_restart(world: World) {
        let (old, new) = (Key::new(), Key::new());
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("jwks.json");
        // As an operator does it: written beside, then moved, so that nobody reads half of it.
        let publish = |keys: &[&Key]| {
            let draft = directory.path().join("draft");
            std::fs::write(&draft, key_set(keys)).unwrap();
            std::fs::rename(&draft, &file).unwrap();
        };
        publish(&[&old]);
        let (_running, address) = running(world, &[("THIDUA_JWKS_FILE", file.to_str().unwrap())]).await;
        assert_eq!(status(world, &address, "/v1/me", &old.token("s")).await, 403);
        assert_eq!(status(world, &address, "/v1/me", &new.token("s")).await, 401);
        publish(&[&old, &new]);
        assert_eq!(status(world, &address, "/v1/me", &new.token("s")).await, 403);
        assert_eq!(status(world, &address, "/v1/me", &old.token("s")).await, 403);
        // A file that is broken, or gone, takes no key away.
        std::fs::write(&file, "{").unwrap();
        assert_eq!(status(world, &address, "/v1/me", &Key::new().token("s")).await, 401);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(status(world, &address, "/v1/me", &Key::new().token("s")).await, 401);
        assert_eq!(status(world, &address, "/v1/me", &new.token("s")).await, 403);
    }
}

/// A certificate authority and what it signs.
struct Ca {
    pem: String,
    authority: Authority<'static, KeyPair>,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, authority: Authority::new(params, key) }
    }

    /// Serves `set` over TLS with a certificate for `host`; answers the port.
    async fn serves(&self, host: &str, until: Option<i32>, set: String) -> u16 {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        if let Some(year) = until {
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate.der().clone()], private).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{set}", set.len());
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        port
    }
}

async fn reads(port: u16, authority: Option<&str>) -> bool {
    let remote = Remote::new(&format!("https://localhost:{port}/jwks"), authority, Transport::Https);
    // Where the operating system has no authorities at all, there is not even a client.
    let Ok(remote) = remote else { return false };
    let keyring = Keyring::of(Source::Url(remote), Ages::DEFAULT);
    keyring.ask().await;
    keyring.current().is_some()
}

#[actix_web::test]
async fn https_is_believed_only_from_the_named_host_with_a_certificate_of_the_named_authority() {
    let (ours, other) = (Ca::new(), Ca::new());
    let set = key_set(&[&Key::new()]);
    let good = ours.serves("localhost", None, set.clone()).await;
    assert!(reads(good, Some(&ours.pem)).await);
    assert!(reads(good, Some(&format!("{}{}", other.pem, ours.pem))).await, "one of several authorities");
    assert!(!reads(good, Some(&other.pem)).await, "another authority");
    assert!(!reads(good, None).await, "no authority that the operating system knows");
    let stranger = ours.serves("idp.example.vn", None, set.clone()).await;
    assert!(!reads(stranger, Some(&ours.pem)).await, "a certificate for another host");
    let expired = ours.serves("localhost", Some(2020), set.clone()).await;
    assert!(!reads(expired, Some(&ours.pem)).await, "a certificate that is over");
    let plain = Issuer::new(Manner::good(set)).await;
    let port = plain.url.split([':', '/']).nth(4).unwrap().parse().unwrap();
    assert!(!reads(port, Some(&ours.pem)).await, "no TLS at all");
}

both_engines! {
    async fn serve_reads_a_key_set_over_https(world: World) {
        let (ca, key) = (Ca::new(), Key::new());
        let port = ca.serves("localhost", None, key_set(&[&key])).await;
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).unwrap();
            directory.path().join(name).display().to_string()
        };
        let (pem, url) = (write("ca.pem", &ca.pem), format!("https://localhost:{port}/jwks"));
        let (_running, address) = running(world, &[("THIDUA_JWKS_URL", &url), ("THIDUA_JWKS_CA_FILE", &pem)]).await;
        assert_eq!(status(world, &address, "/v1/me", &key.token("s")).await, 403);
    }
}

#[test]
fn a_token_of_a_session_says_which_and_its_jti_is_told_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let (private, jwks) = (directory.path().join("key.pem"), directory.path().join("jwks.json"));
    let thidua = |words: &[&str], paths: &[(&str, &Path)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
        command.arg("token").args(words);
        for (flag, path) in paths {
            command.arg(flag).arg(path);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        output
    };
    thidua(&["new-key"], &[("--private", &private), ("--jwks", &jwks)]);
    let who = ["sign", "--issuer", ISSUER, "--audience", AUDIENCE, "--subject", "s", "--session", "phiên 1"];
    let output = thidua(&who, &[("--private", &private)]);
    let keys = thidua::auth::keys::Keys::from_jwks(&std::fs::read_to_string(&jwks).unwrap()).unwrap();
    let verifier = crate::support::verifier(keys);
    let token = String::from_utf8(output.stdout).unwrap();
    let caller = verifier.verify(token.trim(), thidua::clock::now() / 1_000_000).unwrap();
    assert_eq!(caller.sid.as_deref(), Some("phiên 1"));
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told.trim(), format!("jti {}", caller.jti.unwrap()));
}
