//! What Prometheus reads. Names and labels are those of kafka_exporter and kminion, which people's dashboards know;
//! what only we tell begins with `catchword_`.
//!
//! Made from the state at the moment of the question: a deleted group has no series any more.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use crate::broker::Broker;
use crate::clock;
use crate::lag::{self, PartitionPace};
use crate::plane::{self, Asker, PartitionLag, PlaneError};

/// All metrics as text.
pub(super) async fn text(broker: &Arc<Broker>, asker: &Asker) -> Result<String, PlaneError> {
    let groups = lag::groups(broker, asker).await?.groups;
    let mut all: BTreeMap<&'static str, Metric> = BTreeMap::new();
    let mut add = |name: &'static str, help: &'static str, labels: &[(&str, &str)], value: i64| {
        let metric = all.entry(name).or_insert_with(|| Metric {
            help,
            lines: String::new(),
        });
        metric.line(name, labels, value);
    };
    add("kafka_brokers", "Brokers in the cluster.", &[], 1);
    let loading = i64::from(broker.groups.is_loading());
    add(
        "catchword_groups_loading",
        "1 while groups are being read at a start.",
        &[],
        loading,
    );
    let history = plane::history(broker);
    add(
        "catchword_groups_expiring",
        "Groups of which committed offsets expire within offsets.expiry.warning.ms, as of the last look.",
        &[],
        i64::try_from(broker.groups.warned().count()).unwrap_or(i64::MAX),
    );
    let noticed = broker.groups.audit().counts();
    let pushed = broker.telemetry.counts(clock::now_ms());
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    for (name, help, value) in [
        (
            "catchword_history_bytes",
            "Bytes of __consumer_offsets, which is the history of the bookmarks.",
            count(history.bytes),
        ),
        (
            "catchword_history_largest_bytes",
            "Of its partition that takes the most.",
            count(history.largest()),
        ),
        (
            "catchword_history_max_bytes",
            "The most that history may take of a partition (offsets.history.max.bytes).",
            count(history.max_partition_bytes),
        ),
        (
            "catchword_client_metrics_instances",
            "Clients that are asked for their metrics, or could be.",
            count(pushed.instances as u64),
        ),
        (
            "catchword_client_metrics_pushes",
            "Pushes of clients' metrics that were taken since the start.",
            count(pushed.pushes),
        ),
        (
            "catchword_client_metrics_bytes",
            "Bytes of such metrics, inflated.",
            count(pushed.bytes),
        ),
        (
            "catchword_client_metrics_refused",
            "Pushes of clients' metrics that were refused since the start.",
            count(pushed.refused),
        ),
        (
            "catchword_commit_step_backs",
            "Bookmarks that members set back since the start.",
            count(noticed.step_back),
        ),
        (
            "catchword_commit_refusals",
            "Commits since the start of members that their group had given up.",
            count(noticed.refused),
        ),
        (
            "catchword_commit_refused_records",
            "Offsets that those commits would have moved bookmarks on by: read twice, at most.",
            count(noticed.refused_records),
        ),
        (
            "catchword_commit_jumps",
            "Bookmarks since the start that somebody who is no member set forward without reading on.",
            count(noticed.jump),
        ),
        (
            "catchword_commit_uncommitted_departures",
            "Members that went since the start without having committed all that they were handed.",
            count(noticed.uncommitted),
        ),
        (
            "catchword_commit_uncommitted_records",
            "Offsets that those members were handed and had not committed: they come again, at most.",
            count(noticed.uncommitted_records),
        ),
        (
            "catchword_commit_beyond_end",
            "Bookmarks that were set beyond the end of their log since the start; one that stays there counts once a minute.",
            count(noticed.beyond_end),
        ),
    ] {
        add(name, help, &[], value);
    }
    let (posted, failed) = broker.objectives.posts();
    for (name, help, value) in [
        (
            "catchword_lag_webhook_posts",
            "Changes of lag objectives that the webhook took since the start.",
            count(posted),
        ),
        (
            "catchword_lag_webhook_failures",
            "Changes of lag objectives that could not be told to the webhook.",
            count(failed),
        ),
    ] {
        add(name, help, &[], value);
    }
    for (name, help, value) in crate::zookeeper::metrics(broker) {
        add(name, help, &[], value);
    }
    for (name, help, value) in broker.guardian.iter().flat_map(|g| g.metrics()) {
        add(name, help, &[], value);
    }
    for (tp, group, bytes) in broker.holds.all() {
        let index = tp.partition.to_string();
        let labels = [
            ("consumergroup", &*group),
            ("partition", &*index),
            ("topic", &*tp.topic),
        ];
        add(
            "catchword_retention_held_bytes",
            "Bytes that a log keeps past their time for a group that has still to read them.",
            &labels,
            i64::try_from(bytes).unwrap_or(i64::MAX),
        );
    }
    for topic in broker.catalog.topics() {
        let count = i64::try_from(topic.partitions.len()).unwrap_or(i64::MAX);
        let label = [("topic", &*topic.name)];
        add(
            "kafka_topic_partitions",
            "Partitions of a topic.",
            &label,
            count,
        );
        if topic.is_internal() {
            continue;
        }
        for partition in &topic.partitions {
            let (index, offsets) = (partition.tp.partition.to_string(), partition.log.offsets());
            let labels = [("partition", &*index), ("topic", &*topic.name)];
            add(
                "kafka_topic_partition_current_offset",
                "End of a partition.",
                &labels,
                offsets.high_watermark,
            );
            add(
                "kafka_topic_partition_oldest_offset",
                "Beginning of a partition.",
                &labels,
                offsets.log_start,
            );
        }
    }
    for group in &groups {
        let label = [("consumergroup", &*group.group)];
        let state = [("consumergroup", &*group.group), ("state", &*group.state)];
        add(
            "catchword_consumergroup_state",
            "1 for the state that a group is in.",
            &state,
            1,
        );
        if let Some(objective) = &group.objective {
            let status = [
                ("consumergroup", &*group.group),
                ("status", objective.status.name()),
            ];
            add(
                "catchword_consumergroup_status",
                "1 for the status of a group that has a lag objective: OK, WARN, STALL, STOP or REWIND.",
                &status,
                1,
            );
        }
        let mut lag: BTreeMap<&str, i64> = BTreeMap::new();
        for PartitionPace {
            lag:
                PartitionLag {
                    topic,
                    partition,
                    committed,
                    lag: behind,
                    lost,
                    age_ms,
                    bytes,
                    uncommitted,
                    ..
                },
            speed,
            retention_in_ms,
            ..
        } in group.partitions.iter().flatten()
        {
            let index = partition.to_string();
            let labels = [label[0], ("partition", &*index), ("topic", topic)];
            add(
                "kafka_consumergroup_current_offset",
                "Committed offset of a group.",
                &labels,
                *committed,
            );
            add(
                "catchword_consumergroup_lost",
                "Offsets that the log lost before the group read them.",
                &labels,
                *lost,
            );
            if let Some(bytes) = bytes {
                add(
                    "catchword_consumergroup_unread_bytes",
                    "Bytes, as they are stored, that a group has still to read.",
                    &labels,
                    *bytes,
                );
            }
            if let Some(uncommitted) = uncommitted {
                add(
                    "catchword_consumergroup_uncommitted",
                    "Records that were handed to a group's member and are not committed, at most; by client id and host, absent where several could be meant.",
                    &labels,
                    *uncommitted,
                );
            }
            if let Some(speed) = speed {
                add(
                    "catchword_consumergroup_speed",
                    "Offsets a second that a group reads on by, over the last minute or so.",
                    &labels,
                    speed.round() as i64,
                );
            }
            if let Some(ms) = retention_in_ms {
                add(
                    "catchword_consumergroup_retention_seconds",
                    "How long the oldest record that a group has not read is kept at least; absent if nothing is unread.",
                    &labels,
                    ms / 1000,
                );
            }
            let Some(behind) = behind else { continue };
            add(
                "catchword_consumergroup_age_seconds",
                "How long the oldest record that a group has not read has waited; 0 if it has read all.",
                &labels,
                age_ms.map_or(0, |age_ms| age_ms / 1000),
            );
            add(
                "kafka_consumergroup_lag",
                "Records that a group has still to read.",
                &labels,
                *behind,
            );
            let kminion = [
                ("group_id", &*group.group),
                ("topic_name", topic),
                ("partition_id", &*index),
            ];
            add(
                "kminion_kafka_consumer_group_topic_partition_lag",
                "Records that a group has still to read.",
                &kminion,
                *behind,
            );
            *lag.entry(topic).or_default() += behind;
        }
        for (topic, behind) in lag {
            let labels = [label[0], ("topic", topic)];
            add(
                "kafka_consumergroup_lag_sum",
                "Records that a group has still to read in a topic.",
                &labels,
                behind,
            );
            let kminion = [("group_id", &*group.group), ("topic_name", topic)];
            add(
                "kminion_kafka_consumer_group_topic_lag",
                "Records that a group has still to read in a topic.",
                &kminion,
                behind,
            );
        }
    }
    let mut out = String::new();
    for (name, metric) in all {
        let _ = write!(
            out,
            "# HELP {name} {}\n# TYPE {name} gauge\n{}",
            metric.help, metric.lines
        );
    }
    Ok(out)
}

struct Metric {
    help: &'static str,
    lines: String,
}

impl Metric {
    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: i64) {
        let label = |(name, value): &(&str, &str)| format!("{name}=\"{}\"", escaped(value));
        let labels: Vec<String> = labels.iter().map(label).collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        // Writing to a string does not fail.
        let _ = writeln!(self.lines, "{name}{labels} {value}");
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_with_anything_in_them_stay_one_line() {
        let mut metric = Metric {
            help: "",
            lines: String::new(),
        };
        metric.line("m", &[("g", "a\"b\\c\nd")], 7);
        metric.line("m", &[], 8);
        assert_eq!(metric.lines, "m{g=\"a\\\"b\\\\c\\nd\"} 7\nm 8\n");
    }
}
