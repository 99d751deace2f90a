//! Groups as an administrator sees them.

use std::time::Duration;

use catchword_wire::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, DeleteGroupsRequest,
    DescribeGroupsRequest, ListGroupsRequest,
};
use catchword_wire::{Decoder, ErrorCode, Message, Str};

use crate::client::{ANY, Client};
use crate::error::{ClientError, check};
use crate::types::TopicPartition;

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// Its name.
    pub group: String,
    /// Its state; empty where the broker is too old to say.
    pub state: String,
    /// `Classic`, `Consumer`, ...; empty where the broker is too old to say.
    pub kind: String,
    /// What its members do: `consumer`, `connect`; empty for a group without members so far.
    pub protocol_type: String,
}

/// A group and its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub group: String,
    /// Its state, in Kafka's words: `Empty`, `Stable`, `PreparingRebalance`, `CompletingRebalance`, `Dead`.
    pub state: String,
    /// What its members do: `consumer`, `connect`.
    pub protocol_type: String,
    /// The assignor that its members agreed on.
    pub protocol: String,
    /// Its members.
    pub members: Vec<GroupMemberInfo>,
}

impl Group {
    /// Whether it has live members.
    pub fn is_live(&self) -> bool {
        !self.members.is_empty() || !matches!(self.state.as_str(), "Empty" | "Dead" | "")
    }
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMemberInfo {
    /// Its id.
    pub member_id: String,
    /// Its `group.instance.id`, if it is static.
    pub instance_id: Option<String>,
    /// What its client calls itself.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// The topics it subscribes to.
    pub topics: Vec<String>,
    /// The partitions it was given.
    pub assignment: Vec<TopicPartition>,
}

impl Client {
    /// All groups of all brokers, by name.
    ///
    /// # Errors
    /// If a broker cannot be asked or refuses.
    pub fn list_groups(&mut self) -> Result<Vec<GroupListing>, ClientError> {
        let mut groups: Vec<GroupListing> = Vec::new();
        for address in self.addresses()? {
            let response = self.retrying(|client| {
                let request = ListGroupsRequest::default();
                let response = client.call_at(&address, &request, ANY, Duration::ZERO)?;
                check(response.error_code, None, || "list groups".into())?;
                Ok(response)
            })?;
            groups.extend(response.groups.into_iter().map(|group| GroupListing {
                group: group.group_id.to_string(),
                state: group.group_state.to_string(),
                kind: group.group_type.to_string(),
                protocol_type: group.protocol_type.to_string(),
            }));
        }
        groups.sort_by(|a, b| a.group.cmp(&b.group));
        groups.dedup_by(|a, b| a.group == b.group);
        Ok(groups)
    }

    /// A group with its members; `None` if the coordinator knows none of that name.
    ///
    /// # Errors
    /// If the coordinator cannot be asked or refuses.
    pub fn describe_group(&mut self, group: &str) -> Result<Option<Group>, ClientError> {
        let request = DescribeGroupsRequest {
            groups: vec![Str::copy(group)],
            include_authorized_operations: false,
        };
        let what = || format!("describe group {group:?}");
        let response = self.call_coordinator(group, &request, ANY, Duration::ZERO, |response| {
            let result = response.groups.first();
            let unknown = ErrorCode::GroupIdNotFound.code();
            result
                .filter(|result| result.error_code != unknown)
                .map_or(Ok(()), |result| {
                    check(result.error_code, result.error_message.as_deref(), what)
                })
        })?;
        let found = response.groups.into_iter().next();
        // Before version 6 a group that does not exist is described as dead.
        let found = found.filter(|group| group.error_code == 0 && group.group_state != "Dead");
        if found.is_none() {
            // It may be one of the new protocol, which older brokers do not speak.
            return match self.describe_consumer_group(group) {
                Err(ClientError::NoCommonVersion { .. }) => Ok(None),
                other => other,
            };
        }
        Ok(found.map(|found| Group {
            group: found.group_id.to_string(),
            state: found.group_state.to_string(),
            protocol_type: found.protocol_type.to_string(),
            protocol: found.protocol_data.to_string(),
            members: found
                .members
                .into_iter()
                .map(|member| GroupMemberInfo {
                    member_id: member.member_id.to_string(),
                    instance_id: member.group_instance_id.map(|id| id.to_string()),
                    client_id: member.client_id.to_string(),
                    host: member.client_host.trim_start_matches('/').to_owned(),
                    topics: subscription(&member.member_metadata),
                    assignment: assignment(&member.member_assignment),
                })
                .collect(),
        }))
    }

    /// Deletes a group with its committed offsets.
    ///
    /// # Errors
    /// If it has live members, or there is none of that name.
    pub fn delete_group(&mut self, group: &str) -> Result<(), ClientError> {
        let request = DeleteGroupsRequest {
            groups_names: vec![Str::copy(group)],
        };
        let what = || format!("delete group {group:?}");
        self.call_coordinator(group, &request, ANY, Duration::ZERO, |response| {
            response
                .results
                .iter()
                .try_for_each(|result| check(result.error_code, None, what))
        })?;
        Ok(())
    }
}

/// The topics of a member's subscription; none if its bytes are not the consumer protocol's.
pub(crate) fn subscription(bytes: &bytes::Bytes) -> Vec<String> {
    let mut d = Decoder::new(bytes.clone());
    let decoded = d.i16().and_then(|version| {
        let highest = ConsumerProtocolSubscription::VERSIONS.1;
        ConsumerProtocolSubscription::decode(&mut d, version.clamp(0, highest))
    });
    let topics = decoded.map(|decoded| decoded.topics).unwrap_or_default();
    topics.iter().map(|topic| topic.to_string()).collect()
}

/// The partitions of an assignment; none if its bytes are not the consumer protocol's.
pub(crate) fn assignment(bytes: &bytes::Bytes) -> Vec<TopicPartition> {
    let mut d = Decoder::new(bytes.clone());
    let decoded = d.i16().and_then(|version| {
        let highest = ConsumerProtocolAssignment::VERSIONS.1;
        ConsumerProtocolAssignment::decode(&mut d, version.clamp(0, highest))
    });
    let topics = decoded
        .map(|decoded| decoded.assigned_partitions)
        .unwrap_or_default();
    let mut partitions: Vec<_> = topics
        .iter()
        .flat_map(|topic| {
            topic
                .partitions
                .iter()
                .map(|p| TopicPartition::new(topic.topic.as_str(), *p))
        })
        .collect();
    partitions.sort();
    partitions
}
