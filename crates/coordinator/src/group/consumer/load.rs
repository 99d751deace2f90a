//! A consumer group in the log: its records, and the group out of its records.

use std::collections::BTreeMap;

use bytes::Bytes;
use catchword_wire::Str;
use catchword_wire::records::consumer_group_current_member_assignment_value::TopicPartitions;
use catchword_wire::records::consumer_group_member_metadata_value::{
    ClassicMemberMetadata, ClassicProtocol,
};
use catchword_wire::records::consumer_group_target_assignment_member_value::TopicPartition;
use catchword_wire::records::{
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataValue, ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataValue,
};

use super::member::{Assigned, ClassicSide, Current, FIRST_STATE, LEFT, Member, MemberState, Said};
use super::regex::Resolved;
use super::{ConsumerGroup, Env};
use crate::assignor::Partitions;
use crate::effect::Output;
use crate::group::Scope;
use crate::group::member::Protocol;
use crate::record::consumer::{Change, Writer};

impl ConsumerGroup {
    /// Takes over what a member says of itself, and writes it.
    pub(super) fn set_said(&mut self, id: &Str, said: Said, out: &mut Output) {
        self.writer(out).member(id, Some(&said.value()));
        self.put_said(id, said);
    }

    /// Takes over what a member has, and writes it.
    pub(super) fn set_current(&mut self, id: &Str, current: Current, out: &mut Output) {
        self.writer(out).current(id, Some(&current.value()));
        self.put_current(id, current);
    }

    /// Applies a record. False if the group is gone by it.
    pub(crate) fn replay(&mut self, change: Change) -> bool {
        match change {
            Change::Group(Some(value)) => {
                self.epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
            }
            Change::Group(None) => return false,
            Change::Partitions(exists) => self.has_partitions_record = exists,
            Change::Member(id, Some(value)) => {
                self.member_or_new(&id);
                self.put_said(&id, Said::from_record(value));
            }
            Change::Member(id, None) => drop(self.take_member(&id)),
            Change::TargetEpoch(value) => {
                let value = value.unwrap_or_default();
                self.assignment_epoch = value.assignment_epoch;
                self.assigned_at_ms = value.assignment_timestamp;
            }
            Change::Target(id, Some(value)) => {
                self.targets.insert(id.detached(), target_from(value));
            }
            Change::Target(id, None) => drop(self.targets.remove(&id)),
            Change::Current(id, Some(value)) => {
                self.member_or_new(&id);
                self.put_current(&id, Current::from_record(value));
            }
            Change::Current(id, None) => {
                let left = Current {
                    epoch: LEFT,
                    previous_epoch: LEFT,
                    ..Current::default()
                };
                self.put_current(&id, left);
            }
            Change::Regex(regex, Some(value)) => {
                let resolved = Resolved {
                    topics: value.topics.iter().map(Str::detached).collect(),
                    version: value.version,
                    at_ms: value.timestamp,
                };
                self.regexes.insert(regex.detached(), resolved);
            }
            Change::Regex(regex, None) => drop(self.regexes.remove(&regex)),
        }
        true
    }

    fn member_or_new(&mut self, id: &Str) {
        if !self.members.contains_key(id) {
            self.members.insert(id.detached(), Member::new(id));
        }
    }

    /// Writes all records of the group, in Kafka's order.
    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        for (id, member) in self.members.iter() {
            writer.member(id, Some(&member.said.value()));
        }
        writer.group(Some(&ConsumerGroupMetadataValue {
            epoch: self.epoch,
            metadata_hash: self.metadata_hash,
        }));
        for (id, target) in &self.targets {
            writer.target(id, Some(&target_value(target)));
        }
        writer.target_epoch(Some(&ConsumerGroupTargetAssignmentMetadataValue {
            assignment_epoch: self.assignment_epoch,
            assignment_timestamp: self.assigned_at_ms,
        }));
        for (id, member) in self.members.iter() {
            writer.current(id, Some(&member.current.value()));
        }
        for (regex, resolved) in &self.regexes {
            writer.regex(regex, Some(&resolved.value()));
        }
    }

    /// Writes tombstones for all records of the group, in Kafka's order.
    pub(crate) fn write_tombstones(&self, writer: &mut Writer<'_>) {
        self.members.keys().for_each(|id| writer.current(id, None));
        self.members.keys().for_each(|id| writer.target(id, None));
        writer.target_epoch(None);
        self.members.keys().for_each(|id| writer.member(id, None));
        self.regexes
            .keys()
            .for_each(|regex| writer.regex(regex, None));
        writer.no_partitions();
        writer.group(None);
    }

    /// The log has been read: members are given their time, from now.
    pub(crate) fn loaded(&mut self, env: &Env<'_>, scope: &mut Scope<'_>) {
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        for id in &ids {
            self.restart_session(id, env, scope);
            self.watch_revocation(id, scope);
        }
    }
}

