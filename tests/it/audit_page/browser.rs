//! A fresh demonstration in a real Chromium: found, read, verified, and what was tampered with refused.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use thidua::canonical::sha256;
use thidua::log::proof::checkpoint::Checkpoint;
use thidua::log::proof::note;
use thidua::log::proof::tree::{leaf_hash, root_of};

use crate::demo::{Running, about};
use crate::support::browser::{Browser, DOWN, ENTER, TAB, is_there};
use crate::support::{ORIGIN, log_key};

/// A demonstration, and a browser at its page.
struct Visit {
    browser: Browser,
    base: String,
    tokens: Value,
    scratch: tempfile::TempDir,
    demo: Running,
}

impl Visit {
    fn start(what: &str, width: u32) -> Option<Self> {
        if !is_there(what) {
            return None;
        }
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("data");
        let demo = Running::start(&directory, &[]);
        let about = about(&directory);
        let base = about["base_url"].as_str().unwrap().to_owned();
        let browser = Browser::start(width, 900);
        browser.open(&format!("{base}/audit"));
        Some(Self { browser, base, tokens: about["tokens"].clone(), scratch, demo })
    }

    /// What the service answers to the auditor.
    fn get(&self, path: &str) -> String {
        let token = self.tokens["auditor"].as_str().unwrap().to_owned();
        let url = format!("{}{path}", self.base);
        // The blocking client cannot live in an asynchronous test's thread.
        let answer = reqwest::blocking::Client::new().get(url).bearer_auth(token).send().unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        answer.text().unwrap()
    }

