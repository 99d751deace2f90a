//! Files that somebody keeps beside a log: whole through crashes, and left alone by what happens to the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use catchword_log::contract::CLIENT;
use catchword_log::{CleanupPolicy, Engine, LocalEngine, LocalOptions, LogConfig, PartitionLog};

use crate::compaction::DiesAt;
use crate::support::{files, keyed, log_of, open};

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 800,
        cleanup_policy: CleanupPolicy::Compact,
        segment_ms: i64::MAX,
        ..LogConfig::default()
    }
}

fn write(log: &dyn PartitionLog, count: i64) {
    for n in 0..count {
        let key = format!("key-{}", n % 7 * n % 40);
        log.append(&[keyed(1000 + n, &key, Some("value"))], CLIENT)
            .unwrap();
    }
}

/// An engine whose disk dies at a step, and the hook that says when.
fn mortal(dir: &std::path::Path) -> (LocalEngine, Arc<DiesAt>) {
    let hook = Arc::new(DiesAt {
        at: AtomicUsize::new(usize::MAX),
        seen: AtomicUsize::new(0),
    });
    let options = LocalOptions {
        disk_hook: Some(hook.clone()),
        ..LocalOptions::default()
    };
    (LocalEngine::open(dir, options).unwrap(), hook)
}

fn die_after(hook: &DiesAt, steps: usize) {
    hook.at
        .store(hook.seen.load(Ordering::SeqCst) + steps, Ordering::SeqCst);
}

fn died(hook: &DiesAt) -> bool {
    hook.seen.load(Ordering::SeqCst) > hook.at.load(Ordering::SeqCst)
}

#[test]
fn a_crash_at_any_step_leaves_the_old_file_or_the_new_one() {
    for step in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let (engine, hook) = mortal(dir.path());
        let log = log_of(&engine, config());
        write(&*log, 20);
        log.put_side_file("notes", 10, b"the old").unwrap();
        die_after(&hook, step);
        let kept = log.put_side_file("notes", 20, b"the new");
        let dead = died(&hook);
        drop((log, engine));

        let engine = open(dir.path());
        let log = log_of(&engine, config());
        let offsets = log.side_files("notes").unwrap();
        assert!(!offsets.is_empty(), "step {step}");
        for offset in &offsets {
            let expected: &[u8] = if *offset == 20 {
                b"the new"
            } else {
                b"the old"
            };
            assert_eq!(log.read_side_file("notes", *offset).unwrap(), expected);
        }
        if kept.is_ok() {
            assert_eq!(offsets, [20], "step {step}");
        }
        log.put_side_file("notes", 20, b"the new").unwrap();
        let mut left = [files(dir.path(), "cw-notes"), files(dir.path(), "tmp")].concat();
        left.retain(|path| path.to_string_lossy().contains("cw-notes"));
        assert_eq!(left.len(), 1, "step {step}: {left:?}");
        if !dead {
            assert!(step > 5, "keeping a file has more steps than {step}");
            return;
        }
    }
}

#[test]
fn a_compaction_leaves_it_alone_wherever_a_crash_interrupts_it() {
    for step in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let (engine, hook) = mortal(dir.path());
        let log = log_of(&engine, config());
        write(&*log, 60);
        // Somewhere in each of the segments that are compacted.
        let names = ["a", "b", "c", "d", "e", "f"];
        let at = |n: usize| 4 + 9 * n as i64;
        for (n, name) in names.iter().enumerate() {
            log.put_side_file(name, at(n), name.as_bytes()).unwrap();
        }
        die_after(&hook, step);
        engine.maintain(10_000);
        let dead = died(&hook);
        drop((log, engine));

        let engine = open(dir.path());
        let log = log_of(&engine, config());
        assert_eq!(log.offsets().log_end, 60);
        for (n, name) in names.iter().enumerate() {
            assert_eq!(log.side_files(name).unwrap(), [at(n)], "step {step}");
            let content = log.read_side_file(name, at(n)).unwrap();
            assert_eq!(content, name.as_bytes());
        }
        if !dead {
            assert!(step > 10, "a compaction has more steps than {step}");
            return;
        }
    }
}
