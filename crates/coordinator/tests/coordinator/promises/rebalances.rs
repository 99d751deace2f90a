//! How generations begin and end.

use catchword_coordinator::{Call, ReplyTo};
use catchword_wire::{ErrorCode, Str};

use crate::driver::*;

#[test]
fn g4_the_first_rebalance_waits_for_its_delay() {
    let mut driver = Driver::new();
    let member = driver.new_member("g");
    let to = driver.join(join("g", &member));
    driver.tick(2_999);
    assert!(!driver.replies.contains_key(&to));
    driver.tick(1);
    assert_eq!(driver.take_join(to).generation_id, 1);
}

#[test]
fn g4_newcomers_prolong_the_delay_until_the_rebalance_timeout() {
    let mut driver = Driver::new();
    let newcomer = |driver: &mut Driver| -> ReplyTo {
        let member = driver.new_member("g");
        let mut request = join("g", &member);
        request.rebalance_timeout_ms = 10_000;
        driver.join(request)
    };
    let first = newcomer(&mut driver);
    let started_ms = driver.now_ms;
    while !driver.replies.contains_key(&first) {
        driver.tick(SECOND);
        if driver.now_ms - started_ms < 9 * SECOND {
            newcomer(&mut driver);
        }
    }
    let waited_ms = driver.now_ms - started_ms;
    assert!(
        (9 * SECOND..=10 * SECOND).contains(&waited_ms),
        "it waited {waited_ms} ms"
    );
    assert!(driver.take_join(first).members.len() >= 9);
}

#[test]
fn g4_a_later_rebalance_ends_as_soon_as_all_have_joined() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 2);
    let first = driver.join(join("g", &members[0]));
    assert!(!driver.replies.contains_key(&first));
    let second = driver.join(join("g", &members[1]));
    assert_eq!(driver.take_join(first).generation_id, 2);
    assert_eq!(driver.take_join(second).generation_id, 2);
}

#[test]
fn g4_whoever_does_not_rejoin_in_time_is_out() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 2);
    let first = driver.join(join("g", &members[0]));
    // It heartbeats, so that only the rebalance timeout ends its waiting.
    for _ in 0..11 {
        driver.tick(5 * SECOND);
        let error = driver.heartbeat("g", &members[1], 1);
        assert_eq!(error, ErrorCode::RebalanceInProgress);
    }
    assert!(!driver.replies.contains_key(&first));
    driver.tick(5 * SECOND);
    let response = driver.take_join(first);
    assert_eq!((response.generation_id, response.members.len()), (2, 1));
    let error = driver.error_of(JOIN_VERSION, Call::JoinGroup(join("g", &members[1])));
    assert_eq!(error, ErrorCode::UnknownMemberId);
}

#[test]
fn g4_a_pending_id_holds_a_rebalance_up_until_it_is_used_or_void() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    driver.new_member("g");
    let first = driver.join(join("g", &members[0]));
    assert!(!driver.replies.contains_key(&first));
    driver.tick(10 * SECOND);
    assert_eq!(driver.take_join(first).generation_id, 2);
}

#[test]
fn g7_the_generation_grows_with_each_completed_join_and_the_record_comes_with_the_leaders_sync() {
    let mut driver = Driver::new();
    let member = driver.new_member("g");
    // That there is such a group is on record before its first member is in.
    assert_eq!(driver.log.len(), 1);
    let to = driver.join(join("g", &member));
    driver.tick(3 * SECOND);
    assert_eq!(driver.take_join(to).generation_id, 1);
    assert_eq!(driver.log.len(), 1);
    driver.sync_all("g", std::slice::from_ref(&member), 1);
    assert_eq!(driver.log.len(), 2);
    driver.leave("g", std::slice::from_ref(&member));
    // An empty group is recorded as well, and its generation counts on.
    assert_eq!(driver.log.len(), 3);
    driver.restart();
    let member = driver.new_member("g");
    let to = driver.join(join("g", &member));
    driver.tick(3 * SECOND);
    assert_eq!(driver.take_join(to).generation_id, 3);
}

