//! Requests about groups that say what no group could take: no id, times out of bounds, protocols that nobody shares.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bytes::Bytes;
use catchword_wire::messages::join_group_request::JoinGroupRequestProtocol;
use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use catchword_wire::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use catchword_wire::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, DescribeGroupsRequest,
    HeartbeatRequest, JoinGroupRequest, OffsetCommitRequest, OffsetDeleteRequest, SyncGroupRequest,
};
use catchword_wire::{ErrorCode, Str};

use super::ground::Ground;
use super::{Answers, are, code};
use crate::harness::Cluster;

const STRANGER: &str = "stranger";

pub(super) struct Asker(pub(super) Ground);

impl Asker {
    fn joining(&self) -> JoinGroupRequest {
        JoinGroupRequest {
            group_id: self.0.group.clone(),
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 30_000,
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".into(),
                metadata: Bytes::new(),
            }],
            ..JoinGroupRequest::default()
        }
    }

    /// The answer to a join with something about it changed.
    fn join(&mut self, change: impl Fn(&mut JoinGroupRequest)) -> ErrorCode {
        let mut request = self.joining();
        change(&mut request);
        code(self.0.wire.call(&request, 7).error_code)
    }

    fn sync(&mut self, member: &Str, change: impl Fn(&mut SyncGroupRequest)) -> ErrorCode {
        let mut request = SyncGroupRequest {
            group_id: self.0.group.clone(),
            generation_id: 1,
            member_id: member.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            ..SyncGroupRequest::default()
        };
        change(&mut request);
        code(self.0.wire.call(&request, 5).error_code)
    }

    pub(super) fn commit(&mut self, metadata: usize) -> ErrorCode {
        let request = OffsetCommitRequest {
            group_id: self.0.group.clone(),
            topics: vec![OffsetCommitRequestTopic {
                name: self.0.topic.clone(),
                partitions: vec![OffsetCommitRequestPartition {
                    committed_offset: 1,
                    committed_metadata: Some(Str::from("m".repeat(metadata))),
                    ..OffsetCommitRequestPartition::default()
                }],
                ..OffsetCommitRequestTopic::default()
            }],
            ..OffsetCommitRequest::default()
        };
        let response = self.0.wire.call(&request, 8);
        code(response.topics[0].partitions[0].error_code)
    }

    fn delete_offset(&mut self) -> ErrorCode {
        let request = OffsetDeleteRequest {
            group_id: self.0.group.clone(),
            topics: vec![OffsetDeleteRequestTopic {
                name: self.0.topic.clone(),
                partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
            }],
        };
        let response = self.0.wire.call(&request, 0);
        match code(response.error_code) {
            ErrorCode::None => code(response.topics[0].partitions[0].error_code),
            error => error,
        }
    }

    pub(super) fn describe(&mut self, version: i16) -> ErrorCode {
        let request = DescribeGroupsRequest {
            groups: vec![self.0.group.clone()],
            ..DescribeGroupsRequest::default()
        };
        code(self.0.wire.call(&request, version).groups[0].error_code)
    }

    pub(super) fn describe_consumers(&mut self) -> ErrorCode {
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec![self.0.group.clone()],
            ..ConsumerGroupDescribeRequest::default()
        };
        code(self.0.wire.call(&request, 1).groups[0].error_code)
    }
}

#[test]
fn classic_requests_that_no_group_could_take_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("asked-wrongly");
    let mut asker = Asker(Ground::new(&cluster, 1));
    let mut answers: Answers = vec![
        ("no group: describe, of old", asker.describe(5)),
        ("no group: describe", asker.describe(6)),
        (
            "no group: describe as consumers",
            asker.describe_consumers(),
        ),
        ("join: no group id", asker.join(|r| r.group_id = Str::EMPTY)),
        (
            "join: a session of no time",
            asker.join(|r| r.session_timeout_ms = 0),
        ),
        (
            "join: a session without end",
            asker.join(|r| r.session_timeout_ms = i32::MAX),
        ),
        ("join: no protocol", asker.join(|r| r.protocols.clear())),
        (
            "join: no kind of protocol",
            asker.join(|r| r.protocol_type = Str::EMPTY),
        ),
        (
            "sync: no group id",
            asker.sync(&STRANGER.into(), |r| r.group_id = Str::EMPTY),
        ),
        ("heartbeat: no group id", {
            let request = HeartbeatRequest {
                member_id: STRANGER.into(),
                ..HeartbeatRequest::default()
            };
            code(asker.0.wire.call(&request, 4).error_code)
        }),
    ];
    let mut request = asker.joining();
    let given = asker.0.wire.call(&request, 7);
    answers.push(("join without an id", code(given.error_code)));
    let member = given.member_id.detached();
    request.member_id = member.clone();
    let joined = asker.0.wire.call(&request, 7).error_code;
    answers.extend([
        ("join", code(joined)),
        (
            "join: a protocol that nobody has",
            asker.join(|r| r.protocols[0].name = "mine".into()),
        ),
        (
            "sync: another kind of protocol",
            asker.sync(&member, |r| r.protocol_type = Some("connect".into())),
        ),
        (
            "sync: another protocol",
            asker.sync(&member, |r| r.protocol_name = Some("mine".into())),
        ),
        ("sync", asker.sync(&member, |_| {})),
        ("describe as consumers", asker.describe_consumers()),
    ]);
    are(
        &answers,
        &[
            ErrorCode::None,
            ErrorCode::GroupIdNotFound,
            ErrorCode::GroupIdNotFound,
            ErrorCode::InvalidGroupId,
            ErrorCode::InvalidSessionTimeout,
            ErrorCode::InvalidSessionTimeout,
            ErrorCode::InconsistentGroupProtocol,
            ErrorCode::InconsistentGroupProtocol,
            ErrorCode::InvalidGroupId,
            ErrorCode::InvalidGroupId,
            ErrorCode::MemberIdRequired,
            ErrorCode::None,
            ErrorCode::InconsistentGroupProtocol,
            ErrorCode::InconsistentGroupProtocol,
            ErrorCode::InconsistentGroupProtocol,
            ErrorCode::None,
            ErrorCode::GroupIdNotFound,
        ],
    );
}

#[test]
fn offsets_that_are_too_wordy_or_being_read_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("offsets-asked-wrongly");
    let mut asker = Asker(Ground::new(&cluster, 1));
    let request = ConsumerGroupHeartbeatRequest {
        group_id: asker.0.group.clone(),
        member_id: "m".into(),
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(vec![asker.0.topic.clone()]),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    };
    let without_id = ConsumerGroupHeartbeatRequest {
        group_id: Str::EMPTY,
        ..request.clone()
    };
    let answers: Answers = vec![
        ("commit with too many words", asker.commit(4097)),
        ("commit with as many as may be", asker.commit(4096)),
        ("delete", asker.delete_offset()),
        (
            "heartbeat: no group id",
            code(asker.0.wire.call(&without_id, 1).error_code),
        ),
        (
            "a member reads",
            code(asker.0.wire.call(&request, 1).error_code),
        ),
        ("delete of what is read", asker.delete_offset()),
        ("describe as a classic group", asker.describe(6)),
    ];
    are(
        &answers,
        &[
            ErrorCode::OffsetMetadataTooLarge,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::InvalidRequest,
            ErrorCode::None,
            ErrorCode::GroupSubscribedToTopic,
            ErrorCode::GroupIdNotFound,
        ],
    );
}
