//! What every engine owes to transactions (KIP-98, KIP-890).

use super::*;

/// (high watermark, last stable offset).
fn ends(log: &dyn PartitionLog) -> (i64, i64) {
    let offsets = log.offsets();
    (offsets.high_watermark, offsets.last_stable)
}

fn expect_values(found: Result<Vec<(i64, String)>, ReadError>, expected: &[(i64, &str)]) {
    let found = found.expect("in range");
    let found: Vec<(i64, &str)> = found.iter().map(|(at, v)| (*at, v.as_str())).collect();
    assert_eq!(found, expected);
}

/// Readers of committed records see nothing from the first record of the oldest open transaction on.
pub(super) fn an_open_transaction_ends_what_is_stable(engine: &dyn Engine) {
    let log = create(engine, "t");
    log.append(&[batch_of(&[(1, "plain")])], CLIENT)
        .expect("taken");
    assert_eq!(ends(&*log), (1, 1));
    append_verified(&*log, &transactional(7, 0, 0, &[(1, "a"), (1, "b")])).expect("taken");
    append_verified(&*log, &transactional(8, 0, 0, &[(1, "c")])).expect("taken");
    append_verified(&*log, &transactional(7, 0, 2, &[(1, "d")])).expect("taken");
    assert_eq!(ends(&*log), (5, 1));
    let view = |id| {
        let found = log.producers().into_iter().find(|p| p.producer_id == id);
        let view = found.expect("a producer that wrote");
        (view.current_txn_start_offset, view.coordinator_epoch)
    };
    assert_eq!((view(7), view(8)), ((1, -1), (3, -1)));
    let outside = log.append(&[idempotent(7, 0, 3, &[(1, "x")])], CLIENT);
    assert!(
        matches!(outside, Err(AppendError::InvalidTxnState { .. })),
        "{outside:?}"
    );
    expect_values(read_committed(&*log, 0), &[(0, "plain")]);
    expect_values(read_committed(&*log, 3), &[]);
    assert_eq!(read_all(&*log, 0).expect("in range").len(), 5);

    let ended = log.append_marker(&marker(7, 0, true), 0).expect("taken");
    assert_eq!((ended.base_offset, ended.last_offset), (5, 5));
    assert_eq!(ends(&*log), (6, 3), "the other one is open still");
    let stable: &[(i64, &str)] = &[(0, "plain"), (1, "a"), (2, "b")];
    expect_values(read_committed(&*log, 0), stable);
    log.append_marker(&marker(8, 0, true), 0).expect("taken");
    assert_eq!(ends(&*log), (7, 7));
    let all: &[(i64, &str)] = &[(0, "plain"), (1, "a"), (2, "b"), (3, "c"), (4, "d")];
    expect_values(read_committed(&*log, 0), all);
    assert_eq!((view(7), view(8)), ((-1, 0), (-1, 0)));
}

/// Records of aborted transactions are in the log, and readers of committed records are told which they are.
pub(super) fn what_was_aborted_is_told_to_readers_of_committed_records(engine: &dyn Engine) {
    let log = create(engine, "t");
    append_verified(&*log, &transactional(7, 0, 0, &[(1, "a")])).expect("taken");
    append_verified(&*log, &transactional(8, 0, 0, &[(1, "b")])).expect("taken");
    log.append_marker(&marker(7, 0, false), 0).expect("taken");
    append_verified(&*log, &transactional(7, 0, 1, &[(1, "c")])).expect("taken");
    log.append_marker(&marker(8, 0, false), 0).expect("taken");
    log.append_marker(&marker(7, 0, true), 0).expect("taken");
    log.append_marker(&marker(9, 0, false), 0).expect("taken");
    expect_values(read_committed(&*log, 0), &[(3, "c")]);
    let aborted = |from, upto| log.aborted_transactions(from, upto).expect("readable");
    assert_eq!(aborted(0, 1), [(7, 0)]);
    assert_eq!(aborted(0, 6), [(7, 0), (8, 1)]);
    assert_eq!(aborted(3, 6), [(8, 1)]);
    assert_eq!(aborted(5, 6), []);
    let read = |limit| log.read(0, usize::MAX, limit, true).now();
    let uncommitted = read(ReadLimit::HighWatermark).expect("in range");
    assert_eq!(uncommitted.aborted, [], "these readers want all");
    let committed = read(ReadLimit::LastStable).expect("in range");
    assert_eq!(committed.aborted, [(7, 0), (8, 1)]);
}

