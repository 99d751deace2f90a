//! Joining, syncing, heartbeats, leaving, looking at groups.

use catchword_coordinator::{Call, GroupConfig, Reply};
use catchword_wire::messages::leave_group_request::MemberIdentity;
use catchword_wire::messages::list_groups_response::ListedGroup;
use catchword_wire::{ErrorCode, Str};

use crate::driver::*;

#[test]
fn g1_a_session_timeout_outside_the_bounds_is_refused() {
    let mut driver = Driver::new();
    for (timeout_ms, error) in [
        (5_999, ErrorCode::InvalidSessionTimeout),
        (6_000, ErrorCode::MemberIdRequired),
        (1_800_000, ErrorCode::MemberIdRequired),
        (1_800_001, ErrorCode::InvalidSessionTimeout),
    ] {
        let mut request = join("g", "");
        request.session_timeout_ms = timeout_ms;
        assert_eq!(
            driver.error_of(JOIN_VERSION, Call::JoinGroup(request)),
            error
        );
    }
}

#[test]
fn g2_from_version_4_a_newcomer_is_given_an_id_first() {
    let mut driver = Driver::new();
    let member = driver.new_member("g");
    assert_eq!(member.len(), "client-".len() + 36);
    assert!(member.starts_with("client-"));
    let to = driver.join(join("g", &member));
    driver.tick(3 * SECOND);
    assert_eq!(driver.take_join(to).member_id, member);
}

#[test]
fn g2_an_id_that_is_not_used_within_the_session_timeout_is_void() {
    let mut driver = Driver::new();
    let member = driver.new_member("g");
    driver.tick(10 * SECOND);
    let error = driver.error_of(JOIN_VERSION, Call::JoinGroup(join("g", &member)));
    assert_eq!(error, ErrorCode::UnknownMemberId);
}

#[test]
fn g2_below_version_4_a_newcomer_is_admitted_at_once() {
    let mut driver = Driver::new();
    let to = driver.call(3, Call::JoinGroup(join("g", "")));
    assert_eq!(driver.state("g"), "PreparingRebalance");
    driver.tick(3 * SECOND);
    assert!(driver.take_join(to).member_id.starts_with("client-"));
}

#[test]
fn g2_a_static_members_id_begins_with_its_name() {
    let mut driver = Driver::new();
    let to = driver.join(static_join("g", "seat", ""));
    driver.tick(3 * SECOND);
    assert!(driver.take_join(to).member_id.starts_with("seat-"));
}

#[test]
fn g3_a_member_id_that_nobody_gave_out_is_unknown() {
    let mut driver = Driver::new();
    let stranger = Call::JoinGroup(join("g", "stranger"));
    assert_eq!(
        driver.error_of(JOIN_VERSION, stranger.clone()),
        ErrorCode::UnknownMemberId
    );
    assert_eq!(driver.state("g"), "Dead");
    driver.stable("g", 1);
    assert_eq!(
        driver.error_of(JOIN_VERSION, stranger),
        ErrorCode::UnknownMemberId
    );
}

#[test]
fn g3_a_full_group_takes_nobody_else() {
    let mut driver = Driver::with(GroupConfig {
        group_max_size: 2,
        ..GroupConfig::default()
    });
    driver.stable("g", 2);
    let error = driver.error_of(JOIN_VERSION, Call::JoinGroup(join("g", "")));
    assert_eq!(error, ErrorCode::GroupMaxSizeReached);
    assert_eq!(driver.state("g"), "Stable");
}

#[test]
fn g3_a_group_that_became_too_large_loses_those_who_rejoin_last() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 3);
    driver.config.group_max_size = 2;
    driver.restart();
    assert_eq!(driver.state("g"), "PreparingRebalance");
    let joins: Vec<_> = members.iter().map(|m| driver.join(join("g", m))).collect();
    let errors: Vec<i16> = joins
        .into_iter()
        .map(|to| driver.take_join(to).error_code)
        .collect();
    assert_eq!(errors, [0, 0, ErrorCode::GroupMaxSizeReached.code()]);
}

