//! Reading: whole batches as slices of the segment files, found by index and never copied.
//!
//! Invariant: a read begins with the batch that contains the offset asked for and ends at the end of a batch, below the
//! limit. A consumer that reads on where it stopped costs no search: the places where reads ended are remembered.

use std::sync::Arc;

use catchword_wire::{FileSlice, Records, Segment as Piece};

use super::log::{Loaded, LocalLog, ReadNow, View};
use super::segment::{Segment, lock};
use super::txn_index::aborted_between;
use super::walk::{Located, Walk};
use crate::api::{Fetched, Offsets, ReadLimit};
use crate::{LogError, ReadError};

/// Places remembered per log: as many consumers as commonly read one partition at different places.
const HINTS: usize = 4;

/// A place where a batch begins.
#[derive(Debug, Clone, Copy)]
struct Hint {
    segment: u64,
    offset: i64,
    position: u64,
}

/// Where reads ended last.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    places: [Option<Hint>; HINTS],
    oldest: usize,
}

impl Hints {
    fn find(&self, segment: u64, offset: i64) -> Option<u64> {
        let places = self.places.iter().flatten();
        places
            .filter(|hint| hint.segment == segment && hint.offset == offset)
            .map(|hint| hint.position)
            .next()
    }

    /// Remembers a place, instead of the one that the reader came from if that is known.
    fn moved(&mut self, from: i64, to: Hint) {
        let came_from = |hint: &Option<Hint>| hint.is_some_and(|hint| hint.offset == from);
        let slot = self.places.iter().position(came_from).unwrap_or_else(|| {
            self.oldest = (self.oldest + 1) % HINTS;
            self.oldest
        });
        self.places[slot] = Some(to);
    }
}

/// Bytes of one segment that are to be read.
struct Range {
    start: u64,
    end: u64,
    /// The offset of the batch that begins at `end`, if it is known.
    next_offset: Option<i64>,
}

/// Answers a read. A segment that was deleted or compacted just when it was wanted is no error: the read begins again
/// with the segments of now.
pub(crate) fn read(
    log: &LocalLog,
    loaded: &Loaded,
    from: i64,
    max_bytes: usize,
    upto: ReadLimit,
    min_one_batch: bool,
) -> ReadNow {
    let before = lock(&loaded.view).segments.clone();
    let answer = read_once(log, loaded, from, max_bytes, upto, min_one_batch);
    let changed = || !Arc::ptr_eq(&before, &lock(&loaded.view).segments);
    match answer {
        Err(ReadError::Storage(_)) if changed() => {
            read_once(log, loaded, from, max_bytes, upto, min_one_batch)
        }
        answer => answer,
    }
}

fn read_once(
    log: &LocalLog,
    loaded: &Loaded,
    from: i64,
    max_bytes: usize,
    upto: ReadLimit,
    min_one_batch: bool,
) -> ReadNow {
    let (view, offsets) = log.snapshot(loaded);
    let limit = offsets.limit(upto);
    if from < offsets.log_start || from > offsets.log_end {
        return Err(ReadError::OutOfRange {
            offset: from,
            log_start: offsets.log_start,
            limit,
        });
    }
    let mut pieces = Vec::new();
    let mut left = max_bytes as u64;
    let mut one_batch = min_one_batch;
    // No batch that is read begins at or past it.
    let mut end = from;
    let first = view.segment_of(from);
    for (at, segment) in view.segments.iter().enumerate().skip(first) {
        if from >= limit || segment.base >= limit || (left == 0 && !one_batch) {
            break;
        }
        let bounds = bounds(log, &view, segment, &offsets, limit)?;
        let found = find_range(log, loaded, segment, from, bounds, left, one_batch)?;
        let Some(range) = found else {
            // Compaction left nothing between `from` and the next segment.
            continue;
        };
        if range.start == range.end {
            break;
        }
        let len = range.end - range.start;
        let file = segment.file(&log.dir)?;
        pieces.push(Piece::File(FileSlice {
            file,
            position: range.start,
            len: len as usize,
        }));
        left = left.saturating_sub(len);
        one_batch = false;
        end = range.next_offset.unwrap_or_else(|| {
            let next = view.segments.get(at + 1);
            next.map_or(limit, |next| next.base.min(limit))
        });
        if let Some(offset) = range.next_offset {
            let hint = Hint {
                segment: segment.id,
                offset,
                position: range.end,
            };
            lock(&loaded.hints).moved(from, hint);
        }
        if range.end < bounds.end {
            break;
        }
    }
    let aborted = match upto {
        ReadLimit::LastStable => aborted_between(loaded, &view, from, end),
        _ => Vec::new(),
    };
    Ok(Fetched {
        data: Records::from_segments(pieces),
        end,
        offsets,
        aborted,
    })
}

/// Where in the segment the batches end that may be read.
#[derive(Clone, Copy)]
struct Bounds {
    end: u64,
    /// The offset of the batch that will begin there, if it is known.
    next_offset: Option<i64>,
}

fn bounds(
    log: &LocalLog,
    view: &View,
    segment: &Arc<Segment>,
    offsets: &Offsets,
    limit: i64,
) -> Result<Bounds, LogError> {
    let is_last = Arc::ptr_eq(segment, view.active());
    // The active segment grows while it is read; what the view does not show is not read.
    let end = if is_last {
        view.active_len
    } else {
        segment.len()
    };
    if limit == offsets.log_end {
        return Ok(Bounds {
            end,
            next_offset: is_last.then_some(limit),
        });
    }
    let end = segment
        .find_offset(&log.dir, limit, end)?
        .map_or(end, |located| located.position);
    Ok(Bounds {
        end,
        next_offset: None,
    })
}

/// What to read of a segment; `None` if all of it lies below `from`.
fn find_range(
    log: &LocalLog,
    loaded: &Loaded,
    segment: &Arc<Segment>,
    from: i64,
    bounds: Bounds,
    max_bytes: u64,
    one_batch: bool,
) -> Result<Option<Range>, LogError> {
    let Bounds { end, next_offset } = bounds;
    let remembered = lock(&loaded.hints)
        .find(segment.id, from)
        .filter(|position| *position <= end);
    let start = match remembered {
        Some(position) => position,
        None => match segment.find_offset(&log.dir, from, end)? {
            Some(located) => located.position,
            None => return Ok(None),
        },
    };
    if start == end {
        return Ok(None);
    }
    if end - start <= max_bytes {
        return Ok(Some(Range {
            start,
            end,
            next_offset,
        }));
    }
    whole_batches(log, segment, start, end, max_bytes, one_batch).map(Some)
}

/// As many whole batches from `start` on as fit.
fn whole_batches(
    log: &LocalLog,
    segment: &Segment,
    start: u64,
    end: u64,
    max_bytes: u64,
    one_batch: bool,
) -> Result<Range, LogError> {
    let file = segment.file(&log.dir)?;
    let near = segment.batch_start_near(&log.dir, start, start + max_bytes, end)?;
    let mut walk = Walk::new(&file, near, end);
    let mut step = || {
        walk.step()
            .map_err(|error| segment.walk_error(&log.dir, error))
    };
    let mut range = Range {
        start,
        end: near,
        next_offset: None,
    };
    while let Some(Located { position, header }) = step()? {
        let batch_end = position + header.size_in_bytes() as u64;
        let is_first = position == start;
        if batch_end - start > max_bytes && !(is_first && one_batch) {
            range.next_offset = Some(header.base_offset);
            break;
        }
        range.end = batch_end;
        range.next_offset = Some(header.next_offset());
    }
    Ok(range)
}
