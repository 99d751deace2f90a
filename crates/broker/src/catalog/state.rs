//! What the metadata log says, replayed: which topics there are and what is set on them. Pure.
//!
//! Invariant: the state changes by [`CatalogState::apply`] alone, live and on load.

use std::collections::BTreeMap;

use catchword_wire::{Str, Uuid};

use super::record::CatalogRecord;
use crate::quota::QuotaTable;

/// Kafka's numbers for what a configuration is set on.
pub(crate) const RESOURCE_TOPIC: i8 = 2;
pub(crate) const RESOURCE_BROKER: i8 = 4;
pub(crate) const RESOURCE_CLIENT_METRICS: i8 = 16;
pub(crate) const RESOURCE_GROUP: i8 = 32;

/// A topic as the log has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TopicState {
    pub(crate) id: Uuid,
    pub(crate) partitions: i32,
    /// How many starts of the broker the log had seen when the topic was created.
    created_at_start: i32,
    /// The leader epoch that it came with, if it was taken over from elsewhere; else 0.
    first_epoch: i32,
}

/// The whole catalog.
#[derive(Debug, Default)]
pub(crate) struct CatalogState {
    topics: BTreeMap<Str, TopicState>,
    names: BTreeMap<Uuid, Str>,
    configs: BTreeMap<(i8, Str), BTreeMap<String, String>>,
    /// Topics that were removed, for telling their left-over directories from strays.
    removed: Vec<Uuid>,
    next_producer_id: i64,
    starts: i32,
    quotas: QuotaTable,
    features: BTreeMap<String, i16>,
    /// How many records were applied: it only grows, from start to start.
    applied: i64,
}