    fn events(&self, query: &str) -> Vec<Value> {
        let page: Value = serde_json::from_str(&self.get(&format!("/v1/events?{query}"))).unwrap();
        page["items"].as_array().unwrap().clone()
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.scratch.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Verifies these files on the page; what it says.
    fn verify_files(&self, files: &[&Path], verdict: &str) -> String {
        let Self { browser, .. } = self;
        if browser.value("document.getElementById('files') === null") == true {
            browser.open(&format!("{}/audit#/files", self.base));
        }
        browser.click("[data-act=clear-files]");
        browser.wait("document.querySelector('#given li, .verdict') === null");
        browser.choose("#files", files);
        browser.wait(&format!("document.querySelectorAll('#given li').length === {}", files.len()));
        browser.click("[data-act=verify-files]");
        browser.wait_for(".verdict");
        let said = browser.text("#files-result");
        assert_eq!(browser.text(".verdict strong"), verdict, "{said}");
        said
    }

    /// A picture for who wants to look: `THIDUA_PICTURES` names a directory.
    fn picture(&self, name: &str) {
        if let Ok(directory) = std::env::var("THIDUA_PICTURES") {
            self.browser.picture(&Path::new(&directory).join(format!("{name}.png")));
        }
    }

    /// Nothing was said in the console and nobody else was asked.
    fn is_clean(&self) {
        assert_eq!(self.browser.console(), Vec::<String>::new());
        // The browser's own first tab is none of the page's.
        for url in self.browser.requests().iter().filter(|url| !url.starts_with("chrome")) {
            let own = url.starts_with(&format!("{}/", self.base)) || url.starts_with(&format!("blob:{}/", self.base));
            // What a data URL holds is in it: nobody is asked.
            assert!(own || url == "about:blank" || url.starts_with("data:"), "the page asked {url}");
            assert!(!url.contains("eyJ"), "a token stands in {url}");
        }
    }
}

fn leaf(event: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(event["leaf"].as_str().unwrap()).unwrap()
}

const ROWS: &str = "document.querySelectorAll('.events tr[data-position]').length";

#[test]
fn an_auditor_reads_and_verifies_with_the_keyboard_alone() {
    let Some(visit) = Visit::start("the page for auditors", 1280) else { return };
    let Visit { browser, .. } = &visit;
    browser.wait(&format!("{ROWS} === 50"));
    assert!(browser.text("#reader").contains("kiểm toán viên, mọi đơn vị"), "{}", browser.text("#reader"));
    assert_eq!(browser.value("document.documentElement.lang"), "vi");

    // The first stop leads past the head.
    browser.press(TAB);
    assert_eq!(browser.value("document.activeElement.id"), "skip");
    browser.press(ENTER);
    assert_eq!(browser.value("document.activeElement.tagName"), "H1");

    // Another token: forgotten, entered, kept for the tab only.
    browser.reload();
    browser.wait(&format!("{ROWS} === 50"));
    browser.tab_to("#reader button");
    browser.press(ENTER);
    browser.wait("document.activeElement?.id === 'token'");
    browser.wait_for(".empty");
    browser.run("document.getElementById('token').value = ''");
    browser.press(visit.tokens["auditor"].as_str().unwrap());
    browser.press(ENTER);
    browser.wait(&format!("{ROWS} === 50"));
    assert_eq!(browser.value("localStorage.getItem('thidua.audit.token')"), Value::Null);
    assert!(browser.value("sessionStorage.getItem('thidua.audit.token')").is_string());

    // One type of event.
    browser.tab_to("#filter-type");
    while browser.value("document.getElementById('filter-type').value") != "figure.corrected" {
        browser.press(DOWN);
    }
    browser.tab_to("#filter button[type=submit]");
    browser.press(ENTER);
    browser.wait(&format!("{ROWS} === 1"));
    assert!(browser.value("location.hash").as_str().unwrap().contains("type=figure.corrected"));
    assert_eq!(browser.text(".events .of-type span"), "Số liệu: đính chính");

    // By a field that it changed; one that it did not change finds nothing.
    for (field, events) in [("state", 0), ("change_reason", 1)] {
        browser.run("document.getElementById('filter-field').value = ''");
        browser.tab_to("#filter-field");
        browser.press(field);
        browser.press(ENTER);
        browser.wait(&format!("location.hash.includes('field={field}') && {ROWS} === {events}"));
    }

    // One event is verified.
    browser.tab_to(".events .of-details button");
    browser.press(ENTER);
    browser.wait_for(".details");
    assert!(browser.text(".details .changes").contains("change_reason"), "{}", browser.text(".details"));
    assert!(browser.text(".details .changes").contains("được giữ kín"));
    browser.tab_to("[data-act=verify-event]");
    browser.press(ENTER);
    browser.wait_for(".verdict");
    assert_eq!(
        browser.value("document.querySelector('.verdict').dataset.verdict"),
        "ok",
        "{}",
        browser.text(".result")
    );
    assert!(browser.text("#said").starts_with("Đã kiểm chứng"), "it is said: {}", browser.text("#said"));

    visit.picture("event");

    // The record's history.
    browser.reload();
    browser.wait(&format!("{ROWS} === 1"));
    browser.tab_to(".events .of-record a");
    browser.press(ENTER);
    browser.wait_for(".timeline li");
    assert_eq!(browser.value("document.activeElement.tagName"), "H1", "the new view is read from its heading");
    browser.tab_to("[data-act=verify-history]");
    browser.press(ENTER);
    browser.wait_for(".verdict");
    assert_eq!(
        browser.value("document.querySelector('.verdict').dataset.verdict"),
        "ok",
        "{}",
        browser.text(".result")
    );
    visit.picture("history");
    assert!(browser.text(".verdict").contains("Phiên bản 1 đến "), "{}", browser.text(".verdict"));

    // Back to what was found, and before it.
    for rows in [1, 0, 1, 50] {
        browser.back();
        browser.wait(&format!("{ROWS} === {rows}"));
    }
    let first = browser.text(".events .number").parse::<u64>().unwrap();
    browser.click(".paging a[rel=next]");
    browser.wait(&format!("document.querySelector('.events .number')?.textContent === '{}'", first - 50));
    browser.click(".paging a[rel=prev]");
    browser.wait("document.querySelector('.paging a[rel=prev]') === null");

    // The other language stays chosen.
    browser.click("#speak-en");
    browser.wait("document.querySelector('h1').textContent === 'Events'");
    browser.reload();
    browser.wait(&format!("{ROWS} === 50"));
    assert_eq!(browser.value("document.documentElement.lang"), "en");
    assert!(browser.text("#reader").contains("auditor, every unit"));
    visit.is_clean();
    visit.demo.stop();
}

#[test]
fn what_was_tampered_with_is_refused_and_the_place_is_named() {
    let Some(visit) = Visit::start("tampering, on the page for auditors", 1280) else { return };
    let Visit { browser, base, .. } = &visit;
    browser.wait_for(".events");
    browser.click("#speak-en");
    let policy = visit.file("policy", visit.get("/v1/log/policy").as_bytes());
    let event = &visit.events("type=figure.corrected&limit=1")[0];
    let position = event["position"].as_u64().unwrap();
    let id = event["id"].as_str().unwrap();
    let proof_text = visit.get(&format!("/v1/events/{id}/proof"));
    let proof = visit.file("event.tlog-proof", proof_text.as_bytes());
    let good = visit.file("leaf", &leaf(event));
    let said = visit.verify_files(&[&good, &proof, &policy], "Verified");
    assert!(said.contains(&format!("position {position}")) && said.contains("policy in the file"), "{said}");

    // Another value, another place, another checkpoint.
    let text = String::from_utf8(leaf(event)).unwrap();
    let bad = visit.file("bad-leaf", text.replacen("\"ver\":", "\"ver\":1", 1).as_bytes());
    let said = visit.verify_files(&[&bad, &proof, &policy], "NOT verified");
    assert!(said.contains(&format!("First bad position: {position}")), "{said}");
    let moved = proof_text.replacen(&format!("index {position}"), &format!("index {}", position - 1), 1);
    let moved = visit.file("moved.tlog-proof", moved.as_bytes());
    let said = visit.verify_files(&[&good, &moved, &policy], "NOT verified");
    assert!(said.contains(&format!("First bad position: {}", position - 1)), "{said}");
    let mut parts: Vec<&str> = proof_text.split("\n\n").collect();
    let larger = parts[1].replacen('\n', "\n9", 1);
    parts[1] = &larger;
    let forged = visit.file("forged.tlog-proof", parts.join("\n\n").as_bytes());
    let said = visit.verify_files(&[&good, &forged, &policy], "NOT verified");
    assert!(said.contains("signature of demo.thidua.invalid/log is wrong"), "{said}");

    // A history with a hole.
    let record = event["record"]["id"].as_str().unwrap();
    let history = visit.events(&format!("record={record}"));
    assert!(history.len() > 2, "{history:?}");
    let last = history.last().unwrap()["id"].as_str().unwrap();
    let proof = visit.file("last.tlog-proof", visit.get(&format!("/v1/events/{last}/proof")).as_bytes());
    let lines = |events: &[Value]| events.iter().flat_map(|event| [leaf(event), b"\n".to_vec()].concat()).collect();
    let whole: Vec<u8> = lines(&history);
    let whole = visit.file("history.ndjson", &whole);
    let said = visit.verify_files(&[&whole, &proof, &policy], "Verified");
    assert!(said.contains(&format!("Versions 1 to {} of figure/{record}", history.len())), "{said}");
    let holed: Vec<u8> = lines(&[&history[..1], &history[2..]].concat());
    let holed = visit.file("holed.ndjson", &holed);
    let said = visit.verify_files(&[&holed, &proof, &policy], "NOT verified");
    assert!(said.contains("First bad version: 2") && said.contains("follows version 1"), "{said}");

    exports(&visit);
    lies(&visit, record);

    // A checkpoint that this browser saw is not the beginning of the log any more.
    browser.open(&format!("{base}/audit#/checkpoint"));
    browser.wait_for("#newest .verdict.ok");
    browser.wait_for("#kept dl");
    let kept = "JSON.parse(localStorage.getItem('thidua.audit.checkpoint'))";
    browser.run(&format!(
        "const kept = {kept}; const lines = kept.note.split('\\n'); lines[1] = '7'; kept.note = lines.join('\\n');
         localStorage.setItem('thidua.audit.checkpoint', JSON.stringify(kept))"
    ));
    browser.reload();
    browser.wait_for("#newest .verdict.bad");
    visit.picture("refused");
    assert!(browser.text("#newest").contains("the log was rewritten"), "{}", browser.text("#newest"));
    assert_eq!(browser.value(&format!("{kept}.note.split('\\n')[1]")), "7", "what was seen first is not given up");
    visit.is_clean();
    visit.demo.stop();
}

/// An export by a log of our own: the page needs nothing of the service for it.
fn exports(visit: &Visit) {
    let events = visit.events("limit=40");
    let leaves: Vec<Vec<u8>> = events.iter().map(leaf).collect();
    let content: Vec<u8> = leaves.iter().flat_map(|leaf| [leaf.as_slice(), b"\n"].concat()).collect();
    let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
    let checkpoint = Checkpoint::new(ORIGIN, 40, root_of(&hashes)).unwrap().to_string();
    let digest = base64::engine::general_purpose::STANDARD.encode(sha256(&content));
    let bytes = content.len();
    let manifest = format!(
        "thidua.export/1\nlog {ORIGIN}\nexport 01900000-0000-7000-8000-0000000000e1\nfrom 0\nto 40\nevents 40\n\
         bytes {bytes}\nsha256 {digest}\n"
    );
    let signed = |text: &str| note::write(text, &[log_key().sign(text).unwrap()]).unwrap();
    let manifest = format!("{}--\n{}", signed(&manifest), signed(&checkpoint));
    let manifest = visit.file("manifest", manifest.as_bytes());
    let policy = visit.file("own-policy", format!("log {}\nquorum none\n", log_key().verifier()).as_bytes());
    let tiles = visit.file("tiles", &hashes.concat());
    let good = visit.file("export.ndjson", &content);
    let said = visit.verify_files(&[&good, &manifest, &policy], "Verified");
    assert!(said.contains("40 events of ") && said.contains("positions 0 up to, without, 40"), "{said}");
    // An event of which there is one version: only the tiles tell exactly which one was changed.
    let text = String::from_utf8(content).unwrap();
    let mut lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
    lines[23] = lines[23].replacen("\"at\":\"2", "\"at\":\"1", 1);
    let bad = visit.file("bad.ndjson", lines.concat().as_bytes());
    let said = visit.verify_files(&[&bad, &manifest, &policy, &tiles], "NOT verified");
    assert!(said.contains("First bad position: 23"), "{said}");
    lines.remove(23);
    let short = visit.file("short.ndjson", lines.concat().as_bytes());
    let said = visit.verify_files(&[&short, &manifest, &policy], "NOT verified");
    assert!(said.contains("ends after 39 of 40 events"), "{said}");
}

/// A service that shows something else than its leaves say is found out.
fn lies(visit: &Visit, record: &str) {
    let Visit { browser, base, .. } = visit;
    browser.open(&format!("{base}/audit#/record/{record}"));
    browser.wait_for(".timeline li");
    browser.run(
        "const honest = window.fetch;
         window.fetch = async (path, ...rest) => {
           const answer = await honest(path, ...rest);
           if (!String(path).startsWith('/v1/events?')) return answer;
           const page = await answer.json();
           for (const event of page.items) if (event.record.version === 2) event.actor.id = '01900000-0000-7000-8000-000000000001';
           return new Response(JSON.stringify(page), { status: 200 });
         };
         location.hash = '#/files'",
    );
    browser.wait_for("#files");
    browser.run(&format!("location.hash = '#/record/{record}'"));
    browser.wait_for(".timeline li");
    browser.click("[data-act=verify-history]");
    browser.wait_for(".verdict");
    let said = browser.text(".result");
    assert!(said.contains("First bad version: 2") && said.contains("another actor"), "{said}");
    browser.reload();
}

/// Where there is no key, where the log is another one, and where the browser lacks Ed25519, nothing is made up.
fn logs_that_cannot_be_verified(visit: &Visit) {
    let Visit { browser, base, .. } = visit;
    let at_files = || {
        browser.open(&format!("{base}/audit#/files"));
        browser.reload();
        browser.wait_for("#files");
    };
    for (code, said) in [("not_signed", "Nhật ký ở đây không được ký"), ("read_only", "Máy chủ đang chỉ cho đọc")]
    {
        at_files();
        browser.run(&format!(
            "const honest = window.fetch;
             window.fetch = (path, ...rest) => String(path).startsWith('/v1/log/')
               ? Promise.resolve(new Response(JSON.stringify({{ code: '{code}' }}), {{ status: 503 }}))
               : honest(path, ...rest);
             location.hash = '#/checkpoint'"
        ));
        browser.wait_for("#newest .problem");
        assert!(browser.text("#newest .problem").contains(said), "{}", browser.text("#newest"));
    }
    at_files();
    browser.run(
        "SubtleCrypto.prototype.importKey = () => Promise.reject(new DOMException('no', 'NotSupportedError'));
         location.hash = '#/checkpoint'",
    );
    browser.wait_for("#newest .verdict.unknown");
    assert!(browser.text("#newest").contains("không kiểm tra được chữ ký Ed25519"), "{}", browser.text("#newest"));
    browser.reload();
    browser.wait_for("#newest .verdict.ok");
}

#[test]
fn what_the_service_refuses_is_said_in_the_reader_s_language() {
    let Some(visit) = Visit::start("refusals, on the page for auditors", 360) else { return };
    let Visit { browser, base, .. } = &visit;
    browser.wait(&format!("{ROWS} === 50"));
    // Nothing stands outside a narrow screen.
    for view in ["events", "checkpoint", "files"] {
        browser.open(&format!("{base}/audit#/{view}"));
        browser.wait(&format!("document.querySelector('[aria-current]').hash === '#/{view}'"));
        browser.wait("document.querySelector('.loading') === null");
        let wide = browser.value("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(wide, 0, "{view}");
        visit.picture(&format!("narrow-{view}"));
    }
    browser.open(&format!("{base}/audit#/events?type=nothing.ever"));
    browser.wait_for("#list .problem");
    assert!(browser.text("#list .problem").contains("không có loại sự kiện này"), "{}", browser.text("#list"));
    assert!(browser.text("#list .problem").contains("Mã dò tìm: "));
    browser.open(&format!("{base}/audit#/events?record=01900000-0000-7000-8000-000000000001"));
    browser.wait_for("#list .empty");
    logs_that_cannot_be_verified(&visit);
    browser.open(&format!("{base}/audit#/events"));
    browser.run("sessionStorage.setItem('thidua.audit.token', 'nothing')");
    browser.reload();
    browser.wait_for("#reader .problem");
    assert!(browser.text("#reader .problem").contains("Mã không dùng được"), "{}", browser.text("#reader"));
    browser.click("#speak-en");
    browser.wait("document.querySelector('#reader .problem')?.textContent.includes('not valid or has expired')");
    visit.demo.stop();
}
