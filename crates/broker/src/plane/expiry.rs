//! How long a group's committed offsets are kept, who says so, and when each expires.

use std::sync::Arc;

use catchword_coordinator::{Pins, Protection, Retention, RetentionRule};
use catchword_wire::Str;
use serde::Serialize;

use super::Asker;
use super::error::PlaneError;
use super::home::Home;
use super::now::KeptView;
use crate::broker::Broker;

/// The names of fields are for scripts and stay as they are.
#[derive(Debug, Serialize)]
pub(crate) struct ExpiryView {
    group: String,
    /// How long offsets are kept that nobody reads on from; null: for ever.
    retention_ms: Option<i64>,
    /// `group`, `pattern` or `default`: whose word it is.
    rule: &'static str,
    /// The pattern that the group fits.
    pattern: Option<String>,
    partitions: Vec<PartitionExpiry>,
}

#[derive(Debug, Serialize)]
struct PartitionExpiry {
    topic: String,
    partition: i32,
    /// Null: not while things are as they are.
    expires_at_ms: Option<i64>,
}

/// See the module.
pub(crate) async fn expiry(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
) -> Result<ExpiryView, PlaneError> {
    Home::of(broker).expiry(asker, group).await
}

/// What is told of a group's bookmarks that are kept so; each with when it expires, ms since 1970.
pub(super) fn view(
    group: &Str,
    retention: Retention,
    rule: RetentionRule,
    partitions: impl Iterator<Item = (Str, i32, Option<i64>)>,
) -> ExpiryView {
    let (rule, pattern) = match rule {
        RetentionRule::Own => ("group", None),
        RetentionRule::Pattern(pattern) => ("pattern", Some(pattern)),
        RetentionRule::Default => ("default", None),
    };
    let partition = |(topic, partition, expires_at_ms): (Str, i32, Option<i64>)| PartitionExpiry {
        topic: topic.to_string(),
        partition,
        expires_at_ms,
    };
    ExpiryView {
        group: group.to_string(),
        retention_ms: match retention {
            Retention::Forever => None,
            Retention::Ms(ms) => Some(ms),
        },
        rule,
        pattern,
        partitions: partitions.map(partition).collect(),
    }
}

/// The same in short, as lists of groups show it, with what protects the group. `expires_at_ms` is when the first bookmark
/// expires, as a shard of ours or the guarded Kafka's settings tell.
pub(super) fn kept(broker: &Broker, group: &str, expires_at_ms: Option<i64>) -> KeptView {
    let rules = broker.catalog.retention_rules();
    KeptView {
        expires_at_ms,
        holds_retention: broker.catalog.holders().contains(group),
        expires_soon: broker.groups.warned().has(group),
        protection: broker.catalog.protection(group).map(Protection::name),
        pins: rules
            .pins
            .get(group)
            .into_iter()
            .flat_map(Pins::texts)
            .collect(),
    }
}
