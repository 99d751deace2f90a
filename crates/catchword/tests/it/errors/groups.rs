//! Members that are unknown or behind, groups that are not there or not empty.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bytes::Bytes;
use catchword_wire::messages::join_group_request::JoinGroupRequestProtocol;
use catchword_wire::messages::leave_group_request::MemberIdentity;
use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use catchword_wire::messages::{
    ConsumerGroupHeartbeatRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest,
    OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, SyncGroupRequest,
};
use catchword_wire::{ErrorCode, Str, Uuid};

use super::ground::Ground;
use super::{Answers, are, code};
use crate::harness::Cluster;

pub(super) struct Asker(pub(super) Ground);

impl Asker {
    pub(super) fn new(cluster: &Cluster) -> Asker {
        Asker(Ground::new(cluster, 1))
    }

    pub(super) fn join(&mut self, member: &Str, protocol: &'static str) -> (ErrorCode, Str, i32) {
        let request = JoinGroupRequest {
            group_id: self.0.group.clone(),
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 30_000,
            member_id: member.clone(),
            protocol_type: protocol.into(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".into(),
                metadata: Bytes::new(),
            }],
            ..JoinGroupRequest::default()
        };
        let response = self.0.wire.call(&request, 7);
        let given = response.member_id.detached();
        (code(response.error_code), given, response.generation_id)
    }

    pub(super) fn sync(&mut self, member: &Str, generation: i32) -> ErrorCode {
        let request = SyncGroupRequest {
            group_id: self.0.group.clone(),
            generation_id: generation,
            member_id: member.clone(),
            ..SyncGroupRequest::default()
        };
        code(self.0.wire.call(&request, 4).error_code)
    }

    pub(super) fn beat(&mut self, member: &Str, generation: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: self.0.group.clone(),
            generation_id: generation,
            member_id: member.clone(),
            ..HeartbeatRequest::default()
        };
        code(self.0.wire.call(&request, 4).error_code)
    }

    pub(super) fn commit(&mut self, version: i16, member: &Str, epoch: i32) -> ErrorCode {
        let request = OffsetCommitRequest {
            group_id: self.0.group.clone(),
            generation_id_or_member_epoch: epoch,
            member_id: member.clone(),
            topics: vec![OffsetCommitRequestTopic {
                name: self.0.topic.clone(),
                // Version 10 names topics by their ids.
                topic_id: Uuid([7; 16]),
                partitions: vec![OffsetCommitRequestPartition {
                    committed_offset: 1,
                    ..OffsetCommitRequestPartition::default()
                }],
            }],
            ..OffsetCommitRequest::default()
        };
        let response = self.0.wire.call(&request, version);
        code(response.topics[0].partitions[0].error_code)
    }

    pub(super) fn fetch(&mut self, member: Option<&Str>, epoch: i32) -> ErrorCode {
        let request = OffsetFetchRequest {
            groups: vec![OffsetFetchRequestGroup {
                group_id: self.0.group.clone(),
                member_id: member.cloned(),
                member_epoch: epoch,
                topics: None,
            }],
            ..OffsetFetchRequest::default()
        };
        code(self.0.wire.call(&request, 9).groups[0].error_code)
    }

    pub(super) fn leave(&mut self, member: &Str) -> ErrorCode {
        let request = LeaveGroupRequest {
            group_id: self.0.group.clone(),
            members: vec![MemberIdentity {
                member_id: member.clone(),
                ..MemberIdentity::default()
            }],
            ..LeaveGroupRequest::default()
        };
        let response = self.0.wire.call(&request, 4);
        assert_eq!(code(response.error_code), ErrorCode::None);
        code(response.members[0].error_code)
    }

    pub(super) fn delete_offsets(&mut self) -> ErrorCode {
        let request = OffsetDeleteRequest {
            group_id: self.0.group.clone(),
            ..OffsetDeleteRequest::default()
        };
        code(self.0.wire.call(&request, 0).error_code)
    }

    pub(super) fn heartbeat(&mut self, member: &Str, epoch: i32) -> (ErrorCode, i32) {
        self.say(member, epoch, |_| {})
    }

    /// A heartbeat of the new protocol, with something about it changed.
    fn say(
        &mut self,
        member: &Str,
        epoch: i32,
        change: impl Fn(&mut ConsumerGroupHeartbeatRequest),
    ) -> (ErrorCode, i32) {
        let mut request = ConsumerGroupHeartbeatRequest {
            group_id: self.0.group.clone(),
            member_id: member.clone(),
            member_epoch: epoch,
            rebalance_timeout_ms: 30_000,
            subscribed_topic_names: Some(vec![self.0.topic.clone()]),
            topic_partitions: Some(Vec::new()),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        change(&mut request);
        let response = self.0.wire.call(&request, 1);
        (code(response.error_code), response.member_epoch)
    }
}

