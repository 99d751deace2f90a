//! kill -9 under load: a child process appends and says what is durable; it is killed; all it said must be there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use catchword_log::contract::{CLIENT, TOPIC_ID, read_all};
use catchword_log::{CleanupPolicy, Engine, LogConfig, TopicPartition};

use crate::support::{keyed, open};

const PARTITIONS: i32 = 4;
const DIRECTORY: &str = "CATCHWORD_KILL_DIRECTORY";
/// A directory is killed so often before the next one is begun: all that is in it is compared each time.
const ROUNDS_A_DIRECTORY: i32 = 25;

fn config(partition: i32) -> LogConfig {
    let cleanup_policy = if partition == 0 {
        CleanupPolicy::Compact
    } else {
        CleanupPolicy::Delete
    };
    LogConfig {
        segment_bytes: 64 * 1024,
        retention_ms: -1,
        min_cleanable_dirty_ratio: 0.1,
        cleanup_policy,
        ..LogConfig::default()
    }
}

/// Not a test: the child of the one below.
#[test]
#[ignore = "runs as the child process of kill_9_loses_nothing_that_was_acknowledged"]
fn the_child_that_is_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let engine = Arc::new(open(Path::new(&directory)));
    let writers: Vec<_> = (0..PARTITIONS)
        .map(|n| {
            let engine = engine.clone();
            std::thread::spawn(move || {
                let partition = TopicPartition::new("t", n);
                let log = engine.create(&partition, TOPIC_ID, config(n)).unwrap();
                loop {
                    let end = log.offsets().log_end;
                    let value = format!("{n}/{end}/{}", "x".repeat((end % 300) as usize));
                    let key = format!("key-{}", end % 50);
                    let batch = keyed(1000 + end, &key, Some(&value));
                    let offset = log.append(&[batch], CLIENT).unwrap().base_offset;
                    assert_eq!(offset, end);
                    if end % 5 == 0 {
                        // Several are under way at a time, but not without bound.
                        let (done, waited) = mpsc::channel();
                        log.flush_to(
                            end + 1,
                            Box::new(move |result| {
                                result.unwrap();
                                // One write, so that lines of several threads do not mix.
                                let line = format!("durable {n} {end}\n");
                                std::io::stdout().write_all(line.as_bytes()).unwrap();
                                let _ = done.send(());
                            }),
                        );
                        if end % 20 == 0 {
                            waited.recv().unwrap();
                        }
                    }
                }
            })
        })
        .collect();
    let mut now_ms = 1_000_000;
    loop {
        engine.maintain(now_ms);
        now_ms += 60_000;
        std::thread::sleep(Duration::from_millis(5));
        assert!(writers.iter().all(|writer| !writer.is_finished()));
    }
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    let rounds = std::env::var("CATCHWORD_KILL_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok());
    let mut directory = tempfile::tempdir().unwrap();
    for round in 0..rounds.unwrap_or(ROUNDS_A_DIRECTORY) {
        if round > 0 && round % ROUNDS_A_DIRECTORY == 0 {
            directory = tempfile::tempdir().unwrap();
            println!("{round} kills");
        }
        let mut durable: BTreeMap<i32, i64> = BTreeMap::new();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "kill::the_child_that_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (first, begun) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some((partition, offset)) = line
                    .strip_prefix("durable ")
                    .and_then(|rest| rest.split_once(' '))
                {
                    let offset: i64 = offset.parse().unwrap();
                    let last = durable.entry(partition.parse().unwrap()).or_default();
                    *last = offset.max(*last);
                    let _ = first.send(());
                }
            }
            durable
        });
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .subsec_nanos();
        begun
            .recv_timeout(Duration::from_secs(60))
            .expect("the child starts, and acknowledges");
        std::thread::sleep(Duration::from_millis(u64::from(nanos) % 400));
        child.kill().unwrap();
        child.wait().unwrap();
        let durable = reader.join().unwrap();
        assert!(
            !durable.is_empty(),
            "round {round}: the child acknowledged nothing"
        );
        check(directory.path(), &durable, round);
    }
}

fn check(directory: &Path, durable: &BTreeMap<i32, i64>, round: i32) {
    let engine = open(directory);
    for (n, last) in durable {
        let log = engine.get(&TopicPartition::new("t", *n)).unwrap();
        let found: BTreeMap<i64, String> = read_all(&*log, 0).unwrap().into_iter().collect();
        let log_end = log.offsets().log_end;
        assert!(
            log_end > *last,
            "round {round}, partition {n}: ends at {log_end}, not {last}"
        );
        for (offset, value) in &found {
            assert!(
                value.starts_with(&format!("{n}/{offset}/")),
                "round {round}: {value}"
            );
        }
        for offset in 0..log_end {
            // Each key comes again every 50 records; only the compacted partition may have lost the earlier ones.
            let newer_is_there = *n == 0 && offset + 50 < log_end;
            assert!(
                found.contains_key(&offset) || newer_is_there,
                "round {round}, partition {n}: {offset} of {log_end} is gone"
            );
        }
    }
}
