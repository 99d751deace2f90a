//! ConsumerGroupDescribe and ListGroups: what a consumer group looks like from outside.

use std::collections::BTreeMap;

use catchword_wire::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member as DescribedMember, TopicPartitions,
};
use catchword_wire::messages::list_groups_response::ListedGroup;
use catchword_wire::{ErrorCode, Str, Uuid};

use super::ConsumerGroup;
use super::member::Member;
use crate::group::classic::CONSUMER_PROTOCOL_TYPE;
use crate::group::{Awaited, Awaits, RosterMember};
use crate::metadata::MetadataImage;
use crate::notice::{Leaving, Notice};

/// Kafka's name for the kind.
const CONSUMER: &str = "consumer";

impl ConsumerGroup {
    /// Kafka's name for where the group is.
    pub(crate) fn state(&self) -> &'static str {
        let mut members = self.members.values();
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.assignment_epoch {
            "Assigning"
        } else if members.all(|member| member.is_reconciled_to(self.assignment_epoch)) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    pub(crate) fn list(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: CONSUMER_PROTOCOL_TYPE.into(),
            group_state: self.state().into(),
            group_type: CONSUMER.into(),
        }
    }

    pub(crate) fn describe(&self, image: &MetadataImage, offered: &[Str]) -> DescribedGroup {
        DescribedGroup {
            group_id: self.id.clone(),
            group_state: self.state().into(),
            group_epoch: self.epoch,
            assignment_epoch: self.assignment_epoch,
            assignor_name: self.preferred_assignor(offered),
            members: self
                .members
                .values()
                .map(|member| self.describe_member(member, image))
                .collect(),
            ..DescribedGroup::default()
        }
    }

    /// The members, and what they have not given up.
    pub(crate) fn roster(&self, image: &MetadataImage) -> Vec<RosterMember> {
        let members = self.members.values();
        members.map(|member| on_roster(member, image)).collect()
    }

    /// Whom it waits for: who has what is another's by now, or has to rejoin by the classic protocol.
    pub(crate) fn awaited(&self, image: &MetadataImage) -> Vec<Awaited> {
        let members = self.members.values();
        members
            .filter_map(|member| self.awaits(member, image))
            .collect()
    }

    fn awaits(&self, member: &Member, image: &MetadataImage) -> Option<Awaited> {
        let target = self.targets.get(&member.id);
        let is_its = |topic: &Uuid, partition| {
            let of = target.and_then(|target| target.get(topic));
            of.is_some_and(|of| of.contains(&partition))
        };
        let others = member.current.partitions();
        let others = others.filter(|(topic, partition)| !is_its(topic, *partition));
        let others: Vec<(Str, i32)> = named(others, image).collect();
        let (what, deadline) = match (member.is_classic(), others.is_empty()) {
            (false, false) => (Awaits::GiveUp(others), member.revocation),
            (true, false) => (Awaits::GiveUp(others), member.join),
            (_, true) if member.join.is_set() => (Awaits::Rejoin, member.join),
            (_, true) if member.sync.is_set() => (Awaits::Sync, member.sync),
            _ => return None,
        };
        // It may be that it has not heard of it yet: then it is awaited since it was decided.
        let told_ms = deadline
            .at_ms()
            .filter(|_| what != Awaits::Sync)
            .map(|at_ms| at_ms - i64::from(member.rebalance_timeout_ms()));
        Some(Awaited {
            member_id: member.id.clone(),
            client_id: member.said.client_id.clone(),
            client_host: member.said.client_host.clone(),
            what,
            since_ms: told_ms.or((self.assigned_at_ms > 0).then_some(self.assigned_at_ms)),
            until_ms: deadline.at_ms(),
        })
    }

    /// That these members are gone, once they are.
    pub(crate) fn gone(&self, ids: &[Str], how: Leaving, image: &MetadataImage) -> Vec<Notice> {
        let members = ids.iter().filter_map(|id| self.members.get(id));
        members
            .filter_map(|member| on_roster(member, image).gone(&self.id, how))
            .collect()
    }

    fn describe_member(&self, member: &Member, image: &MetadataImage) -> DescribedMember {
        let said = &member.said;
        let target = self.targets.get(&member.id).into_iter().flatten();
        let target = target.flat_map(|(topic, of)| of.iter().map(|p| (*topic, *p)));
        DescribedMember {
            member_id: member.id.clone(),
            instance_id: said.instance_id.clone(),
            rack_id: said.rack_id.clone(),
            member_epoch: member.current.epoch,
            client_id: said.client_id.clone(),
            client_host: said.client_host.clone(),
            subscribed_topic_names: said.topics.iter().cloned().collect(),
            subscribed_topic_regex: Some(said.regex.clone()),
            // What it has not given up is its still.
            assignment: assignment(member.current.partitions(), image),
            target_assignment: assignment(target, image),
            member_type: i8::from(!member.is_classic()),
        }
    }
}

/// Topics that are gone have no name to be shown by.
fn named(
    partitions: impl Iterator<Item = (Uuid, i32)>,
    image: &MetadataImage,
) -> impl Iterator<Item = (Str, i32)> {
    partitions.filter_map(|(topic, partition)| {
        let topic = image.topic_by_id(&topic)?;
        Some((topic.name.clone(), partition))
    })
}

fn on_roster(member: &Member, image: &MetadataImage) -> RosterMember {
    RosterMember {
        id: member.id.clone(),
        instance_id: member.said.instance_id.clone(),
        client_id: member.said.client_id.clone(),
        client_host: member.said.client_host.clone(),
        partitions: named(member.current.partitions(), image).collect(),
    }
}

/// Topics that are gone have no name to be shown by.
fn assignment(partitions: impl Iterator<Item = (Uuid, i32)>, image: &MetadataImage) -> Assignment {
    let mut topics: BTreeMap<Uuid, TopicPartitions> = BTreeMap::new();
    for (topic_id, partition) in partitions {
        if let Some(topic) = image.topic_by_id(&topic_id) {
            let of = topics.entry(topic_id).or_insert_with(|| TopicPartitions {
                topic_id,
                topic_name: topic.name.clone(),
                partitions: Vec::new(),
            });
            of.partitions.push(partition);
        }
    }
    Assignment {
        topic_partitions: topics.into_values().collect(),
    }
}

/// A group that does not exist, or is of another kind. Kafka's tools show the words.
pub(crate) fn describe_unknown(group_id: Str, exists: bool) -> DescribedGroup {
    let why = match exists {
        true => "is not a consumer group",
        false => "not found",
    };
    DescribedGroup {
        error_code: ErrorCode::GroupIdNotFound.code(),
        error_message: Some(Str::from(format!("Group {group_id} {why}."))),
        group_id,
        ..DescribedGroup::default()
    }
}
