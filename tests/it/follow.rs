//! Following the log: a long poll, and server-sent events that miss, repeat and reorder nothing.

use std::time::Duration;

use serde_json::{Value, json};
use socket2::SockRef;
use thidua::auth::Role;
use thidua::clock::Stopwatch;
use thidua::id::new_id;
use thidua::units::{Dated, UnitKind, store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::both_engines;
use crate::support::http::send;
use crate::support::{Person, World, day, log_key, unit};

/// What a follower receives.
struct Stream {
    response: reqwest::Response,
    text: String,
}

#[derive(Debug, Default, PartialEq)]
struct Sent {
    id: Option<i64>,
    event: String,
    data: Value,
}

impl Stream {
    async fn open(person: &Person<'_>, query: &str, last: Option<i64>) -> Self {
        let request = person.request("GET", &format!("/v1/events/stream{query}"));
        let request = if let Some(last) = last { request.header("Last-Event-ID", last.to_string()) } else { request };
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next event; `None` at the end. Comments are passed over.
    async fn next(&mut self) -> Option<Sent> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let mut sent = Sent::default();
                for line in block.lines() {
                    match line.split_once(": ") {
                        Some(("id", id)) => sent.id = Some(id.parse().unwrap()),
                        Some(("event", event)) => sent.event = event.to_owned(),
                        Some(("data", data)) => sent.data = serde_json::from_str(data).unwrap(),
                        _ => {}
                    }
                }
                self.text = rest.to_owned();
                if !sent.event.is_empty() {
                    return Some(sent);
                }
                continue;
            }
            let chunk = self.response.chunk().await.ok().flatten()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event that is no checkpoint.
    async fn event(&mut self) -> Option<Sent> {
        loop {
            let sent = self.next().await?;
            if sent.event != "checkpoint" {
                return Some(sent);
            }
        }
    }
}

async fn register(world: &World) -> bool {
    let console = thidua::commands::grant::console();
    let written = world.db.record(&console, async |tx: &thidua::db::WriteTx<'_>| {
        store::register(tx, new_id(), &unit("Bản", UnitKind::Village, None)).await?;
        Ok(thidua::db::Outcome::Changed(()))
    });
    written.await.is_ok()
}

async fn size(world: &World) -> i64 {
    world.db.settle().await.unwrap();
    thidua::log::seal::size(world.db.reader().conn()).await.unwrap()
}

/// Everything that is sent until the service ends it.
async fn until_the_end(mut stream: Stream) -> String {
    while let Some(chunk) = stream.response.chunk().await.unwrap() {
        stream.text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    stream.text
}

/// Units with a long past: large events, of which each byte is a letter.
async fn register_old_ones(world: &World, units: usize) -> bool {
    let first = day("2021-01-01");
    let mut draft = unit("Ban", UnitKind::Village, None);
    draft.names = first.iter_days().take(60).map(|day| Dated::new("Ban".to_owned(), day, Some(day))).collect();
    let console = thidua::commands::grant::console();
    let written = world.db.record(&console, async |tx: &thidua::db::WriteTx<'_>| {
        for _ in 0..units {
            store::register(tx, new_id(), &draft).await?;
        }
        Ok(thidua::db::Outcome::Changed(()))
    });
    written.await.is_ok()
}

/// One who asks for everything and reads nothing of it, once nothing more can be sent.
async fn deaf(person: &Person<'_>) -> TcpStream {
    let address = person.world.base.strip_prefix("http://").unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    // So little room that what there is does not go into it.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let token = person.token.as_ref().unwrap();
    let asked = format!("GET /v1/events/stream HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(asked.as_bytes()).await.unwrap();
    stream.readable().await.unwrap();
    stream
}

/// Bytes that the service holds for this one at the other end, as the system says.
fn waiting(stream: &TcpStream) -> usize {
    let (service, own) = (stream.peer_addr().unwrap().port(), stream.local_addr().unwrap().port());
    let (from, to) = (format!(":{service:04X}"), format!(":{own:04X}"));
    let all = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let mut lines = all.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|words| words[1].ends_with(&from) && words[2].ends_with(&to)).expect("a connection");
    usize::from_str_radix(line[4].split(':').next().unwrap(), 16).unwrap()
}

