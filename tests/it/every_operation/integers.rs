//! Every integer that a body may carry, far out of range: refused with a pointer, and never a failure of the service. Numbers
//! reach canonical JSON, which knows none beyond 2^53 - 1.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Case, call, cases};
use crate::both_engines;
use crate::support::contract::{Contract, Documented, put};

/// One step from what canonical JSON and the columns can hold, on either side, and far beyond.
fn extremes() -> Vec<Value> {
    let exact = 1_i64 << 53;
    vec![
        json!(exact),
        json!(-exact),
        json!(99_999_999_999_999_999_i64),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
    ]
}

/// Where the operation's body may carry one.
fn integers_of(contract: &Contract, operation: &Documented) -> BTreeSet<String> {
    contract.places_in_body(operation, &|schema| Contract::kinds(schema).any(|kind| kind == "integer"))
}

both_engines! {
    async fn no_integer_of_a_body_is_a_failure_of_the_service(world: World) {
        let contract = Contract::served();
        let mut tried = BTreeSet::new();
        for operation in &contract.operations {
            let (id, pointers) = (&operation.id, integers_of(&contract, operation));
            if pointers.is_empty() {
                continue;
            }
            let case = cases::case(world, id).await.unwrap_or_else(|| panic!("{id} has no case"));
            let right = world.person(case.role, case.unit).await;
            for pointer in &pointers {
                for value in extremes() {
                    let (body, place) = put(case.body.clone().unwrap_or_else(|| json!({})), pointer, &value);
                    let answer = call(&right, &operation.method, &Case { body: Some(body), ..case.clone() }).await;
                    assert!(matches!(answer.status, 400 | 422), "{id} {place} {value}: {} {}", answer.status, answer.text);
                    let problem = answer.json();
                    let told = problem["errors"].as_array().unwrap().iter().any(|error| error["pointer"] == place.as_str());
                    assert!(told, "{id} {place} {value}: {problem}");
                }
                tried.insert(format!("{id} {pointer}"));
            }
        }
        for known in [
            "report_figure /counts/poor_households",
            "report_figure /year",
            "report_activity /content/resources/0/cash_vnd",
            "report_observation /content/value_integer",
            "report_observation /content/fields/*",
            "compute_recommendations /log_position",
        ] {
            assert!(tried.contains(known), "{known} was not found: {tried:?}");
        }
    }
}
