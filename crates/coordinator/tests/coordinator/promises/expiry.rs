//! Expiry of offsets and of groups that nothing is left of.

use std::sync::Arc;

use catchword_coordinator::{
    BookmarkNow, Call, GroupNow, Pins, Reply, Retention, RetentionRule, RetentionRules, SurveyCall,
};
use catchword_wire::{ErrorCode, Str};

use crate::driver::*;

fn expire_after(driver: &mut Driver, ms: i64) {
    driver.now_ms += ms;
    driver.timers.clear();
    driver.expire();
}

#[test]
fn d3_an_offset_expires_at_the_retention_time_and_not_before() {
    let mut driver = Driver::new();
    driver.commit(commit("g", "", -1, 5));
    expire_after(&mut driver, WEEK - 1);
    assert_eq!(driver.committed("g", "t", 0), 5);
    expire_after(&mut driver, 1);
    assert_eq!(driver.committed("g", "t", 0), -1);
}

#[test]
fn d3_an_offset_with_its_own_retention_expires_by_it() {
    let mut driver = Driver::new();
    for (retention_ms, partition) in [(DAY, 0), (2 * WEEK, 1)] {
        let mut request = commit("g", "", -1, 5);
        request.retention_time_ms = retention_ms;
        request.topics = vec![commit_topic("t", &[(partition, 5)])];
        driver.commit(request);
    }
    expire_after(&mut driver, DAY);
    assert_eq!(
        (driver.committed("g", "t", 0), driver.committed("g", "t", 1)),
        (-1, 5)
    );
    expire_after(&mut driver, WEEK);
    assert_eq!(driver.committed("g", "t", 1), 5);
    expire_after(&mut driver, WEEK);
    assert_eq!(driver.committed("g", "t", 1), -1);
}

#[test]
fn d4_the_clock_of_a_group_without_members_starts_when_it_became_empty() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    driver.commit(commit("g", &members[0], 1, 5));
    // A quiet partition: read for a month without a new commit.
    expire_after(&mut driver, 30 * DAY);
    assert_eq!(driver.committed("g", "t", 0), 5);
    driver.leave("g", &members);
    expire_after(&mut driver, WEEK - 1);
    assert_eq!(driver.committed("g", "t", 0), 5);
    // The moment is in the log, not only in memory.
    driver.restart();
    expire_after(&mut driver, 0);
    assert_eq!(driver.committed("g", "t", 0), 5);
    expire_after(&mut driver, 1);
    assert_eq!(driver.committed("g", "t", 0), -1);
}

/// Kafka forgets such a commit with the others, at the retention time of the group's last member.
#[test]
fn d4_a_commit_to_a_group_without_members_starts_its_clock_anew() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    driver.leave("g", &members);
    driver.now_ms += 6 * DAY;
    driver.commit(commit("g", "", -1, 5));
    expire_after(&mut driver, 6 * DAY);
    assert_eq!(driver.committed("g", "t", 0), 5);
    expire_after(&mut driver, DAY);
    assert_eq!(driver.committed("g", "t", 0), -1);
}

#[test]
fn d4_a_living_group_loses_only_what_it_no_longer_reads_and_not_before_the_retention_time() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    let mut request = commit("g", &members[0], 1, 5);
    request.topics.push(commit_topic("given-up", &[(0, 9)]));
    driver.commit(request);
    // Its members change after six days: who knows who read what until then.
    driver.now_ms += 6 * DAY;
    driver.timers.clear();
    let to = driver.join(join("g", &members[0]));
    let generation = driver.take_join(to).generation_id;
    driver.sync_all("g", &members, generation);
    expire_after(&mut driver, 6 * DAY);
    assert_eq!(driver.committed("g", "given-up", 0), 9);
    expire_after(&mut driver, DAY);
    assert_eq!(driver.committed("g", "given-up", 0), -1);
    assert_eq!(driver.committed("g", "t", 0), 5);
}

