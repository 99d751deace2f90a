//! What is refused, and what is named because it does not come along.

use std::fs;

use catchword_log::{LocalEngine, LocalOptions, LogError};
use catchword_wire::batch::{BatchBuilder, NewRecord};
use catchword_wire::records::{
    AccessControlEntryRecord, ClientQuotaRecord, LeaderChangeMessage, PartitionRecord,
    TransactionLogValue, UserScramCredentialRecord, leader_change_message::Voter,
};
use catchword_wire::{Encoder, Message, Uuid};

use super::kafka_dir::{
    KafkaDir, OFFSETS, ORDERS, OWN_DIRECTORY, Pair, batch, broker, config, controller, feature,
    frame, group_key, partition, topic, tree,
};
use crate::{AdoptError, Remark, State, Survey, Weight, adopt_in_place};

fn survey(dir: &KafkaDir) -> Vec<Remark> {
    let before = tree(dir.path());
    let remarks = Survey::of(dir.path()).unwrap().remarks;
    assert_eq!(tree(dir.path()), before, "a survey changes nothing");
    remarks
}

#[track_caller]
fn assert_said(dir: &KafkaDir, weight: Weight, what: &str) {
    let remarks = survey(dir);
    let found = remarks.iter().find(|remark| remark.what.contains(what));
    let found = found.unwrap_or_else(|| panic!("{what:?} is not in {remarks:#?}"));
    assert_eq!(found.weight, weight, "{what}");
    assert!(!found.advice.is_empty());
    let adopted = adopt_in_place(Survey::of(dir.path()).unwrap(), &mut |_| true);
    match weight {
        Weight::Refusal => {
            assert!(
                matches!(adopted, Err(AdoptError::Refused(_))),
                "{what}: {adopted:?}"
            );
            assert_eq!(State::of(dir.path()).unwrap(), State::Kafkas);
        }
        _ => adopted.unwrap(),
    }
}

#[test]
fn a_plain_directory_has_nothing_against_it_and_loses_nothing() {
    let dir = KafkaDir::new();
    let survey = Survey::of(dir.path()).unwrap();
    assert_eq!(survey.remarks, []);
    assert_eq!(
        (survey.clean, survey.node_id, survey.offsets, survey.groups),
        (true, 1, 1, 1)
    );
    let topics: Vec<_> = survey
        .topics
        .iter()
        .map(|t| (t.name.as_str(), t.id, t.partitions))
        .collect();
    assert_eq!(
        topics,
        [("__consumer_offsets", OFFSETS, 1), ("orders", ORDERS, 2)]
    );
}

#[test]
fn what_would_make_it_unsafe_is_refused() {
    let elsewhere = PartitionRecord {
        replicas: vec![1, 2],
        ..partition(ORDERS, 0, 0)
    };
    let other_directory = PartitionRecord {
        directories: vec![Uuid([0xee; 16])],
        ..partition(ORDERS, 2, 0)
    };
    let cases = [
        ("other brokers: 2", vec![broker(2, &[])]),
        ("other controllers: 3", vec![controller(3)]),
        (
            "several log directories",
            vec![broker(1, &[OWN_DIRECTORY, Uuid([3; 16])])],
        ),
        (
            "replicas on other nodes: orders",
            vec![frame(3, 1, &elsewhere)],
        ),
        (
            "in another log directory: orders-2",
            vec![frame(3, 1, &other_directory)],
        ),
        (
            "metadata.version at level 31",
            vec![feature("metadata.version", 31)],
        ),
        ("feature tea.version", vec![feature("tea.version", 1)]),
        (
            "tiered storage",
            vec![config(2, "orders", "remote.storage.enable", "true")],
        ),
        (
            "gaps",
            vec![
                topic("t", Uuid([5; 16])),
                frame(3, 1, &partition(Uuid([5; 16]), 1, 0)),
            ],
        ),
    ];
    for (what, records) in cases {
        assert_said(&KafkaDir::with(records), Weight::Refusal, what);
    }
}

#[test]
fn voters_that_the_quorum_noted_are_controllers_too() {
    let dir = KafkaDir::new();
    let change = LeaderChangeMessage {
        leader_id: 9,
        voters: vec![Voter {
            voter_id: 9,
            ..Voter::default()
        }],
        ..LeaderChangeMessage::default()
    };
    let mut e = Encoder::with_capacity(32);
    change.encode(&mut e, 0).unwrap();
    let value = e.into_bytes().unwrap();
    let mut builder = BatchBuilder::new(dir.records.len() as i64).control(true);
    builder
        .push(NewRecord {
            key: Some(&[0, 0, 0, 2]),
            value: Some(&value),
            ..NewRecord::default()
        })
        .unwrap();
    let path = dir.metadata().join("00000000000000000000.log");
    let bytes = [fs::read(&path).unwrap(), builder.build().unwrap().to_vec()].concat();
    fs::write(&path, bytes).unwrap();
    assert_said(&dir, Weight::Refusal, "other controllers: 9");
}

#[test]
fn a_lost_directory_is_refused_and_one_that_was_never_made_is_not() {
    let dir = KafkaDir::new();
    fs::remove_dir_all(dir.path().join("orders-1")).unwrap();
    assert_said(&dir, Weight::Note, "no directory yet: orders-1");
    let dir = KafkaDir::new();
    fs::remove_dir_all(dir.path().join("orders-1")).unwrap();
    fs::write(
        dir.path().join("replication-offset-checkpoint"),
        "0\n1\norders 1 7\n",
    )
    .unwrap();
    assert_said(&dir, Weight::Refusal, "are missing: orders-1");
}

