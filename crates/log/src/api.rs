//! What the broker may ask of a log: the traits that every engine keeps.
//!
//! Offsets are Kafka's: the first record is 0, an *end* offset is one past the last. Times are milliseconds since 1970.
//! The traits know nothing of requests, groups or error codes.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use catchword_wire::batch::{Batch, end_transaction_marker};
use catchword_wire::{Records, Uuid};

use crate::{
    AppendError, FlushError, Hold, LogConfig, LogError, ReadError, Verification, VerificationGuard,
};

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// The partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> TopicPartition {
        TopicPartition {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// All the partition logs of one storage.
pub trait Engine: Send + Sync {
    /// The partitions that exist, with their topics' ids, in order.
    fn partitions(&self) -> Vec<(TopicPartition, Uuid)>;

    /// Creates the partition's log, or opens it if it exists.
    ///
    /// # Errors
    /// [`LogError::TopicIdMismatch`] if another topic of this name has it; otherwise what the storage says.
    fn create(
        &self,
        partition: &TopicPartition,
        topic_id: Uuid,
        config: LogConfig,
    ) -> Result<Arc<dyn PartitionLog>, LogError>;

    /// The partition's log, if it exists.
    fn get(&self, partition: &TopicPartition) -> Option<Arc<dyn PartitionLog>>;

    /// Deletes the log. Once this returns it is gone, whatever crashes; its bytes are given back later by
    /// [`keep_house`](Engine::keep_house).
    ///
    /// # Errors
    /// [`LogError::NotFound`], or what the storage says.
    fn delete(&self, partition: &TopicPartition) -> Result<(), LogError>;

    /// One bounded step of the housekeeping: retention, segments rolled by time, checkpoints, files of deleted logs.
    /// To be called from a background thread, once a second or so.
    fn keep_house(&self, now_ms: i64);

    /// Compacts one log, if one needs it; reads and writes no more than so many bytes a second meanwhile (not finite: as
    /// fast as it can). That may take long: to be called from a thread of its own, once a second or so.
    fn compact(&self, now_ms: i64, bytes_per_second: f64) {
        let _ = (now_ms, bytes_per_second);
    }

    /// [`keep_house`](Engine::keep_house), then [`compact`](Engine::compact) as fast as it can: for whoever has one thread.
    fn maintain(&self, now_ms: i64) {
        self.keep_house(now_ms);
        self.compact(now_ms, f64::INFINITY);
    }

    /// From now on flushes may wait until [`end_gathering`](Engine::end_gathering) is called as often as this was: whoever
    /// is about to ask for several says so, and no thread is woken for the first. Use [`Gathering`], which does not
    /// forget the end.
    fn gather_flushes(&self) {}

    /// How many logs have gathered flushes that nobody sees to yet, and whether somebody else gathers as well.
    fn gathered(&self) -> (usize, bool) {
        (0, false)
    }

    /// What has gathered becomes durable: with `lead` by this thread, which then blocks for one write to the disk and runs
    /// the callbacks, and saves the change to another thread and back.
    fn end_gathering(&self, lead: bool) {
        let _ = lead;
    }

    /// Makes everything durable and marks the storage as cleanly closed. Appends fail from then on.
    ///
    /// # Errors
    /// The first failure; the rest is closed all the same, and the next open recovers.
    fn close(&self) -> Result<(), LogError>;

    /// Where the storage is and how much room it has.
    fn describe(&self) -> StorageInfo;
}

/// While it lives, flushes gather.
pub struct Gathering<'a> {
    engine: &'a dyn Engine,
    lead: bool,
}

impl<'a> Gathering<'a> {
    /// See [`Engine::gather_flushes`].
    pub fn new(engine: &'a dyn Engine) -> Gathering<'a> {
        engine.gather_flushes();
        Gathering {
            engine,
            lead: false,
        }
    }

    /// See [`Engine::gathered`].
    pub fn gathered(&self) -> (usize, bool) {
        self.engine.gathered()
    }

    /// Makes what has gathered durable on this thread: see [`Engine::end_gathering`].
    pub fn lead(mut self) {
        self.lead = true;
    }
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        self.engine.end_gathering(self.lead);
    }
}