#[test]
fn d4_nothing_expires_while_a_group_rebalances_or_when_we_can_not_know_what_it_reads() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 2);
    let mut request = commit("g", &members[0], 1, 5);
    request.topics.push(commit_topic("given-up", &[(0, 9)]));
    driver.commit(request);
    driver.join(join("g", &members[0]));
    assert_eq!(driver.state("g"), "PreparingRebalance");
    expire_after(&mut driver, 2 * WEEK);
    assert_eq!(driver.committed("g", "given-up", 0), 9);

    let mut driver = Driver::new();
    let mut request = join("connect", "");
    request.protocol_type = "connect".into();
    let to = driver.call(3, catchword_coordinator::Call::JoinGroup(request));
    driver.tick(10 * SECOND);
    let member = driver.take_join(to).member_id;
    let mut request = sync("connect", &member, 1);
    request.protocol_type = Some("connect".into());
    driver.call(5, catchword_coordinator::Call::SyncGroup(request));
    driver.commit(commit("connect", &member, 1, 5));
    assert_eq!(driver.state("connect"), "Stable");
    expire_after(&mut driver, 2 * WEEK);
    assert_eq!(driver.committed("connect", "t", 0), 5);
}

#[test]
fn d4_a_consumer_without_membership_keeps_its_offsets_while_it_is_known_to_be_alive() {
    let mut driver = Driver::new();
    driver.commit(commit("g", "", -1, 5));
    for _ in 0..4 {
        driver.now_ms += 6 * DAY;
        let now_ms = driver.now_ms;
        driver.shard.touch("g", now_ms);
        driver.expire();
        assert_eq!(driver.committed("g", "t", 0), 5);
    }
    expire_after(&mut driver, WEEK);
    assert_eq!(driver.committed("g", "t", 0), -1);
}

#[test]
fn d4_an_old_record_without_the_moment_falls_back_to_the_commit() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    driver.commit(commit("g", &members[0], 1, 5));
    driver.leave("g", &members);
    // Version 1 of the group's record has no timestamp: version, type, generation, no protocol, no leader, no members.
    let (_, record) = driver.log.last_mut().unwrap();
    record.value = Some(bytes::Bytes::from_static(
        b"\0\x01\0\x08consumer\0\0\0\x02\xff\xff\xff\xff\0\0\0\0",
    ));
    driver.restart();
    expire_after(&mut driver, WEEK - SECOND);
    assert_eq!(driver.committed("g", "t", 0), 5);
    expire_after(&mut driver, SECOND);
    assert_eq!(driver.committed("g", "t", 0), -1);
}

#[test]
fn d5_s6_a_group_that_nothing_is_left_of_is_removed_with_a_tombstone() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    driver.commit(commit("g", &members[0], 1, 5));
    driver.leave("g", &members);
    let before = driver.log.len();
    expire_after(&mut driver, WEEK);
    let keys: Vec<&[u8]> = driver.log[before..]
        .iter()
        .map(|(_, r)| r.key.as_ref())
        .collect();
    assert_eq!(
        keys,
        [&b"\0\x01\0\x01g\0\x01t\0\0\0\0"[..], b"\0\x02\0\x01g"]
    );
    assert!(driver.log[before..].iter().all(|(_, r)| r.value.is_none()));
    assert_eq!(driver.state("g"), "Dead");
}

#[test]
fn d5_a_group_is_not_removed_under_someone_who_is_about_to_join() {
    let mut driver = Driver::new();
    let member = driver.new_member("g");
    driver.expire();
    assert_eq!(driver.state("g"), "Empty");
    let to = driver.join(join("g", &member));
    driver.tick(10 * SECOND);
    assert_eq!(driver.take_join(to).error_code, ErrorCode::None.code());
}

#[test]
fn a_group_with_a_retention_of_its_own_keeps_its_offsets_as_long_as_it_says() {
    let mut driver = Driver::new();
    for group in ["kept", "billing-eu", "brief", "other"] {
        driver.commit(commit(group, "", -1, 5));
    }
    let rules = RetentionRules {
        groups: [
            ("kept".into(), Retention::Forever),
            ("brief".into(), Retention::Ms(DAY)),
        ]
        .into(),
        patterns: vec![("billing-*".into(), Retention::Ms(2 * WEEK))],
        ..RetentionRules::default()
    };
    driver.shard.set_retention_rules(Arc::new(rules));
    let there = |driver: &mut Driver| {
        ["kept", "billing-eu", "brief", "other"].map(|group| driver.committed(group, "t", 0) == 5)
    };
    expire_after(&mut driver, DAY - 1);
    assert_eq!(there(&mut driver), [true; 4]);
    expire_after(&mut driver, 1);
    assert_eq!(there(&mut driver), [true, true, false, true]);
    expire_after(&mut driver, 6 * DAY);
    assert_eq!(there(&mut driver), [true, true, false, false]);
    expire_after(&mut driver, WEEK);
    assert_eq!(there(&mut driver), [true, false, false, false]);
    expire_after(&mut driver, 1000 * WEEK);
    assert_eq!(there(&mut driver), [true, false, false, false]);
}

