//! The binary as its users have it: real processes, a real broker, real output.
//!
//! With `CATCHWORD_TEST_BOOTSTRAP=HOST:PORT` the tests that need only Kafka's protocol run against that broker, so that
//! they hold for Apache Kafka as well; those that need our own broker's files are then left out.

#![allow(missing_docs, reason = "tests say what they check by their names")]

mod adopt;
mod audit;
mod carry;
mod consume;
mod docs;
mod doctor;
mod errors;
mod group;
mod harness;
mod hold;
mod keep;
mod kill;
mod lag;
mod linear;
mod live;
mod pin;
mod places;
mod plane;
mod produce;
mod protect;
mod rewind;
mod serve;
mod show;
mod slo;
mod tags;
mod top;
mod topics;
mod torn;
mod tour;
mod trouble;
