//! Compaction of logs on disk: what stays, who may read meanwhile, and a crash at every step.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use catchword_log::contract::{CLIENT, TOPIC_ID, idempotent};
use catchword_log::{
    CleanupPolicy, CompactionPass, CompactionPolicy, DiskHook, DiskOperation, Engine, LocalEngine,
    LocalOptions, LogConfig, PartitionLog, ReadLimit, Tally, TopicPartition,
};
use catchword_wire::batch::{Record, records, split};

use crate::support::{files, keyed, log_of, open, partition};

fn compacted() -> LogConfig {
    LogConfig {
        segment_bytes: 800,
        index_interval_bytes: 200,
        cleanup_policy: CleanupPolicy::Compact,
        segment_ms: i64::MAX,
        ..LogConfig::default()
    }
}

fn all_records(log: &dyn PartitionLog) -> Vec<Record> {
    let from = log.offsets().log_start;
    let mut found = Vec::new();
    let mut next = from;
    while next < log.offsets().log_end {
        let fetched = log
            .read(next, 300, ReadLimit::HighWatermark, true)
            .now()
            .unwrap();
        for batch in split(fetched.data.read().unwrap()) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            assert!(batch.header.base_offset >= next || batch.header.last_offset() >= next);
            next = batch.header.next_offset();
            found.extend(records(&batch).unwrap().map(Result::unwrap));
        }
        assert!(
            !fetched.data.is_empty(),
            "the log ends at {}, not at {next}",
            log.offsets().log_end
        );
    }
    found
}

type Latest = BTreeMap<String, (i64, Option<String>)>;

/// The latest offset and value of each key.
fn latest(found: &[Record]) -> Latest {
    let text = |bytes: &bytes::Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let one = |record: &Record| {
        let key = text(record.key.as_ref().expect("a key"));
        (key, (record.offset, record.value.as_ref().map(text)))
    };
    found.iter().map(one).collect()
}

/// Writes `count` records over a few keys, each tenth a tombstone.
fn write(log: &dyn PartitionLog, from: i64, count: i64) {
    for n in from..from + count {
        let (key, value) = (format!("key-{}", n * 7 % 11), format!("value-{n}"));
        let value = (n % 10 != 3).then_some(value.as_str());
        log.append(&[keyed(1000 + n, &key, value)], CLIENT).unwrap();
    }
}

#[test]
fn the_latest_values_stay_and_the_log_shrinks() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, compacted());
    write(&*log, 0, 200);
    let before = latest(&all_records(&*log));
    let size = log.size_bytes();
    engine.maintain(10_000);
    assert!(
        log.size_bytes() < size / 3,
        "{} of {size}",
        log.size_bytes()
    );
    assert_eq!(latest(&all_records(&*log)), before);
    assert_eq!(log.offsets().log_end, 200);
    assert_eq!(log.offsets().log_start, 0);
    // A second time over what came since, and what was left.
    write(&*log, 200, 200);
    let before = latest(&all_records(&*log));
    engine.maintain(20_000);
    assert_eq!(latest(&all_records(&*log)), before);
    // Nothing new: nothing is done.
    let names = |_: ()| files(dir.path(), "log");
    let untouched = names(());
    let modified = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
    let times: Vec<_> = untouched.iter().map(|path| modified(path)).collect();
    engine.maintain(30_000);
    assert_eq!(
        names(())
            .iter()
            .map(|path| modified(path))
            .collect::<Vec<_>>(),
        times
    );
    drop((log, engine));
    let engine = open(dir.path());
    let log = engine.get(&partition()).unwrap();
    assert_eq!(latest(&all_records(&*log)), before);
    assert_eq!(log.offset_for_timestamp(1390).unwrap().unwrap().offset, 390);
}

#[test]
fn a_compaction_keeps_its_pace_and_holds_up_neither_the_housekeeping_nor_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, compacted());
    write(&*log, 0, 200);
    let size = log.size_bytes();
    let before = std::thread::scope(|scope| {
        // At a byte a second it would take hours.
        let compacting = scope.spawn(|| engine.compact(10_000, 1.0));
        engine.keep_house(10_000);
        write(&*log, 200, 1);
        std::thread::sleep(Duration::from_millis(300));
        assert!(!compacting.is_finished(), "nothing held it to its pace");
        let before = latest(&all_records(&*log));
        engine.close().unwrap();
        before
    });
    drop((log, engine));
    let engine = open(dir.path());
    let log = engine.create(&partition(), TOPIC_ID, compacted()).unwrap();
    assert_eq!(latest(&all_records(&*log)), before);
    assert!(log.size_bytes() > size, "it was not compacted by halves");
    assert!(files(dir.path(), "cleaned").is_empty());
    engine.maintain(20_000);
    assert!(log.size_bytes() < size / 3, "and now it is");
}

