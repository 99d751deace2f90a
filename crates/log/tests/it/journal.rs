//! The journal: what was acknowledged by way of it is there after a crash that the logs' own files did not survive whole.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use catchword_log::contract::{CLIENT, TOPIC_ID, append_durably, read_all};
use catchword_log::{
    CleanupPolicy, DiskHook, DiskOperation, Engine, LocalEngine, LocalOptions, LogConfig, LogError,
    Mend, PartitionLog, RepairOptions, TopicPartition, check_dir, repair_dir,
};
use catchword_wire::Uuid;

use crate::support::{copy, expected, files, keyed, log_of, numbered, open, partition};

const JOURNAL: &str = "catchword.journal";

/// Whether a block is in the journal.
fn is_used(dir: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(dir.join(JOURNAL)).is_ok_and(|file| file.read_exact_at(&mut magic, 4096).is_ok())
        && magic == *b"CWJB"
}

/// Appends and makes durable until the journal has taken something, `count` times at least. Returns how many there are.
fn fill(dir: &Path, log: &dyn PartitionLog, count: i64) -> i64 {
    let begun = Instant::now();
    let first = log.offsets().log_end;
    let mut n = first;
    let mut since_there_is_one = 0;
    while since_there_is_one < count {
        append_durably(log, &numbered(n + 1)[n as usize]).unwrap();
        n += 1;
        since_there_is_one += i64::from(is_used(dir));
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "no journal came to be"
        );
    }
    n
}

/// Remembers how long the segment was at its last sync.
#[derive(Default)]
struct Synced(AtomicU64);

impl DiskHook for Synced {
    fn before(&self, path: &Path, operation: DiskOperation<'_>) -> io::Result<()> {
        if operation == DiskOperation::Sync && path.extension().is_some_and(|e| e == "log") {
            self.0
                .store(std::fs::metadata(path)?.len(), Ordering::Relaxed);
        }
        Ok(())
    }
}

#[test]
fn what_was_acknowledged_is_put_back_into_files_that_lost_it() {
    let dir = tempfile::tempdir().unwrap();
    let synced = Arc::new(Synced::default());
    let options = LocalOptions {
        disk_hook: Some(synced.clone()),
        ..LocalOptions::default()
    };
    let engine = LocalEngine::open(dir.path(), options).unwrap();
    let log = log_of(&engine, LogConfig::default());
    let count = fill(dir.path(), &*log, 20);
    // What a power cut leaves: the file as it was at its last sync.
    let torn = tempfile::tempdir().unwrap();
    copy(dir.path(), torn.path());
    let file = files(torn.path(), "log").remove(0);
    let file = OpenOptions::new().write(true).open(file).unwrap();
    let stable = synced.0.load(Ordering::Relaxed);
    assert!(
        stable < file.metadata().unwrap().len(),
        "the journal spared syncs"
    );
    file.set_len(stable).unwrap();
    let engine = open(torn.path());
    let log = engine.get(&partition()).unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, count));
    assert!(!torn.path().join(JOURNAL).exists(), "it is replayed once");
}

#[test]
fn only_what_is_not_there_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, LogConfig::default());
    let count = fill(dir.path(), &*log, 10);
    let copied = tempfile::tempdir().unwrap();
    copy(dir.path(), copied.path());
    // The last batches reached the journal and not the file.
    let file = files(copied.path(), "log").remove(0);
    let one = numbered(1)[0].bytes.len() as u64;
    let len = std::fs::metadata(&file).unwrap().len();
    let writable = OpenOptions::new().write(true).open(&file).unwrap();
    writable.set_len(len - 3 * one - 7).unwrap();
    let engine = open(copied.path());
    let log = engine.get(&partition()).unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, count));
    append_durably(&*log, &numbered(count + 1)[count as usize]).unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, count + 1));
}

#[test]
fn a_topic_of_the_same_name_gets_nothing_of_its_predecessors() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, LogConfig::default());
    fill(dir.path(), &*log, 10);
    engine.delete(&partition()).unwrap();
    let other = Uuid([5; 16]);
    assert_ne!(other, TOPIC_ID);
    let log = engine
        .create(&partition(), other, LogConfig::default())
        .unwrap();
    append_durably(&*log, &numbered(1)[0]).unwrap();
    let copied = tempfile::tempdir().unwrap();
    copy(dir.path(), copied.path());
    let engine = open(copied.path());
    let log = engine.get(&partition()).unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, 1));
}

#[test]
fn a_compacted_segment_is_not_written_over_by_what_it_was_made_of() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let config = LogConfig {
        cleanup_policy: CleanupPolicy::Compact,
        segment_bytes: 2000,
        min_cleanable_dirty_ratio: 0.01,
        ..LogConfig::default()
    };
    let log = log_of(&engine, config);
    let begun = Instant::now();
    let mut n = 0;
    while n < 100 || !is_used(dir.path()) {
        let batch = keyed(1000 + n, &format!("k{}", n % 3), Some(&format!("v{n}")));
        append_durably(&*log, &batch).unwrap();
        n += 1;
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "no journal came to be"
        );
    }
    let before = log.size_bytes();
    for step in 0..20 {
        engine.maintain(1_000_000_000 + 60_000 * step);
    }
    assert!(log.size_bytes() < before / 2, "it was compacted");
    let found = read_all(&*log, 0).unwrap();
    let copied = tempfile::tempdir().unwrap();
    copy(dir.path(), copied.path());
    let engine = open(copied.path());
    let log = engine.get(&partition()).unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), found);
}

