//! Members of consumer groups (KIP-848) whose epochs are behind or ahead of the coordinator's.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use catchword_wire::ErrorCode;
use catchword_wire::messages::ConsumerGroupHeartbeatRequest;
use catchword_wire::messages::consumer_group_heartbeat_request::TopicPartitions;

use super::ground::{Ground, led_past};
use super::{Answers, are, code};
use crate::harness::Cluster;

struct Asker(Ground);

impl Asker {
    fn new(cluster: &Cluster) -> Asker {
        Asker(Ground::new(cluster, 6))
    }

    fn heartbeat(
        &self,
        member: &'static str,
        epoch: i32,
        owned: Option<Vec<TopicPartitions>>,
    ) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest {
            group_id: self.0.group.clone(),
            member_id: member.into(),
            member_epoch: epoch,
            rebalance_timeout_ms: if epoch == 0 { 30_000 } else { -1 },
            subscribed_topic_names: (epoch == 0).then(|| vec![self.0.topic.clone()]),
            topic_partitions: owned,
            ..ConsumerGroupHeartbeatRequest::default()
        }
    }

    fn join(&mut self, member: &'static str) -> (ErrorCode, i32) {
        let request = self.heartbeat(member, 0, Some(Vec::new()));
        let response = self.0.wire.call(&request, 1);
        (code(response.error_code), response.member_epoch)
    }

    fn beat(
        &mut self,
        member: &'static str,
        epoch: i32,
        owned: Option<Vec<TopicPartitions>>,
    ) -> ErrorCode {
        let request = self.heartbeat(member, epoch, owned);
        code(self.0.wire.call(&request, 1).error_code)
    }

    /// The member's heartbeats with nothing in its hands, until one has led it past this epoch: the epoch it then has.
    fn past(&mut self, member: &'static str, epoch: i32) -> i32 {
        led_past(epoch, |now| {
            let request = self.heartbeat(member, now, Some(Vec::new()));
            let response = self.0.wire.call(&request, 1);
            (code(response.error_code), response.member_epoch)
        })
    }
}

#[test]
fn epochs_of_consumer_groups_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("epochs");
    let mut asker = Asker::new(&cluster);
    let topic_id = asker.0.wire.topic_id(&asker.0.topic.clone());
    let all = || {
        Some(vec![TopicPartitions {
            topic_id,
            partitions: (0..6).collect(),
        }])
    };
    let none = || Some(Vec::new());
    let mut answers: Answers = vec![
        ("no group: leave", asker.beat("a", -1, None)),
        ("no such epoch", asker.beat("a", -3, None)),
        (
            "a member without a name leaves for a while",
            asker.beat("a", -2, None),
        ),
        (
            "join with partitions in its hands",
            asker.beat("a", 0, all()),
        ),
    ];
    let (joined, first) = asker.join("a");
    answers.push(("join", joined));
    answers.push(("another joins", asker.join("b").0));
    let second = asker.past("a", first);
    answers.extend([
        (
            "the epoch before, nothing in its hands",
            asker.beat("a", first, none()),
        ),
        (
            "the epoch before, without a word of partitions",
            asker.beat("a", first, None),
        ),
        (
            "the epoch before, with what is another's",
            asker.beat("a", first, all()),
        ),
    ]);
    answers.push(("a third joins", asker.join("c").0));
    let third = asker.past("a", second);
    answers.extend([
        ("an epoch long gone", asker.beat("a", first, none())),
        ("an epoch to come", asker.beat("a", third + 1, none())),
        ("a stranger", asker.beat("stranger", third, none())),
        ("a stranger leaves", asker.beat("stranger", -1, None)),
        ("its own epoch", asker.beat("a", third, none())),
        ("join again", asker.join("a").0),
        ("leave", asker.beat("a", -1, None)),
        ("leave again", asker.beat("a", -1, None)),
    ]);
    are(
        &answers,
        &[
            ErrorCode::GroupIdNotFound,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::FencedMemberEpoch,
            ErrorCode::FencedMemberEpoch,
            ErrorCode::None,
            ErrorCode::FencedMemberEpoch,
            ErrorCode::FencedMemberEpoch,
            ErrorCode::UnknownMemberId,
            ErrorCode::UnknownMemberId,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::UnknownMemberId,
        ],
    );
}
