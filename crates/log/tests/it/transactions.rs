//! Transactions through restarts, crashes and compaction: what readers of committed records see is what a model says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use catchword_log::contract::{
    CLIENT, append_verified, batch_of, marker, read_committed, transactional,
};
use catchword_log::{
    CleanupPolicy, Engine, LogConfig, Mend, PartitionLog, ReadLimit, RepairOptions, TopicPartition,
    check_dir, repair_dir,
};
use catchword_wire::batch::{Batch, BatchBuilder, ControlRecord, NewRecord, records, split};

use crate::support::{copy, files, log_of, open};

const PRODUCERS: i64 = 4;
const KEYS: u64 = 7;

/// The same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// A record of the model.
#[derive(Debug, Clone)]
struct Entry {
    offset: i64,
    key: String,
    /// `None`: its transaction is open.
    counts: Option<bool>,
    producer: Option<i64>,
}

/// What the markers in a log say that readers of committed records see, (offset, value), and where that ends.
pub(crate) fn by_markers(log: &dyn PartitionLog) -> (Vec<(i64, String)>, i64) {
    let offsets = log.offsets();
    let fetched = log
        .read(offsets.log_start, usize::MAX, ReadLimit::LogEnd, true)
        .now()
        .unwrap();
    let mut open: BTreeMap<i64, (i64, Vec<(i64, String)>)> = BTreeMap::new();
    let mut seen = Vec::new();
    for batch in split(fetched.data.read().unwrap()).map(Result::unwrap) {
        let id = batch.header.producer_id;
        let mut found = records(&batch).unwrap().map(Result::unwrap);
        if batch.header.is_control() {
            let marker = found.next().as_ref().and_then(ControlRecord::parse);
            let of_producer = marker.and_then(|_| open.remove(&id));
            if matches!(marker, Some(ControlRecord::Commit { .. })) {
                seen.extend(of_producer.into_iter().flat_map(|(_, records)| records));
            }
            continue;
        }
        let value = |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned();
        let found = found.map(|one| (one.offset, value(one.value.unwrap_or_default())));
        if batch.header.is_transactional() {
            let first = batch.header.base_offset;
            open.entry(id)
                .or_insert((first, Vec::new()))
                .1
                .extend(found);
        } else {
            seen.extend(found);
        }
    }
    let first_open = open.values().map(|(first, _)| *first).min();
    let stable = first_open.map_or(offsets.log_end, |first| first.max(offsets.log_start));
    seen.retain(|(offset, _)| (offsets.log_start..stable).contains(offset));
    seen.sort();
    (seen, stable)
}

/// The offsets of the markers that are in the log.
pub(crate) fn markers(log: &dyn PartitionLog) -> BTreeSet<i64> {
    let start = log.offsets().log_start;
    let fetched = log.read(start, usize::MAX, ReadLimit::LogEnd, true);
    split(fetched.now().unwrap().data.read().unwrap())
        .map(Result::unwrap)
        .filter(|batch| batch.header.is_control())
        .map(|batch| batch.header.base_offset)
        .collect()
}

#[derive(Default)]
struct Model {
    entries: Vec<Entry>,
    sequences: BTreeMap<i64, i32>,
    end: i64,
}

impl Model {
    fn last_stable(&self) -> i64 {
        let open = self.entries.iter().find(|entry| entry.counts.is_none());
        open.map_or(self.end, |entry| entry.offset)
    }

    fn is_open(&self, producer: i64) -> bool {
        let mut open = self.entries.iter().filter(|entry| entry.counts.is_none());
        open.any(|entry| entry.producer == Some(producer))
    }

    /// (offset, key) of what readers of committed records see.
    fn committed(&self) -> Vec<(i64, String)> {
        let stable = self.last_stable();
        let seen = |entry: &&Entry| entry.counts == Some(true) && entry.offset < stable;
        let seen = self.entries.iter().filter(seen);
        seen.map(|entry| (entry.offset, entry.key.clone()))
            .collect()
    }
}

