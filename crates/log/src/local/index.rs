//! A segment's offset index and time index, in Kafka's formats.
//!
//! Offset index: 8 bytes an entry, the last offset of a batch less the segment's base (u32) and the batch's position
//! (u32). Time index: 12 bytes an entry, the largest timestamp so far (i64) and the last offset of the batch that brought
//! it, less the base (u32). Both rise. An entry is due when `index.interval.bytes` were appended since the last.
//!
//! Invariant: the files hold a prefix of the entries; the rest is in memory and is written out a block at a time. So an
//! active segment costs no open index file, and a crash loses a few entries that recovery adds again.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;

use catchword_wire::batch::{BatchHeader, NO_TIMESTAMP};

use super::disk::Disk;
use super::names;
use crate::LogError;

pub(crate) const OFFSET_ENTRY_LEN: u64 = 8;
pub(crate) const TIME_ENTRY_LEN: u64 = 12;
/// Entries in memory that are worth a write.
const BLOCK: usize = 128;

/// The last offset of a batch, and where the batch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    pub(crate) offset: i64,
    pub(crate) position: u64,
}

/// A timestamp, and an offset at which it was the largest so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp: i64,
    pub(crate) offset: i64,
}

impl OffsetEntry {
    pub(crate) fn encode(self, base: i64) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&((self.offset - base) as u32).to_be_bytes());
        bytes[4..].copy_from_slice(&(self.position as u32).to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: [u8; 8], base: i64) -> OffsetEntry {
        let both = u64::from_be_bytes(bytes);
        OffsetEntry {
            offset: base + (both >> 32) as i64,
            position: both & 0xffff_ffff,
        }
    }
}

impl TimeEntry {
    pub(crate) fn encode(self, base: i64) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..].copy_from_slice(&((self.offset - base) as u32).to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: [u8; 12], base: i64) -> TimeEntry {
        let mut timestamp = [0; 8];
        timestamp.copy_from_slice(&bytes[..8]);
        let mut offset = [0; 4];
        offset.copy_from_slice(&bytes[8..]);
        TimeEntry {
            timestamp: i64::from_be_bytes(timestamp),
            offset: base + i64::from(u32::from_be_bytes(offset)),
        }
    }
}

/// Both indexes of one segment.
#[derive(Debug)]
pub(crate) struct Indexes {
    base: i64,
    offsets_stored: u64,
    offsets_pending: Vec<OffsetEntry>,
    times_stored: u64,
    times_pending: Vec<TimeEntry>,
    last_time: Option<TimeEntry>,
    bytes_since_entry: u64,
    /// The largest timestamp in the segment, and the last offset of the first batch that has it.
    pub(crate) max: TimeEntry,
}

impl Indexes {
    /// The indexes of an empty segment.
    pub(crate) fn empty(base: i64) -> Indexes {
        Indexes {
            base,
            offsets_stored: 0,
            offsets_pending: Vec::new(),
            times_stored: 0,
            times_pending: Vec::new(),
            last_time: None,
            bytes_since_entry: 0,
            max: TimeEntry {
                timestamp: NO_TIMESTAMP,
                offset: base,
            },
        }
    }

    /// Indexes whose files hold so many entries, the last of them these.
    pub(crate) fn stored(
        base: i64,
        offsets: u64,
        times: u64,
        last_time: Option<TimeEntry>,
    ) -> Indexes {
        let empty = Indexes::empty(base);
        Indexes {
            offsets_stored: offsets,
            times_stored: times,
            last_time,
            max: last_time.unwrap_or(empty.max),
            ..empty
        }
    }

    /// Entries in the offset index, wherever they are.
    pub(crate) fn offset_count(&self) -> u64 {
        self.offsets_stored + self.offsets_pending.len() as u64
    }

    fn time_count(&self) -> u64 {
        self.times_stored + self.times_pending.len() as u64
    }

    /// Whether either index may grow no more.
    pub(crate) fn is_full(&self, max_bytes: u64) -> bool {
        self.offset_count() >= max_bytes / OFFSET_ENTRY_LEN
            || self.time_count() >= (max_bytes / TIME_ENTRY_LEN).saturating_sub(1)
    }