#[test]
fn g3_without_a_common_protocol_nobody_joins() {
    let mut driver = Driver::new();
    driver.stable("g", 1);
    let mut other = join("g", "");
    other.protocols = protocols(&["roundrobin"], &["t"]);
    let error = driver.error_of(JOIN_VERSION, Call::JoinGroup(other));
    assert_eq!(error, ErrorCode::InconsistentGroupProtocol);
    let mut other = join("g", "");
    other.protocol_type = "connect".into();
    let error = driver.error_of(JOIN_VERSION, Call::JoinGroup(other));
    assert_eq!(error, ErrorCode::InconsistentGroupProtocol);
    let mut none = join("new", "");
    none.protocols.clear();
    let error = driver.error_of(JOIN_VERSION, Call::JoinGroup(none));
    assert_eq!(error, ErrorCode::InconsistentGroupProtocol);
}

#[test]
fn g6_sync_is_refused_by_state_generation_and_protocol() {
    let mut driver = Driver::new();
    let error = driver.error_of(5, Call::SyncGroup(sync("g", "m", 1)));
    assert_eq!(error, ErrorCode::UnknownMemberId);
    let members = driver.stable("g", 2);
    let mut error = |version, change: &dyn Fn(&mut catchword_wire::messages::SyncGroupRequest)| {
        let mut request = sync("g", &members[1], 1);
        change(&mut request);
        driver.error_of(version, Call::SyncGroup(request))
    };
    assert_eq!(error(5, &|_| ()), ErrorCode::None);
    assert_eq!(
        error(5, &|r| r.generation_id = 2),
        ErrorCode::IllegalGeneration
    );
    assert_eq!(
        error(5, &|r| r.member_id = "x".into()),
        ErrorCode::UnknownMemberId
    );
    let inconsistent = ErrorCode::InconsistentGroupProtocol;
    assert_eq!(
        error(5, &|r| r.protocol_name = Some("other".into())),
        inconsistent
    );
    assert_eq!(
        error(5, &|r| r.protocol_type = Some("connect".into())),
        inconsistent
    );
    assert_eq!(error(5, &|r| r.protocol_name = None), inconsistent);
    // Older versions don't say.
    let none = |r: &mut catchword_wire::messages::SyncGroupRequest| r.protocol_name = None;
    assert_eq!(error(4, &none), ErrorCode::None);
    driver.join(join("g", &members[0]));
    let error = driver.error_of(5, Call::SyncGroup(sync("g", &members[1], 1)));
    assert_eq!(error, ErrorCode::RebalanceInProgress);
}

#[test]
fn g6_sync_in_a_stable_group_gives_the_assignment_again() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 2);
    let Reply::SyncGroup(response) = driver.ask(5, Call::SyncGroup(sync("g", &members[1], 1)))
    else {
        panic!()
    };
    assert_eq!(response.assignment, members[1].as_bytes());
    assert_eq!(response.protocol_name, Some("range".into()));
}

#[test]
fn g6_a_member_that_the_leader_forgot_gets_nothing() {
    let mut driver = Driver::new();
    let members: Vec<Str> = (0..2).map(|_| driver.new_member("g")).collect();
    for member in &members {
        driver.join(join("g", member));
    }
    driver.tick(10 * SECOND);
    let follower = driver.call(5, Call::SyncGroup(sync("g", &members[1], 1)));
    let mut request = sync("g", &members[0], 1);
    request.assignments = assignments(&members[..1]);
    driver.call(5, Call::SyncGroup(request));
    let Reply::SyncGroup(response) = driver.take(follower) else {
        panic!()
    };
    assert_eq!((response.error_code, response.assignment.len()), (0, 0));
}

#[test]
fn g6_heartbeat_says_what_the_state_asks_for_and_keeps_the_member_alive() {
    let mut driver = Driver::new();
    assert_eq!(driver.heartbeat("g", "m", 1), ErrorCode::UnknownMemberId);
    let members = driver.stable("g", 2);
    assert_eq!(driver.heartbeat("g", &members[0], 1), ErrorCode::None);
    assert_eq!(
        driver.heartbeat("g", &members[0], 2),
        ErrorCode::IllegalGeneration
    );
    assert_eq!(
        driver.heartbeat("g", "stranger", 1),
        ErrorCode::UnknownMemberId
    );
    let first = driver.join(join("g", &members[0]));
    for _ in 0..5 {
        // Longer than the session, shorter than the rebalance: it may take its time.
        driver.tick(9 * SECOND);
        assert_eq!(
            driver.heartbeat("g", &members[1], 1),
            ErrorCode::RebalanceInProgress
        );
    }
    driver.join(join("g", &members[1]));
    assert_eq!(driver.take_join(first).generation_id, 2);
    assert_eq!(driver.heartbeat("g", &members[1], 2), ErrorCode::None);
    assert_eq!(driver.state("g"), "CompletingRebalance");
}