/// A batch of one record whose value is its key.
pub(crate) fn batch(key: &str, producer: Option<(i64, i32)>) -> Batch {
    let mut builder = BatchBuilder::new(0);
    if let Some((id, sequence)) = producer {
        builder = builder.producer(id, 0, sequence).transactional(true);
    }
    builder
        .push(NewRecord {
            timestamp: 1000,
            key: Some(key.as_bytes()),
            value: Some(key.as_bytes()),
            headers: &[],
        })
        .unwrap();
    Batch::parse(&builder.build().unwrap()).unwrap()
}

fn write(log: &dyn PartitionLog, model: &mut Model, dice: &mut Dice) {
    let key = format!("key-{}", dice.below(KEYS));
    let producer = dice.below(PRODUCERS as u64 + 1) as i64;
    let transactional = producer < PRODUCERS;
    if transactional && model.is_open(producer) && dice.below(3) == 0 {
        let commit = dice.below(2) == 0;
        log.append_marker(&marker(producer, 0, commit), 0).unwrap();
        let of_producer =
            |entry: &&mut Entry| entry.counts.is_none() && entry.producer == Some(producer);
        for entry in model.entries.iter_mut().filter(of_producer) {
            entry.counts = Some(commit);
        }
    } else if transactional {
        let sequence = model.sequences.entry(producer).or_insert(0);
        append_verified(log, &batch(&key, Some((producer, *sequence)))).unwrap();
        *sequence += 1;
        model.entries.push(Entry {
            offset: model.end,
            key,
            counts: None,
            producer: Some(producer),
        });
    } else {
        log.append(&[batch(&key, None)], CLIENT).unwrap();
        model.entries.push(Entry {
            offset: model.end,
            key,
            counts: Some(true),
            producer: None,
        });
    }
    model.end += 1;
}

fn compare(log: &dyn PartitionLog, model: &Model, compacted: bool, case: &str) {
    let offsets = log.offsets();
    assert_eq!(offsets.high_watermark, model.end, "{case}");
    let stable = model.last_stable();
    assert_eq!(offsets.last_stable, stable, "last stable offset: {case}");
    let open: Vec<i64> = log
        .producers()
        .into_iter()
        .filter(|producer| producer.current_txn_start_offset >= 0)
        .map(|producer| producer.producer_id)
        .collect();
    let expected: Vec<i64> = (0..PRODUCERS).filter(|id| model.is_open(*id)).collect();
    assert_eq!(open, expected, "{case}");
    let expected = model.committed();
    for from in [0, model.end / 3, model.end - model.end / 5] {
        let seen = read_committed(log, from).unwrap();
        let mut expected = expected.clone();
        expected.retain(|(offset, _)| *offset >= from);
        if compacted {
            assert!(
                seen.iter().all(|one| expected.contains(one)),
                "{case}, from {from}"
            );
            let latest: BTreeMap<&String, i64> = expected.iter().map(|(o, k)| (k, *o)).collect();
            for (key, offset) in latest {
                let kept = seen.iter().any(|one| *one == (offset, key.clone()));
                assert!(kept, "{case}, from {from}: the last of {key} at {offset}");
            }
        } else {
            assert_eq!(seen, expected, "{case}, from {from}");
        }
    }
}

fn config(compacted: bool) -> LogConfig {
    LogConfig {
        segment_bytes: 1000,
        index_interval_bytes: 200,
        cleanup_policy: match compacted {
            true => CleanupPolicy::Compact,
            false => CleanupPolicy::Delete,
        },
        retention_ms: -1,
        segment_ms: i64::MAX,
        delete_retention_ms: 0,
        min_cleanable_dirty_ratio: 0.01,
        ..LogConfig::default()
    }
}

