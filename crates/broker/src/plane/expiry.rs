//! How long a group's committed offsets are kept, who says so, and when each expires.

use std::sync::Arc;

use catchword_coordinator::{
    Call as GroupCall, GroupExpiry, Pins, Reply, Retention, RetentionRule,
};
use catchword_wire::Str;
use serde::Serialize;

use super::error::PlaneError;
use super::views::KeptView;
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
    if let Some(guardian) = &broker.guardian {
        let rules = broker.catalog.retention_rules();
        if let (Retention::Forever, rule) = rules.of(group, 1) {
            // As far as the guardian is let see to it.
            let places = guardian.last_commits(group).into_keys();
            let partition = |(topic, partition)| (Str::from(topic), partition, None);
            return Ok(view(
                group,
                Retention::Forever,
                rule,
                places.map(partition).collect(),
            ));
        }
        return Err(PlaneError::new(
            409,
            "guarded",
            "the guarded Kafka decides when offsets expire, and does not tell",
            "what has expired is kept: `catchword trash` lists it, `catchword restore GROUP` puts it back",
        ));
    }
    let found = ask(broker, asker, group).await?;
    let found = found.ok_or_else(|| match broker.groups.is_loading() {
        true => PlaneError::loading(),
        false => PlaneError::no_group(group),
    })?;
    Ok(view(group, found.retention, found.rule, found.offsets))
}

fn view(
    group: &Str,
    retention: Retention,
    rule: RetentionRule,
    offsets: Vec<(Str, i32, Option<i64>)>,
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
        partitions: offsets.into_iter().map(partition).collect(),
    }
}

async fn ask(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
) -> Result<Option<GroupExpiry>, PlaneError> {
    let call = call(broker, asker);
    let request = GroupCall::DescribeExpiry(group.clone());
    match broker.groups.call(&call, request).get().await.flatten() {
        Some(Reply::DescribeExpiry(found)) => Ok(found),
        _ => Err(PlaneError::stopping()),
    }
}

/// The same in short, as lists of groups show it.
pub(super) async fn kept(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
) -> Result<KeptView, PlaneError> {
    let found = ask(broker, asker, group).await?;
    let offsets = found.into_iter().flat_map(|found| found.offsets);
    let rules = broker.catalog.retention_rules();
    let pins = rules.pins.get(group);
    Ok(KeptView {
        expires_at_ms: offsets.filter_map(|(_, _, at_ms)| at_ms).min(),
        holds_retention: broker.catalog.holders().contains(group),
        expires_soon: broker.groups.warned().has(group),
        pins: pins.into_iter().flat_map(Pins::texts).collect(),
    })
}
