//! A small blocking Kafka client, for the command line and for tests.
//!
//! It speaks to Catchword and to Apache Kafka alike: versions are negotiated, leaders and coordinators are found, and
//! what is worth another try is tried again until a deadline. One [`Client`] is used by one thread at a time.
//!
//! Invariant: an error says what was attempted and what the user can do next; nothing is retried that could store a
//! record twice without saying so. This crate must not know how anything is printed.

mod admin;
mod assignor;
mod client;
mod connection;
mod consumer_groups;
mod error;
mod fetch;
mod groups;
mod member;
mod offsets;
mod produce;
mod rights;
mod security;
mod stream;
mod types;

pub use admin::{AlterConfig, ConfigEntry, NewTopic, Resource, ResourceType};
pub use assignor::range_assign;
pub use client::{Client, ClientOptions, DEFAULT_BOOTSTRAP};
pub use error::{ClientError, Had};
pub use fetch::{FetchFrom, FetchOptions, Fetched};
pub use groups::{Group, GroupListing, GroupMemberInfo};
pub use member::{GroupMember, MemberOptions, Rebalance};
pub use offsets::{CommitAs, Committed, Found, ListAt, NewCommit};
pub use produce::{Acks, Produced, Producer};
pub use rights::Operations;
pub use security::{Security, SecurityError};
pub use types::{BrokerInfo, Cluster, Partition, Topic, TopicPartition};

/// What goes wrong when talking to a broker.
pub type Result<T> = std::result::Result<T, ClientError>;
