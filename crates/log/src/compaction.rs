//! Which records a compaction keeps: decisions only, no IO, no clock.
//!
//! A compaction is a *pass*: it is shown the records of the part that is dirty, oldest first ([`CompactionPass::note`]),
//! then asked of each record of the log up to the end of that part, oldest first, whether it stays
//! ([`CompactionPass::keep`]).
//!
//! Invariant: a record that a batch keeps stays at its offset, with its timestamp; the last offset of a batch, and the last
//! batch of a producer, are never forgotten.

use std::collections::HashMap;

use bytes::Bytes;
use catchword_wire::batch::{
    Batch, BatchBuilder, BatchError, BatchHeader, BuildError, Record, records,
};

use crate::LogConfig;

mod transactions;

pub(crate) use transactions::Transactions;

/// How a log is compacted. There is one for each kind of topic; see [`LatestValue`].
pub trait CompactionPolicy: Send + Sync {
    /// Begins a pass that may remember about `memory_bytes`.
    fn begin(&self, now_ms: i64, memory_bytes: usize) -> Box<dyn CompactionPass>;

    /// Whether a pass is to be shown the whole log, and not only what came since the last pass: for policies that judge a
    /// record by its neighbours.
    fn needs_whole_log(&self) -> bool {
        false
    }

    /// How often a log is to be compacted though nothing was appended, ms: for policies that judge a record by its age.
    fn interval_ms(&self) -> Option<i64> {
        None
    }
}

/// One pass over one log.
pub trait CompactionPass: Send {
    /// Shows a record that has a key. False if there is no memory to remember it: the pass then ends before its batch.
    fn note(&mut self, record: &Record) -> bool;

    /// Whether it may be that a record which was shown goes: false spares the log from being written anew. Nothing is
    /// shown after this.
    fn may_drop(&mut self) -> bool {
        true
    }

    /// Whether the record, which has a key, stays. `tombstone_due`: a record without a value has been kept for
    /// `delete.retention.ms` and may go.
    fn keep(&mut self, record: &Record, tombstone_due: bool) -> bool;
}

/// Kafka's `cleanup.policy=compact`: the last value of each key stays, a last tombstone for a while.
#[derive(Debug, Clone, Copy, Default)]
pub struct LatestValue;

impl CompactionPolicy for LatestValue {
    fn begin(&self, _now_ms: i64, memory_bytes: usize) -> Box<dyn CompactionPass> {
        Box::new(LatestValuePass {
            last: HashMap::new(),
            left: memory_bytes,
        })
    }
}

/// The last offset of each key.
struct LatestValuePass {
    last: HashMap<Bytes, i64>,
    left: usize,
}

/// What a key costs besides its bytes, roughly.
const KEY_OVERHEAD: usize = 64;

impl CompactionPass for LatestValuePass {
    fn note(&mut self, record: &Record) -> bool {
        let Some(key) = &record.key else { return true };
        if let Some(last) = self.last.get_mut(key) {
            *last = record.offset;
            return true;
        }
        let cost = key.len() + KEY_OVERHEAD;
        if cost > self.left {
            return false;
        }
        self.left -= cost;
        // The key must not keep its whole batch in memory.
        self.last.insert(Bytes::copy_from_slice(key), record.offset);
        true
    }

    fn keep(&mut self, record: &Record, tombstone_due: bool) -> bool {
        let Some(key) = &record.key else { return false };
        let is_latest = self.last.get(key).is_none_or(|last| record.offset >= *last);
        is_latest && (record.value.is_some() || !tombstone_due)
    }
}

/// What a pass needs to know to filter a batch.
pub(crate) struct Filter<'a> {
    pub(crate) pass: &'a mut dyn CompactionPass,
    pub(crate) now_ms: i64,
    pub(crate) delete_retention_ms: i64,
    /// Records from here on were not shown to the pass and stay.
    pub(crate) end: i64,
    /// What is known of each producer.
    pub(crate) producers: &'a HashMap<i64, LastOf>,
    pub(crate) transactions: &'a mut Transactions,
    /// The next batch remains, be it empty.
    pub(crate) must_remain: bool,
}

/// What a producer wrote last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastOf {
    /// Records, of which this is the last offset.
    Data(i64),
    /// In its epoch, this one, nothing but a marker.
    Marker(i16),
}

/// What becomes of a batch.
#[derive(Debug, PartialEq)]
pub(crate) enum Filtered {
    /// It stays as it is.
    Kept,
    /// Nothing of it stays.
    Dropped,
    /// This takes its place.
    Replaced(Bytes),
}

