//! The only list of rooms: routes, operations and kinds of record.

use std::collections::{BTreeMap, BTreeSet};

use crate::http::{Operation, Routes};
use crate::log::rebuild::Kind;
use crate::{
    activities, attestations, campaigns, disclosures, erasures, exports, figures, findings, grants, http, initiatives,
    log, nominations, obligations, observations, recommendations, registers, revocations, units,
};

/// A noun of the domain.
pub struct Room {
    /// Its routes under `/v1`.
    pub routes: Routes,
    /// What the contract says of its operations.
    pub operations: &'static [Operation],
    /// Its records.
    pub kinds: &'static [Kind],
}

/// Every room, in reading order.
pub const ROOMS: &[Room] = &[
    Room {
        routes: units::http::routes,
        operations: units::http::OPERATIONS,
        kinds: &[Kind::of::<units::store::unit::Model>(), Kind::of::<units::store::succession::Model>()],
    },
    Room {
        routes: campaigns::http::routes,
        operations: campaigns::http::OPERATIONS,
        kinds: &[Kind::of::<campaigns::store::campaign::Model>()],
    },
    Room {
        routes: grants::http::routes,
        operations: grants::http::OPERATIONS,
        kinds: &[Kind::of::<grants::store::account::Model>(), Kind::of::<grants::store::role_grant::Model>()],
    },
    Room {
        routes: revocations::http::routes,
        operations: revocations::http::OPERATIONS,
        kinds: &[Kind::of::<revocations::store::revocation::Model>()],
    },
    Room {
        routes: figures::http::routes,
        operations: figures::http::OPERATIONS,
        kinds: &[Kind::of::<figures::store::figure::Model>()],
    },
    Room {
        routes: activities::http::routes,
        operations: activities::http::OPERATIONS,
        kinds: &[Kind::of::<activities::store::activity::Model>()],
    },
    Room {
        routes: initiatives::http::routes,
        operations: initiatives::http::OPERATIONS,
        kinds: &[Kind::of::<initiatives::store::initiative::Model>()],
    },
    Room {
        routes: obligations::http::routes,
        operations: obligations::http::OPERATIONS,
        kinds: &[Kind::of::<obligations::store::obligation::Model>()],
    },
    Room {
        routes: observations::http::routes,
        operations: observations::http::OPERATIONS,
        kinds: &[Kind::of::<observations::store::observation::Model>()],
    },
    Room {
        routes: registers::http::routes,
        operations: registers::http::OPERATIONS,
        kinds: &[Kind::of::<registers::store::register::Model>()],
    },
    Room {
        routes: attestations::http::routes,
        operations: attestations::http::OPERATIONS,
        kinds: &[Kind::of::<attestations::store::attestation::Model>()],
    },
    Room {
        routes: nominations::http::routes,
        operations: nominations::http::OPERATIONS,
        kinds: &[Kind::of::<nominations::store::nomination::Model>()],
    },
    Room { routes: recommendations::http::routes, operations: recommendations::http::OPERATIONS, kinds: &[] },
    Room { routes: findings::http::routes, operations: findings::http::OPERATIONS, kinds: &[] },
    Room { routes: log::record::routes, operations: log::record::OPERATIONS, kinds: &[] },
    Room { routes: log::http::routes, operations: log::http::OPERATIONS, kinds: &[] },
    Room {
        routes: disclosures::http::routes,
        operations: disclosures::http::OPERATIONS,
        kinds: &[Kind::of::<disclosures::store::disclosure::Model>()],
    },
    Room {
        routes: erasures::http::routes,
        operations: erasures::http::OPERATIONS,
        kinds: &[Kind::of::<erasures::store::erasure::Model>()],
    },
    Room {
        routes: exports::http::routes,
        operations: exports::http::OPERATIONS,
        kinds: &[Kind::of::<exports::store::export::Model>()],
    },
    Room {
        routes: log::proofs::routes,
        operations: log::proofs::OPERATIONS,
        kinds: &[Kind::of::<log::keys::store::log_key::Model>()],
    },
    Room { routes: http::health::routes, operations: http::health::OPERATIONS, kinds: &[] },
];

/// Events that commands write at the console, by command.
pub const CONSOLE: &[(&str, &[&str])] = &[
    (
        "`thidua campaign load`",
        &["campaign.loaded", "campaign.revised", "unit.registered", "unit.amended", "succession.recorded"],
    ),
    ("`thidua grant`", &["account.registered", "grant.given"]),
    ("`thidua log rotate-key`", &["log.key_rotated"]),
];

/// Every operation that needs a permission.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    ROOMS.iter().flat_map(|room| room.operations)
}

/// Every event that there can be, and what writes it: operations and commands.
pub fn events() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut written: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let writers = operations().map(|operation| (operation.id, operation.events));
    for (writer, events) in writers.chain(CONSOLE.iter().copied()) {
        for event in events {
            written.entry(event).or_default().push(writer);
        }
    }
    written
}

/// Every type of event, and `record.*` for all types of a record.
pub fn event_types() -> Vec<String> {
    let events = events();
    let all = events.keys().filter_map(|event| event.split_once('.')).map(|(record, _)| format!("{record}.*"));
    let types: BTreeSet<String> = all.chain(events.keys().map(|event| (*event).to_owned())).collect();
    types.into_iter().collect()
}

/// Every kind of record.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    ROOMS.iter().flat_map(|room| room.kinds)
}
