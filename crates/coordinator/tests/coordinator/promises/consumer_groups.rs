//! KIP-848: each answer is the one that Apache Kafka gives.

use catchword_coordinator::{Call, GroupConfig, GroupSettings, MigrationPolicy, Reply};
use catchword_wire::messages::ConsumerGroupHeartbeatRequest;
use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use catchword_wire::{ErrorCode, Str};

use crate::consumers::{alive, driver, given, joining, owning, topic_id, with_config};
use crate::driver::{DAY, Driver, SECOND, WEEK, commit, join, offset_delete, sync};

fn first(driver: &mut Driver) {
    let response = driver.beat(joining("g", "a"));
    assert_eq!(given(&response), Some(vec![0, 1, 2, 3, 4, 5]));
    assert_eq!(response.member_epoch, 2);
}

#[test]
fn the_first_member_is_given_everything_in_its_first_answer_and_nothing_new_after_it() {
    let mut driver = driver();
    let response = driver.beat(joining("g", "a"));
    assert_eq!(response.member_id, Some("a".into()));
    assert_eq!(response.heartbeat_interval_ms, 5000);
    assert_eq!(given(&response), Some(vec![0, 1, 2, 3, 4, 5]));
    let response = driver.beat(owning("g", "a", 2, &[0, 1, 2, 3, 4, 5]));
    assert_eq!((response.member_epoch, given(&response)), (2, None));
    assert_eq!(driver.described("g").group_state, "Stable");
}

#[test]
fn a_heartbeat_that_says_nothing_new_writes_nothing_and_sets_no_timer() {
    let mut driver = driver();
    first(&mut driver);
    let records = driver.log.len();
    for _ in 0..20 {
        driver.tick(SECOND);
        driver.beat(alive("g", "a", 2));
        assert_eq!(driver.last_effects.len(), 1, "the answer and nothing else");
    }
    assert_eq!(driver.log.len(), records);
}

#[test]
fn a_partition_goes_to_its_new_owner_only_when_the_one_before_has_given_it_up() {
    let mut driver = driver();
    first(&mut driver);
    let b = driver.beat(joining("g", "b"));
    assert_eq!(
        (b.member_epoch, given(&b)),
        (3, Some(vec![])),
        "nothing is free yet"
    );
    let a = driver.beat(owning("g", "a", 2, &[0, 1, 2, 3, 4, 5]));
    assert_eq!(
        (a.member_epoch, given(&a)),
        (2, Some(vec![0, 1, 2])),
        "it stays until it gives up"
    );
    assert_eq!(driver.described("g").group_state, "Reconciling");
    assert_eq!(given(&driver.beat(alive("g", "b", 3))), None);
    // It says what it has still.
    let a = driver.beat(owning("g", "a", 2, &[0, 1, 2, 4]));
    assert_eq!((a.member_epoch, given(&a)), (2, None));
    let a = driver.beat(owning("g", "a", 2, &[0, 1, 2]));
    assert_eq!(a.member_epoch, 3);
    let b = driver.beat(alive("g", "b", 3));
    assert_eq!(given(&b), Some(vec![3, 4, 5]));
    assert_eq!(driver.described("g").group_state, "Stable");
    assert_eq!(driver.owners("g").len(), 2);
}

#[test]
fn malformed_heartbeats_have_the_errors_of_kafka() {
    let mut driver = driver();
    first(&mut driver);
    let mut cases: Vec<(ConsumerGroupHeartbeatRequest, ErrorCode)> = Vec::new();
    let mut case = |error, change: fn(&mut ConsumerGroupHeartbeatRequest)| {
        let mut request = joining("g", "b");
        change(&mut request);
        cases.push((request, error));
    };
    let invalid = ErrorCode::InvalidRequest;
    case(invalid, |r| r.member_id = Str::EMPTY);
    case(invalid, |r| r.group_id = " ".into());
    case(invalid, |r| r.instance_id = Some(Str::EMPTY));
    case(invalid, |r| r.rack_id = Some(Str::EMPTY));
    case(invalid, |r| r.rebalance_timeout_ms = -1);
    case(invalid, |r| r.topic_partitions = None);
    case(invalid, |r| {
        r.topic_partitions = owning("g", "b", 0, &[1]).topic_partitions
    });
    case(invalid, |r| r.subscribed_topic_names = None);
    case(invalid, |r| r.member_epoch = -2);
    case(invalid, |r| r.member_epoch = -3);
    case(invalid, |r| {
        r.subscribed_topic_names = Some(vec!["x".repeat(40_000).into()])
    });
    case(ErrorCode::UnsupportedAssignor, |r| {
        r.server_assignor = Some("sticky".into())
    });
    case(ErrorCode::InvalidRegularExpression, |r| {
        r.subscribed_topic_regex = Some("(".into())
    });
    for (request, error) in cases {
        assert_eq!(driver.beat_error(request.clone()), error, "{request:?}");
    }
}

