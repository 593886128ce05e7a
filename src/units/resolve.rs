//! Which unit a code or a name stands for, over HTTP.

use actix_web::{HttpRequest, HttpResponse, get};
use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;

use super::http::UnitView;
use super::store::{self, Candidate};
use super::{UnitKind, at};
use crate::auth::Permit;
use crate::auth::policy::permit::ReadUnits;
use crate::db::Conn;
use crate::error::{Code, Error, Fault};
use crate::http::{App, Query, found};

/// A code or a name, and the day on which it was used.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ResolveQuery {
    /// Official code.
    #[garde(length(chars, min = 1, max = 200))]
    #[param(min_length = 1, max_length = 200, example = "03688")]
    code: Option<String>,
    /// Name, with or without diacritics.
    #[garde(length(chars, min = 1, max = 200))]
    #[param(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// The day; without it an ambiguous code or name is refused with the candidates.
    #[garde(skip)]
    #[param(example = "2025-07-01")]
    on: Option<NaiveDate>,
}

/// Finds the one unit that a code or name stands for.
#[utoipa::path(tag = "units", params(ResolveQuery), responses((status = 200, body = UnitView)))]
#[get("/units:resolve")]
pub async fn resolve_unit(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadUnits>,
    query: Query<ResolveQuery>,
) -> Result<HttpResponse, Error> {
    let ResolveQuery { code, name, on } = query.0;
    let (attribute, value) = match (&code, &name) {
        (Some(code), None) => ("code", code),
        (None, Some(name)) => ("name", name),
        _ => {
            let fault = Fault::new("query", "cần đúng một trong hai: code hoặc name", "needs either code or name");
            return Err(Error::at(Code::InvalidQuery, fault));
        }
    };
    let reader = app.db.reader();
    let mut candidates = store::candidates(reader.conn(), attribute, value).await?;
    if let Some(on) = on {
        candidates.retain(|c| c.valid_from <= on && c.valid_to.is_none_or(|to| on <= to));
    }
    let first = candidates.first().ok_or(Code::NotFound)?.unit_id;
    let today = permit.caller.today;
    if candidates.iter().any(|candidate| candidate.unit_id != first) {
        let candidates = named(reader.conn(), &candidates, today).await?;
        return Err(Error::at(Code::AmbiguousUnit, fault(attribute, on)).member("candidates", candidates));
    }
    let row = store::find(reader.conn(), first).await?.ok_or(Code::NotFound)?;
    found(&request, row.version, &UnitView::new(&row, on, &permit.caller)?)
}

fn fault(attribute: &str, on: Option<NaiveDate>) -> Fault {
    let (vi, en) = match on {
        None => ("chỉ nhiều đơn vị; hãy nêu ngày bằng `on`", "stands for several units; give the day as `on`"),
        Some(_) => ("chỉ nhiều đơn vị vào ngày đó; hãy dùng `id`", "stands for several units on that day; use an `id`"),
    };
    Fault::new(format!("query/{attribute}"), vi, en)
}

/// A unit that was perhaps meant, as a person tells it from the others.
#[derive(Serialize)]
struct CandidateView {
    id: Uuid,
    code: Option<String>,
    name: Option<String>,
    kind: Option<UnitKind>,
    /// First day on which it bears what was asked for.
    from: NaiveDate,
    /// Last such day; open if null.
    to: Option<NaiveDate>,
}

/// The candidates as they were on the last of their days, today if that is not over.
async fn named(conn: &impl Conn, candidates: &[Candidate], today: NaiveDate) -> Result<serde_json::Value, Error> {
    let rows = store::of(conn, candidates.iter().map(|candidate| candidate.unit_id)).await?;
    let view = |candidate: &Candidate| {
        let row = rows.iter().find(|row| row.id == candidate.unit_id);
        let draft = row.ok_or_else(|| Error::internal("a candidate without its unit"))?.draft()?;
        let last = candidate.valid_to.unwrap_or(candidate.valid_from.max(today));
        Ok(CandidateView {
            id: candidate.unit_id,
            code: at(&draft.codes, last).cloned(),
            name: at(&draft.names, last).cloned(),
            kind: at(&draft.kinds, last).copied(),
            from: candidate.valid_from,
            to: candidate.valid_to,
        })
    };
    let views: Vec<CandidateView> = candidates.iter().map(view).collect::<Result<_, Error>>()?;
    serde_json::to_value(views).map_err(Error::internal)
}
