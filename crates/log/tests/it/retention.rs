//! Old segments go by age, by size and by DeleteRecords, and stay gone.

use std::time::{SystemTime, UNIX_EPOCH};

use catchword_log::contract::{CLIENT, read_all};
use catchword_log::{Engine, Hold, LocalEngine, LocalOptions, LogConfig, PartitionLog, ReadError};

use crate::support::{expected, files, log_of, numbered, open, partition};

const NEVER: LogConfigFn = || LogConfig {
    retention_ms: -1,
    ..segments()
};
type LogConfigFn = fn() -> LogConfig;

fn segments() -> LogConfig {
    // Ten batches of `numbered` fill a segment.
    let segment_bytes = 10 * numbered(1)[0].bytes.len() as u64;
    LogConfig {
        segment_bytes,
        ..LogConfig::default()
    }
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64
}

fn append(log: &dyn PartitionLog, from: i64, to: i64) {
    for batch in &numbered(to)[from as usize..] {
        log.append(std::slice::from_ref(batch), CLIENT).unwrap();
    }
}

#[test]
fn segments_whose_newest_record_is_too_old_are_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(
        &engine,
        LogConfig {
            retention_ms: 500,
            segment_ms: i64::MAX,
            ..segments()
        },
    );
    append(&*log, 0, 10);
    append(&*log, 10, 35);
    // Timestamps are 1000 + offset; segments begin at 0, 10, 20, 30 (the longer numbers need the room of a few more).
    let bases: Vec<i64> = files(dir.path(), "log")
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap().parse().unwrap())
        .collect();
    assert!(bases.len() >= 3, "{bases:?}");
    engine.maintain(1000 + bases[1] - 1 + 500);
    assert_eq!(log.offsets().log_start, 0, "just old enough to stay");
    engine.maintain(1000 + bases[1] - 1 + 501);
    assert_eq!(log.offsets().log_start, bases[1]);
    assert!(matches!(
        read_all(&*log, 0),
        Err(ReadError::OutOfRange { .. })
    ));
    assert_eq!(read_all(&*log, bases[1]).unwrap(), expected(bases[1], 35));
    engine.maintain(10_000);
    assert_eq!(log.offsets().log_start, 35, "the active segment goes too");
    assert_eq!(read_all(&*log, 35).unwrap(), []);
    assert_eq!(files(dir.path(), "log").len(), 1);
    append(&*log, 0, 1);
    drop((log, engine));
    let engine = open(dir.path());
    let log = engine.get(&partition()).unwrap();
    assert_eq!((log.offsets().log_start, log.offsets().log_end), (35, 36));
}

#[test]
fn the_oldest_segments_go_when_the_log_is_too_large() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, NEVER());
    append(&*log, 0, 60);
    let before = log.size_bytes();
    engine.maintain(now_ms());
    assert_eq!(log.size_bytes(), before);
    log.set_config(LogConfig {
        retention_bytes: before as i64 / 2,
        ..NEVER()
    });
    engine.maintain(now_ms());
    let left = log.size_bytes();
    assert!(
        left >= before / 2 && left < before * 3 / 4,
        "{left} of {before}"
    );
    let start = log.offsets().log_start;
    assert_eq!(read_all(&*log, start).unwrap(), expected(start, 60));
}

#[test]
fn a_log_whose_configuration_is_not_known_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, NEVER());
    append(&*log, 0, 60);
    engine.close().unwrap();
    drop((log, engine));
    let engine = open(dir.path());
    // The records are of 1970; the default would be a week.
    engine.maintain(now_ms());
    let log = engine.get(&partition()).unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, 60));
    engine.maintain(now_ms());
    assert_eq!(log.offsets().log_start, 0);
}

