//! One segment after a crash: where its batches end, with the index entries that belong to them.
//!
//! Invariant: every batch at or past the recovery point is checked against its CRC; what is below it was on stable storage
//! and is only walked over. Nothing is cut off that holds a whole batch without a copy being kept.

use std::fs::File;
use std::io::IoSlice;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use catchword_wire::batch::{Batch, BatchHeader, HEADER_LEN};

use super::disk::Disk;
use super::index::{Indexes, OffsetEntry, read_offset_entries, read_time_entries};
use super::names;
use super::segment::Segment;
use super::walk::{Located, Walk, WalkError, read_batch};
use crate::{LogConfig, LogError};

/// What a scan of a segment found.
pub(crate) struct Scanned {
    /// Bytes of sound batches.
    pub(crate) end: u64,
    /// The offset after the last of them.
    pub(crate) next_offset: i64,
    pub(crate) indexes: Indexes,
    /// Leader epochs of the batches that were walked over, with the offset each was seen at first.
    pub(crate) epochs: Vec<(i32, i64)>,
    /// Why the scan ended before the file did.
    pub(crate) damage: Option<String>,
}

/// Scans the segment from the last index entry below `checked_from` on. Batches at or past that offset are read whole
/// and checked.
pub(crate) fn scan(
    segment: &Segment,
    dir: &Path,
    config: &LogConfig,
    checked_from: i64,
) -> Result<Scanned, LogError> {
    let len = segment.len();
    if len == 0 {
        let indexes = Indexes::empty(segment.base);
        let (epochs, damage) = (Vec::new(), None);
        return Ok(Scanned {
            end: 0,
            next_offset: segment.base,
            indexes,
            epochs,
            damage,
        });
    }
    let file = segment.file(dir)?;
    let (mut indexes, start) = trusted_indexes(segment, dir, &file, checked_from);
    let mut walk = Walk::new(&file, start, len);
    let mut scanned = (start, segment.base, None);
    let mut epochs: Vec<(i32, i64)> = Vec::new();
    loop {
        let located = match walk.step() {
            Ok(Some(located)) => located,
            Ok(None) => break,
            Err(WalkError::Io(error)) => {
                return Err(LogError::io("read", &segment.path(dir), error));
            }
            Err(error) => {
                scanned.2 = Some(error.to_string());
                break;
            }
        };
        let header = &located.header;
        if let Some(damage) = wrong_with(segment, dir, &file, &located, scanned.1, checked_from)? {
            scanned.2 = Some(damage);
            break;
        }
        indexes.add(header, located.position, config.index_interval_bytes);
        if epochs
            .last()
            .is_none_or(|(epoch, _)| *epoch < header.partition_leader_epoch)
        {
            epochs.push((header.partition_leader_epoch, header.base_offset));
        }
        scanned.0 = located.end();
        scanned.1 = header.next_offset();
    }
    let (end, next_offset, damage) = scanned;
    Ok(Scanned {
        end,
        next_offset,
        indexes,
        epochs,
        damage,
    })
}

/// What is wrong with a batch, beyond what its header shows.
fn wrong_with(
    segment: &Segment,
    dir: &Path,
    file: &File,
    located: &Located,
    next_offset: i64,
    checked_from: i64,
) -> Result<Option<String>, LogError> {
    let Located { position, header } = located;
    if header.base_offset < next_offset {
        let (offset, last) = (header.base_offset, next_offset - 1);
        return Ok(Some(format!(
            "at byte {position}: offset {offset} follows {last}"
        )));
    }
    if header.last_offset() < checked_from {
        return Ok(None);
    }
    let batch = read_batch(file, located).map_err(|error| segment.walk_error(dir, error))?;
    Ok(batch
        .verify_crc()
        .err()
        .map(|error| format!("at byte {position}: {error}")))
}

