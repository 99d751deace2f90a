//! Kafka's metadata, replayed.

use std::collections::BTreeMap;
use std::fs;

use catchword_wire::batch::Batch;
use catchword_wire::records::{NoOpRecord, PartitionChangeRecord, RemoveTopicRecord};
use catchword_wire::{Encoder, Uuid};

use super::kafka_dir::{KafkaDir, ORDERS, config, frame, metadata_batch, partition, topic};
use crate::metadata::KafkaMetadata;
use crate::source::read_metadata;

fn replayed(records: &[Vec<u8>]) -> Result<KafkaMetadata, String> {
    let mut metadata = KafkaMetadata::default();
    metadata.apply_batch(&Batch::parse(&metadata_batch(0, records)).unwrap(), 0)?;
    Ok(metadata)
}

fn names(metadata: &KafkaMetadata) -> Vec<&str> {
    metadata
        .topics
        .values()
        .map(|topic| topic.name.as_str())
        .collect()
}

/// The marks of a metadata transaction: they have no fields that must be there.
fn mark(kind: u32) -> Vec<u8> {
    frame(kind, 0, &NoOpRecord::default())
}

#[test]
fn a_metadata_transaction_counts_when_it_ends_and_not_if_it_is_aborted() {
    let (begin, end, abort) = (mark(23), mark(24), mark(25));
    let (a, b, c) = (
        topic("a", Uuid([1; 16])),
        topic("b", Uuid([2; 16])),
        topic("c", Uuid([3; 16])),
    );
    let ended = replayed(&[begin.clone(), a.clone(), end, b.clone()]).unwrap();
    assert_eq!(names(&ended), ["a", "b"]);
    let aborted = replayed(&[begin.clone(), a.clone(), abort, b]).unwrap();
    assert_eq!(names(&aborted), ["b"]);
    assert_eq!(
        names(&replayed(&[a, begin, c]).unwrap()),
        ["a"],
        "it never ended"
    );
}

#[test]
fn a_leader_epoch_grows_when_a_leader_is_named_and_not_otherwise() {
    let change = |leader| {
        frame(
            5,
            0,
            &PartitionChangeRecord {
                partition_id: 0,
                topic_id: ORDERS,
                leader,
                ..PartitionChangeRecord::default()
            },
        )
    };
    let first = frame(3, 0, &partition(ORDERS, 0, 3));
    let metadata = replayed(&[
        topic("orders", ORDERS),
        first,
        change(-2),
        change(1),
        change(-1),
    ])
    .unwrap();
    assert_eq!(metadata.topics[&ORDERS].partitions[&0].leader_epoch, 5);
}

#[test]
fn a_removed_topic_takes_its_settings_with_it() {
    let metadata = replayed(&[
        topic("orders", ORDERS),
        config(2, "orders", "retention.ms", "1"),
        frame(9, 0, &RemoveTopicRecord { topic_id: ORDERS }),
    ])
    .unwrap();
    assert!(metadata.topics.is_empty() && metadata.configs.is_empty());
}

#[test]
fn a_record_that_is_not_known_is_an_error_and_no_guess() {
    let mut unknown = Encoder::with_capacity(4);
    [1, 99, 0]
        .into_iter()
        .for_each(|number| unknown.uvarint(number));
    let error = replayed(&[unknown.into_bytes().unwrap().to_vec()]).unwrap_err();
    assert!(error.contains("record type 99"), "{error}");
    let newer = frame(2, 0, &NoOpRecord::default());
    let newer = [&[1, 2, 9], &newer[3..]].concat();
    assert!(
        replayed(&[newer]).unwrap_err().contains("version"),
        "a newer version of a known record"
    );
}

fn snapshot(dir: &KafkaDir, end: i64, records: &[Vec<u8>]) {
    let name = format!("{end:020}-0000000001.checkpoint");
    fs::write(dir.metadata().join(name), metadata_batch(0, records)).unwrap();
}

/// A log that begins at `base`.
fn log(dir: &KafkaDir, base: i64, records: &[Vec<u8>]) {
    fs::remove_file(dir.metadata().join("00000000000000000000.log")).unwrap();
    fs::write(
        dir.metadata().join(format!("{base:020}.log")),
        metadata_batch(base, records),
    )
    .unwrap();
}

#[test]
fn the_log_goes_on_where_the_newest_snapshot_ends() {
    let dir = KafkaDir::new();
    let set = |value: &str| config(2, "orders", "retention.ms", value);
    snapshot(&dir, 50, &[topic("orders", ORDERS), set("1")]);
    snapshot(
        &dir,
        99,
        &[
            topic("orders", ORDERS),
            set("2"),
            config(2, "orders", "segment.ms", "5"),
        ],
    );
    log(&dir, 98, &[set("old"), set("3")]);
    let metadata = read_metadata(&dir.metadata()).unwrap();
    let wanted = [("retention.ms", "3"), ("segment.ms", "5")];
    let wanted: BTreeMap<String, String> = wanted
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    assert_eq!(metadata.configs[&(2, "orders".to_owned())], wanted);
}

#[test]
fn a_damaged_snapshot_is_passed_over_only_if_an_older_one_and_the_log_do() {
    let dir = KafkaDir::new();
    snapshot(&dir, 50, &[topic("orders", ORDERS)]);
    fs::write(
        dir.metadata()
            .join("00000000000000000099-0000000001.checkpoint"),
        [7; 100],
    )
    .unwrap();
    log(&dir, 50, &[config(2, "orders", "retention.ms", "1")]);
    let metadata = read_metadata(&dir.metadata()).unwrap();
    assert_eq!(
        (names(&metadata), metadata.configs.len()),
        (vec!["orders"], 1)
    );
    fs::remove_file(
        dir.metadata()
            .join("00000000000000000050-0000000001.checkpoint"),
    )
    .unwrap();
    let error = read_metadata(&dir.metadata()).unwrap_err().to_string();
    assert!(error.contains("begins at offset 50"), "{error}");
}

#[test]
fn a_torn_end_of_the_metadata_log_was_never_acknowledged() {
    let dir = KafkaDir::new();
    let path = dir.metadata().join("00000000000000000000.log");
    let mut bytes = fs::read(&path).unwrap();
    let next = metadata_batch(dir.records.len() as i64, &[topic("torn", Uuid([9; 16]))]);
    bytes.extend(&next[..next.len() - 3]);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(read_metadata(&dir.metadata()).unwrap().topics.len(), 2);
    bytes[70] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let metadata = read_metadata(&dir.metadata());
    assert!(
        metadata.is_err() || metadata.unwrap().topics.is_empty(),
        "damage is not passed over"
    );
}
