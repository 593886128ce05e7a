//! Recommendations over HTTP.

use actix_web::{HttpResponse, post, web};
use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::compute::{self, Asked, Question, Recommendations};
use super::rules::Mode;
use super::store;
use crate::auth::policy::permit::ComputeRecommendations;
use crate::auth::{Permission, Permit, scope};
use crate::error::Error;
use crate::http::{App, Body, Call, Operation, Registry};
use crate::log::seal;

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[Operation {
    id: "compute_recommendations",
    permission: Permission::ComputeRecommendations,
    call: Call::Compute,
    events: &[],
}];

/// The routes of this room.
pub fn routes(config: &mut Registry) {
    config.service(compute_recommendations);
}

/// Whose results are asked for: either a unit's subtree or a list of units.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct RecommendationScope {
    /// Every subject of the round in the subtree of this unit, which exists at the cut-off.
    #[serde(default)]
    #[garde(skip)]
    pub unit: Option<Uuid>,
    /// These units, which exist at the cut-off; one that is named twice is answered once.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 1000)))]
    #[schema(min_items = 1, max_items = 1000)]
    pub subjects: Option<Vec<Uuid>>,
}

/// What is asked of the rules.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "campaign": "01a205b3-d001-7306-a710-04bdc8a0a609", "round": "final",
    "scope": { "unit": "01900000-0000-7000-8000-000000000005" }
}))]
pub struct RecommendationRequest {
    /// The campaign.
    #[garde(skip)]
    pub campaign: Uuid,
    /// The round.
    #[garde(length(chars, min = 1, max = 60))]
    #[schema(min_length = 1, max_length = 60, example = "final")]
    pub round: String,
    /// Whose results.
    #[garde(dive)]
    pub scope: RecommendationScope,
    /// `simulation` if absent: what was only proposed may be used, and the answer is marked.
    #[serde(default)]
    #[garde(skip)]
    pub mode: Option<Mode>,
    /// The last event to be taken into account; the newest if absent.
    #[serde(default)]
    #[garde(inner(range(min = 0)))]
    #[schema(minimum = 0)]
    pub log_position: Option<i64>,
    /// The day of a special case (III.3.4), within the campaign and not to come: asks for the special path instead of the round's categories.
    #[serde(default)]
    #[garde(skip)]
    pub special_on: Option<NaiveDate>,
}

impl RecommendationRequest {
    fn question(&self) -> Result<Question, Error> {
        let scope = match (self.scope.unit, &self.scope.subjects) {
            (Some(unit), None) => Asked::Subtree(unit),
            (None, Some(subjects)) => Asked::Subjects(subjects.clone()),
            _ => {
                return Err(Error::invalid(
                    "/scope",
                    "cần đúng một trong hai: unit hoặc subjects",
                    "needs either unit or subjects",
                ));
            }
        };
        Ok(Question {
            campaign: self.campaign,
            round: self.round.clone(),
            scope,
            mode: self.mode.unwrap_or(Mode::Simulation),
            special_on: self.special_on,
        })
    }
}

/// Computes recommendations with reasons, criterion by criterion. Nothing is stored; asked again at the answer's position, the bytes are the same.
#[utoipa::path(tag = "recommendations", request_body = RecommendationRequest, responses((status = 200, body = Recommendations)))]
#[post("/recommendations")]
pub async fn compute_recommendations(
    app: App,
    permit: Permit<ComputeRecommendations>,
    body: Body<RecommendationRequest>,
) -> Result<HttpResponse, Error> {
    let question = body.value.question()?;
    app.db.settle().await?;
    let reader = app.db.reader();
    let newest = seal::size(reader.conn()).await? - 1;
    let position = body.value.log_position.unwrap_or(newest);
    if position > newest {
        let (vi, en) = ("nhật ký chưa tới vị trí này", "the log has not come to this position");
        return Err(Error::invalid("/log_position", vi, en));
    }
    let knowledge = store::knowledge(reader.conn(), question.campaign, position).await?;
    let store::Said { rules, labels, days } =
        store::said_at(reader.conn(), &knowledge, question.campaign, &question.round).await?;
    compute::check_special(&question, days, permit.caller.today)?;
    let as_of = compute::prepare(&rules, &question)?.as_of();
    // Rights are those of today, for the unit asked about and for each subject that the log puts below it.
    let mut asked = compute::subjects(&rules, &knowledge, &question.scope, as_of);
    if let Asked::Subtree(unit) = &question.scope {
        asked.push(*unit);
    }
    let records: Vec<(Uuid, NaiveDate)> = asked.into_iter().map(|unit| (unit, as_of)).collect();
    for place in scope::places(reader.conn(), &records, permit.caller.today).await? {
        permit.require(&place)?;
    }
    compute::check_scope(&knowledge, &question.scope, as_of)?;
    // Computing is work for a thread that does not also answer requests.
    let answer = web::block(move || compute::answer(&rules, &labels, &knowledge, &question, days.first, position));
    let answer = answer.await.map_err(Error::internal)??;
    Ok(HttpResponse::Ok().content_type("application/json").body(answer))
}