/// The index entries below `checked_from` that the log bears out, and the position of the last one's batch.
fn trusted_indexes(
    segment: &Segment,
    dir: &Path,
    file: &File,
    checked_from: i64,
) -> (Indexes, u64) {
    let base = segment.base;
    let nothing = (Indexes::empty(base), 0);
    let path = |extension| dir.join(names::file_name(base, extension));
    let Ok((offsets, _)) = read_offset_entries(&path(names::INDEX), base) else {
        return nothing;
    };
    let Ok((times, _)) = read_time_entries(&path(names::TIME_INDEX), base) else {
        return nothing;
    };
    let usable =
        |entry: &OffsetEntry| entry.offset < checked_from && entry.position < segment.len();
    let count = offsets.partition_point(usable);
    let Some(last) = count.checked_sub(1).map(|at| offsets[at]) else {
        return nothing;
    };
    let first = Walk::new(file, last.position, segment.len()).step();
    if !matches!(first, Ok(Some(located)) if located.header.last_offset() == last.offset) {
        return nothing;
    }
    let time_count = times.partition_point(|entry| entry.offset <= last.offset);
    let Some(last_time) = time_count.checked_sub(1).map(|at| times[at]) else {
        return nothing;
    };
    let indexes = Indexes::stored(base, count as u64, time_count as u64, Some(last_time));
    (indexes, last.position)
}

/// Cuts the segment to `end`. If whole batches lie behind, they are kept in a file beside it, whose path is returned.
pub(crate) fn cut(
    disk: &Disk,
    dir: &Path,
    segment: &Segment,
    end: u64,
    next_offset: i64,
) -> Result<Option<PathBuf>, LogError> {
    let path = segment.path(dir);
    let file = segment.file(dir)?;
    let mut kept = None;
    if holds_whole_batch(&file, end, segment.len(), next_offset) {
        let name = format!(
            "{}.{end}{}",
            names::file_name(segment.base, names::LOG),
            names::CUT
        );
        let to = dir.join(name);
        copy_tail(disk, &file, &path, &to, end, segment.len())?;
        kept = Some(to);
    }
    disk.truncate(&file, &path, end)?;
    disk.sync(&file, &path)?;
    segment.set_len(end);
    Ok(kept)
}

/// Whether a whole, sound batch with an offset that could be ours begins anywhere between two positions.
pub(crate) fn holds_whole_batch(file: &File, start: u64, end: u64, next_offset: i64) -> bool {
    find_whole_batch(file, start, end, next_offset).is_some()
}

/// Where the first whole, sound batch with an offset that could be ours begins between two positions, and its offset.
pub(crate) fn find_whole_batch(
    file: &File,
    start: u64,
    end: u64,
    next_offset: i64,
) -> Option<(u64, i64)> {
    const WINDOW: u64 = 64 * 1024 * 1024;
    let len = end.saturating_sub(start).min(WINDOW) as usize;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, start).ok()?;
    let bytes = Bytes::from(bytes);
    let plausible = |header: &BatchHeader| {
        header.base_offset >= next_offset
            && header.base_offset - next_offset <= i64::from(i32::MAX)
            && header.last_offset_delta >= 0
    };
    (0..len.saturating_sub(HEADER_LEN)).find_map(|at| {
        let header = (bytes[at + 16] == 2).then(|| BatchHeader::parse(&bytes[at..]).ok())??;
        let sound = plausible(&header)
            && Batch::parse(&bytes.slice(at..)).is_ok_and(|batch| batch.verify_crc().is_ok());
        sound.then_some((start + at as u64, header.base_offset))
    })
}

/// Copies the bytes between two positions to a file of their own.
pub(crate) fn copy_tail(
    disk: &Disk,
    file: &File,
    from: &Path,
    to: &Path,
    start: u64,
    end: u64,
) -> Result<(), LogError> {
    let copy = disk.open(to)?;
    let mut buffer = vec![0; 1024 * 1024];
    let mut position = start;
    while position < end {
        let len = buffer.len().min((end - position) as usize);
        file.read_exact_at(&mut buffer[..len], position)
            .map_err(|error| LogError::io("read", from, error))?;
        disk.write_at(
            &copy,
            to,
            position - start,
            &mut [IoSlice::new(&buffer[..len])],
        )?;
        position += len as u64;
    }
    disk.sync(&copy, to)
}