/// Where an engine keeps its data, for DescribeLogDirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageInfo {
    /// The data directory; empty for an engine without one.
    pub directory: PathBuf,
    /// Size of its file system in bytes, -1 if unknown.
    pub total_bytes: i64,
    /// Bytes of it that we may still use, -1 if unknown.
    pub usable_bytes: i64,
}

/// Called once when a flush is through. It runs on a thread of the engine, or inline: it must not block.
pub type FlushCallback = Box<dyn FnOnce(Result<(), FlushError>) + Send>;

/// One partition's records in offset order.
pub trait PartitionLog: Send + Sync {
    /// Appends batches, all or none, and gives them their offsets. They are validated, and their headers tell the truth:
    /// for CreateTime the max timestamp is that of the records (see `wire::batch::Stamp` for one that is not). Readers see them at once; they are durable
    /// after [`flush_to`](PartitionLog::flush_to). If the first batch repeats one of its idempotent producer's last five,
    /// nothing is written and the answer is the original's.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was appended then.
    fn append(&self, batches: &[Batch], how: Append) -> Result<Appended, AppendError>;

    /// Appends the marker that ends a producer's transaction here. A producer without one is marked all the same: its
    /// epoch counts from then on. Readers of committed records may see further at once.
    ///
    /// # Errors
    /// [`AppendError::InvalidProducerEpoch`] and [`AppendError::TransactionCoordinatorFenced`] if the marker is too old,
    /// otherwise what the storage says; nothing was appended then.
    fn append_marker(
        &self,
        marker: &TransactionMarker,
        leader_epoch: i32,
    ) -> Result<Appended, AppendError> {
        let (id, epoch) = (marker.producer_id, marker.producer_epoch);
        let (commit, coordinator_epoch) = (marker.commit, marker.coordinator_epoch);
        let bytes =
            end_transaction_marker(0, marker.timestamp, id, epoch, commit, coordinator_epoch);
        let batch = bytes.ok().and_then(|bytes| Batch::parse(&bytes).ok());
        let how = Append {
            leader_epoch,
            append_time: None,
            origin: AppendOrigin::Marker {
                transaction_version: marker.transaction_version,
            },
        };
        self.append(batch.as_slice(), how)
    }

    /// To be called before a batch of a transaction is appended for a client: whether its transaction has begun in this
    /// partition, or the coordinator has to be asked first (KIP-890). `sequence` is the batch's first; `bumps_epoch`: the
    /// producer's epoch rises with each transaction (TV2).
    ///
    /// # Errors
    /// [`AppendError::InvalidProducerEpoch`] if the epoch is too old; what the storage says.
    fn verify(
        &self,
        producer_id: i64,
        epoch: i16,
        sequence: i32,
        bumps_epoch: bool,
    ) -> Result<Verification, AppendError>;

    /// The transactions, as (producer id, first offset), whose records between the two offsets (from the first, up to but not
    /// including the second, which is not past the last stable offset) are no part of the committed ones.
    ///
    /// # Errors
    /// What the storage says.
    fn aborted_transactions(&self, from: i64, upto: i64) -> Result<Vec<(i64, i64)>, ReadError>;

    /// Calls `done` when everything below `end_offset` is on stable storage (at once if it already is), or with the
    /// error of the flush that failed.
    fn flush_to(&self, end_offset: i64, done: FlushCallback);

    /// Whole batches from the one that contains `from` (which may begin below it), about `max_bytes` of them, never past
    /// `upto`. With `min_one_batch` at least one batch whatever its size. `from` at the limit gives no bytes.
    fn read(&self, from: i64, max_bytes: usize, upto: ReadLimit, min_one_batch: bool) -> Read;

    /// Opens the log if that has not happened yet, and says whether it can be written.
    ///
    /// # Errors
    /// Why it cannot be loaded, or takes no more appends.
    fn ready(&self) -> Result<(), LogError>;

    /// The log's offsets, taken together; all 0 for a log that cannot be loaded (see [`ready`](PartitionLog::ready)).
    fn offsets(&self) -> Offsets;

    /// The first record whose timestamp is at least `timestamp`.
    ///
    /// # Errors
    /// What the storage says.
    fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<TimestampOffset>, ReadError>;

    /// The record with the largest timestamp (the first of them), if there are records.
    ///
    /// # Errors
    /// What the storage says.
    fn max_timestamp(&self) -> Result<Option<TimestampOffset>, ReadError>;

