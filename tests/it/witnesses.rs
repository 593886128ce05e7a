//! Witnesses: they cosign what is signed, and whether they do or not the service goes on; what they answer is believed
//! only where a signature makes it true.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::auth::keys::Keys;
use thidua::db::Db;
use thidua::http::Shared;
use thidua::http::limits::Limits;
use thidua::log::anchor::Anchor;
use thidua::log::proof::checkpoint::Checkpoint;
use thidua::log::proof::note::{self, Note};
use thidua::log::proof::policy::Policy;
use thidua::log::proof::tlog_proof::{self, Proven};
use thidua::log::signer::{Keys as LogKeys, Signer, Trouble};
use thidua::log::witnesses::keep_witnessed;

use crate::both_engines;
use crate::support::http::send;
use crate::support::program::Program;
use crate::support::watch::{LONGEST, watch};
use crate::support::witness::{Manner, Witness};
use crate::support::{Answer, Database, Engine, Person, World, free_address, log_key};

/// A service whose policy names witnesses.
struct Witnessed<'a> {
    world: &'a World,
    db: Db,
    signer: Arc<Signer>,
    base: String,
    server: actix_web::dev::ServerHandle,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    administrator: Person<'a>,
}

fn village() -> Value {
    json!({ "names": [{ "value": "Bản", "from": "2021-01-01" }],
        "kinds": [{ "value": "village", "from": "2021-01-01" }], "exists_from": "2021-01-01" })
}

fn policy(witnesses: &str, quorum: &str) -> String {
    format!("log {}\n{witnesses}{quorum}", log_key().verifier())
}

impl<'a> Witnessed<'a> {
    async fn new(world: &'a World, policy: String) -> Self {
        let anchor = Anchor::at(&world.anchor.path().join("anchor"));
        let keys = LogKeys::new(vec![log_key()], anchor, Some(policy)).unwrap();
        // Its own: a connection ends with the server that opened it.
        let db = world.database.connect().await;
        db.start_sealer();
        let signer = Arc::new(Signer::new(db.clone(), keys));
        signer.start().await.unwrap();
        let verifier = crate::support::verifier(Keys::from_jwks(&world.jwks).unwrap());
        let shared = Shared::new(db.clone(), verifier, Limits::default(), None).await.unwrap();
        let (base, server) = crate::support::serve(&actix_web::web::Data::new(shared.signed_by(signer.clone())));
        let (signing, witnessing) = (signer.clone(), signer.clone());
        let tasks = vec![
            tokio::spawn(async move { signing.keep_signing().await }),
            tokio::spawn(async move { keep_witnessed(witnessing).await }),
        ];
        let administrator = world.person(Role::Administrator, None).await;
        Self { world, db, signer, base, server, tasks, administrator }
    }

    async fn get(&self, path: &str) -> Answer {
        let token = self.administrator.token.as_deref().unwrap();
        send(self.world.client.get(format!("{}{path}", self.base)).bearer_auth(token)).await
    }

    async fn create(&self, prefer: &str) -> Answer {
        let request = self.world.client.post(format!("{}/v1/units", self.base)).json(&village());
        let request = request.bearer_auth(self.administrator.token.as_deref().unwrap()).header("Prefer", prefer);
        send(request.header("Idempotency-Key", thidua::id::new_id().to_string())).await
    }

    /// Registers a unit; its event.
    async fn write(&self) -> Value {
        let made = self.create("").await.is(201);
        let id = made.header("location").unwrap().rsplit('/').next().unwrap().to_owned();
        self.get(&format!("/v1/events?record={id}")).await.is(200).json()["items"][0].clone()
    }

    async fn proof(&self, event: &Value) -> Answer {
        self.get(&format!("/v1/events/{}/proof", event["id"].as_str().unwrap())).await
    }

    /// A proof that whoever holds the policy accepts.
    async fn proven(&self, event: &Value) -> Proven {
        let policy = self.get("/v1/log/policy").await.is(200).text;
        let proof = self.proof(event).await.is(200).text;
        let leaf = event["leaf"].as_str().unwrap();
        let leaf = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, leaf).unwrap();
        tlog_proof::verify(&proof, &leaf, &Policy::parse(policy.as_bytes()).unwrap()).unwrap()
    }

    async fn checkpoint(&self) -> String {
        self.get("/v1/log/checkpoint").await.is(200).text
    }

    async fn end(self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        self.server.stop(false).await;
        drop(self.signer);
        self.db.close().await;
    }
}

/// Waits until it is so.
async fn until(what: &str, so: impl AsyncFn() -> bool) {
    for _ in 0..400 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never: {what}");
}

fn tree(note: &str) -> Checkpoint {
    Note::parse(note).unwrap().text.parse().unwrap()
}

