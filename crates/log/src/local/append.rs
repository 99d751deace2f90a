//! Appending: checks, offsets, one vectored write, and what follows from it.
//!
//! Invariant: an append that fails leaves the log as it was, file included; one that succeeds is seen by readers when it
//! returns. Payloads go from the request's buffer to the page cache without a copy.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use catchword_wire::batch::{
    Batch, BatchHeader, ControlRecord, HEADER_LEN, STAMP_LEN, TimestampType, records,
    stamped_header, stamped_prefix,
};

use super::index::Indexes;
use super::log::{Loaded, LocalLog, View};
use super::names;
use super::segment::{Segment, lock};
use crate::api::{Append, Appended, TopicPartition};
use crate::epochs::LeaderEpochs;
use crate::producer_state::{BatchPlace, Checked, Entering, Producers, Updates};
use crate::verification::Verifications;
use crate::{AppendError, LogConfig, LogError};

/// Batches written with one system call.
const BATCHES_A_WRITE: usize = 16;

/// What only the one who writes may touch.
pub(crate) struct Writer {
    /// The offset that the next record gets.
    pub(crate) next_offset: i64,
    /// The largest timestamp of the active segment's first batch: its age counts from there.
    pub(crate) first_timestamp: Option<i64>,
    /// When the active segment got its first batch in this process, by the clock; 0 if it is empty or older.
    pub(crate) begun_ms: i64,
    pub(crate) producers: Producers,
    pub(crate) verifications: Verifications,
    pub(crate) epochs: LeaderEpochs,
    /// The offset of the newest producer snapshot on disk.
    pub(crate) snapshot_offset: i64,
    /// Why nothing may be written any more.
    pub(crate) stopped: Option<Stopped>,
}

/// Why a log takes no more appends.
#[derive(Debug, Clone)]
pub(crate) enum Stopped {
    /// A sync, or taking back a failed write, has failed.
    Poisoned(String),
    /// The partition was deleted.
    Deleted,
    /// The engine was closed.
    Closed,
}

impl Writer {
    /// Whether appends are taken.
    pub(crate) fn usable(&self, partition: &TopicPartition) -> Result<(), LogError> {
        let partition = partition.clone();
        match &self.stopped {
            None => Ok(()),
            Some(Stopped::Poisoned(cause)) => Err(LogError::Poisoned {
                partition,
                cause: cause.clone(),
            }),
            Some(Stopped::Deleted) => Err(LogError::NotFound { partition }),
            Some(Stopped::Closed) => Err(LogError::Closed),
        }
    }
}

/// A batch with its place in the log.
struct Placed<'a> {
    batch: &'a Batch,
    /// As it will be in the log.
    header: BatchHeader,
    marker: Option<ControlRecord>,
    front: [u8; HEADER_LEN],
    front_len: usize,
}

impl<'a> Placed<'a> {
    fn new(batch: &'a Batch, base_offset: i64, how: &Append) -> Placed<'a> {
        let mut header = batch.header.clone();
        header.base_offset = base_offset;
        header.partition_leader_epoch = how.leader_epoch;
        let mut front = [0; HEADER_LEN];
        let mut front_len = HEADER_LEN;
        if let Some(now) = how.append_time {
            let kind = TimestampType::LogAppendTime;
            front = stamped_header(batch, base_offset, how.leader_epoch, kind, now);
            header = BatchHeader::parse(&front).unwrap_or(header);
        } else {
            front_len = STAMP_LEN;
            let prefix = stamped_prefix(batch, base_offset, how.leader_epoch);
            front[..STAMP_LEN].copy_from_slice(&prefix);
        }
        let first_record = || records(batch).ok()?.next()?.ok();
        let marker = if header.is_control() {
            first_record().as_ref().and_then(ControlRecord::parse)
        } else {
            None
        };
        Placed {
            batch,
            header,
            marker,
            front,
            front_len,
        }
    }

    fn entering(&self) -> Entering<'_> {
        Entering {
            header: &self.header,
            base_offset: self.header.base_offset,
            marker: self.marker,
        }
    }
}

pub(crate) fn append(
    log: &LocalLog,
    batches: &[Batch],
    how: Append,
) -> Result<Appended, AppendError> {
    let loaded = log.loaded()?;
    let config = log.current_config();
    log.last_used_ms
        .store(log.core.coarse_now(), Ordering::Relaxed);
    let mut writer = lock(&loaded.writer);
    writer.usable(&log.partition)?;
    let placed = place(log, &writer, batches, &how)?;
    let size: u64 = batches.iter().map(|batch| batch.bytes.len() as u64).sum();
    if size > config.segment_bytes {
        return Err(AppendError::RecordTooLargeForSegment {
            size,
            segment_bytes: config.segment_bytes,
        });
    }
    let entering = placed.iter().map(Placed::entering);
    let updates =
        match writer
            .producers
            .check(&log.partition, entering, how.origin, &writer.verifications)?
        {
            Checked::Accepted(updates) => updates,
            Checked::Duplicate(original) => return Ok(duplicate(loaded, &original, &how)),
        };
    let active = lock(&loaded.view).active().clone();
    let active = if log.must_roll(&writer, &active, &config, &placed, size)? {
        log.roll(loaded, &mut writer)?
    } else {
        active
    };
    let start = active.len();
    log.write(loaded, &mut writer, &active, &placed)?;
    Ok(log.publish(
        loaded,
        &mut writer,
        &active,
        start,
        &placed,
        updates,
        &how,
        &config,
    ))
}

