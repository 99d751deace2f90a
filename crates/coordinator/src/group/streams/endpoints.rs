//! Where an application's queries are answered: which member's endpoint has the state of which partitions.

use std::collections::BTreeMap;

use catchword_wire::Str;
use catchword_wire::messages::streams_group_heartbeat_response::{
    Endpoint, EndpointToPartitions, TopicPartition,
};

use super::StreamsGroup;
use super::member::Member;
use super::task::Role;
use super::topology::sources;
use crate::metadata::MetadataImage;

impl StreamsGroup {
    /// All endpoints that members gave, with what they read.
    pub(super) fn endpoints(&self, image: &MetadataImage) -> Vec<EndpointToPartitions> {
        let members = self.members.values();
        let with_endpoint = members.filter_map(|m| Some((m.said.endpoint.as_ref()?, m)));
        with_endpoint
            .map(|((host, port), member)| EndpointToPartitions {
                user_endpoint: Endpoint {
                    host: host.clone(),
                    port: *port,
                },
                active_partitions: self.read_by(member, Role::Active, image),
                standby_partitions: self.read_by(member, Role::Standby, image),
            })
            .collect()
    }

    /// The partitions that a member's tasks of this role read. A topic may have fewer than there are tasks.
    fn read_by(&self, member: &Member, role: Role, image: &MetadataImage) -> Vec<TopicPartition> {
        let Some(topology) = &self.topology else {
            return Vec::new();
        };
        let mut read: BTreeMap<&Str, Vec<i32>> = BTreeMap::new();
        for subtopology in topology.subtopologies() {
            for topic in sources(subtopology).filter_map(|topic| image.topic(topic)) {
                let tasks = member.current.assigned.keys();
                let tasks = tasks.filter(|task| {
                    task.role == role
                        && task.subtopology == subtopology.subtopology_id
                        && task.partition < topic.partitions
                });
                let of = read.entry(&topic.name).or_default();
                of.extend(tasks.map(|task| task.partition));
            }
        }
        let read = read.into_iter().filter(|(_, of)| !of.is_empty());
        read.map(|(topic, partitions)| TopicPartition {
            topic: topic.clone(),
            partitions,
        })
        .collect()
    }
}
