//! The contract against the last committed one: what a client would feel is written down in `openapi/breaks.md`, or fails.

mod compare;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use compare::breaks;
use serde_json::{Value, json};

const CONTRACT: &str = "openapi/openapi.json";
const WRITTEN: &str = "openapi/breaks.md";

/// What git says; none if there is no git, no clone, or no such thing in it.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).ok())?
}

/// The newest committed contract that is another one than the present: the last one, or, once that is committed, the one
/// before.
fn last_committed(present: &Value) -> Option<(String, Value)> {
    let commits = git(&["log", "-n", "2", "--format=%H", "--", CONTRACT])?;
    let contracts = commits.lines().filter_map(|commit| {
        let text = git(&["show", &format!("{commit}:{CONTRACT}")])?;
        Some((commit.to_owned(), serde_json::from_str(&text).ok()?))
    });
    contracts.into_iter().find(|(_, contract)| contract != present)
}

/// The breaks that are written down, each with a reason. A line that begins with `…` stands for every break that ends so.
fn written(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("- `"));
    let told = lines.map(|line| {
        let (told, reason) = line.rsplit_once("` because ").unwrap_or_else(|| panic!("{WRITTEN}: no reason: {line}"));
        assert!(reason.len() > 10, "{WRITTEN}: no reason: {line}");
        told.to_owned()
    });
    told.collect()
}

fn unwritten(found: BTreeSet<String>, written: &[String]) -> Vec<String> {
    let stands_for = |line: &String, told: &String| match line.strip_prefix('…') {
        Some(end) => told.ends_with(end),
        None => line == told,
    };
    found.into_iter().filter(|told| !written.iter().any(|line| stands_for(line, told))).collect()
}

#[test]
fn whoever_relied_on_the_last_committed_contract_still_can() {
    let file = |name: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    // That it is what is served is compared in `generated`.
    let present: Value = serde_json::from_str(&file(CONTRACT)).unwrap();
    let written = written(&file(WRITTEN));
    let Some((commit, last)) = last_committed(&present) else {
        let _ = writeln!(std::io::stderr(), "breaking changes: nothing to compare with (no git history of {CONTRACT})");
        return;
    };
    let new = unwritten(breaks(&last, &present), &written);
    let lines: Vec<String> = new.iter().map(|told| format!("- `{told}` because …")).collect();
    assert!(
        lines.is_empty(),
        "clients of {commit} would feel this; if it must be, add to {WRITTEN}:\n{}",
        lines.join("\n")
    );
}

#[test]
fn a_written_break_needs_a_reason_and_may_stand_for_many() {
    let written = written(
        "# Breaks\n- `GET /a: is gone` because nobody ever used it\n- `…: pattern was none, is \"x\"` because it always held\n",
    );
    let found = ["GET /a: is gone", "GET /b: is gone", "A in a request/b: pattern was none, is \"x\""];
    assert_eq!(unwritten(found.map(str::to_owned).into(), &written), ["GET /b: is gone"]);
    assert!(std::panic::catch_unwind(|| super::breaking::written("- `GET /a: is gone`")).is_err());
}

/// A contract with one of everything.
fn contract() -> Value {
    json!({
        "security": [{ "bearer": [] }],
        "paths": { "/a": {
            "get": {
                "operationId": "list_a", "x-permission": "a.read",
                "parameters": [
                    { "in": "query", "name": "limit", "schema": { "type": "integer", "minimum": 1, "maximum": 200 } },
                    { "in": "query", "name": "state", "schema": { "$ref": "#/components/schemas/State" } },
                ],
                "responses": {
                    "200": {
                        "headers": { "ETag": {} },
                        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/View" } } },
                    },
                    "404": { "$ref": "#/components/responses/Absent" },
                },
            },
            "post": {
                "operationId": "make_a",
                "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Draft" } } } },
                "responses": { "201": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/View" } } } } },
            },
        } },
        "components": {
            "responses": { "Absent": { "content": { "application/problem+json": {} } } },
            "schemas": {
                "State": { "type": "string", "enum": ["open", "over"] },
                "Draft": {
                    "type": "object", "required": ["name"], "additionalProperties": false,
                    "properties": {
                        "name": { "type": "string", "maxLength": 9 },
                        "note": { "type": ["string", "null"] },
                        "parts": { "type": "array", "items": { "$ref": "#/components/schemas/Draft" } },
                        "value": { "oneOf": [{ "type": "boolean" }, { "type": "integer" }] },
                    },
                },
                "View": {
                    "allOf": [{ "properties": { "id": { "type": "string", "format": "uuid" } }, "required": ["id"] }],
                    "type": "object", "required": ["state"],
                    "properties": { "state": { "$ref": "#/components/schemas/State" }, "size": { "type": "integer" } },
                },
            },
        },
    })
}

