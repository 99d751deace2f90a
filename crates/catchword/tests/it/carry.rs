//! Groups that go on in another cluster, whose copies of the topics have offsets of their own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use catchword_client::{Acks, Client, ClientOptions, CommitAs, NewCommit, TopicPartition};
use catchword_wire::batch::{Compression, NewRecord};

use crate::harness::{Broker, Outcome, binary, run};

const GROUP: &str = "billing";

/// Two clusters with a topic `orders` of three partitions.
struct Clusters {
    old: Broker,
    new: Broker,
}

impl Clusters {
    fn start() -> Clusters {
        let clusters = Clusters {
            old: Broker::start(&[]),
            new: Broker::start(&[]),
        };
        for broker in [&clusters.old, &clusters.new] {
            catchword(broker, &["topics", "create", "orders", "--partitions", "3"]).ok();
        }
        clusters
    }

    fn carry(&self, more: &[&str]) -> Outcome {
        let (old, new) = (self.old.address(), self.new.address());
        let mut command = binary();
        command.args(["carry", GROUP, "--from", &old, "--to", &new]);
        run(command.args(more), "")
    }
}

fn catchword(broker: &Broker, words: &[&str]) -> Outcome {
    let mut command = binary();
    command.env("CATCHWORD_BOOTSTRAP", broker.address());
    run(command.args(words), "")
}

fn client(broker: &Broker) -> Client {
    Client::connect(ClientOptions::to(broker.address())).unwrap()
}

/// When record 0 was written, in all clusters: within retention, and not in the future.
fn begun_ms() -> i64 {
    static BEGUN: OnceLock<i64> = OnceLock::new();
    *BEGUN.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        i64::try_from(now.as_millis()).unwrap() - 3_600_000
    })
}

/// Writes records, each at the time that its number says.
fn write(broker: &Broker, partition: i32, numbers: impl IntoIterator<Item = i64>) {
    let mut client = client(broker);
    let mut producer = client.producer(Acks::All, Compression::None).unwrap();
    let place = TopicPartition::new("orders", partition);
    for number in numbers {
        let value = number.to_string();
        let record = NewRecord {
            timestamp: begun_ms() + number,
            key: Some(b"key"),
            value: Some(value.as_bytes()),
            headers: &[],
        };
        client.produce(&mut producer, &place, &[record]).unwrap();
    }
}

fn commit(broker: &Broker, offsets: [i64; 3]) {
    let commits: Vec<NewCommit> = (0..)
        .zip(offsets)
        .map(|(partition, offset)| NewCommit::new(TopicPartition::new("orders", partition), offset))
        .collect();
    let committed = client(broker).commit(GROUP, CommitAs::Outsider, &commits);
    committed.unwrap();
}

fn committed(broker: &Broker) -> Vec<i64> {
    let found = client(broker).committed(GROUP, None).unwrap();
    found.values().map(|place| place.offset).collect()
}

#[test]
fn a_group_goes_on_at_the_same_record_whatever_its_offset_is_there() {
    let clusters = Clusters::start();
    for partition in 0..3 {
        write(&clusters.old, partition, 0..20);
    }
    // The copy of partition 0 began late, of 1 it has one record twice, of 2 it is not complete.
    write(&clusters.new, 0, 5..20);
    write(&clusters.new, 1, (0..10).chain(9..20));
    write(&clusters.new, 2, 0..8);
    commit(&clusters.old, [12, 12, 12]);
    let preview = clusters.carry(&[]);
    assert!(preview.err.contains("Nothing was changed"), "{preview:?}");
    let table = preview.ok();
    assert!(
        table.contains("same record") && table.contains("not there yet"),
        "{table}"
    );
    assert!(
        committed(&clusters.new).is_empty(),
        "a preview changes nothing"
    );
    clusters.carry(&["--yes"]).ok();
    assert_eq!(committed(&clusters.new), [7, 13, 8]);
    assert_eq!(
        committed(&clusters.old),
        [12, 12, 12],
        "the old cluster is only read"
    );
}

#[test]
fn a_group_that_has_read_all_goes_on_behind_the_last_record() {
    let clusters = Clusters::start();
    write(&clusters.old, 0, 0..5);
    write(&clusters.new, 0, 3..9);
    // The last record that was read is gone from the copy of partition 1; what follows is there.
    write(&clusters.old, 1, 0..5);
    write(&clusters.new, 1, [0, 1, 4]);
    commit(&clusters.old, [5, 4, 0]);
    let carried = clusters.carry(&["--yes", "--json"]).ok();
    let carried: serde_json::Value = serde_json::from_str(&carried).unwrap();
    let how = |n: usize| {
        carried["partitions"][n]["remark"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        [how(0), how(1), how(2)],
        ["last record", "next record", "empty"]
    );
    assert_eq!(committed(&clusters.new), [2, 2, 0]);
}

#[test]
fn topics_that_are_not_there_or_are_cut_otherwise_are_refused() {
    let clusters = Clusters::start();
    write(&clusters.old, 0, 0..2);
    commit(&clusters.old, [1, 0, 0]);
    let same = clusters.old.address();
    let mut onto_itself = binary();
    onto_itself.args(["carry", GROUP, "--from", &same, "--to", &same]);
    assert!(run(&mut onto_itself, "").failed(2).contains("same cluster"));
    catchword(&clusters.new, &["topics", "delete", "orders", "--yes"]).ok();
    let err = clusters.carry(&["--yes"]).failed(1);
    assert!(
        err.contains("no topic orders") && err.contains("Nothing was changed"),
        "{err}"
    );
    catchword(
        &clusters.new,
        &["topics", "create", "orders", "--partitions", "4"],
    )
    .ok();
    let err = clusters.carry(&["--yes"]).failed(1);
    assert!(err.contains("3 partitions here and 4 there"), "{err}");
}
