//! Bookmarks are moved under members that are reading: they are sent away, rejoin, and go on from there; whatever they
//! still wanted to commit is refused.

use catchword_coordinator::ledger::Place;
use catchword_coordinator::record::headers::Cause;
use catchword_coordinator::{BookmarkMove, Call, MoveOffsets, Moved, Output, Reply};
use catchword_wire::{ErrorCode, Str, Uuid};

use crate::consumers::{alive, driver, joining, owning};
use crate::driver::{Driver, SECOND, commit, heartbeat, join, replay, static_join};

/// Puts topic `t`, partition 0, of group `g` there.
fn put(driver: &mut Driver, offset: i64, live: bool) -> Moved {
    let place = Place {
        offset,
        leader_epoch: -1,
        metadata: Str::EMPTY,
        topic_id: Uuid::ZERO,
    };
    let call = MoveOffsets {
        group_id: "g".into(),
        cause: Cause::Reset,
        of: None,
        live,
        moves: vec![BookmarkMove {
            topic: "t".into(),
            partition: 0,
            expected: Some(5),
            then: Some(place),
        }],
    };
    match driver.ask(0, Call::MoveOffsets(call)) {
        Reply::MoveOffsets(moved) => moved,
        other => panic!("{other:?}"),
    }
}

fn kick(driver: &mut Driver, member: &str) -> ErrorCode {
    let call = Call::Kick {
        group_id: "g".into(),
        member: Str::copy(member),
    };
    match driver.ask(0, call) {
        Reply::Kick(error) => error,
        other => panic!("{other:?}"),
    }
}

/// A classic group of two members of generation 1, which have committed 5 and then 6.
fn reading() -> (Driver, Vec<Str>) {
    let mut driver = Driver::new();
    let members = driver.stable("g", 2);
    for offset in [5, 6] {
        let error = driver.commit(commit("g", &members[0], 1, offset));
        assert_eq!(error, ErrorCode::None);
    }
    (driver, members)
}

#[test]
fn without_being_told_so_a_group_that_is_read_stays_where_it_is() {
    let (mut driver, members) = reading();
    let refused = Moved::Refused(ErrorCode::NonEmptyGroup);
    assert_eq!(put(&mut driver, 2, false), refused);
    assert_eq!(driver.committed("g", "t", 0), 6);
    assert_eq!(driver.heartbeat("g", &members[0], 1), ErrorCode::None);
}

#[test]
fn members_are_moved_between_two_generations_and_stale_commits_are_refused() {
    let (mut driver, members) = reading();
    assert_eq!(put(&mut driver, 2, true), Moved::Done);
    assert_eq!(driver.committed("g", "t", 0), 2);
    for member in &members {
        // Not REBALANCE_IN_PROGRESS: a cooperative member would keep its position.
        let heard = driver.heartbeat("g", member, 1);
        assert_eq!(heard, ErrorCode::UnknownMemberId);
        let late = driver.commit(commit("g", member, 1, 7));
        assert_eq!(late, ErrorCode::UnknownMemberId);
    }
    // As librdkafka commits once it has lost its generation.
    for nameless in [commit("g", "", -1, 7), commit("g", &members[0], -1, 7)] {
        assert_eq!(driver.commit(nameless), ErrorCode::RebalanceInProgress);
    }
    assert_eq!(driver.committed("g", "t", 0), 2);

    let again = driver.new_member("g");
    let to = driver.join(join("g", &again));
    driver.tick(4 * SECOND);
    let joined = driver.take_join(to);
    assert!(joined.generation_id > 1, "{joined:?}");
    driver.sync_all("g", std::slice::from_ref(&again), joined.generation_id);
    assert_eq!(driver.committed("g", "t", 0), 2, "it goes on from there");
    let error = driver.commit(commit("g", &again, joined.generation_id, 3));
    assert_eq!(error, ErrorCode::None);
}

/// A broker that was killed after the move knows no member ids any more, so only the nameless could still come late.
#[test]
fn a_restart_does_not_let_in_who_was_sent_away_before_it() {
    let (mut driver, _) = reading();
    assert_eq!(put(&mut driver, 2, true), Moved::Done);
    driver.tick(SECOND);
    // From the log, and from a snapshot that was made of it.
    for from_snapshot in [false, true] {
        driver.shard = replay(&driver.config, &driver.log);
        if from_snapshot {
            let records = driver.shard.snapshot_records().into_iter();
            let snapshot: Vec<_> = records.map(|record| (driver.now_ms, record)).collect();
            driver.shard = replay(&driver.config, &snapshot);
        }
        driver.shard.loaded(driver.now_ms, &mut Output::default());
        let late = driver.commit(commit("g", "", -1, 7));
        assert_eq!(late, ErrorCode::RebalanceInProgress, "{from_snapshot}");
    }
    assert_eq!(driver.committed("g", "t", 0), 2);
    driver.now_ms += 60 * SECOND;
    assert_eq!(driver.commit(commit("g", "", -1, 9)), ErrorCode::None);
}

#[test]
fn if_nobody_comes_back_the_group_is_anybodys_again() {
    let (mut driver, _) = reading();
    put(&mut driver, 2, true);
    // Their rebalance timeout.
    driver.tick(59 * SECOND);
    let error = driver.commit(commit("g", "", -1, 9));
    assert_eq!(error, ErrorCode::RebalanceInProgress);
    driver.tick(2 * SECOND);
    assert_eq!(driver.commit(commit("g", "", -1, 9)), ErrorCode::None);
}

