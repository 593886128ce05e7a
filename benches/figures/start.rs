//! Start on an existing database, memory when idle and with a thousand connections, size of the binary.

use std::process::Command;
use std::time::Duration;

use thidua::clock::Stopwatch;

use crate::bed::{self, Bed, Running};
use crate::{load, middle};

const STARTS: usize = 10;
const CONNECTIONS: usize = 1_000;

pub async fn run() {
    let bed = Bed::new();
    bed.prepare(&bed.sqlite("start.db")).await;
    engine(&bed, "SQLite", &bed.sqlite("start.db")).await;
    let url = bed::create("thidua_figures_start", None).await;
    bed.prepare(&url).await;
    engine(&bed, "PostgreSQL", &url).await;
    bed::drop_database("thidua_figures_start").await;
    let size = std::fs::metadata(env!("CARGO_BIN_EXE_thidua")).unwrap().len();
    println!("binary: {:.1} MB", size as f64 / 1e6);
    demo(&bed);
}

async fn engine(bed: &Bed, name: &str, url: &str) {
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.push(bed.serve(url, &[]).await.2.as_secs_f64() * 1000.0);
    }
    let (running, address, _) = bed.serve(url, &[]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = running.memory("VmRSS");
    let request = load::get("/v1/activities?limit=50", &bed.reporter);
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = load::Client::connect(&address).await.unwrap();
        assert_eq!(client.ask(&request).await.unwrap().0, 200);
        clients.push(client);
    }
    println!(
        "{name}: start {} ms, idle {idle:.1} MB, {} connections {:.1} MB",
        middle(starts),
        clients.len(),
        running.memory("VmRSS")
    );
}

/// From the command to the line that says where it serves: a new demonstration, and the same one again.
fn demo(bed: &Bed) {
    use std::io::{BufRead, BufReader};
    let directory = bed.path("demo");
    for what in ["new", "again"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
        command.args(["demo", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&directory).env("RUST_LOG", "error");
        let began = Stopwatch::start();
        let mut running = Running(command.stdout(std::process::Stdio::piped()).spawn().unwrap());
        let lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
        let served = lines.map_while(Result::ok).any(|line| line.starts_with("docs URL"));
        assert!(served);
        println!("demo, {what}: {} ms", began.elapsed().as_millis());
    }
}