/// What is found when one place of the contract says something else; null takes it away.
fn after(pointer: &str, value: Value) -> Vec<String> {
    let mut new = contract();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/");
    match new.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}")) {
        Value::Array(items) if name == "-" => items.push(value),
        Value::Array(items) if value.is_null() => drop(items.remove(name.parse().unwrap())),
        Value::Object(members) if value.is_null() => assert!(members.shift_remove(&name).is_some(), "{pointer}"),
        Value::Object(members) => drop(members.insert(name, value)),
        other => panic!("{pointer}: {other}"),
    }
    breaks(&contract(), &new).into_iter().collect()
}

#[test]
fn every_kind_of_break_is_found() {
    let get = "/paths/~1a/get";
    let schemas = "/components/schemas";
    let gone = Value::Null;
    for (pointer, value, told) in [
        ("/paths/~1a".to_owned(), gone.clone(), "GET /a: is gone|POST /a: is gone"),
        (get.to_owned(), gone.clone(), "GET /a: is gone"),
        (format!("{get}/operationId"), json!("all_a"), "GET /a: operation id was \"list_a\", is \"all_a\""),
        (format!("{get}/x-permission"), json!("b"), "GET /a: permission was \"a.read\", is \"b\""),
        (format!("{get}/security"), json!([]), "GET /a: asks for other credentials"),
        (
            "/security".to_owned(),
            json!([{ "key": [] }]),
            "GET /a: asks for other credentials|POST /a: asks for other credentials",
        ),
        (format!("{get}/parameters/0"), gone.clone(), "GET /a query/limit: is gone"),
        (format!("{get}/parameters/0/required"), json!(true), "GET /a query/limit: is newly required"),
        (
            format!("{get}/parameters/-"),
            json!({ "in": "header", "name": "Key", "required": true }),
            "GET /a header/Key: is newly required",
        ),
        (format!("{get}/parameters/0/schema/minimum"), json!(2), "GET /a query/limit: minimum was 1, is 2"),
        (format!("{get}/parameters/0/schema/maximum"), json!(100), "GET /a query/limit: maximum was 200, is 100"),
        (format!("{get}/parameters/0/schema/multipleOf"), json!(5), "GET /a query/limit: multipleOf was none, is 5"),
        (format!("{get}/responses/404"), gone.clone(), "GET /a 404: is answered no more"),
        (format!("{get}/responses/200/headers/ETag"), gone.clone(), "GET /a 200: header ETag is gone"),
        (
            "/components/responses/Absent/content/application~1problem+json".to_owned(),
            gone.clone(),
            "GET /a 404: application/problem+json is gone",
        ),
        ("/paths/~1a/post/requestBody/required".to_owned(), json!(true), "POST /a body: is newly required"),
        ("/paths/~1a/post/requestBody".to_owned(), gone.clone(), "POST /a body: is gone"),
        (
            format!("{schemas}/State/enum/1"),
            gone.clone(),
            "State in a request: the word \"over\" is gone|State in an answer: the word \"over\" is gone",
        ),
        (format!("{schemas}/State/enum"), gone.clone(), "State in an answer: may be any word"),
        (
            format!("{schemas}/Draft/properties/name/enum"),
            json!(["a"]),
            "Draft in a request/name: takes certain words only",
        ),
        (format!("{schemas}/Draft/required/-"), json!("note"), "Draft in a request/note: is newly required"),
        (format!("{schemas}/Draft/properties/note"), gone.clone(), "Draft in a request/note: is gone"),
        (
            format!("{schemas}/Draft/properties/note/type"),
            json!("string"),
            "Draft in a request/note: type was {\"null\", \"string\"}, is {\"string\"}",
        ),
        (
            format!("{schemas}/Draft/properties/name/maxLength"),
            json!(8),
            "Draft in a request/name: maxLength was 9, is 8",
        ),
        (
            format!("{schemas}/Draft/properties/name/minLength"),
            json!(1),
            "Draft in a request/name: minLength was none, is 1",
        ),
        (
            format!("{schemas}/Draft/properties/name/pattern"),
            json!("a"),
            "Draft in a request/name: pattern was none, is \"a\"",
        ),
        (
            format!("{schemas}/Draft/properties/name/format"),
            json!("date"),
            "Draft in a request/name: format was none, is \"date\"",
        ),
        (
            format!("{schemas}/Draft/properties/value/oneOf/1"),
            gone.clone(),
            "Draft in a request/value: one of its forms is gone: {\"type\":\"integer\"}",
        ),
        (format!("{schemas}/View/properties/size"), gone.clone(), "View in an answer/size: is gone"),
        (
            format!("{schemas}/View/properties/size/type"),
            json!("string"),
            "View in an answer/size: type was {\"integer\"}, is {\"string\"}",
        ),
        (
            format!("{schemas}/View/properties/size/type"),
            json!(["integer", "null"]),
            "View in an answer/size: type was {\"integer\"}, is {\"integer\", \"null\"}",
        ),
        (format!("{schemas}/View/required/0"), gone.clone(), "View in an answer/state: may be absent"),
        (format!("{schemas}/View/allOf/0/properties/id"), gone.clone(), "View in an answer/id: is gone"),
        (
            format!("{schemas}/View/allOf/0/properties/id/format"),
            gone.clone(),
            "View in an answer/id: format was \"uuid\", is none",
        ),
    ] {
        assert_eq!(after(&pointer, value).join("|"), told, "{pointer}");
    }
    let mut open = contract();
    open["components"]["schemas"]["Draft"].as_object_mut().unwrap().shift_remove("additionalProperties");
    assert_eq!(breaks(&open, &contract()), ["Draft in a request: takes no further members".to_owned()].into());
}

