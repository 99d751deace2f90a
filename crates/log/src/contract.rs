//! What every engine owes the broker, as checks that run on any engine.
//!
//! Each check gets an empty engine and knows only the traits. A new engine calls [`run_all`] in a test.

use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use catchword_wire::Uuid;
use catchword_wire::batch::{
    Batch, BatchBuilder, Compression, ControlRecord, NewRecord, records, split,
};

use crate::{
    Append, AppendError, AppendOrigin, Appended, Engine, Fetched, LogConfig, LogError,
    PartitionLog, ReadError, ReadLimit, TimestampOffset, TopicPartition, TransactionMarker,
    Verification,
};

mod transactions;

/// An append by a client, in leader epoch 0, with the producer's timestamps.
pub const CLIENT: Append = Append {
    leader_epoch: 0,
    append_time: None,
    origin: AppendOrigin::Client,
};

/// A topic id for tests.
pub const TOPIC_ID: Uuid = Uuid([7; 16]);

/// A batch of records with these (timestamp, value).
pub fn batch_of(records: &[(i64, &str)]) -> Batch {
    finish(BatchBuilder::new(0), records)
}

/// As [`batch_of`], by an idempotent producer.
pub fn idempotent(id: i64, epoch: i16, sequence: i32, records: &[(i64, &str)]) -> Batch {
    finish(BatchBuilder::new(0).producer(id, epoch, sequence), records)
}

/// As [`batch_of`], compressed.
pub fn compressed(compression: Compression, records: &[(i64, &str)]) -> Batch {
    finish(BatchBuilder::new(0).compression(compression), records)
}

fn finish(mut builder: BatchBuilder, records: &[(i64, &str)]) -> Batch {
    for (timestamp, value) in records {
        let value = Some(value.as_bytes());
        builder
            .push(NewRecord {
                timestamp: *timestamp,
                value,
                ..NewRecord::default()
            })
            .expect("a test's records fit a batch");
    }
    let bytes = builder.build().expect("a test's records compress");
    Batch::parse(&bytes).expect("what was built parses")
}

/// The (offset, value) of all records in what was fetched.
pub fn values(fetched: &Fetched) -> Vec<(i64, String)> {
    let bytes: Bytes = fetched.data.read().expect("the slices can be read");
    let mut values = Vec::new();
    for batch in split(bytes) {
        let batch = batch.expect("whole batches");
        batch.verify_crc().expect("sound batches");
        for record in records(&batch).expect("a known codec") {
            let record = record.expect("sound records");
            let value = record.value.unwrap_or_default();
            values.push((record.offset, String::from_utf8_lossy(&value).into_owned()));
        }
    }
    values
}

/// Everything from `from` on.
///
/// # Errors
/// What the read gives.
pub fn read_all(log: &dyn PartitionLog, from: i64) -> Result<Vec<(i64, String)>, ReadError> {
    log.read(from, usize::MAX, ReadLimit::HighWatermark, true)
        .now()
        .map(|found| values(&found))
}

/// Appends and waits until it is durable.
///
/// # Errors
/// What the append gives.
///
/// # Panics
/// If the flush fails, or takes more than a minute.
pub fn append_durably(log: &dyn PartitionLog, batch: &Batch) -> Result<Appended, AppendError> {
    let appended = log.append(std::slice::from_ref(batch), CLIENT)?;
    let (done, waited) = mpsc::channel();
    log.flush_to(
        appended.last_offset + 1,
        Box::new(move |result| {
            let _ = done.send(result);
        }),
    );
    waited
        .recv_timeout(Duration::from_secs(60))
        .expect("a flush is answered")
        .expect("a flush succeeds");
    assert!(log.offsets().durable_end > appended.last_offset);
    Ok(appended)
}

/// As [`idempotent`], part of a transaction.
pub fn transactional(id: i64, epoch: i16, sequence: i32, records: &[(i64, &str)]) -> Batch {
    let builder = BatchBuilder::new(0).producer(id, epoch, sequence);
    finish(builder.transactional(true), records)
}

