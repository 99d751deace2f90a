//! Each fault of a directory: injected, found, repaired, and the directory opened again.

use std::fs::{self, OpenOptions};
use std::io;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use catchword_log::contract::{CLIENT, append_durably, idempotent, read_all};
use catchword_log::{
    AppendError, DiskHook, DiskOperation, Engine, Finding, LocalEngine, LocalOptions, LogConfig,
    LogError, Mend, RepairOptions, Severity, TopicPartition, check_dir, repair_dir,
};

use crate::check::{findings, stopped_log, tree};
use crate::support::{copy, files, log_of, numbered, open, partition};

const RECORDS: i64 = 62;

fn repair(dir: &Path, drop_damaged: bool) -> Vec<Finding> {
    let options = RepairOptions {
        drop_damaged,
        ..RepairOptions::default()
    };
    let mut mended = Vec::new();
    repair_dir(dir, &options, &mut |finding| mended.push(finding.clone())).unwrap();
    mended
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new()
        .append(true)
        .open(path)
        .unwrap()
        .write_all(bytes)
        .unwrap();
}

/// The offsets that a reader of the opened directory gets.
fn offsets(dir: &Path) -> Vec<i64> {
    let engine = open(dir);
    let log = log_of(&engine, LogConfig::default());
    let read = read_all(&*log, 0)
        .unwrap()
        .into_iter()
        .map(|(offset, _)| offset)
        .collect();
    engine.close().unwrap();
    read
}

/// Where each batch of a segment file begins.
fn starts(path: &Path) -> Vec<usize> {
    let bytes = fs::read(path).unwrap();
    let mut starts = vec![0];
    while let Some(rest) = bytes
        .get(starts[starts.len() - 1]..)
        .filter(|rest| rest.len() > 12)
    {
        let len = i32::from_be_bytes(rest[8..12].try_into().unwrap()) as usize + 12;
        starts.push(starts[starts.len() - 1] + len);
    }
    starts
}

