//! Tests of the coordinator from outside: calls in, records and effects out.
//!
//! `promises` has a test for each line of what we promise, `transcript` plays the stories in `tests/transcripts`,
//! `history` holds what stays in the log against a plain model, `bytes` our records
//! against Apache Kafka's own, `share` lets members loose on one partition of a share group, `mixed` groups of both
//! protocols under faults, `streams` the tasks of streams groups, `sim` lets members, crashes and bad luck loose on it all.

// A test that can't go on should panic.
#![allow(clippy::unwrap_used)]

mod bytes;
mod consumers;
mod driver;
mod history;
mod mixed;
mod nonsense;
mod promises;
mod share;
mod sim;
mod streams;
mod transactions;
mod transcript;
