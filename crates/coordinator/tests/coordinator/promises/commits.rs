//! OffsetCommit.

use catchword_coordinator::{Call, Effect, Noticed, Reply, TimerKey, TimerKind};
use catchword_wire::{ErrorCode, Str, Uuid};

use crate::driver::*;

fn headers(driver: &Driver, index: usize) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let headers = driver.log[index].1.headers.iter();
    headers
        .map(|(name, value)| format!("{}={}", text(name), text(value.as_deref().unwrap())))
        .collect()
}

#[test]
fn c2_metadata_that_is_too_long_is_refused_for_its_partition_only_and_counted_as_java_counts() {
    let mut driver = Driver::new();
    let mut request = commit("g", "", -1, 10);
    request.topics = vec![commit_topic("t", &[(0, 10), (1, 11), (2, 12)])];
    let partitions = &mut request.topics[0].partitions;
    partitions[0].committed_metadata = Some(Str::from("x".repeat(4097)));
    // 4096 characters of Java, 8192 bytes; a smiley is two characters.
    partitions[1].committed_metadata = Some(Str::from("é".repeat(4096)));
    partitions[2].committed_metadata = Some(Str::from("😀".repeat(2049)));
    let Reply::OffsetCommit(response) = driver.ask(COMMIT_VERSION, Call::OffsetCommit(request))
    else {
        panic!()
    };
    let errors: Vec<i16> = response.topics[0]
        .partitions
        .iter()
        .map(|p| p.error_code)
        .collect();
    let too_large = ErrorCode::OffsetMetadataTooLarge.code();
    assert_eq!(errors, [too_large, 0, too_large]);
    assert_eq!(driver.committed("g", "t", 0), -1);
    assert_eq!(driver.committed("g", "t", 1), 11);
    assert_eq!(driver.log.len(), 1);
}

#[test]
fn c2_a_commit_of_which_nothing_is_accepted_makes_no_group() {
    let mut driver = Driver::new();
    let mut request = commit("g", "", -1, 10);
    request.topics[0].partitions[0].committed_metadata = Some(Str::from("x".repeat(5000)));
    assert_eq!(driver.commit(request), ErrorCode::OffsetMetadataTooLarge);
    assert_eq!(driver.state("g"), "Dead");
}

#[test]
fn c2_null_metadata_is_read_back_as_empty() {
    let mut driver = Driver::new();
    let mut request = commit("g", "", -1, 10);
    request.topics[0].partitions[0].committed_metadata = None;
    driver.commit(request);
    let Reply::OffsetFetch(response) = driver.ask(9, fetch("g", None)) else {
        panic!()
    };
    assert_eq!(response.topics[0].partitions[0].metadata, Some(Str::EMPTY));
}

#[test]
fn c3_any_offset_is_taken_even_beyond_the_log() {
    let mut driver = Driver::new();
    assert_eq!(
        driver.commit(commit("g", "", -1, 1_000_000_000_000)),
        ErrorCode::None
    );
    assert_eq!(driver.committed("g", "t", 0), 1_000_000_000_000);
}

#[test]
fn c4_a_commit_without_a_generation_makes_a_simple_group() {
    let mut driver = Driver::new();
    assert_eq!(driver.commit(commit("g", "", -1, 5)), ErrorCode::None);
    let Reply::DescribeGroup(group) = driver.ask(5, Call::DescribeGroup("g".into())) else {
        panic!()
    };
    assert_eq!(
        (group.group_state, group.protocol_type),
        ("Empty".into(), Str::EMPTY)
    );
    // It has no record of its own; its offset is enough to bring it back.
    assert_eq!(driver.log.len(), 1);
    driver.restart();
    assert_eq!(driver.committed("g", "t", 0), 5);
    assert_eq!(driver.state("g"), "Empty");
}

#[test]
fn c4_a_commit_with_a_generation_to_an_unknown_group_has_an_error_by_version() {
    let mut driver = Driver::new();
    let request = commit("g", "m", 1, 5);
    let old = driver.error_of(8, Call::OffsetCommit(request.clone()));
    assert_eq!(old, ErrorCode::IllegalGeneration);
    let new = driver.error_of(9, Call::OffsetCommit(request));
    assert_eq!(new, ErrorCode::GroupIdNotFound);
    assert!(driver.log.is_empty());
}