#[test]
fn additions_are_no_breaks() {
    let get = "/paths/~1a/get";
    let schemas = "/components/schemas";
    for (pointer, value) in [
        ("/paths/~1b".to_owned(), json!({ "get": { "operationId": "list_b", "responses": {} } })),
        ("/paths/~1a/delete".to_owned(), json!({ "operationId": "end_a", "responses": {} })),
        (format!("{get}/parameters/-"), json!({ "in": "query", "name": "more", "schema": { "type": "string" } })),
        (format!("{get}/parameters/0/schema/minimum"), json!(0)),
        (format!("{get}/parameters/0/schema/maximum"), Value::Null),
        (format!("{get}/parameters/0/schema/type"), json!("number")),
        (format!("{get}/responses/409"), json!({ "description": "Not now" })),
        (format!("{get}/responses/200/headers/Link"), json!({})),
        (format!("{schemas}/State/enum/-"), json!("new")),
        (format!("{schemas}/Draft/required/0"), Value::Null),
        (format!("{schemas}/Draft/additionalProperties"), json!(true)),
        (format!("{schemas}/Draft/properties/more"), json!({ "type": "string" })),
        (format!("{schemas}/Draft/properties/name/type"), json!(["string", "null"])),
        (format!("{schemas}/Draft/properties/value/oneOf/-"), json!({ "type": "string" })),
        (format!("{schemas}/View/properties/more"), json!({ "type": "string" })),
        (format!("{schemas}/View/required/-"), json!("size")),
        (format!("{schemas}/View/description"), json!("Other words")),
    ] {
        assert_eq!(after(&pointer, value), Vec::<String>::new(), "{pointer}");
    }
}
