//! Compaction of a log on disk: reads the segments, writes compacted ones beside them, puts those in their place.
//!
//! Invariant: at every moment a crash leaves either the old segments or the new ones. The new files are written and synced
//! as `.cleaned`, renamed to `.swap` (from then on they count), the old ones are removed, and the new ones get their names.
//! Readers and writers go on meanwhile; the active segment is never touched. What stays is decided in `compaction`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use catchword_wire::batch::{Batch, records};

use super::append::Stopped;
use super::compacted::{Built, EXTENSIONS, Output, suffixed};
use super::log::{Loaded, LocalLog, View};
use super::names::{self, CLEANED, SWAP};
use super::pace::Pace;
use super::segment::{Segment, lock};
use super::txn_index::TxnIndex;
use super::walk::Walk;
use crate::compaction::{
    Candidate, CompactionPass, CompactionPolicy, Filter, Filtered, LastOf, Plan, Transactions, plan,
};
use crate::producer_state::Producer;
use crate::{LogConfig, LogError};

impl LocalLog {
    /// Whether the log should be compacted now, and what of it.
    pub(crate) fn plan_compaction(
        &self,
        loaded: &Loaded,
        policy: &dyn CompactionPolicy,
        last_pass_ms: i64,
        now_ms: i64,
    ) -> Result<Option<Plan>, LogError> {
        let config = self.current_config();
        if !config.cleanup_policy.compacts() {
            return Ok(None);
        }
        let view = lock(&loaded.view).clone();
        let (active, closed) = view
            .segments
            .split_last()
            .expect("a log has an active segment");
        let mut candidates = Vec::with_capacity(closed.len());
        for segment in closed {
            candidates.push(Candidate {
                base: segment.base,
                len: segment.len(),
                max_timestamp: segment.max_time(&self.dir)?.timestamp,
                first_timestamp: segment.first_timestamp(&self.dir)?.unwrap_or(i64::MAX),
            });
        }
        let first_dirty = self.first_dirty(&view);
        let interval_ms = policy.interval_ms();
        let waited = now_ms.saturating_sub(last_pass_ms);
        let overdue = interval_ms.is_some_and(|interval| waited >= interval);
        let base = active.base;
        Ok(plan(
            &candidates,
            base,
            view.last_stable,
            first_dirty,
            &config,
            now_ms,
            overdue,
        ))
    }

    fn first_dirty(&self, view: &View) -> i64 {
        let stored = lock(&self.core.cleaner_offsets)
            .get(&self.partition)
            .copied();
        // A checkpoint past the log's end is of a log that lost its end: all of it counts as dirty.
        stored
            .filter(|offset| *offset <= view.log_end)
            .unwrap_or(0)
            .max(view.log_start)
    }

    /// Compacts the log as planned. Returns the offset up to which it is compacted now.
    pub(crate) fn compact(
        &self,
        loaded: &Loaded,
        policy: &dyn CompactionPolicy,
        plan: Plan,
        now_ms: i64,
        pace: &mut Pace,
    ) -> Result<i64, LogError> {
        let config = self.current_config();
        let view = lock(&loaded.view).clone();
        let mut pass = policy.begin(now_ms, self.core.options.compaction_memory_bytes);
        let from = if policy.needs_whole_log() {
            view.log_start
        } else {
            plan.first_dirty
        };
        let all = view.segments.iter().flat_map(|segment| segment.aborted());
        let mut transactions = Transactions::new(all);
        let end = self.show(&view, &mut *pass, &transactions, from..plan.end, pace)?;
        if end <= from && !policy.needs_whole_log() && plan.end > plan.first_dirty {
            tracing::warn!(partition = %self.partition, "there is not enough memory to compact a single batch");
            return Ok(plan.first_dirty);
        }
        if !pass.may_drop() && !transactions.has_aborted() {
            return Ok(end.max(plan.first_dirty));
        }
        let producers: HashMap<i64, LastOf> = {
            let writer = lock(&loaded.writer);
            let of = |producer: &Producer| match producer.last_batch() {
                Some(batch) => LastOf::Data(batch.last_offset),
                None => LastOf::Marker(producer.epoch),
            };
            let all = writer.producers.iter();
            all.map(|(id, producer)| (id, of(producer))).collect()
        };
        let mut filter = Filter {
            pass: &mut *pass,
            now_ms,
            delete_retention_ms: config.delete_retention_ms,
            end,
            producers: &producers,
            transactions: &mut transactions,
            must_remain: false,
        };
        let (_, closed) = view
            .segments
            .split_last()
            .expect("a log has an active segment");
        let last = closed.partition_point(|segment| segment.base < end);
        for group in groups(&closed[..last], &config) {
            let built = self.build(group, &mut filter, &config, pace);
            let built = built.inspect_err(|_| self.discard(group[0].base))?;
            if let Some(built) = built
                && !self.swap(loaded, group, built)?
            {
                self.discard(group[0].base);
                return Ok(plan.first_dirty);
            }
        }
        Ok(end.max(plan.first_dirty))
    }

