//! Compaction of the offsets topic through a real engine: which moves of the bookmarks stay, and that a crash loses none.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use catchword_config::BrokerConfig;
use catchword_coordinator::ledger::Tags;
use catchword_coordinator::{
    Call, Client, Context, GroupConfig, GroupShard, Output, ReplyTo, TagCall,
};
use catchword_log::{
    Append, AppendOrigin, CleanupPolicy, DiskHook, DiskOperation, Engine, LocalEngine,
    LocalOptions, LogConfig, PartitionLog, ReadLimit, TopicPartition,
};
use catchword_wire::Uuid;
use catchword_wire::batch::{Batch, BatchBuilder, NewRecord, Record, records, split};
use catchword_wire::messages::OffsetCommitRequest;
use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};

const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// A whole hour.
const BEGIN: i64 = 400_000 * HOUR;

fn tp() -> TopicPartition {
    TopicPartition::new("__consumer_offsets", 0)
}

fn options(settings: &[(&str, &str)]) -> LocalOptions {
    let config = BrokerConfig::from_pairs(settings).unwrap();
    LocalOptions {
        compaction_policy: catchword_broker::compaction_policy(&config),
        ..LocalOptions::default()
    }
}

fn open_log(engine: &LocalEngine) -> Arc<dyn PartitionLog> {
    let config = LogConfig {
        segment_bytes: 1500,
        index_interval_bytes: 300,
        segment_ms: i64::MAX,
        cleanup_policy: CleanupPolicy::Compact,
        ..LogConfig::default()
    };
    engine.create(&tp(), Uuid([6; 16]), config).unwrap()
}

/// Groups whose calls are written to the log as a coordinator writes them.
struct Groups {
    machine: GroupShard,
    log: Arc<dyn PartitionLog>,
}

impl Groups {
    fn new(log: &Arc<dyn PartitionLog>) -> Groups {
        Groups {
            machine: GroupShard::new(GroupConfig::default(), 1),
            log: log.clone(),
        }
    }

    /// Returns the offset of the call's first record.
    fn call(&mut self, now_ms: i64, client: &'static str, call: Call) -> i64 {
        let client = Client {
            client_id: client.into(),
            ..Client::default()
        };
        let ctx = Context {
            now_ms,
            client: &client,
            api_version: 9,
        };
        let mut out = Output::default();
        self.machine.step(&ctx, ReplyTo(0), call, &mut out);
        let mut builder = BatchBuilder::new(0);
        for record in out.records.iter() {
            let new = NewRecord {
                timestamp: now_ms,
                key: Some(record.key),
                value: record.value,
                headers: record.headers,
            };
            builder.push(new).unwrap();
        }
        let batch = Batch::parse(&builder.build().unwrap()).unwrap();
        let how = Append {
            leader_epoch: 0,
            append_time: None,
            origin: AppendOrigin::Coordinator,
        };
        self.log.append(&[batch], how).unwrap().base_offset
    }

