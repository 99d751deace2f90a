//! How long a group's committed offsets are kept, who says so, and when each expires.

use std::sync::Arc;

use catchword_coordinator::{Call as GroupCall, Reply, Retention, RetentionRule};
use catchword_wire::Str;
use serde::Serialize;

use super::error::PlaneError;
use super::{Asker, call};
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
    if broker.guardian.is_some() {
        return Err(PlaneError::new(
            409,
            "guarded",
            "the guarded Kafka decides when offsets expire, and does not tell",
            "what has expired is kept: `catchword trash` lists it, `catchword restore GROUP` puts it back",
        ));
    }
    let call = call(broker, asker);
    let request = GroupCall::DescribeExpiry(group.clone());
    let reply = broker.groups.call(&call, request).get().await.flatten();
    let Some(Reply::DescribeExpiry(found)) = reply else {
        return Err(PlaneError::stopping());
    };
    let found = found.ok_or_else(|| PlaneError::no_group(group))?;
    let (rule, pattern) = match found.rule {
        RetentionRule::Own => ("group", None),
        RetentionRule::Pattern(pattern) => ("pattern", Some(pattern)),
        RetentionRule::Default => ("default", None),
    };
    let partition = |(topic, partition, expires_at_ms): (Str, i32, Option<i64>)| PartitionExpiry {
        topic: topic.to_string(),
        partition,
        expires_at_ms,
    };
    Ok(ExpiryView {
        group: group.to_string(),
        retention_ms: match found.retention {
            Retention::Forever => None,
            Retention::Ms(ms) => Some(ms),
        },
        rule,
        pattern,
        partitions: found.offsets.into_iter().map(partition).collect(),
    })
}
