//! Directories as Kafka leaves them, made by hand: what comes along, what is named, what is refused, and what is left when
//! adopting is cut short. `conformance/run adopt` does it with a real Kafka.

mod kafka_dir;
mod refusals;
mod replay;
mod steps;