/// A group as it is now.
fn survey(driver: &mut Driver, group: &str) -> Option<GroupNow> {
    match driver.ask(0, Call::Survey(SurveyCall::One(Str::copy(group)))) {
        Reply::Survey(survey) => survey.groups.into_iter().next(),
        other => panic!("{other:?}"),
    }
}

fn expiries(group: &GroupNow) -> Vec<(&str, i32, Option<i64>)> {
    let bookmarks = group.bookmarks.iter();
    let told = bookmarks.map(|b| (b.topic.as_str(), b.partition, b.expires_ms));
    told.collect()
}

#[test]
fn it_is_told_when_each_bookmark_was_last_committed() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    let ask = |driver: &mut Driver| {
        let bookmarks = survey(driver, "g").unwrap().bookmarks.into_iter();
        let one = |b: BookmarkNow| (b.topic, b.partition, b.committed_ms);
        bookmarks.map(one).collect::<Vec<_>>()
    };
    assert_eq!(ask(&mut driver), []);
    for _ in 0..2 {
        driver.now_ms += DAY;
        // The same place again is a commit as well.
        driver.commit(commit("g", &members[0], 1, 5));
    }
    assert_eq!(ask(&mut driver), [("t".into(), 0, driver.now_ms)]);
}

#[test]
fn it_is_told_when_offsets_expire_and_who_says_so() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    driver.commit(commit("g", &members[0], 1, 5));
    let living = survey(&mut driver, "g").unwrap();
    assert_eq!(expiries(&living), [("t", 0, None)], "it is read");
    driver.now_ms += DAY;
    let left_ms = driver.now_ms;
    driver.leave("g", &members);
    let empty = survey(&mut driver, "g").unwrap();
    assert_eq!(expiries(&empty), [("t", 0, Some(left_ms + WEEK))]);
    assert_eq!(
        (empty.retention, empty.rule),
        (Retention::Ms(WEEK), RetentionRule::Default)
    );
    // What is told is what happens.
    expire_after(&mut driver, WEEK - 1);
    assert_eq!(driver.committed("g", "t", 0), 5);
    expire_after(&mut driver, 1);
    assert_eq!(driver.committed("g", "t", 0), -1);
    assert_eq!(survey(&mut driver, "nobody"), None);
}

#[test]
fn a_pinned_bookmark_outlives_its_time_and_one_beside_it_does_not() {
    let mut driver = Driver::new();
    for partition in [0, 1] {
        let mut one = commit("g", "", -1, 5);
        one.topics = vec![commit_topic("t", &[(partition, 5)])];
        driver.commit(one);
    }
    driver.shard.set_retention_rules(Arc::new(pinned("t", 1)));
    expire_after(&mut driver, WEEK);
    assert_eq!(driver.committed("g", "t", 0), -1);
    assert_eq!(driver.committed("g", "t", 1), 5);
    let told = survey(&mut driver, "g").unwrap();
    assert_eq!(expiries(&told), [("t", 1, None)]);
}

#[test]
fn a_group_is_told_of_before_it_expires_and_not_while_it_is_kept() {
    let mut driver = Driver::new();
    for group in ["g", "brief", "pinned", "kept"] {
        driver.commit(commit(group, "", -1, 5));
    }
    let rules = RetentionRules {
        groups: [
            ("brief".into(), Retention::Ms(DAY)),
            ("kept".into(), Retention::Forever),
        ]
        .into(),
        pins: [("pinned".into(), Pins::new([("*".into(), None)]))].into(),
        ..RetentionRules::default()
    };
    driver.shard.set_retention_rules(Arc::new(rules));
    let begun_ms = driver.now_ms;
    let told = |driver: &Driver, after_ms: i64| {
        let all = driver.shard.expiring(begun_ms + after_ms, DAY);
        let all = all.into_iter();
        all.map(|e| (e.group_id.to_string(), e.first_ms - begun_ms, e.offsets))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&driver, DAY / 2 - 1), []);
    let brief = ("brief".to_owned(), DAY, 1);
    let only_brief = [brief.clone()];
    assert_eq!(told(&driver, DAY / 2), only_brief);
    assert_eq!(told(&driver, 6 * DAY - 1), only_brief);
    assert_eq!(told(&driver, 6 * DAY), [brief, ("g".to_owned(), WEEK, 1)]);
}