/// Appends a batch of a transaction as Produce does: if the transaction has not begun here yet, its coordinator says that
/// it may.
///
/// # Errors
/// What the log says.
pub fn append_verified(log: &dyn PartitionLog, batch: &Batch) -> Result<Appended, AppendError> {
    let header = &batch.header;
    let (id, epoch) = (header.producer_id, header.producer_epoch);
    let origin = match log.verify(id, epoch, header.base_sequence, false)? {
        Verification::Ongoing => AppendOrigin::Client,
        Verification::Ask(guard) => AppendOrigin::ClientVerified(guard),
    };
    log.append(std::slice::from_ref(batch), Append { origin, ..CLIENT })
}

/// A marker that ends a transaction, by coordinator epoch 0 and transaction version 1.
pub fn marker(producer_id: i64, producer_epoch: i16, commit: bool) -> TransactionMarker {
    TransactionMarker {
        producer_id,
        producer_epoch,
        coordinator_epoch: 0,
        commit,
        transaction_version: 1,
        timestamp: 1,
    }
}

/// What a reader of committed records sees from `from` on: (offset, value), without markers and what was aborted.
///
/// # Errors
/// What the read gives.
pub fn read_committed(log: &dyn PartitionLog, from: i64) -> Result<Vec<(i64, String)>, ReadError> {
    let (mut next, mut seen) = (from, Vec::new());
    loop {
        // Small reads, so that transactions reach across them.
        let fetched = log.read(next, 1000, ReadLimit::LastStable, true).now()?;
        let mut aborted = fetched.aborted.clone();
        aborted.sort_by_key(|(_, first)| *first);
        let mut aborted = aborted.into_iter().peekable();
        let mut within = std::collections::HashSet::new();
        let bytes: Bytes = fetched.data.read().expect("the slices can be read");
        if bytes.is_empty() {
            return Ok(seen);
        }
        for batch in split(bytes) {
            let batch = batch.expect("whole batches");
            let id = batch.header.producer_id;
            let last = batch.header.last_offset();
            next = last + 1;
            // As Kafka's consumer does it.
            while let Some((id, _)) = aborted.next_if(|(_, first)| *first <= last) {
                within.insert(id);
            }
            let mut found = records(&batch).expect("a known codec");
            if batch.header.is_control() {
                let record = found.next().and_then(Result::ok);
                let parsed = record.as_ref().and_then(ControlRecord::parse);
                if matches!(parsed, Some(ControlRecord::Abort { .. })) {
                    within.remove(&id);
                }
            } else if !(batch.header.is_transactional() && within.contains(&id)) {
                for record in found.map(|record| record.expect("sound records")) {
                    let value = record.value.unwrap_or_default();
                    seen.push((record.offset, String::from_utf8_lossy(&value).into_owned()));
                }
            }
        }
        seen.retain(|(offset, _)| *offset >= from);
    }
}

fn partition(name: &str) -> TopicPartition {
    TopicPartition::new(name, 0)
}

fn create(engine: &dyn Engine, name: &str) -> std::sync::Arc<dyn PartitionLog> {
    engine
        .create(&partition(name), TOPIC_ID, LogConfig::default())
        .expect("a log can be made")
}

/// Runs every check on engines that `open` gives.
pub fn run_all(open: impl Fn() -> Box<dyn Engine>) {
    let checks: &[fn(&dyn Engine)] = &[
        appends_are_read_back_at_their_offsets,
        reads_give_whole_batches_within_their_bounds,
        reads_out_of_range_are_refused,
        a_flush_is_answered,
        timestamps_are_found_exactly,
        log_append_time_is_stamped,
        idempotent_retries_are_recognised,
        transactions::an_open_transaction_ends_what_is_stable,
        transactions::what_was_aborted_is_told_to_readers_of_committed_records,
        transactions::a_transaction_begins_only_if_its_coordinator_was_asked,
        transactions::markers_that_are_too_old_are_refused,
        transactions::deleted_records_of_an_open_transaction_hold_nothing,
        deleted_records_stay_deleted,
        epochs_end_where_the_next_begins,
        partitions_are_created_found_and_deleted,
        appends_of_many_batches_are_all_or_none,
        what_is_kept_beside_a_log_is_there_until_it_is_replaced,
        a_closed_engine_takes_no_more,
    ];
    for check in checks {
        check(&*open());
    }
}

