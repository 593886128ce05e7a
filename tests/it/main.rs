//! Behaviour, over HTTP, on every engine that is found. One binary, one file a room.

mod support;

mod access;
mod engines;
mod figures;
mod generated;
mod guard;
mod log;
mod tidy;
mod units;
