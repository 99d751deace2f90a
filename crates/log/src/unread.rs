//! How many records a reader has still before it: what it will be given, not the distance between two offsets.
//!
//! Markers of transactions, aborted records and the offsets that compaction emptied are nothing to read, so a reader that
//! has read everything has zero before it. A [`Tally`] counts a log's records as they come, up to the last stable offset:
//! what becomes of a record is known there. It keeps the count at [`MAX_MARKS`] places at the most, and what it has once
//! found out of a bookmark until the log is compacted.
//!
//! Nothing is counted until somebody asks, and then from the lowest bookmark that was asked for. Who has many bookmarks asks
//! for them together, so that a stretch of the log in which several stand is read once. A call reads [`MAX_STEP`] bytes at
//! the most for the count; what it did not get to is told as offsets, apart.

use std::collections::{BTreeMap, BTreeSet};

use catchword_wire::Records;
use catchword_wire::batch::{Batch, records, split};

use crate::api::{Fetched, Offsets, PartitionLog, Read, ReadLimit};
use crate::error::ReadError;

/// Places at which the count is kept: 24 bytes each.
const MAX_MARKS: usize = 4096;
/// Bytes between two such places, while there are few.
const FIRST_STRIDE: u64 = 32 * 1024;
/// Bytes read at once.
const CHUNK: usize = 1 << 20;
/// Bytes that one question may have read for the count.
const MAX_STEP: u64 = 64 << 20;
/// Bookmarks of which the answer is kept.
const MAX_KNOWN: usize = 4096;

/// What is before a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unread {
    /// Records that it will be given.
    pub records: i64,
    /// Of these, offsets that were not looked at: they are of transactions that have not ended, or behind such, or the count
    /// has not come so far. Some may turn out to be nothing to read.
    pub unsure: i64,
    /// Bytes, as they are stored, of the batches that hold those which were counted: a reader is sent whole batches.
    pub bytes: i64,
    /// The timestamp of the first of them, ms since 1970; `None` if there is none, or none is known.
    pub oldest_ms: Option<i64>,
}

/// The count at a place.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    /// Where a batch begins, or the count ends.
    offset: i64,
    /// What was counted between where the count begins and here.
    sum: Sum,
}

/// Records that readers are given, and the bytes of their batches.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    records: i64,
    bytes: i64,
}

impl Sum {
    /// Adds a batch as a reader at `from` is given it.
    fn add(&mut self, batch: &Batch, from: i64) {
        let records = at_or_above(batch, from);
        self.records += records;
        if records > 0 {
            self.bytes += batch.bytes.len() as i64;
        }
    }