#[test]
fn who_is_not_known_is_told_so_and_by_the_kind_of_what_is_missing() {
    let mut driver = driver();
    assert_eq!(
        driver.beat_error(alive("g", "a", 2)),
        ErrorCode::GroupIdNotFound
    );
    assert_eq!(
        driver.beat_error(alive("g", "a", -1)),
        ErrorCode::GroupIdNotFound
    );
    first(&mut driver);
    assert_eq!(
        driver.beat_error(alive("g", "b", 2)),
        ErrorCode::UnknownMemberId
    );
    assert_eq!(
        driver.beat_error(alive("g", "b", -1)),
        ErrorCode::UnknownMemberId
    );
    let mut with_name = alive("g", "a", 2);
    with_name.instance_id = Some("x".into());
    assert_eq!(driver.beat_error(with_name), ErrorCode::UnknownMemberId);
}

#[test]
fn an_epoch_that_is_not_the_members_is_fenced_but_for_an_answer_that_was_lost() {
    let mut driver = driver();
    first(&mut driver);
    assert_eq!(
        driver.beat_error(alive("g", "a", 8)),
        ErrorCode::FencedMemberEpoch
    );
    driver.beat(joining("g", "b"));
    driver.beat(owning("g", "a", 2, &[0, 1, 2, 3, 4, 5]));
    assert_eq!(driver.beat(owning("g", "a", 2, &[0, 1, 2])).member_epoch, 3);
    // The answer that said 2 was lost: the same again is accepted, as long as it has nothing that is not its own.
    assert_eq!(driver.beat(owning("g", "a", 2, &[0, 1, 2])).member_epoch, 3);
    assert_eq!(driver.beat(owning("g", "a", 2, &[0, 1])).member_epoch, 3);
    assert_eq!(
        driver.beat_error(owning("g", "a", 2, &[0, 1, 3])),
        ErrorCode::FencedMemberEpoch
    );
    assert_eq!(
        driver.beat_error(alive("g", "a", 2)),
        ErrorCode::FencedMemberEpoch
    );
    // A fenced member begins again, under the same id.
    let again = driver.beat(joining("g", "a"));
    assert_eq!(
        (again.member_epoch, given(&again)),
        (3, Some(vec![0, 1, 2]))
    );
}

#[test]
fn a_member_that_is_silent_for_its_session_timeout_is_out_and_what_it_had_is_free() {
    let mut driver = driver();
    first(&mut driver);
    driver.beat(joining("g", "b"));
    driver.tick(30 * SECOND);
    driver.beat(alive("g", "b", 3));
    driver.tick(16 * SECOND);
    assert_eq!(
        driver.beat_error(alive("g", "a", 2)),
        ErrorCode::UnknownMemberId
    );
    let b = driver.beat(alive("g", "b", 3));
    assert_eq!(given(&b), Some(vec![0, 1, 2, 3, 4, 5]));
}

#[test]
fn a_member_that_does_not_give_up_within_its_rebalance_timeout_is_out() {
    let mut driver = driver();
    first(&mut driver);
    driver.beat(joining("g", "b"));
    driver.beat(owning("g", "a", 2, &[0, 1, 2, 3, 4, 5]));
    for _ in 0..5 {
        driver.tick(10 * SECOND);
        driver.beat(alive("g", "a", 2));
        driver.beat(alive("g", "b", 3));
    }
    driver.tick(10 * SECOND);
    assert_eq!(
        driver.beat_error(alive("g", "a", 2)),
        ErrorCode::UnknownMemberId
    );
    assert_eq!(
        given(&driver.beat(alive("g", "b", 3))).map(|p| p.len()),
        Some(6)
    );
}

