//! Those who are in no group: an administrator, and somebody who looks where groups are.

use catchword_coordinator::{Call, Client};
use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestTopics;
use catchword_wire::{Str, Uuid};

use super::{Event, World};
use crate::driver::{commit, commit_topic, fetch, offset_delete};
use crate::sim::broker::Caller;
use crate::sim::checker::Asked;
use crate::sim::member::TOPIC;

impl World {
    /// An administrator resets or deletes an offset, or deletes the group, or tries to.
    pub(super) fn admin(&mut self) {
        let next_ms = self.now_ms + self.rng.between(2_000, 30_000);
        self.at(next_ms, Event::Admin);
        let group = self.any_group();
        let partition = self.rng.between(0, i64::from(self.partitions) - 1) as i32;
        let (call, asked) = if self.rng.one_in(4) {
            (offset_delete(&group, TOPIC, partition), Asked::Other)
        } else if self.rng.one_in(10) {
            (Call::DeleteGroup(group), Asked::Other)
        } else {
            let offset = self.rng.between(0, 1_000);
            let number = self.checker.attempt((group.clone(), partition), offset, -1);
            let mut call = commit(&group, "", -1, offset);
            call.topics = vec![commit_topic(TOPIC, &[(partition, offset)])];
            call.topics[0].partitions[0].committed_metadata = Some(Str::from(number.to_string()));
            (Call::OffsetCommit(call), Asked::Commit(vec![number]))
        };
        self.send_from_outside(call, asked);
    }

    /// Somebody looks where a group is.
    pub(super) fn observe(&mut self) {
        let next_ms = self.now_ms + self.rng.between(50, 3_000);
        self.at(next_ms, Event::Observe);
        let group = self.any_group();
        let topics = Some(vec![OffsetFetchRequestTopics {
            name: TOPIC.into(),
            topic_id: Uuid::ZERO,
            partition_indexes: (0..self.partitions).collect(),
        }]);
        self.send_from_outside(fetch(&group, topics), Asked::Other);
    }

    fn any_group(&mut self) -> Str {
        let last = self.groups.len() as i64 - 1;
        self.groups[self.rng.between(0, last) as usize].clone()
    }

    /// Sends what no member asks for; nobody waits for the answer.
    fn send_from_outside(&mut self, call: Call, asked: Asked) {
        let caller = Caller {
            member: usize::MAX,
            life: 0,
            request: 0,
            asked,
        };
        let client = Client {
            client_id: "admin".into(),
            ..Client::default()
        };
        let at_ms = self.now_ms + self.delay_ms();
        let (version, call) = (9, Box::new(call));
        self.at(
            at_ms,
            Event::Arrive {
                caller,
                client,
                version,
                call,
            },
        );
    }
}