/// Gives the batches their offsets.
fn place<'a>(
    log: &LocalLog,
    writer: &Writer,
    batches: &'a [Batch],
    how: &Append,
) -> Result<Vec<Placed<'a>>, AppendError> {
    let invalid = |detail| AppendError::InvalidBatch {
        partition: log.partition.clone(),
        detail,
    };
    if batches.is_empty() {
        return Err(invalid("there is no batch to append"));
    }
    let mut next = writer.next_offset;
    let mut placed = Vec::with_capacity(batches.len());
    for batch in batches {
        let header = &batch.header;
        if header.last_offset_delta < 0 || header.records_count < 1 {
            return Err(invalid("a batch without records cannot be appended"));
        }
        if batch.bytes.len() != header.size_in_bytes() {
            return Err(invalid("a batch's length is not that of its bytes"));
        }
        placed.push(Placed::new(batch, next, how));
        next += i64::from(header.last_offset_delta) + 1;
    }
    Ok(placed)
}

fn duplicate(loaded: &Loaded, original: &BatchPlace, how: &Append) -> Appended {
    Appended {
        base_offset: original.base_offset(),
        last_offset: original.last_offset,
        log_append_time: how.append_time.map_or(-1, |_| original.timestamp),
        log_start_offset: lock(&loaded.view).log_start,
        duplicate: true,
    }
}