#[test]
fn g6_heartbeat_to_a_group_without_members_is_unknown_member() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    driver.leave("g", &members);
    assert_eq!(
        driver.heartbeat("g", &members[0], 2),
        ErrorCode::UnknownMemberId
    );
}

#[test]
fn g8_what_members_say_to_each_other_is_carried_untouched() {
    let mut driver = Driver::new();
    let member = driver.new_member("g");
    let mut request = join("g", &member);
    // KIP-429: owned partitions ride in the metadata; here it is not even a subscription.
    request.protocols[0].metadata = bytes::Bytes::from_static(b"\xff\x00anything");
    request.reason = Some("KIP-800: because".into());
    let to = driver.join(request);
    driver.tick(3 * SECOND);
    let response = driver.take_join(to);
    assert_eq!(response.members[0].metadata.as_ref(), b"\xff\x00anything");
    let mut request = sync("g", &member, 1);
    request.assignments = assignments(std::slice::from_ref(&member));
    request.assignments[0].assignment = bytes::Bytes::from_static(b"\x00\xffbytes");
    let Reply::SyncGroup(response) = driver.ask(5, Call::SyncGroup(request)) else {
        panic!()
    };
    assert_eq!(response.assignment.as_ref(), b"\x00\xffbytes");
    // A consumer group of which we can't tell what it reads is taken to read everything.
    driver.commit(commit("g", &member, 1, 5));
    let error = driver.error_of(0, offset_delete("g", "t", 0));
    assert_eq!(error, ErrorCode::GroupSubscribedToTopic);
}

#[test]
fn g9_a_call_that_no_shard_can_take_is_refused_with_the_reason() {
    let calls = || {
        [
            Call::JoinGroup(join("g", "m")),
            Call::SyncGroup(sync("g", "m", 1)),
            Call::LeaveGroup(leave("g", &["m".into()])),
            Call::OffsetCommit(commit("g", "m", 1, 5)),
            fetch("g", None),
            offset_delete("g", "t", 0),
            Call::DescribeGroup("g".into()),
            Call::DeleteGroup("g".into()),
        ]
    };
    for error in [
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::NotCoordinator,
    ] {
        for call in calls() {
            assert_eq!(error_of(&call.refuse(error)), error);
        }
    }
    // Loading is no reason to disturb a member.
    let heartbeat = || Call::Heartbeat(heartbeat("g", "m", 1));
    let loading = heartbeat().refuse(ErrorCode::CoordinatorLoadInProgress);
    assert_eq!(error_of(&loading), ErrorCode::None);
    let moved = heartbeat().refuse(ErrorCode::NotCoordinator);
    assert_eq!(error_of(&moved), ErrorCode::NotCoordinator);
}

#[test]
fn g9_everyone_who_waits_is_told_when_the_shard_moves_away() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 2);
    let waits = driver.join(join("g", &members[0]));
    driver.with_output(|shard, _, out| shard.unload(ErrorCode::NotCoordinator, out));
    let response = driver.take_join(waits);
    assert_eq!(response.error_code, ErrorCode::NotCoordinator.code());
    assert_eq!(response.member_id, members[0]);
}

