//! LeaveGroup of groups and members that nobody knows, in every version: before version 3 one member could leave, whose error
//! is the response's; since then each has its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bytes::Bytes;
use catchword_wire::messages::join_group_request::JoinGroupRequestProtocol;
use catchword_wire::messages::leave_group_request::MemberIdentity;
use catchword_wire::messages::{
    ConsumerGroupHeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, ShareGroupHeartbeatRequest,
};
use catchword_wire::{ErrorCode, Str};

use super::code;
use super::ground::Ground;
use crate::harness::Cluster;

const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;

/// Whether a version says the error of each member.
fn has_members(version: i16) -> bool {
    version >= 3
}

/// The error of the response, and those of its members.
fn leave(
    ground: &mut Ground,
    version: i16,
    members: &[(&str, Option<&str>)],
) -> (ErrorCode, Vec<ErrorCode>) {
    let identity = |(id, instance): &(&str, Option<&str>)| MemberIdentity {
        member_id: Str::copy(id),
        group_instance_id: instance.map(Str::copy),
        ..MemberIdentity::default()
    };
    let mut request = LeaveGroupRequest {
        group_id: ground.group.clone(),
        ..LeaveGroupRequest::default()
    };
    match has_members(version) {
        true => request.members = members.iter().map(identity).collect(),
        false => request.member_id = Str::copy(members[0].0),
    }
    let response = ground.wire.call(&request, version);
    let members = response.members.iter().map(|m| code(m.error_code));
    (code(response.error_code), members.collect())
}

/// A stranger is refused in all versions.
#[track_caller]
fn knows_no_stranger(ground: &mut Ground) {
    for version in VERSIONS {
        for stranger in ["stranger", ""] {
            let wanted = match has_members(version) {
                true => (ErrorCode::None, vec![ErrorCode::UnknownMemberId]),
                false => (ErrorCode::UnknownMemberId, vec![]),
            };
            let found = leave(ground, version, &[(stranger, None)]);
            assert_eq!(found, wanted, "version {version}, {stranger:?}");
        }
        if has_members(version) {
            let two = [("stranger", None), ("", Some("nobody's seat"))];
            let found = leave(ground, version, &two);
            let wanted = (ErrorCode::None, vec![ErrorCode::UnknownMemberId; 2]);
            assert_eq!(found, wanted, "version {version}");
            let found = leave(ground, version, &[]);
            assert_eq!(found, (ErrorCode::None, vec![]), "version {version}");
        }
    }
}

/// Of a group whose one member has the seat "seat".
fn only_its_holder_leaves_a_seat(ground: &mut Ground) {
    knows_no_stranger(ground);
    let mixed = [
        ("stranger", Some("seat")),
        ("stranger", None),
        ("", Some("seat")),
    ];
    let wanted = vec![
        ErrorCode::FencedInstanceId,
        ErrorCode::UnknownMemberId,
        ErrorCode::None,
    ];
    assert_eq!(leave(ground, 5, &mixed), (ErrorCode::None, wanted));
    knows_no_stranger(ground);
}

#[test]
fn nobody_leaves_a_group_that_is_not_there() {
    let cluster = Cluster::any("leaving-nothing");
    let mut ground = Ground::new(&cluster, 1);
    knows_no_stranger(&mut ground);
    ground.group = Str::EMPTY;
    for version in VERSIONS {
        let found = leave(&mut ground, version, &[("stranger", None)]);
        assert_eq!(
            found,
            (ErrorCode::InvalidGroupId, vec![]),
            "version {version}"
        );
    }
}

#[test]
fn strangers_do_not_leave_a_consumer_group_nor_whoever_has_another_s_seat() {
    let cluster = Cluster::any("leaving-consumers");
    let mut ground = Ground::new(&cluster, 1);
    let request = ConsumerGroupHeartbeatRequest {
        group_id: ground.group.clone(),
        member_id: "m".into(),
        instance_id: Some("seat".into()),
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(vec![ground.topic.clone()]),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    };
    assert_eq!(ground.wire.call(&request, 1).error_code, 0);
    only_its_holder_leaves_a_seat(&mut ground);
}

#[test]
fn strangers_do_not_leave_a_classic_group_nor_whoever_has_another_s_seat() {
    let cluster = Cluster::any("leaving-classic");
    let mut ground = Ground::new(&cluster, 1);
    let request = JoinGroupRequest {
        group_id: ground.group.clone(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        group_instance_id: Some("seat".into()),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: Bytes::new(),
        }],
        ..JoinGroupRequest::default()
    };
    assert_eq!(ground.wire.call(&request, 7).error_code, 0);
    only_its_holder_leaves_a_seat(&mut ground);
}

#[test]
fn nobody_leaves_a_share_group_by_it() {
    let cluster = Cluster::any("leaving-share");
    let mut ground = Ground::new(&cluster, 1);
    let request = ShareGroupHeartbeatRequest {
        group_id: ground.group.clone(),
        member_id: "m".into(),
        subscribed_topic_names: Some(vec![ground.topic.clone()]),
        ..ShareGroupHeartbeatRequest::default()
    };
    assert_eq!(ground.wire.call(&request, 1).error_code, 0);
    knows_no_stranger(&mut ground);
    let own = leave(&mut ground, 5, &[("m", None)]);
    assert_eq!(own, (ErrorCode::None, vec![ErrorCode::UnknownMemberId]));
}
