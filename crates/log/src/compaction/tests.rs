//! Filters against a model of what compaction promises, and the plan against its table.

use catchword_wire::batch::{Compression, ControlRecord, NewRecord, end_transaction_marker};

use proptest::prelude::*;

use super::*;
use crate::AbortedTransaction;

/// A key and a value; `None` is a tombstone.
type Entry = (u8, Option<u16>);

fn batch(base_offset: i64, entries: &[Entry], producer: Option<(i64, i32)>) -> Batch {
    let mut builder = BatchBuilder::new(base_offset).compression(match base_offset % 3 {
        0 => Compression::None,
        1 => Compression::Lz4,
        _ => Compression::Zstd,
    });
    if let Some((id, sequence)) = producer {
        builder = builder.producer(id, 0, sequence);
    }
    for (n, (key, value)) in entries.iter().enumerate() {
        let value = value.map(u16::to_be_bytes);
        let record = NewRecord {
            timestamp: 1000 + base_offset + n as i64,
            key: Some(&[*key]),
            value: value.as_ref().map(|value| value.as_slice()),
            headers: &[],
        };
        builder.push(record).unwrap();
    }
    Batch::parse(&builder.build().unwrap()).unwrap()
}

fn log_of(batches: &[Vec<Entry>]) -> Vec<Batch> {
    let mut next = 0;
    batches
        .iter()
        .map(|entries| {
            let batch = batch(next, entries, None);
            next = batch.header.next_offset();
            batch
        })
        .collect()
}

fn compact(
    log: &[Batch],
    dirty_from: i64,
    end: i64,
    now_ms: i64,
    delete_retention_ms: i64,
) -> Vec<Batch> {
    let mut pass = LatestValue.begin(now_ms, usize::MAX);
    for record in log
        .iter()
        .flat_map(|batch| records(batch).unwrap())
        .map(Result::unwrap)
    {
        if record.offset >= dirty_from && record.offset < end {
            assert!(pass.note(&record));
        }
    }
    let producers = HashMap::new();
    let mut filter = Filter {
        pass: &mut *pass,
        now_ms,
        delete_retention_ms,
        end,
        producers: &producers,
        transactions: &mut Transactions::default(),
        must_remain: false,
    };
    let mut kept = Vec::new();
    for batch in log {
        match filter.apply(batch).unwrap() {
            Filtered::Kept => kept.push(batch.clone()),
            Filtered::Dropped => {}
            Filtered::Replaced(bytes) => kept.push(Batch::parse(&bytes).unwrap()),
        }
    }
    kept.iter().for_each(|batch| batch.verify_crc().unwrap());
    kept
}

fn contents(log: &[Batch]) -> Vec<Record> {
    log.iter()
        .flat_map(|batch| records(batch).unwrap())
        .map(Result::unwrap)
        .collect()
}

proptest! {
    /// Whatever was written: the last value of each key is still there, at its offset, with its timestamp; nothing older
    /// of a key is below the end of what was compacted; all above it is untouched; and a second pass changes nothing.
    #[test]
    fn the_last_value_of_each_key_stays(
        entries in prop::collection::vec(
            prop::collection::vec((0u8..12, prop::option::weighted(0.8, any::<u16>())), 1..6), 1..30),
        end_share in 0.0f64..=1.0,
        dirty_share in 0.0f64..=1.0,
    ) {
        let log = log_of(&entries);
        let log_end = log.last().map_or(0, |batch| batch.header.next_offset());
        // Passes end at the start of a batch.
        let end = log[..((log.len() as f64) * end_share) as usize]
            .last().map_or(0, |batch| batch.header.next_offset());
        let first_end = log[..((log.len() as f64) * end_share * dirty_share) as usize]
            .last().map_or(0, |batch| batch.header.next_offset());
        // A first pass over a part, then one whose dirty part begins where that ended.
        let after_first = compact(&log, 0, first_end, 5000, 100);
        let after = compact(&after_first, first_end, end, 5050, 100);

        let before = contents(&log);
        let mut expected: Vec<&Record> = before.iter().filter(|record| {
            record.offset >= end
                || !before.iter().any(|later| later.key == record.key
                    && later.offset > record.offset && later.offset < end)
        }).collect();
        expected.sort_by_key(|record| record.offset);
        let found = contents(&after);
        prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected);

        let again = compact(&after, end, end, 5060, 100);
        prop_assert_eq!(contents(&again), contents(&after));
        let last = after.last().map_or(0, |batch| batch.header.next_offset());
        prop_assert_eq!(last, log_end, "the end of the log is not forgotten");
    }
}

