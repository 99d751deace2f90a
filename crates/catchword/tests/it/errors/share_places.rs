//! Places of share groups (KIP-932) that are set or forgotten where there is no such group, topic or partition, and groups
//! that are there because their places were set.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use catchword_wire::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use catchword_wire::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use catchword_wire::messages::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup;
use catchword_wire::messages::{
    AlterShareGroupOffsetsRequest, ConsumerGroupHeartbeatRequest, DeleteShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequest, ShareGroupDescribeRequest, ShareGroupHeartbeatRequest,
};
use catchword_wire::{ErrorCode, Str};

use super::ground::Ground;
use super::share_sessions::Reader;
use super::{Answers, are, code};
use crate::harness::{Cluster, wait_until};

const NOWHERE: &str = "no-such-topic";

/// The error of the whole, or of its only part.
fn alter(ground: &mut Ground, group: &str, topic: &str, partition: i32, start: i64) -> ErrorCode {
    let request = AlterShareGroupOffsetsRequest {
        group_id: Str::copy(group),
        topics: vec![AlterShareGroupOffsetsRequestTopic {
            topic_name: Str::copy(topic),
            partitions: vec![AlterShareGroupOffsetsRequestPartition {
                partition_index: partition,
                start_offset: start,
            }],
        }],
    };
    let mut answer = ErrorCode::None;
    // The topic of share groups' places is made by the first that needs it.
    wait_until("the places' coordinator serves", || {
        let response = ground.wire.call(&request, 0);
        answer = match code(response.error_code) {
            ErrorCode::None => code(response.responses[0].partitions[0].error_code),
            error => error,
        };
        !matches!(
            answer,
            ErrorCode::CoordinatorNotAvailable
                | ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::NotCoordinator
        )
    });
    answer
}

fn forget(ground: &mut Ground, group: &str, topic: &str) -> ErrorCode {
    let request = DeleteShareGroupOffsetsRequest {
        group_id: Str::copy(group),
        topics: vec![DeleteShareGroupOffsetsRequestTopic {
            topic_name: Str::copy(topic),
        }],
    };
    let response = ground.wire.call(&request, 0);
    match code(response.error_code) {
        ErrorCode::None => code(response.responses[0].error_code),
        error => error,
    }
}

fn describe(ground: &mut Ground) -> (ErrorCode, Str) {
    let request = ShareGroupDescribeRequest {
        group_ids: vec![ground.group.clone()],
        ..ShareGroupDescribeRequest::default()
    };
    let group = ground.wire.call(&request, 1).groups.remove(0);
    (code(group.error_code), group.group_state.detached())
}

/// Where the group begins in the first partition of the topic.
fn start(ground: &mut Ground) -> i64 {
    let request = DescribeShareGroupOffsetsRequest {
        groups: vec![DescribeShareGroupOffsetsRequestGroup {
            group_id: ground.group.clone(),
            topics: None,
        }],
    };
    let groups = ground.wire.call(&request, 1).groups;
    groups[0].topics[0].partitions[0].start_offset
}

fn heartbeat(ground: &mut Ground, member_epoch: i32) -> ErrorCode {
    let request = ShareGroupHeartbeatRequest {
        group_id: ground.group.clone(),
        member_id: "m".into(),
        member_epoch,
        subscribed_topic_names: Some(vec![ground.topic.clone()]),
        ..ShareGroupHeartbeatRequest::default()
    };
    code(ground.wire.call(&request, 1).error_code)
}

#[test]
fn places_set_before_anybody_joined_make_an_empty_share_group() {
    let cluster = Cluster::any("share-places");
    let mut ground = Ground::new(&cluster, 1);
    let (group, topic) = (ground.group.clone(), ground.topic.clone());
    let mut answers: Answers = vec![
        ("no group: forget", forget(&mut ground, &group, &topic)),
        (
            "no group, no topic",
            alter(&mut ground, &group, NOWHERE, 0, 0),
        ),
        ("which makes no group", describe(&mut ground).0),
        ("no group id", alter(&mut ground, "", &topic, 0, 0)),
    ];
    // Kafka's coordinator hears of a topic a little later than its clients.
    wait_until("the coordinator knows of the topic", || {
        alter(&mut ground, &group, &topic, 0, 5) == ErrorCode::None
    });
    assert_eq!(describe(&mut ground), (ErrorCode::None, "Empty".into()));
    assert_eq!(start(&mut ground), 5);
    answers.extend([
        ("no topic", alter(&mut ground, &group, NOWHERE, 0, 0)),
        ("no partition", alter(&mut ground, &group, &topic, 7, 0)),
        ("again", alter(&mut ground, &group, &topic, 0, 3)),
        ("no topic: forget", forget(&mut ground, &group, NOWHERE)),
        ("a member joins", heartbeat(&mut ground, 0)),
        ("not empty", alter(&mut ground, &group, &topic, 0, 0)),
        ("not empty: forget", forget(&mut ground, &group, &topic)),
        ("it leaves", heartbeat(&mut ground, -1)),
        ("forget", forget(&mut ground, &group, &topic)),
        ("delete", ground.delete()),
        ("which leaves no group", describe(&mut ground).0),
    ]);
    are(
        &answers,
        &[
            ErrorCode::GroupIdNotFound,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::GroupIdNotFound,
            ErrorCode::InvalidGroupId,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::None,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::None,
            ErrorCode::NonEmptyGroup,
            ErrorCode::NonEmptyGroup,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::GroupIdNotFound,
        ],
    );
}

#[test]
fn places_below_all_records_are_taken_as_kafka_takes_them() {
    let cluster = Cluster::any("share-places-below");
    let mut ground = Ground::new(&cluster, 1);
    let (group, topic) = (ground.group.clone(), ground.topic.clone());
    // Kafka's coordinator hears of a topic a little later than its clients.
    wait_until("the coordinator knows of the topic", || {
        alter(&mut ground, &group, &topic, 0, 5) == ErrorCode::None
    });
    let mut set = |to: i64| {
        let answer = alter(&mut ground, &group, &topic, 0, to);
        (answer, start(&mut ground))
    };
    assert_eq!(set(-1), (ErrorCode::None, -1), "as if it had not begun");
    assert_eq!(set(3), (ErrorCode::None, 3));
    assert_eq!(set(-5), (ErrorCode::None, -5));
    let (first, _) = Reader::joined(&cluster, ground).acquire();
    assert_eq!(first, 0, "it reads from the first record that there is");
}

#[test]
fn places_are_not_set_for_groups_of_another_kind() {
    let cluster = Cluster::any("share-places-kind");
    let mut ground = Ground::new(&cluster, 1);
    let (group, topic) = (ground.group.clone(), ground.topic.clone());
    let request = ConsumerGroupHeartbeatRequest {
        group_id: group.clone(),
        member_id: "m".into(),
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(vec![topic.clone()]),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    };
    let joined = code(ground.wire.call(&request, 1).error_code);
    let answers: Answers = vec![
        ("a consumer joins", joined),
        ("set", alter(&mut ground, &group, &topic, 0, 0)),
        ("forget", forget(&mut ground, &group, &topic)),
    ];
    are(
        &answers,
        &[
            ErrorCode::None,
            ErrorCode::GroupIdNotFound,
            ErrorCode::GroupIdNotFound,
        ],
    );
}