both_engines! {
    async fn a_witness_cosigns_and_proofs_carry_it(world: World) {
        let witness = Witness::new(1);
        let service = Witnessed::new(world, policy(&witness.line("w"), "quorum w\n")).await;
        for _ in 0..3 {
            let event = service.write().await;
            let proven = service.proven(&event).await;
            assert_eq!(proven.cosigned.iter().map(|(key, _)| key).collect::<Vec<_>>(), [witness.key()]);
        }
        let newest = service.checkpoint().await;
        until("the newest checkpoint is cosigned", async || Note::parse(&service.checkpoint().await).unwrap().signatures.len() == 2).await;
        assert_eq!(witness.knows(), tree(&newest).size());
        // Nothing new is nothing to ask.
        let asked = witness.asked();
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(witness.asked(), asked);
        // One that starts again knows from its database what the witness knows.
        let (older, asked) = (tree(&service.checkpoint().await), witness.asked());
        service.end().await;
        let service = Witnessed::new(world, policy(&witness.line("w"), "quorum w\n")).await;
        let event = service.write().await;
        service.proven(&event).await;
        assert!(witness.asked() <= asked + 2, "it was asked from the right size at once");
        // The witness starts again from an older copy, and from nothing.
        for known in [Some(older), None] {
            witness.restart(known);
            let event = service.write().await;
            service.proven(&event).await;
        }
        assert_eq!(service.signer.counts().conflicts(witness.key().name()), 0);
        service.end().await;
        witness.end().await;
    }

    async fn while_a_witness_is_away_the_service_goes_on(world: World) {
        let away = Witness::new(1);
        let line = away.line("w").replace(away.url.trim_start_matches("http://"), &format!("{}/w", free_address()));
        away.end().await;
        let service = Witnessed::new(world, policy(&line, "quorum w\n")).await;
        let event = service.write().await;
        let busy = service.proof(&event).await.problem(503, "busy");
        assert!(busy.header("retry-after").is_some());
        assert_eq!(Note::parse(&service.checkpoint().await).unwrap().signatures.len(), 1);
        // A write that its caller waits for is made; only the proof is not there in time.
        let made = service.create("wait=1").await.is(201);
        assert_eq!((made.header("preference-applied"), made.header("event-proof")), (None, None));
        assert!(made.header("event-id").is_some());
        assert_eq!(service.get("/readyz").await.is(200).json()["status"], "ok");
        service.end().await;
        // Where the policy asks for nobody, nobody is waited for.
        let service = Witnessed::new(world, policy(&line, "quorum none\n")).await;
        service.proven(&event).await;
        service.end().await;
    }

    async fn what_a_witness_invents_is_not_believed(world: World) {
        let manners = [
            Manner::OtherKey, Manner::OtherText, Manner::At(1_000_000_000), Manner::At(u64::MAX >> 1),
            Manner::Says(200, String::new()), Manner::Says(200, "— nobody AAAA\n".into()),
            Manner::Says(200, "x".repeat(100_000)), Manner::Says(409, "many\n".into()),
            Manner::Says(409, "1\n".into()), Manner::Says(403, String::new()), Manner::Says(429, String::new()),
            Manner::Says(500, String::new()), Manner::Redirect("http://127.0.0.1:1/w/add-checkpoint".into()),
        ];
        let liars: Vec<Witness> = (1..).zip(manners).map(|(number, manner)| {
            let witness = Witness::new(number);
            witness.does(manner);
            witness
        }).collect();
        let lines: String = liars.iter().enumerate().map(|(n, witness)| witness.line(&format!("w{n}"))).collect();
        let names: Vec<String> = (0..liars.len()).map(|n| format!("w{n}")).collect();
        let quorum = format!("group any any {}\nquorum any\n", names.join(" "));
        let service = Witnessed::new(world, policy(&lines, &quorum)).await;
        let event = service.write().await;
        service.proof(&event).await.problem(503, "busy");
        for liar in &liars {
            assert!(service.signer.counts().failures(liar.key().name()) > 0, "{}", liar.key());
        }
        assert_eq!(Note::parse(&service.checkpoint().await).unwrap().signatures.len(), 1);
        // The very next honest answer counts.
        liars[0].does(Manner::Honest);
        until("cosigned", async || service.proof(&event).await.status == 200).await;
        service.proven(&event).await;
        service.end().await;
        for liar in liars {
            liar.end().await;
        }
    }

    async fn two_of_three_are_enough(world: World) {
        let witnesses = [Witness::new(1), Witness::new(2), Witness::new(3)];
        let lines: String = ["a", "b", "c"].iter().zip(&witnesses).map(|(name, witness)| witness.line(name)).collect();
        witnesses[0].does(Manner::Says(503, String::new()));
        let service = Witnessed::new(world, policy(&lines, "group g 2 a b c\nquorum g\n")).await;
        let event = service.write().await;
        assert_eq!(service.proven(&event).await.cosigned.len(), 2);
        // With a second one away they are not; what was cosigned before stays proven.
        witnesses[1].does(Manner::Says(503, String::new()));
        let later = service.write().await;
        service.proof(&later).await.problem(503, "busy");
        service.proven(&event).await;
        witnesses[0].does(Manner::Honest);
        until("enough again", async || service.proof(&later).await.status == 200).await;
        service.proven(&later).await;
        service.end().await;
        for witness in witnesses {
            witness.end().await;
        }
    }

    async fn another_history_is_an_alarm_and_with_our_own_signature_the_end(world: World) {
        let witness = Witness::new(1);
        witness.does(Manner::Says(409, "1000000\n".into()));
        let service = Witnessed::new(world, policy(&witness.line("w"), "quorum none\n")).await;
        let event = service.write().await;
        let conflicts = || service.signer.counts().conflicts(witness.key().name());
        until("an alarm", async || conflicts() > 0).await;
        // Anybody can say a number.
        service.write().await;
        service.proven(&event).await;
        let shown = tree(&service.checkpoint().await);
        let signed = |tree: &Checkpoint| note::write(&tree.to_string(), &[log_key().sign(&tree.to_string()).unwrap()]).unwrap();
        // Our own signature under what the database continues changes nothing.
        service.signer.confront(&signed(&shown)).await.unwrap();
        let ahead = Checkpoint::new(shown.origin(), 1_000_000, [9; 32]).unwrap();
        let forged = signed(&ahead).replace("— test", "— other");
        service.signer.confront(&forged).await.unwrap();
        assert_eq!(service.signer.trouble(), None);
        let before = conflicts();
        witness.does(Manner::Says(409, format!("1000000\n{}", signed(&ahead))));
        until("the end", async || service.signer.trouble().is_some()).await;
        assert!(matches!(service.signer.trouble(), Some(Trouble::Behind { signed: 1_000_000, .. })) && conflicts() > before);
        service.get("/v1/log/checkpoint").await.problem(503, "read_only");
        service.create("").await.problem(503, "read_only");
        service.get("/v1/units").await.is(200);
        service.end().await;
        witness.end().await;
    }
}

