//! One segment of a log: its file, its length, its indexes.
//!
//! Invariant: the first `len` bytes of the file are whole batches whose offsets rise from `base` on, and nobody changes
//! them. Files and indexes of segments that nobody uses are not open.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::disk::Disk;
use super::index::{Indexes, TimeEntry, read_offset_entries, read_time_entries};
use super::names;
use super::txn_index::TxnIndex;
use super::walk::{Located, Walk, WalkError, read_batch};
use crate::LogError;

/// A lock whose holder panicked guards state that is still sound: every change is made after all that may fail.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One segment.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Tells segments apart that follow one another under one name, as compaction makes them.
    pub(crate) id: u64,
    /// The offset that the file is named by: no record is below it.
    pub(crate) base: i64,
    len: AtomicU64,
    first_timestamp: OnceLock<i64>,
    /// Somebody wanted the file since the last look.
    wanted: AtomicBool,
    file: Mutex<Option<Arc<File>>>,
    indexes: Mutex<Option<Indexes>>,
    /// Of the transactions that were aborted here. A segment that compaction makes has its own, so whoever reads the one
    /// before is told what is in that.
    pub(crate) txn_index: Mutex<TxnIndex>,
}

impl Segment {
    /// A segment whose file has `len` bytes, or does not exist yet if that is 0. Indexes are opened on their first use
    /// unless given.
    pub(crate) fn new(base: i64, len: u64, indexes: Option<Indexes>) -> Segment {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        Segment {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            base,
            len: AtomicU64::new(len),
            first_timestamp: OnceLock::new(),
            wanted: AtomicBool::new(false),
            file: Mutex::new(None),
            indexes: Mutex::new(indexes),
            txn_index: Mutex::default(),
        }
    }

    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(names::file_name(self.base, names::LOG))
    }

    /// Bytes of batches.
    pub(crate) fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    pub(crate) fn set_len(&self, len: u64) {
        self.len.store(len, Ordering::Release);
    }

    /// The open file.
    pub(crate) fn file(&self, dir: &Path) -> Result<Arc<File>, LogError> {
        self.wanted.store(true, Ordering::Relaxed);
        let mut slot = lock(&self.file);
        if let Some(file) = &*slot {
            return Ok(file.clone());
        }
        let path = self.path(dir);
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let file = Arc::new(opened.map_err(|error| LogError::io("open", &path, error))?);
        *slot = Some(file.clone());
        Ok(file)
    }

    /// The open file, made if it is not there.
    pub(crate) fn file_or_create(&self, disk: &Disk, dir: &Path) -> Result<Arc<File>, LogError> {
        let mut slot = lock(&self.file);
        if let Some(file) = &*slot {
            return Ok(file.clone());
        }
        let file = Arc::new(disk.open(&self.path(dir))?);
        *slot = Some(file.clone());
        Ok(file)
    }

    /// Whether the file is open.
    pub(crate) fn is_open(&self) -> bool {
        lock(&self.file).is_some()
    }

    /// Closes the file; the next use opens it again. Reads under way hold it themselves.
    pub(crate) fn close_file(&self) {
        *lock(&self.file) = None;
    }

    /// Closes the file if nobody wanted it since this was called last.
    pub(crate) fn close_unwanted_file(&self) {
        if !self.wanted.swap(false, Ordering::Relaxed) {
            self.close_file();
        }
    }

    /// Runs `work` with the indexes, which are opened, and built anew if they are missing or damaged.
    pub(crate) fn with_indexes<T>(
        &self,
        dir: &Path,
        work: impl FnOnce(&mut Indexes) -> T,
    ) -> Result<T, LogError> {
        let mut slot = lock(&self.indexes);
        if slot.is_none() {
            *slot = Some(self.open_indexes(dir)?);
        }
        Ok(work(slot.as_mut().expect("it was filled above")))
    }

    fn open_indexes(&self, dir: &Path) -> Result<Indexes, LogError> {
        let len = self.len();
        let base = self.base;
        let offsets = read_offset_entries(&dir.join(names::file_name(base, names::INDEX)), base);
        let times = read_time_entries(&dir.join(names::file_name(base, names::TIME_INDEX)), base);
        if let (Ok((offsets, false)), Ok((times, false))) = (offsets, times) {
            let last_fits = offsets.last().is_none_or(|last| last.position < len);
            if last_fits && (len == 0 || !times.is_empty()) {
                let (offsets, last) = (offsets.len() as u64, times.last().copied());
                return Ok(Indexes::stored(base, offsets, times.len() as u64, last));
            }
        }
        tracing::info!(segment = %self.path(dir).display(), "building the indexes of a segment anew");
        self.build_indexes(dir)
    }

    /// Walks over the whole segment for its index entries, which stay in memory until they are stored.
    pub(crate) fn build_indexes(&self, dir: &Path) -> Result<Indexes, LogError> {
        const INTERVAL: u64 = 4096;
        let mut indexes = Indexes::empty(self.base);
        let file = self.file(dir)?;
        let mut walk = Walk::new(&file, 0, self.len());
        while let Some(located) = walk.step().map_err(|error| self.walk_error(dir, error))? {
            indexes.add(&located.header, located.position, INTERVAL);
        }
        indexes.add_time();
        Ok(indexes)
    }

    /// Replaces the indexes by those that a walk over the segment gives.
    pub(crate) fn rebuild_indexes(&self, dir: &Path) -> Result<(), LogError> {
        let built = self.build_indexes(dir)?;
        *lock(&self.indexes) = Some(built);
        Ok(())
    }

    /// The error of a walk over this segment's file.
    pub(crate) fn walk_error(&self, dir: &Path, error: WalkError) -> LogError {
        match error {
            WalkError::Io(error) => LogError::io("read", &self.path(dir), error),
            WalkError::NotABatch { .. } => LogError::corrupt(&self.path(dir), error.to_string()),
        }
    }

    /// The first batch whose last offset is at least `offset`, if there is one before byte `end`.
    pub(crate) fn find_offset(
        &self,
        dir: &Path,
        offset: i64,
        end: u64,
    ) -> Result<Option<Located>, LogError> {
        if end == 0 {
            return Ok(None);
        }
        let file = self.file(dir)?;
        let entry = self.with_indexes(dir, |indexes| indexes.floor_offset(dir, offset))?;
        let start = entry.ok().flatten().filter(|entry| entry.position < end);
        if let Some(entry) = start {
            let mut walk = Walk::new(&file, entry.position, end);
            match walk.step() {
                Ok(Some(first)) if first.header.last_offset() == entry.offset => {
                    if entry.offset >= offset {
                        return Ok(Some(first));
                    }
                    return walk
                        .find(offset)
                        .map_err(|error| self.walk_error(dir, error));
                }
                // The index points into the middle of something: it is no help.
                _ => self.rebuild_indexes(dir)?,
            }
        }
        Walk::new(&file, 0, end)
            .find(offset)
            .map_err(|error| self.walk_error(dir, error))
    }

    /// A place at or before `position` where a batch begins, not before `from`, which is one too.
    pub(crate) fn batch_start_near(
        &self,
        dir: &Path,
        from: u64,
        position: u64,
        end: u64,
    ) -> Result<u64, LogError> {
        let entry = self.with_indexes(dir, |indexes| indexes.floor_position(dir, position))?;
        let Some(entry) = entry.ok().flatten().filter(|entry| entry.position > from) else {
            return Ok(from);
        };
        // The index may be that of the segment which just took this one's place.
        let file = self.file(dir)?;
        let first = Walk::new(&file, entry.position, end).step();
        let fits = matches!(first, Ok(Some(first)) if first.header.last_offset() == entry.offset);
        Ok(if fits { entry.position } else { from })
    }

    /// The largest timestamp in the segment and the last offset of its batch.
    pub(crate) fn max_time(&self, dir: &Path) -> Result<TimeEntry, LogError> {
        self.with_indexes(dir, |indexes| indexes.max)
    }

    /// The largest timestamp of the first batch, from which the segment's age counts.
    pub(crate) fn first_timestamp(&self, dir: &Path) -> Result<Option<i64>, LogError> {
        if self.len() == 0 {
            return Ok(None);
        }
        if let Some(known) = self.first_timestamp.get() {
            return Ok(Some(*known));
        }
        let file = self.file(dir)?;
        let first = Walk::new(&file, 0, self.len()).step();
        let first = first.map_err(|error| self.walk_error(dir, error))?;
        let timestamp = first.map(|first| first.header.max_timestamp);
        Ok(timestamp.map(|timestamp| *self.first_timestamp.get_or_init(|| timestamp)))
    }

    /// The batch's bytes.
    pub(crate) fn read_batch(
        &self,
        dir: &Path,
        located: &Located,
    ) -> Result<catchword_wire::batch::Batch, LogError> {
        let file = self.file(dir)?;
        read_batch(&file, located).map_err(|error| self.walk_error(dir, error))
    }

    /// Removes the segment's files, the log last: what is left after a crash is a segment that only lacks indexes.
    pub(crate) fn remove(&self, disk: &Disk, dir: &Path) -> Result<(), LogError> {
        for extension in [
            names::INDEX,
            names::TIME_INDEX,
            names::TXN_INDEX,
            names::SNAPSHOT,
            names::LOG,
        ] {
            disk.remove_file(&dir.join(names::file_name(self.base, extension)))?;
        }
        Ok(())
    }
}

/// Length of a file in bytes.
pub(crate) fn file_len(path: &Path) -> Result<u64, LogError> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(LogError::io("examine", path, error)),
    }
}