#[test]
fn a_tombstone_stays_for_its_time_and_then_goes() {
    let log = log_of(&[
        vec![(1, Some(1))],
        vec![(1, None), (2, Some(2))],
        vec![(3, Some(3))],
    ]);
    let keys = |log: &[Batch]| {
        contents(log)
            .iter()
            .map(|record| record.key.as_ref().unwrap()[0])
            .collect::<Vec<_>>()
    };
    let first = compact(&log, 0, 4, 10_000, 500);
    assert_eq!(
        keys(&first),
        [1, 2, 3],
        "the value is gone, its tombstone is not"
    );
    let horizon = first[0].header.delete_horizon();
    assert_eq!(
        horizon,
        Some(10_500),
        "counted from the first pass that saw it"
    );
    assert_eq!(
        contents(&first)[0].timestamp,
        1001,
        "the timestamp is as it was"
    );

    let early = compact(&first, 4, 4, 10_499, 500);
    assert_eq!(keys(&early), [1, 2, 3]);
    assert_eq!(
        early[0].header.delete_horizon(),
        horizon,
        "a later pass does not move it"
    );
    let due = compact(&early, 4, 4, 10_500, 500);
    assert_eq!(keys(&due), [2, 3]);
}

#[test]
fn the_last_batch_of_a_producer_remains_though_its_records_go() {
    let mut pass = LatestValue.begin(0, usize::MAX);
    let log = [
        batch(0, &[(1, Some(1))], Some((77, 0))),
        batch(1, &[(1, Some(2))], Some((77, 1))),
        batch(2, &[(1, Some(3))], None),
    ];
    for record in contents(&log) {
        pass.note(&record);
    }
    let producers = HashMap::from([(77, LastOf::Data(1))]);
    let mut filter = Filter {
        pass: &mut *pass,
        now_ms: 0,
        delete_retention_ms: 0,
        end: 3,
        producers: &producers,
        transactions: &mut Transactions::default(),
        must_remain: false,
    };
    assert_eq!(filter.apply(&log[0]).unwrap(), Filtered::Dropped);
    let Filtered::Replaced(bytes) = filter.apply(&log[1]).unwrap() else {
        panic!("not replaced")
    };
    let empty = Batch::parse(&bytes).unwrap();
    empty.verify_crc().unwrap();
    assert_eq!(
        (empty.header.records_count, empty.header.last_offset()),
        (0, 1)
    );
    assert_eq!(
        (empty.header.producer_id, empty.header.last_sequence()),
        (77, 1)
    );
    assert_eq!(filter.apply(&empty).unwrap(), Filtered::Kept);
    assert_eq!(filter.apply(&log[2]).unwrap(), Filtered::Kept);
    // Once the producer has written on, nothing holds it.
    let producers = HashMap::from([(77, LastOf::Data(9))]);
    let mut later = Filter {
        producers: &producers,
        ..filter
    };
    assert_eq!(later.apply(&empty).unwrap(), Filtered::Dropped);
}

#[test]
fn a_pass_without_memory_for_a_key_says_so() {
    let mut pass = LatestValue.begin(0, 2 * (KEY_OVERHEAD + 1));
    let log = log_of(&[vec![(1, Some(1)), (2, Some(1)), (1, Some(2)), (3, Some(1))]]);
    let noted: Vec<bool> = contents(&log)
        .iter()
        .map(|record| pass.note(record))
        .collect();
    assert_eq!(noted, [true, true, true, false]);
}