    /// Notes a batch that was appended at `position`.
    pub(crate) fn add(&mut self, header: &BatchHeader, position: u64, interval: u64) {
        if header.max_timestamp > self.max.timestamp {
            self.max = TimeEntry {
                timestamp: header.max_timestamp,
                offset: header.last_offset(),
            };
        }
        if self.bytes_since_entry > interval {
            self.offsets_pending.push(OffsetEntry {
                offset: header.last_offset(),
                position,
            });
            self.add_time();
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += header.size_in_bytes() as u64;
    }

    /// Adds the time entry that is due, if the largest timestamp has grown since the last.
    pub(crate) fn add_time(&mut self) {
        let last = self.last_time.map_or(NO_TIMESTAMP, |last| last.timestamp);
        if self.max.timestamp > last {
            self.times_pending.push(self.max);
            self.last_time = Some(self.max);
        }
    }

    /// Whether enough entries are in memory to write them out.
    pub(crate) fn block_is_due(&self) -> bool {
        self.offsets_pending.len() >= BLOCK
    }

    pub(crate) fn base(&self) -> i64 {
        self.base
    }

    /// Writes the entries in memory to the files, whose names end with `suffix`, and which then hold nothing after them.
    pub(crate) fn store(&mut self, disk: &Disk, dir: &Path, suffix: &str) -> Result<(), LogError> {
        let base = self.base;
        if !self.offsets_pending.is_empty() {
            let bytes: Vec<u8> = self
                .offsets_pending
                .iter()
                .flat_map(|entry| entry.encode(base))
                .collect();
            let path = dir.join(names::file_name(base, names::INDEX) + suffix);
            store(disk, &path, self.offsets_stored * OFFSET_ENTRY_LEN, &bytes)?;
            self.offsets_stored += self.offsets_pending.len() as u64;
            self.offsets_pending = Vec::new();
        }
        if !self.times_pending.is_empty() {
            let bytes: Vec<u8> = self
                .times_pending
                .iter()
                .flat_map(|entry| entry.encode(base))
                .collect();
            let path = dir.join(names::file_name(base, names::TIME_INDEX) + suffix);
            store(disk, &path, self.times_stored * TIME_ENTRY_LEN, &bytes)?;
            self.times_stored += self.times_pending.len() as u64;
            self.times_pending = Vec::new();
        }
        Ok(())
    }

    /// As [`store`](Indexes::store), and both files hold nothing else: for a segment that is closed.
    pub(crate) fn seal(&mut self, disk: &Disk, dir: &Path, suffix: &str) -> Result<(), LogError> {
        self.add_time();
        self.store(disk, dir, suffix)?;
        let lens = [
            (names::INDEX, self.offsets_stored * OFFSET_ENTRY_LEN),
            (names::TIME_INDEX, self.times_stored * TIME_ENTRY_LEN),
        ];
        for (extension, len) in lens {
            let path = dir.join(names::file_name(self.base, extension) + suffix);
            // Kafka takes a missing index for a damaged one.
            let file = disk.open(&path)?;
            if file
                .metadata()
                .map_err(|error| LogError::io("examine", &path, error))?
                .len()
                != len
            {
                disk.truncate(&file, &path, len)?;
            }
        }
        Ok(())
    }

    /// The last entry whose offset is not above `offset`: the batch it is of lies at or before that offset's.
    pub(crate) fn floor_offset(&self, dir: &Path, offset: i64) -> io::Result<Option<OffsetEntry>> {
        self.floor_offset_by(dir, |entry| entry.offset <= offset)
    }

    /// The last entry whose position is not above `position`.
    pub(crate) fn floor_position(
        &self,
        dir: &Path,
        position: u64,
    ) -> io::Result<Option<OffsetEntry>> {
        self.floor_offset_by(dir, |entry| entry.position <= position)
    }

    fn floor_offset_by(
        &self,
        dir: &Path,
        below: impl Fn(&OffsetEntry) -> bool,
    ) -> io::Result<Option<OffsetEntry>> {
        if let Some(at) = self.offsets_pending.partition_point(&below).checked_sub(1) {
            return Ok(Some(self.offsets_pending[at]));
        }
        let base = self.base;
        floor_stored(
            &dir.join(names::file_name(base, names::INDEX)),
            self.offsets_stored,
            |bytes| {
                let entry = OffsetEntry::decode(bytes, base);
                below(&entry).then_some(entry)
            },
        )
    }

    /// The last entry whose timestamp is below `timestamp`: all records up to its offset are older.
    pub(crate) fn floor_time(&self, dir: &Path, timestamp: i64) -> io::Result<Option<TimeEntry>> {
        let below = |entry: &TimeEntry| entry.timestamp < timestamp;
        if let Some(at) = self.times_pending.partition_point(below).checked_sub(1) {
            return Ok(Some(self.times_pending[at]));
        }
        let base = self.base;
        let path = dir.join(names::file_name(base, names::TIME_INDEX));
        floor_stored(&path, self.times_stored, |bytes| {
            let entry = TimeEntry::decode(bytes, base);
            below(&entry).then_some(entry)
        })
    }
}

fn store(disk: &Disk, path: &Path, position: u64, bytes: &[u8]) -> Result<(), LogError> {
    let file = disk.open(path)?;
    disk.write_at(&file, path, position, &mut [IoSlice::new(bytes)])?;
    let end = position + bytes.len() as u64;
    let len = file
        .metadata()
        .map_err(|error| LogError::io("examine", path, error))?
        .len();
    if len > end {
        disk.truncate(&file, path, end)?;
    }
    Ok(())
}

/// Binary search in a file of entries of `N` bytes: the last that `below` gives a value for.
fn floor_stored<const N: usize, T>(
    path: &Path,
    count: u64,
    below: impl Fn([u8; N]) -> Option<T>,
) -> io::Result<Option<T>> {
    if count == 0 {
        return Ok(None);
    }
    let file = File::open(path)?;
    let (mut low, mut high) = (0, count);
    let mut found = None;
    while low < high {
        let middle = low + (high - low) / 2;
        let mut bytes = [0; N];
        file.read_exact_at(&mut bytes, middle * N as u64)?;
        match below(bytes) {
            Some(value) => {
                found = Some(value);
                low = middle + 1;
            }
            None => high = middle,
        }
    }
    Ok(found)
}

/// All the offset entries of a file, up to the first that does not rise (Kafka leaves zeros behind its entries while it
/// runs); and whether the file held anything else.
pub(crate) fn read_offset_entries(path: &Path, base: i64) -> io::Result<(Vec<OffsetEntry>, bool)> {
    let bytes = std::fs::read(path)?;
    let (chunks, rest) = bytes.as_chunks::<8>();
    let mut entries: Vec<OffsetEntry> = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let entry = OffsetEntry::decode(*chunk, base);
        let rises = entries
            .last()
            .is_none_or(|last| entry.offset > last.offset && entry.position > last.position);
        // Position 0 needs no entry: a search that finds none begins there.
        if !rises || (entry.position == 0 && *chunk == [0; 8]) {
            return Ok((entries, true));
        }
        entries.push(entry);
    }
    Ok((entries, !rest.is_empty()))
}

