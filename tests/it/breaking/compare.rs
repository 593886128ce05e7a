//! What a client of an older contract would feel of a newer one. Additions are not felt: a new operation, an optional
//! parameter, a further member or word of an answer, a wider request.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Which way a value travels: a request may be widened, an answer may say more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Request,
    Answer,
}

/// Every break, once, in order.
pub fn breaks(old: &Value, new: &Value) -> BTreeSet<String> {
    let mut comparison = Comparison { old, new, seen: BTreeSet::new(), found: BTreeSet::new() };
    for (path, item) in members(&old["paths"]) {
        for (method, operation) in members(item).filter(|(method, _)| METHODS.contains(&method.as_str())) {
            let place = format!("{} {path}", method.to_uppercase());
            match new["paths"][path].get(method) {
                Some(now) => comparison.operation(&place, operation, now),
                None => comparison.found(&place, "is gone"),
            }
        }
    }
    comparison.found
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    /// Pairs of named schemas that were compared, each way.
    seen: BTreeSet<(String, String, Way)>,
    found: BTreeSet<String>,
}

impl<'a> Comparison<'a> {
    fn found(&mut self, place: &str, what: &str) {
        self.found.insert(format!("{place}: {what}"));
    }

    fn operation(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        for (word, what) in [("operationId", "operation id"), ("x-permission", "permission")] {
            if old[word] != new[word] {
                self.found(place, &format!("{what} was {}, is {}", old[word], new[word]));
            }
        }
        let security =
            |document: &Value, operation: &Value| operation.get("security").unwrap_or(&document["security"]).clone();
        if security(self.old, old) != security(self.new, new) {
            self.found(place, "asks for other credentials");
        }
        self.parameters(place, &old["parameters"], &new["parameters"]);
        self.body(place, &old["requestBody"], &new["requestBody"]);
        for (status, answer) in members(&old["responses"]) {
            let (answer, place) = (resolved(self.old, answer), format!("{place} {status}"));
            let Some(now) = new["responses"].get(status).map(|now| resolved(self.new, now)) else {
                self.found(&place, "is answered no more");
                continue;
            };
            for (name, _) in members(&answer["headers"]).filter(|(name, _)| now["headers"].get(name).is_none()) {
                self.found(&place, &format!("header {name} is gone"));
            }
            self.media(&place, &answer["content"], &now["content"], Way::Answer);
        }
    }

    fn parameters(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        let name = |parameter: &Value| (parameter["in"].clone(), parameter["name"].clone());
        let told = |parameter: &Value| {
            let word = |key: &str| parameter[key].as_str().unwrap_or_default().to_owned();
            format!("{place} {}/{}", word("in"), word("name"))
        };
        for parameter in items(old) {
            match items(new).find(|now| name(now) == name(parameter)) {
                Some(now) => self.schema(&told(parameter), &parameter["schema"], &now["schema"], Way::Request),
                // What is unknown is refused.
                None => self.found(&told(parameter), "is gone"),
            }
        }
        for parameter in items(new).filter(|now| now["required"] == true) {
            if items(old).find(|old| name(old) == name(parameter)).is_none_or(|old| old["required"] != true) {
                self.found(&told(parameter), "is newly required");
            }
        }
    }

    fn body(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        let place = format!("{place} body");
        match (old.is_object(), new.is_object()) {
            (true, true) => self.media(&place, &old["content"], &new["content"], Way::Request),
            (true, false) => self.found(&place, "is gone"),
            (false, _) => {}
        }
        if new["required"] == true && old["required"] != true {
            self.found(&place, "is newly required");
        }
    }

    fn media(&mut self, place: &str, old: &'a Value, new: &'a Value, way: Way) {
        for (media, content) in members(old) {
            match new.get(media) {
                Some(now) => self.schema(place, &content["schema"], &now["schema"], way),
                None => self.found(place, &format!("{media} is gone")),
            }
        }
    }

    fn schema(&mut self, place: &str, old: &Value, new: &Value, way: Way) {
        let mut place = place.to_owned();
        if let (Some(was), Some(is)) = (old["$ref"].as_str(), new["$ref"].as_str()) {
            // What many operations share is told once.
            if !self.seen.insert((was.to_owned(), is.to_owned(), way)) {
                return;
            }
            let name = was.rsplit('/').next().unwrap_or(was);
            place = format!("{name} in {}", if way == Way::Request { "a request" } else { "an answer" });
        }
        let (old, new) = (whole(self.old, old), whole(self.new, new));
        self.kind(&place, &old, &new, way);
        self.words(&place, &old, &new, way);
        if way == Way::Request {
            self.bounds(&place, &old, &new);
        }
        self.object(&place, &old, &new, way);
        for inner in ["items", "additionalProperties"] {
            if let (Some(was @ Value::Object(_)), Some(is @ Value::Object(_))) = (old.get(inner), new.get(inner)) {
                self.schema(&format!("{place}/*"), was, is, way);
            }
        }
        for choice in ["oneOf", "anyOf"] {
            for branch in old.get(choice).into_iter().flat_map(items) {
                if !new.get(choice).into_iter().flat_map(items).any(|now| self.is_kept(branch, now, way)) {
                    self.found(&place, &format!("one of its forms is gone: {}", brief(branch)));
                }
            }
        }
    }