#[test]
fn members_of_classic_groups_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("classic");
    let mut asker = Asker::new(&cluster);
    let stranger = Str::from("stranger");
    let mut answers: Answers = vec![
        ("no group: delete", asker.0.delete()),
        ("no group: delete offsets", asker.delete_offsets()),
        ("no group: heartbeat", asker.beat(&stranger, 1)),
        ("no group: sync", asker.sync(&stranger, 1)),
        (
            "no group: join as somebody",
            asker.join(&stranger, "consumer").0,
        ),
        ("no group: leave", asker.leave(&stranger)),
        (
            "no group: an old client commits as a member",
            asker.commit(8, &stranger, 1),
        ),
        ("no group: a new one does", asker.commit(9, &stranger, 1)),
    ];
    let (asked, member, _) = asker.join(&Str::EMPTY, "consumer");
    answers.push(("join without an id", asked));
    let (joined, _, generation) = asker.join(&member, "consumer");
    answers.extend([
        ("join", joined),
        (
            "commit before the assignment",
            asker.commit(8, &member, generation),
        ),
        (
            "sync of another generation",
            asker.sync(&member, generation + 1),
        ),
        ("sync by a stranger", asker.sync(&stranger, generation)),
        ("sync", asker.sync(&member, generation)),
        (
            "join with another kind of protocol",
            asker.join(&Str::EMPTY, "connect").0,
        ),
        (
            "heartbeat of another generation",
            asker.beat(&member, generation + 1),
        ),
        ("heartbeat of a stranger", asker.beat(&stranger, generation)),
        (
            "commit of the generation before",
            asker.commit(8, &member, generation - 1),
        ),
        (
            "commit of a stranger",
            asker.commit(8, &stranger, generation),
        ),
        (
            "commit by nobody in the group",
            asker.commit(8, &Str::EMPTY, -1),
        ),
        (
            "commit for a topic id nobody knows",
            asker.commit(10, &member, generation),
        ),
        ("commit", asker.commit(8, &member, generation)),
        ("delete what is not empty", asker.0.delete()),
        ("a stranger leaves", asker.leave(&stranger)),
        ("leave", asker.leave(&member)),
        ("heartbeat of who has left", asker.beat(&member, generation)),
        (
            "commit of who has left",
            asker.commit(8, &member, generation),
        ),
        ("delete", asker.0.delete()),
    ]);
    are(
        &answers,
        &[
            ErrorCode::GroupIdNotFound,
            ErrorCode::GroupIdNotFound,
            ErrorCode::UnknownMemberId,
            ErrorCode::UnknownMemberId,
            ErrorCode::UnknownMemberId,
            ErrorCode::UnknownMemberId,
            ErrorCode::IllegalGeneration,
            ErrorCode::GroupIdNotFound,
            ErrorCode::MemberIdRequired,
            ErrorCode::None,
            ErrorCode::RebalanceInProgress,
            ErrorCode::IllegalGeneration,
            ErrorCode::UnknownMemberId,
            ErrorCode::None,
            ErrorCode::InconsistentGroupProtocol,
            ErrorCode::IllegalGeneration,
            ErrorCode::UnknownMemberId,
            ErrorCode::IllegalGeneration,
            ErrorCode::UnknownMemberId,
            ErrorCode::UnknownMemberId,
            ErrorCode::UnknownTopicId,
            ErrorCode::None,
            ErrorCode::NonEmptyGroup,
            ErrorCode::UnknownMemberId,
            ErrorCode::None,
            ErrorCode::UnknownMemberId,
            ErrorCode::UnknownMemberId,
            ErrorCode::None,
        ],
    );
}

