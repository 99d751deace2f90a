//! ShareGroupDescribe and ListGroups: what a share group looks like from outside.

use catchword_wire::messages::list_groups_response::ListedGroup;
use catchword_wire::messages::share_group_describe_response::{
    Assignment, DescribedGroup, Member as DescribedMember, TopicPartitions,
};
use catchword_wire::{ErrorCode, Str};

use super::{Member, ShareGroup};
use crate::group::RosterMember;
use crate::metadata::MetadataImage;

/// Kafka's name for the kind.
const SHARE: &str = "share";
/// Kafka's name for the assignor.
const SIMPLE: &str = "simple";

impl ShareGroup {
    /// Kafka's name for where the group is: a share group that has members is stable.
    fn state(&self) -> &'static str {
        if self.members.is_empty() {
            "Empty"
        } else {
            "Stable"
        }
    }

    pub(crate) fn list(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: SHARE.into(),
            group_state: self.state().into(),
            group_type: SHARE.into(),
        }
    }

    /// The members. What they read is not theirs alone.
    pub(crate) fn roster(&self) -> Vec<RosterMember> {
        let member = |(id, member): (&Str, &Member)| RosterMember {
            id: id.clone(),
            instance_id: None,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            partitions: Vec::new(),
        };
        self.members.iter().map(member).collect()
    }

    pub(crate) fn describe(&self, image: &MetadataImage) -> DescribedGroup {
        let members = self.members.iter();
        DescribedGroup {
            group_id: self.id.clone(),
            group_state: self.state().into(),
            group_epoch: self.epoch,
            assignment_epoch: self.assignment_epoch,
            assignor_name: SIMPLE.into(),
            members: members
                .map(|(id, member)| describe_member(id, member, image))
                .collect(),
            ..DescribedGroup::default()
        }
    }
}

fn describe_member(id: &Str, member: &Member, image: &MetadataImage) -> DescribedMember {
    // Topics that are gone have no name to be shown by.
    let topics = member.assigned.iter().filter_map(|(topic_id, partitions)| {
        Some(TopicPartitions {
            topic_id: *topic_id,
            topic_name: image.topic_by_id(topic_id)?.name.clone(),
            partitions: partitions.iter().copied().collect(),
        })
    });
    DescribedMember {
        member_id: id.clone(),
        rack_id: member.rack_id.clone(),
        member_epoch: member.epoch,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.topics.iter().cloned().collect(),
        assignment: Assignment {
            topic_partitions: topics.collect(),
        },
    }
}

/// A group that does not exist, or is of another kind.
pub(crate) fn describe_unknown(group_id: Str) -> DescribedGroup {
    DescribedGroup {
        error_code: ErrorCode::GroupIdNotFound.code(),
        error_message: Some(Str::from(format!("Group {group_id} is not a share group."))),
        group_id,
        ..DescribedGroup::default()
    }
}
