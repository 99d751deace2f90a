//! Wrong sequences, fenced producers, transactions that overlap or were never begun.

use catchword_wire::{ErrorCode, Str};

use super::producer::{Asker, NOBODY};
use super::{Answers, are};
use crate::harness::Cluster;

#[test]
fn wrong_sequences_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("sequences");
    let mut asker = Asker::new(&cluster);
    let (given, (id, epoch)) = asker.init(None, 60_000, NOBODY);
    assert_eq!(given, ErrorCode::None);
    let mut send = |what, epoch, sequence| (what, asker.produce(None, (id, epoch), sequence));
    let answers = vec![
        send("the first", epoch, 0),
        send("the same again", epoch, 0),
        send("one is left out", epoch, 2),
        send("the next", epoch, 1),
        send("a new epoch that does not begin at 0", epoch + 1, 2),
        send("a new epoch", epoch + 1, 0),
        send("the epoch before", epoch, 2),
    ];
    are(
        &answers,
        &[
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::OutOfOrderSequenceNumber,
            ErrorCode::None,
            ErrorCode::OutOfOrderSequenceNumber,
            ErrorCode::None,
            ErrorCode::InvalidProducerEpoch,
        ],
    );
}

#[test]
fn producers_that_cannot_be_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("producers");
    let mut asker = Asker::new(&cluster);
    let id = asker.id.clone();
    let mut init = |what, id: Option<&Str>, timeout_ms, now| {
        (what, asker.init(id.cloned(), timeout_ms, now).0)
    };
    let answers: Answers = vec![
        init(
            "an empty transactional id",
            Some(&Str::EMPTY),
            60_000,
            NOBODY,
        ),
        init("no time at all", Some(&id), 0, NOBODY),
        init("too much time", Some(&id), i32::MAX, NOBODY),
        init("an id without an epoch", Some(&id), 60_000, (7, -1)),
        init("an epoch without an id", Some(&id), 60_000, (-1, 7)),
    ];
    are(
        &answers,
        &[
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidTransactionTimeout,
            ErrorCode::InvalidTransactionTimeout,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
        ],
    );
}

#[test]
fn unknown_and_fenced_producers_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("fenced");
    let mut asker = Asker::new(&cluster);
    let id = asker.id.clone();
    let (producer, epoch) = asker.begin();
    let next = asker.begin();
    assert_eq!(next, (producer, epoch + 1));
    let (old, early) = ((producer, epoch), (producer, epoch + 2));
    let other = (producer + 1_000_000, 0);
    let unknown = Str::from(cluster.name("nobody"));
    let answers: Answers = vec![
        (
            "add: an unknown transactional id",
            asker.add(&unknown, next),
        ),
        ("add: another producer's id", asker.add(&id, other)),
        ("add: the epoch before", asker.add(&id, old)),
        ("add: an epoch that was never given", asker.add(&id, early)),
        (
            "offsets: an unknown transactional id",
            asker.add_offsets(&unknown, next),
        ),
        (
            "offsets: another producer's id",
            asker.add_offsets(&id, other),
        ),
        ("offsets: the epoch before", asker.add_offsets(&id, old)),
        (
            "end: an unknown transactional id",
            asker.end(&unknown, next, true),
        ),
        ("end: another producer's id", asker.end(&id, other, true)),
        ("end: the epoch before", asker.end(&id, old, true)),
        ("end: nothing was begun", asker.end(&id, next, true)),
        (
            "begin again as it was",
            asker.init(Some(id.clone()), 60_000, old).0,
        ),
        (
            "begin again as another",
            asker.init(Some(id.clone()), 60_000, other).0,
        ),
    ];
    are(
        &answers,
        &[
            ErrorCode::InvalidProducerIdMapping,
            ErrorCode::InvalidProducerIdMapping,
            ErrorCode::ProducerFenced,
            ErrorCode::ProducerFenced,
            ErrorCode::InvalidProducerIdMapping,
            ErrorCode::InvalidProducerIdMapping,
            ErrorCode::ProducerFenced,
            ErrorCode::InvalidProducerIdMapping,
            ErrorCode::InvalidProducerIdMapping,
            ErrorCode::ProducerFenced,
            ErrorCode::InvalidTxnState,
            ErrorCode::ProducerFenced,
            ErrorCode::ProducerFenced,
        ],
    );
}

#[test]
fn transactions_that_overlap_or_were_not_begun_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("overlap");
    let mut asker = Asker::new(&cluster);
    let id = asker.id.clone();
    let first = asker.begin();
    let mut answers: Answers = vec![
        (
            "a partition that was not added",
            asker.produce(Some(id.clone()), first, 0),
        ),
        ("add it", asker.add(&id, first)),
        ("write to it", asker.produce(Some(id.clone()), first, 0)),
        (
            "begin another",
            asker.init(Some(id.clone()), 60_000, NOBODY).0,
        ),
    ];
    let second = asker.begin();
    answers.extend([
        (
            "the first goes on",
            asker.produce(Some(id.clone()), first, 1),
        ),
        ("the first ends", asker.end(&id, first, true)),
        ("the second begins", asker.add(&id, second)),
        (
            "the second writes",
            asker.produce(Some(id.clone()), second, 0),
        ),
        ("the second commits", asker.end(&id, second, true)),
        ("it commits again", asker.end(&id, second, true)),
        (
            "it aborts what it has committed",
            asker.end(&id, second, false),
        ),
        ("offsets of a group", asker.add_offsets(&id, second)),
        ("a generation nobody has", asker.commit(second, "", 3)),
        ("a member nobody knows", asker.commit(second, "m", 3)),
        (
            "offsets by nobody in the group",
            asker.commit(second, "", -1),
        ),
        ("offsets by the first", asker.commit(first, "", -1)),
        ("the end", asker.end(&id, second, true)),
    ]);
    are(
        &answers,
        &[
            ErrorCode::InvalidTxnState,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::ConcurrentTransactions,
            ErrorCode::InvalidProducerEpoch,
            ErrorCode::ProducerFenced,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::InvalidTxnState,
            ErrorCode::None,
            ErrorCode::IllegalGeneration,
            ErrorCode::IllegalGeneration,
            ErrorCode::None,
            ErrorCode::InvalidProducerEpoch,
            ErrorCode::None,
        ],
    );
}
