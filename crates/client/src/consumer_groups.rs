//! Groups of KIP-848's protocol as an administrator sees them.

use std::time::Duration;

use catchword_wire::messages::ConsumerGroupDescribeRequest;
use catchword_wire::messages::consumer_group_describe_response::{Assignment, Member};
use catchword_wire::{ErrorCode, Str};

use crate::client::{ANY, Client};
use crate::error::{ClientError, check};
use crate::groups::{Group, GroupMemberInfo};
use crate::types::TopicPartition;

impl Client {
    /// A group of the new protocol with its members; `None` if the coordinator knows none of that name.
    pub(crate) fn describe_consumer_group(
        &mut self,
        group: &str,
    ) -> Result<Option<Group>, ClientError> {
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec![Str::copy(group)],
            include_authorized_operations: false,
        };
        let unknown = ErrorCode::GroupIdNotFound.code();
        let what = || format!("describe group {group:?}");
        let response = self.call_coordinator(group, &request, ANY, Duration::ZERO, |response| {
            let known = |code: &i16| *code != unknown;
            let mut results = response.groups.iter();
            results.try_for_each(|result| {
                let code = Some(result.error_code).filter(known).unwrap_or(0);
                check(code, result.error_message.as_deref(), what)
            })
        })?;
        let found = response
            .groups
            .into_iter()
            .find(|group| group.error_code == 0);
        Ok(found.map(|found| Group {
            group: found.group_id.to_string(),
            state: found.group_state.to_string(),
            protocol_type: "consumer".into(),
            protocol: found.assignor_name.to_string(),
            members: found.members.iter().map(member).collect(),
        }))
    }
}

fn member(member: &Member) -> GroupMemberInfo {
    let regex = member
        .subscribed_topic_regex
        .iter()
        .filter(|regex| !regex.is_empty());
    let topics = member.subscribed_topic_names.iter().chain(regex);
    GroupMemberInfo {
        member_id: member.member_id.to_string(),
        instance_id: member.instance_id.as_ref().map(Str::to_string),
        client_id: member.client_id.to_string(),
        host: member.client_host.trim_start_matches('/').to_owned(),
        topics: topics.map(Str::to_string).collect(),
        assignment: partitions(&member.assignment),
    }
}

fn partitions(assignment: &Assignment) -> Vec<TopicPartition> {
    let topics = assignment.topic_partitions.iter();
    let mut partitions: Vec<TopicPartition> = topics
        .flat_map(|topic| {
            let of = topic.partitions.iter();
            of.map(|p| TopicPartition::new(topic.topic_name.as_str(), *p))
        })
        .collect();
    partitions.sort();
    partitions
}
