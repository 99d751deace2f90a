//! Static members (KIP-345): two that want one seat, and whoever speaks for a seat that is another's.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bytes::Bytes;
use catchword_wire::messages::join_group_request::JoinGroupRequestProtocol;
use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use catchword_wire::messages::{
    ConsumerGroupHeartbeatRequest, HeartbeatRequest, JoinGroupRequest, OffsetCommitRequest,
    SyncGroupRequest,
};
use catchword_wire::{ErrorCode, Str};

use super::ground::Ground;
use super::{Answers, are, code};
use crate::harness::Cluster;

const SEAT: &str = "seat";
const NO_SEAT: &str = "no-seat";
const STRANGER: &str = "stranger";

/// Who speaks: a member id and the seat it claims.
type Speaker<'a> = (&'a str, &'a str);

struct Classic(Ground);

impl Classic {
    fn join(&mut self, (member, seat): Speaker<'_>) -> (ErrorCode, Str) {
        let request = JoinGroupRequest {
            group_id: self.0.group.clone(),
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 30_000,
            member_id: Str::copy(member),
            group_instance_id: Some(Str::copy(seat)),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".into(),
                metadata: Bytes::new(),
            }],
            ..JoinGroupRequest::default()
        };
        let response = self.0.wire.call(&request, 7);
        (code(response.error_code), response.member_id.detached())
    }

    fn sync(&mut self, (member, seat): Speaker<'_>) -> ErrorCode {
        let request = SyncGroupRequest {
            group_id: self.0.group.clone(),
            generation_id: 1,
            member_id: Str::copy(member),
            group_instance_id: Some(Str::copy(seat)),
            ..SyncGroupRequest::default()
        };
        code(self.0.wire.call(&request, 4).error_code)
    }

    fn beat(&mut self, (member, seat): Speaker<'_>) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: self.0.group.clone(),
            generation_id: 1,
            member_id: Str::copy(member),
            group_instance_id: Some(Str::copy(seat)),
        };
        code(self.0.wire.call(&request, 4).error_code)
    }

    fn commit(&mut self, (member, seat): Speaker<'_>) -> ErrorCode {
        let request = OffsetCommitRequest {
            group_id: self.0.group.clone(),
            generation_id_or_member_epoch: 1,
            member_id: Str::copy(member),
            group_instance_id: Some(Str::copy(seat)),
            topics: vec![OffsetCommitRequestTopic {
                name: self.0.topic.clone(),
                partitions: vec![OffsetCommitRequestPartition::default()],
                ..OffsetCommitRequestTopic::default()
            }],
            ..OffsetCommitRequest::default()
        };
        let response = self.0.wire.call(&request, 8);
        code(response.topics[0].partitions[0].error_code)
    }
}

#[test]
fn seats_in_classic_groups_are_kept_as_kafka_keeps_them() {
    let cluster = Cluster::any("seats");
    let mut asker = Classic(Ground::new(&cluster, 1));
    let mut answers: Answers = vec![(
        "no group: a seat claimed by somebody",
        asker.join((STRANGER, SEAT)).0,
    )];
    let (joined, member) = asker.join(("", SEAT));
    answers.extend([
        ("join", joined),
        ("join: a stranger", asker.join((STRANGER, SEAT)).0),
        ("sync: a stranger", asker.sync((STRANGER, SEAT))),
        ("sync: in no seat", asker.sync((&member, NO_SEAT))),
        ("sync", asker.sync((&member, SEAT))),
        ("heartbeat: a stranger", asker.beat((STRANGER, SEAT))),
        ("heartbeat: in no seat", asker.beat((&member, NO_SEAT))),
        ("heartbeat", asker.beat((&member, SEAT))),
        ("commit: a stranger", asker.commit((STRANGER, SEAT))),
        ("commit: in no seat", asker.commit((&member, NO_SEAT))),
        ("commit", asker.commit((&member, SEAT))),
    ]);
    let (joined, successor) = asker.join(("", SEAT));
    answers.extend([
        ("another takes the seat", joined),
        ("who had it: heartbeat", asker.beat((&member, SEAT))),
        ("who had it: sync", asker.sync((&member, SEAT))),
        ("who had it: commit", asker.commit((&member, SEAT))),
        ("who has it: heartbeat", asker.beat((&successor, SEAT))),
    ]);
    are(
        &answers,
        &[
            ErrorCode::UnknownMemberId,
            ErrorCode::None,
            ErrorCode::FencedInstanceId,
            ErrorCode::FencedInstanceId,
            ErrorCode::UnknownMemberId,
            ErrorCode::None,
            ErrorCode::FencedInstanceId,
            ErrorCode::UnknownMemberId,
            ErrorCode::None,
            ErrorCode::FencedInstanceId,
            ErrorCode::UnknownMemberId,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::FencedInstanceId,
            ErrorCode::FencedInstanceId,
            ErrorCode::FencedInstanceId,
            ErrorCode::None,
        ],
    );
}