#[test]
fn what_can_be_computed_again_or_was_never_finished_is_mended_without_loss() {
    type Harm<'a> = &'a dyn Fn(&Path);
    let harms: [(&str, Harm<'_>); 13] = [
        ("the offset index is missing", &|dir| {
            fs::remove_file(&files(dir, "index")[0]).unwrap()
        }),
        ("the time index is missing", &|dir| {
            fs::remove_file(&files(dir, "timeindex")[0]).unwrap()
        }),
        ("the offset index is torn", &|dir| {
            append(&files(dir, "index")[0], &[0; 9])
        }),
        ("the offset index says", &|dir| {
            flip(&files(dir, "index")[0], 7)
        }),
        ("the time index says", &|dir| {
            flip(&files(dir, "timeindex")[0], 7)
        }),
        ("unfinished write", &|dir| {
            append(files(dir, "log").last().unwrap(), &[9; 50])
        }),
        ("snapshot is damaged", &|dir| {
            flip(&files(dir, "snapshot")[0], 4)
        }),
        ("no entry", &|dir| {
            fs::write(dir.join("t-0/leader-epoch-checkpoint"), "0\n1\nx y\n").unwrap()
        }),
        ("a compaction was interrupted", &|dir| {
            let log = &files(dir, "log")[0];
            fs::copy(log, log.with_extension("log.swap")).unwrap();
        }),
        ("compaction or deletion was interrupted", &|dir| {
            fs::write(files(dir, "log")[0].with_extension("log.cleaned"), "half").unwrap();
        }),
        ("compaction or deletion was interrupted", &|dir| {
            fs::write(files(dir, "log")[0].with_extension("index.deleted"), "").unwrap();
        }),
        ("recovery-point-offset-checkpoint is damaged", &|dir| {
            fs::write(dir.join("recovery-point-offset-checkpoint"), "0\n2\n").unwrap();
        }),
        ("log-start-offset-checkpoint is damaged", &|dir| {
            fs::write(dir.join("log-start-offset-checkpoint"), "nonsense").unwrap();
        }),
    ];
    let sound = stopped_log();
    for (what, harm) in harms {
        let dir = tempfile::tempdir().unwrap();
        copy(sound.path(), dir.path());
        harm(dir.path());
        let found = findings(dir.path());
        assert!(
            found.iter().any(|finding| finding.what.contains(what)),
            "{what}: {found:#?}"
        );
        let mended = repair(dir.path(), false);
        assert!(
            mended.iter().any(|finding| finding.what.contains(what)),
            "{what}: {mended:#?}"
        );
        let left = findings(dir.path());
        assert!(
            left.iter()
                .all(|finding| finding.severity == Severity::Note),
            "{what}: {left:#?}"
        );
        assert_eq!(
            offsets(dir.path()),
            (0..RECORDS).collect::<Vec<_>>(),
            "{what}"
        );
        let engine = open(dir.path());
        let again = log_of(&engine, LogConfig::default())
            .append(&[idempotent(5, 0, 0, &[(2000, "x"), (2001, "y")])], CLIENT)
            .unwrap();
        assert!(again.duplicate, "{what}: the producer is known");
    }
}

#[test]
fn a_finished_compaction_is_put_in_place_before_anything_else_is_mended() {
    let dir = stopped_log();
    let log = files(dir.path(), "log").remove(0);
    fs::copy(&log, log.with_extension("log.swap")).unwrap();
    flip(&log, starts(&log)[3] + 70); // in what the compaction replaces
    repair(dir.path(), true);
    assert_eq!(
        offsets(dir.path()),
        (0..RECORDS).collect::<Vec<_>>(),
        "nothing was given up"
    );
    assert_eq!(files(dir.path(), "damaged").len(), 0);
}

#[test]
fn what_is_cut_off_is_kept_beside() {
    let dir = stopped_log();
    let log = files(dir.path(), "log").pop().unwrap();
    let whole = fs::read(&log).unwrap();
    append(&log, b"the beginning of something");
    let mended = repair(dir.path(), false);
    assert!(
        matches!(mended[0].mend, Some(Mend::CutTail { .. })),
        "{mended:?}"
    );
    assert_eq!(fs::read(&log).unwrap(), whole);
    assert_eq!(
        fs::read(&files(dir.path(), "cut")[0]).unwrap(),
        b"the beginning of something"
    );
}

#[test]
fn damaged_records_are_named_and_given_up_only_if_that_is_asked_for() {
    let dir = stopped_log();
    let log = files(dir.path(), "log").remove(0);
    let places = starts(&log);
    flip(&log, places[2] + 70); // the third batch's payload
    flip(&log, places[5] + 16); // the sixth one's header: where it ends is not known
    let before = tree(dir.path());
    let found = findings(dir.path());
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].severity, Severity::Damage);
    assert!(
        found[0].what.contains("offset 2, offset 5 cannot be read"),
        "{}",
        found[0].what
    );
    assert_eq!(repair(dir.path(), false), []);
    assert_eq!(tree(dir.path()), before, "nothing is given up silently");
    let damaged = fs::read(&log).unwrap();
    assert_eq!(repair(dir.path(), true), found);
    let left = findings(dir.path());
    assert!(
        left.iter()
            .all(|finding| finding.severity == Severity::Note),
        "{left:#?}"
    );
    assert_eq!(
        fs::read(&files(dir.path(), "damaged")[0]).unwrap(),
        damaged,
        "it is kept as it was"
    );
    let rest: Vec<i64> = (0..RECORDS)
        .filter(|offset| ![2, 5].contains(offset))
        .collect();
    assert_eq!(offsets(dir.path()), rest);
}

#[test]
fn a_last_batch_that_was_durable_and_is_damaged_is_no_unfinished_write() {
    let dir = stopped_log();
    let log = files(dir.path(), "log").pop().unwrap();
    flip(&log, fs::metadata(&log).unwrap().len() as usize - 1);
    let found = findings(dir.path());
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].what.contains("offsets 60 to 61 cannot be read"),
        "{}",
        found[0].what
    );
    assert_eq!(repair(dir.path(), false), []);
    assert_eq!(repair(dir.path(), true).len(), 1);
    assert_eq!(offsets(dir.path()), (0..60).collect::<Vec<_>>());
}

#[test]
fn what_is_computed_from_a_log_waits_until_all_of_the_log_can_be_read() {
    let dir = stopped_log();
    flip(&files(dir.path(), "log")[0], 70);
    flip(&files(dir.path(), "snapshot")[0], 4);
    assert_eq!(repair(dir.path(), false), []);
    assert_eq!(repair(dir.path(), true).len(), 2);
    assert_eq!(offsets(dir.path()), (1..RECORDS).collect::<Vec<_>>());
}