    /// Shows the pass the records from `from` to `end`; returns the end of what it could remember.
    fn show(
        &self,
        view: &View,
        pass: &mut dyn CompactionPass,
        transactions: &Transactions,
        Range { start: from, end }: Range<i64>,
        pace: &mut Pace,
    ) -> Result<i64, LogError> {
        let (_, closed) = view
            .segments
            .split_last()
            .expect("a log has an active segment");
        let mut seen = from;
        for segment in closed.iter().filter(|segment| segment.base < end) {
            let Some(start) = segment.find_offset(&self.dir, from, segment.len())? else {
                continue;
            };
            let file = segment.file(&self.dir)?;
            let mut walk = Walk::new(&file, start.position, segment.len());
            while let Some(located) = walk
                .step()
                .map_err(|error| segment.walk_error(&self.dir, error))?
            {
                if located.header.base_offset >= end {
                    break;
                }
                if !located.header.is_control() && !transactions.is_aborted(&located.header) {
                    let batch = segment.read_batch(&self.dir, &located)?;
                    self.hold(pace, batch.bytes.len())?;
                    if !self.note(segment, &batch, pass, from)? {
                        return Ok(seen);
                    }
                }
                seen = located.header.next_offset();
            }
        }
        Ok(end)
    }

    fn note(
        &self,
        segment: &Segment,
        batch: &Batch,
        pass: &mut dyn CompactionPass,
        from: i64,
    ) -> Result<bool, LogError> {
        let damaged = |error: catchword_wire::batch::BatchError| {
            let at = batch.header.base_offset;
            LogError::corrupt(&segment.path(&self.dir), format!("offset {at}: {error}"))
        };
        batch.verify_crc().map_err(damaged)?;
        for record in records(batch).map_err(damaged)? {
            let record = record.map_err(damaged)?;
            if record.offset >= from && record.key.is_some() && !pass.note(&record) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes the compacted segment of a group. `None` if nothing would change.
    fn build(
        &self,
        group: &[Arc<Segment>],
        filter: &mut Filter<'_>,
        config: &LogConfig,
        pace: &mut Pace,
    ) -> Result<Option<Built>, LogError> {
        let mut output = Output::new(&self.core.disk, &self.dir, group[0].base)?;
        let mut changed = group.len() > 1;
        for (at, segment) in group.iter().enumerate() {
            let file = segment.file(&self.dir)?;
            let mut walk = Walk::new(&file, 0, segment.len());
            let last_of_many = at > 0 && at + 1 == group.len();
            while let Some(located) = walk
                .step()
                .map_err(|error| segment.walk_error(&self.dir, error))?
            {
                let batch = segment.read_batch(&self.dir, &located)?;
                // After a crash the swap itself must say which segments it replaces.
                filter.must_remain = last_of_many && located.end() == segment.len();
                let filtered = filter.apply(&batch).map_err(|error| {
                    let at = batch.header.base_offset;
                    LogError::corrupt(&segment.path(&self.dir), format!("offset {at}: {error}"))
                })?;
                let kept = match filtered {
                    Filtered::Kept => Some(&batch.bytes),
                    Filtered::Dropped => None,
                    Filtered::Replaced(ref bytes) => Some(bytes),
                };
                changed |= !matches!(filtered, Filtered::Kept);
                if let Some(bytes) = kept {
                    output.push(bytes, config.index_interval_bytes)?;
                }
                self.hold(pace, batch.bytes.len() + kept.map_or(0, Bytes::len))?;
            }
        }
        let mut aborted = Vec::new();
        for one in group.iter().flat_map(|segment| segment.aborted()) {
            match filter.transactions.is_needed(&one) {
                true => aborted.push(one),
                false => changed = true,
            }
        }
        if !changed {
            self.discard(group[0].base);
            return Ok(None);
        }
        output.finish(aborted).map(Some)
    }

    /// Waits until what was read and written fits the pace; gives up when the engine is closed.
    fn hold(&self, pace: &mut Pace, bytes: usize) -> Result<(), LogError> {
        pace.spend(bytes, || self.core.stopped().is_some())
    }

    /// Removes the files of a compaction that does not come to pass.
    fn discard(&self, base: i64) {
        for suffix in [CLEANED, SWAP] {
            for extension in EXTENSIONS {
                let path = suffixed(&self.dir, base, extension, suffix);
                if let Err(error) = self.core.disk.remove_file(&path) {
                    tracing::warn!(%error, "an unfinished compaction leaves a file; the next start removes it");
                }
            }
        }
    }

    /// Puts the compacted segment in the place of the group. False if the log has changed there meanwhile.
    fn swap(
        &self,
        loaded: &Loaded,
        group: &[Arc<Segment>],
        built: Built,
    ) -> Result<bool, LogError> {
        // Else a crash would have what the journal holds of the old segments written over the new one.
        let retired = self.core.committer.retire_journal();
        retired.inspect_err(|_| self.discard(group[0].base))?;
        let mut writer = lock(&loaded.writer);
        let old = lock(&loaded.view).segments.clone();
        let at = old
            .iter()
            .position(|segment| Arc::ptr_eq(segment, &group[0]));
        let still_there = at.is_some_and(|at| {
            let there = old.iter().skip(at).take(group.len());
            there.zip(group).filter(|(a, b)| Arc::ptr_eq(a, b)).count() == group.len()
        });
        let Some(at) = at.filter(|_| still_there && writer.stopped.is_none()) else {
            return Ok(false);
        };
        // Whoever reads the old segments shall not open the new ones under their names.
        for segment in group {
            segment.file(&self.dir)?;
        }
        let base = group[0].base;
        self.make_valid(base, &built)
            .inspect_err(|_| self.discard(base))?;
        if let Err(error) = self.replace_files(group, &built) {
            // A restart finishes it. Until then the names on disk are neither the old segments' nor the new one's.
            let cause = format!("a compaction was interrupted: {error}");
            writer.stopped = Some(Stopped::Poisoned(cause));
            return Err(error);
        }
        let new = Arc::new(Segment::new(base, built.len, Some(built.indexes)));
        *lock(&new.txn_index) = TxnIndex::stored(built.aborted);
        let kept = old[..at]
            .iter()
            .chain([&new])
            .chain(&old[at + group.len()..]);
        lock(&loaded.view).segments = kept.cloned().collect();
        loaded.rewrites.fetch_add(1, Ordering::AcqRel);
        Ok(true)
    }
}

impl LocalLog {
    /// From here on the compacted segment counts, and not those it is made of.
    fn make_valid(&self, base: i64, built: &Built) -> Result<(), LogError> {
        for extension in built.extensions() {
            let from = suffixed(&self.dir, base, extension, CLEANED);
            self.core
                .disk
                .rename(&from, &suffixed(&self.dir, base, extension, SWAP))?;
        }
        self.core.disk.sync_dir(&self.dir)
    }

    /// Removes the old segments' files and gives the new one its name.
    fn replace_files(&self, group: &[Arc<Segment>], built: &Built) -> Result<(), LogError> {
        let disk = &self.core.disk;
        let base = group[0].base;
        for segment in group {
            let file = |extension| self.dir.join(names::file_name(segment.base, extension));
            for extension in EXTENSIONS {
                disk.remove_file(&file(extension))?;
            }
            if segment.base != base {
                disk.remove_file(&file(names::SNAPSHOT))?;
            }
        }
        for extension in built.extensions() {
            let from = suffixed(&self.dir, base, extension, SWAP);
            disk.rename(&from, &self.dir.join(names::file_name(base, extension)))?;
        }
        disk.sync_dir(&self.dir)
    }
}

/// Neighbouring segments that together make one: as large as a segment may be, and no wider than offsets in an index.
fn groups<'a>(segments: &'a [Arc<Segment>], config: &LogConfig) -> Vec<&'a [Arc<Segment>]> {
    let mut groups = Vec::new();
    let mut start = 0;
    while start < segments.len() {
        let mut size = segments[start].len();
        let mut end = start + 1;
        while end < segments.len() {
            size += segments[end].len();
            // The end of the last one is not known here; the base of the next bounds all but that.
            let next = segments
                .get(end + 1)
                .map_or(segments[end].base, |next| next.base);
            let wide = next - segments[start].base > i64::from(i32::MAX);
            if size > config.segment_bytes || wide {
                break;
            }
            end += 1;
        }
        groups.push(&segments[start..end]);
        start = end;
    }
    groups
}
