//! The configuration of a broker, its topics and its groups: one table of keys for everything.
//!
//! The table ([`broker_keys`], [`topic`], [`group`]) feeds the parser, `--help`, the reference in `docs/config.md` and
//! DescribeConfigs, so none of them can disagree. Where Kafka has the same thing a key bears Kafka's name.
//!
//! Invariant: a value that got past this crate is of its key's type and within its bounds.
//! This crate must not know what anything does with a value: no sockets, no threads, no Kafka messages.

pub mod broker;
pub mod broker_keys;
pub mod client_metrics;
pub mod describe;
pub mod docs;
pub mod error;
pub mod group;
pub mod key;
pub mod listener;
pub mod load;
pub mod properties;
pub mod toml_file;
pub mod topic;
pub mod unused;
pub mod value;

pub use broker::{BrokerConfig, DynamicConfigs};
pub use broker_keys::{BROKER_KEYS, BrokerSettings};
pub use client_metrics::{CLIENT_METRICS_KEYS, ClientMetricsSettings, Subscription};
pub use describe::{
    ConfigSource, Described, Synonym, describe_broker, describe_client_metrics, describe_group,
    describe_topic,
};
pub use error::{ConfigError, Relation, Warning};
pub use group::{
    GROUP_KEYS, GroupSettings, offset_reset_duration_ms, validate_group_config,
    validate_group_configs,
};
pub use key::{Effect, Key, Scope, Type};
pub use listener::Listener;
pub use load::{Loaded, Sources, load};
pub use topic::{
    TOPIC_KEYS, TopicSettings, topic_defaults, validate_topic_config, validate_topic_configs,
};
pub use value::{Durability, TimestampType, Value};