#[test]
fn c5_anybody_may_commit_to_an_empty_group_and_nobody_from_outside_to_a_living_one() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    assert_eq!(
        driver.commit(commit("g", "", -1, 5)),
        ErrorCode::UnknownMemberId
    );
    driver.leave("g", &members);
    assert_eq!(driver.state("g"), "Empty");
    assert_eq!(driver.commit(commit("g", "", -1, 5)), ErrorCode::None);
    // Also with the id of someone who has left, as librdkafka does: no check at all.
    assert_eq!(
        driver.commit(commit("g", &members[0], -1, 6)),
        ErrorCode::None
    );
    assert_eq!(driver.committed("g", "t", 0), 6);
}

#[test]
fn c6_commit_with_an_unknown_member_or_generation_is_refused() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    assert_eq!(
        driver.commit(commit("g", "stranger", 1, 5)),
        ErrorCode::UnknownMemberId
    );
    assert_eq!(
        driver.commit(commit("g", &members[0], 0, 5)),
        ErrorCode::IllegalGeneration
    );
    assert_eq!(
        driver.commit(commit("g", &members[0], 2, 5)),
        ErrorCode::IllegalGeneration
    );
    assert_eq!(
        driver.commit(commit("g", &members[0], -1, 5)),
        ErrorCode::IllegalGeneration
    );
    assert_eq!(
        driver.commit(commit("g", &members[0], 1, 5)),
        ErrorCode::None
    );
    assert_eq!(driver.committed("g", "t", 0), 5);
}

#[test]
fn c6_commit_with_old_generation_is_illegal_generation() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    // The leader rejoins: the next generation.
    let to = driver.join(join("g", &members[0]));
    assert_eq!(driver.take_join(to).generation_id, 2);
    driver.sync_all("g", &members, 2);
    assert_eq!(
        driver.commit(commit("g", &members[0], 1, 5)),
        ErrorCode::IllegalGeneration
    );
    assert_eq!(
        driver.commit(commit("g", &members[0], 2, 5)),
        ErrorCode::None
    );
}

#[test]
fn c6_commit_while_completing_is_rebalance_in_progress_and_while_preparing_is_taken() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 2);
    let first = driver.join(join("g", &members[0]));
    assert_eq!(driver.state("g"), "PreparingRebalance");
    // The last word of a member that has yet to rejoin.
    assert_eq!(
        driver.commit(commit("g", &members[1], 1, 5)),
        ErrorCode::None
    );
    driver.join(join("g", &members[1]));
    driver.take_join(first);
    assert_eq!(driver.state("g"), "CompletingRebalance");
    let error = driver.commit(commit("g", &members[1], 2, 6));
    assert_eq!(error, ErrorCode::RebalanceInProgress);
    assert_eq!(driver.committed("g", "t", 0), 5);
}

#[test]
fn c6_commit_of_a_static_member_is_checked_by_its_name() {
    let mut driver = Driver::new();
    let to = driver.join(static_join("g", "seat", ""));
    driver.tick(10 * SECOND);
    let member = driver.take_join(to).member_id;
    driver.sync_all("g", std::slice::from_ref(&member), 1);
    let with = |instance: &'static str, member: &str| {
        let mut request = commit("g", member, 1, 5);
        request.group_instance_id = Some(instance.into());
        request
    };
    assert_eq!(
        driver.commit(with("other", &member)),
        ErrorCode::UnknownMemberId
    );
    assert_eq!(
        driver.commit(with("seat", "former-self")),
        ErrorCode::FencedInstanceId
    );
    assert_eq!(driver.commit(with("seat", &member)), ErrorCode::None);
}

#[test]
fn c7_a_commit_is_a_sign_of_life() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    for _ in 0..5 {
        driver.tick(9 * SECOND);
        assert_eq!(
            driver.commit(commit("g", &members[0], 1, 5)),
            ErrorCode::None
        );
    }
    driver.tick(9 * SECOND);
    assert_eq!(driver.state("g"), "Stable");
    driver.tick(2 * SECOND);
    assert_eq!(driver.state("g"), "Empty");
}

