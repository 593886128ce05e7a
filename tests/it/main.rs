//! Behaviour, over HTTP, on every engine that is found. One binary, one file a room.

mod support;

mod access;
mod activities;
mod attestations;
mod campaigns;
mod commands;
mod containers;
mod contract;
mod demo;
mod door;
mod edge;
mod engines;
mod every_operation;
mod faults;
mod figures;
mod generated;
mod guard;
mod initiatives;
mod keys;
mod keys_commands;
mod limits;
mod log;
mod nominations;
mod obligations;
mod observations;
mod operations;
mod readme;
mod recommendations;
mod registers;
mod revocations;
mod schema;
mod search;
mod successions;
mod tidy;
mod units;