#[test]
fn only_https_and_this_very_machine_are_asked() {
    let witness = thidua::log::proof::key::SigningKey::from_seed(
        "w.test",
        thidua::log::proof::key::Algorithm::CosignatureV1,
        &[5; 32],
    )
    .unwrap();
    let anchor = || Anchor::at(std::path::Path::new("nowhere"));
    for (url, good) in [
        ("https://witness.example/log", true),
        ("http://127.0.0.1:1/", true),
        ("http://[::1]:1", true),
        ("http://witness.example", false),
        ("http://localhost:1", false),
        ("https://user:secret@witness.example", false),
        ("ftp://witness.example", false),
        ("witness.example", false),
    ] {
        let policy = policy(&format!("witness w {} {url}\n", witness.verifier()), "quorum none\n");
        assert_eq!(LogKeys::new(vec![log_key()], anchor(), Some(policy)).is_ok(), good, "{url}");
    }
}

/// `thidua serve` itself has the witnesses asked and looks at what was sealed; no other test starts it with either.
async fn a_service_asks_its_witnesses_and_samples(engine: Engine) {
    let Some(database) = Database::create(engine).await else { return };
    watch(LONGEST);
    let witness = Witness::new(1);
    let directory = tempfile::tempdir().unwrap();
    let mut program = Program::new(&database.url).await;
    let policy = policy(&witness.line("w"), "quorum w\n");
    program.signs();
    let place = directory.path().join("policy");
    std::fs::write(&place, &policy).unwrap();
    program.environment.push(("THIDUA_LOG_POLICY_FILE".to_owned(), place.display().to_string()));
    let running = program.serve().await;
    assert_eq!(program.get("/v1/log/policy").await.unwrap().is(200).text, policy);
    let made = program.register("one", "Bản").await.unwrap().is(201);
    let events = program.get(&format!("/v1/units/{}/events", made.id())).await.unwrap().is(200).json();
    // It waits for the witness that the policy asks for.
    let proof = program.get(&format!("/v1/events/{}/proof", events["items"][0]["id"].as_str().unwrap())).await;
    proof.unwrap().is(200);
    let counted = |metrics: &str, name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {metrics}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let mut checked = 0.0;
    for _ in 0..100 {
        let metrics = program.get("/metrics").await.unwrap().is(200).text;
        assert!(counted(&metrics, "thidua_log_cosignatures_total{witness=") > 0.0, "{metrics}");
        assert_eq!(counted(&metrics, "thidua_log_rows_differing_total"), 0.0);
        checked = counted(&metrics, "thidua_log_events_checked_total");
        if checked > 0.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(checked > 0.0, "nothing was looked at again");
    drop(running);
    witness.end().await;
    database.remove().await;
}

#[actix_web::test]
async fn a_service_asks_its_witnesses_and_samples_on_sqlite() {
    a_service_asks_its_witnesses_and_samples(Engine::Sqlite).await;
}

#[actix_web::test]
async fn a_service_asks_its_witnesses_and_samples_on_postgres() {
    a_service_asks_its_witnesses_and_samples(Engine::Postgres).await;
}
