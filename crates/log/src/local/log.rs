//! One partition's log on disk: what it is made of, and who may touch which part.
//!
//! Locks, taken in this order and never held while a callback runs: `file_sync` (one sync of the files at a time),
//! `writer` (one append, roll, deletion or compaction swap at a time), `view` (what readers see, held for a moment), `sync`
//! (who waits for durability).
//!
//! Invariant: what the view shows is written; what `durable_end` covers is on stable storage. A log is loaded on its
//! first use: a partition that nobody uses costs a path and two locks.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};

use bytes::Bytes;
use catchword_wire::Uuid;

use super::append::{Stopped, Writer};
use super::engine::Core;
use super::read::Hints;
use super::segment::{Segment, lock};
use super::sync::SyncState;
use super::{append, load, read, side_file, time, txn_index};
use crate::api::{
    Append, Appended, Fetched, FlushCallback, Offsets, PartitionLog, ProducerView, Read, ReadLimit,
    TimestampOffset, TopicPartition,
};
use crate::{AppendError, FlushError, LogConfig, LogError, ReadError, Verification};
use catchword_wire::batch::Batch;

pub(crate) struct LocalLog {
    pub(crate) partition: TopicPartition,
    pub(crate) topic_id: Mutex<Uuid>,
    pub(crate) dir: Box<Path>,
    pub(crate) core: Arc<Core>,
    /// The directory was made by this process and may not be durable yet.
    pub(crate) created: bool,
    config: RwLock<Arc<LogConfig>>,
    /// Whether somebody has said what the topic's configuration is: before that nothing is deleted.
    configured: AtomicBool,
    /// When the log was last used, in milliseconds: files of idle logs are closed.
    pub(crate) last_used_ms: AtomicI64,
    /// The journal holds something of the log that may not be in its own files yet.
    pub(crate) in_journal: AtomicBool,
    deleted: AtomicBool,
    loading: Mutex<()>,
    loaded: OnceLock<Box<Loaded>>,
    me: Weak<LocalLog>,
}

/// The parts of a log that is in use.
pub(crate) struct Loaded {
    pub(crate) writer: Mutex<Writer>,
    pub(crate) view: Mutex<View>,
    pub(crate) sync: Mutex<SyncState>,
    /// Held while the log's own files are synced, and until it is noted how that ended: the kernel tells of a failure once.
    pub(crate) file_sync: Mutex<()>,
    /// Everything below is on stable storage, in the journal or in the log's own files.
    pub(crate) durable_end: AtomicI64,
    /// Everything below is on stable storage in the log's own files.
    pub(crate) synced_end: AtomicI64,
    pub(crate) hints: Mutex<Hints>,
    /// There are, or were, aborted transactions among the segments.
    pub(crate) has_aborted: AtomicBool,
    /// How often compaction has replaced segments.
    pub(crate) rewrites: AtomicU64,
}

/// What readers see.
#[derive(Clone)]
pub(crate) struct View {
    /// Oldest first, at least one; the last is the active one.
    pub(crate) segments: Arc<[Arc<Segment>]>,
    /// Bytes of the active segment that hold what is below `log_end`.
    pub(crate) active_len: u64,
    pub(crate) log_start: i64,
    pub(crate) log_end: i64,
    pub(crate) high_watermark: i64,
    pub(crate) last_stable: i64,
}

impl View {
    pub(crate) fn active(&self) -> &Arc<Segment> {
        self.segments.last().expect("a log has an active segment")
    }

    /// The index of the segment that holds `offset`, if it is in the log.
    pub(crate) fn segment_of(&self, offset: i64) -> usize {
        self.segments
            .partition_point(|segment| segment.base <= offset)
            .saturating_sub(1)
    }
}

impl LocalLog {
    pub(crate) fn new(
        partition: TopicPartition,
        topic_id: Uuid,
        dir: &Path,
        core: Arc<Core>,
        config: Option<LogConfig>,
        created: bool,
    ) -> Arc<LocalLog> {
        Arc::new_cyclic(|me| LocalLog {
            partition,
            topic_id: Mutex::new(topic_id),
            dir: dir.into(),
            configured: AtomicBool::new(config.is_some()),
            config: RwLock::new(core.shared_config(config.unwrap_or_default())),
            core,
            created,
            last_used_ms: AtomicI64::new(0),
            in_journal: AtomicBool::new(false),
            deleted: AtomicBool::new(false),
            loading: Mutex::new(()),
            loaded: OnceLock::new(),
            me: me.clone(),
        })
    }

    /// The log's parts, loaded from disk (and recovered after a crash) on the first call.
    pub(crate) fn loaded(&self) -> Result<&Loaded, LogError> {
        if self.is_deleted() {
            return Err(LogError::NotFound {
                partition: self.partition.clone(),
            });
        }
        if let Some(loaded) = self.loaded.get() {
            return Ok(loaded);
        }
        let _only_one = lock(&self.loading);
        if let Some(loaded) = self.loaded.get() {
            return Ok(loaded);
        }
        let loaded = load::load(self).inspect_err(|error| {
            tracing::error!(partition = %self.partition, %error, "the log cannot be loaded");
        })?;
        let behind = loaded.durable_end.load(Ordering::Acquire) < lock(&loaded.view).log_end;
        let loaded: &Loaded = self.loaded.get_or_init(|| Box::new(loaded));
        if behind {
            // What a crash left in the page cache is readable from now on, so it should stay.
            self.enqueue_sync(loaded);
        }
        Ok(loaded)
    }