/// A batch that would begin a transaction needs the guard that [`PartitionLog::verify`] gave out since the last one ended.
pub(super) fn a_transaction_begins_only_if_its_coordinator_was_asked(engine: &dyn Engine) {
    let log = create(engine, "t");
    let first = transactional(7, 0, 0, &[(1, "a")]);
    let refused = |batch: &Batch, origin| {
        let done = log.append(std::slice::from_ref(batch), Append { origin, ..CLIENT });
        let as_expected = matches!(done, Err(AppendError::InvalidTxnState { .. }));
        assert!(as_expected, "{done:?}");
    };
    refused(&first, AppendOrigin::Client);
    refused(&first, AppendOrigin::Coordinator);
    let ask = || log.verify(7, 0, 0, false).expect("the epoch is good");
    let Verification::Ask(late) = ask() else {
        panic!("nothing has begun")
    };
    // While the coordinator answers, the transaction is aborted.
    log.append_marker(&marker(7, 0, false), 0).expect("taken");
    refused(&first, AppendOrigin::ClientVerified(late));
    append_verified(&*log, &first).expect("asked again");
    assert_eq!(ask(), Verification::Ongoing);
    let second = transactional(7, 0, 1, &[(1, "b")]);
    log.append(std::slice::from_ref(&second), CLIENT)
        .expect("it goes on");
    let again = log.append(&[second], CLIENT).expect("recognised");
    assert!(again.duplicate);
    log.append_marker(&marker(7, 1, true), 0).expect("taken");
    let old = log.verify(7, 0, 2, false);
    assert!(
        matches!(old, Err(AppendError::InvalidProducerEpoch { .. })),
        "{old:?}"
    );
    refused(&transactional(7, 1, 0, &[(1, "c")]), AppendOrigin::Client);
}

/// A marker must not be older than what it ends, nor of a coordinator that was replaced.
pub(super) fn markers_that_are_too_old_are_refused(engine: &dyn Engine) {
    let log = create(engine, "t");
    append_verified(&*log, &transactional(7, 3, 0, &[(1, "a")])).expect("taken");
    let fenced = log.append_marker(&marker(7, 2, true), 0);
    assert!(
        matches!(fenced, Err(AppendError::InvalidProducerEpoch { .. })),
        "{fenced:?}"
    );
    let bumped = TransactionMarker {
        transaction_version: 2,
        ..marker(7, 3, true)
    };
    let same_epoch = log.append_marker(&bumped, 0);
    assert!(
        matches!(same_epoch, Err(AppendError::InvalidProducerEpoch { .. })),
        "{same_epoch:?}"
    );
    assert_eq!(ends(&*log), (1, 0), "the transaction is open still");
    let bumped = TransactionMarker {
        producer_epoch: 4,
        coordinator_epoch: 6,
        ..bumped
    };
    log.append_marker(&bumped, 0).expect("taken");
    log.append_marker(&bumped, 0)
        .expect("the same marker may come again");
    let zombie = TransactionMarker {
        coordinator_epoch: 5,
        producer_epoch: 5,
        ..bumped
    };
    let fenced = log.append_marker(&zombie, 0);
    assert!(
        matches!(
            fenced,
            Err(AppendError::TransactionCoordinatorFenced {
                epoch: 5,
                current: 6,
                ..
            })
        ),
        "{fenced:?}"
    );
    assert_eq!(ends(&*log), (3, 3));
    let old = append_verified(&*log, &transactional(7, 3, 1, &[(1, "b")]));
    assert!(
        matches!(old, Err(AppendError::InvalidProducerEpoch { .. })),
        "{old:?}"
    );
}

/// DeleteRecords does not wait for transactions, and nothing is held where there is nothing.
pub(super) fn deleted_records_of_an_open_transaction_hold_nothing(engine: &dyn Engine) {
    let log = create(engine, "t");
    append_verified(&*log, &transactional(7, 0, 0, &[(1, "a")])).expect("taken");
    for n in 0..3 {
        log.append(&[batch_of(&[(n, "x")])], CLIENT).expect("taken");
    }
    assert_eq!(ends(&*log), (4, 0));
    log.truncate_prefix(2).expect("in range");
    assert_eq!(ends(&*log), (4, 2), "not below the log's start");
    log.append_marker(&marker(7, 0, false), 0).expect("taken");
    assert_eq!(ends(&*log), (5, 5));
    expect_values(read_committed(&*log, 2), &[(2, "x"), (3, "x")]);
}