    fn commit(&mut self, now_ms: i64, client: &'static str, group: &'static str, to: i64) -> i64 {
        let commit = OffsetCommitRequest {
            group_id: group.into(),
            topics: vec![OffsetCommitRequestTopic {
                name: "t".into(),
                partitions: vec![OffsetCommitRequestPartition {
                    committed_offset: to,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..OffsetCommitRequest::default()
        };
        self.call(now_ms, client, Call::OffsetCommit(commit))
    }

    /// Fills the segment that is written to, which no compaction looks at.
    fn roll(&mut self, now_ms: i64) {
        for n in 0..40 {
            self.commit(now_ms, "reader", "filler", n);
        }
    }
}

fn all(log: &dyn PartitionLog) -> Vec<Record> {
    let mut found = Vec::new();
    let mut next = log.offsets().log_start;
    while next < log.offsets().log_end {
        let read = log
            .read(next, 1 << 20, ReadLimit::LogEnd, true)
            .now()
            .unwrap();
        for batch in split(read.data.read().unwrap()) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            next = batch.header.next_offset();
            found.extend(records(&batch).unwrap().map(Result::unwrap));
        }
    }
    found
}

/// The bookmark that a record is about, by its group, and where it was set; `None` where it was removed.
fn moves(log: &dyn PartitionLog, group: &str) -> Vec<(i64, Option<i64>)> {
    let about = |record: &Record| {
        let key = record.key.as_ref().unwrap();
        key.starts_with(&[0, 1]) && key[4..].starts_with(group.as_bytes())
    };
    let place = |value: &Bytes| i64::from_be_bytes(value[2..10].try_into().unwrap());
    let all = all(log).into_iter();
    all.filter(about)
        .map(|record| (record.timestamp, record.value.as_ref().map(place)))
        .collect()
}

/// The state as any reader of the topic gets it, by a plain replay.
fn state(log: &dyn PartitionLog) -> BTreeMap<Bytes, Bytes> {
    let mut state = BTreeMap::new();
    for record in all(log) {
        let key = record.key.unwrap();
        match record.value {
            Some(value) => state.insert(key, value),
            None => state.remove(&key),
        };
    }
    state
}

#[test]
fn every_move_stays_for_an_hour_then_one_a_minute_then_one_an_hour() {
    let dir = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(dir.path(), options(&[])).unwrap();
    let log = open_log(&engine);
    let mut groups = Groups::new(&log);
    // One commit in ten seconds for three hours.
    let commits: Vec<(i64, Option<i64>)> = (0..3 * 360)
        .map(|n| (BEGIN + n * 10 * SECOND, Some(n)))
        .collect();
    for (time, place) in &commits {
        groups.commit(*time, "reader", "g", place.unwrap());
    }
    let end = BEGIN + 3 * HOUR;
    groups.roll(end);
    let before = state(&*log);

    engine.maintain(end);
    let is_last_of = |slot: i64, time: i64| (time + 10 * SECOND) % slot == 0;
    let expected: Vec<_> = commits
        .iter()
        .filter(|(time, _)| end - time < HOUR || is_last_of(60 * SECOND, *time))
        .copied()
        .collect();
    // What is an hour old to the second is no longer of the last hour.
    assert_eq!(expected.len(), 359 + 2 * 60);
    assert_eq!(moves(&*log, "g"), expected);
    assert_eq!(state(&*log), before);

    // Two days later nothing was written, and the minutes are hours.
    engine.maintain(end + 2 * DAY);
    let expected: Vec<_> = commits
        .iter()
        .filter(|(time, _)| is_last_of(HOUR, *time))
        .copied()
        .collect();
    assert_eq!(expected.len(), 3);
    assert_eq!(moves(&*log, "g"), expected);
    engine.maintain(end + 31 * DAY);
    assert_eq!(moves(&*log, "g"), expected[2..]);
    assert_eq!(state(&*log), before);
}

#[test]
fn what_was_meant_and_what_it_took_away_stay_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(dir.path(), options(&[])).unwrap();
    let log = open_log(&engine);
    let mut groups = Groups::new(&log);
    let at = |seconds: i64| BEGIN + seconds * SECOND;
    // All within one minute of one hour, long ago.
    groups.commit(at(1), "reader", "g", 100);
    groups.commit(at(2), "reader", "g", 110);
    groups.commit(at(3), "adminclient-1", "g", 500);
    groups.commit(at(4), "adminclient-1", "g", 510);
    groups.commit(at(5), "adminclient-1", "g", 0);
    groups.commit(at(6), "adminclient-1", "g", 10);
    groups.commit(at(7), "adminclient-1", "g", 20);
    groups.call(at(8), "adminclient-1", Call::DeleteGroup("g".into()));
    groups.commit(at(9), "reader", "g", 1);
    groups.commit(at(10), "reader", "g", 2);
    groups.commit(at(11), "reader", "g", 3);
    groups.commit(at(12), "reader", "other", 5);
    groups.call(at(13), "adminclient-1", Call::DeleteGroup("other".into()));
    groups.roll(at(20));
    let before = state(&*log);

    let expected = [
        (2, Some(110)),
        (3, Some(500)),
        (4, Some(510)),
        (5, Some(0)),
        (7, Some(20)),
        (8, None),
        (9, Some(1)),
        (11, Some(3)),
    ]
    .map(|(seconds, place)| (at(seconds), place));
    for age in [5 * DAY, 15 * DAY, 29 * DAY] {
        engine.maintain(BEGIN + age);
        assert_eq!(moves(&*log, "g"), expected, "after {} days", age / DAY);
        assert_eq!(
            moves(&*log, "other"),
            [(at(12), Some(5)), (at(13), None)],
            "a tombstone destroys nothing"
        );
        assert_eq!(state(&*log), before);
    }
    engine.maintain(BEGIN + 31 * DAY);
    assert_eq!(moves(&*log, "g"), [(at(11), Some(3))]);
    assert_eq!(moves(&*log, "other"), []);
    assert_eq!(state(&*log), before);
}

#[test]
fn a_tag_outlives_all_history() {
    let dir = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(dir.path(), options(&[("offsets.history.max.bytes", "0")]));
    let engine = engine.unwrap();
    let log = open_log(&engine);
    let mut groups = Groups::new(&log);
    groups.commit(BEGIN, "reader", "g", 100);
    let tag = |remove| {
        Call::Tag(TagCall {
            group_id: "g".into(),
            name: "a".into(),
            remove,
        })
    };
    groups.call(BEGIN, "adminclient-1", tag(false));
    groups.call(BEGIN, "adminclient-1", Call::DeleteGroup("g".into()));
    groups.roll(BEGIN);
    let places = || {
        let mut tags = Tags::new("g".into(), Some("a".into()));
        all(&*log).iter().for_each(|record| tags.note(record));
        let tag = tags.finish().remove("a");
        tag.map(|tag| tag.places.values().map(|p| p.offset).collect::<Vec<_>>())
    };
    for days in [1, 31, 400] {
        engine.maintain(BEGIN + days * DAY);
        assert_eq!(places(), Some(vec![100]), "after {days} days");
    }
    assert_eq!(moves(&*log, "g"), [], "of the moves nothing is left");
    groups.call(BEGIN + 400 * DAY, "adminclient-1", tag(true));
    groups.roll(BEGIN + 400 * DAY);
    engine.maintain(BEGIN + 500 * DAY);
    assert_eq!(places(), None);
}

#[test]
fn the_bytes_of_history_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("offsets.history.max.bytes", "20000")];
    let engine = LocalEngine::open(dir.path(), options(&settings)).unwrap();
    let log = open_log(&engine);
    let mut groups = Groups::new(&log);
    for n in 0..2000 {
        groups.commit(BEGIN + n, "reader", "g", n);
    }
    groups.roll(BEGIN + 2000);
    let before = state(&*log);
    assert!(log.size_bytes() > 200_000);
    engine.maintain(BEGIN + HOUR / 2);
    assert!(log.size_bytes() < 60_000, "{}", log.size_bytes());
    let left = moves(&*log, "g");
    assert!(left.len() > 100, "{}", left.len());
    let newest: Vec<_> = (2000 - left.len() as i64..2000)
        .map(|n| (BEGIN + n, Some(n)))
        .collect();
    assert_eq!(left, newest);
    assert_eq!(state(&*log), before);
}

