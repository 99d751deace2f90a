//! Retention that waits: which records the logs are to keep past their time, for groups that have still to read them.
//!
//! The logs know of no groups. They are told an offset, here, each time before they keep house, so that a step of theirs
//! never acts on what is older than the step before.
//!
//! Invariant: as long as it is not known where such a group is, since its shard is still being read, nothing that it could
//! have to read goes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use catchword_log::{Hold, TopicPartition};
use catchword_wire::Str;
use tracing::{info, warn};

use crate::broker::Broker;
use crate::partition::Partition;

/// Whom the logs wait for, as of the last look.
#[derive(Default)]
pub(crate) struct Holds(Mutex<BTreeMap<TopicPartition, Held>>);

/// One log that waits.
struct Held {
    partition: Arc<Partition>,
    /// The group that is furthest behind; `None` while it is not known where some are.
    group: Option<Str>,
    from: i64,
    /// Whether it was said that something is kept past its time.
    told: bool,
}

impl Holds {
    /// Tells the logs what to keep. Blocks for moments only.
    pub(crate) fn look(&self, broker: &Broker) {
        let holders = broker.catalog.holders();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if holders.is_empty() && known.is_empty() {
            return;
        }
        let mut now = BTreeMap::new();
        for group in holders.iter() {
            match broker.groups.places(group) {
                None => add_all(broker, &mut now),
                Some(places) => {
                    for ((topic, index), place) in places {
                        let topic = broker.catalog.topic(&topic);
                        // A bookmark in another edition of the topic waits for nothing here.
                        let topic =
                            topic.filter(|t| place.topic_id.is_zero() || t.id == place.topic_id);
                        if let Some(partition) = topic.as_ref().and_then(|t| t.partition(index)) {
                            add(&mut now, partition, Some(group), place.offset);
                        }
                    }
                }
            }
        }
        for (tp, held) in &mut now {
            let Some(topic) = broker.catalog.topic(&tp.topic) else {
                continue;
            };
            held.partition.log.hold(Some(Hold {
                from: held.from,
                max_ms: topic.settings.retention_hold_max_ms,
                max_bytes: u64::try_from(topic.settings.retention_hold_max_bytes).unwrap_or(0),
            }));
            held.tell(known.get(tp).is_some_and(|before| before.told));
        }
        for (tp, before) in known.iter() {
            if !now.contains_key(tp) {
                before.partition.log.hold(None);
            }
        }
        *known = now;
    }

    /// The bytes that a log keeps past their time, if it is this group that it waits for.
    pub(crate) fn held_for(&self, group: &str, topic: &str, partition: i32) -> u64 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return 0;
        }
        let held = known.get(&TopicPartition::new(topic, partition));
        let held = held.filter(|held| held.group.as_deref() == Some(group));
        held.map_or(0, |held| held.partition.log.held_bytes())
    }

    /// Every log that keeps something past its time: topic, partition, whom for, bytes.
    pub(crate) fn all(&self) -> Vec<(TopicPartition, Str, u64)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = known.iter().filter_map(|(tp, held)| {
            let bytes = held.partition.log.held_bytes();
            (bytes > 0).then(|| (tp.clone(), held.group.clone().unwrap_or_default(), bytes))
        });
        all.collect()
    }
}

impl Held {
    /// A line when a log begins to keep what retention would have deleted, and one when that is over.
    fn tell(&mut self, told: bool) {
        let bytes = self.partition.log.held_bytes();
        self.told = bytes > 0;
        let (tp, from) = (&self.partition.tp, self.from);
        let group = self
            .group
            .as_deref()
            .unwrap_or("(groups that are still being read)");
        match (told, self.told) {
            (false, true) => warn!(
                "{tp}: {bytes} bytes are kept past their time for group {group}, which has not read from offset {from} on; `catchword hold {group} off` lets them go"
            ),
            (true, false) => info!("{tp}: nothing is kept past its time any more"),
            _ => {}
        }
    }
}

type Now = BTreeMap<TopicPartition, Held>;

/// The one who is furthest behind counts.
fn add(now: &mut Now, partition: &Arc<Partition>, group: Option<&Str>, from: i64) {
    let held = now.entry(partition.tp.clone()).or_insert_with(|| Held {
        partition: partition.clone(),
        group: group.cloned(),
        from,
        told: false,
    });
    if from < held.from {
        held.from = from;
        held.group = group.cloned();
    }
}

fn add_all(broker: &Broker, now: &mut Now) {
    for topic in broker
        .catalog
        .topics()
        .iter()
        .filter(|topic| !topic.is_internal())
    {
        for partition in &topic.partitions {
            add(now, partition, None, 0);
        }
    }
}