    fn less(self, other: Sum) -> Sum {
        Sum {
            records: self.records - other.records,
            bytes: self.bytes - other.bytes,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Tally {
    /// Rising; the first is where the count begins. Empty: nothing was counted yet.
    marks: Vec<Mark>,
    /// How far it has come, and how many there were.
    end: Mark,
    stride: u64,
    since_mark: u64,
    /// By bookmark: what was counted below it, and the timestamp of the first record at or above it.
    known: BTreeMap<i64, (Sum, i64)>,
    rewrites: u64,
}

impl Tally {
    /// What is before a reader at `from`, or at the log's start if that is later. Reads, so it may block.
    ///
    /// # Errors
    /// What the storage says.
    pub fn unread(&mut self, log: &dyn PartitionLog, from: i64) -> Result<Unread, ReadError> {
        let all = self.unread_of(log, &[from])?;
        Ok(all.first().copied().unwrap_or_default())
    }

    /// As [`unread`](Tally::unread), of many readers, in their order; cheapest if that is rising.
    ///
    /// # Errors
    /// What the storage says.
    pub fn unread_of(
        &mut self,
        log: &dyn PartitionLog,
        from: &[i64],
    ) -> Result<Vec<Unread>, ReadError> {
        let offsets = log.offsets();
        let behind = from.iter().map(|from| (*from).max(offsets.log_start));
        let behind = behind.filter(|from| *from < offsets.high_watermark);
        if let Some(lowest) = behind.min() {
            self.begin(log, lowest);
            self.count(log, offsets.last_stable)?;
        }
        let mut stretch = Stretch::default();
        from.iter()
            .map(|from| self.unread_at(log, &offsets, *from, &mut stretch))
            .collect()
    }

    fn unread_at(
        &mut self,
        log: &dyn PartitionLog,
        offsets: &Offsets,
        from: i64,
        stretch: &mut Stretch,
    ) -> Result<Unread, ReadError> {
        let from = from.max(offsets.log_start);
        if from >= offsets.high_watermark {
            return Ok(Unread::default());
        }
        let rest = offsets.high_watermark - self.end.offset.max(from);
        let unsure = rest.max(0);
        if from >= self.end.offset {
            return Ok(Unread {
                records: unsure,
                unsure,
                ..Unread::default()
            });
        }
        let (below, oldest_ms) = match self.known.get(&from) {
            Some(known) => *known,
            None => self.look(log, from, stretch)?,
        };
        let counted = self.end.sum.less(below);
        Ok(Unread {
            records: counted.records + unsure,
            unsure,
            bytes: counted.bytes,
            oldest_ms: (counted.records > 0).then_some(oldest_ms),
        })
    }

    /// Forgets what a compaction made wrong, and begins low enough.
    fn begin(&mut self, log: &dyn PartitionLog, from: i64) {
        let rewrites = log.rewrites();
        let fits = self.marks.first().is_some_and(|first| first.offset <= from);
        if !fits || rewrites != self.rewrites {
            let lowest = self
                .marks
                .first()
                .map_or(from, |first| first.offset.min(from));
            let begin = Mark {
                offset: lowest,
                sum: Sum::default(),
            };
            *self = Tally {
                marks: vec![begin],
                end: begin,
                stride: FIRST_STRIDE,
                rewrites,
                ..Tally::default()
            };
        }
    }

    /// Counts on, up to an offset that is not past the last stable one.
    fn count(&mut self, log: &dyn PartitionLog, upto: i64) -> Result<(), ReadError> {
        let begin = log.offsets().log_start;
        self.end.offset = self.end.offset.max(begin);
        let mut bytes = 0;
        while self.end.offset < upto && bytes < MAX_STEP {
            let fetched = read(log, self.end.offset, CHUNK)?;
            let read = fetched.data.len() as u64;
            if read == 0 {
                return Ok(());
            }
            bytes += read;
            let from = self.end.offset;
            each(&fetched, |batch, counts| {
                self.mark(batch.header.base_offset, batch.bytes.len() as u64);
                if counts {
                    self.end.sum.add(batch, from);
                }
                self.end.offset = self.end.offset.max(batch.header.next_offset());
                true
            });
        }
        Ok(())
    }

    /// A batch of so many bytes begins at `offset`: notes the count there if it is far enough from the last place.
    fn mark(&mut self, offset: i64, bytes: u64) {
        self.since_mark += bytes;
        let last = self.marks.last().map_or(i64::MIN, |mark| mark.offset);
        if self.since_mark < self.stride || offset <= last {
            return;
        }
        self.since_mark = 0;
        self.marks.push(Mark {
            offset,
            sum: self.end.sum,
        });
        if self.marks.len() > MAX_MARKS {
            let mut keep = false;
            self.marks.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride *= 2;
        }
    }

    /// Finds out of a bookmark below the count's end what was counted below it, and how old the first record above it is:
    /// by reading from there to the next place of which the count is known.
    fn look(
        &mut self,
        log: &dyn PartitionLog,
        from: i64,
        stretch: &mut Stretch,
    ) -> Result<(Sum, i64), ReadError> {
        let at = self.marks.partition_point(|mark| mark.offset <= from);
        let next = self.marks.get(at).copied().unwrap_or(self.end);
        // From one place to the next it is hardly more than this.
        let bytes = usize::try_from(self.stride).unwrap_or(CHUNK).min(CHUNK);
        let (mut above, mut oldest_ms) = (Sum::default(), None);
        let mut offset = from;
        while offset < next.offset || (oldest_ms.is_none() && offset < self.end.offset) {
            let begin = offset;
            stretch.reach(log, offset, bytes)?;
            for (batch, counts) in stretch.from(begin) {
                if offset >= next.offset && oldest_ms.is_some() {
                    break;
                }
                if *counts {
                    if batch.header.base_offset < next.offset {
                        above.add(batch, begin);
                    }
                    oldest_ms = oldest_ms.or_else(|| first_timestamp(batch, from));
                }
                offset = offset.max(batch.header.next_offset());
            }
            if offset == begin {
                break;
            }
        }
        let below = next.sum.less(above);
        // Nothing is kept of a bookmark behind which all that was counted is nothing to read: what comes later may be.
        let Some(oldest_ms) = oldest_ms else {
            return Ok((below, -1));
        };
        if self.known.len() >= MAX_KNOWN {
            self.known.pop_first();
        }
        let known = (below, oldest_ms);
        self.known.insert(from, known);
        Ok(known)
    }
}

/// The batches that were read last, and whether their records count: where many bookmarks stand close together, the next one
/// mostly stands in it too.
#[derive(Debug, Default)]
struct Stretch {
    /// It was read from here.
    begin: i64,
    batches: Vec<(Batch, bool)>,
}

impl Stretch {
    /// The batches with offsets from this one on.
    fn from(&self, offset: i64) -> &[(Batch, bool)] {
        let ends_before = |(batch, _): &(Batch, bool)| batch.header.next_offset() <= offset;
        &self.batches[self.batches.partition_point(ends_before)..]
    }

    /// Reads so many bytes from an offset on, unless there is something of it.
    fn reach(
        &mut self,
        log: &dyn PartitionLog,
        offset: i64,
        bytes: usize,
    ) -> Result<(), ReadError> {
        if offset >= self.begin && !self.from(offset).is_empty() {
            return Ok(());
        }
        let fetched = read(log, offset, bytes)?;
        self.begin = offset;
        self.batches.clear();
        each(&fetched, |batch, counts| {
            self.batches.push((batch.clone(), counts));
            true
        });
        Ok(())
    }
}

fn read(log: &dyn PartitionLog, offset: i64, bytes: usize) -> Result<Fetched, ReadError> {
    match log.read(offset, bytes, ReadLimit::LastStable, true) {
        Read::Now(read) => read,
        // A log that is elsewhere is not fetched for this: nothing is found, and all is unsure.
        Read::Later(_) => Ok(Fetched {
            data: Records::default(),
            end: offset,
            offsets: log.offsets(),
            aborted: Vec::new(),
        }),
    }
}

/// Shows the batches of a read in order while the answer is true, each with whether its records count.
fn each(fetched: &Fetched, mut show: impl FnMut(&Batch, bool) -> bool) {
    let Ok(bytes) = fetched.data.read() else {
        return;
    };
    let mut begins: Vec<(i64, i64)> = fetched.aborted.iter().map(|(id, at)| (*at, *id)).collect();
    begins.sort_unstable();
    let mut begins = begins.into_iter().peekable();
    let mut aborted = BTreeSet::new();
    // What is not whole ends it: the next read begins there.
    for batch in split(bytes).map_while(Result::ok) {
        let header = &batch.header;
        while let Some((_, id)) = begins.next_if(|(at, _)| *at <= header.base_offset) {
            aborted.insert(id);
        }
        let counts = if header.is_control() {
            aborted.remove(&header.producer_id);
            false
        } else {
            !(header.is_transactional() && aborted.contains(&header.producer_id))
        };
        if !show(&batch, counts) {
            return;
        }
    }
}

/// How many records of a batch are at or above an offset.
fn at_or_above(batch: &Batch, offset: i64) -> i64 {
    let header = &batch.header;
    let count = i64::from(header.records_count);
    if offset <= header.base_offset {
        return count;
    }
    if count == i64::from(header.last_offset_delta) + 1 {
        return (header.next_offset() - offset).max(0);
    }
    // Compaction took some: which ones only the records tell.
    let found = records(batch).into_iter().flatten().flatten();
    found.filter(|record| record.offset >= offset).count() as i64
}

/// The timestamp of the first record at or above an offset.
fn first_timestamp(batch: &Batch, offset: i64) -> Option<i64> {
    let mut found = records(batch).ok()?.flatten();
    let first = found.find(|record| record.offset >= offset)?;
    Some(first.timestamp)
}
