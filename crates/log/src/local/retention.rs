//! Old segments and how they go: by age, by size, by DeleteRecords; and how a log is closed.
//!
//! Invariant: the log start offset moves first, then files go, oldest first, each segment's log file last. Whatever
//! crashes in between leaves a log without a hole.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;

use super::append::{Stopped, Writer, roll_after_ms};
use super::log::{Loaded, LocalLog, View};
use super::names;
use super::segment::{Segment, lock};
use crate::hold::Due;
use crate::{LogError, ReadError};

impl LocalLog {
    /// Whether retention could have something to do, as far as that shows without loading the log.
    pub(crate) fn needs_retention(&self) -> bool {
        // A log that this process made is loaded by its first append.
        self.if_loaded().is_some() || (!self.created && self.is_configured())
    }

    /// Closes the active segment if it is old by the clock, so that it can be compacted or deleted though nothing more
    /// is written.
    pub(crate) fn roll_by_time(&self, loaded: &Loaded, now_ms: i64) -> Result<(), LogError> {
        let config = self.current_config();
        let mut writer = lock(&loaded.writer);
        let active = lock(&loaded.view).active().clone();
        let old = now_ms.saturating_sub(writer.begun_ms) > roll_after_ms(&config);
        if writer.stopped.is_none() && active.len() > 0 && old {
            self.roll(loaded, &mut writer)?;
        }
        Ok(())
    }

    /// Deletes the segments that are too old, or too many.
    pub(crate) fn apply_retention(&self, loaded: &Loaded, now_ms: i64) -> Result<(), LogError> {
        let config = self.current_config();
        let mut writer = lock(&loaded.writer);
        if writer.stopped.is_some() {
            return Ok(());
        }
        let view = lock(&loaded.view).clone();
        let mut count = self.below_start(&view.segments, view.log_start);
        if config.cleanup_policy.deletes() {
            let due = self
                .expired(&view.segments, config.retention_ms, now_ms)?
                .max(oversized(&view.segments, config.retention_bytes));
            let released = self.released(&view, due, config.retention_ms, now_ms)?;
            let held = view.segments[released..due].iter().map(|s| s.len()).sum();
            loaded.held_bytes.store(held, Ordering::Relaxed);
            count = count.max(released);
        }
        self.delete_oldest(loaded, &mut writer, count)
    }

    /// Of the `due` oldest segments, how many nobody waits for, or not any longer.
    fn released(
        &self,
        view: &View,
        due: usize,
        retention_ms: i64,
        now_ms: i64,
    ) -> Result<usize, LogError> {
        let Some(hold) = self.current_hold() else {
            return Ok(due);
        };
        let mut segments = Vec::with_capacity(due);
        for (at, segment) in view.segments[..due].iter().enumerate() {
            segments.push(Due {
                end: view.segments.get(at + 1).map_or(view.log_end, |s| s.base),
                bytes: segment.len(),
                age_ms: now_ms.saturating_sub(self.newest_ms(segment)?),
            });
        }
        let released = hold.released(&segments, retention_ms);
        if let Some(last) = segments[..released]
            .last()
            .filter(|last| last.end > hold.from)
        {
            tracing::warn!(partition = %self.partition, unread_from = hold.from, upto = last.end,
                "records go that a reader has not read: retention has waited as long as retention.hold.max.ms and retention.hold.max.bytes let it");
        }
        Ok(released)
    }

    /// How many segments, oldest first, lie wholly below the log's start.
    fn below_start(&self, segments: &[Arc<Segment>], log_start: i64) -> usize {
        segments
            .iter()
            .skip(1)
            .take_while(|next| next.base <= log_start)
            .count()
    }

    /// How many segments, oldest first, have no record younger than the retention.
    fn expired(
        &self,
        segments: &[Arc<Segment>],
        retention_ms: i64,
        now_ms: i64,
    ) -> Result<usize, LogError> {
        if retention_ms < 0 {
            return Ok(0);
        }
        for (at, segment) in segments.iter().enumerate() {
            if segment.len() == 0 {
                return Ok(at);
            }
            if now_ms.saturating_sub(self.newest_ms(segment)?) <= retention_ms {
                return Ok(at);
            }
        }
        Ok(segments.len())
    }

    /// The time of the newest record; without timestamps the file's own age counts.
    fn newest_ms(&self, segment: &Segment) -> Result<i64, LogError> {
        match segment.max_time(&self.dir)?.timestamp {
            timestamp if timestamp < 0 => self.modified_ms(segment),
            timestamp => Ok(timestamp),
        }
    }

