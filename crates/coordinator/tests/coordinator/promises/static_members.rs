//! KIP-345: members that come back under their name.

use catchword_coordinator::{Call, Reply};
use catchword_wire::messages::JoinGroupResponse;
use catchword_wire::{ErrorCode, Str};

use crate::driver::*;

/// A stable group of the static members "a" (the leader) and "b".
fn stable(driver: &mut Driver) -> Vec<Str> {
    let joins = ["a", "b"].map(|name| driver.join(static_join("g", name, "")));
    driver.tick(10 * SECOND);
    let members = joins.map(|to| driver.take_join(to).member_id).to_vec();
    driver.sync_all("g", &members, 1);
    assert_eq!(driver.state("g"), "Stable");
    members
}

fn rejoin(driver: &mut Driver, version: i16, name: &'static str) -> JoinGroupResponse {
    let to = driver.call(version, Call::JoinGroup(static_join("g", name, "")));
    driver.take_join(to)
}

#[test]
fn g5_a_static_member_comes_back_without_a_rebalance_and_its_new_id_is_on_record() {
    let mut driver = Driver::new();
    let members = stable(&mut driver);
    let records = driver.log.len();
    let response = rejoin(&mut driver, 9, "b");
    assert_eq!((response.generation_id, response.error_code), (1, 0));
    assert_ne!(response.member_id, members[1]);
    assert_eq!(driver.state("g"), "Stable");
    assert_eq!(driver.log.len(), records + 1);
    // Its old assignment is its own still, also after a crash.
    driver.restart();
    let sync = Call::SyncGroup(sync("g", &response.member_id, 1));
    let Reply::SyncGroup(synced) = driver.ask(5, sync) else {
        panic!()
    };
    assert_eq!(synced.assignment, members[1].as_bytes());
}

#[test]
fn g5_the_leader_that_comes_back_is_told_not_to_assign_again() {
    let mut driver = Driver::new();
    let members = stable(&mut driver);
    let response = rejoin(&mut driver, 9, "a");
    assert!(response.skip_assignment);
    assert_eq!(
        (&response.leader, response.members.len()),
        (&response.member_id, 2)
    );
    // Before version 9 it is told that its former self leads, so that it does not assign.
    let old = response.member_id;
    let response = rejoin(&mut driver, 8, "a");
    assert!(!response.skip_assignment && response.members.is_empty());
    assert_eq!(response.leader, old);
    assert_ne!(response.member_id, members[0]);
}

#[test]
fn g5_the_old_id_is_fenced() {
    let mut driver = Driver::new();
    let members = stable(&mut driver);
    rejoin(&mut driver, 9, "b");
    let fenced = ErrorCode::FencedInstanceId;
    let mut beat = heartbeat("g", &members[1], 1);
    beat.group_instance_id = Some("b".into());
    assert_eq!(driver.error_of(4, Call::Heartbeat(beat)), fenced);
    let again = static_join("g", "b", &members[1]);
    assert_eq!(driver.error_of(9, Call::JoinGroup(again)), fenced);
    let mut request = commit("g", &members[1], 1, 5);
    request.group_instance_id = Some("b".into());
    assert_eq!(driver.commit(request), fenced);
    let mut request = sync("g", &members[1], 1);
    request.group_instance_id = Some("b".into());
    assert_eq!(driver.error_of(5, Call::SyncGroup(request)), fenced);
}

#[test]
fn g5_while_the_leader_assigns_a_return_calls_everyone_together() {
    let mut driver = Driver::new();
    let joins = ["a", "b"].map(|name| driver.join(static_join("g", name, "")));
    driver.tick(10 * SECOND);
    let members = joins.map(|to| driver.take_join(to).member_id);
    assert_eq!(driver.state("g"), "CompletingRebalance");
    let waits = driver.call(5, Call::SyncGroup(sync("g", &members[0], 1)));
    // The leader's own sync ended the generation's deciding; begin another.
    assert_eq!(error_of(&driver.take(waits)), ErrorCode::None);
    let leader = driver.join(static_join("g", "a", &members[0]));
    driver.join(static_join("g", "b", &members[1]));
    driver.take_join(leader);
    assert_eq!(driver.state("g"), "CompletingRebalance");
    let waits = driver.call(5, Call::SyncGroup(sync("g", &members[1], 2)));
    driver.join(static_join("g", "b", ""));
    assert_eq!(driver.state("g"), "PreparingRebalance");
    // Whoever waited under the old id has been replaced.
    assert_eq!(error_of(&driver.take(waits)), ErrorCode::FencedInstanceId);
}

