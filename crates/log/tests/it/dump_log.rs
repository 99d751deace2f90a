//! Kafka's own tool reads our files. Runs where `CATCHWORD_KAFKA_LIBS` names the directory of Kafka's jars.

use std::process::Command;

use catchword_log::contract::{
    CLIENT, append_verified, compressed, idempotent, marker, transactional,
};
use catchword_log::{CleanupPolicy, Engine, LogConfig};
use catchword_wire::batch::Compression;

use crate::support::{files, keyed, log_of, open};

#[test]
#[ignore = "needs java, and CATCHWORD_KAFKA_LIBS"]
fn kafkas_dump_log_reads_our_files_and_finds_no_mismatch() {
    let libs = std::env::var("CATCHWORD_KAFKA_LIBS").expect("CATCHWORD_KAFKA_LIBS is set");
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let config = LogConfig {
        segment_bytes: 20_000,
        index_interval_bytes: 500,
        cleanup_policy: CleanupPolicy::Compact,
        segment_ms: i64::MAX,
        min_cleanable_dirty_ratio: 0.9,
        ..LogConfig::default()
    };
    let log = log_of(&engine, config.clone());
    for n in 0..600 {
        let key = format!("key-{}", n % 50);
        let batch = match n % 10 {
            0 => compressed(Compression::Zstd, &[(1000 + n, "a"), (1001 + n, "b")]),
            1 => idempotent(7, 0, (n / 10) as i32, &[(1000 + n, "c")]),
            4 => {
                let sequence = (n / 10) as i32;
                append_verified(&*log, &transactional(9, 0, sequence, &[(1000 + n, "d")])).unwrap();
                log.append_marker(&marker(9, 0, n % 20 == 4), 0).unwrap();
                continue;
            }
            2 => keyed(1000 + n, &key, None),
            _ => keyed(1000 + n, &key, Some("value")),
        };
        log.append(&[batch], CLIENT).unwrap();
        if n == 300 {
            // So that compacted segments are read as well.
            engine.maintain(5000);
        }
    }
    engine.close().unwrap();
    let mut names = Vec::new();
    for extension in ["log", "index", "timeindex", "snapshot", "txnindex"] {
        names.extend(
            files(dir.path(), extension)
                .iter()
                .map(|path| path.display().to_string()),
        );
    }
    assert!(names.len() > 8, "{names:?}");
    let output = Command::new("java")
        .args([
            "-cp",
            &format!("{libs}/*"),
            "org.apache.kafka.tools.DumpLogSegments",
        ])
        .args([
            "--deep-iteration",
            "--print-data-log",
            "--verify-index-only",
            "--files",
        ])
        .arg(names.join(","))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for bad in [
        "Found",
        "Non-consecutive",
        "not valid",
        "mismatch",
        "isvalid: false",
        "isValid: false",
    ] {
        let line = text.lines().find(|line| line.contains(bad));
        assert_eq!(line, None, "{bad}");
    }
    assert!(text.contains("producerId: 7"), "{text}");
    let aborted = "version: 0 producerId: 9 firstOffset: 17 lastOffset: 18 lastStableOffset: 19";
    assert!(text.contains(aborted), "{text}");
}
