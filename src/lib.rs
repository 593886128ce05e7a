//! thidua: emulation and commendation campaigns (phong trào thi đua, khen thưởng).
//!
//! A house with rooms and one door. A room is a noun of the domain: its `mod.rs` says what the
//! thing is and what may happen to it, `http.rs` speaks HTTP, `store.rs` speaks SQL. The one door
//! is [`db`]: nobody else holds a connection, and nothing leaves it that changes a row without an
//! event beside it. `ARCHITECTURE.md` is the map.

pub mod app;
pub mod audit_page;
pub mod contract;
pub mod demo;
pub mod docs;
pub mod rooms;

pub mod canonical;
pub mod clock;
pub mod error;
pub mod evidence;
pub mod id;
pub mod text;
pub mod words;
pub mod yaml;

pub mod auth;
pub mod db;
pub mod http;
pub mod log;

pub mod activities;
pub mod attestations;
pub mod campaigns;
pub mod disclosures;
pub mod erasures;
pub mod exports;
pub mod figures;
pub mod grants;
pub mod initiatives;
pub mod nominations;
pub mod obligations;
pub mod observations;
pub mod registers;
pub mod revocations;
pub mod units;

pub mod findings;
pub mod recommendations;

pub mod commands;
pub mod config;
pub mod telemetry;
