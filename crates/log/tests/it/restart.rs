//! What is written is there after a stop, clean or not, and a start is quick.

use std::time::Instant;

use catchword_log::contract::{CLIENT, TOPIC_ID, append_durably, idempotent, read_all};
use catchword_log::{
    Append, AppendError, Engine, LocalEngine, LocalOptions, LogConfig, LogError, TopicPartition,
};

use crate::support::{crashed_log, expected, files, log_of, numbered, open, partition};

#[test]
fn a_clean_stop_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let small = LogConfig {
        segment_bytes: 1000,
        index_interval_bytes: 200,
        ..LogConfig::default()
    };
    let engine = open(dir.path());
    let log = log_of(&engine, small.clone());
    for (n, batch) in numbered(100).into_iter().enumerate() {
        log.append(
            &[batch],
            Append {
                leader_epoch: (n / 40) as i32,
                ..CLIENT
            },
        )
        .unwrap();
    }
    log.append(&[idempotent(5, 0, 0, &[(2000, "value-100")])], CLIENT)
        .unwrap();
    log.truncate_prefix(7).unwrap();
    let offsets = log.offsets();
    drop(log);
    engine.close().unwrap();
    drop(engine);

    let engine = open(dir.path());
    assert_eq!(engine.partitions(), [(partition(), TOPIC_ID)]);
    let log = engine.get(&partition()).unwrap();
    assert_eq!(read_all(&*log, 10).unwrap(), expected(10, 101));
    assert_eq!(log.offsets().log_end, offsets.log_end);
    assert_eq!(log.offsets().log_start, 7);
    assert_eq!(
        log.offsets().durable_end,
        offsets.log_end,
        "a clean stop synced it all"
    );
    assert_eq!(log.end_offset_for_epoch(1), (1, 80));
    assert_eq!(log.latest_epoch(), 2);
    assert_eq!(log.offset_for_timestamp(1050).unwrap().unwrap().offset, 50);
    assert_eq!(log.max_timestamp().unwrap().unwrap().offset, 100);
    let again = log
        .append(&[idempotent(5, 0, 0, &[(2000, "value-100")])], CLIENT)
        .unwrap();
    assert!(again.duplicate, "the producers are remembered");
    assert_eq!(
        log.append(&[idempotent(5, 0, 1, &[(1, "x")])], CLIENT)
            .unwrap()
            .base_offset,
        101
    );
}

#[test]
fn a_killed_process_loses_nothing_that_was_written() {
    let small = LogConfig {
        segment_bytes: 1000,
        index_interval_bytes: 200,
        ..LogConfig::default()
    };
    let mut batches = numbered(60);
    batches.push(idempotent(5, 0, 0, &[(2000, "value-60")]));
    let dir = crashed_log(small, &batches);
    let engine = open(dir.path());
    let log = engine.get(&partition()).unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, 61));
    assert_eq!(log.offset_for_timestamp(1033).unwrap().unwrap().offset, 33);
    assert_eq!(log.producers()[0].last_sequence, 0);
    assert_eq!(log.latest_epoch(), 0);
    append_durably(&*log, &numbered(1)[0]).unwrap();
    assert_eq!(log.offsets().log_end, 62);
}

#[test]
fn two_brokers_cannot_have_one_directory() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let second = LocalEngine::open(dir.path(), LocalOptions::default());
    match second {
        Err(error @ LogError::Locked { .. }) => {
            assert!(error.to_string().contains("stop that one first"), "{error}");
        }
        other => panic!("{:?}", other.map(|_| ())),
    }
    first.close().unwrap();
    open(dir.path());
}

#[test]
fn the_files_are_where_kafka_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(
        &engine,
        LogConfig {
            segment_bytes: 1000,
            ..LogConfig::default()
        },
    );
    for batch in numbered(30) {
        append_durably(&*log, &batch).unwrap();
    }
    engine.close().unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(
        read("t-0/partition.metadata"),
        "version: 0\ntopic_id: BwcHBwcHBwcHBwcHBwcHBw"
    );
    assert_eq!(read("t-0/leader-epoch-checkpoint"), "0\n1\n0 0\n");
    assert_eq!(read("recovery-point-offset-checkpoint"), "0\n1\nt 0 30\n");
    assert!(dir.path().join(".kafka_cleanshutdown").exists());
    assert!(dir.path().join("t-0/00000000000000000000.log").exists());
    for extension in ["index", "timeindex"] {
        assert_eq!(
            files(dir.path(), extension).len(),
            files(dir.path(), "log").len()
        );
    }
    open(dir.path());
    assert!(
        !dir.path().join(".kafka_cleanshutdown").exists(),
        "open is not cleanly stopped"
    );
}

#[test]
fn a_deleted_topic_does_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, LogConfig::default());
    append_durably(&*log, &numbered(1)[0]).unwrap();
    log.truncate_prefix(1).unwrap();
    engine.delete(&partition()).unwrap();
    drop(log);
    drop(engine);
    let engine = open(dir.path());
    assert_eq!(engine.partitions(), []);
    engine.maintain(0);
    let left = std::fs::read_dir(dir.path())
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_type().unwrap().is_dir());
    assert_eq!(left.count(), 0, "its directory is removed");
    let log = log_of(&engine, LogConfig::default());
    assert_eq!(
        log.offsets().log_start,
        0,
        "a topic of the same name begins at 0"
    );
}

#[test]
fn a_closed_log_answers_reads_but_no_appends() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, LogConfig::default());
    log.append(&numbered(1), CLIENT).unwrap();
    engine.close().unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, 1));
    let late = log.append(&numbered(1), CLIENT);
    assert!(matches!(late, Err(AppendError::Storage(LogError::Closed))));
}

#[test]
fn many_partitions_start_quickly_and_idle_ones_cost_no_files() {
    const COUNT: i32 = 2000;
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    for n in 0..COUNT {
        let partition = TopicPartition::new("t", n);
        let log = engine
            .create(&partition, TOPIC_ID, LogConfig::default())
            .unwrap();
        if n % 100 == 0 {
            log.append(&numbered(1), CLIENT).unwrap();
        }
    }
    engine.close().unwrap();
    drop(engine);
    let begun = Instant::now();
    let engine = open(dir.path());
    let took = begun.elapsed();
    assert_eq!(engine.partitions().len(), COUNT as usize);
    // Ten thousand in well under a second leaves two thousand a lot of room on a busy machine.
    assert!(took.as_millis() < 1000, "{took:?}");
    let open_files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    assert!(open_files < 500, "{open_files} files are open");
}
