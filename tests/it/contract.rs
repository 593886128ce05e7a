//! The contract tells by example, and every example obeys its schema. That the examples of answers are live ones is
//! shown in `every_operation/examples.rs`.

use serde_json::{Value, json};
use thidua::error::Code;

use crate::support::contract::Contract;

#[test]
fn every_operation_has_examples_that_obey_their_schemas() {
    let contract = Contract::served();
    let mut wrong = Vec::new();
    for operation in &contract.operations {
        let request = contract.request_example(operation).map(|example| {
            let schema = &operation.document["requestBody"]["content"]["application/json"]["schema"];
            ("the request", schema, example)
        });
        let responses = operation.document["responses"].as_object().unwrap().iter();
        let successes = responses.filter(|(status, _)| status.starts_with('2'));
        let contents = successes.flat_map(|(_, response)| response["content"].as_object().unwrap());
        // JSON has no example of bytes.
        let contents = contents.filter(|(media_type, _)| *media_type != "application/octet-stream");
        let answers = contents.map(|(_, content)| ("the answer", &content["schema"], &content["example"]));
        for (what, schema, example) in answers.chain(request) {
            let faults = contract.faults(schema, example);
            wrong.extend(faults.into_iter().map(|fault| format!("{} {what}: {fault}", operation.id)));
        }
    }
    assert!(contract.operations.len() > 90, "operations are found");
    assert!(
        wrong.is_empty(),
        "{}\na null stands for no example; live ones are taken by\n  just generate",
        wrong.join("\n")
    );
}

#[test]
fn every_problem_code_has_an_example_in_both_languages() {
    let contract = Contract::served();
    // A documented operation never answers that its method is not allowed.
    for code in Code::ALL.iter().filter(|code| **code != Code::MethodNotAllowed) {
        let response = &contract.document["components"]["responses"][format!("Problem{}", code.status())];
        let problem = &response["content"]["application/problem+json"];
        for (name, title) in [(code.as_str().to_owned(), code.vi()), (format!("{}.en", code.as_str()), code.en())] {
            let example = &contract.resolved(&problem["examples"][&name])["value"];
            let told = json!([example["code"], example["status"], example["title"]]);
            assert_eq!(told, json!([code.as_str(), code.status(), title]));
            let faults = contract.faults(&problem["schema"], example);
            assert!(faults.is_empty(), "{name}: {}", faults.join("; "));
        }
    }
}

#[test]
fn every_schema_is_obeyed_by_the_example_in_it() {
    /// Every schema with an example, by the place where it stands.
    fn walk<'a>(value: &'a Value, at: &str, found: &mut Vec<(String, &'a Value)>) {
        if let Value::Object(members) = value {
            if value["type"].is_string() && value.get("example").is_some() {
                found.push((at.to_owned(), value));
            }
            // What stands in an example is no schema.
            let members = members.iter().filter(|(name, _)| !["example", "examples"].contains(&name.as_str()));
            members.for_each(|(name, member)| walk(member, &format!("{at}/{name}"), found));
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            walk(item, &format!("{at}/{index}"), found);
        }
    }
    let contract = Contract::served();
    let mut schemas = Vec::new();
    walk(&contract.document, "", &mut schemas);
    assert!(schemas.len() > 100, "examples are found");
    let faults = |(at, schema): &(String, &Value)| {
        let faults = contract.faults(schema, &schema["example"]);
        (!faults.is_empty()).then(|| format!("{at}: {}", faults.join("; ")))
    };
    let wrong: Vec<String> = schemas.iter().filter_map(faults).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_response_is_described() {
    let contract = Contract::served();
    for operation in &contract.operations {
        for (status, response) in operation.document["responses"].as_object().unwrap() {
            assert!(contract.resolved(response)["description"].is_string(), "{} {status}", operation.id);
        }
    }
}
