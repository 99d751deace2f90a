//! The topology of an application: its subtopologies, what each reads, and the internal topics that it needs.

use std::collections::{BTreeMap, BTreeSet};

use catchword_wire::messages::streams_group_heartbeat_request as said;
use catchword_wire::records::StreamsGroupTopologyValue;
use catchword_wire::records::streams_group_topology_value::{
    CopartitionGroup, Subtopology, TopicConfig, TopicInfo,
};
use catchword_wire::{Decoder, ErrorCode, Message, Str};

use super::Refused;
use crate::record::encode;

/// A topology whose subtopologies are in the order of their ids, of which there are no two alike.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Topology {
    value: StreamsGroupTopologyValue,
    /// Which subtopology reads a topic.
    readers: BTreeMap<Str, Str>,
}

impl Topology {
    /// What a member says, in memory of its own.
    ///
    /// # Errors
    /// Kafka's code and why, if the topology contradicts itself.
    pub(super) fn read(topology: &said::Topology) -> Result<Topology, Refused> {
        let invalid = |why: String| Err((ErrorCode::StreamsInvalidTopology, why.into()));
        if topology.epoch < 0 {
            let why = "the topology's epoch is negative".into();
            return Err((ErrorCode::StreamsInvalidTopologyEpoch, why));
        }
        let mut ids = BTreeSet::new();
        for subtopology in &topology.subtopologies {
            let id = &subtopology.subtopology_id;
            if !ids.insert(id) {
                return invalid(format!("there are two subtopologies {id}"));
            }
            let changelogs = &subtopology.state_changelog_topics;
            if let Some(topic) = changelogs.iter().find(|topic| topic.partitions != 0) {
                return invalid(format!(
                    "the changelog topic {} must have as many partitions as there are tasks, so none may be asked for",
                    topic.name
                ));
            }
            let has = |index: &i16, len: usize| usize::try_from(*index).is_ok_and(|i| i < len);
            let in_bounds = |group: &said::CopartitionGroup| {
                let topics = group.source_topics.iter();
                let repartition = group.repartition_source_topics.iter();
                topics
                    .map(|i| has(i, subtopology.source_topics.len()))
                    .chain(repartition.map(|i| has(i, subtopology.repartition_source_topics.len())))
                    .all(|known| known)
            };
            if !subtopology.copartition_groups.iter().all(in_bounds) {
                return invalid(format!(
                    "a copartition group of subtopology {id} names a topic that the subtopology does not read"
                ));
            }
        }
        let value = StreamsGroupTopologyValue {
            epoch: topology.epoch,
            subtopologies: topology.subtopologies.iter().map(subtopology).collect(),
        };
        // Written and read again, all its texts share one buffer, and none of the request's.
        let mut bytes = Decoder::new(encode(0, 0, &value));
        let version = bytes.i16();
        let value = version.and_then(|_| StreamsGroupTopologyValue::decode(&mut bytes, 0));
        let Ok(value) = value else {
            return invalid("it cannot be kept".into());
        };
        Ok(Topology::from_record(value))
    }

    /// What was kept.
    pub(super) fn from_record(mut value: StreamsGroupTopologyValue) -> Topology {
        let subtopologies = &mut value.subtopologies;
        subtopologies.sort_by(|a, b| a.subtopology_id.cmp(&b.subtopology_id));
        let mut readers = BTreeMap::new();
        for subtopology in subtopologies {
            for topic in sources(subtopology) {
                readers.insert(topic.clone(), subtopology.subtopology_id.clone());
            }
        }
        Topology { value, readers }
    }

    pub(super) fn value(&self) -> &StreamsGroupTopologyValue {
        &self.value
    }

    pub(super) fn epoch(&self) -> i32 {
        self.value.epoch
    }

    pub(super) fn subtopologies(&self) -> &[Subtopology] {
        &self.value.subtopologies
    }

    /// The subtopology that reads a topic.
    pub(super) fn reader_of(&self, topic: &str) -> Option<&Str> {
        self.readers.get(topic)
    }

    /// All topics without which the application cannot run, in order.
    pub(super) fn required(&self) -> BTreeSet<&Str> {
        let internal = self.subtopologies().iter().flat_map(changelogs);
        self.readers.keys().chain(internal).collect()
    }
}

/// The topics that a subtopology reads: those that must be there, and those that the application makes for itself.
pub(super) fn sources(subtopology: &Subtopology) -> impl Iterator<Item = &Str> {
    let repartition = subtopology.repartition_source_topics.iter();
    subtopology
        .source_topics
        .iter()
        .chain(repartition.map(|topic| &topic.name))
}

fn changelogs(subtopology: &Subtopology) -> impl Iterator<Item = &Str> {
    subtopology.state_changelog_topics.iter().map(|t| &t.name)
}

fn subtopology(said: &said::Subtopology) -> Subtopology {
    let group = |group: &said::CopartitionGroup| CopartitionGroup {
        source_topics: group.source_topics.clone(),
        source_topic_regex: group.source_topic_regex.clone(),
        repartition_source_topics: group.repartition_source_topics.clone(),
    };
    Subtopology {
        subtopology_id: said.subtopology_id.clone(),
        source_topics: said.source_topics.clone(),
        source_topic_regex: said.source_topic_regex.clone(),
        state_changelog_topics: said.state_changelog_topics.iter().map(topic).collect(),
        repartition_sink_topics: said.repartition_sink_topics.clone(),
        repartition_source_topics: said.repartition_source_topics.iter().map(topic).collect(),
        copartition_groups: said.copartition_groups.iter().map(group).collect(),
    }
}

fn topic(said: &said::TopicInfo) -> TopicInfo {
    let config = |pair: &said::KeyValue| TopicConfig {
        key: pair.key.clone(),
        value: pair.value.clone(),
    };
    TopicInfo {
        name: said.name.clone(),
        partitions: said.partitions,
        replication_factor: said.replication_factor,
        topic_configs: said.topic_configs.iter().map(config).collect(),
    }
}
