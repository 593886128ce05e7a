//! Where a record stands and whether the caller answers for it: what decides about one observation or register.
//!
//! Reads what campaigns declare; never what is said.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::NaiveDate;
use uuid::Uuid;

use super::declared::{Declaration, Declared};
use super::owner::Held;
use crate::auth::{Caller, Place, Scope, scope};
use crate::campaigns;
use crate::db::Conn;
use crate::error::{Code, Error};

/// What a record is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The campaign.
    pub campaign: Uuid,
    /// The unit.
    pub unit: Uuid,
    /// The name that the rule set declares.
    pub name: &'a str,
    /// The day at which rights are judged.
    pub day: NaiveDate,
}

/// What the caller is to a record.
#[derive(Clone, Debug)]
pub struct Rights {
    /// The body that owns it, if the rule set names one.
    pub owner: Option<String>,
    /// Its place; the unit that holds the owning body covers it too.
    pub place: Place,
    /// True if the caller acts for the owner.
    pub owns: bool,
}

impl Rights {
    /// What `caller` is to a record at `place`.
    pub fn new(declared: &Declared, about: &About<'_>, place: Place, caller: &Caller) -> Self {
        let owner = declared.owner(about.name, about.day);
        let body = declared.name(about.name, about.day).and_then(Declaration::owner);
        let place = owner.widen(place);
        let owns = owner.is(caller, &place);
        Self { owner: body.map(str::to_owned), place, owns }
    }

    /// 403 unless the caller acts for the owner.
    pub fn require_owner(&self) -> Result<(), Error> {
        if self.owns { Ok(()) } else { Err(Code::Forbidden.into()) }
    }
}

/// What a campaign declares today. An unknown campaign is an invalid value at `/campaign`.
pub async fn declared(conn: &impl Conn, campaign: Uuid) -> Result<Declared, Error> {
    let definition = campaigns::store::definition(conn, campaign).await?;
    let mut rule_sets = Vec::new();
    for round in &definition.rounds {
        rule_sets.push(campaigns::store::rule_set(conn, campaign, &round.id).await?);
    }
    Ok(Declared { definition, rule_sets })
}

/// What the caller is to one record.
pub async fn one(conn: &impl Conn, declared: &Declared, about: &About<'_>, caller: &Caller) -> Result<Rights, Error> {
    let place = scope::place(conn, about.unit, about.day, caller.today).await?;
    Ok(Rights::new(declared, about, place, caller))
}

/// What the caller is to each record of a page, in its order.
pub async fn many(conn: &impl Conn, records: &[About<'_>], caller: &Caller) -> Result<Vec<Rights>, Error> {
    let mut known: HashMap<Uuid, Arc<Declared>> = HashMap::new();
    let at: Vec<(Uuid, NaiveDate)> = records.iter().map(|about| (about.unit, about.day)).collect();
    let places = scope::places(conn, &at, caller.today).await?;
    let mut rights = Vec::with_capacity(records.len());
    for (about, place) in records.iter().zip(places) {
        let declared = match known.get(&about.campaign) {
            Some(declared) => declared.clone(),
            None => {
                let fresh = Arc::new(declared(conn, about.campaign).await?);
                known.entry(about.campaign).or_insert(fresh).clone()
            }
        };
        rights.push(Rights::new(&declared, about, place, caller));
    }
    Ok(rights)
}

/// What the caller sees beyond the subtrees, among the records of these campaigns.
pub async fn held(conn: &impl Conn, campaigns: &[Uuid], scope: &Scope) -> Result<Vec<Held>, Error> {
    let Scope::Units { units, .. } = scope else { return Ok(Vec::new()) };
    let mut held = Vec::new();
    for campaign in campaigns {
        held.extend(declared(conn, *campaign).await?.held(units));
    }
    Ok(held)
}
