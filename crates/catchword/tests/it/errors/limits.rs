//! Groups that are full, and share sessions of which there can be no more. The broker takes one of each: Kafka too has to
//! be started with [`LIMITS`], so `./test commands` asks a Kafka of its own here.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use catchword_wire::{ErrorCode, Str};

use super::share_sessions::Reader;
use super::wire::{GROUP, Wire};
use super::{Answers, are, code, groups, share_groups, streams_groups};
use crate::harness::Cluster;

const LIMITS: [&str; 5] = [
    "group.max.size=1",
    "group.consumer.max.size=1",
    "group.share.max.size=1",
    "group.streams.max.size=1",
    "group.share.max.share.sessions=1",
];

/// One comes, another is not let in, until the first has left. What answers it `again` is what it hears if it joins once more.
fn come_and_go(again: ErrorCode, mut beat: impl FnMut(&'static str, i32) -> ErrorCode) {
    let answers: Answers = vec![
        ("join", beat("a", 0)),
        ("another joins", beat("b", 0)),
        ("the first joins again", beat("a", 0)),
        ("it leaves", beat("a", -1)),
        ("the other joins", beat("b", 0)),
        ("it leaves as well", beat("b", -1)),
    ];
    are(
        &answers,
        &[
            ErrorCode::None,
            ErrorCode::GroupMaxSizeReached,
            again,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::None,
        ],
    );
}

#[test]
fn full_consumer_groups_are_told_as_kafka_tells_them() {
    let cluster = Cluster::any_with("full-consumers", &LIMITS);
    let mut asker = groups::Asker::new(&cluster);
    come_and_go(ErrorCode::None, |member, epoch| {
        asker.heartbeat(&member.into(), epoch).0
    });
}

#[test]
fn full_share_groups_are_told_as_kafka_tells_them() {
    let cluster = Cluster::any_with("full-sharers", &LIMITS);
    let mut asker = share_groups::Asker::new(&cluster);
    come_and_go(ErrorCode::None, |member, epoch| asker.beat(member, epoch));
}

#[test]
fn full_streams_groups_are_told_as_kafka_tells_them() {
    let cluster = Cluster::any_with("full-streams", &LIMITS);
    let mut asker = streams_groups::Asker::new(&cluster);
    // Kafka 4.3.1 counts who is in the group already against it.
    let again = match cluster.is_own() {
        true => ErrorCode::None,
        false => ErrorCode::GroupMaxSizeReached,
    };
    come_and_go(again, |member, epoch| asker.beat(member, epoch));
}

#[test]
fn full_classic_groups_are_told_as_kafka_tells_them() {
    let cluster = Cluster::any_with("full-classic", &LIMITS);
    let mut asker = groups::Asker::new(&cluster);
    let (asked, member, _) = asker.join(&Str::EMPTY, "consumer");
    let (joined, _, generation) = asker.join(&member, "consumer");
    let answers: Answers = vec![
        ("join without an id", asked),
        ("join", joined),
        (
            "another joins before the assignment",
            asker.join(&Str::EMPTY, "consumer").0,
        ),
        ("sync", asker.sync(&member, generation)),
        ("another joins", asker.join(&Str::EMPTY, "consumer").0),
        ("leave", asker.leave(&member)),
        (
            "another joins at last",
            asker.join(&Str::EMPTY, "consumer").0,
        ),
    ];
    are(
        &answers,
        &[
            ErrorCode::MemberIdRequired,
            ErrorCode::None,
            ErrorCode::GroupMaxSizeReached,
            ErrorCode::None,
            ErrorCode::GroupMaxSizeReached,
            ErrorCode::None,
            ErrorCode::MemberIdRequired,
        ],
    );
}

#[test]
fn share_sessions_beyond_the_most_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any_with("full-sessions", &LIMITS);
    let mut reader = Reader::new(&cluster);
    let mut wire = Wire::to(&cluster, GROUP, "another");
    let mut request = reader.fetching(0, reader.place);
    request.group_id = Some(cluster.name("another").into());
    let mut another = || code(wire.call(&request, 1).error_code);
    let answers: Answers = vec![
        ("begin", reader.fetch(0)),
        ("another begins", another()),
        ("begin anew", reader.fetch(0)),
        ("the end", reader.fetch(-1)),
        ("another begins after it", another()),
    ];
    are(
        &answers,
        &[
            ErrorCode::None,
            ErrorCode::ShareSessionLimitReached,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::None,
        ],
    );
}