#[test]
fn a_clean_stop_leaves_no_journal_and_one_that_lies_about_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, LogConfig::default());
    let count = fill(dir.path(), &*log, 5);
    let journal = std::fs::read(dir.path().join(JOURNAL)).unwrap();
    engine.close().unwrap();
    drop((log, engine));
    assert!(!dir.path().join(JOURNAL).exists());
    // Somebody puts an old one back.
    std::fs::write(dir.path().join(JOURNAL), journal).unwrap();
    let engine = open(dir.path());
    assert!(!dir.path().join(JOURNAL).exists());
    let log = engine.get(&partition()).unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, count));
}

#[test]
fn a_journal_of_a_newer_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, LogConfig::default());
    fill(dir.path(), &*log, 2);
    drop((log, engine));
    let path = dir.path().join(JOURNAL);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[11] += 1;
    let crc = crc_fast::crc32_iscsi(&bytes[..28]);
    bytes[28..32].copy_from_slice(&crc.to_be_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let refused = LocalEngine::open(dir.path(), LocalOptions::default())
        .err()
        .unwrap();
    assert!(matches!(refused, LogError::Corrupt { .. }), "{refused}");
    assert!(refused.to_string().contains("newer Catchword"), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn doctor_tells_of_the_journal_and_a_repair_puts_it_into_the_logs_first() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, LogConfig::default());
    let count = fill(dir.path(), &*log, 5);
    let copied = tempfile::tempdir().unwrap();
    copy(dir.path(), copied.path());
    let file = files(copied.path(), "log").remove(0);
    let one = numbered(1)[0].bytes.len() as u64;
    let len = std::fs::metadata(&file).unwrap().len();
    let writable = OpenOptions::new().write(true).open(&file).unwrap();
    writable.set_len(len - one - 7).unwrap();
    let mut found = Vec::new();
    check_dir(copied.path(), &mut |finding| found.push(finding.clone())).unwrap();
    assert!(
        found
            .iter()
            .any(|finding| finding.mend == Some(Mend::Journal)),
        "{found:?}"
    );
    let mut mended = Vec::new();
    let options = RepairOptions::default();
    repair_dir(copied.path(), &options, &mut |finding| {
        mended.push(finding.clone())
    })
    .unwrap();
    assert_eq!(mended.len(), 1, "{mended:?}");
    assert_eq!(std::fs::metadata(&file).unwrap().len(), len);
    let engine = open(copied.path());
    let log = engine.get(&partition()).unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, count));
}

/// Fails writes to the journal while it is switched on.
struct Broken(AtomicBool);

impl DiskHook for Broken {
    fn before(&self, path: &Path, operation: DiskOperation<'_>) -> io::Result<()> {
        let hit = path.ends_with(JOURNAL) && matches!(operation, DiskOperation::Write { .. });
        match hit && self.0.load(Ordering::Relaxed) {
            true => Err(io::Error::from_raw_os_error(5)),
            false => Ok(()),
        }
    }
}

#[test]
fn without_a_journal_that_works_commits_are_as_safe() {
    let dir = tempfile::tempdir().unwrap();
    let hook = Arc::new(Broken(AtomicBool::new(false)));
    let options = LocalOptions {
        disk_hook: Some(hook.clone()),
        ..LocalOptions::default()
    };
    let engine = LocalEngine::open(dir.path(), options).unwrap();
    let log = log_of(&engine, LogConfig::default());
    let count = fill(dir.path(), &*log, 5);
    hook.0.store(true, Ordering::Relaxed);
    for n in count..count + 10 {
        append_durably(&*log, &numbered(n + 1)[n as usize]).unwrap();
    }
    let copied = tempfile::tempdir().unwrap();
    copy(dir.path(), copied.path());
    let reopened = open(copied.path());
    let log = reopened.get(&partition()).unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, count + 10));
    engine.close().unwrap();
    assert!(!dir.path().join(JOURNAL).exists());
}

/// Fails syncs of segments while it is switched on.
struct NoSync(AtomicBool);

impl DiskHook for NoSync {
    fn before(&self, path: &Path, operation: DiskOperation<'_>) -> io::Result<()> {
        let hit = operation == DiskOperation::Sync && path.extension().is_some_and(|e| e == "log");
        match hit && self.0.load(Ordering::Relaxed) {
            true => Err(io::Error::from_raw_os_error(5)),
            false => Ok(()),
        }
    }
}