#[test]
fn deleted_records_stay_deleted_after_a_crash_and_their_segments_go() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, NEVER());
    append(&*log, 0, 60);
    let before = files(dir.path(), "log").len();
    assert_eq!(log.truncate_prefix(35).unwrap(), 35);
    assert!(files(dir.path(), "log").len() < before);
    drop((log, engine));
    let engine = open(dir.path());
    let log = engine.get(&partition()).unwrap();
    assert_eq!(log.offsets().log_start, 35);
    assert_eq!(read_all(&*log, 35).unwrap(), expected(35, 60));
    let log_end = log.offsets().log_end;
    assert_eq!(log.truncate_prefix(log_end).unwrap(), log_end);
    drop((log, engine));
    let engine = open(dir.path());
    let log = engine.get(&partition()).unwrap();
    assert_eq!((log.offsets().log_start, log.offsets().log_end), (60, 60));
}

#[test]
fn a_segment_is_closed_when_its_records_span_too_much_time_or_the_clock_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let config = LogConfig {
        segment_ms: 20,
        retention_ms: -1,
        ..LogConfig::default()
    };
    let log = log_of(&engine, config);
    append(&*log, 0, 21);
    assert_eq!(files(dir.path(), "log").len(), 1);
    append(&*log, 21, 22);
    assert_eq!(
        files(dir.path(), "log").len(),
        2,
        "by the records' own time"
    );
    engine.maintain(now_ms() - 1000);
    assert_eq!(files(dir.path(), "log").len(), 2);
    engine.maintain(now_ms() + 1000);
    assert_eq!(files(dir.path(), "log").len(), 3, "by the clock");
    engine.maintain(now_ms() + 5000);
    assert_eq!(
        files(dir.path(), "log").len(),
        3,
        "an empty segment is not closed"
    );
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, 22));
}

#[test]
fn records_past_their_time_are_readable_until_the_next_look() {
    let dir = tempfile::tempdir().unwrap();
    let options = LocalOptions {
        retention_check_interval_ms: 10_000,
        initial_task_delay_ms: 1_000,
        ..LocalOptions::default()
    };
    let engine = LocalEngine::open(dir.path(), options).unwrap();
    let log = log_of(
        &engine,
        LogConfig {
            retention_ms: 500,
            ..segments()
        },
    );
    // Their timestamps are of 1970.
    append(&*log, 0, 10);
    let start = now_ms();
    engine.maintain(start);
    engine.maintain(start + 999);
    assert_eq!(
        log.offsets().log_start,
        0,
        "the first look is a while after the start"
    );
    engine.maintain(start + 1_000);
    assert_eq!(log.offsets().log_start, 10);
    append(&*log, 10, 20);
    engine.maintain(start + 10_999);
    assert_eq!(
        log.offsets().log_start,
        10,
        "the next look is an interval later"
    );
    engine.maintain(start + 11_000);
    assert_eq!(log.offsets().log_start, 20);
}

#[test]
fn what_somebody_has_still_to_read_stays_past_its_time_and_goes_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let config = LogConfig {
        retention_ms: 500,
        ..segments()
    };
    let log = log_of(&engine, config);
    append(&*log, 0, 35);
    let hold = |from| Hold {
        from,
        max_ms: 10_000,
        max_bytes: u64::MAX,
    };
    log.hold(Some(hold(0)));
    engine.maintain(5_000);
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, 35));
    assert_eq!(log.held_bytes(), log.size_bytes());
    log.hold(Some(hold(25)));
    engine.maintain(5_000);
    let start = log.offsets().log_start;
    assert!(start > 0 && start <= 25, "{start}");
    assert_eq!(read_all(&*log, start).unwrap(), expected(start, 35));
    // Nobody waits for ever.
    engine.maintain(1_000 + 35 + 10_501);
    assert_eq!((log.offsets().log_start, log.held_bytes()), (35, 0));
}

#[test]
fn without_a_hold_retention_is_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let config = LogConfig {
        retention_ms: 500,
        ..segments()
    };
    let log = log_of(&engine, config);
    append(&*log, 0, 35);
    log.hold(Some(Hold {
        from: 0,
        max_ms: i64::MAX,
        max_bytes: u64::MAX,
    }));
    log.hold(None);
    engine.maintain(5_000);
    assert_eq!((log.offsets().log_start, log.held_bytes()), (35, 0));
}