    /// Deletes the records below `new_start` (DeleteRecords); durable on return. Returns the log start offset, which
    /// never goes back.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] if `new_start` is past the high watermark; otherwise what the storage says.
    fn truncate_prefix(&self, new_start: i64) -> Result<i64, ReadError>;

    /// The largest known epoch not above `epoch` and the offset where it ends; `(-1, -1)` if unknown (KIP-320). The
    /// current epoch ends at the log end.
    fn end_offset_for_epoch(&self, epoch: i32) -> (i32, i64);

    /// The epoch of the newest records, -1 if there never were any.
    fn latest_epoch(&self) -> i32;

    /// Keeps `content` beside the log, under a name of the caller's (lower-case letters) and the offset up to which it
    /// speaks of the log. Durable on return, and the one that was kept under that name before is gone then. What it
    /// says is the caller's affair: compaction and DeleteRecords leave it alone, and it goes with the log.
    ///
    /// # Errors
    /// What the storage says; the one before is still there then.
    fn put_side_file(&self, name: &str, offset: i64, content: &[u8]) -> Result<(), LogError>;

    /// The offsets of what is kept beside the log under `name`, newest first. More than one only after a crash.
    ///
    /// # Errors
    /// What the storage says.
    fn side_files(&self, name: &str) -> Result<Vec<i64>, LogError>;

    /// What is kept beside the log under this name and offset. The log does not know whether it is sound.
    ///
    /// # Errors
    /// What the storage says, also if there is no such thing.
    fn read_side_file(&self, name: &str, offset: i64) -> Result<Bytes, LogError>;

    /// The producers whose sequences are known, for DescribeProducers.
    fn producers(&self) -> Vec<ProducerView>;

    /// A number that changes when compaction has taken records out of the log since it was opened.
    fn rewrites(&self) -> u64 {
        0
    }

    /// What retention is to leave here from now on because somebody has still to read it. Forgotten when the engine is
    /// closed. DeleteRecords and compaction do not heed it.
    fn hold(&self, hold: Option<Hold>) {
        let _ = hold;
    }

    /// Bytes that retention has left for a [`hold`](PartitionLog::hold) when it last looked.
    fn held_bytes(&self) -> u64 {
        0
    }

    /// Bytes of records on storage.
    fn size_bytes(&self) -> u64;

    /// Takes effect from the next append and the next [`Engine::maintain`].
    fn set_config(&self, config: LogConfig);

    /// The configuration in force.
    fn config(&self) -> Arc<LogConfig>;

    /// The id of the topic that the log belongs to.
    fn topic_id(&self) -> Uuid;
}

/// Who appends, which decides what is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A client's Produce: producer epochs and sequences are checked.
    Client,
    /// A coordinator of this broker: epochs are checked, sequences are not.
    Coordinator,
    /// As [`Client`](AppendOrigin::Client), and the coordinator of its transaction knows of the partition: without this a
    /// batch that would begin a transaction is refused.
    ClientVerified(VerificationGuard),
    /// As [`Coordinator`](AppendOrigin::Coordinator), likewise: offsets that are committed with a transaction.
    CoordinatorVerified(VerificationGuard),
    /// A transaction coordinator ends a transaction: see [`PartitionLog::append_marker`].
    Marker {
        /// As in [`TransactionMarker`].
        transaction_version: i16,
    },
}

impl AppendOrigin {
    /// Whether sequences are checked, and batches that come twice are known again.
    pub(crate) fn is_client(self) -> bool {
        matches!(self, AppendOrigin::Client | AppendOrigin::ClientVerified(_))
    }

    /// What the coordinator's answer was asked with.
    pub(crate) fn guard(self) -> Option<VerificationGuard> {
        match self {
            AppendOrigin::ClientVerified(guard) | AppendOrigin::CoordinatorVerified(guard) => {
                Some(guard)
            }
            _ => None,
        }
    }

    /// The transaction version of a marker; 0 for anything else.
    pub(crate) fn transaction_version(self) -> i16 {
        match self {
            AppendOrigin::Marker {
                transaction_version,
            } => transaction_version,
            _ => 0,
        }
    }
}