#[test]
fn tombstones_go_after_their_time() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let config = LogConfig {
        delete_retention_ms: 1000,
        ..compacted()
    };
    let log = log_of(&engine, config);
    log.append(&[keyed(1, "gone", Some("x"))], CLIENT).unwrap();
    log.append(&[keyed(2, "gone", None)], CLIENT).unwrap();
    write(&*log, 0, 60);
    let has_gone = |log: &dyn PartitionLog| latest(&all_records(log)).contains_key("gone");
    engine.maintain(10_000);
    assert_eq!(latest(&all_records(&*log))["gone"], (1, None));
    write(&*log, 60, 60);
    engine.maintain(10_999);
    assert!(has_gone(&*log));
    write(&*log, 120, 60);
    engine.maintain(11_000);
    assert!(!has_gone(&*log));
}

#[test]
fn producers_survive_the_compaction_of_their_batches() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, compacted());
    // Records without a key are dropped from a compacted log; the batch says more than its records.
    log.append(&[idempotent(5, 0, 0, &[(1, "x")])], CLIENT)
        .unwrap();
    log.append(&[idempotent(5, 0, 1, &[(1, "y")])], CLIENT)
        .unwrap();
    write(&*log, 2, 100);
    engine.maintain(10_000);
    drop((log, engine));
    for snapshot in files(dir.path(), "snapshot") {
        std::fs::remove_file(snapshot).unwrap();
    }
    let engine = open(dir.path());
    let log = engine.get(&partition()).unwrap();
    assert_eq!(log.producers()[0].last_sequence, 1);
    let again = log
        .append(&[idempotent(5, 0, 1, &[(1, "y")])], CLIENT)
        .unwrap();
    assert_eq!((again.duplicate, again.base_offset), (true, 1));
}

#[test]
fn a_reader_goes_on_while_its_segments_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, compacted());
    write(&*log, 0, 200);
    let held = log
        .read(0, 700, ReadLimit::HighWatermark, true)
        .now()
        .unwrap();
    let before = held.data.read().unwrap();
    engine.maintain(10_000);
    assert_eq!(
        held.data.read().unwrap(),
        before,
        "what was answered can be sent"
    );
    let next = split(before).last().unwrap().unwrap().header.next_offset();
    let fetched = log
        .read(next, 700, ReadLimit::HighWatermark, true)
        .now()
        .unwrap();
    let first = split(fetched.data.read().unwrap()).next().unwrap().unwrap();
    assert!(first.header.last_offset() >= next);
}

#[test]
fn a_pass_with_little_memory_does_a_part_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let options = LocalOptions {
        compaction_memory_bytes: 400,
        ..LocalOptions::default()
    };
    let engine = LocalEngine::open(dir.path(), options).unwrap();
    let config = LogConfig {
        min_cleanable_dirty_ratio: 0.0,
        ..compacted()
    };
    let log = log_of(&engine, config);
    write(&*log, 0, 200);
    let before = latest(&all_records(&*log));
    let mut sizes = vec![log.size_bytes()];
    for n in 0..60 {
        engine.maintain(10_000 + n);
        sizes.push(log.size_bytes());
    }
    assert_eq!(latest(&all_records(&*log)), before);
    assert!(sizes[1] > sizes[60], "{sizes:?}");
    assert!(sizes[60] < sizes[0] / 2, "{sizes:?}");
}

/// Fails everything from the n-th change on, as if the process had died there.
pub(crate) struct DiesAt {
    pub(crate) at: AtomicUsize,
    pub(crate) seen: AtomicUsize,
}

impl DiskHook for DiesAt {
    fn before(&self, _path: &Path, _operation: DiskOperation<'_>) -> io::Result<()> {
        if self.seen.fetch_add(1, Ordering::SeqCst) >= self.at.load(Ordering::SeqCst) {
            return Err(io::Error::other("the process is dead"));
        }
        Ok(())
    }
}