#[test]
fn a_log_whose_own_files_cannot_be_synced_promises_nothing_more_and_keeps_what_it_promised() {
    let dir = tempfile::tempdir().unwrap();
    let hook = Arc::new(NoSync(AtomicBool::new(false)));
    let options = LocalOptions {
        disk_hook: Some(hook.clone()),
        journal_bytes: 24 << 10,
        ..LocalOptions::default()
    };
    let engine = LocalEngine::open(dir.path(), options).unwrap();
    let log = log_of(&engine, LogConfig::default());
    let mut count = fill(dir.path(), &*log, 1);
    hook.0.store(true, Ordering::Relaxed);
    // Until the journal is full and its logs are to be synced.
    loop {
        assert!(count < 1000, "the journal is never emptied");
        if log
            .append(&numbered(count + 1)[count as usize..], CLIENT)
            .is_err()
        {
            break;
        }
        let (done, waited) = mpsc::channel();
        log.flush_to(
            count + 1,
            Box::new(move |result| done.send(result).unwrap()),
        );
        if waited.recv().unwrap().is_err() {
            break;
        }
        count += 1;
    }
    // The kernel would not tell of the failure twice.
    hook.0.store(false, Ordering::Relaxed);
    let (done, waited) = mpsc::channel();
    log.flush_to(count, Box::new(move |result| done.send(result).unwrap()));
    assert!(waited.recv().unwrap().is_err());
    assert!(log.ready().is_err());
    assert!(engine.close().is_err());
    assert!(
        dir.path().join(JOURNAL).exists(),
        "it holds what was promised"
    );
    drop((log, engine));
    let engine = open(dir.path());
    let log = engine.get(&partition()).unwrap();
    let found = read_all(&*log, 0).unwrap();
    assert_eq!(found[..count as usize], expected(0, count));
}

/// Holds up syncs of one segment while it is switched on, and remembers how long it was at its last sync.
#[derive(Default)]
struct SlowSync {
    on: AtomicBool,
    held: AtomicBool,
    synced: AtomicU64,
}

impl DiskHook for SlowSync {
    fn before(&self, path: &Path, operation: DiskOperation<'_>) -> io::Result<()> {
        if operation == DiskOperation::Sync && path.ends_with("t-0/00000000000000000000.log") {
            while self.on.load(Ordering::Relaxed) {
                self.held.store(true, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
            self.synced
                .store(std::fs::metadata(path)?.len(), Ordering::Relaxed);
        }
        Ok(())
    }
}

#[test]
fn a_closed_segment_that_is_just_being_synced_stays_in_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let hook = Arc::new(SlowSync::default());
    let options = LocalOptions {
        disk_hook: Some(hook.clone()),
        journal_bytes: 24 << 10,
        ..LocalOptions::default()
    };
    let engine = LocalEngine::open(dir.path(), options).unwrap();
    let other = TopicPartition::new("other", 0);
    let other = engine
        .create(&other, TOPIC_ID, LogConfig::default())
        .unwrap();
    fill(dir.path(), &*other, 1);
    let config = LogConfig {
        segment_bytes: 4000,
        ..LogConfig::default()
    };
    let log = log_of(&engine, config);
    let count = 12;
    for batch in numbered(count) {
        append_durably(&*log, &batch).unwrap();
    }
    hook.on.store(true, Ordering::Relaxed);
    // Until the segment is closed; then its sync is held up.
    let mut end = count;
    while files(dir.path(), "log").len() == 1 {
        log.append(&numbered(end + 1)[end as usize..], CLIENT)
            .unwrap();
        end += 1;
    }
    log.flush_to(end, Box::new(|_| ()));
    let begun = Instant::now();
    while !hook.held.load(Ordering::Relaxed) {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "nothing syncs the segment"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    // Others go round the journal several times.
    let first = other.offsets().log_end;
    for n in first..first + 100 {
        append_durably(&*other, &numbered(n + 1)[n as usize]).unwrap();
    }
    let torn = tempfile::tempdir().unwrap();
    copy(dir.path(), torn.path());
    let synced = hook.synced.load(Ordering::Relaxed);
    hook.on.store(false, Ordering::Relaxed);
    let file = files(torn.path(), "log").remove(0);
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(synced).unwrap();
    let engine = open(torn.path());
    let log = engine.get(&partition()).unwrap();
    let found = read_all(&*log, 0).unwrap();
    assert!(found.len() as i64 >= count, "{} of {count}", found.len());
    assert_eq!(found[..count as usize], expected(0, count));
}

#[test]
fn a_full_journal_is_emptied_and_nothing_waits_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let options = LocalOptions {
        journal_bytes: 24 << 10,
        ..LocalOptions::default()
    };
    let engine = LocalEngine::open(dir.path(), options).unwrap();
    let log = log_of(&engine, LogConfig::default());
    let count = fill(dir.path(), &*log, 200);
    let size = std::fs::metadata(dir.path().join(JOURNAL)).unwrap().len();
    assert!(size <= 24 << 10, "{size}");
    let copied = tempfile::tempdir().unwrap();
    copy(dir.path(), copied.path());
    let engine = open(copied.path());
    let log = engine.get(&partition()).unwrap();
    assert_eq!(read_all(&*log, 0).unwrap(), expected(0, count));
}
