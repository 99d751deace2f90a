//! What a streams group promises its members, and those who look at it.

use catchword_coordinator::ledger::Place;
use catchword_coordinator::record::headers::Cause;
use catchword_coordinator::{BookmarkMove, GroupSettings, MoveOffsets, Moved, StreamsSettings};
use catchword_wire::Uuid;
use catchword_wire::messages::streams_group_heartbeat_request::Endpoint;
use catchword_wire::messages::{OffsetCommitRequest, offset_fetch_request};

use super::*;
use crate::consumers;
use crate::driver::{commit, commit_topic, join};

/// The member joins; its epoch and what it has.
fn joined(driver: &mut Driver, member: &str) -> (i32, Held) {
    let response = driver.hears(joining(member));
    (response.member_epoch, given(&response).unwrap())
}

#[test]
fn a_second_member_is_given_tasks_only_when_the_first_has_given_them_up() {
    let mut driver = driver();
    let (epoch, all) = joined(&mut driver, "a1");
    let (second, none) = joined(&mut driver, "b1");
    assert_eq!(none, Held::default());
    // The first learns what it is to give up, and goes on in its epoch until it says that it did.
    let told = driver.hears(alive("a1", epoch));
    let kept = given(&told).unwrap();
    assert_eq!((told.member_epoch, kept.active.len()), (epoch, 3));
    let again = driver.hears(owning("a1", epoch, &all));
    assert_eq!(
        (again.member_epoch, given(&again)),
        (epoch, Some(kept.clone()))
    );
    assert_eq!(given(&driver.hears(alive("b1", second))), None);
    assert_eq!(driver.described_app().group_state, "Reconciling");
    let after = driver.hears(owning("a1", epoch, &kept));
    assert_eq!(after.member_epoch, second);
    let rest = given(&driver.hears(alive("b1", second))).unwrap();
    assert!(rest.active.is_disjoint(&kept.active));
    assert_eq!(rest.active.len() + kept.active.len(), all.active.len());
    assert_eq!(driver.described_app().group_state, "Stable");
}

#[test]
fn an_answer_that_was_lost_is_given_again_to_who_does_not_have_what_it_said() {
    let mut driver = driver();
    let (epoch, _) = joined(&mut driver, "a1");
    let (_, _) = joined(&mut driver, "b1");
    let kept = given(&driver.hears(alive("a1", epoch))).unwrap();
    driver.hears(owning("a1", epoch, &kept));
    driver.hears(alive("b1", -1));
    // All is the first one's again: twice it does not hear of it.
    let current = driver.hears(alive("a1", epoch + 1)).member_epoch;
    for epoch in [epoch + 1, current] {
        let told = driver.hears(owning("a1", epoch, &kept));
        assert_eq!(given(&told).unwrap().active.len(), 6);
    }
    let settled = given(&driver.hears(alive("a1", current)));
    assert_eq!(settled, None);
}