#[test]
fn g12_groups_are_listed_by_state_and_type() {
    let mut driver = Driver::new();
    driver.stable("stable", 1);
    driver.commit(commit("simple", "", -1, 5));
    let mut list = |states: &[&'static str], types: &[&'static str]| -> Vec<ListedGroup> {
        let texts = |texts: &[&'static str]| texts.iter().map(|t| Str::from(*t)).collect();
        let call = Call::ListGroups {
            states: texts(states),
            types: texts(types),
        };
        match driver.ask(5, call) {
            Reply::ListGroups(groups) => groups,
            other => panic!("not a list: {other:?}"),
        }
    };
    let ids = |groups: Vec<ListedGroup>| -> Vec<String> {
        groups.iter().map(|g| g.group_id.to_string()).collect()
    };
    let all = list(&[], &[]);
    let stable = &all[1];
    assert_eq!(
        (&*stable.group_state, &*stable.group_type),
        ("Stable", "classic")
    );
    assert_eq!(stable.protocol_type, "consumer");
    assert_eq!(ids(all), ["simple", "stable"]);
    assert_eq!(ids(list(&["stable"], &[])), ["stable"]);
    assert_eq!(ids(list(&["EMPTY", "dead"], &["Classic"])), ["simple"]);
    assert!(list(&[], &["consumer"]).is_empty());
    assert!(list(&[], &["nonsense"]).is_empty());
}

#[test]
fn g12_a_group_is_described_with_its_members() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    let describe = |driver: &mut Driver, version, group: &'static str| match driver
        .ask(version, Call::DescribeGroup(group.into()))
    {
        Reply::DescribeGroup(group) => group,
        other => panic!("not a description: {other:?}"),
    };
    let group = describe(&mut driver, 6, "g");
    assert_eq!(
        (&*group.group_state, &*group.protocol_type),
        ("Stable", "consumer")
    );
    assert_eq!(group.protocol_data, "range");
    let member = &group.members[0];
    assert_eq!(
        (&member.member_id, &*member.client_id),
        (&members[0], "client")
    );
    assert_eq!(member.client_host, "/127.0.0.1");
    assert_eq!(member.member_metadata, subscription(&["t"]));
    assert_eq!(member.member_assignment, members[0].as_bytes());

    // Between generations the protocol is not settled.
    driver.join(join("g", ""));
    driver.call(3, Call::JoinGroup(join("g", "")));
    let group = describe(&mut driver, 6, "g");
    assert_eq!(group.group_state, "PreparingRebalance");
    assert!(group.protocol_data.is_empty() && group.members[0].member_metadata.is_empty());

    let unknown = describe(&mut driver, 5, "unknown");
    assert_eq!((&*unknown.group_state, unknown.error_code), ("Dead", 0));
    let unknown = describe(&mut driver, 6, "unknown");
    assert_eq!(unknown.error_code, ErrorCode::GroupIdNotFound.code());
    assert_eq!(
        unknown.error_message,
        Some("Group unknown not found.".into())
    );
}

#[test]
fn leaving_answers_for_each_member_and_before_version_3_for_the_only_one() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 2);
    let errors = driver.leave("g", &["stranger".into(), members[1].clone()]);
    assert_eq!(errors, [ErrorCode::UnknownMemberId, ErrorCode::None]);
    let mut old = leave("g", &[]);
    old.member_id = "stranger".into();
    let Reply::LeaveGroup(response) = driver.ask(2, Call::LeaveGroup(old.clone())) else {
        panic!()
    };
    assert_eq!(response.error_code, ErrorCode::UnknownMemberId.code());
    assert!(response.members.is_empty());
    old.member_id = members[0].clone();
    let Reply::LeaveGroup(response) = driver.ask(2, Call::LeaveGroup(old)) else {
        panic!()
    };
    assert_eq!(response.error_code, 0);
    assert_eq!(driver.state("g"), "Empty");
    assert_eq!(
        driver.leave("unknown", &members),
        [ErrorCode::UnknownMemberId; 2]
    );
}

#[test]
fn an_administrator_removes_a_static_member_by_its_name() {
    let mut driver = Driver::new();
    let to = driver.join(static_join("g", "seat", ""));
    driver.tick(3 * SECOND);
    driver.take_join(to);
    let mut request = leave("g", &[]);
    let by_name = |name: &'static str| MemberIdentity {
        group_instance_id: Some(name.into()),
        reason: Some("the tool says so".into()),
        ..MemberIdentity::default()
    };
    request.members = vec![by_name("nobody"), by_name("seat")];
    let Reply::LeaveGroup(response) = driver.ask(5, Call::LeaveGroup(request)) else {
        panic!()
    };
    let errors: Vec<i16> = response.members.iter().map(|m| m.error_code).collect();
    assert_eq!(errors, [ErrorCode::UnknownMemberId.code(), 0]);
    assert_eq!(driver.state("g"), "Empty");
}