impl LocalLog {
    /// Whether the active segment takes these batches no more.
    fn must_roll(
        &self,
        writer: &Writer,
        active: &Segment,
        config: &LogConfig,
        placed: &[Placed<'_>],
        size: u64,
    ) -> Result<bool, LogError> {
        if active.len() == 0 {
            return Ok(false);
        }
        let last = placed
            .last()
            .map_or(0, |placed| placed.header.last_offset());
        if active.len() + size > config.segment_bytes || last - active.base > i64::from(i32::MAX) {
            return Ok(true);
        }
        // The age of a segment is in the records' own time, so that a log that is loaded again keeps its shape.
        let newest = placed
            .iter()
            .map(|placed| placed.header.max_timestamp)
            .max()
            .unwrap_or(-1);
        let too_old = |first: i64| newest.saturating_sub(first) > roll_after_ms(config);
        if writer
            .first_timestamp
            .is_some_and(|first| first >= 0 && too_old(first))
        {
            return Ok(true);
        }
        active.with_indexes(&self.dir, |indexes| {
            indexes.is_full(config.segment_index_bytes)
        })
    }

    /// Closes the active segment and begins another at the log's end. Readers see it at once.
    pub(crate) fn roll(
        &self,
        loaded: &Loaded,
        writer: &mut Writer,
    ) -> Result<Arc<Segment>, LogError> {
        let disk = &self.core.disk;
        let mut view = lock(&loaded.view).clone();
        let sealed = view.active().clone();
        sealed.with_indexes(&self.dir, |indexes| indexes.seal(disk, &self.dir, ""))??;
        let sealed_file = sealed.file(&self.dir)?;
        self.snapshot_producers(loaded, writer);
        // Last of all: once the file is there, nothing more may go into the segment before it.
        let base = writer.next_offset;
        let next = Arc::new(Segment::new(base, 0, Some(Indexes::empty(base))));
        next.file_or_create(disk, &self.dir)?;
        lock(&loaded.sync).add_sealed(sealed, sealed_file);
        view.segments = view
            .segments
            .iter()
            .cloned()
            .chain([next.clone()])
            .collect();
        view.active_len = 0;
        *lock(&loaded.view) = view;
        writer.first_timestamp = None;
        writer.begun_ms = 0;
        Ok(next)
    }

    /// Stores the producers' state at the log's end, unless it is stored there already. A snapshot that fails costs a
    /// longer replay, nothing else.
    pub(crate) fn snapshot_producers(&self, loaded: &Loaded, writer: &mut Writer) {
        if writer.snapshot_offset == writer.next_offset {
            return;
        }
        // First: a replay that begins at the snapshot finds no transaction that was aborted below it.
        if let Err(error) = self.store_aborted(loaded) {
            tracing::warn!(%error, "an index of aborted transactions, and so a producer snapshot, could not be written");
            return;
        }
        let path = self
            .dir
            .join(names::file_name(writer.next_offset, names::SNAPSHOT));
        let bytes = crate::producer_snapshot::encode(&writer.producers);
        let disk = &self.core.disk;
        let written = disk.open(&path).and_then(|file| {
            disk.truncate(&file, &path, 0)?;
            disk.write_at(&file, &path, 0, &mut [IoSlice::new(&bytes)])
        });
        if let Err(error) = written {
            tracing::warn!(%error, "a producer snapshot could not be written");
            return;
        }
        // Those at the start of a segment stay with it; of the others the newest is enough.
        let old = std::mem::replace(&mut writer.snapshot_offset, writer.next_offset);
        let of_segment = |view: &View| view.segments.iter().any(|segment| segment.base == old);
        if old >= 0 && !of_segment(&lock(&loaded.view)) {
            let path = self.dir.join(names::file_name(old, names::SNAPSHOT));
            if let Err(error) = disk.remove_file(&path) {
                tracing::warn!(%error, "an old producer snapshot could not be removed");
            }
        }
    }

    /// Writes the batches behind the active segment's end, or takes back what was written of them.
    fn write(
        &self,
        loaded: &Loaded,
        writer: &mut Writer,
        active: &Segment,
        placed: &[Placed<'_>],
    ) -> Result<(), LogError> {
        let disk = &self.core.disk;
        let fresh = active.len() == 0 && !active.is_open();
        let file = active.file_or_create(disk, &self.dir)?;
        if fresh {
            lock(&loaded.sync).names_changed = true;
        }
        let path = active.path(&self.dir);
        let start = active.len();
        let mut position = start;
        for some in placed.chunks(BATCHES_A_WRITE) {
            let mut slices = [IoSlice::new(&[]); 2 * BATCHES_A_WRITE];
            for (pair, placed) in slices.chunks_exact_mut(2).zip(some) {
                pair[0] = IoSlice::new(&placed.front[..placed.front_len]);
                pair[1] = IoSlice::new(&placed.batch.bytes[placed.front_len..]);
            }
            let size: usize = some.iter().map(|placed| placed.batch.bytes.len()).sum();
            let written = disk.write_at(&file, &path, position, &mut slices[..2 * some.len()]);
            if let Err(error) = written {
                if let Err(worse) = disk.truncate(&file, &path, start) {
                    tracing::error!(partition = %self.partition, %error, %worse,
                        "a failed write could not be taken back; the partition takes no more until the broker restarts");
                    writer.stopped = Some(Stopped::Poisoned(worse.to_string()));
                }
                return Err(error);
            }
            position += size as u64;
        }
        Ok(())
    }

    /// Makes written batches part of the log.
    #[allow(clippy::too_many_arguments)]
    fn publish(
        &self,
        loaded: &Loaded,
        writer: &mut Writer,
        active: &Segment,
        start: u64,
        placed: &[Placed<'_>],
        updates: Updates,
        how: &Append,
        config: &LogConfig,
    ) -> Appended {
        let (first, last) = (&placed[0].header, &placed[placed.len() - 1].header);
        let mut position = start;
        let noted = active.with_indexes(&self.dir, |indexes| {
            for placed in placed {
                indexes.add(&placed.header, position, config.index_interval_bytes);
                position += placed.batch.bytes.len() as u64;
            }
            if indexes.block_is_due() {
                indexes.store(&self.core.disk, &self.dir, "")
            } else {
                Ok(())
            }
        });
        if let Err(error) = noted.and_then(|stored| stored) {
            tracing::warn!(%error, "index entries could not be written; they stay in memory");
        }
        if writer.first_timestamp.is_none() {
            writer.first_timestamp = Some(first.max_timestamp);
            writer.begun_ms = self.core.now_ms();
        }
        if writer.epochs.assign(how.leader_epoch, first.base_offset) {
            lock(&loaded.sync).epochs_changed = true;
        }
        for placed in placed {
            writer.verifications.written(&placed.header);
        }
        // Before the last stable offset moves: whoever reads up to it is told of them.
        for aborted in writer.producers.apply(updates) {
            active.add_aborted(aborted);
            loaded.has_aborted.store(true, Ordering::Release);
        }
        writer.next_offset = last.next_offset();
        let end = start
            + placed
                .iter()
                .map(|placed| placed.batch.bytes.len() as u64)
                .sum::<u64>();
        active.set_len(end);
        let mut view = lock(&loaded.view);
        view.active_len = end;
        view.log_end = writer.next_offset;
        // One broker, no replicas: what is written is what consumers may see.
        view.high_watermark = view.log_end;
        view.last_stable = writer
            .producers
            .first_open_transaction()
            .unwrap_or(view.high_watermark);
        Appended {
            base_offset: first.base_offset,
            last_offset: last.last_offset(),
            log_append_time: how.append_time.unwrap_or(-1),
            log_start_offset: view.log_start,
            duplicate: false,
        }
    }
}

/// How old a segment may get. A compacted topic that promises to compact in time must close its segments in time.
pub(crate) fn roll_after_ms(config: &LogConfig) -> i64 {
    if config.cleanup_policy.compacts() {
        config.segment_ms.min(config.max_compaction_lag_ms)
    } else {
        config.segment_ms
    }
}