#[test]
fn members_of_consumer_groups_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("consumer");
    let mut asker = Asker::new(&cluster);
    let (member, stranger) = (Str::from("member"), Str::from("stranger"));
    let mut answers: Answers = vec![
        (
            "no group: a later heartbeat",
            asker.heartbeat(&stranger, 3).0,
        ),
        ("an assignor nobody has", {
            let change = |r: &mut ConsumerGroupHeartbeatRequest| {
                r.server_assignor = Some("mine".into());
            };
            asker.say(&member, 0, change).0
        }),
        ("a subscription to nothing", {
            let change = |r: &mut ConsumerGroupHeartbeatRequest| r.subscribed_topic_names = None;
            asker.say(&member, 0, change).0
        }),
        ("a broken expression", {
            let change = |r: &mut ConsumerGroupHeartbeatRequest| {
                r.subscribed_topic_regex = Some("(".into());
            };
            asker.say(&member, 0, change).0
        }),
        ("no member id", asker.heartbeat(&Str::EMPTY, 0).0),
    ];
    let (joined, epoch) = asker.heartbeat(&member, 0);
    answers.extend([
        ("join", joined),
        ("a later epoch", asker.heartbeat(&member, epoch + 5).0),
        ("a stranger", asker.heartbeat(&stranger, epoch).0),
        ("commit by a stranger", asker.commit(9, &stranger, epoch)),
        (
            "commit of a later epoch",
            asker.commit(9, &member, epoch + 5),
        ),
        ("commit by an old client", asker.commit(8, &member, epoch)),
        (
            "commit by nobody in the group",
            asker.commit(9, &Str::EMPTY, -1),
        ),
        (
            "commit for a topic id nobody knows",
            asker.commit(10, &member, epoch),
        ),
        ("commit", asker.commit(9, &member, epoch)),
        ("fetch by a stranger", asker.fetch(Some(&stranger), epoch)),
        (
            "fetch of another epoch",
            asker.fetch(Some(&member), epoch + 5),
        ),
        ("fetch by nobody in the group", asker.fetch(None, -1)),
        ("fetch", asker.fetch(Some(&member), epoch)),
        ("delete what is not empty", asker.0.delete()),
        ("leave", asker.heartbeat(&member, -1).0),
        ("who has left", asker.heartbeat(&member, epoch).0),
        ("delete", asker.0.delete()),
    ]);
    are(
        &answers,
        &[
            ErrorCode::GroupIdNotFound,
            ErrorCode::UnsupportedAssignor,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRegularExpression,
            ErrorCode::InvalidRequest,
            ErrorCode::None,
            ErrorCode::FencedMemberEpoch,
            ErrorCode::UnknownMemberId,
            ErrorCode::UnknownMemberId,
            ErrorCode::StaleMemberEpoch,
            ErrorCode::UnsupportedVersion,
            ErrorCode::UnknownMemberId,
            ErrorCode::UnknownTopicId,
            ErrorCode::None,
            ErrorCode::UnknownMemberId,
            ErrorCode::StaleMemberEpoch,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::NonEmptyGroup,
            ErrorCode::None,
            ErrorCode::UnknownMemberId,
            ErrorCode::None,
        ],
    );
}
