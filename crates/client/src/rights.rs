//! What whoever connects may do, as brokers with ACLs tell it (KIP-430).

use std::collections::BTreeMap;
use std::time::Duration;

use catchword_wire::messages::metadata_request::MetadataRequestTopic;
use catchword_wire::messages::{DescribeGroupsRequest, MetadataRequest};
use catchword_wire::{ErrorCode, Str};

use crate::client::{ANY, Client};
use crate::error::ClientError;

/// Kafka's codes of operations, each a bit of an answer.
const READ: u32 = 3;
const DELETE: u32 = 6;
/// No operation at all.
const NONE: Operations = Operations(0);
/// What a broker answers that does not tell.
const UNTOLD: i32 = i32::MIN;

/// What may be done with a topic or a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operations(i32);

impl Operations {
    fn told(bits: i32) -> Option<Operations> {
        (bits != UNTOLD).then_some(Operations(bits))
    }

    /// READ: of a group, also to commit its offsets.
    pub fn may_read(self) -> bool {
        self.has(READ)
    }

    /// DELETE.
    pub fn may_delete(self) -> bool {
        self.has(DELETE)
    }

    fn has(self, operation: u32) -> bool {
        self.0 & (1 << operation) != 0
    }
}

impl Client {
    /// What may be done with topics: nothing with those that may not even be seen. Those that the broker does not tell of are left
    /// out.
    ///
    /// # Errors
    /// If no broker answers.
    pub fn topic_operations(
        &mut self,
        topics: &[&str],
    ) -> Result<BTreeMap<String, Operations>, ClientError> {
        let topic = |name: &&str| MetadataRequestTopic {
            name: Some(Str::copy(name)),
            ..Default::default()
        };
        let request = MetadataRequest {
            topics: Some(topics.iter().map(topic).collect()),
            allow_auto_topic_creation: false,
            include_topic_authorized_operations: true,
            ..Default::default()
        };
        let response = self.retrying(|client| client.call_any(&request, ANY))?;
        let told = response.topics.into_iter().filter_map(|topic| {
            let operations = of_topic(topic.error_code, topic.topic_authorized_operations)?;
            Some((topic.name?.to_string(), operations))
        });
        Ok(told.collect())
    }

    /// What may be done with a group; `None` if the broker does not tell, as of groups that do not exist and (Kafka) of those
    /// of newer kinds.
    ///
    /// # Errors
    /// If its coordinator cannot be asked.
    pub fn group_operations(&mut self, group: &str) -> Result<Option<Operations>, ClientError> {
        let request = DescribeGroupsRequest {
            groups: vec![Str::copy(group)],
            include_authorized_operations: true,
        };
        let response = self.call_coordinator(group, &request, ANY, Duration::ZERO, |_| Ok(()))?;
        let found = response
            .groups
            .into_iter()
            .find(|found| found.error_code == 0);
        Ok(found.and_then(|found| Operations::told(found.authorized_operations)))
    }
}

/// What an answer about a topic tells.
fn of_topic(error_code: i16, operations: i32) -> Option<Operations> {
    if error_code == ErrorCode::TopicAuthorizationFailed.code() {
        return Some(NONE);
    }
    Operations::told(operations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_does_not_tell_forbids_nothing() {
        assert_eq!(Operations::told(i32::MIN), None);
        let some = Operations::told(1 << 3 | 1 << 8).unwrap();
        assert!(some.may_read() && !some.may_delete());
    }

    #[test]
    fn with_a_topic_that_may_not_be_seen_nothing_may_be_done() {
        let unseen = of_topic(ErrorCode::TopicAuthorizationFailed.code(), i32::MIN);
        assert!(unseen.is_some_and(|may| !may.may_read()));
        assert_eq!(of_topic(0, i32::MIN), None, "the broker has no ACLs");
    }
}
