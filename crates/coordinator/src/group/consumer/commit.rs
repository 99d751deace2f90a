//! A consumer group as commits and fetches of offsets see it.

use catchword_wire::Uuid;
use catchword_wire::messages::offset_commit_request::OffsetCommitRequestTopic;

use super::ConsumerGroup;
use crate::group::committers::{Committers, Seat};

impl Committers for ConsumerGroup {
    type Topic = Uuid;

    fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn seat(&self, member_id: &str) -> Option<Seat> {
        self.members.get(member_id).map(|member| Seat {
            epoch: member.current.epoch,
            is_classic: member.is_classic(),
        })
    }

    fn given_at(&self, member_id: &str, topic: &Uuid, partition: i32) -> Option<i32> {
        let member = self.members.get(member_id)?;
        member.current.assigned_at(topic, partition)
    }

    fn topic_of(topic: &OffsetCommitRequestTopic) -> &Uuid {
        &topic.topic_id
    }
}
