//! What the metrics tell of groups: where they are in each partition and what is before them.

use std::collections::BTreeMap;

use super::exposition::{Exposition, GaugeId, Labels};
use crate::clock;
use crate::lag::{GroupLag, PartitionPace};
use crate::plane::{AwaitedView, PartitionLag};

/// The gauges of groups.
pub(super) struct GroupGauges {
    state: GaugeId,
    status: GaugeId,
    awaited: GaugeId,
    awaited_seconds: GaugeId,
    committed: GaugeId,
    lost: GaugeId,
    bytes: GaugeId,
    uncommitted: GaugeId,
    speed: GaugeId,
    retention: GaugeId,
    age: GaugeId,
    lag: GaugeId,
    lag_sum: GaugeId,
    kminion_lag: GaugeId,
    kminion_lag_sum: GaugeId,
}

impl GroupGauges {
    pub(super) fn new(all: &mut Exposition) -> GroupGauges {
        GroupGauges {
            state: all.gauge(
                "catchword_consumergroup_state",
                "1 for the state that a group is in.",
            ),
            status: all.gauge(
                "catchword_consumergroup_status",
                "1 for the status of a group that has a lag objective: OK, WARN, STALL, STOP or REWIND.",
            ),
            awaited: all.gauge(
                "catchword_consumergroup_awaited_members",
                "Members that a rebalance of the group waits for.",
            ),
            awaited_seconds: all.gauge(
                "catchword_consumergroup_awaited_seconds",
                "For how long a rebalance of the group has waited for a member; 0 if it waits for nobody.",
            ),
            committed: all.gauge(
                "kafka_consumergroup_current_offset",
                "Committed offset of a group.",
            ),
            lost: all.gauge(
                "catchword_consumergroup_lost",
                "Offsets that the log lost before the group read them.",
            ),
            bytes: all.gauge(
                "catchword_consumergroup_unread_bytes",
                "Bytes, as they are stored, that a group has still to read.",
            ),
            uncommitted: all.gauge(
                "catchword_consumergroup_uncommitted",
                "Records that were handed to a group's member and are not committed, at most; by client id and host, absent where several could be meant.",
            ),
            speed: all.gauge(
                "catchword_consumergroup_speed",
                "Offsets a second that a group reads on by, over the last minute or so.",
            ),
            retention: all.gauge(
                "catchword_consumergroup_retention_seconds",
                "How long the oldest record that a group has not read is kept at least; absent if nothing is unread.",
            ),
            age: all.gauge(
                "catchword_consumergroup_age_seconds",
                "How long the oldest record that a group has not read has waited; 0 if it has read all.",
            ),
            lag: all.gauge(
                "kafka_consumergroup_lag",
                "Records that a group has still to read.",
            ),
            lag_sum: all.gauge(
                "kafka_consumergroup_lag_sum",
                "Records that a group has still to read in a topic.",
            ),
            kminion_lag: all.gauge(
                "kminion_kafka_consumer_group_topic_partition_lag",
                "Records that a group has still to read.",
            ),
            kminion_lag_sum: all.gauge(
                "kminion_kafka_consumer_group_topic_lag",
                "Records that a group has still to read in a topic.",
            ),
        }
    }

    /// The lines of one group.
    pub(super) fn show(&self, all: &mut Exposition, group: &GroupLag) {
        let name = ("consumergroup", &*group.group);
        all.line(self.state, &Labels::of(&[name, ("state", &group.state)]), 1);
        if let Some(objective) = &group.objective {
            let status = ("status", objective.status.name());
            all.line(self.status, &Labels::of(&[name, status]), 1);
        }
        self.show_awaited(all, name, &group.awaited);
        let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
        let (mut own, mut kminion) = (Labels::default(), Labels::default());
        for pace in group.partitions.iter().flatten() {
            let PartitionLag {
                topic, partition, ..
            } = &pace.lag;
            let index = partition.to_string();
            own.set(&[name, ("partition", &index), ("topic", topic)]);
            self.show_partition(all, &own, pace);
            if let Some(lag) = pace.lag.lag {
                kminion.set(&[
                    ("group_id", &group.group),
                    ("topic_name", topic),
                    ("partition_id", &index),
                ]);
                all.line(self.kminion_lag, &kminion, lag);
                *sums.entry(topic).or_default() += lag;
            }
        }
        for (topic, lag) in sums {
            own.set(&[name, ("topic", topic)]);
            all.line(self.lag_sum, &own, lag);
            kminion.set(&[("group_id", &group.group), ("topic_name", topic)]);
            all.line(self.kminion_lag_sum, &kminion, lag);
        }
    }

    /// Whom a rebalance waits for, and since when.
    fn show_awaited(&self, all: &mut Exposition, name: (&str, &str), awaited: &[AwaitedView]) {
        let label = Labels::of(&[name]);
        let members = i64::try_from(awaited.len()).unwrap_or(i64::MAX);
        all.line(self.awaited, &label, members);
        let since_ms = awaited.iter().filter_map(|one| one.since_ms).min();
        let waits_ms = since_ms.map_or(0, |since_ms| clock::now_ms() - since_ms);
        all.line(self.awaited_seconds, &label, waits_ms.max(0) / 1000);
    }

    fn show_partition(&self, all: &mut Exposition, labels: &Labels, pace: &PartitionPace) {
        let lag = &pace.lag;
        all.line(self.committed, labels, lag.committed);
        all.line(self.lost, labels, lag.lost);
        if let Some(bytes) = lag.bytes {
            all.line(self.bytes, labels, bytes);
        }
        if let Some(uncommitted) = lag.uncommitted {
            all.line(self.uncommitted, labels, uncommitted);
        }
        if let Some(speed) = pace.speed {
            all.line(self.speed, labels, speed.round() as i64);
        }
        if let Some(ms) = pace.retention_in_ms {
            all.line(self.retention, labels, ms / 1000);
        }
        if let Some(behind) = lag.lag {
            let age_ms = lag.age_ms.unwrap_or(0);
            all.line(self.age, labels, age_ms / 1000);
            all.line(self.lag, labels, behind);
        }
    }
}