struct Consumers(Ground);

impl Consumers {
    fn say(&mut self, (member, seat): Speaker<'_>, member_epoch: i32) -> (ErrorCode, i32) {
        let joins = member_epoch == 0;
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.0.group.clone(),
            member_id: Str::copy(member),
            instance_id: Some(Str::copy(seat)),
            member_epoch,
            rebalance_timeout_ms: if joins { 30_000 } else { -1 },
            subscribed_topic_names: joins.then(|| vec![self.0.topic.clone()]),
            topic_partitions: joins.then(Vec::new),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        let response = self.0.wire.call(&request, 1);
        (code(response.error_code), response.member_epoch)
    }

    fn beat(&mut self, speaker: Speaker<'_>, member_epoch: i32) -> ErrorCode {
        self.say(speaker, member_epoch).0
    }
}

#[test]
fn seats_in_consumer_groups_are_kept_as_kafka_keeps_them() {
    let cluster = Cluster::any("consumers-seats");
    let mut asker = Consumers(Ground::new(&cluster, 1));
    let (joined, epoch) = asker.say(("m", SEAT), 0);
    let mut answers: Answers = vec![
        ("join", joined),
        ("join: a stranger", asker.beat((STRANGER, SEAT), 0)),
        ("heartbeat: a stranger", asker.beat((STRANGER, SEAT), epoch)),
        ("heartbeat: in no seat", asker.beat(("m", NO_SEAT), epoch)),
        ("leave: a stranger", asker.beat((STRANGER, SEAT), -1)),
        (
            "leave for a while: a stranger",
            asker.beat((STRANGER, SEAT), -2),
        ),
        (
            "leave for a while: from no seat",
            asker.beat(("m", NO_SEAT), -2),
        ),
        ("leave for a while", asker.beat(("m", SEAT), -2)),
        ("heartbeat of who is away", asker.beat(("m", SEAT), epoch)),
    ];
    let (joined, epoch) = asker.say(("n", SEAT), 0);
    answers.extend([
        ("another takes the seat", joined),
        ("who had it: heartbeat", asker.beat(("m", SEAT), epoch)),
        ("who had it: leave", asker.beat(("m", SEAT), -1)),
        ("who has it: heartbeat", asker.beat(("n", SEAT), epoch)),
        ("who has it: leave", asker.beat(("n", SEAT), -1)),
        ("nobody has it: heartbeat", asker.beat(("n", SEAT), epoch)),
    ]);
    are(
        &answers,
        &[
            ErrorCode::None,
            ErrorCode::UnreleasedInstanceId,
            ErrorCode::FencedInstanceId,
            ErrorCode::UnknownMemberId,
            ErrorCode::FencedInstanceId,
            ErrorCode::FencedInstanceId,
            ErrorCode::UnknownMemberId,
            ErrorCode::None,
            ErrorCode::FencedMemberEpoch,
            ErrorCode::None,
            ErrorCode::FencedInstanceId,
            ErrorCode::FencedInstanceId,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::UnknownMemberId,
        ],
    );
}
