//! The page for auditors: its files, its texts, and what it does in a real browser.

mod browser;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;
use thidua::audit_page::{CONTENT_SECURITY_POLICY, FILES, SETUP};
use thidua::auth::Role;

use crate::both_engines;
use crate::support::http::send;

both_engines! {
    async fn every_file_is_served_with_its_type_and_kept_until_it_changes(world: World) {
        let nobody = world.nobody();
        for file in FILES {
            let answer = nobody.get(file.path).await.is(200);
            assert_eq!(answer.text, file.text, "{}", file.path);
            assert_eq!(answer.header("content-type"), Some(file.content_type), "{}", file.path);
            assert_eq!(answer.header("content-security-policy"), Some(CONTENT_SECURITY_POLICY), "{}", file.path);
            assert_eq!(answer.header("cache-control"), Some("no-cache"), "{}", file.path);
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{}", file.path);
            let etag = answer.etag();
            let again = send(nobody.request("GET", file.path).header("If-None-Match", &etag)).await.is(304);
            assert_eq!((again.text.as_str(), again.etag()), ("", etag), "{}", file.path);
            send(nobody.request("GET", file.path).header("If-None-Match", "\"other\"")).await.is(200);
        }
        nobody.get("/audit/../Cargo.toml").await.problem(404, "not_found");
        nobody.get("/audit/package.json").await.problem(404, "not_found");
    }

    async fn what_the_page_is_told_has_the_types_and_no_token_outside_a_demonstration(world: World) {
        let setup = world.nobody().get(SETUP).await.is(200);
        assert_eq!(setup.header("cache-control"), Some("no-store"));
        let setup = setup.json();
        assert_eq!(setup["token"], Value::Null);
        let types: Vec<&str> = setup["types"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        assert!(types.contains(&"figure.*") && types.contains(&"figure.confirmed"), "{types:?}");
        let auditor = world.person(Role::Auditor, None).await;
        for word in types {
            auditor.get(&format!("/v1/events?limit=1&type={word}")).await.is(200);
        }
    }
}

/// Everything in `src/audit_page`.
fn folder() -> Vec<(String, String)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/audit_page");
    let files = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read_to_string(file.path()).unwrap())).collect()
}

#[test]
fn whatever_lies_in_the_folder_is_served_and_stays_small() {
    // Only Node.js asks for that one.
    for (name, text) in folder().iter().filter(|(name, _)| name != "package.json") {
        assert!(FILES.iter().any(|file| file.text == text), "{name} is not served");
        assert!(text.lines().count() < 500, "{name} has 500 lines or more");
    }
}

#[test]
fn nothing_leads_elsewhere_and_nothing_is_read_as_markup() {
    for file in FILES {
        let text = file.text.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        for word in ["http://", "https://", "\"//", "'//", "@import"] {
            assert!(!text.contains(word), "{} has {word}", file.path);
        }
        assert!(!file.path.ends_with(".css") || !text.contains("url("), "{} has url(", file.path);
        for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
            assert!(!text.contains(word), "{} has {word}", file.path);
        }
        for word in ["onclick=", "onload=", "style=", "<style", "javascript:"] {
            assert!(!file.path.ends_with("/audit") || !text.contains(word), "{} has {word}", file.path);
        }
    }
}

/// The dictionary, which is JSON between its braces, and the code of the page without it.
fn texts() -> (serde_json::Map<String, Value>, String) {
    let all: String = FILES.iter().map(|file| file.text).collect::<Vec<_>>().join("\n");
    let start = all.find("WORDS = ").unwrap() + "WORDS = ".len();
    let end = start + all[start..].find("\n};").unwrap() + 2;
    (serde_json::from_str(&all[start..end]).unwrap(), format!("{}{}", &all[..start], &all[end..]))
}

/// The names in braces.
fn facts(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
}

#[test]
fn every_text_is_there_in_both_languages() {
    for (key, both) in &texts().0 {
        let both: Vec<&str> = both.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        let [vi, en] = both[..] else { panic!("{key} has {} texts", both.len()) };
        assert!(!vi.trim().is_empty() && !en.trim().is_empty(), "{key}");
        assert_eq!(facts(vi), facts(en), "{key} tells something in one language only");
        let is_said = facts(vi).iter().fold(vi.to_owned(), |text, fact| text.replace(&format!("{{{fact}}}"), ""));
        let is_word = is_said.chars().any(char::is_alphabetic) && vi != ".tlog-proof";
        assert!(vi != en || !is_word, "{key} is not translated: {vi}");
    }
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || ['.', '_', '$'].contains(&letter)
}

#[test]
fn every_text_that_is_asked_for_is_there() {
    let (words, code) = texts();
    // Plain calls; what is put together out of parts is listed below.
    for call in ["t(\"", "section(\"", "pair(\""] {
        for (place, _) in code.match_indices(call).filter(|(place, _)| !code[..*place].ends_with(is_name)) {
            let key = code[place + call.len()..].split('"').next().unwrap();
            assert!(words.contains_key(key), "{call}{key}\" has no text");
        }
    }
    for code in code.split("new Refused(\"").skip(1).filter_map(|rest| rest.split_once('"')).map(|(code, _)| code) {
        assert!(words.contains_key(&format!("why.{code}")), "why.{code} has no text");
    }
    let composed = ["why.", "noun.", "verb.", "role.", "kind.", "step.policy.", "order.", "problem."];
    for key in words.keys().filter(|key| !composed.iter().any(|prefix| key.starts_with(prefix))) {
        assert!(code.contains(&format!("\"{key}\"")), "nothing says {key}");
    }
}

#[test]
fn every_type_and_role_has_its_word() {
    let (words, _) = texts();
    for word in thidua::rooms::event_types() {
        let (noun, verb) = word.split_once('.').unwrap();
        assert!(words.contains_key(&format!("noun.{noun}")), "noun.{noun} has no text in src/audit_page/words.js");
        let said = verb == "*" || words.contains_key(&format!("verb.{verb}"));
        assert!(said, "verb.{verb} has no text in src/audit_page/words.js");
    }
    for role in Role::ALL {
        assert!(words.contains_key(&format!("role.{}", role.as_str())), "{role} has no text");
    }
}
