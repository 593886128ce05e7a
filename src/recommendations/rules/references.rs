//! Every name in a rule set resolves.
//!
//! Lives here: the checks a JSON Schema cannot make, and the plain refusal of what this version does not serve. Never
//! here: shapes (the schema checks them), what values suit (`values`), or how examples come out (`check`).

use super::model::{Example, Model};
use super::number::Scalar;
use super::schema::{Document, Finding, pointer};
use super::values::{Source, fits, rules, suits, uses};
use super::vocabulary::{OneOrMany, Operator, Rule};

/// All findings about names and values, in document order.
pub(super) fn check(document: &Document, model: &Model) -> Vec<Finding> {
    let mut check = Check { document, model, findings: Vec::new() };
    check.declarations();
    check.legal();
    for (path, rule, combines) in rules(model) {
        rule.visit(&mut path.clone(), &mut |path, rule| check.rule(path, rule, combines));
    }
    check.categories();
    check.awards();
    check.values();
    check.examples();
    let mut findings = check.findings;
    findings.sort();
    findings.dedup();
    findings
}

struct Check<'a> {
    document: &'a Document,
    model: &'a Model,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn add(&mut self, path: &str, reason: String) {
        self.findings.push(self.document.finding(path, reason));
    }

    fn unless(&mut self, known: bool, path: &str, what: &str, name: &str) {
        if !known {
            self.add(path, format!("there is no {what} {name}"));
        }
    }

    fn role(&mut self, path: &str, role: &str) {
        let known = self.model.roles.get(role).is_some();
        self.unless(known, path, "role", role);
    }

    fn law(&mut self, path: &str, id: &str) {
        let known = self.model.rule_set.legal_basis.iter().any(|law| law.id == id);
        self.unless(known, path, "legal basis", id);
    }

    /// Owners, attesters and the fields of records.
    fn declarations(&mut self) {
        let model = self.model;
        for (id, indicator) in model.indicators.iter() {
            self.role(&pointer(&["indicators", id, "owner"]), &indicator.owner);
            if indicator.r#type != "integer" {
                let reason = "decimal indicators are not supported by this version; use a smaller unit";
                self.add(&pointer(&["indicators", id, "type"]), reason.to_owned());
            }
        }
        for (id, question) in model.attestations.iter() {
            self.role(&pointer(&["attestations", id, "by"]), &question.by);
        }
        let attributes = model.attributes.iter().map(|(id, a)| ("attributes", id, &a.owner));
        let dates = model.dates.iter().map(|(id, d)| ("dates", id, &d.owner));
        for (table, id, owner) in attributes.chain(dates) {
            if let Some(owner) = owner {
                self.role(&pointer(&[table, id, "owner"]), owner);
            }
        }
        for (id, record) in model.records.iter() {
            self.role(&pointer(&["records", id, "owner"]), &record.owner);
            for field in record.counts_only_if.keys() {
                let path = pointer(&["records", id, "counts_only_if", field]);
                self.field(&path, id, field);
            }
            for (field, formula) in &record.derived {
                let path = pointer(&["records", id, "derived", field]);
                self.field(&path, id, field);
                match formula.split_once(" <= ") {
                    Some((first, second)) => {
                        self.field(&path, id, first);
                        self.field(&path, id, second);
                    }
                    None => self.add(&path, "only `field <= field` is supported".to_owned()),
                }
            }
        }
        for (index, succession) in model.role_succession.iter().enumerate() {
            let path = pointer(&["role_succession", &index.to_string()]);
            self.role(&path, &succession.role);
            if let Some(successor) = &succession.successor {
                self.role(&path, successor);
            }
        }
    }

    fn field(&mut self, path: &str, records: &str, field: &str) {
        let Some(record) = self.model.records.get(records) else {
            return;
        };
        let known = record.fields.iter().any(|other| other == field);
        self.unless(known, path, &format!("field of {records} named"), field);
    }

    /// Legal bases, and the clauses that readings are about.
    fn legal(&mut self) {
        let model = self.model;
        for (id, parameter) in model.parameters.iter() {
            if let Some(law) = &parameter.decided_by {
                self.law(&pointer(&["parameters", id, "decided_by"]), law);
            }
        }
        for (id, round) in model.rounds.iter() {
            if let Some(law) = &round.law {
                self.law(&pointer(&["rounds", id, "law"]), law);
            }
        }
        if let Some(law) = model.special_path.as_ref().and_then(|p| p.procedure.as_ref()) {
            self.law(&pointer(&["special_path", "procedure"]), law);
        }
        if let Some(rule) = &model.allocation.one_award_per_achievement {
            for (round, law) in rule.law.iter() {
                let path = pointer(&["allocation", "one_award_per_achievement", "law", round]);
                let known = model.rounds.get(round).is_some();
                self.unless(known, &path, "round", round);
                self.law(&path, law);
            }
        }
        for (index, reading) in model.rule_set.readings.iter().enumerate() {
            let path = pointer(&["rule_set", "readings", &index.to_string(), "clause"]);
            for clause in reading.clause.split('-') {
                let known = self.clauses().any(|other| other == clause);
                self.unless(known, &path, "clause", clause);
            }
        }
    }

    fn clauses(&self) -> impl Iterator<Item = &str> {
        let model = self.model;
        let categories = model.categories.iter().map(|(_, c)| c.clause.as_str());
        let criteria = model.criteria.iter().map(|(id, _)| id);
        let rounds = model.rounds.iter().map(|(_, r)| r.clause.as_str());
        let awards = model.awards.iter().map(|(_, a)| a.clause.as_str());
        let special = model.special_path.iter().map(|path| path.clause.as_str());
        categories.chain(criteria).chain(rounds).chain(awards).chain(special)
    }

    fn rule(&mut self, path: &str, rule: &Rule, combines: bool) {
        let operator = match rule {
            Rule::Operator(operator) => operator.as_ref(),
            Rule::Criterion(id) if !combines => {
                let reason = format!("only a category may name the criterion {id}");
                return self.add(path, reason);
            }
            Rule::Criterion(id) => {
                let known = self.model.criteria.get(id).is_some();
                return self.unless(known, path, "criterion", id);
            }
        };
        match operator {
            Operator::Threshold(rule) => self.indicator(path, "threshold/indicator", &rule.indicator),
            Operator::Reduction(rule) => {
                for (index, indicator) in rule.indicators.iter().enumerate() {
                    self.indicator(path, &format!("reduction/indicators/{index}"), indicator);
                    self.dimension(path, indicator, rule.same_dim.as_deref());
                }
                if rule.indicators.is_empty() {
                    self.add(path, "a reduction needs an indicator".to_owned());
                }
            }
            Operator::Duration(rule) => {
                let known = self.model.dates.get(&rule.since).is_some();
                self.unless(known, &format!("{path}/duration/since"), "date", &rule.since);
            }
            Operator::Count(rule) => self.records(path, "count", &rule.records, &rule.r#where, &[]),
            Operator::Every(rule) => {
                self.records(path, "every", &rule.records, &rule.r#where, &rule.all_true);
            }
            Operator::Attested(id) => {
                let known = self.model.attestations.get(id).is_some();
                self.unless(known, &format!("{path}/attested"), "attestation", id);
            }
            Operator::AttributeIn { attribute, values } => self.attribute(path, attribute, values),
            Operator::Expr(_) => {
                let reason = "expr is not supported by this version; state the rule with the other operators";
                self.add(path, reason.to_owned());
            }
            _ => {}
        }
    }

    fn indicator(&mut self, path: &str, part: &str, id: &str) {
        let known = self.model.indicators.get(id).is_some();
        self.unless(known, &format!("{path}/{part}"), "indicator", id);
    }

    fn dimension(&mut self, path: &str, indicator: &str, dimension: Option<&str>) {
        let indicator = self.model.indicators.get(indicator);
        if let (Some(indicator), Some(dimension)) = (indicator, dimension) {
            let known = indicator.dims.iter().any(|other| other == dimension);
            let path = format!("{path}/reduction/same_dim");
            self.unless(known, &path, "dimension", dimension);
        }
    }

    fn records(
        &mut self,
        path: &str,
        operator: &str,
        records: &str,
        wanted: &std::collections::BTreeMap<String, OneOrMany>,
        all_true: &[String],
    ) {
        let known = self.model.records.get(records).is_some();
        self.unless(known, &format!("{path}/{operator}/records"), "kind of record", records);
        for field in wanted.keys() {
            self.field(&format!("{path}/{operator}/where/{field}"), records, field);
        }
        for field in all_true {
            self.field(&format!("{path}/{operator}/all_true"), records, field);
        }
    }

    fn attribute(&mut self, path: &str, attribute: &str, values: &[Scalar]) {
        let Some(kind) = self.model.attributes.get(attribute) else {
            let path = format!("{path}/attribute_in/attribute");
            return self.unless(false, &path, "attribute", attribute);
        };
        for value in values {
            let known = kind.values.contains(value);
            let path = format!("{path}/attribute_in/values");
            self.unless(known, &path, &format!("value of {attribute}:"), &value.to_string());
        }
    }

    fn categories(&mut self) {
        let types = self.model.attributes.get("subject_type");
        for (id, category) in self.model.categories.iter() {
            let combine = pointer(&["categories", id, "combine"]);
            let chooses = category.combine.choose.is_some();
            if category.combine.rule.is_some() == chooses {
                let reason = "give either `rule`, or `choose` and `options`";
                self.add(&combine, reason.to_owned());
            }
            for (index, subject) in category.subjects.iter().enumerate() {
                let known = types.is_none_or(|t| t.values.contains(&Scalar::Text(subject.clone())));
                let path = pointer(&["categories", id, "subjects", &index.to_string()]);
                self.unless(known, &path, "subject type", subject);
            }
            let options = category.combine.options.iter().map(|(_, rule)| rule);
            let under = format!("{}.", category.clause);
            for criterion in options.chain(&category.combine.rule).flat_map(Rule::criteria) {
                if !criterion.starts_with(&under) {
                    let reason = format!("{criterion} is no clause of {}", category.clause);
                    self.add(&combine, reason);
                }
            }
        }
    }

    fn awards(&mut self) {
        for (id, round) in self.model.rounds.iter() {
            for (index, award) in round.awards.iter().enumerate() {
                let known = self.model.awards.get(award).is_some();
                let path = pointer(&["rounds", id, "awards", &index.to_string()]);
                self.unless(known, &path, "award", award);
            }
        }
        if let Some(role) = self.model.special_path.as_ref().and_then(|p| p.dossier_by.as_ref()) {
            self.role(&pointer(&["special_path", "dossier_by"]), role);
        }
        if !self.model.allocation.quotas.is_empty() {
            let reason = "quotas are not supported by this version; leave the list empty";
            self.add(&pointer(&["allocation", "quotas"]), reason.to_owned());
        }
        if !self.model.allocation.ranking.keys.is_empty() {
            let reason = "ranking is not supported by this version; leave its keys empty";
            self.add(&pointer(&["allocation", "ranking", "keys"]), reason.to_owned());
        }
    }

    fn values(&mut self) {
        let model = self.model;
        for used in uses(model) {
            let value = match &used.source {
                Source::Literal(value) => Some(value),
                Source::Parameter(name) => match model.parameters.get(name) {
                    Some(parameter) => parameter.value.as_ref(),
                    None => {
                        self.unless(false, &used.path, "parameter", name);
                        None
                    }
                },
            };
            if let Some(Err(reason)) = value.map(|value| fits(model, value, used.purpose)) {
                let path = match used.source {
                    Source::Literal(_) => used.path,
                    Source::Parameter(name) => pointer(&["parameters", name, "value"]),
                };
                self.add(&path, reason);
            }
        }
    }

    fn examples(&mut self) {
        for (index, example) in self.model.tests.iter().enumerate() {
            self.example(&pointer(&["tests", &index.to_string()]), example);
        }
    }

    fn example(&mut self, path: &str, example: &Example) {
        let model = self.model;
        match (&example.criterion, &example.category) {
            (Some(id), None) => self.unless(model.criteria.get(id).is_some(), path, "criterion", id),
            (None, Some(id)) => self.unless(model.categories.get(id).is_some(), path, "category", id),
            _ => self.add(path, "a test names one criterion or one category".to_owned()),
        }
        for (name, value) in &example.params {
            let path = format!("{path}/params/{name}");
            match model.parameters.get(name) {
                None => self.unless(false, &path, "parameter", name),
                Some(_) => {
                    if let Err(reason) = suits(model, name, value) {
                        self.add(&path, reason);
                    }
                }
            }
        }
        if let Err((key, reason)) = super::check::inputs(model, "", example) {
            self.add(&format!("{path}/data/{key}"), reason);
        }
    }
}
