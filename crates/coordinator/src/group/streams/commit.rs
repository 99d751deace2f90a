//! A streams group as commits and fetches of offsets see it: the task that reads a partition is what its member was given.

use catchword_wire::Str;
use catchword_wire::messages::offset_commit_request::OffsetCommitRequestTopic;

use super::StreamsGroup;
use super::task::{Role, Task};
use crate::group::committers::{Committers, Seat};

impl Committers for StreamsGroup {
    type Topic = Str;

    fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn seat(&self, member_id: &str) -> Option<Seat> {
        self.members.get(member_id).map(|member| Seat {
            epoch: member.current.epoch,
            is_classic: false,
        })
    }

    fn given_at(&self, member_id: &str, topic: &Str, partition: i32) -> Option<i32> {
        let task = Task {
            role: Role::Active,
            subtopology: self.topology.as_ref()?.reader_of(topic)?.clone(),
            partition,
        };
        self.members.get(member_id)?.current.assigned_at(&task)
    }

    fn topic_of(topic: &OffsetCommitRequestTopic) -> &Str {
        &topic.name
    }
}