/// Why a batch could not be filtered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilterError {
    #[error("{0}")]
    Read(#[from] BatchError),
    #[error("{0}")]
    Build(#[from] BuildError),
}

impl Filter<'_> {
    /// Decides over one batch.
    pub(crate) fn apply(&mut self, batch: &Batch) -> Result<Filtered, FilterError> {
        let header = &batch.header;
        if header.is_control() {
            return self.apply_to_marker(batch);
        }
        self.transactions.saw_data(header);
        if header.base_offset >= self.end {
            return Ok(Filtered::Kept);
        }
        let is_aborted = self.transactions.is_aborted(header);
        let due = self.is_due(header);
        let mut kept = Vec::new();
        let mut tombstones = false;
        for record in records(batch)? {
            let record = record?;
            if is_aborted {
                continue;
            }
            if record.offset >= self.end || (record.key.is_some() && self.pass.keep(&record, due)) {
                tombstones |= record.value.is_none();
                kept.push(record);
            }
        }
        let new_horizon = tombstones && !header.has_delete_horizon();
        if kept.len() == header.records_count as usize && !new_horizon {
            // An empty batch that an earlier pass left is judged again.
            let stays = !kept.is_empty() || self.must_remain(batch);
            return Ok(if stays {
                Filtered::Kept
            } else {
                Filtered::Dropped
            });
        }
        if kept.is_empty() && !self.must_remain(batch) {
            return Ok(Filtered::Dropped);
        }
        let mut builder = BatchBuilder::replacing(header)?;
        if kept.is_empty() {
            builder = builder.delete_horizon(None);
        } else if new_horizon {
            let horizon = self.now_ms.saturating_add(self.delete_retention_ms);
            builder = builder.delete_horizon(Some(horizon));
        }
        for record in &kept {
            builder.push_record(record)?;
        }
        Ok(Filtered::Replaced(builder.build()?))
    }

    fn is_due(&self, header: &BatchHeader) -> bool {
        let horizon = header.delete_horizon();
        horizon.is_some_and(|horizon| horizon <= self.now_ms)
    }

    /// A marker stays as long as there are records of its transaction, and `delete.retention.ms` longer.
    fn apply_to_marker(&mut self, batch: &Batch) -> Result<Filtered, FilterError> {
        let header = &batch.header;
        let may_go = self.transactions.saw_marker(batch);
        if !may_go || header.base_offset >= self.end {
            return Ok(Filtered::Kept);
        }
        let is_left_over = header.records_count == 0;
        if is_left_over || self.is_due(header) {
            if !self.must_remain(batch) {
                return Ok(Filtered::Dropped);
            }
            if is_left_over {
                return Ok(Filtered::Kept);
            }
            let builder = BatchBuilder::replacing(header)?.delete_horizon(None);
            return Ok(Filtered::Replaced(builder.build()?));
        }
        if header.has_delete_horizon() {
            return Ok(Filtered::Kept);
        }
        let horizon = self.now_ms.saturating_add(self.delete_retention_ms);
        let mut builder = BatchBuilder::replacing(header)?.delete_horizon(Some(horizon));
        for record in records(batch)? {
            builder.push_record(&record?)?;
        }
        Ok(Filtered::Replaced(builder.build()?))
    }

    /// A batch whose records are gone remains, empty, where it says something besides: a producer's last sequence, or
    /// where the compacted part ends.
    fn must_remain(&self, batch: &Batch) -> bool {
        let header = &batch.header;
        let last_offset = header.last_offset();
        let last_of_producer = header.has_producer_id()
            && match self.producers.get(&header.producer_id) {
                Some(LastOf::Data(offset)) => *offset == last_offset,
                Some(LastOf::Marker(epoch)) => {
                    header.is_control() && header.producer_epoch == *epoch
                }
                None => false,
            };
        self.must_remain || last_of_producer || last_offset + 1 == self.end
    }
}

/// A segment as the plan sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) base: i64,
    pub(crate) len: u64,
    pub(crate) max_timestamp: i64,
    /// The largest timestamp of its first batch.
    pub(crate) first_timestamp: i64,
}

/// What to compact of a log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Plan {
    /// The first offset that was never compacted.
    pub(crate) first_dirty: i64,
    /// The first offset that is left alone.
    pub(crate) end: i64,
    /// The share of bytes that are dirty: logs with a larger share come first.
    pub(crate) dirty_ratio: f64,
}

/// Whether a log should be compacted now. `segments` are those before the active one, which begins at `active_base`.
pub(crate) fn plan(
    segments: &[Candidate],
    active_base: i64,
    last_stable: i64,
    first_dirty: i64,
    config: &LogConfig,
    now_ms: i64,
    overdue: bool,
) -> Option<Plan> {
    let young = |segment: &&Candidate| {
        config.min_compaction_lag_ms > 0
            && segment.base >= first_dirty
            && segment.max_timestamp > now_ms - config.min_compaction_lag_ms
    };
    let end = segments
        .iter()
        .find(young)
        .map_or(active_base, |segment| segment.base);
    let end = end.min(active_base).min(last_stable);
    let clean = |segment: &&Candidate| segment.base < first_dirty;
    let bytes = |segments: &mut dyn Iterator<Item = &Candidate>| {
        segments.map(|segment| segment.len).sum::<u64>()
    };
    let clean_bytes = bytes(&mut segments.iter().filter(clean));
    let is_dirty = |segment: &&Candidate| !clean(segment) && segment.base < end;
    let dirty_bytes = bytes(&mut segments.iter().filter(is_dirty));
    let total = clean_bytes + dirty_bytes;
    if total == 0 {
        return None;
    }
    let dirty_ratio = dirty_bytes as f64 / total as f64;
    let oldest = segments
        .iter()
        .filter(is_dirty)
        .map(|segment| segment.first_timestamp)
        .min();
    let too_old =
        oldest.is_some_and(|oldest| now_ms.saturating_sub(oldest) > config.max_compaction_lag_ms);
    let enough = dirty_ratio > config.min_cleanable_dirty_ratio || too_old;
    let due = (dirty_bytes > 0 && enough) || overdue;
    due.then_some(Plan {
        first_dirty,
        end: end.max(first_dirty),
        dirty_ratio,
    })
}

#[cfg(test)]
mod tests;
