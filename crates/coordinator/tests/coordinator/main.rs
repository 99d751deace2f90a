//! Tests of the coordinator from outside: calls in, records and effects out.
//!
//! `promises` has a test for each line of what we promise, `transcript` plays the stories in `tests/transcripts`,
//! `bytes` holds our records against Apache Kafka's own, `sim` lets members, crashes and bad luck loose on it all.

// A test that can't go on should panic.
#![allow(clippy::unwrap_used)]

mod bytes;
mod driver;
mod nonsense;
mod promises;
mod sim;
mod transcript;