/// What an administrator may do to members: see `promises/live.rs` for the other kinds of groups.
#[test]
fn members_are_sent_away_one_by_one_or_all_while_their_offsets_move() {
    let mut driver = driver();
    let (epoch, _) = joined(&mut driver, "a1");
    let kick = |driver: &mut Driver, member: &str| {
        let (group_id, member) = ("app".into(), Str::copy(member));
        match driver.ask(0, Call::Kick { group_id, member }) {
            Reply::Kick(error) => error,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(kick(&mut driver, "z1"), ErrorCode::UnknownMemberId);
    assert_eq!(kick(&mut driver, "a1"), ErrorCode::None);
    assert_eq!(
        driver.refused(alive("a1", epoch)),
        ErrorCode::UnknownMemberId
    );
    let (epoch, all) = joined(&mut driver, "a1");
    assert_eq!(all.active.len(), 6, "it may come back at once");
    let place = Place {
        offset: 5,
        leader_epoch: -1,
        metadata: Str::EMPTY,
        topic_id: Uuid::ZERO,
    };
    let call = MoveOffsets {
        group_id: "app".into(),
        cause: Cause::Restore,
        of: None,
        live: true,
        moves: vec![BookmarkMove {
            topic: "in".into(),
            partition: 0,
            expected: None,
            then: Some(place),
        }],
    };
    let moved = driver.ask(0, Call::MoveOffsets(call));
    assert_eq!(moved, Reply::MoveOffsets(Moved::Done));
    assert_eq!(
        driver.refused(alive("a1", epoch)),
        ErrorCode::UnknownMemberId
    );
    assert_eq!(driver.committed("app", "in", 0), 5);
    assert_eq!(driver.described_app().group_state, "Empty");
}

fn settings(streams: StreamsSettings) -> Option<GroupSettings> {
    Some(GroupSettings {
        streams,
        ..config().consumer.defaults
    })
}

#[test]
fn copies_of_state_are_kept_in_other_processes_as_many_as_the_group_is_set_to() {
    let mut driver = driver();
    let one = StreamsSettings {
        num_standby_replicas: 1,
        ..config().consumer.defaults.streams
    };
    let (a, held) = joined(&mut driver, "a1");
    assert_eq!(held.standby, Names::new());
    // A setting that changes begins a new epoch.
    driver.shard.set_group_settings("app", settings(one));
    let (b, _) = joined(&mut driver, "b1");
    let a = driver.hears(alive("a1", a)).member_epoch;
    let mut world = [("a1", a), ("b1", b)].map(|(id, epoch)| (id, epoch, Held::default()));
    world[0].2 = held;
    for _ in 0..6 {
        for (id, epoch, held) in &mut world {
            let response = driver.hears(owning(id, *epoch, held));
            *epoch = response.member_epoch;
            *held = given(&response).unwrap_or(held.clone());
        }
    }
    let [(_, _, a), (_, _, b)] = world;
    let stateful = names(&["1_0", "1_1", "1_2"]);
    assert_eq!(&a.standby | &b.standby, stateful);
    assert!(a.standby.is_disjoint(&a.active) && b.standby.is_disjoint(&b.active));
}

#[test]
fn a_new_group_waits_for_more_members_and_says_so() {
    let mut driver = Driver::with(GroupConfig::default());
    driver.set_topics(1, &TOPICS);
    let first = driver.hears(joining("a1"));
    assert_eq!(statuses(&first), [ASSIGNMENT_DELAYED]);
    assert!(first.member_epoch > 0);
    let second = driver.hears(joining("b1"));
    driver.tick(3000);
    let first = given(&driver.hears(alive("a1", first.member_epoch))).unwrap();
    let second = given(&driver.hears(alive("b1", second.member_epoch))).unwrap();
    assert_eq!((first.active.len(), second.active.len()), (3, 3));
}

#[test]
fn a_heartbeat_that_says_nothing_new_keeps_its_member_and_hears_what_is_new() {
    let mut driver = driver();
    let (epoch, _) = joined(&mut driver, "a1");
    for _ in 0..10 {
        driver.tick(20_000);
        let response = driver.hears(alive("a1", epoch));
        assert_eq!((response.member_epoch, given(&response)), (epoch, None));
    }
    let one = StreamsSettings {
        num_standby_replicas: 1,
        ..config().consumer.defaults.streams
    };
    driver.shard.set_group_settings("app", settings(one));
    let response = driver.hears(alive("a1", epoch));
    assert_eq!(response.member_epoch, epoch + 1);
    driver.set_topics(2, &[]);
    let response = driver.hears(alive("a1", epoch + 1));
    assert_eq!(statuses(&response), [MISSING_SOURCE_TOPICS]);
}

#[test]
fn an_older_topology_is_told_and_another_is_refused() {
    let mut driver = driver();
    let with = |epoch, topic: &'static str| {
        let mut topology = topology();
        topology.epoch = epoch;
        topology.subtopologies[0].source_topics = vec![topic.into()];
        Some(topology)
    };
    let newer = StreamsGroupHeartbeatRequest {
        topology: with(2, "in"),
        ..joining("a1")
    };
    assert_eq!(statuses(&driver.hears(newer)), []);
    let older = StreamsGroupHeartbeatRequest {
        topology: with(1, "elsewhere"),
        ..joining("b1")
    };
    assert_eq!(statuses(&driver.hears(older)), [STALE_TOPOLOGY]);
    for topology in [with(2, "elsewhere"), with(3, "in")] {
        let other = StreamsGroupHeartbeatRequest {
            topology,
            ..joining("c1")
        };
        assert_eq!(driver.refused(other), ErrorCode::InvalidRequest);
    }
}

#[test]
fn a_member_that_asks_for_it_ends_the_application_and_the_next_life_is_free_of_it() {
    let mut driver = driver();
    let (a, _) = joined(&mut driver, "a1");
    let (b, _) = joined(&mut driver, "b1");
    driver.hears(StreamsGroupHeartbeatRequest {
        shutdown_application: true,
        ..alive("a1", a)
    });
    assert_eq!(
        statuses(&driver.hears(alive("b1", b))),
        [SHUTDOWN_APPLICATION]
    );
    driver.hears(alive("a1", -1));
    assert_eq!(
        statuses(&driver.hears(alive("b1", b))),
        [SHUTDOWN_APPLICATION]
    );
    driver.hears(alive("b1", -1));
    assert_eq!(statuses(&driver.hears(joining("c1"))), []);
}

#[test]
fn only_the_epoch_that_the_coordinator_knows_will_do() {
    let mut driver = driver();
    assert_eq!(driver.refused(alive("a1", 1)), ErrorCode::GroupIdNotFound);
    let (epoch, held) = joined(&mut driver, "a1");
    assert_eq!(
        driver.refused(alive("b1", epoch)),
        ErrorCode::UnknownMemberId
    );
    assert_eq!(driver.refused(alive("b1", -1)), ErrorCode::UnknownMemberId);
    assert_eq!(
        driver.refused(alive("a1", epoch + 1)),
        ErrorCode::FencedMemberEpoch
    );
    // An answer was lost: who has nothing that it should not have may come with the epoch before.
    assert_eq!(driver.refused(alive("a1", 0)), ErrorCode::InvalidRequest);
    joined(&mut driver, "b1");
    let kept = given(&driver.hears(alive("a1", epoch))).unwrap();
    let next = driver.hears(owning("a1", epoch, &kept)).member_epoch;
    assert!(next > epoch);
    assert_eq!(driver.hears(owning("a1", epoch, &kept)).member_epoch, next);
    assert_eq!(
        driver.refused(owning("a1", epoch, &held)),
        ErrorCode::FencedMemberEpoch
    );
    assert_eq!(
        driver.refused(alive("a1", epoch)),
        ErrorCode::FencedMemberEpoch
    );
    // Nobody has a task that is not there.
    let nowhere = Held {
        active: names(&["7_0"]),
        ..Held::default()
    };
    assert_eq!(
        driver.refused(owning("a1", next, &nowhere)),
        ErrorCode::InvalidRequest
    );
}

#[test]
fn who_is_silent_or_does_not_give_up_is_out_also_after_a_restart() {
    for restart in [false, true] {
        let mut driver = driver();
        let (a, _) = joined(&mut driver, "a1");
        let (mut b, _) = joined(&mut driver, "b1");
        driver.hears(alive("a1", a));
        if restart {
            driver.restart();
            driver.set_topics(1, &TOPICS);
        }
        for _ in 0..7 {
            driver.tick(10_000);
            b = driver.hears(alive("b1", b)).member_epoch;
            // It heartbeats, but does not say what it has.
            driver.refused(alive("a1", a));
        }
        assert_eq!(driver.refused(alive("a1", a)), ErrorCode::UnknownMemberId);
        driver.hears(alive("b1", b));
        let all = driver.described_app().members[0]
            .assignment
            .active_tasks
            .len();
        assert_eq!(all, 2, "the other has both subtopologies");
        driver.tick(60_000);
        assert_eq!(driver.described_app().group_state, "Empty");
    }
}

#[test]
fn offsets_are_committed_at_the_members_epoch_or_at_one_at_which_it_had_the_task() {
    let mut driver = driver();
    let (old, _) = joined(&mut driver, "a1");
    let (new, _) = joined(&mut driver, "b1");
    let kept = given(&driver.hears(alive("a1", old))).unwrap();
    driver.hears(owning("a1", old, &kept));
    let own = kept
        .active
        .iter()
        .find(|name| name.starts_with("0_"))
        .unwrap();
    let own: i32 = own[2..].parse().unwrap();
    let others = (0..3)
        .find(|p| !kept.active.contains(&format!("0_{p}")))
        .unwrap();
    let mut committed = |member: &'static str, epoch, topic: &'static str, partition| {
        driver.commit(OffsetCommitRequest {
            topics: vec![commit_topic(topic, &[(partition, 7)])],
            ..commit("app", member, epoch, 0)
        })
    };
    assert_eq!(committed("a1", new, "in", own), ErrorCode::None);
    assert_eq!(committed("a1", old, "in", own), ErrorCode::None);
    assert_eq!(
        committed("a1", old, "in", others),
        ErrorCode::StaleMemberEpoch
    );
    assert_eq!(
        committed("a1", new + 1, "in", own),
        ErrorCode::StaleMemberEpoch
    );
    assert_eq!(
        committed("a1", old, "elsewhere", 0),
        ErrorCode::StaleMemberEpoch
    );
    assert_eq!(committed("x", new, "in", own), ErrorCode::UnknownMemberId);
    assert_eq!(committed("", -1, "in", own), ErrorCode::UnknownMemberId);
    let mut fetch = |member: &'static str, member_epoch| {
        let group = offset_fetch_request::OffsetFetchRequestGroup {
            group_id: "app".into(),
            member_id: Some(member.into()),
            member_epoch,
            ..Default::default()
        };
        let call = catchword_coordinator::OffsetFetchCall {
            group,
            require_stable: false,
        };
        driver.error_of(9, Call::OffsetFetch(call))
    };
    assert_eq!(fetch("a1", new), ErrorCode::None);
    assert_eq!(fetch("a1", old), ErrorCode::StaleMemberEpoch);
    assert_eq!(fetch("x", new), ErrorCode::UnknownMemberId);
}

