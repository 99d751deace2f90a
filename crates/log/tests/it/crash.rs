//! A log as a crash may leave it: torn at any byte, with garbage behind, without its indexes or with wrong ones.

use std::fs::OpenOptions;
use std::io::Write;

use catchword_log::contract::{CLIENT, idempotent, read_all};
use catchword_log::{Engine, LogConfig};

use crate::support::{copy, crashed_log, expected, files, log_of, numbered, open, partition};

fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 2000,
        index_interval_bytes: 150,
        ..LogConfig::default()
    }
}

#[test]
fn a_log_cut_at_any_byte_keeps_every_whole_batch() {
    let dir = crashed_log(LogConfig::default(), &numbered(6));
    let size = numbered(1)[0].bytes.len() as u64;
    let len = std::fs::metadata(&files(dir.path(), "log")[0])
        .unwrap()
        .len();
    for cut in (len - 3 * size)..=len {
        let torn = tempfile::tempdir().unwrap();
        copy(dir.path(), torn.path());
        let file = OpenOptions::new()
            .write(true)
            .open(&files(torn.path(), "log")[0])
            .unwrap();
        file.set_len(cut).unwrap();
        let engine = open(torn.path());
        let log = engine.get(&partition()).unwrap();
        let whole = (cut / size) as i64;
        assert_eq!(
            read_all(&*log, 0).unwrap(),
            expected(0, whole),
            "cut at {cut}"
        );
        assert_eq!(log.append(&numbered(1), CLIENT).unwrap().base_offset, whole);
        assert_eq!(files(torn.path(), "cut"), [] as [std::path::PathBuf; 0]);
    }
}

#[test]
fn garbage_behind_the_log_is_cut_off() {
    let dir = crashed_log(LogConfig::default(), &numbered(6));
    let torn_batch = numbered(1)[0].bytes[..70].to_vec();
    let zeros = vec![0; 5000];
    let noise: Vec<u8> = (0..3000u32)
        .map(|n| (n.wrapping_mul(2654435761) >> 13) as u8)
        .collect();
    for garbage in [torn_batch, zeros, noise, vec![2; 100]] {
        let torn = tempfile::tempdir().unwrap();
        copy(dir.path(), torn.path());
        let log_file = &files(torn.path(), "log")[0];
        let len = std::fs::metadata(log_file).unwrap().len();
        let mut file = OpenOptions::new().append(true).open(log_file).unwrap();
        file.write_all(&garbage).unwrap();
        let engine = open(torn.path());
        let log = engine.get(&partition()).unwrap();
        assert_eq!(read_all(&*log, 0).unwrap(), expected(0, 6));
        assert_eq!(std::fs::metadata(log_file).unwrap().len(), len);
    }
}

#[test]
fn whole_batches_behind_damage_are_kept_beside_the_log() {
    let dir = crashed_log(LogConfig::default(), &numbered(6));
    let log_file = files(dir.path(), "log").remove(0);
    let mut bytes = std::fs::read(&log_file).unwrap();
    let size = bytes.len() / 6;
    bytes[3 * size + 65] ^= 1;
    std::fs::write(&log_file, &bytes).unwrap();
    let engine = open(dir.path());
    let log = engine.get(&partition()).unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, 3));
    let kept = files(dir.path(), "cut");
    assert_eq!(kept.len(), 1);
    assert_eq!(std::fs::read(&kept[0]).unwrap(), bytes[3 * size..]);
}

#[test]
fn segments_behind_damage_are_set_aside() {
    let dir = crashed_log(small(), &numbered(60));
    let logs = files(dir.path(), "log");
    assert!(logs.len() > 2, "several segments");
    let mut bytes = std::fs::read(&logs[1]).unwrap();
    bytes[65] ^= 1;
    std::fs::write(&logs[1], &bytes).unwrap();
    let base: i64 = logs[1]
        .file_stem()
        .unwrap()
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    let engine = open(dir.path());
    let log = engine.get(&partition()).unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, base));
    assert_eq!(
        files(dir.path(), "cut").len(),
        logs.len() - 1,
        "all that held batches is kept"
    );
    assert_eq!(log.append(&numbered(1), CLIENT).unwrap().base_offset, base);
}

