//! The broker: connections, the handlers of Kafka's APIs, partitions, and the drivers of the coordinators.
//!
//! All asynchrony is here. Nothing in this crate names a storage engine but [`start`](crate::start); what groups and
//! offsets mean is `catchword-coordinator`'s, what bytes mean is `catchword-wire`'s.

mod admission;
mod api;
mod broker;
mod catalog;
mod clock;
mod connection;
mod dispatch;
mod features;
mod fetch;
mod flush;
mod foreign;
mod gauge;
mod groups;
mod guardian;
mod http;
mod identity;
mod lag;
mod lookup;
mod outcome;
mod partition;
mod plane;
mod quota;
mod random;
mod readings;
mod settings;
mod shards;
mod share;
mod start;
mod telemetry;
mod transactions;
mod zookeeper;

pub use catalog::{CatalogError, Import, ImportedTopic, import_catalog};
pub use foreign::{ADOPTED_VERSION, METADATA_DIR, MetaProperties, QUORUM_STATE, refuse_foreign};
pub use groups::compaction_policy;
pub use guardian::Guarded;
pub use identity::Identity;
pub use start::{Running, StartError, start, start_guardian};