#[test]
fn the_oldest_message_formats_are_refused() {
    let dir = KafkaDir::new();
    let mut bytes = batch(0, &[(None, Some(b"x"))]).to_vec();
    bytes[16] = 1;
    dir.write_log("orders-0", ORDERS, &bytes);
    assert_said(&dir, Weight::Refusal, "before 0.11: orders-0");
}

#[test]
fn a_partition_that_is_being_moved_is_refused() {
    let dir = KafkaDir::new();
    fs::create_dir(
        dir.path()
            .join("orders-0.0123456789abcdef0123456789abcdef-future"),
    )
    .unwrap();
    assert_said(&dir, Weight::Refusal, "being moved");
}

fn transactions(statuses: &[(&str, i8)]) -> KafkaDir {
    let id = Uuid([4; 16]);
    let dir = KafkaDir::with(vec![
        topic("__transaction_state", id),
        frame(3, 1, &partition(id, 0, 0)),
    ]);
    let records: Vec<(Vec<u8>, Vec<u8>)> = statuses
        .iter()
        .map(|(name, status)| {
            let value = TransactionLogValue {
                transaction_status: *status,
                ..TransactionLogValue::default()
            };
            let mut e = Encoder::with_capacity(64);
            value.encode(&mut e, 1).unwrap();
            let value = [&[0, 1], e.into_bytes().unwrap().as_ref()].concat();
            (group_key(0, name), value)
        })
        .collect();
    let records: Vec<_> = records
        .iter()
        .map(|(k, v)| (Some(k.as_slice()), Some(v.as_slice())))
        .collect();
    dir.write_log("__transaction_state-0", id, &batch(0, &records));
    dir
}

#[test]
fn an_open_transaction_is_refused_and_those_that_ended_come_along() {
    for open in [1, 2, 3, 7] {
        assert_said(
            &transactions(&[("a", 4), ("b", open)]),
            Weight::Refusal,
            "1 transaction is open: b",
        );
    }
    let ended = transactions(&[("a", 1), ("b", 1), ("a", 4), ("b", 5)]);
    let remarks = survey(&ended);
    assert!(remarks.is_empty(), "{remarks:#?}");
}

#[test]
fn what_does_not_come_along_is_named() {
    let acl = AccessControlEntryRecord {
        id: Uuid([6; 16]),
        ..AccessControlEntryRecord::default()
    };
    let scram = UserScramCredentialRecord {
        name: "alice".into(),
        mechanism: 1,
        ..UserScramCredentialRecord::default()
    };
    let quota = ClientQuotaRecord {
        key: "producer_byte_rate".into(),
        value: 1.0,
        ..ClientQuotaRecord::default()
    };
    let cases = [
        ("1 access rule", frame(18, 0, &acl)),
        ("1 SCRAM credential", frame(11, 0, &scram)),
        ("1 quota: producer_byte_rate", frame(14, 0, &quota)),
        (
            "the setting flux.capacity=88 of topic orders",
            config(2, "orders", "flux.capacity", "88"),
        ),
        (
            "the setting retention.ms=soon of topic orders",
            config(2, "orders", "retention.ms", "soon"),
        ),
        (
            "the setting no.such.key=1 of all brokers",
            config(4, "", "no.such.key", "1"),
        ),
        (
            "client metrics subscription m",
            config(16, "m", "interval.ms", "1"),
        ),
    ];
    for (what, record) in cases {
        assert_said(&KafkaDir::with(vec![record]), Weight::Left, what);
    }
}

#[test]
fn share_groups_are_named_as_long_as_they_stand() {
    const SHARE_GROUP: i16 = 11;
    let dir = KafkaDir::new();
    let mine = group_key(SHARE_GROUP, "mine");
    let gone = group_key(SHARE_GROUP, "gone");
    let records: [Pair<'_>; 3] = [
        (Some(&mine), Some(b"\0\0")),
        (Some(&gone), Some(b"\0\0")),
        (Some(&gone), None),
    ];
    dir.write_log("__consumer_offsets-0", OFFSETS, &batch(0, &records));
    assert_said(&dir, Weight::Left, "kind share: mine");
}

#[test]
fn directories_that_adopting_is_not_for_are_told_apart() {
    let said = |dir: &std::path::Path| Survey::of(dir).unwrap_err().to_string();
    let dir = tempfile::tempdir().unwrap();
    assert!(said(&dir.path().join("nowhere")).contains("no such directory"));
    assert!(said(dir.path()).contains("no meta.properties"));
    fs::write(
        dir.path().join("meta.properties"),
        "version=0\nbroker.id=3\ncluster.id=c\n",
    )
    .unwrap();
    assert!(said(dir.path()).contains("ZooKeeper"));
    fs::write(
        dir.path().join("meta.properties"),
        "version=1\nnode.id=1\ncluster.id=c\n",
    )
    .unwrap();
    assert!(said(dir.path()).contains("metadata.log.dir"));
    fs::create_dir(dir.path().join("__cluster_metadata-0")).unwrap();
    assert!(
        said(dir.path()).contains("adopted already"),
        "one of ours needs no adopting"
    );
}

#[test]
fn a_broker_that_runs_keeps_its_directory() {
    let dir = KafkaDir::new();
    let _engine = LocalEngine::open(dir.path(), LocalOptions::default()).unwrap();
    let refused = Survey::of(dir.path());
    assert!(
        matches!(refused, Err(AdoptError::Log(LogError::Locked { .. }))),
        "{refused:?}"
    );
}