/// Offsets are dense, and records come back at theirs, whatever the codec.
pub fn appends_are_read_back_at_their_offsets(engine: &dyn Engine) {
    let log = create(engine, "t");
    assert_eq!(read_all(&*log, 0).unwrap_or_default(), []);
    let mut expected = Vec::new();
    let codecs = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    for (n, codec) in codecs.into_iter().enumerate() {
        let batch = compressed(codec, &[(1, "a"), (2, "b"), (3, "c")]);
        let appended = log
            .append(&[batch], CLIENT)
            .expect("a sound batch is taken");
        let base = 3 * n as i64;
        assert_eq!(
            (appended.base_offset, appended.last_offset),
            (base, base + 2)
        );
        assert_eq!((appended.log_append_time, appended.duplicate), (-1, false));
        expected.extend([
            (base, "a".into()),
            (base + 1, "b".into()),
            (base + 2, "c".into()),
        ]);
    }
    assert_eq!(read_all(&*log, 0).expect("in range"), expected);
    let offsets = log.offsets();
    assert_eq!((offsets.log_start, offsets.log_end), (0, 15));
    assert_eq!((offsets.high_watermark, offsets.last_stable), (15, 15));
    assert!(log.size_bytes() > 0);
}

/// Whole batches, from the one that holds the offset; at least one if that is asked for.
pub fn reads_give_whole_batches_within_their_bounds(engine: &dyn Engine) {
    let log = create(engine, "t");
    let size = batch_of(&[(1, "a"), (2, "b")]).bytes.len();
    for _ in 0..200 {
        log.append(&[batch_of(&[(1, "a"), (2, "b")])], CLIENT)
            .expect("taken");
    }
    let offsets_of = |from, max, one| {
        let fetched = log
            .read(from, max, ReadLimit::HighWatermark, one)
            .now()
            .expect("in range");
        assert!(fetched.data.len() <= max || fetched.data.len() == size);
        values(&fetched)
            .into_iter()
            .map(|(offset, _)| offset)
            .collect::<Vec<_>>()
    };
    assert_eq!(offsets_of(0, 0, false), []);
    assert_eq!(offsets_of(0, 1, true), [0, 1]);
    assert_eq!(
        offsets_of(5, 0, true),
        [4, 5],
        "the batch that contains the offset"
    );
    assert_eq!(offsets_of(4, size - 1, false), []);
    assert_eq!(offsets_of(4, size, false), [4, 5]);
    assert_eq!(offsets_of(4, 2 * size - 1, false), [4, 5]);
    assert_eq!(offsets_of(4, 3 * size, true), [4, 5, 6, 7, 8, 9]);
    assert_eq!(offsets_of(399, usize::MAX, true), [398, 399]);
    assert_eq!(
        offsets_of(400, usize::MAX, true),
        [],
        "the end is in range, and empty"
    );
    assert_eq!(
        offsets_of(150, 100 * size, true),
        (150..350).collect::<Vec<_>>()
    );
    // One consumer that reads on, and another in its way.
    let mut next = 0;
    while next < 400 {
        let got = offsets_of(next, 7 * size + 3, true);
        assert_eq!(got.first(), Some(&next));
        next += got.len() as i64;
        assert_eq!(offsets_of(33, size, true), [32, 33]);
    }
}

/// What is not there is said, with what is.
pub fn reads_out_of_range_are_refused(engine: &dyn Engine) {
    let log = create(engine, "t");
    log.append(&[batch_of(&[(1, "a")])], CLIENT).expect("taken");
    for offset in [-1, 2, i64::MAX] {
        let refused = log.read(offset, 100, ReadLimit::HighWatermark, true).now();
        assert!(
            matches!(refused, Err(ReadError::OutOfRange { log_start: 0, limit: 1, offset: o }) if o == offset),
            "{refused:?}"
        );
    }
}

