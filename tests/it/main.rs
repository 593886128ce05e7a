//! Behaviour, over HTTP, on every engine that is found. One binary, one file a room.

mod support;

mod access;
mod activities;
mod attestations;
mod campaigns;
mod commands;
mod crash;
mod demo;
mod door;
mod engines;
mod every_operation;
mod figures;
mod generated;
mod guard;
mod initiatives;
mod log;
mod nominations;
mod obligations;
mod observations;
mod readme;
mod recommendations;
mod registers;
mod schema;
mod tidy;
mod units;
