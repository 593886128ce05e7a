//! A request for each problem code that a request alone can provoke.

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::error::Code;
use thidua::http::limits::{HEADERS, URI};
use uuid::Uuid;

use crate::support::{Answer, Person, World};

/// Who asks, and about what: a figure that is reported, and one that is confirmed.
pub struct Scene<'a> {
    nobody: Person<'a>,
    auditor: Person<'a>,
    committee: Person<'a>,
    officer: Person<'a>,
    draft: Value,
    reported: Answer,
    confirmed: Answer,
}

const FIGURES: &str = "/v1/figures";

impl<'a> Scene<'a> {
    pub async fn new(world: &'a World) -> Self {
        let units = &world.units;
        let committee = world.person(Role::CommuneCommittee, Some(units.commune_a)).await;
        let officer = world.person(Role::LabourOffice, Some(units.province)).await;
        let draft = |year: i32| {
            json!({ "unit": units.village_a, "year": year, "poverty_standard": "2022-2025",
            "counts": { "poor_households": 12, "recognised_by": units.commune_a, "decision_number": "15/QĐ-UBND" } })
        };
        let reported = committee.create_as(FIGURES, "a-key", &draft(2023)).await.is(201);
        let made = committee.create(FIGURES, &draft(2022)).await.is(201);
        let path = format!("{FIGURES}/{}:confirm", made.id());
        let confirmed = officer.change(&path, &made.etag(), &json!({})).await.is(200);
        let (nobody, auditor) = (world.nobody(), world.person(Role::Auditor, None).await);
        Self { nobody, auditor, committee, officer, draft: draft(2024), reported, confirmed }
    }

    /// A request that is answered with this code, and changes nothing.
    pub fn refused(&self, code: Code) -> Option<RequestBuilder> {
        let amendment = || {
            let path = format!("{FIGURES}/{}:amend", self.reported.id());
            self.committee.request("POST", &path).json(&json!({ "counts": {} }))
        };
        Some(match code {
            Code::MalformedBody => self.report("a-new-key").body("{ \"unit\": "),
            Code::UnknownMember => self.report("a-new-key").json(&self.drafted("households", json!(12))),
            Code::WrongType => self.report("a-new-key").json(&self.drafted("year", json!("2024"))),
            Code::InvalidValue => self.report("a-new-key").json(&self.drafted("year", json!(1945))),
            Code::UnsupportedMediaType => {
                let request = self.committee.request("POST", FIGURES).header("Idempotency-Key", "a-new-key");
                request.header("Content-Type", "text/csv").body("unit,year")
            }
            Code::BodyTooLarge => self.report("a-new-key").body(" ".repeat(300 * 1024)),
            Code::InvalidHeader => self.report("a key").json(&self.draft),
            Code::IdempotencyKeyRequired => self.committee.request("POST", FIGURES).json(&self.draft),
            Code::IdempotencyKeyReused => self.report("a-key").json(&self.draft),
            Code::AlreadyExists => self.report("a-new-key").json(&self.drafted("year", json!(2023))),
            Code::InvalidQuery => self.committee.request("GET", "/v1/figures?limit=1000"),
            Code::InvalidCursor => self.committee.request("GET", "/v1/figures?cursor=elsewhere"),
            Code::UriTooLong => self.committee.request("GET", &format!("{FIGURES}?cursor={}", "x".repeat(URI))),
            Code::HeadersTooLarge => self.committee.request("GET", FIGURES).header("X-Long", "x".repeat(HEADERS)),
            Code::AmbiguousUnit => self.committee.request("GET", "/v1/units:resolve?code=03688"),
            Code::Unauthenticated => self.nobody.request("GET", FIGURES),
            Code::Forbidden => {
                let request = self.auditor.request("POST", FIGURES).header("Idempotency-Key", "a-new-key");
                request.json(&self.draft)
            }
            Code::NotFound => self.committee.request("GET", &format!("{FIGURES}/{}", Uuid::nil())),
            Code::NotAcceptable => self.committee.request("GET", FIGURES).header("Accept", "text/csv"),
            Code::MethodNotAllowed => self.committee.request("DELETE", FIGURES),
            Code::InvalidTransition => {
                let path = format!("{FIGURES}/{}:confirm", self.confirmed.id());
                self.officer.request("POST", &path).header("If-Match", self.confirmed.etag())
            }
            Code::PreconditionFailed => amendment().header("If-Match", "\"7.0123456789abcdef\""),
            Code::PreconditionRequired => amendment(),
            _ => return None,
        })
    }

    fn report(&self, key: &str) -> RequestBuilder {
        let request = self.committee.request("POST", FIGURES).header("Idempotency-Key", key);
        request.header("Content-Type", "application/json")
    }

    /// The draft with another member.
    fn drafted(&self, name: &str, value: Value) -> Value {
        let mut draft = self.draft.clone();
        draft[name] = value;
        draft
    }
}