#[test]
fn a_directory_of_a_newer_version_is_left_alone_by_all() {
    let dir = stopped_log();
    fs::write(dir.path().join("catchword.format"), "version=2\n").unwrap();
    let before = tree(dir.path());
    let refusals = [
        check_dir(dir.path(), &mut |_| {}).map(drop),
        repair_dir(dir.path(), &RepairOptions::default(), &mut |_| {}).map(drop),
        LocalEngine::open(dir.path(), LocalOptions::default()).map(drop),
    ];
    for refusal in refusals {
        let Err(
            error @ LogError::NewerFormat {
                found: 2, known: 1, ..
            },
        ) = refusal
        else {
            panic!("{refusal:?}")
        };
        assert!(
            error
                .to_string()
                .contains("newer version, or restore a backup"),
            "{error}"
        );
    }
    assert_eq!(tree(dir.path()), before);
}

#[test]
fn a_directory_from_before_there_was_a_version_gets_one() {
    let dir = stopped_log();
    let path = dir.path().join("catchword.format");
    fs::remove_file(&path).unwrap();
    assert_eq!(findings(dir.path()), []);
    open(dir.path()).close().unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), "version=1\n");
}

/// Refuses every change from the n-th on: a process that is killed there.
struct Killed {
    left: AtomicUsize,
}

impl DiskHook for Killed {
    fn before(&self, _: &Path, _: DiskOperation<'_>) -> io::Result<()> {
        let left = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        left.map(drop).map_err(|_| io::Error::other("killed"))
    }
}

#[test]
fn a_repair_that_is_killed_anywhere_can_be_run_again() {
    let harmed = stopped_log();
    let logs = files(harmed.path(), "log");
    flip(&logs[0], 70);
    append(logs.last().unwrap(), &[9; 50]);
    flip(&files(harmed.path(), "snapshot")[0], 4);
    fs::write(logs[0].with_extension("index.deleted"), "").unwrap();
    fs::remove_file(&files(harmed.path(), "index")[1]).unwrap();
    let mut ended = false;
    for changes in 0.. {
        let dir = tempfile::tempdir().unwrap();
        copy(harmed.path(), dir.path());
        let options = RepairOptions {
            drop_damaged: true,
            disk_hook: Some(Arc::new(Killed {
                left: AtomicUsize::new(changes),
            })),
        };
        ended = repair_dir(dir.path(), &options, &mut |_| {}).is_ok();
        repair(dir.path(), true);
        let left = findings(dir.path());
        assert!(
            left.iter().all(|f| f.severity == Severity::Note),
            "{changes}: {left:#?}"
        );
        assert_eq!(
            offsets(dir.path()),
            (1..RECORDS).collect::<Vec<_>>(),
            "{changes}"
        );
        if ended {
            assert!(
                changes > 20,
                "{changes} changes are too few for so much to mend"
            );
            break;
        }
    }
    assert!(ended);
}

#[test]
fn the_other_partitions_go_on_while_one_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let other = TopicPartition::new("other", 0);
    {
        let engine = open(dir.path());
        let log = log_of(&engine, LogConfig::default());
        let other = engine
            .create(
                &other,
                catchword_log::contract::TOPIC_ID,
                LogConfig::default(),
            )
            .unwrap();
        for batch in numbered(3) {
            append_durably(&*log, &batch).unwrap();
            append_durably(&*other, &batch).unwrap();
        }
        engine.close().unwrap();
    }
    let file = files(dir.path(), "log").remove(0);
    flip(&file, starts(&file)[1] + 16);
    let engine = open(dir.path());
    let (log, other) = (
        engine.get(&partition()).unwrap(),
        engine.get(&other).unwrap(),
    );
    let refused = log.append(&numbered(1), CLIENT);
    assert!(
        matches!(refused, Err(AppendError::Storage(LogError::Corrupt { .. }))),
        "{refused:?}"
    );
    append_durably(&*other, &numbered(1)[0]).unwrap();
    assert_eq!(read_all(&*other, 0).unwrap().len(), 4);
    drop((log, other));
    engine.close().unwrap();
    repair(dir.path(), true);
    assert_eq!(offsets(dir.path()), [0, 2]);
}