#[test]
fn an_empty_group_may_change_its_kind_and_one_with_members_may_not() {
    let mut driver = driver();
    let classic = driver.new_member("app");
    driver.join(join("app", &classic));
    driver.tick(10_000);
    assert_eq!(driver.refused(joining("a1")), ErrorCode::GroupIdNotFound);
    driver.leave("app", &[classic]);
    joined(&mut driver, "a1");
    let consumer = Call::ConsumerGroupHeartbeat(consumers::joining("app", "c"));
    assert_eq!(driver.error_of(1, consumer), ErrorCode::GroupIdNotFound);
    let to = driver.join(join("app", ""));
    assert_eq!(
        driver.take_join(to).error_code,
        ErrorCode::InconsistentGroupProtocol.code()
    );
    assert_eq!(
        driver.error_of(2, Call::DeleteGroup("app".into())),
        ErrorCode::NonEmptyGroup
    );
    driver.hears(alive("a1", -1));
    let to = driver.join(join("app", ""));
    assert_eq!(
        driver.take_join(to).error_code,
        ErrorCode::MemberIdRequired.code()
    );
    // Deleted, nothing is left of either.
    driver.hears(joining("b1"));
    driver.hears(alive("b1", -1));
    assert_eq!(
        driver.error_of(2, Call::DeleteGroup("app".into())),
        ErrorCode::None
    );
    assert!(driver.shard.dump_records().is_empty());
}