#[test]
fn c7_a_sign_of_life_asks_for_no_timer() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    let key = TimerKey {
        group_id: "g".into(),
        kind: TimerKind::Session(members[0].clone()),
    };
    assert!(driver.timers.contains_key(&key));
    driver.commit(commit("g", &members[0], 1, 5));
    assert_eq!(
        driver.last_effects.len(),
        1,
        "more than the reply: {:?}",
        driver.last_effects
    );
    driver.heartbeat("g", &members[0], 1);
    assert_eq!(
        driver.last_effects.len(),
        1,
        "more than the reply: {:?}",
        driver.last_effects
    );
}

#[test]
fn c8_the_empty_group_id_can_commit_and_fetch() {
    let mut driver = Driver::new();
    assert_eq!(driver.commit(commit("", "", -1, 5)), ErrorCode::None);
    assert_eq!(driver.committed("", "t", 0), 5);
    driver.restart();
    assert_eq!(driver.committed("", "t", 0), 5);
    let id: Str = "".into();
    assert_eq!(
        driver.error_of(9, Call::JoinGroup(join("", ""))),
        ErrorCode::InvalidGroupId
    );
    assert_eq!(
        driver.error_of(5, Call::SyncGroup(sync("", "m", 1))),
        ErrorCode::InvalidGroupId
    );
    assert_eq!(driver.heartbeat("", "m", 1), ErrorCode::InvalidGroupId);
    let gone = driver.error_of(5, Call::LeaveGroup(leave("", &[])));
    assert_eq!(gone, ErrorCode::InvalidGroupId);
    assert_eq!(
        driver.error_of(0, offset_delete("", "t", 0)),
        ErrorCode::InvalidGroupId
    );
    assert_eq!(driver.error_of(2, Call::DeleteGroup(id)), ErrorCode::None);
}

#[test]
fn c8_a_group_id_that_no_record_can_hold_is_refused() {
    let mut driver = Driver::new();
    let long = "g".repeat(40_000);
    assert_eq!(
        driver.commit(commit(&long, "", -1, 5)),
        ErrorCode::InvalidGroupId
    );
    assert_eq!(
        driver.error_of(9, Call::JoinGroup(join(&long, ""))),
        ErrorCode::InvalidGroupId
    );
}

#[test]
fn c10_the_reply_comes_after_its_records_in_the_same_step() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    let before = driver.log.len();
    driver.commit(commit("g", &members[0], 1, 5));
    // One step: one record to be stored first, one reply to be sent then.
    assert_eq!(driver.log.len(), before + 1);
    assert_eq!(driver.last_effects.len(), 1);
}

#[test]
fn c10_a_commit_whose_record_could_not_be_stored_is_answered_with_the_error() {
    let mut driver = Driver::new();
    let reply = driver.ask(COMMIT_VERSION, Call::OffsetCommit(commit("g", "", -1, 5)));
    let refused = reply.into_error(ErrorCode::CoordinatorNotAvailable);
    assert_eq!(error_of(&refused), ErrorCode::CoordinatorNotAvailable);
}

#[test]
fn c11_the_last_commit_wins_even_if_it_goes_back() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    for offset in [10, 20, 5] {
        driver.commit(commit("g", &members[0], 1, offset));
    }
    assert_eq!(driver.committed("g", "t", 0), 5);
    driver.restart();
    assert_eq!(driver.committed("g", "t", 0), 5);
}

#[test]
fn s4_a_commit_with_its_own_retention_is_written_as_version_1() {
    let mut driver = Driver::new();
    let mut request = commit("g", "", -1, 5);
    request.retention_time_ms = 1000;
    assert_eq!(
        driver.error_of(4, Call::OffsetCommit(request)),
        ErrorCode::None
    );
    assert_eq!(driver.log[0].1.value.as_ref().unwrap()[..2], [0, 1]);
    driver.commit(commit("g", "", -1, 5));
    assert_eq!(driver.log[1].1.value.as_ref().unwrap()[..2], [0, 4]);
}

