//! Transactions that nobody knows, markers of coordinators that are over, offsets that wait for an end, and ends that give
//! the producer its next epoch (KIP-890).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use catchword_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use catchword_wire::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic,
};
use catchword_wire::messages::{
    DescribeTransactionsRequest, OffsetFetchRequest, WriteTxnMarkersRequest,
};
use catchword_wire::{ErrorCode, Str};

use super::producer::{Asker, NOBODY, Producer};
use super::wire::{GROUP, Wire};
use super::{Answers, are, code};
use crate::harness::{Cluster, wait_until};

const COMMIT: bool = true;
const ABORT: bool = false;

fn describe(asker: &mut Asker, id: &Str) -> ErrorCode {
    let request = DescribeTransactionsRequest {
        transactional_ids: vec![id.clone()],
    };
    let response = asker.wire.call(&request, 0);
    code(response.transaction_states[0].error_code)
}

/// Ends a transaction in one partition, as a coordinator of this epoch.
fn mark(
    asker: &mut Asker,
    topic: &str,
    partition: i32,
    producer: Producer,
    coordinator_epoch: i32,
) -> ErrorCode {
    let request = WriteTxnMarkersRequest {
        markers: vec![WritableTxnMarker {
            producer_id: producer.0,
            producer_epoch: producer.1,
            transaction_result: ABORT,
            topics: vec![WritableTxnMarkerTopic {
                name: Str::copy(topic),
                partition_indexes: vec![partition],
            }],
            coordinator_epoch,
            ..WritableTxnMarker::default()
        }],
    };
    let mut answer = ErrorCode::None;
    // A new partition is led a little later than it is known of.
    wait_until("the partition is led", || {
        let response = asker.wire.call(&request, 1);
        answer = code(response.markers[0].topics[0].partitions[0].error_code);
        answer != ErrorCode::NotLeaderOrFollower
    });
    answer
}

#[test]
fn markers_and_questions_of_nobody_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("markers");
    let mut asker = Asker::new(&cluster);
    let (id, topic) = (asker.id.clone(), asker.topic.clone());
    // The topic of committed offsets is made by the first that needs it.
    Wire::to(&cluster, GROUP, &asker.group);
    asker.begin();
    let (given, (producer, epoch)) = asker.init(None, 60_000, NOBODY);
    assert_eq!(given, ErrorCode::None);
    let now = (producer, epoch + 1);
    let unknown = Str::from(cluster.name("nobody"));
    let mut answers: Answers = vec![
        ("describe: unknown", describe(&mut asker, &unknown)),
        ("describe: no id", describe(&mut asker, &Str::EMPTY)),
        ("describe", describe(&mut asker, &id)),
    ];
    let mut mark = |what, topic: &str, partition, producer, epoch| {
        let answer = mark(&mut asker, topic, partition, producer, epoch);
        answers.push((what, answer));
    };
    mark("no topic", "no-such-topic", 0, now, 5);
    mark("no partition", &topic, 7, now, 5);
    mark("a marker", &topic, 0, now, 5);
    mark("the producer before", &topic, 0, (producer, epoch), 5);
    mark("the coordinator before", &topic, 0, now, 4);
    mark("the next coordinator", &topic, 0, now, 6);
    mark("offsets: a marker", "__consumer_offsets", 0, now, 5);
    mark(
        "offsets: the producer before",
        "__consumer_offsets",
        0,
        (producer, epoch),
        5,
    );
    mark(
        "offsets: the coordinator before",
        "__consumer_offsets",
        0,
        now,
        4,
    );
    are(
        &answers,
        &[
            ErrorCode::TransactionalIdNotFound,
            ErrorCode::InvalidRequest,
            ErrorCode::None,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::None,
            ErrorCode::InvalidProducerEpoch,
            ErrorCode::TransactionCoordinatorFenced,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::InvalidProducerEpoch,
            ErrorCode::TransactionCoordinatorFenced,
        ],
    );
}

/// Where the group is: the error, and the offset.
fn place(asker: &mut Asker, named: bool, require_stable: bool) -> (ErrorCode, i64) {
    let topics = OffsetFetchRequestTopics {
        name: asker.topic.clone(),
        partition_indexes: vec![0],
        ..OffsetFetchRequestTopics::default()
    };
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: asker.group.clone(),
            topics: named.then(|| vec![topics]),
            ..OffsetFetchRequestGroup::default()
        }],
        require_stable,
        ..OffsetFetchRequest::default()
    };
    let mut offset = -1;
    let error = asker.wire.patiently(|wire| {
        let response = wire.call(&request, 8);
        let group = &response.groups[0];
        let Some(topic) = group.topics.first() else {
            return group.error_code;
        };
        offset = topic.partitions[0].committed_offset;
        topic.partitions[0].error_code
    });
    (error, offset)
}

