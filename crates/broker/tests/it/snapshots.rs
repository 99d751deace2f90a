//! Snapshots of groups beside the log, as a restarted broker meets them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use catchword_coordinator::partition_for;
use catchword_log::{Engine, LocalEngine, LocalOptions, LogConfig, TopicPartition};

use crate::harness::TestBroker;
use crate::offsets::{commit, fetch_offset};
use crate::transactional;

const PARTITIONS: i32 = 50;

/// A broker with enough commits of a group that a shutdown makes a snapshot, and where each partition stands.
fn with_many_commits() -> (TestBroker, Vec<(i32, i64)>) {
    let broker = TestBroker::with(&[("offsets.durability", "page-cache")]);
    broker.topic("t", PARTITIONS, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    let mut place = Vec::new();
    for round in 0..30 {
        place = (0..PARTITIONS).map(|p| (p, i64::from(p) + round)).collect();
        commit(&mut client, "g", "t", &place);
    }
    (broker, place)
}

fn shard() -> TopicPartition {
    TopicPartition::new("__consumer_offsets", partition_for("g", 50))
}

fn snapshots(broker: &TestBroker) -> Vec<PathBuf> {
    side_files(broker, &shard(), "cw-groups")
}

fn side_files(broker: &TestBroker, shard: &TopicPartition, extension: &str) -> Vec<PathBuf> {
    let dir = broker.dir.path().join(shard.to_string());
    let files = std::fs::read_dir(dir).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect()
}

/// Leaves nothing of a stopped broker's shard but its snapshots.
fn without_records(broker: &TestBroker, shard: &TopicPartition) {
    let engine = LocalEngine::open(broker.dir.path(), LocalOptions::default()).unwrap();
    let mut partitions = engine.partitions().into_iter();
    let (_, id) = partitions.find(|(tp, _)| tp == shard).unwrap();
    let log = engine.create(shard, id, LogConfig::default()).unwrap();
    log.truncate_prefix(log.offsets().log_end).unwrap();
    engine.close().unwrap();
}

fn all_are_there(broker: &TestBroker, place: &[(i32, i64)]) {
    let mut client = broker.client();
    for (partition, offset) in place {
        assert_eq!(fetch_offset(&mut client, "g", "t", *partition), *offset);
    }
}

#[test]
fn a_stop_in_order_leaves_a_snapshot_that_the_next_start_uses() {
    let (mut broker, place) = with_many_commits();
    assert_eq!(snapshots(&broker), [] as [PathBuf; 0]);
    broker.stop();
    assert_eq!(snapshots(&broker).len(), 1);
    // Without its records the log alone could not tell.
    without_records(&broker, &shard());
    let broker = broker.restart();
    all_are_there(&broker, &place);
    // And it goes on from there.
    let mut client = broker.client();
    client.find_coordinator();
    commit(&mut client, "g", "t", &[(3, 1000)]);
    let broker = broker.restart();
    assert_eq!(fetch_offset(&mut broker.client(), "g", "t", 3), 1000);
    assert_eq!(fetch_offset(&mut broker.client(), "g", "t", 4), place[4].1);
}

#[test]
fn a_transactional_id_goes_on_from_a_snapshot_with_its_producer_and_epoch() {
    let mut broker = transactional::broker();
    let mut client = broker.client();
    // As many records as a shutdown thinks worth a snapshot.
    let last = (0..1001).map(|_| transactional::init(&mut client)).last();
    let (id, epoch) = last.unwrap();
    broker.stop();
    let shard = TopicPartition::new("__transaction_state", partition_for("x", 50));
    assert_eq!(side_files(&broker, &shard, "cw-transactions").len(), 1);
    without_records(&broker, &shard);
    let broker = broker.restart();
    let mut client = broker.client();
    assert_eq!(transactional::init(&mut client), (id, epoch + 1));
}

#[test]
fn a_damaged_snapshot_costs_nothing() {
    let (mut broker, place) = with_many_commits();
    broker.stop();
    for path in snapshots(&broker) {
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        std::fs::write(&path, bytes).unwrap();
    }
    let broker = broker.restart();
    all_are_there(&broker, &place);
}

#[test]
fn a_few_commits_are_not_worth_one() {
    let mut broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    commit(&mut client, "g", "t", &[(0, 7)]);
    broker.stop();
    assert_eq!(snapshots(&broker), [] as [PathBuf; 0]);
    assert_eq!(fetch_offset(&mut broker.restart().client(), "g", "t", 0), 7);
}

#[test]
fn a_broker_that_runs_makes_them_when_much_was_committed_and_a_kill_loses_nothing() {
    const MANY: i32 = 200;
    let broker = TestBroker::start();
    broker.topic("t", MANY, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    let place = |round: i64| -> Vec<(i32, i64)> { (0..MANY).map(|p| (p, round)).collect() };
    // A little more than 64 Ki records.
    for round in 0..330 {
        commit(&mut client, "g", "t", &place(round));
    }
    let begun = Instant::now();
    let mut round = 330;
    while snapshots(&broker).is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "no snapshot is made"
        );
        // Commits go on meanwhile.
        commit(&mut client, "g", "t", &place(round));
        round += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    commit(&mut client, "g", "t", &[(7, 5000)]);
    let again = broker.on_a_copy();
    let mut client = again.client();
    assert_eq!(fetch_offset(&mut client, "g", "t", 7), 5000);
    for partition in [0, 8, MANY - 1] {
        assert_eq!(fetch_offset(&mut client, "g", "t", partition), round - 1);
    }
}