#[test]
fn g5_a_join_that_waits_is_fenced_when_its_name_is_taken_over() {
    let mut driver = Driver::new();
    let members = stable(&mut driver);
    let waits = driver.join(static_join("g", "a", &members[0]));
    let newer = driver.join(static_join("g", "a", ""));
    let response = driver.take_join(waits);
    assert_eq!(response.error_code, ErrorCode::FencedInstanceId.code());
    assert_eq!(response.member_id, members[0]);
    let last = driver.join(static_join("g", "b", &members[1]));
    assert_eq!(driver.take_join(newer).generation_id, 2);
    assert_eq!(driver.take_join(last).generation_id, 2);
}

#[test]
fn g5_a_return_that_changes_the_protocol_calls_everyone_together() {
    let mut driver = Driver::new();
    let join = |name, names: &[&str]| {
        let mut request = static_join("g", name, "");
        request.protocols = protocols(names, &["t"]);
        request
    };
    let joins = [("a", ["x", "y"]), ("b", ["x", "y"])].map(|(name, n)| driver.join(join(name, &n)));
    driver.tick(10 * SECOND);
    let members = joins.map(|to| driver.take_join(to).member_id);
    let mut request = sync("g", &members[0], 1);
    request.protocol_name = Some("x".into());
    driver.call(5, Call::SyncGroup(request));
    assert_eq!(driver.state("g"), "Stable");
    driver.join(join("b", &["y"]));
    assert_eq!(driver.state("g"), "PreparingRebalance");
}

/// A stable group of "a" and "b" in which "b" came back before it had asked for its assignment.
fn stable_with_b_back(driver: &mut Driver) -> (Str, Str) {
    let joins = ["a", "b"].map(|name| driver.join(static_join("g", name, "")));
    driver.tick(10 * SECOND);
    let members = joins.map(|to| driver.take_join(to).member_id);
    let mut request = sync("g", &members[0], 1);
    request.assignments = assignments(&members);
    driver.call(5, Call::SyncGroup(request));
    let back = rejoin(driver, 9, "b").member_id;
    assert_eq!(driver.state("g"), "Stable");
    (members[0].clone(), back)
}

/// Both heartbeat for longer than the rebalance timeout.
fn a_while(driver: &mut Driver, members: &[&Str]) {
    for _ in 0..14 {
        driver.tick(5 * SECOND);
        for member in members {
            driver.heartbeat("g", member, 1);
        }
    }
}

#[test]
fn g5_who_comes_back_before_its_sync_is_expected_to_sync_under_its_new_id() {
    let mut driver = Driver::new();
    let (a, b) = stable_with_b_back(&mut driver);
    driver.ask(5, Call::SyncGroup(sync("g", &b, 1)));
    a_while(&mut driver, &[&a, &b]);
    assert_eq!(driver.state("g"), "Stable");

    let mut driver = Driver::new();
    let (a, b) = stable_with_b_back(&mut driver);
    a_while(&mut driver, &[&a, &b]);
    assert_eq!(driver.state("g"), "PreparingRebalance");
    assert_eq!(driver.heartbeat("g", &b, 1), ErrorCode::UnknownMemberId);
}

#[test]
fn g5_an_absent_static_member_keeps_its_place_until_its_session_ends() {
    let mut driver = Driver::new();
    let members = stable(&mut driver);
    let first = driver.join(static_join("g", "a", &members[0]));
    let mut beat = heartbeat("g", &members[1], 1);
    beat.group_instance_id = Some("b".into());
    // It heartbeats but does not rejoin: at the end of the rebalance it stays a member, unlike a dynamic one.
    for _ in 0..12 {
        driver.tick(5 * SECOND);
        driver.call(4, Call::Heartbeat(beat.clone()));
    }
    let response = driver.take_join(first);
    assert_eq!((response.generation_id, response.members.len()), (2, 2));
    driver.tick(11 * SECOND);
    let mut names = driver.members_of("g");
    names.sort();
    assert_eq!(names, Vec::<Str>::new(), "both sessions are over");
}

impl Driver {
    fn members_of(&mut self, group: &'static str) -> Vec<Str> {
        match self.ask(6, Call::DescribeGroup(group.into())) {
            Reply::DescribeGroup(group) => group.members.into_iter().map(|m| m.member_id).collect(),
            other => panic!("not a description: {other:?}"),
        }
    }
}