#[test]
fn times_of_a_group_of_its_own_come_before_the_brokers() {
    let mut driver = driver();
    let settings = GroupSettings {
        session_timeout_ms: 50_000,
        heartbeat_interval_ms: 7_000,
        assignment_interval_ms: 0,
        ..GroupSettings::default()
    };
    driver.shard.set_group_settings("g", Some(settings));
    assert_eq!(driver.beat(joining("g", "a")).heartbeat_interval_ms, 7000);
    driver.tick(49 * SECOND);
    driver.beat(alive("g", "a", 2));
    driver.tick(51 * SECOND);
    assert_eq!(
        driver.beat_error(alive("g", "a", 2)),
        ErrorCode::UnknownMemberId
    );
}

#[test]
fn members_that_come_at_once_are_shared_out_once_for_all() {
    let mut driver = with_config(GroupConfig::default());
    first(&mut driver);
    let b = driver.beat(joining("g", "b"));
    assert_eq!((b.member_epoch, given(&b)), (2, Some(vec![])));
    assert_eq!(driver.described("g").group_state, "Assigning");
    driver.beat(joining("g", "c"));
    driver.tick(SECOND);
    let a = driver.beat(owning("g", "a", 2, &[0, 1, 2, 3, 4, 5]));
    assert_eq!(given(&a).map(|p| p.len()), Some(2));
    assert_eq!(driver.described("g").assignment_epoch, 4);
}

fn named(member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    let base = match epoch {
        0 => joining("g", member),
        _ => alive("g", member, epoch),
    };
    ConsumerGroupHeartbeatRequest {
        instance_id: Some("x".into()),
        ..base
    }
}

#[test]
fn a_static_member_that_leaves_for_a_while_comes_back_under_another_id_to_what_it_had() {
    let mut driver = driver();
    driver.beat(named("a", 0));
    assert_eq!(
        driver.beat_error(named("b", 0)),
        ErrorCode::UnreleasedInstanceId
    );
    assert_eq!(
        driver.beat_error(named("b", 2)),
        ErrorCode::FencedInstanceId
    );
    assert_eq!(driver.beat(named("a", -2)).member_epoch, -2);
    let epoch = driver.described("g").group_epoch;
    let back = driver.beat(named("b", 0));
    assert_eq!(given(&back), Some(vec![0, 1, 2, 3, 4, 5]));
    assert_eq!(back.member_epoch, epoch);
    assert_eq!(
        driver.described("g").group_epoch,
        epoch,
        "nobody else hears of it"
    );
    assert_eq!(
        driver.beat_error(named("a", 2)),
        ErrorCode::FencedInstanceId
    );
    assert_eq!(
        driver.beat_error(alive("g", "a", 2)),
        ErrorCode::UnknownMemberId
    );
    driver.beat(named("b", -1));
    assert_eq!(driver.described("g").group_state, "Empty");
}

#[test]
fn a_static_member_that_does_not_come_back_within_its_session_is_out() {
    let mut driver = driver();
    driver.beat(named("a", 0));
    driver.beat(named("a", -2));
    driver.tick(46 * SECOND);
    assert_eq!(driver.described("g").group_state, "Empty");
}