#[test]
fn the_group_is_listed_and_described_as_what_it_is() {
    let mut driver = driver();
    let (_, held) = joined(&mut driver, "a1");
    let Reply::ListGroups(groups) = driver.ask(
        5,
        Call::ListGroups {
            states: vec![],
            types: vec!["STREAMS".into()],
        },
    ) else {
        panic!("not a list");
    };
    assert_eq!(
        (&*groups[0].group_type, &*groups[0].group_state),
        ("streams", "Stable")
    );
    let described = driver.described_app();
    let member = &described.members[0];
    assert_eq!((&*member.process_id, &*member.client_id), ("a", "client"));
    assert_eq!(member.assignment, member.target_assignment);
    let tasks = member
        .assignment
        .active_tasks
        .iter()
        .map(|t| t.partitions.len());
    assert_eq!(tasks.sum::<usize>(), held.active.len());
    let topology = described.topology.unwrap().subtopologies.unwrap();
    assert_eq!(topology[1].state_changelog_topics[0].partitions, 3);
}

#[test]
fn queries_find_the_member_that_has_the_partition() {
    let mut driver = driver();
    let first = driver.hears(StreamsGroupHeartbeatRequest {
        user_endpoint: Some(Endpoint {
            host: "here".into(),
            port: 80,
        }),
        endpoint_information_epoch: -1,
        ..joining("a1")
    });
    let told = &first.partitions_by_user_endpoint.as_ref().unwrap()[0];
    assert_eq!(
        (&*told.user_endpoint.host, told.user_endpoint.port),
        ("here", 80)
    );
    let topics: Vec<&str> = told.active_partitions.iter().map(|t| &*t.topic).collect();
    assert_eq!(topics, ["by-word", "in"]);
    // Who knows it already is not told again.
    let again = driver.hears(StreamsGroupHeartbeatRequest {
        endpoint_information_epoch: first.endpoint_information_epoch,
        ..alive("a1", first.member_epoch)
    });
    assert_eq!(again.partitions_by_user_endpoint, None);
}
