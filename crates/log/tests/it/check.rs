//! The doctor's look at a data directory: sound ones are sound, and each harm is found and named.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use catchword_log::contract::{CLIENT, idempotent};
use catchword_log::{Engine, Finding, LogConfig, LogError, Severity, check_dir};

use crate::support::{copy, files, log_of, numbered, open};

pub(crate) fn stopped_log() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let config = LogConfig {
        segment_bytes: 2000,
        index_interval_bytes: 200,
        ..LogConfig::default()
    };
    let log = log_of(&engine, config);
    for batch in numbered(60) {
        log.append(&[batch], CLIENT).unwrap();
    }
    log.append(&[idempotent(5, 0, 0, &[(2000, "x"), (2001, "y")])], CLIENT)
        .unwrap();
    engine.close().unwrap();
    dir
}

pub(crate) fn findings(dir: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    let before = tree(dir);
    check_dir(dir, &mut |finding| found.push(finding.clone())).unwrap();
    assert_eq!(tree(dir), before, "a check changes nothing");
    found
}

pub(crate) fn tree(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(tree(&path));
        } else {
            all.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn a_sound_directory_has_no_findings() {
    let dir = stopped_log();
    let mut found = Vec::new();
    let summary = check_dir(dir.path(), &mut |finding| found.push(finding.clone())).unwrap();
    assert_eq!(found, []);
    assert_eq!(
        (summary.partitions, summary.batches, summary.records),
        (1, 61, 62)
    );
    assert!(summary.segments > 1 && summary.bytes > 4000);
}

#[test]
fn a_directory_in_use_is_not_checked() {
    let dir = stopped_log();
    let _engine = open(dir.path());
    let refused = check_dir(dir.path(), &mut |_| {});
    assert!(
        matches!(refused, Err(LogError::Locked { .. })),
        "{refused:?}"
    );
}

#[test]
fn each_harm_is_found_and_named() {
    type Harm<'a> = &'a dyn Fn(&Path);
    let flip = |path: &Path, at: usize| {
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let last_log = |dir: &Path| files(dir, "log").pop().unwrap();
    let harms: [(&str, Severity, Harm<'_>); 13] = [
        ("not stopped cleanly", Severity::Note, &|dir| {
            fs::remove_file(dir.join(".kafka_cleanshutdown")).unwrap();
        }),
        ("unfinished write", Severity::Mends, &|dir| {
            OpenOptions::new()
                .append(true)
                .open(last_log(dir))
                .unwrap()
                .write_all(&[0; 50])
                .unwrap();
        }),
        ("damaged from offset 0 on", Severity::Damage, &|dir| {
            flip(&files(dir, "log")[0], 70)
        }),
        ("damaged from offset", Severity::Damage, &|dir| {
            flip(&last_log(dir), 70)
        }),
        ("was durable up to 62", Severity::Damage, &|dir| {
            let path = last_log(dir);
            OpenOptions::new()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(0)
                .unwrap();
        }),
        ("the offset index says", Severity::Mends, &|dir| {
            flip(&files(dir, "index")[0], 7)
        }),
        ("the time index says", Severity::Mends, &|dir| {
            let path = &files(dir, "timeindex")[0];
            let mut bytes = fs::read(path).unwrap();
            bytes[7] -= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("the offset index is torn", Severity::Mends, &|dir| {
            let path = &files(dir, "index")[0];
            OpenOptions::new()
                .append(true)
                .open(path)
                .unwrap()
                .write_all(&[0; 9])
                .unwrap();
        }),
        (
            "the producer snapshot is damaged",
            Severity::Mends,
            &|dir| {
                flip(&files(dir, "snapshot")[0], 4);
            },
        ),
        ("the topic's id is missing", Severity::Mends, &|dir| {
            fs::write(dir.join("t-0/partition.metadata"), "").unwrap();
        }),
        ("no entry", Severity::Mends, &|dir| {
            fs::write(dir.join("t-0/leader-epoch-checkpoint"), "0\n1\nx y\n").unwrap();
        }),
        ("a compaction was interrupted", Severity::Mends, &|dir| {
            fs::write(dir.join("t-0/00000000000000000000.log.swap"), "").unwrap();
        }),
        (
            "recovery-point-offset-checkpoint is damaged",
            Severity::Damage,
            &|dir| {
                fs::write(dir.join("recovery-point-offset-checkpoint"), "0\n2\n").unwrap();
            },
        ),
    ];
    let sound = stopped_log();
    for (what, severity, harm) in harms {
        let dir = tempfile::tempdir().unwrap();
        copy(sound.path(), dir.path());
        harm(dir.path());
        let found = findings(dir.path());
        let named = found.iter().find(|finding| finding.what.contains(what));
        let named = named.unwrap_or_else(|| panic!("{what:?} is not in {found:#?}"));
        assert_eq!(named.severity, severity, "{what}");
        assert!(!named.advice.is_empty());
    }
}

#[test]
fn what_the_check_calls_mendable_is_mended_by_a_start() {
    let dir = stopped_log();
    fs::write(files(dir.path(), "index").pop().unwrap(), [0; 16]).unwrap();
    let mut log = OpenOptions::new()
        .append(true)
        .open(files(dir.path(), "log").pop().unwrap())
        .unwrap();
    log.write_all(&[1; 30]).unwrap();
    fs::remove_file(dir.path().join(".kafka_cleanshutdown")).unwrap();
    assert!(findings(dir.path()).len() >= 2);
    let engine = open(dir.path());
    log_of(&engine, LogConfig::default()).ready().unwrap();
    engine.close().unwrap();
    assert_eq!(findings(dir.path()), []);
}

#[test]
fn what_is_unfinished_only_while_a_broker_runs_is_no_fault_after_a_crash() {
    let dir = stopped_log();
    for extension in ["index", "timeindex"] {
        // As Kafka keeps it while it writes.
        let last = files(dir.path(), extension).pop().unwrap();
        OpenOptions::new()
            .write(true)
            .open(last)
            .unwrap()
            .set_len(10_000)
            .unwrap();
    }
    assert_eq!(
        findings(dir.path()).len(),
        2,
        "a clean stop leaves no such thing"
    );
    fs::remove_file(dir.path().join(".kafka_cleanshutdown")).unwrap();
    let found = findings(dir.path());
    assert!(
        found
            .iter()
            .all(|finding| finding.severity == Severity::Note),
        "{found:#?}"
    );
}
