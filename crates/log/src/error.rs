//! What can go wrong in a log, with its data. The broker maps these to Kafka's codes in one place.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::TopicPartition;

/// Storage failed, or refused. The text says what to do where something can be done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The operating system refused a file operation.
    #[error("{operation} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// No room left on the device. Nothing was kept of the write; it may be tried again.
    #[error("no space left on the device of {}: free some space, or lower retention; the write was taken back and can be repeated", path.display())]
    DiskFull {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// An earlier sync failed, or a failed write could not be taken back, so what is on disk is not known.
    #[error(
        "{partition}: an earlier write or sync failed ({cause}), so nothing more is written to it: check the disk (dmesg), then restart the broker, which reads back what really is there"
    )]
    Poisoned {
        /// The partition that is closed for writing.
        partition: TopicPartition,
        /// What failed.
        cause: String,
    },
    /// Another process has the directory.
    #[error("{} is in use by another broker: stop that one first, or choose another data directory", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
    },
    /// A newer version has written the directory, and may keep things in it that this one would harm.
    #[error(
        "{} has layout {found} of a newer Catchword; this one knows layouts up to {known}: start it with that newer version, or restore a backup from before the upgrade",
        path.display()
    )]
    NewerFormat {
        /// The data directory.
        path: PathBuf,
        /// Its layout.
        found: u32,
        /// The newest known layout.
        known: u32,
    },
    /// A file does not hold what it must.
    #[error("{} is damaged: {detail}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The directory holds the partition under another topic id: another topic of the same name.
    #[error("{partition} exists already with topic id {found}, not {wanted}")]
    TopicIdMismatch {
        /// The partition.
        partition: TopicPartition,
        /// The id that was asked for.
        wanted: String,
        /// The id on disk.
        found: String,
    },
    /// The partition is not there (any more).
    #[error("{partition} does not exist")]
    NotFound {
        /// The partition.
        partition: TopicPartition,
    },
    /// The engine was closed.
    #[error("the log engine is closed")]
    Closed,
}

impl LogError {
    /// An IO error with its place; a full disk becomes [`LogError::DiskFull`].
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> LogError {
        if matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ) {
            return LogError::DiskFull {
                path: path.to_owned(),
            };
        }
        LogError::Io {
            operation,
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }

    pub(crate) fn corrupt(path: &Path, detail: impl Into<String>) -> LogError {
        LogError::Corrupt {
            path: path.to_owned(),
            detail: detail.into(),
        }
    }
}

/// Why batches were not appended. Nothing of them was.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The producer's sequence leaves a gap, or goes back.
    #[error("{partition}: producer {producer_id} sent sequence {sequence}, expected {expected}")]
    OutOfOrderSequence {
        /// The partition.
        partition: TopicPartition,
        /// The producer.
        producer_id: i64,
        /// The batch's first sequence.
        sequence: i32,
        /// The sequence that would have been next.
        expected: i32,
    },
    /// A newer incarnation of the producer has written already.
    #[error(
        "{partition}: producer {producer_id} wrote with epoch {epoch}, which is older than {current}"
    )]
    InvalidProducerEpoch {
        /// The partition.
        partition: TopicPartition,
        /// The producer.
        producer_id: i64,
        /// The batch's epoch.
        epoch: i16,
        /// The newest known epoch.
        current: i16,
    },
    /// A batch does not fit the state of its producer's transaction here.
    #[error("{partition}: a batch of producer {producer_id} {why}")]
    InvalidTxnState {
        /// The partition.
        partition: TopicPartition,
        /// The producer.
        producer_id: i64,
        /// What does not fit, after "a batch".
        why: &'static str,
    },
    /// A transaction marker came from a coordinator that has been replaced.
    #[error(
        "{partition}: the marker for producer {producer_id} is of coordinator epoch {epoch}, the current one is {current}"
    )]
    TransactionCoordinatorFenced {
        /// The partition.
        partition: TopicPartition,
        /// The producer.
        producer_id: i64,
        /// The marker's coordinator epoch.
        epoch: i32,
        /// The newest known one.
        current: i32,
    },
    /// The batches are together larger than a whole segment.
    #[error("{size} bytes are more than segment.bytes, {segment_bytes}")]
    RecordTooLargeForSegment {
        /// Bytes in the append.
        size: u64,
        /// The limit.
        segment_bytes: u64,
    },
    /// A batch has no records, or offsets that do not add up.
    #[error("{partition}: {detail}")]
    InvalidBatch {
        /// The partition.
        partition: TopicPartition,
        /// What is wrong.
        detail: &'static str,
    },
    /// The disk.
    #[error(transparent)]
    Storage(#[from] LogError),
}

/// Why records could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The offset is not in the log.
    #[error("offset {offset} is out of range {log_start}..={limit}")]
    OutOfRange {
        /// The offset that was asked for.
        offset: i64,
        /// The first offset there is.
        log_start: i64,
        /// The first offset that may not be read yet.
        limit: i64,
    },
    /// The disk.
    #[error(transparent)]
    Storage(#[from] LogError),
}

/// Why what was appended did not become durable. It may still be on disk after a restart, but nobody may count on it.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct FlushError(#[from] pub LogError);