/// The end of a transaction in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionMarker {
    /// Whose transaction.
    pub producer_id: i64,
    /// The producer's epoch at its end.
    pub producer_epoch: i16,
    /// The epoch of the coordinator that decided it: one that was replaced is refused.
    pub coordinator_epoch: i32,
    /// Whether the transaction's records count from now on, or never.
    pub commit: bool,
    /// 0 and 1: `producer_epoch` is that of the transaction's records. 2: it is larger than theirs (KIP-890).
    pub transaction_version: i16,
    /// When it was decided, ms.
    pub timestamp: i64,
}

/// How batches are appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Append {
    /// The partition's leader epoch, stamped into each batch.
    pub leader_epoch: i32,
    /// For `message.timestamp.type=LogAppendTime`: the time to stamp into each batch.
    pub append_time: Option<i64>,
    /// Who appends.
    pub origin: AppendOrigin,
}

/// Where batches went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record; of the original if `duplicate`.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// The time that was stamped, -1 if the producers' stay.
    pub log_append_time: i64,
    /// The log start offset at the append.
    pub log_start_offset: i64,
    /// The batch had been appended before; nothing was written.
    pub duplicate: bool,
}

/// How far a read may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadLimit {
    /// What consumers may see (read_uncommitted).
    HighWatermark,
    /// What belongs to no open transaction (read_committed).
    LastStable,
    /// Everything: replication and the coordinators' own loading.
    LogEnd,
}

/// The offsets of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offsets {
    /// The first offset that may be read.
    pub log_start: i64,
    /// The first offset that consumers may not see.
    pub high_watermark: i64,
    /// The first offset of the oldest open transaction (the log's start if that was deleted), or the high watermark.
    pub last_stable: i64,
    /// The offset that the next record gets.
    pub log_end: i64,
    /// Everything below is on stable storage.
    pub durable_end: i64,
}

impl Offsets {
    /// The first offset that a read with `limit` may not see.
    pub fn limit(&self, limit: ReadLimit) -> i64 {
        match limit {
            ReadLimit::HighWatermark => self.high_watermark,
            ReadLimit::LastStable => self.last_stable,
            ReadLimit::LogEnd => self.log_end,
        }
    }
}

/// A read that is waited for.
pub type FetchFuture = Pin<Box<dyn Future<Output = Result<Fetched, ReadError>> + Send>>;

/// An answered read, or one under way.
pub enum Read {
    /// Local engines answer at once.
    Now(Result<Fetched, ReadError>),
    /// The records are on another machine.
    Later(FetchFuture),
}

impl Read {
    /// The answer of an engine that always answers at once: for tests and for tools.
    ///
    /// # Panics
    /// If the engine answers later.
    pub fn now(self) -> Result<Fetched, ReadError> {
        match self {
            Read::Now(result) => result,
            Read::Later(_) => panic!("the engine answers later; await it"),
        }
    }
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Read::Now(result) => f.debug_tuple("Now").field(result).finish(),
            Read::Later(_) => f.write_str("Later"),
        }
    }
}

/// What a read found.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Whole batches as they stand in the log; the first may begin below the offset that was asked for.
    pub data: Records,
    /// Every record that was read lies below it; what was asked for where nothing was read. The next read goes on here.
    pub end: i64,
    /// The log's offsets at the read.
    pub offsets: Offsets,
    /// Aborted transactions among the records, as (producer id, first offset), if the read was up to
    /// [`ReadLimit::LastStable`]. Some may begin behind them.
    pub aborted: Vec<(i64, i64)>,
}

/// A record's place in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    /// The record's timestamp.
    pub timestamp: i64,
    /// Its offset.
    pub offset: i64,
    /// The leader epoch of its batch.
    pub leader_epoch: i32,
}

/// What is known of a producer in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerView {
    /// The producer id.
    pub producer_id: i64,
    /// Its newest epoch.
    pub epoch: i16,
    /// The sequence of its last record, -1 if none is known.
    pub last_sequence: i32,
    /// The largest timestamp of its last batch.
    pub last_timestamp: i64,
    /// The epoch of the coordinator that wrote its last marker, -1 if none did.
    pub coordinator_epoch: i32,
    /// The first offset of its open transaction, -1 if none is open.
    pub current_txn_start_offset: i64,
}
