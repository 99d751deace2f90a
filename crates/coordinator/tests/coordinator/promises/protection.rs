//! Groups that are protected from outsiders: Kafka has no such promise.

use catchword_coordinator::record::headers::Cause;
use catchword_coordinator::{BookmarkMove, Call, MoveOffsets, Moved, Protection, Reply};
use catchword_wire::ErrorCode;

use std::sync::Arc;

use crate::driver::*;

const REFUSED: ErrorCode = ErrorCode::PolicyViolation;

fn delete_group(driver: &mut Driver) -> ErrorCode {
    driver.error_of(2, Call::DeleteGroup("g".into()))
}

fn remove(driver: &mut Driver, expected: i64) -> Moved {
    let call = MoveOffsets {
        group_id: "g".into(),
        cause: Cause::Undo,
        of: None,
        live: false,
        moves: vec![BookmarkMove {
            topic: "t".into(),
            partition: 0,
            expected: Some(expected),
            then: None,
        }],
    };
    match driver.ask(0, Call::MoveOffsets(call)) {
        Reply::MoveOffsets(moved) => moved,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_group_that_only_goes_forward_is_not_moved_back_nor_deleted_by_outsiders() {
    let mut driver = Driver::new();
    driver.commit(commit("g", "", -1, 5));
    driver
        .shard
        .set_protection("g", Some(Protection::ForwardOnly));
    let records = driver.log.len();
    assert_eq!(driver.commit(commit("g", "", -1, 4)), REFUSED);
    // All or nothing: one place that goes back refuses the others.
    let mut two = commit("g", "", -1, 4);
    two.topics[0]
        .partitions
        .extend(commit_topic("t", &[(1, 9)]).partitions);
    assert_eq!(driver.commit(two), REFUSED);
    assert_eq!(driver.error_of(0, offset_delete("g", "t", 0)), REFUSED);
    assert_eq!(delete_group(&mut driver), REFUSED);
    assert_eq!(remove(&mut driver, 5), Moved::Refused(REFUSED));
    assert_eq!(driver.log.len(), records, "nothing was written");
    assert_eq!(driver.commit(commit("g", "", -1, 6)), ErrorCode::None);
    assert_eq!(driver.committed("g", "t", 0), 6);
    driver.shard.set_protection("g", None);
    assert_eq!(driver.commit(commit("g", "", -1, 4)), ErrorCode::None);
    assert_eq!(delete_group(&mut driver), ErrorCode::None);
}

#[test]
fn a_frozen_group_is_moved_by_its_members_alone() {
    let mut driver = Driver::new();
    driver.shard.set_protection("g", Some(Protection::Frozen));
    let members = driver.stable("g", 1);
    assert_eq!(
        driver.commit(commit("g", &members[0], 1, 5)),
        ErrorCode::None
    );
    assert_eq!(
        driver.commit(commit("g", &members[0], 1, 3)),
        ErrorCode::None
    );
    driver.leave("g", &members);
    assert_eq!(driver.commit(commit("g", "", -1, 9)), REFUSED);
    assert_eq!(delete_group(&mut driver), REFUSED);
    assert_eq!(driver.committed("g", "t", 0), 3);
    // Another group is not concerned.
    assert_eq!(driver.commit(commit("other", "", -1, 9)), ErrorCode::None);
}

#[test]
fn a_pinned_bookmark_is_moved_by_whoever_may_and_removed_by_nobody() {
    let mut driver = Driver::new();
    driver.commit(commit("g", "", -1, 5));
    driver.commit(commit("other", "", -1, 5));
    driver.shard.set_retention_rules(Arc::new(pinned("t", 0)));
    let records = driver.log.len();
    assert_eq!(driver.error_of(0, offset_delete("g", "t", 0)), REFUSED);
    assert_eq!(delete_group(&mut driver), REFUSED);
    assert_eq!(remove(&mut driver, 5), Moved::Refused(REFUSED));
    assert_eq!(driver.log.len(), records, "nothing was written");
    assert_eq!(driver.commit(commit("g", "", -1, 4)), ErrorCode::None);
    assert_eq!(
        driver.error_of(0, offset_delete("other", "t", 0)),
        ErrorCode::None
    );
    driver.shard.set_retention_rules(Arc::default());
    assert_eq!(delete_group(&mut driver), ErrorCode::None);
}

#[test]
fn a_pin_on_what_is_not_there_holds_nothing_back() {
    let mut driver = Driver::new();
    driver.commit(commit("g", "", -1, 5));
    driver.shard.set_retention_rules(Arc::new(pinned("t", 7)));
    assert_eq!(
        driver.error_of(0, offset_delete("g", "t", 0)),
        ErrorCode::None
    );
}