impl CatalogState {
    pub(crate) fn apply(&mut self, record: &CatalogRecord) {
        self.applied += 1;
        match record {
            CatalogRecord::RegisterBroker(_) => self.starts += 1,
            CatalogRecord::Topic(r) => {
                let topic = TopicState {
                    id: r.topic_id,
                    partitions: 0,
                    created_at_start: self.starts,
                    first_epoch: 0,
                };
                self.topics.insert(r.name.detached(), topic);
                self.names.insert(r.topic_id, r.name.detached());
            }
            CatalogRecord::Partition(r) => {
                let name = self.names.get(&r.topic_id);
                if let Some(topic) = name.and_then(|name| self.topics.get_mut(name)) {
                    topic.partitions = topic.partitions.max(r.partition_id + 1);
                    topic.first_epoch = topic.first_epoch.max(r.leader_epoch);
                }
            }
            CatalogRecord::Config(r) => {
                let of = self
                    .configs
                    .entry((r.resource_type, r.resource_name.detached()))
                    .or_default();
                match &r.value {
                    Some(value) => of.insert(r.name.to_string(), value.to_string()),
                    None => of.remove(r.name.as_str()),
                };
            }
            CatalogRecord::RemoveTopic(r) => {
                if let Some(name) = self.names.remove(&r.topic_id) {
                    self.topics.remove(&name);
                    self.configs.remove(&(RESOURCE_TOPIC, name));
                    self.removed.push(r.topic_id);
                }
            }
            CatalogRecord::ProducerIds(r) => {
                self.next_producer_id = self.next_producer_id.max(r.next_producer_id)
            }
            CatalogRecord::FeatureLevel(r) => {
                self.features.insert(r.name.to_string(), r.feature_level);
            }
            CatalogRecord::ClientQuota(r) => self.quotas.apply(r),
            CatalogRecord::Unknown(_) => {}
        }
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = (&Str, &TopicState)> {
        self.topics.iter()
    }

    pub(crate) fn topic(&self, name: &str) -> Option<&TopicState> {
        self.topics.get(name)
    }

    /// What is set on a topic, a broker or a group.
    pub(crate) fn configs(&self, resource_type: i8, name: &str) -> BTreeMap<String, String> {
        self.configs
            .get(&(resource_type, Str::copy(name)))
            .cloned()
            .unwrap_or_default()
    }

    /// The resources of a type on which anything is set, with what is set.
    pub(crate) fn configured(
        &self,
        resource_type: i8,
    ) -> impl Iterator<Item = (&Str, &BTreeMap<String, String>)> {
        self.configs
            .iter()
            .filter(move |((kind, _), set)| *kind == resource_type && !set.is_empty())
            .map(|((_, name), set)| (name, set))
    }

    /// The quotas of clients.
    pub(crate) fn quotas(&self) -> &QuotaTable {
        &self.quotas
    }

    /// The levels of features that somebody set.
    pub(crate) fn features(&self) -> &BTreeMap<String, i16> {
        &self.features
    }

    /// A number that grows with every change.
    pub(crate) fn applied(&self) -> i64 {
        self.applied
    }

    pub(crate) fn was_removed(&self, id: Uuid) -> bool {
        self.removed.contains(&id)
    }

    pub(crate) fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// A topic's leader epoch: how often the broker has started since the topic was created. So it never goes back, and
    /// records that a crash took with it can be told from those written later (KIP-101, KIP-320). A topic that was taken
    /// over counts on from the epoch that it came with.
    pub(crate) fn leader_epoch(&self, topic: &TopicState) -> i32 {
        topic.first_epoch + self.starts - topic.created_at_start
    }

    /// The number of this start, from 1.
    pub(crate) fn starts(&self) -> i32 {
        self.starts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catchword_wire::records::{
        ConfigRecord, PartitionRecord, RegisterBrokerRecord, RemoveTopicRecord, TopicRecord,
    };

    fn id(n: u8) -> Uuid {
        Uuid([n; 16])
    }

    fn start() -> CatalogRecord {
        CatalogRecord::RegisterBroker(RegisterBrokerRecord::default())
    }

    fn topic(name: &'static str, n: u8) -> CatalogRecord {
        CatalogRecord::Topic(TopicRecord {
            name: name.into(),
            topic_id: id(n),
        })
    }

    fn partition(n: u8, partition_id: i32) -> CatalogRecord {
        CatalogRecord::Partition(PartitionRecord {
            topic_id: id(n),
            partition_id,
            ..Default::default()
        })
    }

    fn config(name: &'static str, key: &'static str, value: Option<&'static str>) -> CatalogRecord {
        CatalogRecord::Config(ConfigRecord {
            resource_type: RESOURCE_TOPIC,
            resource_name: name.into(),
            name: key.into(),
            value: value.map(Str::from),
        })
    }

    fn replayed(records: &[CatalogRecord]) -> CatalogState {
        let mut state = CatalogState::default();
        records.iter().for_each(|r| state.apply(r));
        state
    }

    #[test]
    fn a_topic_is_as_many_partitions_as_were_recorded() {
        let state = replayed(&[start(), topic("a", 1), partition(1, 0), partition(1, 1)]);
        assert_eq!(state.topic("a").map(|t| t.partitions), Some(2));
    }

    #[test]
    fn the_leader_epoch_counts_the_starts_since_the_topic_was_created() {
        let mut state = replayed(&[start(), start(), topic("a", 1), partition(1, 0)]);
        assert_eq!(state.leader_epoch(state.topic("a").unwrap()), 0);
        state.apply(&start());
        assert_eq!(state.leader_epoch(state.topic("a").unwrap()), 1);
    }

    #[test]
    fn the_epoch_of_a_topic_that_was_taken_over_goes_on_above_the_one_it_came_with() {
        let came_with = |epoch| {
            CatalogRecord::Partition(PartitionRecord {
                topic_id: id(1),
                leader_epoch: epoch,
                ..PartitionRecord::default()
            })
        };
        let state = replayed(&[topic("a", 1), came_with(7), came_with(5), start()]);
        assert_eq!(state.leader_epoch(state.topic("a").unwrap()), 8);
    }

    #[test]
    fn a_topic_that_comes_again_has_none_of_the_old_ones_settings() {
        let state = replayed(&[
            topic("a", 1),
            config("a", "retention.ms", Some("5")),
            CatalogRecord::RemoveTopic(RemoveTopicRecord { topic_id: id(1) }),
            topic("a", 2),
        ]);
        assert_eq!(state.topic("a").map(|t| t.id), Some(id(2)));
        assert!(state.configs(RESOURCE_TOPIC, "a").is_empty());
        assert!(state.was_removed(id(1)));
    }

    #[test]
    fn a_setting_that_is_taken_back_is_gone() {
        let state = replayed(&[
            topic("a", 1),
            config("a", "retention.ms", Some("5")),
            config("a", "segment.ms", Some("6")),
            config("a", "retention.ms", None),
        ]);
        let left = state.configs(RESOURCE_TOPIC, "a");
        assert_eq!(
            left,
            BTreeMap::from([("segment.ms".to_owned(), "6".to_owned())])
        );
    }
}
