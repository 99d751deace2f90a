//! What stays of the history of bookmarks, against a plain model, on logs that a real shard wrote.
//!
//! `HISTORY_SEED=17 cargo test -p catchword-coordinator history` runs one seed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use catchword_coordinator::{Call, GroupConfig, GroupShard, History, HistoryPass, Reply};
use catchword_wire::Str;
use catchword_wire::batch::Record;
use catchword_wire::messages::OffsetCommitRequest;
use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};

use crate::driver::{COMMIT_VERSION, DAY, Driver, SECOND};
use crate::sim::Rng;

const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const MEMORY: usize = 64 << 20;

/// A log of a few groups over some weeks: readers without a group and their resets, deletions, long pauses.
fn log(seed: u64) -> (Vec<Record>, i64) {
    let mut rng = Rng::new(seed);
    let mut driver = Driver::new();
    let mut places: BTreeMap<(i64, i32), i64> = BTreeMap::new();
    for _ in 0..rng.between(50, 400) {
        let pause = match rng.between(0, 9) {
            0 => rng.between(0, 4 * DAY),
            1..=3 => rng.between(0, HOUR),
            _ => rng.between(0, 30 * SECOND),
        };
        driver.now_ms += pause;
        let (group, partition) = (rng.between(0, 2), rng.between(0, 2) as i32);
        let place = places.entry((group, partition)).or_insert(0);
        let group = Str::from(format!("g{group}"));
        driver.client.client_id = "reader".into();
        match rng.between(0, 30) {
            0 => {
                let deleted = driver.ask(2, Call::DeleteGroup(group));
                assert!(matches!(deleted, Reply::DeleteGroup(_)));
                continue;
            }
            1 => {
                driver.client.client_id = "adminclient-1".into();
                *place = rng.between(0, 1000);
            }
            2 => *place = rng.between(0, *place),
            _ => *place += rng.between(0, 20),
        }
        let commit = OffsetCommitRequest {
            group_id: group,
            topics: vec![OffsetCommitRequestTopic {
                name: "t".into(),
                partitions: vec![OffsetCommitRequestPartition {
                    partition_index: partition,
                    committed_offset: *place,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..OffsetCommitRequest::default()
        };
        driver.ask(COMMIT_VERSION, Call::OffsetCommit(commit));
    }
    let record = |(offset, (timestamp, record)): (usize, _)| {
        let (timestamp, record): (i64, catchword_coordinator::CoordinatorRecord) =
            (timestamp, record);
        let headers = record.headers.iter();
        Record {
            // Gaps, as an earlier compaction leaves them.
            offset: offset as i64 * 3,
            timestamp,
            key: Some(record.key),
            value: record.value,
            headers: headers.cloned().collect(),
        }
    };
    let all = std::mem::take(&mut driver.log);
    (
        all.into_iter().enumerate().map(record).collect(),
        driver.now_ms,
    )
}

fn thinned(log: &[Record], history: History, now_ms: i64, memory: usize) -> Vec<Record> {
    let mut pass = HistoryPass::new(history, now_ms, memory);
    let seen = log.iter().take_while(|record| pass.note(record)).count();
    let mut stays = Vec::new();
    for (at, record) in log.iter().enumerate() {
        if at >= seen || pass.keeps(record.offset) {
            stays.push(record.clone());
        }
    }
    assert_eq!(pass.drops_any(), stays.len() < log.len());
    stays
}

fn state(log: &[Record]) -> Vec<(Bytes, Option<Bytes>)> {
    let mut shard = GroupShard::new(GroupConfig::default(), 0);
    for record in log {
        let key = record.key.as_deref().unwrap();
        shard
            .replay(
                record.timestamp,
                key,
                record.value.as_deref(),
                &record.headers,
            )
            .unwrap();
    }
    let records = shard.dump_records().into_iter();
    records.map(|record| (record.key, record.value)).collect()
}

fn header<'a>(record: &'a Record, name: &str) -> Option<&'a [u8]> {
    let found = record.headers.iter().find(|(key, _)| key == name);
    found.and_then(|(_, value)| value.as_deref())
}

fn place(record: &Record) -> Option<i64> {
    let value = record.value.as_ref()?;
    Some(i64::from_be_bytes(value[2..10].try_into().unwrap()))
}

/// Somebody meant it: by the words of the promise, with the whole log at hand.
fn is_meant(record: &Record, before: Option<&Record>) -> bool {
    let client = |record: &Record| header(record, "cw.client").map(<[u8]>::to_vec);
    let goes_back = before
        .and_then(place)
        .zip(place(record))
        .is_some_and(|(before, now)| now < before);
    let is_somebody_else = before.is_some_and(|before| client(before) != client(record));
    record.value.is_none() || goes_back || is_somebody_else
}

/// The offsets that the promise names.
fn promised(log: &[Record], history: &History, now_ms: i64) -> BTreeSet<i64> {
    let mut by_key: BTreeMap<&Bytes, Vec<&Record>> = BTreeMap::new();
    for record in log {
        by_key
            .entry(record.key.as_ref().unwrap())
            .or_default()
            .push(record);
    }
    let mut promised = BTreeSet::new();
    for (key, moves) in by_key {
        let is_bookmark = key.starts_with(&[0, 1]);
        let mut last_of_slot: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        for (at, record) in moves.iter().enumerate() {
            let age = now_ms - record.timestamp;
            let before = at.checked_sub(1).map(|at| moves[at]);
            if is_bookmark && age < history.all_ms {
                promised.insert(record.offset);
            }
            if is_bookmark && is_meant(record, before) && age < history.reach_ms() {
                promised.insert(record.offset);
                promised.extend(before.map(|before| before.offset));
            }
            for (slot, window) in [(MINUTE, history.minutely_ms), (HOUR, history.hourly_ms)] {
                let is_finest = slot == MINUTE || age >= history.minutely_ms;
                if is_bookmark && is_finest && age < window {
                    last_of_slot.insert((slot, record.timestamp / slot), record.offset);
                }
            }
        }
        // The last of a minute or hour counts only if it is that of all moves, older and younger.
        for ((slot, number), offset) in last_of_slot {
            let last = moves.iter().rev().find(|m| m.timestamp / slot == number);
            if last.is_some_and(|last| last.offset == offset) {
                promised.insert(offset);
            }
        }
        let last = moves.last().unwrap();
        let age = now_ms - last.timestamp;
        let earlier_stay = moves
            .iter()
            .rev()
            .skip(1)
            .any(|m| promised.contains(&m.offset));
        if last.value.is_some() || age < history.reach_ms().max(DAY) || earlier_stay {
            promised.insert(last.offset);
        }
    }
    promised
}

fn seeds() -> Vec<u64> {
    #[allow(clippy::disallowed_methods)] // The test's own setting, not the coordinator's.
    let chosen = std::env::var("HISTORY_SEED").ok();
    match chosen {
        Some(seed) => vec![seed.parse().unwrap()],
        None => (1..40).collect(),
    }
}

#[test]
fn exactly_the_promised_moves_stay_and_the_state_is_the_same() {
    let mut gone = 0;
    for seed in seeds() {
        let (log, end) = log(seed);
        for later in [0, HOUR, DAY + 7 * MINUTE, 20 * DAY, 31 * DAY] {
            let (history, now_ms) = (History::default(), end + later);
            let stays = thinned(&log, history, now_ms, MEMORY);
            let offsets: BTreeSet<i64> = stays.iter().map(|record| record.offset).collect();
            assert_eq!(
                offsets,
                promised(&log, &history, now_ms),
                "seed {seed}, {later} ms later"
            );
            assert_eq!(state(&stays), state(&log), "seed {seed}");
            gone += log.len() - stays.len();
        }
    }
    assert!(gone > 500 || seeds().len() == 1, "only {gone} records went");
}

#[test]
fn pass_after_pass_nothing_goes_too_early_and_old_moves_do_go() {
    for seed in seeds() {
        let (log, end) = log(seed);
        let history = History::default();
        let mut left = log.clone();
        for later in [0, HOUR / 2, HOUR, 3 * HOUR, DAY, 2 * DAY, 25 * DAY] {
            left = thinned(&left, history, end + later, MEMORY);
            let offsets: BTreeSet<i64> = left.iter().map(|record| record.offset).collect();
            let promised = promised(&log, &history, end + later);
            assert!(
                offsets.is_superset(&promised),
                "seed {seed}, {later} ms later"
            );
            assert_eq!(state(&left), state(&log), "seed {seed}");
        }
        left = thinned(&left, history, end + 61 * DAY, MEMORY);
        let keys: BTreeSet<_> = left.iter().map(|record| record.key.clone()).collect();
        assert_eq!(
            left.len(),
            keys.len(),
            "seed {seed}: the last values are left"
        );
        assert!(
            left.iter().all(|record| record.value.is_some()),
            "seed {seed}"
        );
        assert_eq!(state(&left), state(&log), "seed {seed}");
    }
}

#[test]
fn without_room_for_history_the_oldest_goes_first_and_the_state_is_the_same() {
    for seed in seeds() {
        let (log, end) = log(seed);
        let all = thinned(&log, History::default(), end, MEMORY);
        let history = History {
            max_bytes: 2000,
            ..History::default()
        };
        let stays = thinned(&log, history, end, MEMORY);
        assert_eq!(state(&stays), state(&log), "seed {seed}");
        let keys: BTreeSet<_> = log.iter().map(|record| record.key.clone()).collect();
        let bytes = |record: &Record| {
            let headers = record.headers.iter();
            let headers: usize = headers
                .map(|(k, v)| k.len() + v.as_ref().map_or(0, Bytes::len))
                .sum();
            record.key.as_ref().map_or(0, Bytes::len)
                + record.value.as_ref().map_or(0, Bytes::len)
                + headers
        };
        let total: usize = stays.iter().map(bytes).sum();
        let last_values: usize = keys.len() * 100;
        assert!(total <= 2000 + last_values, "seed {seed}: {total} bytes");
        // What is left beside the last values is the newest of what would have been.
        let offsets: BTreeSet<i64> = stays.iter().map(|record| record.offset).collect();
        let oldest_gone = all.iter().rev().find(|m| !offsets.contains(&m.offset));
        if let Some(newest_gone) = oldest_gone {
            let older = stays
                .iter()
                .filter(|m| m.offset + 64 * 3 < newest_gone.offset);
            let last_of = |key| log.iter().rev().find(|m| m.key == key).unwrap().offset;
            for record in older {
                let key = record.key.clone();
                assert_eq!(
                    record.offset,
                    last_of(key),
                    "seed {seed}: {}",
                    record.offset
                );
            }
        }
    }
}

#[test]
fn with_little_memory_less_goes_and_never_what_counts() {
    let mut goes = 0;
    for seed in seeds() {
        let (log, end) = log(seed);
        for memory in [0, 100, 700, 1500, 4000] {
            let history = History {
                max_bytes: 0,
                ..History::default()
            };
            let stays = thinned(&log, history, end + 2 * DAY, memory);
            assert_eq!(state(&stays), state(&log), "seed {seed}, {memory} bytes");
            goes += log.len() - stays.len();
        }
    }
    assert!(goes > 0, "some memory is enough for something");
}

#[test]
fn without_history_the_log_is_compacted_as_kafka_does_it() {
    let none = History {
        all_ms: 0,
        minutely_ms: 0,
        hourly_ms: 0,
        max_bytes: 0,
    };
    for seed in seeds() {
        let (log, end) = log(seed);
        let stays = thinned(&log, none, end, MEMORY);
        let mut last: BTreeMap<Bytes, &Record> = BTreeMap::new();
        for record in &log {
            last.insert(record.key.clone().unwrap(), record);
        }
        last.retain(|_, record| record.value.is_some() || end - record.timestamp < DAY);
        let expected: BTreeSet<i64> = last.values().map(|record| record.offset).collect();
        let offsets: BTreeSet<i64> = stays.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, expected, "seed {seed}");
    }
}