/// Each flush is answered once, also of what is durable already and of what does not exist yet.
pub fn a_flush_is_answered(engine: &dyn Engine) {
    let log = create(engine, "t");
    let (done, waited) = mpsc::channel();
    let flush = |end: i64| {
        let done = done.clone();
        log.flush_to(
            end,
            Box::new(move |result| {
                let _ = done.send((end, result.is_ok()));
            }),
        );
    };
    flush(0);
    for n in 1..=50 {
        log.append(&[batch_of(&[(n, "x")])], CLIENT).expect("taken");
        flush(n);
        flush(n);
    }
    flush(1);
    let mut answers: Vec<_> = (0..102)
        .map(|_| {
            waited
                .recv_timeout(Duration::from_secs(60))
                .expect("each flush is answered")
        })
        .collect();
    answers.sort_unstable();
    let mut expected: Vec<_> = (1..=50).flat_map(|n| [(n, true), (n, true)]).collect();
    expected.extend([(0, true), (1, true)]);
    expected.sort_unstable();
    assert_eq!(answers, expected);
    assert_eq!(log.offsets().durable_end, 50);
}

/// The first record that is not older, inside compressed batches too.
pub fn timestamps_are_found_exactly(engine: &dyn Engine) {
    let log = create(engine, "t");
    assert_eq!(log.max_timestamp().expect("readable"), None);
    assert_eq!(log.offset_for_timestamp(0).expect("readable"), None);
    log.append(
        &[compressed(
            Compression::Lz4,
            &[(10, "a"), (30, "b"), (20, "c")],
        )],
        CLIENT,
    )
    .expect("taken");
    log.append(&[batch_of(&[(15, "d"), (40, "e"), (40, "f")])], CLIENT)
        .expect("taken");
    log.append(&[batch_of(&[(25, "g")])], CLIENT)
        .expect("taken");
    let place = |timestamp, offset| {
        Some(TimestampOffset {
            timestamp,
            offset,
            leader_epoch: 0,
        })
    };
    let cases = [
        (i64::MIN, place(10, 0)),
        (10, place(10, 0)),
        (11, place(30, 1)),
        (30, place(30, 1)),
        (31, place(40, 4)),
        (40, place(40, 4)),
        (41, None),
    ];
    for (timestamp, expected) in cases {
        let found = log.offset_for_timestamp(timestamp).expect("readable");
        assert_eq!(found, expected, "{timestamp}");
    }
    assert_eq!(log.max_timestamp().expect("readable"), place(40, 4));
    log.truncate_prefix(5).expect("in range");
    assert_eq!(log.offset_for_timestamp(0).expect("readable"), place(40, 5));
    log.truncate_prefix(6).expect("in range");
    assert_eq!(log.max_timestamp().expect("readable"), place(25, 6));
}

/// LogAppendTime replaces the producer's timestamps and keeps the CRC right.
pub fn log_append_time_is_stamped(engine: &dyn Engine) {
    let log = create(engine, "t");
    let how = Append {
        append_time: Some(5000),
        ..CLIENT
    };
    let appended = log
        .append(&[batch_of(&[(1, "a"), (2, "b")])], how)
        .expect("taken");
    assert_eq!(appended.log_append_time, 5000);
    assert_eq!(read_all(&*log, 0).expect("sound").len(), 2);
    let found = log.offset_for_timestamp(4000).expect("readable");
    assert_eq!(
        found.map(|found| (found.timestamp, found.offset)),
        Some((5000, 0))
    );
}

/// A batch that comes again is answered with the original's offsets, and is not appended again.
pub fn idempotent_retries_are_recognised(engine: &dyn Engine) {
    let log = create(engine, "t");
    let first = idempotent(9, 0, 0, &[(1, "a"), (1, "b")]);
    let second = idempotent(9, 0, 2, &[(1, "c")]);
    log.append(std::slice::from_ref(&first), CLIENT)
        .expect("taken");
    log.append(&[second], CLIENT).expect("taken");
    let again = log.append(&[first], CLIENT).expect("recognised");
    assert_eq!(
        (again.base_offset, again.last_offset, again.duplicate),
        (0, 1, true)
    );
    assert_eq!(log.offsets().log_end, 3);
    let gap = log.append(&[idempotent(9, 0, 4, &[(1, "d")])], CLIENT);
    assert!(
        matches!(
            gap,
            Err(AppendError::OutOfOrderSequence { expected: 3, .. })
        ),
        "{gap:?}"
    );
    log.append(&[idempotent(9, 1, 0, &[(1, "e")])], CLIENT)
        .expect("a new epoch");
    let old = log.append(&[idempotent(9, 0, 3, &[(1, "f")])], CLIENT);
    assert!(
        matches!(old, Err(AppendError::InvalidProducerEpoch { .. })),
        "{old:?}"
    );
    let producers = log.producers();
    assert_eq!(producers.len(), 1);
    assert_eq!((producers[0].producer_id, producers[0].epoch), (9, 1));
    assert_eq!(producers[0].last_sequence, 0);
}