fn no_damage(dir: &Path, case: &str) {
    let mut found = Vec::new();
    check_dir(dir, &mut |finding| found.push(finding.clone())).unwrap();
    found.retain(|finding| finding.severity != catchword_log::Severity::Note);
    found.retain(|finding| !finding.path.ends_with("catchword.journal"));
    assert!(found.is_empty(), "{case}: {found:?}");
}

fn run(seed: u64, compacted: bool) {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(seed * 2 + 1);
    let mut model = Model::default();
    let mut engine = open(dir.path());
    let mut log = log_of(&engine, config(compacted));
    let mut now_ms = 10_000;
    for step in 0..300 {
        let case = format!("seed {seed}, step {step}");
        match dice.below(40) {
            0 => {
                // A clean stop, or the death of the process.
                if dice.below(2) == 0 {
                    engine.close().unwrap();
                    drop((log, engine));
                    no_damage(dir.path(), &case);
                } else {
                    drop((log, engine));
                }
                engine = open(dir.path());
                log = log_of(&engine, config(compacted));
                compare(&*log, &model, compacted, &case);
            }
            1 | 2 => {
                now_ms += 100_000;
                engine.maintain(now_ms);
                compare(&*log, &model, compacted, &case);
            }
            _ => write(&*log, &mut model, &mut dice),
        }
    }
    compare(&*log, &model, compacted, &format!("seed {seed}, end"));
}

#[test]
fn readers_of_committed_records_see_what_the_model_says() {
    (0..30).for_each(|seed| run(seed, false));
}

#[test]
fn compaction_takes_aborted_records_and_leaves_the_last_committed_ones() {
    (0..30).for_each(|seed| run(seed, true));
}

/// The comparison must be able to fail: here a marker that the model knows nothing of ends what is open.
#[test]
#[should_panic(expected = "last stable offset")]
fn a_last_stable_offset_that_passes_an_open_transaction_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut dice, mut model) = (Dice(3), Model::default());
    let engine = open(dir.path());
    let log = log_of(&engine, config(false));
    let is_open = |model: &Model| (0..PRODUCERS).find(|id| model.is_open(*id));
    while is_open(&model).is_none() {
        write(&*log, &mut model, &mut dice);
    }
    let producer = is_open(&model).unwrap();
    log.append_marker(&marker(producer, 0, true), 0).unwrap();
    model.end += 1;
    compare(&*log, &model, false, "after a marker of nobody's");
}

/// A log with aborted transactions in several segments, stopped in order, and what is to be seen in it.
fn stopped() -> (tempfile::TempDir, Model) {
    let dir = tempfile::tempdir().unwrap();
    let (mut dice, mut model) = (Dice(5), Model::default());
    let engine = open(dir.path());
    let log = log_of(&engine, config(false));
    for _ in 0..100 {
        write(&*log, &mut model, &mut dice);
    }
    engine.close().unwrap();
    assert!(files(dir.path(), "txnindex").len() > 2);
    (dir, model)
}

fn reopened(dir: &Path) -> (Arc<dyn PartitionLog>, catchword_log::LocalEngine) {
    let engine = open(dir);
    (log_of(&engine, config(false)), engine)
}

#[test]
fn a_damaged_index_of_aborted_transactions_is_built_anew_from_the_log() {
    let (dir, model) = stopped();
    let indexes = files(dir.path(), "txnindex");
    let sound = std::fs::read(&indexes[1]).unwrap();
    for at in [0, 17, sound.len() - 1] {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x40;
        std::fs::write(&indexes[1], &damaged[..sound.len() - at % 2]).unwrap();
        let (log, engine) = reopened(dir.path());
        compare(&*log, &model, false, &format!("byte {at}"));
        engine.close().unwrap();
    }
    assert_eq!(std::fs::read(&indexes[1]).unwrap(), sound);
}