#[test]
fn indexes_that_are_missing_or_wrong_are_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, small());
    for batch in numbered(100) {
        log.append(&[batch], CLIENT).unwrap();
    }
    engine.close().unwrap();
    drop((log, engine));
    let index_of = |dir: &std::path::Path, n: usize| files(dir, "index").remove(n);
    type Harm<'a> = &'a dyn Fn(&std::path::Path);
    let harms: [(&str, Harm<'_>); 7] = [
        ("no index", &|dir| {
            std::fs::remove_file(index_of(dir, 0)).unwrap()
        }),
        ("no active index", &|dir| {
            std::fs::remove_file(index_of(dir, 2)).unwrap()
        }),
        ("no time index", &|dir| {
            std::fs::remove_file(&files(dir, "timeindex")[0]).unwrap();
        }),
        ("the index of another segment", &|dir| {
            std::fs::copy(index_of(dir, 1), index_of(dir, 0)).unwrap();
            std::fs::write(index_of(dir, 2), [0, 0, 0, 3, 0, 0, 0, 77]).unwrap();
        }),
        ("an index that points past the file", &|dir| {
            std::fs::write(index_of(dir, 0), [0, 0, 0, 3, 0, 0xff, 0, 0]).unwrap();
        }),
        ("a torn index", &|dir| {
            let bytes = std::fs::read(index_of(dir, 0)).unwrap();
            std::fs::write(index_of(dir, 0), &bytes[..bytes.len() - 3]).unwrap();
        }),
        ("an index of zeros", &|dir| {
            std::fs::write(index_of(dir, 0), [0; 800]).unwrap()
        }),
    ];
    for (what, harm) in harms {
        for clean in [true, false] {
            let copied = tempfile::tempdir().unwrap();
            copy(dir.path(), copied.path());
            harm(copied.path());
            if !clean {
                std::fs::remove_file(copied.path().join(".kafka_cleanshutdown")).unwrap();
            }
            let engine = open(copied.path());
            let log = engine.get(&partition()).unwrap();
            for from in [0, 1, 13, 50, 99] {
                assert_eq!(
                    read_all(&*log, from).unwrap(),
                    expected(from, 100),
                    "{what}, {clean}"
                );
                let found = log.offset_for_timestamp(1000 + from).unwrap();
                assert_eq!(found.unwrap().offset, from, "{what}, {clean}");
            }
            assert_eq!(log.append(&numbered(1), CLIENT).unwrap().base_offset, 100);
        }
    }
}

#[test]
fn a_wrong_mark_of_a_clean_stop_does_no_harm() {
    let dir = crashed_log(LogConfig::default(), &numbered(6));
    let log_file = files(dir.path(), "log").remove(0);
    let len = std::fs::metadata(&log_file).unwrap().len();
    OpenOptions::new()
        .write(true)
        .open(&log_file)
        .unwrap()
        .set_len(len - 5)
        .unwrap();
    std::fs::write(dir.path().join(".kafka_cleanshutdown"), "").unwrap();
    let engine = open(dir.path());
    let log = engine.get(&partition()).unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, 5));
}

#[test]
fn producers_are_restored_from_the_log_where_snapshots_are_damaged() {
    let batches: Vec<_> = (0..100)
        .map(|n| idempotent(5, 2, n, &[(1000, &format!("value-{n}"))]))
        .collect();
    let dir = crashed_log(small(), &batches);
    assert!(
        files(dir.path(), "snapshot").len() > 1,
        "each segment begins with a snapshot"
    );
    for snapshot in files(dir.path(), "snapshot") {
        std::fs::write(snapshot, "damaged").unwrap();
    }
    let engine = open(dir.path());
    let log = engine.get(&partition()).unwrap();
    let producer = log.producers()[0];
    assert_eq!((producer.epoch, producer.last_sequence), (2, 99));
    let again = log.append(&[batches[97].clone()], CLIENT).unwrap();
    assert_eq!((again.base_offset, again.duplicate), (97, true));
}

#[test]
fn a_snapshot_ahead_of_a_cut_log_is_not_believed() {
    let batches: Vec<_> = (0..20)
        .map(|n| idempotent(5, 2, n, &[(1000, &format!("value-{n}"))]))
        .collect();
    let dir = crashed_log(LogConfig::default(), &batches);
    // As the checkpoints do it while the broker runs.
    let engine = open(dir.path());
    engine.get(&partition()).unwrap().ready().unwrap();
    engine.maintain(1_000_000);
    drop(engine);
    assert_eq!(files(dir.path(), "snapshot").len(), 1);
    let _ = std::fs::remove_file(dir.path().join("recovery-point-offset-checkpoint"));
    let log_file = files(dir.path(), "log").remove(0);
    let len = std::fs::metadata(&log_file).unwrap().len();
    OpenOptions::new()
        .write(true)
        .open(&log_file)
        .unwrap()
        .set_len(len - 5)
        .unwrap();
    let engine = open(dir.path());
    let log = engine.get(&partition()).unwrap();
    assert_eq!(log.producers()[0].last_sequence, 18);
    assert_eq!(
        log.append(&[batches[19].clone()], CLIENT)
            .unwrap()
            .base_offset,
        19
    );
}

#[test]
fn damage_to_what_was_durable_is_an_error_and_nothing_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, LogConfig::default());
    for batch in numbered(6) {
        log.append(&[batch], CLIENT).unwrap();
    }
    engine.close().unwrap();
    drop((log, engine));
    let log_file = files(dir.path(), "log").remove(0);
    let mut bytes = std::fs::read(&log_file).unwrap();
    let size = bytes.len() / 6;
    bytes[3 * size + 16] = 9;
    std::fs::write(&log_file, &bytes).unwrap();
    for clean in [true, false] {
        if !clean {
            let _ = std::fs::remove_file(dir.path().join(".kafka_cleanshutdown"));
        }
        let engine = open(dir.path());
        let error = engine
            .get(&partition())
            .unwrap()
            .ready()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("Offsets 3 to 5 were on stable storage"),
            "{error}"
        );
        assert_eq!(std::fs::read(&log_file).unwrap(), bytes);
    }
}