#[test]
fn topics_that_come_grow_and_go_change_what_members_have() {
    let mut driver = driver();
    first(&mut driver);
    driver.set_topics(2, &[("t", 1, 8), ("u", 2, 1)]);
    let grown = driver.beat(alive("g", "a", 2));
    assert_eq!(
        (grown.member_epoch, given(&grown).map(|p| p.len())),
        (3, Some(8))
    );
    driver.set_topics(3, &[("u", 2, 1)]);
    let gone = driver.beat(alive("g", "a", 3));
    assert_eq!((gone.member_epoch, given(&gone)), (3, Some(vec![])));
    assert_eq!(driver.beat(owning("g", "a", 3, &[])).member_epoch, 4);
    driver.set_topics(4, &[("t", 9, 1), ("u", 2, 1)]);
    let another = driver.beat(alive("g", "a", 4));
    let topics = another.assignment.unwrap().topic_partitions;
    assert_eq!(topics[0].topic_id, topic_id(9));
    // What nobody reads changes nothing.
    driver.set_topics(5, &[("t", 9, 1), ("u", 2, 5)]);
    assert_eq!(driver.beat(alive("g", "a", 5)).member_epoch, 5);
}

#[test]
fn a_regular_expression_stands_for_the_topics_that_there_are_at_any_time() {
    let mut driver = driver();
    driver.set_topics(
        2,
        &[("orders-1", 1, 1), ("orders-2", 2, 1), ("other", 3, 1)],
    );
    let mut request = joining("g", "a");
    request.subscribed_topic_names = None;
    request.subscribed_topic_regex = Some("orders-.*".into());
    let topics = |response: catchword_wire::messages::ConsumerGroupHeartbeatResponse| {
        let assignment = response.assignment.unwrap();
        let topics = assignment.topic_partitions.into_iter();
        topics.map(|t| t.topic_id).collect::<Vec<_>>()
    };
    assert_eq!(topics(driver.beat(request)), [topic_id(1), topic_id(2)]);
    driver.tick(2 * SECOND);
    driver.set_topics(
        3,
        &[("orders-1", 1, 1), ("orders-2", 2, 1), ("orders-3", 4, 1)],
    );
    let response = driver.beat(alive("g", "a", 2));
    assert_eq!(topics(response), [topic_id(1), topic_id(2), topic_id(4)]);
    driver.restart();
    let mut narrower = alive("g", "a", 3);
    narrower.subscribed_topic_regex = Some("orders-1".into());
    driver.set_topics(
        3,
        &[("orders-1", 1, 1), ("orders-2", 2, 1), ("orders-3", 4, 1)],
    );
    assert_eq!(topics(driver.beat(narrower)), [topic_id(1)]);
}

#[test]
fn most_members_choose_the_assignor() {
    let mut driver = driver();
    driver.set_topics(2, &[("t", 1, 4)]);
    let by = |assignor: &'static str, member| ConsumerGroupHeartbeatRequest {
        server_assignor: Some(assignor.into()),
        ..joining("g", member)
    };
    driver.beat(by("range", "a"));
    assert_eq!(driver.described("g").assignor_name, "range");
    driver.beat(by("uniform", "b"));
    driver.beat(by("uniform", "c"));
    assert_eq!(driver.described("g").assignor_name, "uniform");
}

#[test]
fn g11_a_group_is_as_large_as_it_may_be() {
    let mut config = GroupConfig::default();
    config.consumer.max_size = 1;
    let mut driver = with_config(config);
    first(&mut driver);
    assert_eq!(
        driver.beat_error(joining("g", "b")),
        ErrorCode::GroupMaxSizeReached
    );
    driver.beat(joining("g", "a"));
}

fn commit_at(driver: &mut Driver, version: i16, member: &str, epoch: i32) -> ErrorCode {
    let mut request = commit("g", member, epoch, 5);
    request.topics[0].topic_id = topic_id(1);
    driver.error_of(version, Call::OffsetCommit(request))
}

#[test]
fn c9_a_commit_at_an_older_epoch_is_good_for_what_the_member_had_then() {
    let mut driver = driver();
    first(&mut driver);
    assert_eq!(
        commit_at(&mut driver, 8, "a", 2),
        ErrorCode::UnsupportedVersion
    );
    assert_eq!(commit_at(&mut driver, 9, "a", 2), ErrorCode::None);
    assert_eq!(
        commit_at(&mut driver, 9, "a", 3),
        ErrorCode::StaleMemberEpoch
    );
    assert_eq!(
        commit_at(&mut driver, 9, "b", 2),
        ErrorCode::UnknownMemberId
    );
    assert_eq!(
        commit_at(&mut driver, 9, "", -1),
        ErrorCode::UnknownMemberId
    );
    driver.beat(joining("g", "b"));
    driver.beat(owning("g", "a", 2, &[0, 1, 2, 3, 4, 5]));
    driver.beat(owning("g", "a", 2, &[0, 1, 2]));
    driver.beat(alive("g", "b", 3));
    // Partition 0 is a's since epoch 1, and it is at 2 now; b was never given it.
    assert_eq!(commit_at(&mut driver, 9, "a", 2), ErrorCode::None);
    assert_eq!(
        commit_at(&mut driver, 9, "a", 1),
        ErrorCode::StaleMemberEpoch
    );
    assert_eq!(
        commit_at(&mut driver, 9, "b", 2),
        ErrorCode::StaleMemberEpoch
    );
}

