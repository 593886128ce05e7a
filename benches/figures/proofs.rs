//! From the answer of a write to a verified proof that its event stands in the log.
//!
//! A prober writes, stamps the answer, reads the event of what it wrote (a settled read: the service waits until it is
//! sealed), asks for `/v1/events/{id}/proof` (the service signs a checkpoint that covers it if there is none) and verifies
//! the file with the policy. Only then the time counts: two requests and the verification, on the same two cores.
//!
//! Beside the probers others write: at half of the rate that 16 clients in a closed loop reached just before in the same
//! round, or those 16 clients themselves. The probers' own requests come on top of either. Each prober probes at times of
//! its own; one that is still busy then probes late, so that fewer probes fall into a stall than into its length.
//!
//! The rival is the read alone: what a proof adds to knowing that the event is sealed.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use serde_json::Value;
use thidua::clock::Stopwatch;
use thidua::log::proof::policy::Policy;
use thidua::log::proof::tlog_proof;

use crate::bed::{self, Bed};
use crate::load::{self, Client, Load};
use crate::{Rounds, middle};

const WRITERS: usize = 16;
const PROBERS: usize = 10;
const WRITES: &str = "/v1/revocations";

#[derive(Args)]
pub struct ProofArgs {
    #[command(flatten)]
    rounds: Rounds,
    /// Proofs asked for in a second.
    #[arg(long, default_value_t = 50.0)]
    probes: f64,
}

pub async fn run(args: ProofArgs) {
    let bed = Bed::new();
    for engine in bed::ENGINES {
        measure(&bed, engine, &args).await;
        bed.discard(engine, "proofs").await;
    }
}

/// What the probers of one round brought, in order: at half load, saturated.
#[derive(Default)]
struct Figures {
    median: Vec<f64>,
    tail: Vec<f64>,
    over_read: Vec<f64>,
}

impl Figures {
    fn add(&mut self, Probed { reads, proofs }: Probed, time: Duration) {
        let (reads, proofs) = (Load::new(reads, time), Load::new(proofs, time));
        self.median.push(proofs.millis(0.5));
        self.tail.push(proofs.millis(0.99));
        self.over_read.push(proofs.millis(0.5) / reads.millis(0.5));
    }

    fn say(self, engine: &str, what: &str) {
        println!("{engine}, {what}: p50 {} ms, p99 {} ms", middle(self.median), middle(self.tail));
        println!("  median against a settled read of the event: {}", middle(self.over_read));
    }
}

async fn measure(bed: &Bed, engine: &str, args: &ProofArgs) {
    let url = bed.database(engine, "proofs").await;
    bed.prepare(&url).await;
    let (_running, address) = bed.serve_signed(&url, &bed.log_key(engine)).await;
    let prober = Prober::new(bed, &address).await;
    let (token, body) = (bed.administrator.clone(), bed::revocation().to_string());
    let request = move || load::post(WRITES, &token, &body);
    let time = Duration::from_secs(args.rounds.seconds);
    let (mut half, mut full, mut rates) = (Figures::default(), Figures::default(), Vec::new());
    for _ in 0..args.rounds.rounds {
        load::run(&address, WRITERS, Duration::from_secs(1), 201, request.clone()).await;
        let rate = load::run(&address, WRITERS, time, 201, request.clone()).await.per_second;
        let writing = tokio::spawn({
            let (address, request) = (address.clone(), request.clone());
            async move { load::open(&address, WRITERS, rate / 2.0, time, 201, request).await.per_second }
        });
        half.add(prober.probe(args.probes, time).await, time);
        let reached = writing.await.unwrap() / rate;
        assert!(reached > 0.4, "half load was not reached: {reached:.2} of the rate");
        let writing = tokio::spawn({
            let (address, request) = (address.clone(), request.clone());
            async move { load::run(&address, WRITERS, time, 201, request).await }
        });
        full.add(prober.probe(args.probes, time).await, time);
        writing.await.unwrap();
        rates.push(rate);
    }
    println!("{engine}: {} writes a second with {WRITERS} clients", middle(rates));
    half.say(engine, "commit to verified proof, half load");
    full.say(engine, "commit to verified proof, saturated");
}

/// Microseconds after the answer of the write: until its event was read, until its proof was verified.
#[derive(Default)]
struct Probed {
    reads: Vec<u64>,
    proofs: Vec<u64>,
}

#[derive(Clone)]
struct Prober {
    address: String,
    token: String,
    policy: Arc<Policy>,
}

impl Prober {
    async fn new(bed: &Bed, address: &str) -> Self {
        let mut client = Client::connect(address).await.unwrap();
        let (status, policy) = client.ask(&load::get("/v1/log/policy", &bed.administrator)).await.unwrap();
        assert_eq!(status, 200);
        let policy = Arc::new(Policy::parse(policy).unwrap());
        Self { address: address.to_owned(), token: bed.administrator.clone(), policy }
    }

    async fn probe(&self, per_second: f64, time: Duration) -> Probed {
        let began = Stopwatch::start();
        let probers: Vec<_> = (0..PROBERS)
            .map(|number| {
                let prober = self.clone();
                tokio::spawn(async move { prober.keep_probing(number, per_second, began, time).await })
            })
            .collect();
        let mut all = Probed::default();
        for prober in probers {
            let probed = prober.await.unwrap();
            all.reads.extend(probed.reads);
            all.proofs.extend(probed.proofs);
        }
        all
    }

    async fn keep_probing(&self, first: usize, per_second: f64, began: Stopwatch, time: Duration) -> Probed {
        let mut client = Client::connect(&self.address).await.unwrap();
        let mut probed = Probed::default();
        for number in (first..).step_by(PROBERS) {
            let due = Duration::from_secs_f64(number as f64 / per_second);
            if due >= time {
                break;
            }
            tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
            let (read, proven) = self.once(&mut client).await;
            probed.reads.push(u64::try_from(read.as_micros()).unwrap());
            probed.proofs.push(u64::try_from(proven.as_micros()).unwrap());
        }
        probed
    }

    async fn once(&self, client: &mut Client) -> (Duration, Duration) {
        let write = load::post(WRITES, &self.token, &bed::revocation().to_string());
        let (status, body) = client.ask(&write).await.unwrap();
        let answered = Stopwatch::start();
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(body));
        let written: Value = serde_json::from_slice(body).unwrap();
        let path = format!("{WRITES}/{}/events", written["id"].as_str().unwrap());
        let page: Value = serde_json::from_slice(self.get(client, &path).await).unwrap();
        let read = answered.elapsed();
        let event = &page["items"][0];
        let leaf = URL_SAFE_NO_PAD.decode(event["leaf"].as_str().unwrap()).unwrap();
        let path = format!("/v1/events/{}/proof", event["id"].as_str().unwrap());
        let proof = std::str::from_utf8(self.get(client, &path).await).unwrap();
        let proven = tlog_proof::verify(proof, &leaf, &self.policy).unwrap();
        assert_eq!(Some(proven.index), event["position"].as_u64());
        (read, answered.elapsed())
    }

    async fn get<'c>(&self, client: &'c mut Client, path: &str) -> &'c [u8] {
        let (status, body) = client.ask(&load::get(path, &self.token)).await.unwrap();
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(body));
        body
    }
}