#[test]
fn g7_the_protocol_is_chosen_by_the_members_votes() {
    let mut driver = Driver::new();
    let offers: [&[&str]; 3] = [&["a", "b", "c"], &["b", "a"], &["b", "a", "d"]];
    let joins: Vec<ReplyTo> = offers
        .iter()
        .map(|names| {
            let member = driver.new_member_with(names);
            driver.join(join_with(&member, names))
        })
        .collect();
    driver.tick(60 * SECOND);
    for to in joins {
        // "a" and "b" are common to all; two of three prefer "b".
        assert_eq!(driver.take_join(to).protocol_name, Some("b".into()));
    }
}

fn join_with(member: &str, names: &[&str]) -> catchword_wire::messages::JoinGroupRequest {
    let mut request = join("g", member);
    request.protocols = protocols(names, &["t"]);
    request
}

impl Driver {
    fn new_member_with(&mut self, names: &[&str]) -> Str {
        let to = self.join(join_with("", names));
        self.take_join(to).member_id
    }
}

#[test]
fn g7_only_the_leader_hears_of_the_others() {
    let mut driver = Driver::new();
    let members: Vec<Str> = (0..3).map(|_| driver.new_member("g")).collect();
    let joins: Vec<ReplyTo> = members.iter().map(|m| driver.join(join("g", m))).collect();
    driver.tick(20 * SECOND);
    for (i, to) in joins.into_iter().enumerate() {
        let response = driver.take_join(to);
        assert_eq!(response.leader, members[0]);
        assert_eq!(response.members.len(), if i == 0 { 3 } else { 0 });
    }
}

#[test]
fn a_follower_that_rejoins_unchanged_gets_the_generation_as_it_is_and_the_leader_a_new_one() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 2);
    let to = driver.join(join("g", &members[1]));
    let response = driver.take_join(to);
    assert_eq!((response.generation_id, response.members.len()), (1, 0));
    assert_eq!(driver.state("g"), "Stable");
    let mut changed = join("g", &members[1]);
    changed.protocols = protocols(&["range"], &["t", "u"]);
    driver.join(changed);
    assert_eq!(driver.state("g"), "PreparingRebalance");
}

#[test]
fn a_member_that_missed_its_answer_while_the_leader_decides_is_told_again() {
    let mut driver = Driver::new();
    let member = driver.new_member("g");
    driver.join(join("g", &member));
    driver.tick(3 * SECOND);
    let to = driver.join(join("g", &member));
    let response = driver.take_join(to);
    assert_eq!((response.generation_id, response.members.len()), (1, 1));
    assert_eq!(driver.state("g"), "CompletingRebalance");
}

#[test]
fn a_member_that_asks_twice_has_both_calls_answered() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 2);
    let first = driver.join(join("g", &members[0]));
    let again = driver.join(join("g", &members[0]));
    let refused = driver.take_join(first);
    assert_eq!(refused.error_code, ErrorCode::RebalanceInProgress.code());
    driver.join(join("g", &members[1]));
    assert_eq!(driver.take_join(again).generation_id, 2);
    let first = driver.call(5, Call::SyncGroup(sync("g", &members[1], 2)));
    let again = driver.call(5, Call::SyncGroup(sync("g", &members[1], 2)));
    assert_eq!(
        error_of(&driver.take(first)),
        ErrorCode::RebalanceInProgress
    );
    driver.sync_all("g", &members[..1], 2);
    assert_eq!(error_of(&driver.take(again)), ErrorCode::None);
}

#[test]
fn a_dead_member_is_noticed_by_its_session_and_the_others_are_called_together() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 2);
    driver.tick(6 * SECOND);
    assert_eq!(driver.heartbeat("g", &members[0], 1), ErrorCode::None);
    driver.tick(6 * SECOND);
    assert_eq!(
        driver.heartbeat("g", &members[0], 1),
        ErrorCode::RebalanceInProgress
    );
    let to = driver.join(join("g", &members[0]));
    let response = driver.take_join(to);
    assert_eq!((response.generation_id, response.members.len()), (2, 1));
}