    /// True if nothing is felt where `new` stands for `old`.
    fn is_kept(&self, old: &Value, new: &Value, way: Way) -> bool {
        let mut alone = Comparison { old: self.old, new: self.new, seen: BTreeSet::new(), found: BTreeSet::new() };
        alone.schema("", old, new, way);
        alone.found.is_empty()
    }

    fn kind(&mut self, place: &str, old: &Map<String, Value>, new: &Map<String, Value>, way: Way) {
        let (was, is) = (kinds(old), kinds(new));
        let (from, to) = if way == Way::Request { (&was, &is) } else { (&is, &was) };
        let fits = |kind: &String| to.contains(kind) || (kind == "integer" && to.contains("number"));
        // Without a type it is anything.
        let fits = to.is_empty() || (!from.is_empty() && from.iter().all(fits));
        if !fits {
            self.found(place, &format!("type was {was:?}, is {is:?}"));
        }
        if old.get("format") != new.get("format") && (way == Way::Answer || new.contains_key("format")) {
            self.found(place, &format!("format was {}, is {}", told(old, "format"), told(new, "format")));
        }
    }

    fn words(&mut self, place: &str, old: &Map<String, Value>, new: &Map<String, Value>, way: Way) {
        match (words(old), words(new)) {
            (Some(was), Some(is)) => {
                for word in was.iter().filter(|word| !is.contains(word)) {
                    self.found(place, &format!("the word {word} is gone"));
                }
            }
            (None, Some(_)) if way == Way::Request => self.found(place, "takes certain words only"),
            (Some(_), None) if way == Way::Answer => self.found(place, "may be any word"),
            _ => {}
        }
    }

    fn bounds(&mut self, place: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        for (bound, tighter) in [("min", 1.0), ("max", -1.0)] {
            for of in ["imum", "Length", "Items", "Properties"] {
                let name = format!("{bound}{of}");
                let size = |schema: &Map<String, Value>| schema.get(&name).and_then(Value::as_f64);
                if size(new).is_some_and(|is| size(old).is_none_or(|was| (is - was) * tighter > 0.0)) {
                    self.found(place, &format!("{name} was {}, is {}", told(old, &name), told(new, &name)));
                }
            }
        }
        for rule in ["pattern", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems"] {
            if new.get(rule).is_some_and(|is| old.get(rule) != Some(is)) {
                self.found(place, &format!("{rule} was {}, is {}", told(old, rule), told(new, rule)));
            }
        }
    }

    fn object(&mut self, place: &str, old: &Map<String, Value>, new: &Map<String, Value>, way: Way) {
        let required = |schema: &Map<String, Value>| -> BTreeSet<String> {
            schema
                .get("required")
                .into_iter()
                .flat_map(items)
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect()
        };
        let (was, is) = (required(old), required(new));
        let closed = new.get("additionalProperties") == Some(&json!(false));
        let none = json!({});
        let now = new.get("properties").unwrap_or(&none);
        for (name, schema) in old.get("properties").into_iter().flat_map(members) {
            let place = format!("{place}/{name}");
            match now.get(name) {
                Some(now) => self.schema(&place, schema, now, way),
                None if way == Way::Answer || closed => self.found(&place, "is gone"),
                None => {}
            }
        }
        match way {
            Way::Request => {
                for name in is.difference(&was) {
                    self.found(&format!("{place}/{name}"), "is newly required");
                }
                if closed && old.get("additionalProperties") != Some(&json!(false)) {
                    self.found(place, "takes no further members");
                }
            }
            Way::Answer => {
                for name in was.difference(&is).filter(|name| now.get(name.as_str()).is_some()) {
                    self.found(&format!("{place}/{name}"), "may be absent");
                }
            }
        }
    }
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value["$ref"].as_str().and_then(|place| document.pointer(place.trim_start_matches('#')));
    target.map_or(value, |target| resolved(document, target))
}

/// The schema without references, and with what `allOf` adds to it.
fn whole(document: &Value, schema: &Value) -> Map<String, Value> {
    let mut whole = resolved(document, schema).as_object().cloned().unwrap_or_default();
    for part in whole.remove("allOf").iter().flat_map(items) {
        for (name, value) in self::whole(document, part) {
            match (name.as_str(), whole.get_mut(&name)) {
                ("properties", Some(Value::Object(have))) => {
                    have.extend(value.as_object().cloned().unwrap_or_default())
                }
                ("required", Some(Value::Array(have))) => have.extend(items(&value).cloned()),
                (_, Some(_)) => {}
                (_, None) => drop(whole.insert(name, value)),
            }
        }
    }
    whole
}

fn kinds(schema: &Map<String, Value>) -> BTreeSet<String> {
    let kind = schema.get("type");
    let several = kind.into_iter().flat_map(items);
    kind.into_iter()
        .filter(|kind| kind.is_string())
        .chain(several)
        .filter_map(|kind| kind.as_str().map(str::to_owned))
        .collect()
}

fn words(schema: &Map<String, Value>) -> Option<Vec<Value>> {
    let one = schema.get("const").map(|word| vec![word.clone()]);
    schema.get("enum").and_then(Value::as_array).cloned().or(one)
}

fn told(schema: &Map<String, Value>, name: &str) -> String {
    schema.get(name).map_or("none".to_owned(), ToString::to_string)
}

fn brief(schema: &Value) -> String {
    let name = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next());
    name.map_or_else(|| schema.to_string().chars().take(80).collect(), str::to_owned)
}
