//! One look over a log, oldest record first, that decides which of its records stay; then the answers.
//!
//! Invariants: the last record of each key stays, a last tombstone as long as history reaches and anything before it is
//! there; nothing goes that was not seen together with what replaced it. Memory is bounded: bookmarks beyond what there
//! is memory for are left as they are.

use std::collections::BTreeMap;

use catchword_wire::batch::Record;

use super::marks::Marks;
use super::moves::{Seen, What};
use super::thin::{History, Move, stays};
use crate::record::is_offset_key;

/// What a key costs besides its bytes, roughly.
const KEY_OVERHEAD: usize = size_of::<Latest>() + 48;
/// A tombstone is there for a day at least, so that whoever reads the log from its start meets it.
const TOMBSTONE_MS: i64 = 24 * 60 * 60 * 1000;

/// The newest record of a key so far.
struct Latest {
    offset: i64,
    bytes: u32,
    seen: Seen,
    is_administrative: bool,
    /// The newest of the records before it that stay, -1 if none does.
    kept_before: i64,
}

impl Latest {
    fn as_move(&self) -> Move {
        Move {
            timestamp_ms: self.seen.timestamp_ms,
            is_administrative: self.is_administrative,
        }
    }
}

/// Decides which records of a log of `__consumer_offsets` stay. First [`note`](HistoryPass::note) each record that has a
/// key, oldest first, then ask [`keeps`](HistoryPass::keeps).
pub struct HistoryPass {
    history: History,
    now_ms: i64,
    memory_left: usize,
    keys: BTreeMap<Box<[u8]>, Latest>,
    /// Some key is not in `keys`, for want of memory.
    overflowed: bool,
    marks: Marks,
    decided: bool,
}

impl HistoryPass {
    /// Begins a pass that may remember about `memory_bytes`.
    pub fn new(history: History, now_ms: i64, memory_bytes: usize) -> HistoryPass {
        HistoryPass {
            history,
            now_ms,
            memory_left: memory_bytes,
            keys: BTreeMap::new(),
            overflowed: false,
            marks: Marks::default(),
            decided: false,
        }
    }

    /// Looks at a record. False if there is no memory to go on: then the log ends before it, as far as this pass goes.
    pub fn note(&mut self, record: &Record) -> bool {
        let Some(key) = record.key.as_deref() else {
            return true;
        };
        if self.memory_left < Marks::COST {
            return false;
        }
        if self.marks.reach(record.offset) {
            self.memory_left -= Marks::COST;
        }
        let seen = Seen::of(record);
        let bytes = size_of_record(record);
        let Some(latest) = self.keys.get_mut(key) else {
            let cost = key.len() + KEY_OVERHEAD;
            let Some(left) = self.memory_left.checked_sub(cost) else {
                self.overflowed = true;
                return true;
            };
            self.memory_left = left;
            let latest = Latest {
                offset: record.offset,
                bytes,
                seen,
                is_administrative: seen.is_administrative(None),
                kept_before: -1,
            };
            self.keys.insert(key.into(), latest);
            return true;
        };
        let before = latest.as_move();
        let is_administrative = seen.is_administrative(Some(&latest.seen));
        let next = Move {
            timestamp_ms: record.timestamp,
            is_administrative,
        };
        // Who is in a group, and what else there is, has no history.
        if is_offset_key(key) && stays(&self.history, before, next, self.now_ms) {
            self.marks.keep(latest.offset, latest.bytes);
            latest.kept_before = latest.offset;
        } else {
            self.marks.drop(latest.offset);
        }
        latest.offset = record.offset;
        latest.bytes = bytes;
        latest.seen = seen;
        latest.is_administrative = is_administrative;
        true
    }

    /// Whether any record that was noted goes. Nothing can be noted after this.
    pub fn drops_any(&mut self) -> bool {
        self.decide();
        self.marks.any_gone()
    }

    /// Whether the record at an offset stays. Nothing can be noted after this.
    pub fn keeps(&mut self, offset: i64) -> bool {
        self.decide();
        !self.marks.is_gone(offset)
    }

    /// What can only be said once all is seen: how much history there is, and which tombstones have nothing to hide.
    fn decide(&mut self) {
        if std::mem::replace(&mut self.decided, true) {
            return;
        }
        let keys = std::mem::take(&mut self.keys);
        // A key that is not known might have its last record among the oldest.
        let oldest = match self.overflowed {
            true => i64::MIN,
            false => self.marks.drop_oldest(self.history.max_bytes),
        };
        for latest in keys.into_values() {
            self.marks.restore(latest.offset);
            let age_ms = self.now_ms.saturating_sub(latest.seen.timestamp_ms);
            let is_history = age_ms < self.history.reach_ms() && latest.offset >= oldest;
            let hides_something = latest.kept_before >= oldest.max(0);
            let may_go = !is_history && !hides_something && age_ms >= TOMBSTONE_MS;
            if latest.seen.what == What::Removed && may_go {
                self.marks.drop(latest.offset);
            }
        }
    }
}

/// About what the record takes in the log.
fn size_of_record(record: &Record) -> u32 {
    let len = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len());
    let headers = record.headers.iter();
    let headers: usize = headers.map(|(key, value)| key.len() + len(value) + 2).sum();
    u32::try_from(len(&record.key) + len(&record.value) + headers + 10).unwrap_or(u32::MAX)
}