#[test]
fn when_the_leader_dies_while_it_decides_the_others_are_called_together_again() {
    let mut driver = Driver::new();
    let members: Vec<Str> = (0..2).map(|_| driver.new_member("g")).collect();
    for member in &members {
        driver.join(join("g", member));
    }
    driver.tick(6 * SECOND);
    let waits = driver.call(5, Call::SyncGroup(sync("g", &members[1], 1)));
    driver.tick(11 * SECOND);
    assert_eq!(
        error_of(&driver.take(waits)),
        ErrorCode::RebalanceInProgress
    );
    let to = driver.join(join("g", &members[1]));
    assert_eq!(driver.take_join(to).leader, members[1]);
}

#[test]
fn a_member_that_joined_but_never_asks_for_its_assignment_is_out_after_the_rebalance_timeout() {
    let mut driver = Driver::new();
    let members: Vec<Str> = (0..2).map(|_| driver.new_member("g")).collect();
    for member in &members {
        driver.join(join("g", member));
    }
    driver.tick(6 * SECOND);
    let mut request = sync("g", &members[0], 1);
    request.assignments = assignments(&members);
    driver.call(5, Call::SyncGroup(request));
    assert_eq!(driver.state("g"), "Stable");
    for _ in 0..12 {
        driver.tick(5 * SECOND);
        for member in &members {
            driver.heartbeat("g", member, 1);
        }
    }
    assert_eq!(driver.state("g"), "PreparingRebalance");
    assert_eq!(
        driver.heartbeat("g", &members[1], 1),
        ErrorCode::UnknownMemberId
    );
    assert_eq!(
        driver.heartbeat("g", &members[0], 1),
        ErrorCode::RebalanceInProgress
    );
}

#[test]
fn a_newcomers_join_is_given_up_after_five_minutes() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    let newcomer = driver.new_member("g");
    let mut request = join("g", &newcomer);
    request.rebalance_timeout_ms = 3_600_000;
    let waits = driver.join(request);
    for _ in 0..59 {
        driver.tick(5 * SECOND);
        driver.heartbeat("g", &members[0], 1);
    }
    assert!(!driver.replies.contains_key(&waits));
    driver.tick(5 * SECOND);
    assert_eq!(
        driver.take_join(waits).error_code,
        ErrorCode::UnknownMemberId.code()
    );
}

#[test]
fn members_found_in_the_log_have_their_session_from_the_load_on() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 2);
    driver.now_ms += DAY;
    driver.restart();
    assert_eq!(driver.state("g"), "Stable");
    driver.tick(9 * SECOND);
    assert_eq!(driver.heartbeat("g", &members[0], 1), ErrorCode::None);
    assert_eq!(
        driver.commit(commit("g", &members[0], 1, 5)),
        ErrorCode::None
    );
    driver.tick(SECOND);
    assert_eq!(
        driver.heartbeat("g", &members[0], 1),
        ErrorCode::RebalanceInProgress
    );
}

#[test]
fn version_0_has_one_timeout_for_session_and_rebalance() {
    let mut driver = Driver::new();
    let mut request = join("g", "");
    request.rebalance_timeout_ms = -1;
    let first = driver.call(0, Call::JoinGroup(request.clone()));
    driver.tick(10 * SECOND);
    let member = driver.take_join(first).member_id;
    driver.sync_all("g", std::slice::from_ref(&member), 1);
    let newcomer = driver.call(0, Call::JoinGroup(request));
    driver.tick(9 * SECOND);
    driver.heartbeat("g", &member, 1);
    assert!(!driver.replies.contains_key(&newcomer));
    driver.tick(SECOND);
    assert_eq!(driver.take_join(newcomer).members.len(), 1);
}
