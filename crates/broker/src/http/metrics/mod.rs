//! What Prometheus reads. Names and labels are those of kafka_exporter and kminion, which people's dashboards know;
//! what only we tell begins with `catchword_`.
//!
//! Made from the state at the moment of the question: a deleted group has no series any more.

mod exposition;
mod groups;

use std::sync::Arc;

use crate::broker::Broker;
use crate::clock;
use crate::lag::{self, GroupLag};
use crate::outcome;
use crate::plane::{self, Asker, PlaneError};
use exposition::{Exposition, Labels};
use groups::GroupGauges;

/// All metrics as text.
pub(super) async fn text(broker: &Arc<Broker>, asker: &Asker) -> Result<String, PlaneError> {
    let groups = lag::groups(broker, asker).await?.groups;
    let broker = broker.clone();
    // Of many groups it takes longer than connections should wait.
    let made = outcome::blocking(move || made(&broker, &groups)).await;
    made.ok_or_else(PlaneError::stopping)
}

fn made(broker: &Broker, groups: &[GroupLag]) -> String {
    let mut all = Exposition::default();
    all.single("kafka_brokers", "Brokers in the cluster.", 1);
    let loading = i64::from(broker.groups.is_loading());
    all.single(
        "catchword_groups_loading",
        "1 while groups are being read at a start.",
        loading,
    );
    let history = plane::history(broker);
    all.single(
        "catchword_groups_expiring",
        "Groups of which committed offsets expire within offsets.expiry.warning.ms, as of the last look.",
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
        all.single(name, help, value);
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
        all.single(name, help, value);
    }
    for (name, help, value) in crate::zookeeper::metrics(broker) {
        all.single(name, help, value);
    }
    for (name, help, value) in broker.guardian.iter().flat_map(|g| g.metrics()) {
        all.single(name, help, value);
    }
    let held = all.gauge(
        "catchword_retention_held_bytes",
        "Bytes that a log keeps past their time for a group that has still to read them.",
    );
    for (tp, group, bytes) in broker.holds.all() {
        let labels = Labels::of(&[
            ("consumergroup", &group),
            ("partition", &tp.partition.to_string()),
            ("topic", &tp.topic),
        ]);
        all.line(held, &labels, count(bytes));
    }
    let partitions = all.gauge("kafka_topic_partitions", "Partitions of a topic.");
    let end = all.gauge(
        "kafka_topic_partition_current_offset",
        "End of a partition.",
    );
    let start = all.gauge(
        "kafka_topic_partition_oldest_offset",
        "Beginning of a partition.",
    );
    for topic in broker.catalog.topics() {
        let labels = Labels::of(&[("topic", &topic.name)]);
        all.line(partitions, &labels, count(topic.partitions.len() as u64));
        if topic.is_internal() {
            continue;
        }
        for partition in &topic.partitions {
            let (index, offsets) = (partition.tp.partition.to_string(), partition.log.offsets());
            let labels = Labels::of(&[("partition", &index), ("topic", &topic.name)]);
            all.line(end, &labels, offsets.high_watermark);
            all.line(start, &labels, offsets.log_start);
        }
    }
    let gauges = GroupGauges::new(&mut all);
    for group in groups {
        gauges.show(&mut all, group);
    }
    all.text()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// Every name in a text that begins as those of metrics do.
    fn names(text: &str) -> BTreeSet<&str> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let begins = |word: &str| {
            let beginnings = ["catchword_", "kafka_", "kminion_"];
            beginnings.iter().any(|prefix| word.starts_with(prefix))
        };
        words.filter(|word| begins(word)).collect()
    }

    #[test]
    fn the_dashboard_asks_for_metrics_that_there_are() {
        let served = [
            include_str!("mod.rs"),
            include_str!("groups.rs"),
            include_str!("../../zookeeper/mod.rs"),
            include_str!("../../guardian/mod.rs"),
        ];
        let served: BTreeSet<&str> = served.into_iter().flat_map(names).collect();
        let dashboard = include_str!("../../../../../docs/grafana.json");
        let dashboard: serde_json::Value = serde_json::from_str(dashboard).unwrap();
        let panels = dashboard["panels"].as_array().unwrap().iter();
        let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
        let queries: Vec<&str> = targets
            .map(|target| target["expr"].as_str().unwrap())
            .collect();
        assert!(queries.len() > 20, "{queries:?}");
        for query in queries {
            let asked = names(query);
            assert!(!asked.is_empty(), "{query} asks for nothing");
            let absent: Vec<_> = asked.difference(&served).collect();
            assert!(absent.is_empty(), "{query}: there is no {absent:?}");
        }
    }
}
