//! Our records against those that Apache Kafka 4.3.1 wrote.

use std::collections::{BTreeMap, BTreeSet};

use catchword_coordinator::{GroupConfig, GroupShard, Output};

use crate::driver::{Driver, commit, commit_topic};

const KAFKA: &str = include_str!("../bytes/kafka-4.3.1.txt");

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn kafkas_records() -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    KAFKA
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let value = (fields[2] != "null").then(|| unhex(fields[2]));
            (unhex(fields[1]), value)
        })
        .collect()
}

#[test]
fn s3_s4_s5_s6_kafkas_own_log_is_read_and_what_is_alive_is_written_back_byte_for_byte() {
    let mut shard = GroupShard::new(GroupConfig::default(), 1);
    let mut alive = BTreeMap::new();
    for (key, value) in kafkas_records() {
        shard.replay(0, &key, value.as_deref(), &[]).unwrap();
        match value {
            Some(value) => alive.insert(key, value),
            None => alive.remove(&key),
        };
    }
    let dumped: BTreeMap<Vec<u8>, Vec<u8>> = shard
        .dump_records()
        .into_iter()
        .map(|record| (record.key.to_vec(), record.value.unwrap().to_vec()))
        .collect();
    assert_eq!(dumped, alive);
    // Three groups: the deleted one is gone, the one whose offsets were deleted is not in the log any more.
    assert_eq!(alive.len(), 2 + 2 + 2);
}

#[test]
fn s4_a_reset_is_written_as_kafka_writes_it() {
    let kafka = kafkas_records();
    let (key, value) = &kafka[20];
    let value = value.as_ref().unwrap();
    let mut driver = Driver::new();
    driver.now_ms = i64::from_be_bytes(value[15..23].try_into().unwrap());
    let mut request = commit("classic", "", -1, 3);
    request.topics = vec![commit_topic("orders", &[(0, 3)])];
    request.topics[0].topic_id.0 = value[26..42].try_into().unwrap();
    driver.commit(request);
    let record = &driver.log[0].1;
    assert_eq!(
        (record.key.to_vec(), record.value.as_ref().unwrap().to_vec()),
        (key.clone(), value.clone())
    );
}

#[test]
fn s7_unknown_record_types_are_reported_and_change_nothing() {
    let mut shard = GroupShard::new(GroupConfig::default(), 1);
    // Two that Kafka does not use (9, 18), one from the future.
    for key_type in [9i16, 18, 99] {
        let error = shard
            .replay(0, &key_type.to_be_bytes(), Some(&[0, 0]), &[])
            .unwrap_err();
        assert_eq!(error.to_string(), format!("unknown record type {key_type}"));
    }
    assert_eq!(shard.counts(), (0, 0));
    let mut out = Output::default();
    shard.loaded(0, &mut out);
    assert!(out.effects.is_empty() && out.records.is_empty());
}

/// At every moment of Kafka's log, what it says is alive is what we would write. Which types of records there were, and
/// of which tombstones.
fn written_back(kafkas: &str) -> BTreeSet<(u8, bool)> {
    let mut shard = GroupShard::new(GroupConfig::default(), 1);
    let mut alive = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let lines = kafkas.lines().filter(|l| !l.starts_with('#'));
    for line in lines {
        let fields: Vec<&str> = line.split(' ').collect();
        let (key, value) = (unhex(fields[1]), fields[2]);
        let value = (value != "null").then(|| unhex(value));
        seen.insert((key[1], value.is_some()));
        shard.replay(0, &key, value.as_deref(), &[]).unwrap();
        match value {
            Some(value) => alive.insert(key, value),
            None => alive.remove(&key),
        };
        let dumped = shard.dump_records().into_iter();
        let dumped: BTreeMap<Vec<u8>, Vec<u8>> = dumped
            .map(|record| (record.key.to_vec(), record.value.unwrap().to_vec()))
            .collect();
        for (key, value) in &alive {
            assert_eq!(dumped.get(key), Some(value), "{}", line);
        }
    }
    seen
}

#[test]
fn kafkas_own_consumer_groups_are_read_and_written_back_byte_for_byte() {
    let seen = written_back(include_str!("../bytes/kafka-4.3.1-consumer.txt"));
    let records = [3, 5, 6, 7, 8, 16].map(|key_type| (key_type, true));
    let tombstones = [5, 7, 8].map(|key_type| (key_type, false));
    assert!(seen.is_superset(&records.into_iter().chain(tombstones).collect()));
}

#[test]
fn kafkas_own_streams_groups_are_read_and_written_back_byte_for_byte() {
    let seen = written_back(include_str!("../bytes/kafka-4.3.1-streams.txt"));
    let records = [17, 19, 20, 21, 22, 23].map(|key_type| (key_type, true));
    let tombstones = [19, 21, 22].map(|key_type| (key_type, false));
    assert_eq!(seen, records.into_iter().chain(tombstones).collect());
}
