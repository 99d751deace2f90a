//! OffsetCommit 0 and 1 and OffsetFetch 0, spoken where offsets stand in ZooKeeper. Whether ZooKeeper answers is nothing to
//! the clients: here nothing listens where it should be.

use std::io::Write;

use bytes::{BufMut, Bytes, BytesMut};

use crate::harness::{Client, TestBroker};

const ZOOKEEPER: [(&str, &str); 2] = [
    ("offsets.storage", "zookeeper"),
    ("zookeeper.connect", "127.0.0.1:1"),
];
const COMMIT: i16 = 8;
const FETCH: i16 = 9;

fn text(out: &mut BytesMut, text: &str) {
    out.put_i16(i16::try_from(text.len()).unwrap());
    out.put_slice(text.as_bytes());
}

/// Group `g`, and of topic `t` one partition; `rest` is what follows its number.
fn body(head: &[u8], partition: i32, rest: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    text(&mut out, "g");
    out.put_slice(head);
    out.put_i32(1);
    text(&mut out, "t");
    out.put_i32(1);
    out.put_i32(partition);
    out.put_slice(rest);
    out
}

/// The answer's body; `None` if the connection was closed.
fn ask(client: &mut Client, api: i16, version: i16, body: &[u8]) -> Option<Bytes> {
    let mut frame = BytesMut::new();
    frame.put_i32(i32::try_from(body.len() + 10).unwrap());
    frame.put_i16(api);
    frame.put_i16(version);
    frame.put_i32(77);
    frame.put_i16(-1);
    frame.put_slice(body);
    client.stream.write_all(&frame).unwrap();
    client.frame().map(|answer| answer.slice(4..))
}

/// An answer about one partition of topic `t`: what stands behind its number.
fn of_partition(answer: &Bytes) -> Bytes {
    assert_eq!(&answer[..11], b"\0\0\0\x01\0\x01t\0\0\0\x01", "{answer:?}");
    answer.slice(15..)
}

fn commit_0(offset: i64, partition: i32) -> BytesMut {
    let rest = [&offset.to_be_bytes()[..], &[0, 0]].concat();
    body(&[], partition, &rest)
}

#[test]
fn version_0_commits_and_fetches_and_is_told_error_3_where_there_is_nothing() {
    let broker = TestBroker::with(&ZOOKEEPER);
    broker.topic("t", 2, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    let answer = ask(&mut client, COMMIT, 0, &commit_0(42, 0)).unwrap();
    assert_eq!(of_partition(&answer)[..], [0, 0]);
    let answer = ask(&mut client, FETCH, 0, &body(&[], 0, &[])).unwrap();
    let wanted = [&42i64.to_be_bytes()[..], &[0, 0], &[0, 0]].concat();
    assert_eq!(of_partition(&answer)[..], wanted);
    for partition in [1, 9] {
        let answer = ask(&mut client, FETCH, 0, &body(&[], partition, &[])).unwrap();
        let wanted = [&(-1i64).to_be_bytes()[..], &[0, 0], &[0, 3]].concat();
        assert_eq!(of_partition(&answer)[..], wanted);
    }
    let answer = ask(&mut client, COMMIT, 0, &commit_0(42, 9)).unwrap();
    assert_eq!(of_partition(&answer)[..], [0, 3]);
}

#[test]
fn a_commit_that_zookeeper_must_have_is_answered_within_bounds_when_it_is_away() {
    const COORDINATOR_NOT_AVAILABLE: [u8; 2] = [0, 15];
    let required = [
        ("zookeeper.commit.required", "true"),
        ("zookeeper.groups", "g,other"),
        ("zookeeper.groups.exclude", "other"),
        ("offsets.commit.timeout.ms", "500"),
    ];
    let broker = TestBroker::with(&[&ZOOKEEPER[..], &required].concat());
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    let answer = ask(&mut client, COMMIT, 0, &commit_0(42, 0)).unwrap();
    assert_eq!(of_partition(&answer)[..], COORDINATOR_NOT_AVAILABLE);
    // It stands in the log all the same.
    let answer = ask(&mut client, FETCH, 0, &body(&[], 0, &[])).unwrap();
    assert_eq!(of_partition(&answer)[..8], 42i64.to_be_bytes());
    // A group that is left alone does not wait.
    let mut other = commit_0(43, 0);
    let name = [&5i16.to_be_bytes()[..], b"other"].concat();
    let other = [&name[..], &other.split_off(3)].concat();
    let answer = ask(&mut client, COMMIT, 0, &other).unwrap();
    assert_eq!(of_partition(&answer)[..], [0, 0]);
}

#[test]
fn version_1_commits_with_generation_and_member() {
    let broker = TestBroker::with(&ZOOKEEPER);
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    let rest = [
        &43i64.to_be_bytes()[..],
        &(-1i64).to_be_bytes(),
        &[0, 1, b'm'],
    ]
    .concat();
    let head = |generation: i32| [&generation.to_be_bytes()[..], &[0, 0]].concat();
    let alone = body(&head(-1), 0, &rest);
    let answer = ask(&mut client, COMMIT, 1, &alone).unwrap();
    assert_eq!(of_partition(&answer)[..], [0, 0]);
    // ILLEGAL_GENERATION: of a generation that never was.
    let member = body(&head(5), 0, &rest);
    let answer = ask(&mut client, COMMIT, 1, &member).unwrap();
    assert_ne!(of_partition(&answer)[..], [0, 0]);
    let answer = ask(&mut client, FETCH, 1, &body(&[], 0, &[])).unwrap();
    assert_eq!(of_partition(&answer)[..8], 43i64.to_be_bytes());
}

#[test]
fn without_zookeeper_these_versions_are_refused_as_kafka_4_refuses_them() {
    let broker = TestBroker::with(&[]);
    for (api, version) in [(COMMIT, 0), (COMMIT, 1), (FETCH, 0)] {
        let answer = ask(&mut broker.client(), api, version, &commit_0(1, 0));
        assert_eq!(answer, None, "{api} {version}");
    }
}
