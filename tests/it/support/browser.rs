//! A real Chromium, driven by the WebDriver protocol through Debian's `chromedriver`.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::blocking::Client;
use serde_json::{Value, json};

use super::{free_address, not_tested, required};

/// Enter, as WebDriver names it.
pub const ENTER: &str = "\u{e007}";
/// Tab.
pub const TAB: &str = "\u{e004}";
/// Arrow down.
pub const DOWN: &str = "\u{e015}";

/// How long something that the page does may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// A browser with one window and a profile of its own; it ends with the test.
pub struct Browser {
    driver: Child,
    session: String,
    client: Client,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser with its session, and the test ends the driver.
        let _ = self.client.delete(&self.session).send();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// True if there is a browser to drive; its absence is a failure where the tools are required.
pub fn is_there(what: &str) -> bool {
    let runs = |tool: &str| {
        let mut command = Command::new(tool);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let there = ["chromium", "chromedriver"].into_iter().all(runs);
    assert!(there || !required("REQUIRE_FAULT_TOOLS"), "chromium or chromedriver is missing");
    if !there {
        not_tested(what, "chromium or chromedriver is missing");
    }
    there
}

impl Browser {
    /// Starts one with a window of this size.
    pub fn start(width: u32, height: u32) -> Self {
        let port = free_address().rsplit_once(':').unwrap().1.to_owned();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let client = Client::builder().timeout(Duration::from_secs(90)).no_proxy().build().unwrap();
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self { driver, session: String::new(), client, _profile: profile };
        let base = format!("http://127.0.0.1:{port}");
        let is_ready = |browser: &Self| {
            browser.client.get(format!("{base}/status")).send().is_ok_and(|answer| answer.status().is_success())
        };
        for _ in 0..200 {
            if is_ready(&browser) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut arguments: Vec<String> = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-proxy-server",
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.push(format!("--user-data-dir={}", browser._profile.path().display()));
        arguments.push(format!("--window-size={width},{height}"));
        let wanted = json!({ "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" } });
        browser.session = format!("{base}/session");
        let begun = browser.send("", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session = format!("{base}/session/{}", begun["sessionId"].as_str().unwrap());
        browser
    }

    fn send(&self, path: &str, body: &Value) -> Value {
        let answer = self.client.post(format!("{}{path}", self.session)).json(body).send().unwrap();
        let mut answer: Value = answer.json().unwrap();
        assert!(answer["value"]["error"].is_null(), "{path} {body}: {}", answer["value"]["message"]);
        answer["value"].take()
    }

    /// Opens an address.
    pub fn open(&self, url: &str) {
        self.send("/url", &json!({ "url": url }));
    }

    /// Back in the history.
    pub fn back(&self) {
        self.send("/back", &json!({}));
    }

    /// Opens the page again.
    pub fn reload(&self) {
        self.send("/refresh", &json!({}));
    }

    /// The value of an expression in the page.
    pub fn value(&self, expression: &str) -> Value {
        self.send("/execute/sync", &json!({ "script": format!("return {expression}"), "args": [] }))
    }

    /// Runs statements in the page.
    pub fn run(&self, script: &str) {
        self.send("/execute/sync", &json!({ "script": script, "args": [] }));
    }

    /// The text of the first element that matches.
    pub fn text(&self, selector: &str) -> String {
        let text = self.value(&format!("document.querySelector({})?.textContent ?? null", json!(selector)));
        text.as_str().unwrap_or_else(|| panic!("no {selector}")).to_owned()
    }

    /// Waits until an expression holds.
    pub fn wait(&self, expression: &str) {
        let begun = thidua::clock::Stopwatch::start();
        while !is_true(&self.value(expression)) {
            let shown = || self.value("document.body.innerText + ' ' + location.href");
            assert!(begun.elapsed() < PATIENCE, "still not {expression}: {}", shown());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until something matches.
    pub fn wait_for(&self, selector: &str) {
        self.wait(&format!("document.querySelector({}) !== null", json!(selector)));
    }

    /// Clicks what matches.
    pub fn click(&self, selector: &str) {
        self.wait_for(selector);
        self.run(&format!("document.querySelector({}).click()", json!(selector)));
    }

    /// Presses keys one after another, wherever the focus is.
    pub fn press(&self, keys: &str) {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })])
            .collect();
        self.send("/actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": strokes }] }));
    }

    /// Presses Tab until the focus is on what matches, as somebody without a mouse does.
    pub fn tab_to(&self, selector: &str) {
        let is_there = format!("document.activeElement?.matches({}) ?? false", json!(selector));
        for _ in 0..120 {
            self.press(TAB);
            if is_true(&self.value(&is_there)) {
                return;
            }
        }
        panic!("Tab does not reach {selector}");
    }

    /// Gives files to a field for files.
    pub fn choose(&self, selector: &str, files: &[&Path]) {
        let found = self.send("/element", &json!({ "using": "css selector", "value": selector }));
        let element = found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
        let paths: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        self.send(&format!("/element/{element}/value"), &json!({ "text": paths.join("\n") }));
    }

    /// Everything that was said in the console since the last call, and what broke the page's policy among it.
    pub fn console(&self) -> Vec<String> {
        let entries = self.send("/se/log", &json!({ "type": "browser" }));
        entries.as_array().unwrap().iter().map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }

    /// The addresses of all requests since the last call.
    pub fn requests(&self) -> Vec<String> {
        let entries = self.send("/se/log", &json!({ "type": "performance" }));
        let messages = entries.as_array().unwrap().iter().filter_map(|entry| entry["message"].as_str());
        let messages = messages.map(|message| serde_json::from_str::<Value>(message).unwrap()["message"].take());
        let sent = messages.filter(|message| message["method"] == "Network.requestWillBeSent");
        sent.map(|message| message["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }

    /// A picture of the page, for who looks at what a test saw.
    pub fn picture(&self, file: &Path) {
        let answer: Value = self.client.get(format!("{}/screenshot", self.session)).send().unwrap().json().unwrap();
        let png = answer["value"].as_str().unwrap();
        let png = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, png).unwrap();
        std::fs::write(file, png).unwrap();
    }
}

fn is_true(value: &Value) -> bool {
    value.as_bool().unwrap_or(false)
}