#[test]
fn f3_a_member_that_asks_for_offsets_must_be_at_its_epoch() {
    let mut driver = driver();
    first(&mut driver);
    let mut ask = |member: Option<&str>, member_epoch| {
        let group = OffsetFetchRequestGroup {
            group_id: "g".into(),
            member_id: member.map(Str::copy),
            member_epoch,
            topics: None,
        };
        let require_stable = false;
        let call = catchword_coordinator::OffsetFetchCall {
            group,
            require_stable,
        };
        driver.error_of(9, Call::OffsetFetch(call))
    };
    assert_eq!(ask(None, -1), ErrorCode::None);
    assert_eq!(ask(Some("a"), 2), ErrorCode::None);
    assert_eq!(ask(Some("a"), 3), ErrorCode::StaleMemberEpoch);
    assert_eq!(ask(Some("b"), 2), ErrorCode::UnknownMemberId);
}

#[test]
fn d1_d2_offsets_in_use_and_groups_with_members_cannot_be_deleted() {
    let mut driver = driver();
    first(&mut driver);
    commit_at(&mut driver, 9, "a", 2);
    let deleted = driver.error_of(0, offset_delete("g", "t", 0));
    assert_eq!(deleted, ErrorCode::GroupSubscribedToTopic);
    let delete = || Call::DeleteGroup("g".into());
    assert_eq!(driver.error_of(2, delete()), ErrorCode::NonEmptyGroup);
    driver.beat(alive("g", "a", -1));
    assert_eq!(driver.error_of(2, delete()), ErrorCode::None);
    assert_eq!(driver.shard.counts(), (0, 0));
    assert_eq!(
        driver.described("g").error_code,
        ErrorCode::GroupIdNotFound.code()
    );
}

#[test]
fn d4_a_quiet_partition_keeps_its_bookmark_for_the_retention_time_after_the_group_became_empty() {
    let mut driver = driver();
    first(&mut driver);
    commit_at(&mut driver, 9, "a", 2);
    driver.now_ms += 2 * WEEK;
    driver.beat(alive("g", "a", -1));
    driver.restart();
    driver.now_ms += WEEK - DAY;
    driver.expire();
    assert_eq!(driver.committed("g", "t", 0), 5);
    driver.now_ms += DAY;
    driver.expire();
    assert_eq!(driver.committed("g", "t", 0), -1);
    assert_eq!(driver.shard.counts(), (0, 0));
}

#[test]
fn a_restart_of_the_broker_changes_nothing_for_members() {
    let mut driver = driver();
    first(&mut driver);
    driver.beat(joining("g", "b"));
    driver.beat(owning("g", "a", 2, &[0, 1, 2, 3, 4, 5]));
    let before = driver.described("g");
    driver.restart();
    driver.set_topics(1, &[("t", 1, 6)]);
    assert_eq!(driver.described("g"), before);
    assert_eq!(driver.beat(owning("g", "a", 2, &[0, 1, 2])).member_epoch, 3);
    assert_eq!(given(&driver.beat(alive("g", "b", 3))), Some(vec![3, 4, 5]));
    driver.restart();
    driver.tick(46 * SECOND);
    assert_eq!(driver.described("g").group_state, "Empty");
}