    fn modified_ms(&self, segment: &Segment) -> Result<i64, LogError> {
        let path = segment.path(&self.dir);
        let modified = std::fs::metadata(&path).and_then(|metadata| metadata.modified());
        let modified = modified.map_err(|error| LogError::io("examine", &path, error))?;
        let since = modified
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Takes the `count` oldest segments out of the log. If that is all of them, a new one is begun first.
    fn delete_oldest(
        &self,
        loaded: &Loaded,
        writer: &mut Writer,
        count: usize,
    ) -> Result<(), LogError> {
        if count == 0 {
            return Ok(());
        }
        let all = lock(&loaded.view).segments.len() == count;
        if all {
            self.roll(loaded, writer)?;
        }
        let removed: Vec<Arc<Segment>> = {
            let mut view = lock(&loaded.view);
            let (gone, kept) = view.segments.split_at(count);
            let (gone, kept): (Vec<_>, Arc<[_]>) = (gone.to_vec(), kept.into());
            view.log_start = view.log_start.max(kept[0].base);
            view.segments = kept;
            writer.epochs.truncate_start(view.log_start);
            gone
        };
        {
            let mut sync = lock(&loaded.sync);
            sync.names_changed = true;
            sync.epochs_changed = true;
        }
        tracing::info!(partition = %self.partition, segments = removed.len(),
            "old segments are deleted");
        for segment in removed {
            segment.close_file();
            segment.remove(&self.core.disk, &self.dir)?;
        }
        Ok(())
    }

    /// DeleteRecords: moves the log's start, durably.
    pub(crate) fn delete_records(&self, new_start: i64) -> Result<i64, ReadError> {
        let loaded = self.loaded()?;
        let mut writer = lock(&loaded.writer);
        writer.usable(&self.partition)?;
        let (log_start, high_watermark) = {
            let view = lock(&loaded.view);
            (view.log_start, view.high_watermark)
        };
        if new_start > high_watermark {
            let limit = high_watermark;
            return Err(ReadError::OutOfRange {
                offset: new_start,
                log_start,
                limit,
            });
        }
        if new_start <= log_start {
            return Ok(log_start);
        }
        {
            let mut starts = lock(&self.core.log_starts);
            let old = starts.insert(self.partition.clone(), new_start);
            if let Err(error) = self.core.store_offsets(names::LOG_STARTS, &starts) {
                match old {
                    Some(old) => starts.insert(self.partition.clone(), old),
                    None => starts.remove(&self.partition),
                };
                return Err(error.into());
            }
        }
        let view = {
            let mut view = lock(&loaded.view);
            view.log_start = new_start;
            view.clone()
        };
        writer.epochs.truncate_start(new_start);
        lock(&loaded.sync).epochs_changed = true;
        let count = self.below_start(&view.segments, new_start);
        if let Err(error) = self.delete_oldest(loaded, &mut writer, count) {
            tracing::warn!(partition = %self.partition, %error, "deleted records still take room; it is tried again");
        }
        Ok(new_start)
    }

    /// Refuses appends from now on.
    pub(crate) fn stop(&self, why: Stopped) {
        if let Some(loaded) = self.if_loaded() {
            let mut writer = lock(&loaded.writer);
            if matches!(why, Stopped::Deleted) || writer.stopped.is_none() {
                writer.stopped = Some(why);
            }
        }
    }

    /// Puts everything on disk that a start after a clean stop expects there, and sends whether it is durable.
    pub(crate) fn close(&self, answers: &Sender<Result<(), LogError>>) -> Result<(), LogError> {
        let loaded = self.loaded()?;
        let disk = &self.core.disk;
        let end = {
            let mut writer = lock(&loaded.writer);
            if let Err(error @ LogError::Poisoned { .. }) = writer.usable(&self.partition) {
                return Err(error);
            }
            if !writer.producers.is_empty() || writer.snapshot_offset >= 0 {
                self.snapshot_producers(loaded, &mut writer);
            }
            writer.stopped = Some(Stopped::Closed);
            writer.next_offset
        };
        let segments = lock(&loaded.view).segments.clone();
        // An empty segment has index files where Kafka has made them, full of zeros until it closes them.
        let has_index = |segment: &Segment| {
            self.dir
                .join(names::file_name(segment.base, names::INDEX))
                .exists()
        };
        for segment in segments
            .iter()
            .filter(|segment| segment.len() > 0 || has_index(segment))
        {
            segment.with_indexes(&self.dir, |indexes| indexes.seal(disk, &self.dir, ""))??;
        }
        let answers = answers.clone();
        let unsynced =
            loaded.synced_end.load(Ordering::Acquire) < end || self.has_sync_work(loaded);
        if unsynced {
            self.flush_all(
                loaded,
                Box::new(move |result| {
                    // Nobody listens only if the engine is gone.
                    let _ = answers.send(result.map_err(|error| error.0));
                }),
            );
        }
        Ok(())
    }

    /// Closes the files that nobody wants: of closed segments since the last look, of the active one when the log was
    /// not used for `idle_ms` and everything in it is synced. Says whether the active one is open still.
    pub(crate) fn close_files(&self, loaded: &Loaded, idle_ms: i64) -> bool {
        let writer = lock(&loaded.writer);
        let segments = lock(&loaded.view).segments.clone();
        let (active, closed) = segments.split_last().expect("a log has an active segment");
        closed
            .iter()
            .for_each(|segment| segment.close_unwanted_file());
        let idle = self.core.coarse_now() - self.last_used_ms.load(Ordering::Relaxed) > idle_ms;
        if idle && loaded.synced_end.load(Ordering::Acquire) >= writer.next_offset {
            active.close_file();
        }
        active.is_open()
    }
}

/// How many segments, oldest first, the log can lose and still have `retention_bytes`.
fn oversized(segments: &[Arc<Segment>], retention_bytes: i64) -> usize {
    let Ok(wanted) = u64::try_from(retention_bytes) else {
        return 0;
    };
    let mut size: u64 = segments.iter().map(|segment| segment.len()).sum();
    let fits = |segment: &&Arc<Segment>| {
        let enough = segment.len() > 0 && size.saturating_sub(segment.len()) >= wanted;
        if enough {
            size -= segment.len();
        }
        enough
    };
    segments.iter().take_while(fits).count()
}