/// DeleteRecords moves the log's start, never back, never past the end.
pub fn deleted_records_stay_deleted(engine: &dyn Engine) {
    let log = create(engine, "t");
    for n in 0..10 {
        log.append(&[batch_of(&[(n, "x"), (n, "y")])], CLIENT)
            .expect("taken");
    }
    assert_eq!(log.truncate_prefix(7).expect("in range"), 7);
    assert_eq!(log.truncate_prefix(3).expect("in range"), 7);
    assert!(matches!(
        log.truncate_prefix(21),
        Err(ReadError::OutOfRange { .. })
    ));
    assert_eq!(log.offsets().log_start, 7);
    assert!(matches!(
        read_all(&*log, 6),
        Err(ReadError::OutOfRange { log_start: 7, .. })
    ));
    let first = read_all(&*log, 7).expect("in range")[0].0;
    assert_eq!(first, 6, "the batch that contains the start");
    assert_eq!(log.truncate_prefix(20).expect("in range"), 20);
    assert_eq!(read_all(&*log, 20).expect("in range"), []);
    assert_eq!(
        log.append(&[batch_of(&[(1, "z")])], CLIENT)
            .expect("taken")
            .base_offset,
        20
    );
}

/// KIP-320: an epoch ends where the next begins, the current one at the log's end.
pub fn epochs_end_where_the_next_begins(engine: &dyn Engine) {
    let log = create(engine, "t");
    assert_eq!(
        (log.latest_epoch(), log.end_offset_for_epoch(0)),
        (-1, (-1, -1))
    );
    for (epoch, count) in [(2, 3), (5, 2)] {
        for _ in 0..count {
            let how = Append {
                leader_epoch: epoch,
                ..CLIENT
            };
            log.append(&[batch_of(&[(1, "x")])], how).expect("taken");
        }
    }
    assert_eq!(log.latest_epoch(), 5);
    let cases = [
        (0, (0, 0)),
        (2, (2, 3)),
        (3, (2, 3)),
        (5, (5, 5)),
        (6, (-1, -1)),
        (-1, (-1, -1)),
    ];
    for (epoch, expected) in cases {
        assert_eq!(log.end_offset_for_epoch(epoch), expected, "epoch {epoch}");
    }
}

/// A partition is its topic's: another topic of the same name is refused until the first is deleted.
pub fn partitions_are_created_found_and_deleted(engine: &dyn Engine) {
    assert!(engine.get(&partition("t")).is_none());
    let log = create(engine, "t");
    log.append(&[batch_of(&[(1, "old")])], CLIENT)
        .expect("taken");
    let other = TopicPartition::new("t", 1);
    engine
        .create(&other, TOPIC_ID, LogConfig::default())
        .expect("made");
    assert_eq!(
        engine.partitions(),
        [(partition("t"), TOPIC_ID), (other.clone(), TOPIC_ID)]
    );
    let config = LogConfig {
        retention_ms: 5,
        ..LogConfig::default()
    };
    let again = engine
        .create(&partition("t"), TOPIC_ID, config)
        .expect("opens what exists");
    assert_eq!(
        (again.offsets().log_end, again.config().retention_ms),
        (1, 5)
    );
    let clash = engine.create(&partition("t"), Uuid([8; 16]), LogConfig::default());
    assert!(matches!(clash, Err(LogError::TopicIdMismatch { .. })));

    engine.delete(&partition("t")).expect("deleted");
    assert!(matches!(
        engine.delete(&partition("t")),
        Err(LogError::NotFound { .. })
    ));
    assert!(
        log.append(&[batch_of(&[(1, "late")])], CLIENT).is_err(),
        "the old log is gone"
    );
    assert!(log.ready().is_err());
    assert_eq!(engine.partitions(), [(other, TOPIC_ID)]);
    let new = engine
        .create(&partition("t"), Uuid([8; 16]), LogConfig::default())
        .expect("made");
    assert_eq!(
        new.offsets().log_end,
        0,
        "a topic of the same name is another topic"
    );
    assert_eq!(new.topic_id(), Uuid([8; 16]));
    engine.maintain(0);
    assert_eq!(read_all(&*new, 0).expect("in range"), []);
}