#[test]
fn what_kinds_of_groups_there_are_is_told_to_those_who_ask() {
    let mut driver = driver();
    first(&mut driver);
    let list = Call::ListGroups {
        states: vec!["stable".into()],
        types: vec!["Consumer".into()],
    };
    let Reply::ListGroups(groups) = driver.ask(5, list) else {
        panic!("not a list")
    };
    assert_eq!((groups.len(), &*groups[0].group_type), (1, "consumer"));
    assert_eq!(
        driver.error_of(6, Call::DescribeGroup("g".into())),
        ErrorCode::GroupIdNotFound
    );
    assert_eq!(driver.state("g"), "Dead");
}

// Migration.

/// A member of the classic protocol, in a group that has members of the new one.
fn classic_joins(driver: &mut Driver, member: &str) -> i32 {
    let to = driver.join(join("g", member));
    let joined = driver.take_join(to);
    assert_eq!(joined.error_code, 0);
    joined.generation_id
}

/// The partitions that a sync brings; the assignment is that of topic `t`.
fn synced(driver: &mut Driver, member: &str, generation: i32) -> Vec<i32> {
    let Reply::SyncGroup(response) = driver.ask(5, Call::SyncGroup(sync("g", member, generation)))
    else {
        panic!("not the answer to a sync")
    };
    assert_eq!(response.error_code, 0);
    let bytes = &response.assignment;
    let int = |at: usize| i32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    if int(2) == 0 {
        return Vec::new();
    }
    (0..int(9)).map(|n| int(13 + 4 * n as usize)).collect()
}

#[test]
fn g10_a_classic_member_and_one_of_the_new_protocol_share_a_group() {
    let mut driver = driver();
    first(&mut driver);
    let c = driver.new_member("g");
    let generation = classic_joins(&mut driver, &c);
    assert_eq!(generation, 3);
    assert_eq!(synced(&mut driver, &c, generation), Vec::<i32>::new());
    assert_eq!(driver.heartbeat("g", &c, generation), ErrorCode::None);
    driver.beat(owning("g", "a", 2, &[0, 1, 2, 3, 4, 5]));
    driver.beat(owning("g", "a", 2, &[0, 1, 2]));
    // What it waited for is free: it is told to fetch it.
    assert_eq!(
        driver.heartbeat("g", &c, generation),
        ErrorCode::RebalanceInProgress
    );
    assert_eq!(driver.heartbeat("g", &c, 1), ErrorCode::IllegalGeneration);
    let generation = classic_joins(&mut driver, &c);
    assert_eq!(synced(&mut driver, &c, generation), [3, 4, 5]);
    assert_eq!(driver.heartbeat("g", &c, generation), ErrorCode::None);
    assert_eq!(driver.heartbeat("g", "a", 2), ErrorCode::UnknownMemberId);
    assert_eq!(driver.leave("g", &[c]), [ErrorCode::None]);
    assert_eq!(
        given(&driver.beat(alive("g", "a", 3))).map(|p| p.len()),
        Some(6)
    );
}

#[test]
fn g10_the_last_member_of_the_new_protocol_leaves_a_classic_group_behind() {
    let mut driver = driver();
    first(&mut driver);
    let c = driver.new_member("g");
    let generation = classic_joins(&mut driver, &c);
    synced(&mut driver, &c, generation);
    driver.beat(alive("g", "a", -1));
    assert_eq!(
        driver.described("g").error_code,
        ErrorCode::GroupIdNotFound.code()
    );
    assert_eq!(driver.state("g"), "PreparingRebalance");
    driver.restart();
    assert_eq!(driver.state("g"), "Stable");
    assert_eq!(driver.heartbeat("g", &c, generation), ErrorCode::None);
}