/// Fails everything from the n-th change on, as if the process had died there.
struct DiesAt {
    at: AtomicUsize,
    seen: AtomicUsize,
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
fn a_crash_at_any_step_changes_no_state_and_loses_no_promised_move() {
    let now = BEGIN + 2 * DAY;
    for step in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let hook = Arc::new(DiesAt {
            at: AtomicUsize::new(usize::MAX),
            seen: AtomicUsize::new(0),
        });
        let mortal = LocalOptions {
            disk_hook: Some(hook.clone()),
            ..options(&[])
        };
        let engine = LocalEngine::open(dir.path(), mortal).unwrap();
        let log = open_log(&engine);
        let mut groups = Groups::new(&log);
        for n in 0..30 {
            groups.commit(BEGIN + n, "reader", "g", 100 + n);
        }
        groups.commit(BEGIN + 40, "adminclient-1", "g", 7);
        groups.call(BEGIN + 41, "adminclient-1", Call::DeleteGroup("g".into()));
        groups.roll(BEGIN + 50);
        let before = state(&*log);
        hook.at
            .store(hook.seen.load(Ordering::SeqCst) + step, Ordering::SeqCst);
        engine.maintain(now);
        assert_eq!(state(&*log), before, "step {step}: the process lives on");
        let died = hook.seen.load(Ordering::SeqCst) > hook.at.load(Ordering::SeqCst);
        drop((log, engine, groups));

        let engine = LocalEngine::open(dir.path(), options(&[])).unwrap();
        let log = open_log(&engine);
        assert_eq!(state(&*log), before, "step {step}");
        engine.maintain(now);
        engine.maintain(now + HOUR);
        let expected = [(29, Some(129)), (40, Some(7)), (41, None)];
        let expected = expected.map(|(time, place)| (BEGIN + time, place));
        assert_eq!(moves(&*log, "g"), expected, "step {step}");
        assert_eq!(state(&*log), before, "step {step}");
        if !died {
            assert!(step > 20, "the compaction has more steps than {step}");
            return;
        }
    }
}

#[test]
fn other_topics_are_compacted_as_kafka_does_it() {
    let dir = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(dir.path(), options(&[])).unwrap();
    let config = LogConfig {
        segment_bytes: 600,
        cleanup_policy: CleanupPolicy::Compact,
        ..LogConfig::default()
    };
    let other = TopicPartition::new("compacted", 0);
    let log = engine.create(&other, Uuid([6; 16]), config).unwrap();
    let mut groups = Groups::new(&log);
    for n in 0..50 {
        groups.commit(BEGIN + n, "reader", "g", n);
    }
    groups.roll(BEGIN + 60);
    engine.maintain(BEGIN + 100);
    assert_eq!(moves(&*log, "g"), [(BEGIN + 49, Some(49))]);
}