#[test]
fn the_topic_id_and_the_leader_epoch_are_kept() {
    let mut driver = Driver::new();
    let mut request = commit("g", "", -1, 5);
    request.topics[0].topic_id = Uuid([7; 16]);
    request.topics[0].partitions[0].committed_leader_epoch = 3;
    driver.commit(request);
    driver.restart();
    let Reply::OffsetFetch(response) = driver.ask(9, fetch("g", None)) else {
        panic!()
    };
    assert_eq!(response.topics[0].partitions[0].committed_leader_epoch, 3);
    assert_eq!(driver.committed_of("g", "t", Uuid([7; 16]), 0), 5);
    assert_eq!(driver.committed_of("g", "t", Uuid([8; 16]), 0), -1);
}

#[test]
fn headers_say_who_moved_the_bookmark_and_why() {
    let mut driver = Driver::new();
    driver.client.principal = "User:ana".into();
    let members = driver.stable("g", 1);
    let n = driver.log.len();
    driver.commit(commit("g", &members[0], 1, 5));
    let member = format!("cw.member={}", members[0]);
    let who = [
        "cw.client=client",
        "cw.host=/127.0.0.1",
        &member,
        "cw.principal=User:ana",
    ];
    assert_eq!(headers(&driver, n), who);
    driver.leave("g", &members);
    let n = driver.log.len();
    driver.commit(commit("g", "", -1, 6));
    assert_eq!(headers(&driver, n)[0], "cw.cause=standalone");
    driver.ask(0, offset_delete("g", "t", 0));
    let expected = [
        "cw.cause=offset-delete",
        "cw.client=client",
        "cw.host=/127.0.0.1",
        "cw.principal=User:ana",
    ];
    let said = headers(&driver, n + 1);
    let (from, said) = said.split_last().unwrap();
    assert_eq!(said, expected);
    assert!(from.starts_with("cw.from=6 "), "{from}");
}

/// What the last step told beside its answer.
fn noticed(driver: &Driver) -> Vec<Noticed> {
    let effects = driver.last_effects.iter();
    let notices = effects.filter_map(|effect| match effect {
        Effect::Notice(notice) => Some(notice.what.clone()),
        _ => None,
    });
    notices.collect()
}

#[test]
fn a_members_step_back_is_noticed_and_reading_on_is_not() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    for (offset, is_back) in [(5, false), (9, false), (9, false), (2, true), (3, false)] {
        driver.commit(commit("g", &members[0], 1, offset));
        let back = Noticed::StepBack {
            topic: "t".into(),
            partition: 0,
            from: 9,
            to: 2,
        };
        let expected = if is_back { vec![back] } else { vec![] };
        assert_eq!(noticed(&driver), expected, "{offset}");
    }
}

#[test]
fn an_outsiders_jump_is_noticed_and_a_consumers_own_reading_on_is_not() {
    let mut driver = Driver::new();
    driver.commit(commit("g", "", -1, 5));
    assert_eq!(noticed(&driver), [], "it began there");
    driver.commit(commit("g", "", -1, 9));
    assert_eq!(noticed(&driver), [], "the same reader goes on");
    let members = driver.stable("g", 1);
    driver.commit(commit("g", &members[0], 1, 20));
    assert_eq!(noticed(&driver), [], "a member reads");
    driver.leave("g", &members);
    driver.commit(commit("g", "", -1, 100));
    let jump = Noticed::Jump {
        topic: "t".into(),
        partition: 0,
        from: 20,
        to: 100,
    };
    assert_eq!(noticed(&driver), [jump]);
    driver.commit(commit("g", "", -1, 50));
    assert_eq!(noticed(&driver), [], "a reset back is in the history");
}

#[test]
fn a_commit_that_comes_too_late_is_noticed_with_what_is_read_twice() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    driver.commit(commit("g", &members[0], 1, 520));
    driver.commit(commit("g", "evicted", 1, 1000));
    let refused = |error, again| {
        let partitions = usize::from(again > 0);
        vec![Noticed::Refused {
            error,
            partitions,
            again,
        }]
    };
    let unknown = ErrorCode::UnknownMemberId;
    assert_eq!(noticed(&driver), refused(unknown, 480));
    driver.commit(commit("g", &members[0], 0, 500));
    let stale = ErrorCode::IllegalGeneration;
    assert_eq!(noticed(&driver), refused(stale, 0));
    // A reset that is refused is nobody's reading.
    driver.commit(commit("g", "", -1, 0));
    assert_eq!(noticed(&driver), []);
}