#[test]
fn g10_a_classic_group_with_members_becomes_a_consumer_group_and_back_with_its_offsets() {
    let mut driver = driver();
    let members = driver.stable("g", 2);
    assert_eq!(
        driver.commit(commit("g", &members[0], 1, 7)),
        ErrorCode::None
    );
    // The test's leader assigns what is no assignment of Kafka's consumers.
    assert_eq!(
        driver.beat_error(joining("g", "a")),
        ErrorCode::GroupIdNotFound
    );
    let mut driver = self::driver();
    let c = driver.new_member("g");
    let to = driver.join(join("g", &c));
    driver.tick(4 * SECOND);
    assert_eq!(driver.take_join(to).generation_id, 1);
    assert_eq!(driver.call_sync_empty(&c), ErrorCode::None);
    driver.commit(commit("g", &c, 1, 7));
    let a = driver.beat(joining("g", "a"));
    assert_eq!(a.member_epoch, 2);
    assert_eq!(driver.described("g").members.len(), 2);
    assert_eq!(driver.committed("g", "t", 0), 7);
    assert_eq!(driver.heartbeat("g", &c, 1), ErrorCode::RebalanceInProgress);
    let generation = classic_joins(&mut driver, &c);
    assert_eq!(synced(&mut driver, &c, generation).len(), 3);
    driver.restart();
    driver.set_topics(1, &[("t", 1, 6)]);
    driver.tick(9 * SECOND);
    assert_eq!(driver.heartbeat("g", &c, generation), ErrorCode::None);
    driver.beat(alive("g", "a", -1));
    assert_eq!(driver.committed("g", "t", 0), 7);
    assert_eq!(driver.state("g"), "PreparingRebalance");
}

#[test]
fn g10_who_does_not_rejoin_within_its_rebalance_timeout_is_out() {
    let mut driver = driver();
    first(&mut driver);
    let c = driver.new_member("g");
    let generation = classic_joins(&mut driver, &c);
    synced(&mut driver, &c, generation);
    driver.beat(joining("g", "b"));
    let mut epoch = 4;
    for _ in 0..6 {
        assert_eq!(
            driver.heartbeat("g", &c, generation),
            ErrorCode::RebalanceInProgress
        );
        driver.tick(9 * SECOND);
        epoch = driver.beat(alive("g", "b", epoch)).member_epoch;
    }
    driver.heartbeat("g", &c, generation);
    driver.tick(7 * SECOND);
    assert_eq!(
        driver.heartbeat("g", &c, generation),
        ErrorCode::UnknownMemberId
    );
}

#[test]
fn g10_the_policy_says_which_groups_may_change() {
    let with = |migration_policy| {
        let mut config = GroupConfig::default();
        config.consumer.migration_policy = migration_policy;
        with_config(config)
    };
    let mut driver = with(MigrationPolicy::Disabled);
    first(&mut driver);
    let to = driver.join(join("g", ""));
    let refused = driver.take_join(to).error_code;
    assert_eq!(refused, ErrorCode::InconsistentGroupProtocol.code());
    for (policy, may) in [
        (MigrationPolicy::Downgrade, false),
        (MigrationPolicy::Upgrade, true),
    ] {
        let mut driver = with(policy);
        let c = driver.new_member("g");
        driver.join(join("g", &c));
        driver.tick(4 * SECOND);
        driver.call_sync_empty(&c);
        let joined = driver.beat_v(1, joining("g", "a")).error_code == 0;
        assert_eq!(joined, may, "{policy:?}");
        if may {
            driver.beat(alive("g", "a", -1));
            assert_eq!(
                driver.described("g").error_code,
                0,
                "it stays a consumer group"
            );
        }
    }
}

#[test]
fn g10_empty_groups_take_the_kind_of_whoever_joins_and_keep_their_offsets() {
    let mut driver = driver();
    assert_eq!(driver.commit(commit("g", "", -1, 7)), ErrorCode::None);
    first(&mut driver);
    driver.beat(alive("g", "a", -1));
    assert_eq!(driver.described("g").group_state, "Empty");
    let members = driver.stable("g", 1);
    assert_eq!(driver.state("g"), "Stable");
    assert_eq!(driver.committed("g", "t", 0), 7);
    driver.leave("g", &members);
    driver.tick(60 * SECOND);
    assert_eq!(driver.state("g"), "Empty");
    first(&mut driver);
    assert_eq!(driver.committed("g", "t", 0), 7);
}

impl Driver {
    /// The only member of a classic group syncs, and assigns nothing.
    fn call_sync_empty(&mut self, member: &str) -> ErrorCode {
        self.error_of(5, Call::SyncGroup(sync("g", member, 1)))
    }
}
