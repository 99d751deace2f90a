//! A share group's form in the log.

use std::collections::BTreeSet;

use catchword_wire::Str;
use catchword_wire::records::share_group_current_member_assignment_value::TopicPartitions;
use catchword_wire::records::share_group_target_assignment_member_value::TopicPartition;
use catchword_wire::records::{
    ShareGroupCurrentMemberAssignmentValue, ShareGroupMemberMetadataValue, ShareGroupMetadataValue,
    ShareGroupTargetAssignmentMemberValue, ShareGroupTargetAssignmentMetadataValue,
};

use super::{Member, ShareGroup};
use crate::assignor::Partitions;
use crate::effect::{Headers, Output};
use crate::record::headers::{Cause, because};
use crate::record::share::{Change, Writer};
use crate::record::writer::RecordWriter;

impl ShareGroup {
    /// Applies a record. False if the group is gone by it.
    pub(crate) fn replay(&mut self, change: Change) -> bool {
        match change {
            Change::Group(Some(value)) => {
                self.epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
            }
            Change::Group(None) => return false,
            Change::Member(id, Some(value)) => {
                let member = self.members.or_default(id.detached());
                member.rack_id = value.rack_id.as_ref().map(Str::detached);
                member.client_id = value.client_id.detached();
                member.client_host = value.client_host.detached();
                let topics = value.subscribed_topic_names.iter();
                member.topics = topics.map(Str::detached).collect();
            }
            Change::Member(id, None) => drop(self.members.remove(&id)),
            Change::TargetEpoch(value) => {
                let value = value.unwrap_or_default();
                self.assignment_epoch = value.assignment_epoch;
                self.assigned_at_ms = value.assignment_timestamp;
            }
            Change::Target(id, Some(value)) => {
                let topics = value.topic_partitions.into_iter();
                let target =
                    topics.map(|topic| (topic.topic_id, topic.partitions.into_iter().collect()));
                self.targets.insert(id.detached(), target.collect());
            }
            Change::Target(id, None) => drop(self.targets.remove(&id)),
            Change::Current(id, Some(value)) => {
                let member = self.members.or_default(id.detached());
                member.epoch = value.member_epoch;
                member.previous_epoch = value.previous_member_epoch;
                let topics = value.assigned_partitions.into_iter();
                let assigned = topics.map(|topic| {
                    (
                        topic.topic_id,
                        topic.partitions.into_iter().collect::<BTreeSet<i32>>(),
                    )
                });
                member.assigned = assigned.collect();
            }
            Change::Current(id, None) => {
                if let Some(member) = self.members.get_mut(&id) {
                    member.epoch = super::LEFT;
                    member.assigned = Partitions::new();
                }
            }
            Change::Places(_) => {}
        }
        true
    }

    fn writer<'a>(&'a self, out: &'a mut Output) -> Writer<'a> {
        self.writer_with(because(Cause::Rebalance), out)
    }

    fn writer_with<'a>(&'a self, headers: Headers, out: &'a mut Output) -> Writer<'a> {
        Writer(RecordWriter {
            group_id: &self.id,
            headers,
            out,
        })
    }

    pub(super) fn write_group(&self, out: &mut Output) {
        self.writer(out).group(Some(&self.value()));
    }

    pub(super) fn write_member(&self, id: &Str, out: &mut Output) {
        if let Some(member) = self.members.get(id) {
            self.writer(out).member(id, Some(&said(member)));
        }
    }

    pub(super) fn write_current(&self, id: &Str, out: &mut Output) {
        if let Some(member) = self.members.get(id) {
            self.writer(out).current(id, Some(&current(member)));
        }
    }

    pub(super) fn write_target(&self, id: &Str, target: &Partitions, out: &mut Output) {
        self.writer(out).target(id, Some(&target_value(target)));
    }

    pub(super) fn write_target_epoch(&self, out: &mut Output) {
        self.writer(out).target_epoch(Some(&self.target_epoch()));
    }

    /// Tombstones for a member that is gone.
    pub(super) fn write_removed(&self, id: &Str, out: &mut Output) {
        let mut writer = self.writer(out);
        writer.current(id, None);
        writer.target(id, None);
        writer.member(id, None);
    }

    /// The group is to be there before anybody has joined it.
    pub(crate) fn begin(&self, out: &mut Output) {
        self.write_group(out);
    }

    /// Writes all records of the group, in Kafka's order.
    pub(crate) fn write(&self, headers: Headers, out: &mut Output) {
        let mut writer = self.writer_with(headers, out);
        for (id, member) in self.members.iter() {
            writer.member(id, Some(&said(member)));
        }
        writer.group(Some(&self.value()));
        for (id, target) in &self.targets {
            writer.target(id, Some(&target_value(target)));
        }
        writer.target_epoch(Some(&self.target_epoch()));
        for (id, member) in self.members.iter() {
            writer.current(id, Some(&current(member)));
        }
    }

    /// The group is deleted; it has no members.
    pub(crate) fn end(&self, headers: &Headers, out: &mut Output) {
        let mut writer = self.writer_with(headers.clone(), out);
        writer.target_epoch(None);
        writer.group(None);
    }

    fn value(&self) -> ShareGroupMetadataValue {
        ShareGroupMetadataValue {
            epoch: self.epoch,
            metadata_hash: self.metadata_hash,
        }
    }

    fn target_epoch(&self) -> ShareGroupTargetAssignmentMetadataValue {
        ShareGroupTargetAssignmentMetadataValue {
            assignment_epoch: self.assignment_epoch,
            assignment_timestamp: self.assigned_at_ms,
        }
    }
}

fn said(member: &Member) -> ShareGroupMemberMetadataValue {
    ShareGroupMemberMetadataValue {
        rack_id: member.rack_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.topics.iter().cloned().collect(),
    }
}

fn current(member: &Member) -> ShareGroupCurrentMemberAssignmentValue {
    let topics = member
        .assigned
        .iter()
        .map(|(topic_id, partitions)| TopicPartitions {
            topic_id: *topic_id,
            partitions: partitions.iter().copied().collect(),
        });
    ShareGroupCurrentMemberAssignmentValue {
        member_epoch: member.epoch,
        previous_member_epoch: member.previous_epoch,
        // Stable: there is no other state.
        state: 0,
        assigned_partitions: topics.collect(),
    }
}

fn target_value(target: &Partitions) -> ShareGroupTargetAssignmentMemberValue {
    let topics = target.iter().map(|(topic_id, partitions)| TopicPartition {
        topic_id: *topic_id,
        partitions: partitions.iter().copied().collect(),
    });
    ShareGroupTargetAssignmentMemberValue {
        topic_partitions: topics.collect(),
    }
}