impl Said {
    fn value(&self) -> ConsumerGroupMemberMetadataValue {
        let protocol = |p: &Protocol| ClassicProtocol {
            name: p.name.clone(),
            metadata: p.metadata.clone(),
        };
        let classic = |side: &ClassicSide| ClassicMemberMetadata {
            session_timeout_ms: side.session_timeout_ms,
            supported_protocols: side.protocols.iter().map(protocol).collect(),
        };
        ConsumerGroupMemberMetadataValue {
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.topics.iter().cloned().collect(),
            subscribed_topic_regex: Some(self.regex.clone()),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            server_assignor: self.assignor.clone(),
            classic_member_metadata: self.classic.as_ref().map(classic),
        }
    }

    fn from_record(value: ConsumerGroupMemberMetadataValue) -> Said {
        let own = |text: &Option<Str>| text.as_ref().map(Str::detached);
        let protocol = |p: &ClassicProtocol| Protocol {
            name: p.name.detached(),
            metadata: Bytes::copy_from_slice(&p.metadata),
        };
        let classic = |side: &ClassicMemberMetadata| ClassicSide {
            session_timeout_ms: side.session_timeout_ms,
            protocols: side.supported_protocols.iter().map(protocol).collect(),
        };
        Said {
            instance_id: own(&value.instance_id),
            rack_id: own(&value.rack_id),
            client_id: value.client_id.detached(),
            client_host: value.client_host.detached(),
            rebalance_timeout_ms: value.rebalance_timeout_ms,
            topics: value
                .subscribed_topic_names
                .iter()
                .map(Str::detached)
                .collect(),
            regex: own(&value.subscribed_topic_regex).unwrap_or_default(),
            assignor: own(&value.server_assignor),
            classic: value.classic_member_metadata.as_ref().map(classic),
        }
    }
}

impl Current {
    fn value(&self) -> ConsumerGroupCurrentMemberAssignmentValue {
        let topics = |assigned: &Assigned| {
            let topic =
                |(topic_id, of): (&catchword_wire::Uuid, &BTreeMap<i32, i32>)| TopicPartitions {
                    topic_id: *topic_id,
                    partitions: of.keys().copied().collect(),
                    assignment_epochs: Some(of.values().copied().collect()),
                };
            assigned.iter().map(topic).collect()
        };
        ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.state.code(FIRST_STATE),
            assigned_partitions: topics(&self.assigned),
            partitions_pending_revocation: topics(&self.revoking),
        }
    }

    /// Records of brokers that did not keep the epoch of each partition stand for the member's.
    fn from_record(value: ConsumerGroupCurrentMemberAssignmentValue) -> Current {
        let epoch = value.member_epoch;
        let partitions = |topics: &[TopicPartitions]| {
            let mut assigned = Assigned::new();
            for topic in topics {
                let epochs = topic.assignment_epochs.as_deref().unwrap_or_default();
                let epochs = epochs.iter().copied().chain(std::iter::repeat(epoch));
                let of = assigned.entry(topic.topic_id).or_default();
                of.extend(topic.partitions.iter().copied().zip(epochs));
            }
            assigned
        };
        Current {
            epoch,
            previous_epoch: value.previous_member_epoch,
            state: MemberState::from_code(value.state, FIRST_STATE),
            assigned: partitions(&value.assigned_partitions),
            revoking: partitions(&value.partitions_pending_revocation),
        }
    }
}

pub(super) fn target_value(target: &Partitions) -> ConsumerGroupTargetAssignmentMemberValue {
    let topic_partitions = target.iter().map(|(topic_id, partitions)| TopicPartition {
        topic_id: *topic_id,
        partitions: partitions.iter().copied().collect(),
    });
    ConsumerGroupTargetAssignmentMemberValue {
        topic_partitions: topic_partitions.collect(),
    }
}

fn target_from(value: ConsumerGroupTargetAssignmentMemberValue) -> Partitions {
    let topics = value.topic_partitions.into_iter();
    topics
        .map(|topic| (topic.topic_id, topic.partitions.into_iter().collect()))
        .collect()
}
