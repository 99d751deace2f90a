//! Partition logs: record batches in offset order, durable, searchable by offset and by time.
//!
//! This crate knows partitions, offsets, leader epochs, producer sequences, retention and compaction. It must not know
//! requests, connections, groups or wire error codes. Two engines keep one contract: [`LocalEngine`] in Kafka's own files
//! on this machine's disk, and [`MemoryEngine`] for tests.

mod api;
mod compaction;
mod config;
#[cfg(feature = "contract")]
pub mod contract;
mod epochs;
mod error;
mod hold;
mod local;
mod memory;
mod producer_snapshot;
mod producer_state;
mod transactions;
mod unread;
mod verification;

pub use api::{
    Append, AppendOrigin, Appended, Engine, FetchFuture, Fetched, FlushCallback, Gathering,
    Offsets, PartitionLog, ProducerView, Read, ReadLimit, StorageInfo, TimestampOffset,
    TopicPartition, TransactionMarker,
};
pub use compaction::{CompactionPass, CompactionPolicy, LatestValue};
pub use config::{CleanupPolicy, LogConfig, TimestampType};
pub use error::{AppendError, FlushError, LogError, ReadError};
pub use hold::Hold;
pub use local::{
    CheckSummary, Checkpoint, DiskHook, DiskOperation, Finding, LocalEngine, LocalOptions, Mend,
    PolicyOfTopic, RepairOptions, Severity, StoppedDir, StoppedPartition, bytes_of_records,
    check_dir, oldest_message_format, read_batch_file, read_stopped_log, repair_dir,
};
pub use memory::MemoryEngine;
pub use transactions::AbortedTransaction;
pub use unread::{Tally, Unread};
pub use verification::{Verification, VerificationGuard};
