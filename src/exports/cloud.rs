//! Events as CloudEvents 1.0 in batches (JSON Batch Format), for programs that know those.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::csv::next;
use crate::clock::rfc3339;
use crate::error::Error;
use crate::http::Shared;
use crate::log::proofs;
use crate::log::store::{EventRow, Filter};

/// What a batch is.
pub const MEDIA_TYPE: &str = "application/cloudevents-batch+json";

/// The longest batch, in bytes.
const LONGEST: usize = 1_000_000;

/// What the type of each event begins with.
const PREFIX: &str = "vn.thidua";

/// An event as a CloudEvent; `data` is the leaf.
#[derive(Debug, Serialize, ToSchema)]
pub struct CloudEvent {
    /// The version of CloudEvents.
    #[schema(max_length = 3)]
    pub specversion: &'static str,
    /// The event's id.
    pub id: Uuid,
    /// The log: its origin.
    #[schema(max_length = 300, example = "https://thidua.example/log")]
    pub source: String,
    /// `vn.thidua.` and the event's type.
    #[schema(max_length = 120, example = "vn.thidua.figure.confirmed")]
    pub r#type: String,
    /// The record's type and id.
    #[schema(max_length = 120)]
    pub subject: String,
    /// When it happened, UTC.
    #[schema(format = DateTime)]
    pub time: String,
    /// When it got its position, UTC.
    #[schema(format = DateTime)]
    pub recordedtime: String,
    /// The position, in 20 digits, so that texts are in its order.
    #[schema(min_length = 20, max_length = 20, example = "00000000000000000042")]
    pub sequence: String,
    /// Who acted: `app_user` with an account, `system` at the console.
    #[schema(max_length = 10)]
    pub authtype: &'static str,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub authid: Option<Uuid>,
    /// Trace id of the request that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub correlationid: Option<String>,
    /// What `data` is.
    #[schema(max_length = 20)]
    pub datacontenttype: &'static str,
    /// The leaf.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// Events up to a megabyte.
pub struct Batch {
    /// A JSON array.
    pub body: String,
    /// The position after which the next batch begins, if there may be one.
    pub next: Option<i64>,
}

/// The events after `after` and before `to`, as many as fit.
pub async fn batch(app: &Shared, filter: &Filter, after: i64, to: i64) -> Result<Batch, Error> {
    let source = format!("https://{}", proofs::signer(app)?.origin());
    let (found, mut next) = next(app, filter, after, to).await?;
    let mut body = "[".to_owned();
    let mut last = after;
    for row in &found.rows {
        let event = serde_json::to_string(&event(row, &source)?).map_err(Error::internal)?;
        if body.len() + event.len() + 2 > LONGEST {
            next = Some(last);
            break;
        }
        if body.len() > 1 {
            body.push(',');
        }
        body.push_str(&event);
        last = row.seq;
    }
    body.push(']');
    Ok(Batch { body, next })
}

fn event(row: &EventRow, source: &str) -> Result<CloudEvent, Error> {
    let data: Value = serde_json::from_str(&row.leaf).map_err(Error::internal)?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let id = |value: &Value| value.as_str().and_then(|id| Uuid::parse_str(id).ok());
    let (authtype, authid) = match id(&data["actor"]["id"]) {
        Some(account) => ("app_user", Some(account)),
        None => ("system", None),
    };
    Ok(CloudEvent {
        specversion: "1.0",
        id: id(&data["id"]).ok_or_else(|| Error::internal("a leaf has no id"))?,
        source: source.to_owned(),
        r#type: format!("{PREFIX}.{}", data["type"].as_str().unwrap_or_default()),
        subject: text(&data["stream"]).unwrap_or_default(),
        time: text(&data["at"]).unwrap_or_default(),
        recordedtime: rfc3339(row.sealed_at),
        sequence: format!("{:020}", row.seq),
        authtype,
        authid,
        correlationid: text(&data["corr"]),
        datacontenttype: "application/json",
        data,
    })
}
