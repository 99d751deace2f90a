//! kill -9 of the broker under producers, committers and compaction, again and again on the same data: every record that
//! was acknowledged is there, and every bookmark is where it was acknowledged to be or further.
//!
//! `CATCHWORD_KILL_ROUNDS` says how often; `CATCHWORD_KILL_SEED` begins the waits elsewhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use catchword_client::{
    Acks, Client, ClientOptions, CommitAs, FetchFrom, FetchOptions, NewCommit, TopicPartition,
};
use catchword_wire::batch::{Compression, NewRecord};

use crate::harness::{Broker, binary, run};

const WRITERS: i32 = 3;
const COMMITTERS: i32 = 3;
/// Groups of each committer, so that they fall on many partitions of the offsets topic.
const GROUPS: i64 = 5;

/// What the broker has acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// The value at each offset, by partition, of those not yet looked at.
    records: BTreeMap<i32, BTreeMap<i64, String>>,
    /// The last bookmark of each group, and the last that was sent.
    bookmarks: BTreeMap<String, (i64, i64)>,
}

fn client(broker: &Broker) -> Client {
    let options = ClientOptions {
        retry_for: Duration::from_secs(20),
        ..ClientOptions::to(broker.address())
    };
    Client::connect(options).expect("the broker answers")
}

/// A client that gives up when the broker is gone.
fn hasty(broker: &Broker) -> Client {
    let options = ClientOptions {
        retry_for: Duration::ZERO,
        ..ClientOptions::to(broker.address())
    };
    Client::connect(options).expect("the broker answers")
}

fn write(mut client: Client, partition: i32, round: u64, acknowledged: &Mutex<Acknowledged>) {
    let tp = TopicPartition::new("kept", partition);
    let Ok(mut producer) = client.producer(Acks::All, Compression::None) else {
        return;
    };
    for n in 0.. {
        let value = format!("{round}/{n}/{}", "x".repeat(n % 700));
        let record = NewRecord {
            timestamp: 1_700_000_000_000,
            key: Some(b"key"),
            value: Some(value.as_bytes()),
            headers: &[],
        };
        let Ok(produced) = client.produce(&mut producer, &tp, &[record]) else {
            return;
        };
        let offset = produced.base_offset.expect("acks=all tells the offset");
        let mut acknowledged = acknowledged.lock().unwrap();
        let records = acknowledged.records.entry(partition).or_default();
        assert_eq!(records.insert(offset, value), None, "offset {offset} twice");
    }
}

fn commit(mut client: Client, committer: i32, acknowledged: &Mutex<Acknowledged>) {
    loop {
        for n in 0..GROUPS {
            let group = format!("group-{committer}-{n}");
            let next = {
                let mut acknowledged = acknowledged.lock().unwrap();
                let (_, sent) = acknowledged
                    .bookmarks
                    .entry(group.clone())
                    .or_insert((-1, -1));
                *sent += 1;
                *sent
            };
            let new = NewCommit::new(TopicPartition::new("kept", 0), next);
            if client.commit(&group, CommitAs::Outsider, &[new]).is_err() {
                return;
            }
            let mut acknowledged = acknowledged.lock().unwrap();
            acknowledged.bookmarks.entry(group).or_default().0 = next;
        }
    }
}

fn load(broker: &mut Broker, round: u64, wait: Duration, acknowledged: &Mutex<Acknowledged>) {
    thread::scope(|scope| {
        for partition in 0..WRITERS {
            let client = hasty(broker);
            scope.spawn(move || write(client, partition, round, acknowledged));
        }
        for committer in 0..COMMITTERS {
            let client = hasty(broker);
            scope.spawn(move || commit(client, committer, acknowledged));
        }
        thread::sleep(wait);
        broker.kill();
    });
}

fn check(broker: &Broker, round: u64, acknowledged: &mut Acknowledged) {
    let mut client = client(broker);
    for (partition, records) in &mut acknowledged.records {
        let Some((first, _)) = records.first_key_value() else {
            continue;
        };
        let (mut offset, last) = (*first, *records.last_key_value().unwrap().0);
        while offset <= last {
            let from = FetchFrom {
                partition: TopicPartition::new("kept", *partition),
                offset,
            };
            let fetched = client
                .fetch(&[from], FetchOptions::default())
                .expect("what was acknowledged can be read")
                .remove(0);
            assert!(
                fetched.next_offset > offset,
                "round {round}: partition {partition} ends at {offset}, {last} was acknowledged"
            );
            for record in fetched.records {
                if let Some(value) = records.remove(&record.offset) {
                    assert_eq!(
                        record.value.as_deref(),
                        Some(value.as_bytes()),
                        "round {round}: partition {partition}, offset {}",
                        record.offset
                    );
                }
            }
            offset = fetched.next_offset;
        }
        assert!(
            records.is_empty(),
            "round {round}: partition {partition} lost {:?}",
            records.keys()
        );
    }
    let partition = TopicPartition::new("kept", 0);
    for (group, (acknowledged, sent)) in &mut acknowledged.bookmarks {
        let found = client
            .committed(group, Some(std::slice::from_ref(&partition)))
            .expect("bookmarks can be read");
        let found = found.get(&partition).map_or(-1, |found| found.offset);
        assert!(
            (*acknowledged..=*sent).contains(&found),
            "round {round}: {group} is at {found}; {acknowledged} was acknowledged, {sent} sent"
        );
        // From here on the bookmark goes.
        (*acknowledged, *sent) = (found, (*sent).max(found));
    }
}

#[test]
fn whatever_was_acknowledged_survives_kill_9_again_and_again() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let rounds = number("CATCHWORD_KILL_ROUNDS").unwrap_or(25);
    let mut seed = number("CATCHWORD_KILL_SEED").unwrap_or(1) | 1;
    // Small segments, so that they are closed, compacted and deleted while the broker is killed.
    let mut broker = Broker::start(&[
        "offsets.topic.segment.bytes=65536",
        "offsets.history.all.ms=0",
        "log.segment.bytes=1048576",
    ]);
    let mut create = binary();
    create.env("CATCHWORD_BOOTSTRAP", broker.address());
    create.args(["topics", "create", "kept", "--partitions", "3"]);
    run(&mut create, "").ok();
    let acknowledged = Mutex::new(Acknowledged::default());
    let log = broker.data().with_file_name("broker.log");
    let is_compacted = || {
        let said = std::fs::read_to_string(&log).unwrap();
        said.contains("compacted a log")
    };
    let mut round = 0;
    // On a busy machine compaction takes longer to come.
    while round < rounds || (rounds >= 25 && round < 4 * rounds && !is_compacted()) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        // Now and then long enough for the housekeeping, which takes a step a second.
        let most = if round % 4 == 3 { 2500 } else { 400 };
        load(
            &mut broker,
            round,
            Duration::from_millis(50 + seed % most),
            &acknowledged,
        );
        broker.restart();
        check(&broker, round, &mut acknowledged.lock().unwrap());
        round += 1;
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    let commits: i64 = acknowledged.bookmarks.values().map(|(n, _)| n).sum();
    assert!(commits > rounds as i64, "hardly anything was committed");
    assert!(rounds < 25 || is_compacted(), "there was no compaction");
}