#[test]
fn offsets_that_wait_for_an_end_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("unstable");
    let mut asker = Asker::new(&cluster);
    let id = asker.id.clone();
    Wire::to(&cluster, GROUP, &asker.group);
    let producer = asker.begin();
    let go_on = |asker: &mut Asker| -> Answers {
        vec![
            ("offsets of a group", asker.add_offsets(&id, producer)),
            ("commit", asker.commit(producer, "", -1)),
            ("a stable place", place(asker, true, true).0),
            ("any place", place(asker, true, false).0),
            ("all stable places", place(asker, false, true).0),
            ("the end", asker.end(&id, producer, COMMIT)),
        ]
    };
    let first = go_on(&mut asker);
    // The marker comes to the group's coordinator a little later than the end is answered.
    wait_until("the place is stable", || {
        place(&mut asker, true, true) == (ErrorCode::None, 1)
    });
    let second = go_on(&mut asker);
    let begun = [
        ErrorCode::None,
        ErrorCode::None,
        ErrorCode::UnstableOffsetCommit,
        ErrorCode::None,
    ];
    // What was never committed is not one of all the group's places.
    are(&first, &[&begun[..], &[ErrorCode::None; 2]].concat());
    let again = [ErrorCode::UnstableOffsetCommit, ErrorCode::None];
    are(&second, &[&begun[..], &again].concat());
}

#[test]
fn ends_that_give_an_epoch_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("ends");
    let mut asker = Asker::new(&cluster);
    let id = asker.id.clone();
    let unknown = Str::from(cluster.name("nobody"));
    let first = asker.begin();
    let mut answers: Answers = vec![(
        "commit what was not begun",
        asker.end_by(5, &id, first, COMMIT).0,
    )];
    let (aborted, second) = asker.end_by(5, &id, first, ABORT);
    assert_eq!(second, (first.0, first.1 + 1));
    answers.extend([
        ("abort what was not begun", aborted),
        ("the epoch before", asker.add(&id, first)),
        (
            "a partition that an older client did not add",
            asker.produce_by(11, Some(id.clone()), second, 0),
        ),
        (
            "the epoch before writes",
            asker.produce_by(12, Some(id.clone()), first, 0),
        ),
        ("write", asker.produce_by(12, Some(id.clone()), second, 0)),
    ]);
    let (committed, third) = asker.end_by(5, &id, second, COMMIT);
    assert_eq!(third, (second.0, second.1 + 1));
    let (again, same) = asker.end_by(5, &id, second, COMMIT);
    assert_eq!(same, third, "who asks again hears the same");
    answers.extend([
        ("commit", committed),
        ("the same again", again),
        (
            "abort what was committed",
            asker.end_by(5, &id, second, ABORT).0,
        ),
        (
            "commit the next, not begun",
            asker.end_by(5, &id, third, COMMIT).0,
        ),
        ("an epoch long gone", asker.end_by(5, &id, first, ABORT).0),
        (
            "an epoch to come",
            asker.end_by(5, &id, (third.0, third.1 + 5), ABORT).0,
        ),
        (
            "another producer",
            asker.end_by(5, &id, (third.0 + 1_000_000, 0), ABORT).0,
        ),
        ("nobody's", asker.end_by(5, &unknown, third, ABORT).0),
        ("no id", asker.end_by(5, &Str::EMPTY, third, ABORT).0),
    ]);
    are(
        &answers,
        &[
            ErrorCode::InvalidTxnState,
            ErrorCode::None,
            ErrorCode::ProducerFenced,
            ErrorCode::TransactionAbortable,
            ErrorCode::InvalidProducerEpoch,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::InvalidTxnState,
            ErrorCode::InvalidTxnState,
            ErrorCode::ProducerFenced,
            ErrorCode::ProducerFenced,
            ErrorCode::InvalidProducerIdMapping,
            ErrorCode::InvalidProducerIdMapping,
            ErrorCode::InvalidRequest,
        ],
    );
}