#[test]
fn who_waits_in_a_rebalance_is_answered_and_sent_away_as_well() {
    let (mut driver, members) = reading();
    let waiting = driver.join(join("g", &members[0]));
    assert_eq!(driver.state("g"), "PreparingRebalance");
    assert_eq!(put(&mut driver, 2, true), Moved::Done);
    let answer = driver.take_join(waiting);
    assert_eq!(answer.error_code, ErrorCode::UnknownMemberId.code());
    assert_eq!(driver.state("g"), "Empty");
    assert_eq!(driver.committed("g", "t", 0), 2);
}

#[test]
fn a_static_member_is_not_told_that_another_took_its_name() {
    let mut driver = Driver::new();
    let to = driver.join(static_join("g", "i", ""));
    driver.tick(4 * SECOND);
    let id = driver.take_join(to).member_id;
    driver.sync_all("g", std::slice::from_ref(&id), 1);
    driver.commit(commit("g", &id, 1, 5));
    assert_eq!(put(&mut driver, 2, true), Moved::Done);
    let mut beat = heartbeat("g", &id, 1);
    beat.group_instance_id = Some("i".into());
    let heard = driver.error_of(4, Call::Heartbeat(beat));
    assert_eq!(heard, ErrorCode::UnknownMemberId, "FENCED would be fatal");
    let to = driver.join(static_join("g", "i", ""));
    driver.tick(4 * SECOND);
    assert_eq!(driver.take_join(to).error_code, 0);
}

#[test]
fn a_crash_anywhere_leaves_no_member_behind_that_reads_on_from_elsewhere() {
    let (mut driver, members) = reading();
    let before = driver.log.len();
    put(&mut driver, 2, true);
    assert!(driver.log.len() >= before + 2, "the group and the bookmark");
    for end in before..=driver.log.len() {
        let mut cut = Driver::new();
        cut.log = driver.log[..end].to_vec();
        cut.restart();
        let is_known = cut.heartbeat("g", &members[0], 1) == ErrorCode::None;
        let is_moved = cut.committed("g", "t", 0) == 2;
        assert!(!(is_known && is_moved), "after {end} records");
        assert!(is_moved || end < driver.log.len(), "all is written");
    }
    replay(&driver.config, &driver.log);
}

#[test]
fn who_rejoins_with_the_partitions_it_had_has_to_give_them_up_first() {
    let (mut driver, members) = reading();
    put(&mut driver, 2, true);
    let mut claiming = join("g", "");
    let mut said = claiming.protocols[0].metadata.to_vec();
    // The count of topics that it owns partitions of is what it ends with.
    said.truncate(said.len() - 4);
    said.extend_from_slice(b"\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\0");
    claiming.protocols[0].metadata = said.into();
    // Its old id is nobody's; franz-go joins once more without.
    let to = driver.join(join("g", &members[0]));
    let answer = driver.take_join(to);
    assert_eq!(answer.error_code, ErrorCode::UnknownMemberId.code());
    let to = driver.join(claiming.clone());
    let answer = driver.take_join(to);
    assert_eq!(answer.error_code, ErrorCode::IllegalGeneration.code());
    driver.new_member("g");
    // Kafka takes such a join, and so do we at any other time.
    driver.tick(61 * SECOND);
    let to = driver.join(claiming);
    let answer = driver.take_join(to);
    assert_eq!(answer.error_code, ErrorCode::MemberIdRequired.code());
}

#[test]
fn members_of_the_consumer_protocol_are_fenced_and_rejoin() {
    let mut driver = driver();
    let all = [0, 1, 2, 3, 4, 5];
    let epoch = driver.beat(joining("g", "a")).member_epoch;
    driver.beat(owning("g", "a", epoch, &all));
    driver.commit(commit("g", "a", epoch, 5));
    assert_eq!(put(&mut driver, 2, true), Moved::Done);
    let heard = driver.error_of(1, Call::ConsumerGroupHeartbeat(alive("g", "a", epoch)));
    assert_eq!(heard, ErrorCode::UnknownMemberId);
    let late = driver.commit(commit("g", "a", epoch, 7));
    assert_eq!(late, ErrorCode::UnknownMemberId);
    let nameless = driver.commit(commit("g", "", -1, 7));
    assert_eq!(nameless, ErrorCode::RebalanceInProgress);
    // Back under the id that it chose itself: what it read in its life before is still stale.
    let back = driver.beat(joining("g", "a")).member_epoch;
    assert!(back > epoch);
    let late = driver.commit(commit("g", "a", epoch, 7));
    assert_eq!(late, ErrorCode::StaleMemberEpoch);
    assert_eq!(driver.committed("g", "t", 0), 2);
    assert_eq!(driver.commit(commit("g", "a", back, 3)), ErrorCode::None);
}

#[test]
fn one_member_is_sent_away_and_the_others_share_what_it_had() {
    let (mut driver, members) = reading();
    assert_eq!(kick(&mut driver, "nobody"), ErrorCode::UnknownMemberId);
    assert_eq!(kick(&mut driver, &members[1]), ErrorCode::None);
    let heard = driver.heartbeat("g", &members[1], 1);
    assert_eq!(heard, ErrorCode::UnknownMemberId);
    let heard = driver.heartbeat("g", &members[0], 1);
    assert_eq!(heard, ErrorCode::RebalanceInProgress);
    let mut driver = crate::consumers::driver();
    let epoch = driver.beat(joining("g", "a")).member_epoch;
    assert_eq!(kick(&mut driver, "a"), ErrorCode::None);
    let heard = driver.error_of(1, Call::ConsumerGroupHeartbeat(alive("g", "a", epoch)));
    assert_eq!(heard, ErrorCode::UnknownMemberId);
}