    /// The log's parts if something has used it already.
    pub(crate) fn if_loaded(&self) -> Option<&Loaded> {
        self.loaded.get().map(|loaded| &**loaded)
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// From now on the log is gone for everybody who still holds it.
    pub(crate) fn mark_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
        self.stop(Stopped::Deleted);
    }

    pub(crate) fn arc(&self) -> Arc<LocalLog> {
        self.me
            .upgrade()
            .expect("it is called through a reference that an Arc gave")
    }

    pub(crate) fn is_configured(&self) -> bool {
        self.configured.load(Ordering::Acquire)
    }

    pub(crate) fn current_config(&self) -> Arc<LogConfig> {
        self.config
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A consistent picture of the log for a reader.
    pub(crate) fn snapshot(&self, loaded: &Loaded) -> (View, Offsets) {
        self.last_used_ms
            .store(self.core.coarse_now(), Ordering::Relaxed);
        // Durability first: the view that is read after it is never behind it.
        let durable_end = loaded.durable_end.load(Ordering::Acquire);
        let view = lock(&loaded.view).clone();
        let offsets = offsets(&view, durable_end);
        (view, offsets)
    }
}

fn offsets(view: &View, durable_end: i64) -> Offsets {
    Offsets {
        log_start: view.log_start,
        high_watermark: view.high_watermark,
        // An open transaction keeps nothing from being deleted.
        last_stable: view.last_stable.max(view.log_start),
        log_end: view.log_end,
        durable_end,
    }
}

impl PartitionLog for LocalLog {
    fn append(&self, batches: &[Batch], how: Append) -> Result<Appended, AppendError> {
        append::append(self, batches, how)
    }

    fn verify(
        &self,
        producer_id: i64,
        epoch: i16,
        sequence: i32,
        bumps_epoch: bool,
    ) -> Result<Verification, AppendError> {
        let mut writer = lock(&self.loaded()?.writer);
        writer.usable(&self.partition)?;
        let Writer {
            producers,
            verifications,
            ..
        } = &mut *writer;
        let producer = (producer_id, epoch);
        producers.verify(
            &self.partition,
            producer,
            sequence,
            bumps_epoch,
            verifications,
        )
    }

    fn aborted_transactions(&self, from: i64, upto: i64) -> Result<Vec<(i64, i64)>, ReadError> {
        let loaded = self.loaded()?;
        let (view, _) = self.snapshot(loaded);
        Ok(txn_index::aborted_between(loaded, &view, from, upto))
    }

    fn flush_to(&self, end_offset: i64, done: FlushCallback) {
        match self.loaded() {
            Ok(loaded) => self.flush(loaded, end_offset, done),
            Err(error) => done(Err(FlushError(error))),
        }
    }

    fn read(&self, from: i64, max_bytes: usize, upto: ReadLimit, min_one_batch: bool) -> Read {
        let now = |loaded| read::read(self, loaded, from, max_bytes, upto, min_one_batch);
        Read::Now(self.loaded().map_err(ReadError::from).and_then(now))
    }

    fn offsets(&self) -> Offsets {
        self.loaded().map_or_else(
            |_| Offsets::default(),
            |loaded| {
                let durable_end = loaded.durable_end.load(Ordering::Acquire);
                offsets(&lock(&loaded.view), durable_end)
            },
        )
    }

    fn ready(&self) -> Result<(), LogError> {
        self.loaded()
            .and_then(|loaded| lock(&loaded.writer).usable(&self.partition))
    }

    fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<TimestampOffset>, ReadError> {
        time::offset_for_timestamp(self, self.loaded()?, timestamp)
    }

    fn max_timestamp(&self) -> Result<Option<TimestampOffset>, ReadError> {
        time::max_timestamp(self, self.loaded()?)
    }

    fn truncate_prefix(&self, new_start: i64) -> Result<i64, ReadError> {
        self.delete_records(new_start)
    }

    fn end_offset_for_epoch(&self, epoch: i32) -> (i32, i64) {
        let Ok(loaded) = self.loaded() else {
            return (-1, -1);
        };
        let writer = lock(&loaded.writer);
        writer.epochs.end_offset_for(epoch, writer.next_offset)
    }

    fn latest_epoch(&self) -> i32 {
        self.loaded()
            .map_or(-1, |loaded| lock(&loaded.writer).epochs.latest())
    }

    fn rewrites(&self) -> u64 {
        let loaded = self.loaded.get();
        loaded.map_or(0, |loaded| loaded.rewrites.load(Ordering::Acquire))
    }

    fn put_side_file(&self, name: &str, offset: i64, content: &[u8]) -> Result<(), LogError> {
        side_file::put(self, name, offset, content)
    }

    fn side_files(&self, name: &str) -> Result<Vec<i64>, LogError> {
        side_file::offsets(self, name)
    }

    fn read_side_file(&self, name: &str, offset: i64) -> Result<Bytes, LogError> {
        side_file::read(self, name, offset)
    }

    fn producers(&self) -> Vec<ProducerView> {
        self.loaded().map_or_else(
            |_| Vec::new(),
            |loaded| lock(&loaded.writer).producers.view(),
        )
    }

    fn size_bytes(&self) -> u64 {
        let Ok(loaded) = self.loaded() else { return 0 };
        self.snapshot(loaded)
            .0
            .segments
            .iter()
            .map(|segment| segment.len())
            .sum()
    }

    fn set_config(&self, config: LogConfig) {
        let config = self.core.shared_config(config);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        self.configured.store(true, Ordering::Release);
    }

    fn config(&self) -> Arc<LogConfig> {
        self.current_config()
    }

    fn topic_id(&self) -> Uuid {
        *lock(&self.topic_id)
    }
}

/// An answer that is there already.
pub(crate) type ReadNow = Result<Fetched, ReadError>;