#[test]
fn a_crash_at_any_step_of_a_compaction_loses_no_value() {
    let mut step = 0;
    loop {
        let dir = tempfile::tempdir().unwrap();
        let hook = Arc::new(DiesAt {
            at: AtomicUsize::new(usize::MAX),
            seen: AtomicUsize::new(0),
        });
        let options = LocalOptions {
            disk_hook: Some(hook.clone()),
            ..LocalOptions::default()
        };
        let engine = LocalEngine::open(dir.path(), options).unwrap();
        let config = LogConfig {
            delete_retention_ms: 0,
            ..compacted()
        };
        let log = log_of(&engine, config.clone());
        write(&*log, 0, 25);
        engine.maintain(5_000);
        write(&*log, 25, 25);
        let before = latest(&all_records(&*log));
        let alive = |all: &Latest| {
            all.iter()
                .filter(|(_, (_, value))| value.is_some())
                .map(|(key, place)| (key.clone(), place.clone()))
                .collect::<Latest>()
        };
        hook.at
            .store(hook.seen.load(Ordering::SeqCst) + step, Ordering::SeqCst);
        engine.maintain(10_000);
        // The process that lives on after a failed step still answers.
        assert_eq!(
            alive(&latest(&all_records(&*log))),
            alive(&before),
            "step {step}"
        );
        let died = hook.seen.load(Ordering::SeqCst) > hook.at.load(Ordering::SeqCst);
        drop((log, engine));

        let engine = open(dir.path());
        let log = log_of(&engine, config);
        let after = latest(&all_records(&*log));
        assert_eq!(alive(&after), alive(&before), "step {step}");
        assert_eq!(log.offsets().log_end, 50);
        engine.maintain(20_000);
        engine.maintain(30_000);
        assert_eq!(
            alive(&latest(&all_records(&*log))),
            alive(&before),
            "step {step}"
        );
        let rest: Vec<_> = std::fs::read_dir(dir.path().join("t-0"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".swap") || name.ends_with(".cleaned"))
            .collect();
        assert_eq!(rest, [] as [String; 0], "step {step}");
        if !died {
            assert!(step > 20, "the compaction has more steps than {step}");
            return;
        }
        step += 1;
    }
}

/// Keeps every record for a while, whatever its key: as the history of bookmarks is kept.
struct KeepsYoung {
    keep_ms: i64,
}

impl CompactionPolicy for KeepsYoung {
    fn begin(&self, now_ms: i64, _memory_bytes: usize) -> Box<dyn CompactionPass> {
        Box::new(KeepsYoungPass {
            oldest: now_ms - self.keep_ms,
            last: BTreeMap::new(),
        })
    }

    fn needs_whole_log(&self) -> bool {
        true
    }

    fn interval_ms(&self) -> Option<i64> {
        Some(100)
    }
}

struct KeepsYoungPass {
    oldest: i64,
    last: BTreeMap<bytes::Bytes, i64>,
}

impl CompactionPass for KeepsYoungPass {
    fn note(&mut self, record: &Record) -> bool {
        self.last.insert(record.key.clone().unwrap(), record.offset);
        true
    }

    fn keep(&mut self, record: &Record, _tombstone_due: bool) -> bool {
        record.timestamp >= self.oldest
            || self
                .last
                .get(record.key.as_ref().unwrap())
                .is_none_or(|last| record.offset >= *last)
    }
}

#[test]
fn a_policy_may_keep_what_is_young_and_thin_it_as_it_ages() {
    let dir = tempfile::tempdir().unwrap();
    let asked = Arc::new(AtomicI64::new(0));
    let counter = asked.clone();
    let options = LocalOptions {
        compaction_policy: Arc::new(move |topic| {
            counter.fetch_add(1, Ordering::Relaxed);
            assert_eq!(topic, "history");
            Arc::new(KeepsYoung { keep_ms: 100 })
        }),
        ..LocalOptions::default()
    };
    let engine = LocalEngine::open(dir.path(), options).unwrap();
    let log = engine
        .create(&TopicPartition::new("history", 0), TOPIC_ID, compacted())
        .unwrap();
    write(&*log, 0, 200);
    let total = all_records(&*log).len();
    // Timestamps are 1000 + n.
    engine.maintain(1200);
    let first = all_records(&*log).len();
    assert!(
        first < total && first >= 100,
        "{first} of {total}: the younger half is whole"
    );
    engine.maintain(1250);
    assert_eq!(all_records(&*log).len(), first, "it is not due yet");
    engine.maintain(1300);
    let second = all_records(&*log).len();
    assert!(
        second < first,
        "nothing was written, but time has passed: {second} of {first}"
    );
    assert!(asked.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_compaction_is_told_so_that_what_was_counted_is_counted_anew() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, compacted());
    write(&*log, 0, 200);
    let mut tally = Tally::default();
    let mut unread = || tally.unread(&*log, 0).unwrap().records;
    assert_eq!(unread(), 200);
    let before = log.rewrites();
    engine.maintain(2_000);
    assert!(log.rewrites() > before);
    let left = all_records(&*log).len() as i64;
    assert!(left < 200, "{left}");
    assert_eq!(unread(), left);
    let before = log.rewrites();
    engine.maintain(2_000);
    assert_eq!(log.rewrites(), before, "nothing was left to compact");
}
