//! What the tests share: engines in temporary directories, batches, and a look at the files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use catchword_log::contract::{TOPIC_ID, batch_of};
use catchword_log::{
    Engine, LocalEngine, LocalOptions, LogConfig, LogError, PartitionLog, TopicPartition,
};
use catchword_wire::batch::{Batch, BatchBuilder, NewRecord};

/// Opens a directory that nobody has open. A process that another test is just starting may hold our lock for a moment,
/// between its fork and its exec.
pub(crate) fn open(dir: &Path) -> LocalEngine {
    for _ in 0..200 {
        match LocalEngine::open(dir, LocalOptions::default()) {
            Err(LogError::Locked { .. }) => std::thread::sleep(Duration::from_millis(10)),
            other => return other.unwrap(),
        }
    }
    panic!("{} stays locked", dir.display())
}

pub(crate) fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

pub(crate) fn log_of(engine: &dyn Engine, config: LogConfig) -> Arc<dyn PartitionLog> {
    engine.create(&partition(), TOPIC_ID, config).unwrap()
}

/// A directory with a log that was written to and whose process then died, without losing what it wrote.
pub(crate) fn crashed_log(config: LogConfig, batches: &[Batch]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = log_of(&engine, config);
    for batch in batches {
        log.append(std::slice::from_ref(batch), catchword_log::contract::CLIENT)
            .unwrap();
    }
    dir
}

/// Batches of one record each, `value-N`, with timestamps 1000 + N.
pub(crate) fn numbered(count: i64) -> Vec<Batch> {
    (0..count)
        .map(|n| batch_of(&[(1000 + n, &format!("value-{n}"))]))
        .collect()
}

pub(crate) fn expected(from: i64, to: i64) -> Vec<(i64, String)> {
    (from..to).map(|n| (n, format!("value-{n}"))).collect()
}

/// A batch of one record with a key.
pub(crate) fn keyed(timestamp: i64, key: &str, value: Option<&str>) -> Batch {
    let mut builder = BatchBuilder::new(0);
    let value = value.map(str::as_bytes);
    builder
        .push(NewRecord {
            timestamp,
            key: Some(key.as_bytes()),
            value,
            headers: &[],
        })
        .unwrap();
    Batch::parse(&builder.build().unwrap()).unwrap()
}

/// The files of the log with this extension, in order.
pub(crate) fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir.join("t-0"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    files.sort();
    files
}

/// Copies a directory and what is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
