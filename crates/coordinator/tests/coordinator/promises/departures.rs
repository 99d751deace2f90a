//! A member that is gone is told of, with what it had and where the bookmarks are that it leaves behind; and who is there is
//! told with what each has.

use bytes::Bytes;
use catchword_coordinator::{Call, Effect, Leaving, LeftAt, Noticed, Reply, Roster};
use catchword_wire::messages::ConsumerGroupHeartbeatRequest;
use catchword_wire::{Str, Uuid};

use crate::consumers::{alive, driver, joining, topic_id};
use crate::driver::{Driver, SECOND, commit, join, sync};

/// What the leader of a classic group gives a member: these partitions of topic `t`.
fn assignment(partitions: &[i32]) -> Bytes {
    let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, 1, b't'];
    bytes.extend_from_slice(&(partitions.len() as i32).to_be_bytes());
    for partition in partitions {
        bytes.extend_from_slice(&partition.to_be_bytes());
    }
    bytes.extend_from_slice(&(-1i32).to_be_bytes());
    Bytes::from(bytes)
}

/// A classic group of one member, which has partitions 0 and 1 of topic `t` and has committed 5 in the first.
fn classic() -> (Driver, Str) {
    let mut driver = driver();
    let member = driver.new_member("g");
    let joined = driver.join(join("g", &member));
    driver.tick(i64::from(driver.config.group_initial_rebalance_delay_ms) * 4);
    assert_eq!(driver.take_join(joined).error_code, 0);
    let mut request = sync("g", &member, 1);
    request.assignments = crate::driver::assignments(std::slice::from_ref(&member));
    request.assignments[0].assignment = assignment(&[0, 1]);
    driver.call(5, Call::SyncGroup(request));
    driver.commit(commit("g", &member, 1, 5));
    (driver, member)
}

/// The same of the new protocol, where one member has all six partitions.
fn consumer() -> Driver {
    let mut driver = driver();
    driver.ask(1, Call::ConsumerGroupHeartbeat(joining("g", "a")));
    driver.commit(commit("g", "a", 2, 5));
    driver
}

fn left_at(partition: i32, committed: Option<i64>) -> LeftAt {
    LeftAt {
        topic: "t".into(),
        topic_id: topic_id(1),
        partition,
        committed,
        handed: None,
    }
}

fn told(driver: &Driver) -> Vec<(Str, Noticed)> {
    let effects = driver.all_effects.iter();
    let notices = effects.filter_map(|effect| match effect {
        Effect::Notice(notice) => Some((notice.member_id.clone(), notice.what.clone())),
        _ => None,
    });
    notices.collect()
}

fn gone(how: Leaving, partitions: i32) -> Noticed {
    let places = (0..partitions).map(|p| left_at(p, (p == 0).then_some(5)));
    Noticed::Gone {
        how,
        places: places.collect(),
    }
}

fn roster(driver: &mut Driver) -> Roster {
    match driver.look(Call::Roster("g".into())) {
        Reply::Roster(Some(roster)) => *roster,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_member_that_leaves_or_dies_or_is_sent_away_is_told_with_the_bookmarks_it_leaves() {
    let (mut driver, member) = classic();
    driver.leave("g", std::slice::from_ref(&member));
    assert_eq!(told(&driver), [(member, gone(Leaving::Left, 2))]);

    let (mut driver, member) = classic();
    driver.tick(11 * SECOND);
    assert_eq!(told(&driver), [(member, gone(Leaving::TimedOut, 2))]);

    let (mut driver, member) = classic();
    let kick = Call::Kick {
        group_id: "g".into(),
        member: member.clone(),
    };
    driver.ask(0, kick);
    assert_eq!(told(&driver), [(member, gone(Leaving::SentAway, 2))]);
}

#[test]
fn so_is_a_member_of_the_new_protocol_but_not_a_static_one_that_comes_back() {
    let leave = |epoch| ConsumerGroupHeartbeatRequest {
        member_epoch: epoch,
        ..alive("g", "a", epoch)
    };
    let mut driver = consumer();
    driver.ask(1, Call::ConsumerGroupHeartbeat(leave(-1)));
    assert_eq!(told(&driver), [("a".into(), gone(Leaving::Left, 6))]);

    let mut driver = consumer();
    driver.tick(60 * SECOND);
    assert_eq!(told(&driver), [("a".into(), gone(Leaving::TimedOut, 6))]);

    let mut driver = crate::consumers::driver();
    let named = |request| ConsumerGroupHeartbeatRequest {
        instance_id: Some("desk".into()),
        ..request
    };
    driver.ask(1, Call::ConsumerGroupHeartbeat(named(joining("g", "a"))));
    driver.ask(1, Call::ConsumerGroupHeartbeat(named(leave(-2))));
    assert_eq!(told(&driver), []);
}

#[test]
fn who_never_had_anything_leaves_nothing_behind() {
    let mut driver = driver();
    driver.new_member("g");
    driver.tick(60 * SECOND);
    assert_eq!(told(&driver), []);
}

#[test]
fn who_is_there_is_told_with_what_each_has() {
    let (mut driver, member) = classic();
    let found = roster(&mut driver);
    assert_eq!(
        (&*found.state, &*found.kind, &*found.protocol_type),
        ("Stable", "classic", "consumer")
    );
    assert_eq!(found.members[0].id, member);
    assert_eq!(
        (&*found.members[0].client_id, &*found.members[0].client_host),
        ("client", "/127.0.0.1")
    );
    assert_eq!(
        found.members[0].partitions,
        [("t".into(), 0), ("t".into(), 1)]
    );

    let mut driver = consumer();
    let found = roster(&mut driver);
    assert_eq!((&*found.kind, found.members.len()), ("consumer", 1));
    let all: Vec<(Str, i32)> = (0..6).map(|partition| ("t".into(), partition)).collect();
    assert_eq!(found.members[0].partitions, all);

    assert_eq!(
        driver.look(Call::Roster("nobody".into())),
        Reply::Roster(None)
    );
}

#[test]
fn a_bookmark_in_another_edition_of_the_topic_is_not_what_the_member_left() {
    let (mut driver, member) = classic();
    driver.set_topics(2, &[("t", 9, 6)]);
    let mut elsewhere = commit("g", &member, 1, 7);
    elsewhere.topics[0].topic_id = topic_id(1);
    driver.commit(elsewhere);
    driver.leave("g", std::slice::from_ref(&member));
    let (_, Noticed::Gone { places, .. }) = &told(&driver)[0] else {
        panic!("{:?}", told(&driver));
    };
    assert_eq!(
        (places[0].topic_id, places[0].committed),
        (Uuid([9; 16]), None)
    );
}
