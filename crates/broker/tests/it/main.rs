//! A broker spoken to over a socket: what a client sees, and what the disk holds afterwards.

#![allow(missing_docs, clippy::unwrap_used)]

mod admin;
mod bad_input;
mod configs;
mod fetch;
mod groups;
mod guardian;
mod harness;
mod history;
mod offsets;
mod old_offsets;
mod order;
mod plane;
mod produce;
mod quotas;
mod share;
mod snapshots;
mod streams;
mod telemetry;
mod topics;
mod transactional;
mod transactions;
