//! Writers, readers and the housekeeping at once: nobody sees what is not there, or out of order.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use catchword_log::contract::CLIENT;
use catchword_log::{CleanupPolicy, Engine, LogConfig, PartitionLog, ReadError, ReadLimit};
use catchword_wire::batch::{records, split};

use crate::support::{keyed, log_of, open};

/// Reads from the start to the end again and again.
fn read_on(log: &dyn PartitionLog, stop: &AtomicBool, max_bytes: usize) -> u64 {
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut next = log.offsets().log_start;
        loop {
            let fetched = match log
                .read(next, max_bytes, ReadLimit::HighWatermark, true)
                .now()
            {
                Ok(fetched) => fetched,
                // Retention was faster.
                Err(ReadError::OutOfRange { log_start, .. }) if log_start > next => {
                    next = log_start;
                    continue;
                }
                Err(error) => panic!("reading {next}: {error}"),
            };
            let end = fetched.offsets.high_watermark;
            if fetched.data.is_empty() {
                assert!(
                    next >= end,
                    "nothing at {next}, though the log ends at {end}"
                );
                break;
            }
            for batch in split(fetched.data.read().unwrap()) {
                let batch = batch.unwrap();
                batch.verify_crc().unwrap();
                assert!(
                    batch.header.last_offset() >= next,
                    "{} after {next}",
                    batch.header.last_offset()
                );
                assert!(batch.header.last_offset() < end, "past the high watermark");
                for record in records(&batch).unwrap() {
                    let record = record.unwrap();
                    let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                    assert_eq!(value, format!("value-{}", record.offset));
                }
                next = batch.header.next_offset();
            }
        }
        rounds += 1;
    }
    rounds
}

#[test]
fn readers_writers_and_housekeeping_do_not_disturb_one_another() {
    for policy in [CleanupPolicy::Compact, CleanupPolicy::Delete] {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(dir.path());
        let config = LogConfig {
            segment_bytes: 20_000,
            index_interval_bytes: 300,
            retention_bytes: 100_000,
            retention_ms: -1,
            cleanup_policy: policy,
            min_cleanable_dirty_ratio: 0.1,
            ..LogConfig::default()
        };
        let log = log_of(&engine, config);
        let (stop, flushed) = (AtomicBool::new(false), AtomicI64::new(0));
        let (log, stop, flushed) = (&log, &stop, &flushed);
        std::thread::scope(|scope| {
            let readers: Vec<_> = [500, 4_000, 1_000_000]
                .map(|max| scope.spawn(move || read_on(&**log, stop, max)))
                .into_iter()
                .collect();
            let keeper = scope.spawn(|| {
                let mut now_ms = 1_000_000;
                while !stop.load(Ordering::Relaxed) {
                    now_ms += 30_000;
                    engine.maintain(now_ms);
                }
            });
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(1500) {
                let end = log.offsets().log_end;
                let (key, value) = (format!("key-{}", end % 40), format!("value-{end}"));
                log.append(&[keyed(1000 + end, &key, Some(&value))], CLIENT)
                    .unwrap();
                if end % 10 == 0 {
                    let (done, waited) = std::sync::mpsc::channel();
                    log.flush_to(end + 1, Box::new(move |result| done.send(result).unwrap()));
                    waited.recv().unwrap().unwrap();
                    flushed.fetch_add(1, Ordering::Relaxed);
                }
            }
            stop.store(true, Ordering::Relaxed);
            keeper.join().unwrap();
            for reader in readers {
                assert!(
                    reader.join().unwrap() > 0,
                    "each reader got through at least once"
                );
            }
        });
        assert!(flushed.load(Ordering::Relaxed) > 0);
    }
}