#[test]
fn a_log_is_compacted_when_enough_of_it_is_dirty_or_old() {
    let segment = |base, len, timestamp| Candidate {
        base,
        len,
        max_timestamp: timestamp,
        first_timestamp: timestamp,
    };
    let segments = [
        segment(0, 100, 10),
        segment(10, 100, 20),
        segment(20, 100, 30),
    ];
    let config = LogConfig::default();
    let planned = |first_dirty, config: &LogConfig, now_ms| {
        plan(&segments, 30, 30, first_dirty, config, now_ms, false)
            .map(|plan| (plan.first_dirty, plan.end))
    };
    assert_eq!(planned(0, &config, 100), Some((0, 30)));
    assert_eq!(
        planned(10, &config, 100),
        Some((10, 30)),
        "two thirds are dirty"
    );
    assert_eq!(planned(20, &config, 100), None, "one third is dirty");
    assert_eq!(planned(30, &config, 100), None, "nothing is dirty");
    let eager = LogConfig {
        min_cleanable_dirty_ratio: 0.1,
        ..config.clone()
    };
    assert_eq!(planned(20, &eager, 100), Some((20, 30)));
    let promised = LogConfig {
        max_compaction_lag_ms: 50,
        ..config.clone()
    };
    assert_eq!(planned(20, &promised, 80), None);
    assert_eq!(
        planned(20, &promised, 81),
        Some((20, 30)),
        "older than it may be"
    );
    let patient = LogConfig {
        min_compaction_lag_ms: 75,
        ..config.clone()
    };
    assert_eq!(
        planned(0, &patient, 100),
        Some((0, 20)),
        "the last one is too young"
    );
    let stable = plan(&segments, 30, 15, 0, &config, 100, false).unwrap();
    assert_eq!(stable.end, 15, "open transactions are left alone");
    assert!(
        plan(&segments, 30, 30, 30, &config, 100, true).is_some(),
        "a policy may insist"
    );
    assert!(plan(&[], 30, 30, 0, &config, 100, true).is_none());
}

/// What stays of a log in which producer 1 commits, producer 2 aborts, pass after pass.
#[test]
fn aborted_records_go_and_their_marker_follows_when_readers_had_time() {
    let transactional = |base_offset, producer, key: u8| {
        let mut builder = BatchBuilder::new(base_offset)
            .producer(producer, 0, 0)
            .transactional(true);
        let record = NewRecord {
            key: Some(&[key]),
            value: Some(b"v"),
            ..NewRecord::default()
        };
        builder.push(record).unwrap();
        Batch::parse(&builder.build().unwrap()).unwrap()
    };
    let marker = |base_offset, producer, commit| {
        let bytes = end_transaction_marker(base_offset, 0, producer, 0, commit, 5).unwrap();
        Batch::parse(&bytes).unwrap()
    };
    let mut log = vec![
        transactional(0, 2, 1),
        transactional(1, 1, 1),
        marker(2, 2, false),
        marker(3, 1, true),
    ];
    let aborted = AbortedTransaction {
        producer_id: 2,
        first_offset: 0,
        last_offset: 2,
        last_stable_offset: 1,
    };
    let pass_at = |log: &mut Vec<Batch>, now_ms| {
        let mut transactions = Transactions::new([aborted]);
        let mut pass = LatestValue.begin(now_ms, usize::MAX);
        let mut filter = Filter {
            pass: &mut *pass,
            now_ms,
            delete_retention_ms: 100,
            end: 10,
            producers: &HashMap::new(),
            transactions: &mut transactions,
            must_remain: false,
        };
        log.retain_mut(|batch| match filter.apply(batch).unwrap() {
            Filtered::Kept => true,
            Filtered::Dropped => false,
            Filtered::Replaced(bytes) => {
                *batch = Batch::parse(&bytes).unwrap();
                batch.verify_crc().unwrap();
                true
            }
        });
        let offsets: Vec<i64> = log.iter().map(|batch| batch.header.base_offset).collect();
        (offsets, transactions.is_needed(&aborted))
    };
    assert_eq!(pass_at(&mut log, 1000), (vec![1, 2, 3], true));
    assert_eq!(pass_at(&mut log, 1001), (vec![1, 2, 3], false));
    assert_eq!(log[1].header.delete_horizon(), Some(1101));
    let first = records(&log[1]).unwrap().next().unwrap().unwrap();
    let coordinator_epoch = 5;
    let abort = ControlRecord::Abort { coordinator_epoch };
    assert_eq!(ControlRecord::parse(&first), Some(abort));
    assert_eq!(pass_at(&mut log, 1100).0, [1, 2, 3]);
    assert_eq!(pass_at(&mut log, 1101).0, [1, 3], "the committed ones stay");
}