/// An append is of one piece: if one batch is refused, none is written.
pub fn appends_of_many_batches_are_all_or_none(engine: &dyn Engine) {
    let log = create(engine, "t");
    let many: Vec<Batch> = (0..40).map(|n| idempotent(3, 0, n, &[(1, "x")])).collect();
    let appended = log.append(&many, CLIENT).expect("taken");
    assert_eq!((appended.base_offset, appended.last_offset), (0, 39));
    assert_eq!(read_all(&*log, 0).expect("in range").len(), 40);
    let torn = [
        idempotent(3, 0, 40, &[(1, "y")]),
        idempotent(3, 0, 42, &[(1, "z")]),
    ];
    assert!(matches!(
        log.append(&torn, CLIENT),
        Err(AppendError::OutOfOrderSequence { .. })
    ));
    assert_eq!(log.offsets().log_end, 40);
    log.append(&[idempotent(3, 0, 40, &[(1, "y")])], CLIENT)
        .expect("the state is as before");
    assert!(matches!(
        log.append(&[], CLIENT),
        Err(AppendError::InvalidBatch { .. })
    ));
    let config = LogConfig {
        segment_bytes: 100,
        ..LogConfig::default()
    };
    log.set_config(config);
    let large = log.append(&[batch_of(&[(1, &"x".repeat(100))])], CLIENT);
    assert!(matches!(
        large,
        Err(AppendError::RecordTooLargeForSegment { .. })
    ));
}

/// Side files: the newest under each name is kept, whatever becomes of the records beneath it, and goes with the log.
pub fn what_is_kept_beside_a_log_is_there_until_it_is_replaced(engine: &dyn Engine) {
    let log = create(engine, "t");
    append_durably(&*log, &batch_of(&[(1, "x"), (1, "y"), (1, "z")])).expect("taken");
    assert_eq!(log.side_files("mine").expect("listed"), [] as [i64; 0]);
    assert!(log.read_side_file("mine", 2).is_err());
    log.put_side_file("mine", 2, b"up to two").expect("kept");
    log.put_side_file("other", 1, b"another's").expect("kept");
    log.put_side_file("mine", 3, b"up to three").expect("kept");
    log.put_side_file("mine", 3, b"again").expect("kept");
    log.truncate_prefix(3).expect("in range");
    engine.maintain(0);
    assert_eq!(log.side_files("mine").expect("listed"), [3]);
    assert_eq!(&log.read_side_file("mine", 3).expect("there")[..], b"again");
    assert!(log.read_side_file("mine", 2).is_err(), "it was replaced");
    assert_eq!(log.side_files("other").expect("listed"), [1]);

    engine.delete(&partition("t")).expect("deleted");
    assert!(log.put_side_file("mine", 3, b"late").is_err());
    let new = create(engine, "t");
    assert_eq!(new.side_files("mine").expect("listed"), [] as [i64; 0]);
    engine.close().expect("closes");
    assert!(new.put_side_file("mine", 0, b"late").is_err());
}

/// After a close nothing is appended any more.
pub fn a_closed_engine_takes_no_more(engine: &dyn Engine) {
    let log = create(engine, "t");
    append_durably(&*log, &batch_of(&[(1, "x")])).expect("taken");
    engine.close().expect("closes");
    let late = log.append(&[batch_of(&[(1, "y")])], CLIENT);
    assert!(
        matches!(late, Err(AppendError::Storage(LogError::Closed))),
        "{late:?}"
    );
    engine.close().expect("closing twice is fine");
}
