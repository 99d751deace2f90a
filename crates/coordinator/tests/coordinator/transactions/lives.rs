//! What becomes of producers and their transactions: new lives, epochs that run out, time, crashes.

use catchword_coordinator::ProducerEpoch;
use catchword_wire::ErrorCode;

use super::driver::{Coordinator, TV1, TV2};

const DAY: i64 = 24 * 60 * 60 * 1000;

#[test]
fn a_decision_survives_a_crash_and_its_markers_are_asked_for_until_they_are_written() {
    for commit in [true, false] {
        let mut coordinator = Coordinator::new();
        let producer = coordinator.init();
        coordinator.add(producer, 0);
        coordinator.add(producer, 1);
        let after = coordinator.end(TV2, producer, commit).unwrap();
        let asked = coordinator.ends.clone();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].partitions, [("t".into(), 0), ("t".into(), 1)]);
        assert_eq!(
            (asked[0].marker.producer, asked[0].marker.commit),
            (after, commit)
        );
        for _ in 0..2 {
            coordinator.restart();
            assert_eq!(coordinator.ends, asked);
        }
        coordinator.finish();
        coordinator.restart();
        assert_eq!(coordinator.ends, []);
        let state = if commit {
            "CompleteCommit"
        } else {
            "CompleteAbort"
        };
        assert_eq!(coordinator.state(), state);
    }
}

#[test]
fn an_undecided_transaction_survives_a_crash_and_goes_on() {
    let mut coordinator = Coordinator::new();
    let producer = coordinator.init();
    coordinator.add(producer, 0);
    coordinator.restart();
    assert_eq!(coordinator.ends, []);
    assert_eq!(coordinator.add(producer, 1), ErrorCode::None);
    assert!(coordinator.end(TV1, producer, true).is_ok());
    assert_eq!(coordinator.ends[0].partitions.len(), 2);
}

#[test]
fn a_second_life_aborts_what_the_first_left_and_fences_it() {
    let mut coordinator = Coordinator::new();
    let first = coordinator.init();
    coordinator.add(first, 0);
    assert!(coordinator.go_on(first).is_err());
    assert!(!coordinator.ends[0].marker.commit);
    assert!(coordinator.ends[0].marker.producer.epoch > first.epoch);
    coordinator.finish();
    let second = coordinator.init();
    assert_eq!((second.id, second.epoch), (first.id, first.epoch + 2));
    assert_eq!(
        coordinator.end(TV1, first, true),
        Err(ErrorCode::ProducerFenced)
    );
}

#[test]
fn a_producer_that_asks_twice_for_its_next_epoch_gets_the_same_one() {
    let mut coordinator = Coordinator::new();
    let first = coordinator.init();
    let second = coordinator.go_on(first).unwrap();
    assert_eq!(second.epoch, first.epoch + 1);
    assert_eq!(coordinator.go_on(first), Ok(second));
    // Another life in between: then the first is fenced.
    coordinator.init();
    assert_eq!(coordinator.go_on(first), Err(ErrorCode::ProducerFenced));
}

/// A producer whose epochs are nearly used up.
fn old(coordinator: &mut Coordinator) -> ProducerEpoch {
    let mut producer = coordinator.init();
    while producer.epoch < i16::MAX - 1 {
        producer = coordinator.init();
        // What the shard has is checked against the log at every step: keep that short.
        coordinator.log.drain(..coordinator.log.len() - 1);
    }
    producer
}

#[test]
fn who_has_used_up_its_epochs_gets_a_new_id() {
    let mut coordinator = Coordinator::new();
    let last = old(&mut coordinator);
    let next = coordinator.go_on(last).unwrap();
    assert!(next.id != last.id && next.epoch == 0);
    let last = old(&mut coordinator);
    coordinator.add(last, 0);
    let next = coordinator.end(TV2, last, true).unwrap();
    assert!(next.id != last.id && next.epoch == 0);
    // The markers are the old one's.
    let written = coordinator.ends[0].marker.producer;
    assert_eq!((written.id, written.epoch), (last.id, i16::MAX));
    coordinator.finish();
    assert_eq!(coordinator.end(TV2, last, true), Ok(next), "a retry");
    assert_eq!(coordinator.add(next, 0), ErrorCode::None);
    assert_eq!(
        coordinator.add(last, 0),
        ErrorCode::InvalidProducerIdMapping
    );
}

#[test]
fn an_end_that_needs_a_new_id_waits_until_there_is_one() {
    let mut coordinator = Coordinator::new();
    let last = old(&mut coordinator);
    coordinator.add(last, 0);
    coordinator.restart();
    assert_eq!(
        coordinator.end(TV2, last, true),
        Err(ErrorCode::ConcurrentTransactions)
    );
    assert!(coordinator.wants_id);
    coordinator.shard.give_producer_id(77);
    assert_eq!(
        coordinator.end(TV2, last, true),
        Ok(ProducerEpoch { id: 77, epoch: 0 })
    );
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_cannot_be_committed_any_more() {
    let mut coordinator = Coordinator::new();
    let producer = coordinator.init();
    coordinator.add(producer, 0);
    coordinator.now_ms += 60_000;
    coordinator.sweep();
    assert_eq!(coordinator.state(), "Ongoing");
    coordinator.now_ms += 1;
    coordinator.sweep();
    assert_eq!(coordinator.state(), "PrepareAbort");
    coordinator.finish();
    assert_eq!(
        coordinator.end(TV1, producer, true),
        Err(ErrorCode::ProducerFenced)
    );
    // It was only slow: unless another has begun meanwhile, it may go on with the epoch that the abort left (KIP-588).
    let after = ProducerEpoch {
        epoch: producer.epoch + 1,
        ..producer
    };
    assert_eq!(coordinator.go_on(producer), Ok(after));
}

#[test]
fn a_transactional_id_is_forgotten_when_nobody_has_used_it_for_a_week() {
    let mut coordinator = Coordinator::new();
    let producer = coordinator.init();
    coordinator.now_ms += 7 * DAY - 1;
    coordinator.expire();
    assert_eq!(coordinator.state(), "Empty");
    coordinator.add(producer, 0);
    coordinator.now_ms += 8 * DAY;
    coordinator.expire();
    assert_eq!(coordinator.state(), "Ongoing");
    coordinator.sweep();
    coordinator.expire();
    assert_eq!(coordinator.state(), "PrepareAbort");
    coordinator.finish();
    coordinator.now_ms += 7 * DAY;
    coordinator.expire();
    let error = coordinator.described("x").error_code;
    assert_eq!(error, ErrorCode::TransactionalIdNotFound.code());
    coordinator.restart();
    assert_eq!(coordinator.shard.counts(), (0, 0));
}