/// As [`read_offset_entries`], for the time index.
pub(crate) fn read_time_entries(path: &Path, base: i64) -> io::Result<(Vec<TimeEntry>, bool)> {
    let bytes = std::fs::read(path)?;
    let (chunks, rest) = bytes.as_chunks::<12>();
    let mut entries: Vec<TimeEntry> = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let entry = TimeEntry::decode(*chunk, base);
        let rises = entries
            .last()
            .is_none_or(|last| entry.timestamp > last.timestamp && entry.offset >= last.offset);
        if !rises || *chunk == [0; 12] {
            return Ok((entries, true));
        }
        entries.push(entry);
    }
    Ok((entries, !rest.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_kafkas_bytes() {
        let entry = OffsetEntry {
            offset: 1005,
            position: 4200,
        };
        assert_eq!(entry.encode(1000), [0, 0, 0, 5, 0, 0, 0x10, 0x68]);
        assert_eq!(OffsetEntry::decode(entry.encode(1000), 1000), entry);
        let entry = TimeEntry {
            timestamp: 258,
            offset: 1005,
        };
        assert_eq!(entry.encode(1000), [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 5]);
        assert_eq!(TimeEntry::decode(entry.encode(1000), 1000), entry);
    }

    #[test]
    fn a_search_finds_entries_in_the_file_and_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let mut indexes = Indexes::empty(100);
        let mut header = BatchHeader::parse(&one_record(0)).unwrap();
        let size = header.size_in_bytes() as u64;
        for n in 0..300i64 {
            header.base_offset = 100 + n;
            header.max_timestamp = 10 * n;
            indexes.add(&header, n as u64 * size, 0);
            if n == 200 {
                indexes.store(&Disk::default(), dir.path(), "").unwrap();
            }
        }
        assert_eq!(indexes.offset_count(), 299);
        assert_eq!(indexes.floor_offset(dir.path(), 100).unwrap(), None);
        for n in [1i64, 2, 57, 199, 200, 201, 202, 298, 299] {
            let expected = OffsetEntry {
                offset: 100 + n,
                position: n as u64 * size,
            };
            assert_eq!(
                indexes.floor_offset(dir.path(), 100 + n).unwrap(),
                Some(expected)
            );
            let between = expected.position + size - 1;
            assert_eq!(
                indexes.floor_position(dir.path(), between).unwrap(),
                Some(expected)
            );
            let older = TimeEntry {
                timestamp: 10 * n,
                offset: 100 + n,
            };
            assert_eq!(
                indexes.floor_time(dir.path(), 10 * n + 1).unwrap(),
                Some(older)
            );
        }
        assert_eq!(indexes.floor_time(dir.path(), 10).unwrap(), None);
    }

    #[test]
    fn zeros_and_torn_entries_at_the_end_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("i");
        let mut bytes = Vec::new();
        let entries = [1, 2, 3].map(|n| OffsetEntry {
            offset: n,
            position: n as u64 * 100,
        });
        bytes.extend(entries.iter().flat_map(|entry| entry.encode(0)));
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(
            read_offset_entries(&path, 0).unwrap(),
            (entries.to_vec(), false)
        );
        std::fs::write(&path, [&bytes[..], &[0; 32]].concat()).unwrap();
        assert_eq!(
            read_offset_entries(&path, 0).unwrap(),
            (entries.to_vec(), true)
        );
        std::fs::write(&path, &bytes[..20]).unwrap();
        assert_eq!(
            read_offset_entries(&path, 0).unwrap(),
            (entries[..2].to_vec(), true)
        );
    }

    fn one_record(timestamp: i64) -> bytes::Bytes {
        use catchword_wire::batch::{BatchBuilder, NewRecord};
        let mut builder = BatchBuilder::new(0);
        builder
            .push(NewRecord {
                timestamp,
                ..NewRecord::default()
            })
            .unwrap();
        builder.build().unwrap()
    }
}
