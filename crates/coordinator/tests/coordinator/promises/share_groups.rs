//! Share groups whose places are set before anybody has joined (KIP-932).

use bytes::Bytes;
use catchword_coordinator::{Absent, Call, CoordinatorRecord, Reply};
use catchword_wire::messages::ShareGroupHeartbeatRequest;
use catchword_wire::{ErrorCode, Str};

use crate::driver::*;

fn is_empty(driver: &mut Driver, absent: Absent) -> ErrorCode {
    let call = Call::EmptyShareGroup {
        group_id: "g".into(),
        absent,
    };
    driver.error_of(0, call)
}

fn describe(driver: &mut Driver) -> (ErrorCode, Str) {
    let Reply::ShareGroupDescribe(group) = driver.look(Call::ShareGroupDescribe("g".into())) else {
        panic!()
    };
    (ErrorCode::from_code(group.error_code), group.group_state)
}

fn heartbeat(member_epoch: i32) -> Call {
    Call::ShareGroupHeartbeat(ShareGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: "m".into(),
        member_epoch,
        subscribed_topic_names: Some(vec!["t".into()]),
        ..ShareGroupHeartbeatRequest::default()
    })
}

#[test]
fn a_share_group_is_made_empty_and_is_there_after_a_restart() {
    let mut driver = Driver::new();
    assert_eq!(
        is_empty(&mut driver, Absent::Refused),
        ErrorCode::GroupIdNotFound
    );
    assert_eq!(is_empty(&mut driver, Absent::Allowed), ErrorCode::None);
    assert!(driver.log.is_empty(), "asking alone makes nothing");
    assert_eq!(is_empty(&mut driver, Absent::Made), ErrorCode::None);
    let made = driver.log.len();
    assert_eq!(is_empty(&mut driver, Absent::Made), ErrorCode::None);
    assert_eq!(driver.log.len(), made, "it is made once");
    driver.restart();
    assert_eq!(describe(&mut driver), (ErrorCode::None, "Empty".into()));
    assert_eq!(driver.error_of(1, heartbeat(0)), ErrorCode::None);
    assert_eq!(
        is_empty(&mut driver, Absent::Made),
        ErrorCode::NonEmptyGroup
    );
    assert_eq!(driver.error_of(1, heartbeat(-1)), ErrorCode::None);
    assert_eq!(
        driver.error_of(2, Call::DeleteGroup("g".into())),
        ErrorCode::None
    );
    driver.restart();
    assert_eq!(
        is_empty(&mut driver, Absent::Refused),
        ErrorCode::GroupIdNotFound
    );
}

#[test]
fn a_name_that_another_kind_of_group_has_is_not_taken() {
    let mut driver = Driver::new();
    driver.commit(commit("g", "", -1, 5));
    assert_eq!(
        is_empty(&mut driver, Absent::Made),
        ErrorCode::GroupIdNotFound
    );
    assert_eq!(driver.committed("g", "t", 0), 5);
}

#[test]
fn a_share_group_that_kafka_made_so_is_there_until_its_tombstone() {
    let mut driver = Driver::new();
    // ShareGroupStatePartitionMetadata of "g", without topics.
    let record = |value: Option<&[u8]>| CoordinatorRecord {
        key: Bytes::from_static(b"\x00\x0f\x00\x01g"),
        value: value.map(Bytes::copy_from_slice),
        headers: Vec::new().into(),
    };
    driver
        .log
        .push((0, record(Some(b"\x00\x00\x01\x01\x01\x00"))));
    driver.restart();
    assert_eq!(describe(&mut driver), (ErrorCode::None, "Empty".into()));
    assert_eq!(
        driver.error_of(2, Call::DeleteGroup("g".into())),
        ErrorCode::None
    );
    driver.log.push((0, record(None)));
    driver.restart();
    assert_eq!(
        is_empty(&mut driver, Absent::Refused),
        ErrorCode::GroupIdNotFound
    );
}