/// What a death of the process may leave of the active segment's index: a part of an entry, or none of it.
#[test]
fn what_a_crash_leaves_of_an_index_does_not_matter() {
    let (dir, mut model) = stopped();
    let crashed = tempfile::tempdir().unwrap();
    let (log, engine) = reopened(dir.path());
    append_verified(&*log, &batch("a", Some((9, 0)))).unwrap();
    log.append(&[batch_of(&[(1, "x")])], CLIENT).unwrap();
    log.append_marker(&marker(9, 0, false), 0).unwrap();
    copy(dir.path(), crashed.path());
    drop((log, engine));
    model.end += 3;
    let offset = model.end - 2;
    let (key, counts, producer) = ("x".into(), Some(true), None);
    model.entries.push(Entry {
        offset,
        key,
        counts,
        producer,
    });
    let newest = files(crashed.path(), "log")
        .pop()
        .unwrap()
        .with_extension("txnindex");
    let before = std::fs::read(&newest).unwrap_or_default();
    for garbage in [0, 1, 33, 34, 70] {
        let again = tempfile::tempdir().unwrap();
        copy(crashed.path(), again.path());
        let mut bytes = before.clone();
        bytes.resize(before.len() + garbage, 0xA5);
        let path = again.path().join("t-0").join(newest.file_name().unwrap());
        std::fs::write(&path, bytes).unwrap();
        let (log, engine) = reopened(again.path());
        compare(&*log, &model, false, &format!("{garbage} bytes"));
        engine.close().unwrap();
        no_damage(again.path(), "after the restart");
    }
}

#[test]
fn the_doctor_notices_an_entry_that_is_missing_and_builds_the_index_from_the_log() {
    let (dir, model) = stopped();
    let indexes = files(dir.path(), "txnindex");
    let sound = std::fs::read(&indexes[0]).unwrap();
    no_damage(dir.path(), "as it was stopped");
    std::fs::remove_file(&indexes[0]).unwrap();
    let mut found = Vec::new();
    check_dir(dir.path(), &mut |finding| found.push(finding.clone())).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].mend, Some(Mend::RebuildTxnIndexes));
    let mut mended = Vec::new();
    let options = RepairOptions::default();
    repair_dir(dir.path(), &options, &mut |finding| {
        mended.push(finding.clone())
    })
    .unwrap();
    assert_eq!(mended, found);
    no_damage(dir.path(), "mended");
    assert_eq!(std::fs::read(&indexes[0]).unwrap(), sound);
    let (log, _engine) = reopened(dir.path());
    compare(&*log, &model, false, "mended");
}

/// A snapshot knew the transaction as open, and the log's start has passed the marker that ended it.
#[test]
fn a_transaction_that_ended_before_the_logs_start_is_not_open_again_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let config = LogConfig {
        segment_bytes: 600,
        ..LogConfig::default()
    };
    let log = log_of(&engine, config);
    append_verified(&*log, &transactional(7, 0, 0, &[(1, "in it")])).unwrap();
    // Until the next segment begins: with it comes a snapshot.
    let one = |log: &dyn PartitionLog| log.append(&[batch_of(&[(2, "plain")])], CLIENT).unwrap();
    while files(dir.path(), "log").len() == 1 {
        one(&*log);
    }
    log.append_marker(&marker(7, 0, true), 0).unwrap();
    // The producer goes on by itself after it.
    append_verified(&*log, &transactional(7, 0, 1, &[(3, "next")])).unwrap();
    log.append_marker(&marker(7, 0, true), 0).unwrap();
    let start = one(&*log).base_offset;
    assert_eq!(log.truncate_prefix(start).unwrap(), start);
    drop((log, engine));
    let engine = open(dir.path());
    let log = engine.get(&TopicPartition::new("t", 0)).unwrap();
    log.ready().unwrap();
    let offsets = log.offsets();
    assert_eq!((offsets.log_start, offsets.log_end), (start, start + 1));
    assert_eq!(offsets.last_stable, offsets.log_end, "nothing is open");
    // And its sequence is known.
    append_verified(&*log, &transactional(7, 0, 2, &[(4, "third")])).unwrap();
}
