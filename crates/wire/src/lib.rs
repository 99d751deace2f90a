//! Kafka's bytes, and nothing else: frames, messages, record batches.
//!
//! This crate knows how Kafka lays things out on the wire and in its logs. It must not know what a broker does with
//! them: no sockets, no files beyond a handle that is passed through, no clock.

pub mod batch;
