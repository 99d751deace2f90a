//! Disks that are full, or fail: what the client is told, and what is left.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use catchword_log::contract::{CLIENT, append_durably, read_all};
use catchword_log::{
    AppendError, DiskHook, DiskOperation, Engine, FlushError, LocalEngine, LocalOptions, LogConfig,
    LogError, PartitionLog,
};

use crate::support::{expected, log_of, numbered, partition};

/// Fails some operations while it is switched on.
struct Failing {
    on: AtomicBool,
    error: fn() -> io::Error,
    what: fn(&Path, DiskOperation<'_>) -> bool,
}

impl DiskHook for Failing {
    fn before(&self, path: &Path, operation: DiskOperation<'_>) -> io::Result<()> {
        if self.on.load(Ordering::Relaxed) && (self.what)(path, operation) {
            return Err((self.error)());
        }
        Ok(())
    }
}

fn failing(
    error: fn() -> io::Error,
    what: fn(&Path, DiskOperation<'_>) -> bool,
) -> (Arc<Failing>, LocalOptions) {
    let hook = Arc::new(Failing {
        on: AtomicBool::new(false),
        error,
        what,
    });
    let options = LocalOptions {
        disk_hook: Some(hook.clone()),
        ..LocalOptions::default()
    };
    (hook, options)
}

fn flush(log: &dyn PartitionLog, end: i64) -> Result<(), FlushError> {
    let (done, waited) = mpsc::channel();
    log.flush_to(end, Box::new(move |result| done.send(result).unwrap()));
    waited.recv().unwrap()
}

#[test]
fn a_full_disk_refuses_the_append_and_the_log_goes_on_when_there_is_room() {
    let full = || io::Error::from(io::ErrorKind::StorageFull);
    let (hook, options) = failing(full, |_, op| matches!(op, DiskOperation::Write { .. }));
    let dir = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(dir.path(), options).unwrap();
    let log = log_of(&engine, LogConfig::default());
    append_durably(&*log, &numbered(1)[0]).unwrap();
    hook.on.store(true, Ordering::Relaxed);
    let refused = log.append(&numbered(2)[1..], CLIENT);
    let Err(AppendError::Storage(error @ LogError::DiskFull { .. })) = refused else {
        panic!("{refused:?}")
    };
    assert!(error.to_string().contains("free some space"), "{error}");
    assert_eq!(log.offsets().log_end, 1);
    hook.on.store(false, Ordering::Relaxed);
    log.append(&numbered(2)[1..], CLIENT).unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, 2));
}

#[test]
fn a_segment_that_cannot_be_begun_refuses_the_append_and_nothing_else() {
    let full = || io::Error::from(io::ErrorKind::StorageFull);
    let (hook, options) = failing(full, |_, op| op == DiskOperation::Open);
    let dir = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(dir.path(), options).unwrap();
    let log = log_of(
        &engine,
        LogConfig {
            segment_bytes: 100,
            ..LogConfig::default()
        },
    );
    let batches = numbered(3);
    log.append(&batches[..1], CLIENT).unwrap();
    hook.on.store(true, Ordering::Relaxed);
    assert!(matches!(
        log.append(&batches[1..2], CLIENT),
        Err(AppendError::Storage(LogError::DiskFull { .. }))
    ));
    hook.on.store(false, Ordering::Relaxed);
    log.append(&batches[1..2], CLIENT).unwrap();
    log.append(&batches[2..], CLIENT).unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, 3));
}

#[test]
fn after_a_failed_sync_nothing_is_promised_until_a_restart() {
    let failed = || io::Error::from_raw_os_error(5);
    let (hook, options) = failing(failed, |path, op| {
        op == DiskOperation::Sync && path.extension().is_some_and(|extension| extension == "log")
    });
    // Each log syncs its own files.
    let options = LocalOptions {
        journal_bytes: 0,
        ..options
    };
    let dir = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(dir.path(), options).unwrap();
    let log = log_of(&engine, LogConfig::default());
    append_durably(&*log, &numbered(1)[0]).unwrap();
    log.append(&numbered(2)[1..], CLIENT).unwrap();
    hook.on.store(true, Ordering::Relaxed);
    assert!(flush(&*log, 2).is_err());
    // The kernel has dropped the error; a second sync would lie.
    hook.on.store(false, Ordering::Relaxed);
    let error = flush(&*log, 2).unwrap_err();
    assert!(error.to_string().contains("restart the broker"), "{error}");
    assert_eq!(log.offsets().durable_end, 1);
    assert!(matches!(
        log.append(&numbered(1), CLIENT),
        Err(AppendError::Storage(LogError::Poisoned { .. }))
    ));
    assert!(log.ready().is_err());
    assert!(flush(&*log, 1).is_err());
    assert!(engine.close().is_err(), "such a stop is not a clean one");
    drop((log, engine));
    let engine = LocalEngine::open(dir.path(), LocalOptions::default()).unwrap();
    let log = engine.get(&partition()).unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, 2));
    append_durably(&*log, &numbered(1)[0]).unwrap();
}

#[test]
fn a_write_that_cannot_be_taken_back_stops_the_log() {
    let failed = || io::Error::from_raw_os_error(5);
    let (hook, options) = failing(failed, |_, op| {
        matches!(
            op,
            DiskOperation::Write { .. } | DiskOperation::Truncate { .. }
        )
    });
    let dir = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(dir.path(), options).unwrap();
    let log = log_of(&engine, LogConfig::default());
    append_durably(&*log, &numbered(1)[0]).unwrap();
    hook.on.store(true, Ordering::Relaxed);
    assert!(log.append(&numbered(1), CLIENT).is_err());
    hook.on.store(false, Ordering::Relaxed);
    assert!(matches!(
        log.append(&numbered(1), CLIENT),
        Err(AppendError::Storage(LogError::Poisoned { .. }))
    ));
    assert_eq!(
        read_all(&*log, 0).unwrap(),
        expected(0, 1),
        "what is there can be read"
    );
}

#[test]
fn one_failing_log_does_not_stop_the_others() {
    let failed = || io::Error::from_raw_os_error(5);
    let (hook, options) = failing(failed, |path, op| {
        op == DiskOperation::Sync && path.to_string_lossy().contains("t-0")
    });
    let dir = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(dir.path(), options).unwrap();
    let log = log_of(&engine, LogConfig::default());
    let other = catchword_log::TopicPartition::new("other", 0);
    let other = engine
        .create(
            &other,
            catchword_log::contract::TOPIC_ID,
            LogConfig::default(),
        )
        .unwrap();
    log.append(&numbered(1), CLIENT).unwrap();
    hook.on.store(true, Ordering::Relaxed);
    assert!(flush(&*log, 1).is_err());
    append_durably(&*other, &numbered(1)[0]).unwrap();
}

#[test]
fn a_damaged_batch_is_an_error_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(dir.path(), LocalOptions::default()).unwrap();
    let log = log_of(&engine, LogConfig::default());
    for batch in numbered(3) {
        log.append(&[batch], CLIENT).unwrap();
    }
    let path = dir.path().join("t-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    let size = bytes.len() / 3;
    bytes[size + 16] = 9;
    std::fs::write(&path, bytes).unwrap();
    let error = log
        .read(2, 100, catchword_log::ReadLimit::LogEnd, true)
        .now()
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("00000000000000000000.log") && text.contains("byte"),
        "{text}"
    );
}