both_engines! {
    async fn silence_is_broken_by_a_heartbeat_and_a_right_that_is_gone_ends_it(world: World) {
        let (staying, leaving) = (world.person(Role::Auditor, None).await, world.person(Role::CommuneCommittee, Some(world.units.commune_a)).await);
        let administrator = world.person(Role::Administrator, None).await;
        let after = size(world).await - 1;
        let beats = async {
            let mut stream = Stream::open(&staying, "", Some(after)).await;
            while !stream.text.contains("\n:\n\n") {
                let chunk = stream.response.chunk().await.unwrap().expect("it goes on");
                stream.text.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        };
        let ends = async {
            let stream = Stream::open(&leaving, "", Some(after)).await;
            let grants = administrator.get(&format!("/v1/grants?account={}", leaving.account)).await.is(200).json();
            let path = format!("/v1/grants/{}", grants["items"][0]["id"].as_str().unwrap());
            let etag = administrator.get(&path).await.is(200).etag();
            administrator.change(&format!("{path}:end"), &etag, &json!({ "reason": "Chuyển công tác" })).await.is(200);
            until_the_end(stream).await
        };
        let ((), sent) = tokio::join!(beats, ends);
        assert!(sent.starts_with("retry: "), "{sent}");
        let refused = leaving.request("GET", "/v1/events/stream").send().await.unwrap();
        assert_eq!(refused.status().as_u16(), 403);
    }

    async fn whoever_waits_is_answered_as_soon_as_something_comes(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let after = size(world).await - 1;
        let began = Stopwatch::start();
        let empty = auditor.get(&format!("/v1/events?after={after}&wait=1")).await.is(200).json();
        assert_eq!((&empty["items"], &empty["caught_up"]), (&json!([]), &json!(true)));
        assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
        let waiting = format!("/v1/events?after={after}&wait=20");
        let (page, _) = tokio::join!(auditor.get(&waiting), async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            register(world).await
        });
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        assert_eq!(page.is(200).json()["items"][0]["position"], after + 1);
        // The place of a follower moves on, also past what it does not ask for.
        let none = auditor.get(&format!("/v1/events?after={after}&type=figure.*&wait=1")).await.is(200).json();
        let on = format!("/v1/events?after={after}&type=figure.*&wait=1&cursor={}", none["next_cursor"].as_str().unwrap());
        assert_eq!(auditor.get(&on).await.is(200).json()["items"], json!([]));
        for refused in ["wait=0", "wait=26", "wait=1&order=desc", "wait=1&upto=3"] {
            auditor.get(&format!("/v1/events?{refused}")).await.problem(400, "invalid_query");
        }
    }

    async fn a_follower_under_sixteen_writers_misses_repeats_and_reorders_nothing_over_sse(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let start = size(world).await;
        let writers = (0..16).map(|_| async {
            let mut written = 0;
            for _ in 0..10 {
                written += i64::from(register(world).await);
            }
            written
        });
        // It loses its connection again and again, and comes back where it was.
        let follower = async {
            let (mut seen, mut last) = (Vec::new(), start - 1);
            while seen.len() < 160 {
                let mut stream = Stream::open(&auditor, "", Some(last)).await;
                for _ in 0..37 {
                    if seen.len() == 160 {
                        break;
                    }
                    let sent = stream.event().await.unwrap();
                    last = sent.id.unwrap();
                    assert_eq!((sent.data["position"].as_i64(), sent.data["type"].as_str()), (Some(last), Some(&*sent.event)));
                    seen.push(last);
                }
            }
            seen
        };
        let (written, seen) = tokio::join!(futures_util::future::join_all(writers), follower);
        assert_eq!(written.iter().sum::<i64>(), 160);
        assert_eq!(seen, (start..start + 160).collect::<Vec<_>>(), "dense, in order, each once");
        // The same over a stream that is asked for its end.
        let mut stream = Stream::open(&auditor, &format!("?after={}&limit=160", start - 1), None).await;
        let mut again = Vec::new();
        while let Some(sent) = stream.event().await {
            again.push(sent.id.unwrap());
        }
        assert_eq!(again, seen);
    }

    async fn nobody_waits_for_followers_who_read_nothing(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        for _ in 0..10 {
            assert!(register_old_ones(world, 50).await);
        }
        let before = size(world).await;
        // More of them than threads that serve.
        let mut deaf_ones = Vec::new();
        for _ in 0..6 {
            deaf_ones.push(deaf(&auditor).await);
        }
        let mut stream = Stream::open(&auditor, "", None).await;
        let mut sent = 0;
        for position in 0..before + 5 {
            if position >= before {
                assert!(register(world).await);
            }
            let event = stream.event().await.unwrap();
            assert_eq!(event.id, Some(position));
            sent += event.data.to_string().len();
        }
        for deaf in &deaf_ones {
            let waiting = waiting(deaf);
            assert!(waiting > 0 && waiting < sent * 9 / 10, "{waiting} of {sent} bytes: the system holds all there is");
        }
        // Nobody was cut off for the others to go on, and whoever begins to read after all is sent the rest.
        let mut reading = deaf_ones.pop().unwrap();
        SockRef::from(&reading).set_recv_buffer_size(1 << 20).unwrap();
        let (mut text, last) = (String::new(), format!("\nid: {}\n", before + 4));
        while !text.contains(&last) {
            let mut part = vec![0; 65_536];
            let length = reading.read(&mut part).await.unwrap();
            assert!(length > 0, "it ended too early");
            // The last of what was read before may be the first half of what is looked for.
            text = text.split_off(text.floor_char_boundary(text.len().saturating_sub(last.len())));
            text.push_str(&String::from_utf8_lossy(&part[..length]));
        }
    }

    async fn checkpoints_come_after_the_events_that_they_cover(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let mut stream = Stream::open(&auditor, "", None).await;
        let mut last = -1;
        for _ in 0..3 {
            assert!(register(world).await);
            let events = size(world).await;
            world.shared.signer.as_ref().unwrap().covering(u64::try_from(events).unwrap()).await.unwrap();
            let checkpoint = loop {
                let sent = stream.next().await.unwrap();
                match sent.id {
                    Some(id) => {
                        assert_eq!(id, last + 1);
                        last = id;
                    }
                    None if sent.data["size"].as_i64().unwrap() < events => {}
                    None => break sent,
                }
            };
            assert_eq!(checkpoint.event, "checkpoint");
            let covered = checkpoint.data["size"].as_i64().unwrap();
            assert!(covered <= last + 1, "{covered} after {last}");
            let keys = [log_key().verifier().clone()];
            thidua::log::proof::note::open(checkpoint.data["note"].as_str().unwrap(), &keys).unwrap();
        }
    }

    async fn whoever_was_further_than_the_log_is_told(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        assert!(register(world).await);
        let end = size(world).await;
        let last = end - 1;
        assert_eq!(auditor.get(&format!("/v1/events?after={last}")).await.is(200).json()["items"], json!([]));
        drop(Stream::open(&auditor, "", Some(last)).await);
        // As after an older copy was restored.
        for (path, header) in [
            (format!("/v1/events?after={end}"), None),
            (format!("/v1/events?after={end}&wait=1"), None),
            (format!("/v1/events/stream?after={end}"), None),
            ("/v1/events/stream".to_owned(), Some(end)),
        ] {
            let mut request = auditor.request("GET", &path);
            if let Some(position) = header {
                request = request.header("Last-Event-ID", position.to_string());
            }
            let answer = send(request).await.problem(410, "gone");
            assert_eq!(answer.json()["size"], end, "{path}");
        }
    }

    async fn a_follower_sees_what_a_list_shows(world: World) {
        let reporter = world.person(Role::UnitReporter, Some(world.units.district)).await;
        for village in [world.units.village_a, world.units.village_b] {
            let body = json!({ "unit": village, "year": 2023, "poverty_standard": "2022-2025", "counts": { "poor_households": 1 } });
            reporter.create("/v1/figures", &body).await.is(201);
        }
        let committee = world.person(Role::CommuneCommittee, Some(world.units.village_a)).await;
        let list = committee.get("/v1/events?limit=200").await.is(200).json()["items"].as_array().unwrap().clone();
        let mut stream = Stream::open(&committee, &format!("?limit={}", list.len()), None).await;
        for event in &list {
            assert_eq!(&stream.event().await.unwrap().data, event);
        }
        assert_eq!(stream.next().await, None);
        let mut figures = Stream::open(&committee, "?type=figure.*&limit=1", None).await;
        assert_eq!(figures.event().await.unwrap().data["unit"], json!(world.units.village_a));
    }

    async fn a_stream_ends_with_its_token_with_the_process_and_for_whoever_only_asks(world: World) {
        let mut auditor = world.person(Role::Auditor, None).await;
        for (header, value) in [("Last-Event-ID", "x"), ("Last-Event-ID", "-1"), ("Last-Event-ID", "99999999999999999999")] {
            let refused = auditor.request("GET", "/v1/events/stream").header(header, value);
            crate::support::http::send(refused).await.problem(400, "invalid_header");
        }
        auditor.get("/v1/events/stream?type=castle.built").await.problem(400, "invalid_query");
        world.nobody().get("/v1/events/stream").await.problem(401, "unauthenticated");
        let head = crate::support::http::send(auditor.request("HEAD", "/v1/events/stream")).await.is(200);
        assert_eq!(head.text, "");

        let subject = "auditor-";
        auditor.token = Some(world.token_for(subject, 2));
        let began = Stopwatch::start();
        let mut stream = Stream::open(&auditor, "", None).await;
        while stream.next().await.is_some() {}
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

        auditor.token = Some(world.token(subject));
        let mut stream = Stream::open(&auditor, "", None).await;
        let (_, began) = tokio::join!(async { while stream.next().await.is_some() {} }, async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            world.shared.news.stop();
            Stopwatch::start()
        });
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
}
