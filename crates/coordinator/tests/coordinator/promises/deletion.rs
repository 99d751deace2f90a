//! OffsetDelete, DeleteGroups, deleted topics.

use catchword_coordinator::{Call, Reply};
use catchword_wire::{ErrorCode, Str, Uuid};

use crate::driver::*;

/// The keys of the last `n` records, which must all be tombstones.
fn tombstones(driver: &Driver, n: usize) -> Vec<Vec<u8>> {
    let last = &driver.log[driver.log.len() - n..];
    assert!(last.iter().all(|(_, record)| record.value.is_none()));
    last.iter().map(|(_, record)| record.key.to_vec()).collect()
}

#[test]
fn d1_offsets_of_an_unknown_group_can_not_be_deleted() {
    let mut driver = Driver::new();
    assert_eq!(
        driver.error_of(0, offset_delete("g", "t", 0)),
        ErrorCode::GroupIdNotFound
    );
}

#[test]
fn d1_s6_deleting_an_offset_leaves_a_tombstone_of_its_key() {
    let mut driver = Driver::new();
    driver.commit(commit("g", "", -1, 5));
    assert_eq!(
        driver.error_of(0, offset_delete("g", "t", 0)),
        ErrorCode::None
    );
    assert_eq!(tombstones(&driver, 1)[0], driver.log[0].1.key);
    assert_eq!(driver.committed("g", "t", 0), -1);
    // Where there is nothing, nothing is written and nothing is wrong.
    assert_eq!(
        driver.error_of(0, offset_delete("g", "t", 0)),
        ErrorCode::None
    );
    assert_eq!(driver.log.len(), 2);
}

#[test]
fn d1_a_topic_that_a_member_reads_is_refused_and_another_is_not() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    let mut request = commit("g", &members[0], 1, 5);
    request.topics.push(commit_topic("old", &[(0, 9)]));
    driver.commit(request);
    let refused = driver.error_of(0, offset_delete("g", "t", 0));
    assert_eq!(refused, ErrorCode::GroupSubscribedToTopic);
    assert_eq!(driver.committed("g", "t", 0), 5);
    assert_eq!(
        driver.error_of(0, offset_delete("g", "old", 0)),
        ErrorCode::None
    );
    assert_eq!(driver.committed("g", "old", 0), -1);
}

#[test]
fn d1_a_living_group_of_another_protocol_type_is_refused_as_a_whole() {
    let mut driver = Driver::new();
    let mut request = join("g", "");
    request.protocol_type = "connect".into();
    driver.call(3, Call::JoinGroup(request));
    assert_eq!(
        driver.error_of(0, offset_delete("g", "t", 0)),
        ErrorCode::NonEmptyGroup
    );
}

#[test]
fn d2_a_group_with_members_can_not_be_deleted_nor_one_that_is_not_there() {
    let mut driver = Driver::new();
    assert_eq!(
        driver.error_of(2, Call::DeleteGroup("g".into())),
        ErrorCode::GroupIdNotFound
    );
    let members = driver.stable("g", 1);
    assert_eq!(
        driver.error_of(2, Call::DeleteGroup("g".into())),
        ErrorCode::NonEmptyGroup
    );
    driver.leave("g", &members);
    assert_eq!(
        driver.error_of(2, Call::DeleteGroup("g".into())),
        ErrorCode::None
    );
    assert_eq!(
        driver.error_of(2, Call::DeleteGroup("g".into())),
        ErrorCode::GroupIdNotFound
    );
}

#[test]
fn d2_s6_deleting_a_group_leaves_tombstones_of_all_its_keys() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    let mut request = commit("g", &members[0], 1, 5);
    request.topics = vec![commit_topic("t", &[(0, 5), (1, 6)])];
    driver.commit(request);
    driver.leave("g", &members);
    driver.ask(2, Call::DeleteGroup("g".into()));
    let keys = tombstones(&driver, 3);
    assert_eq!(keys[2], b"\0\x02\0\x01g");
    assert_eq!(driver.committed("g", "t", 0), -1);
    driver.restart();
    assert_eq!(driver.committed("g", "t", 1), -1);
    assert_eq!(driver.state("g"), "Dead");
    assert_eq!(driver.shard.counts(), (0, 0));
}

#[test]
fn d6_s6_offsets_of_a_deleted_topic_go_and_those_of_its_namesake_stay() {
    let mut driver = Driver::new();
    let ids = [Uuid([1; 16]), Uuid([2; 16]), Uuid::ZERO];
    for (partition, topic_id) in ids.into_iter().enumerate() {
        let mut request = commit("g", "", -1, 5);
        request.topics = vec![commit_topic("t", &[(partition as i32, 5)])];
        request.topics[0].topic_id = topic_id;
        driver.commit(request);
    }
    let deleted = [(Str::from("t"), Uuid([1; 16]))];
    driver.with_output(|shard, _, out| shard.topics_deleted(&deleted, out));
    assert_eq!(tombstones(&driver, 2).len(), 2);
    let left: Vec<i64> = (0..3).map(|p| driver.committed("g", "t", p)).collect();
    assert_eq!(left, [-1, 5, -1]);
    assert_eq!(driver.state("g"), "Empty");
}

#[test]
fn deleting_a_group_forgets_ids_that_were_given_out_for_it() {
    let mut driver = Driver::new();
    let member = driver.new_member("g");
    assert!(!driver.timers.is_empty());
    assert_eq!(
        driver.error_of(2, Call::DeleteGroup("g".into())),
        ErrorCode::None
    );
    assert!(driver.timers.is_empty());
    let Reply::JoinGroup(response) = driver.ask(9, Call::JoinGroup(join("g", &member))) else {
        panic!()
    };
    assert_eq!(response.error_code, ErrorCode::UnknownMemberId.code());
}
