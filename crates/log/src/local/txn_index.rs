//! A segment's index of aborted transactions: those whose markers are in it, in memory and in Kafka's `.txnindex`.
//!
//! Invariant: where there is a producer snapshot, every transaction that was aborted below it is in these files, and on stable
//! storage; the rest is found again by the replay that begins at the snapshot. A segment without any has no file.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::disk::Disk;
use super::log::{Loaded, LocalLog, View};
use super::names;
use super::segment::{Segment, lock};
use crate::transactions::{ENTRY_LEN, decode, overlapping};
use crate::{AbortedTransaction, LogError};

/// The aborted transactions of one segment.
#[derive(Debug, Default)]
pub(crate) struct TxnIndex {
    entries: Vec<AbortedTransaction>,
    /// How many of them, from the first on, are in the file and durable.
    stored: usize,
}

impl TxnIndex {
    /// Of a segment whose file holds just these.
    pub(crate) fn stored(entries: Vec<AbortedTransaction>) -> TxnIndex {
        let stored = entries.len();
        TxnIndex { entries, stored }
    }
}

impl Segment {
    /// Notes a transaction that a marker in this segment aborted.
    pub(crate) fn add_aborted(&self, aborted: AbortedTransaction) {
        lock(&self.txn_index).entries.push(aborted);
    }

    /// Those that were aborted here.
    pub(crate) fn aborted(&self) -> Vec<AbortedTransaction> {
        lock(&self.txn_index).entries.clone()
    }

    /// Puts into the file, durably, what is not there yet. True if there was something.
    fn store_aborted(&self, disk: &Disk, dir: &Path) -> Result<bool, LogError> {
        let mut index = lock(&self.txn_index);
        if index.stored == index.entries.len() {
            return Ok(false);
        }
        let path = dir.join(names::file_name(self.base, names::TXN_INDEX));
        write(disk, &path, &index.entries, index.stored)?;
        index.stored = index.entries.len();
        Ok(true)
    }
}

/// Writes the entries from the one with this number on; those before it are in the file.
pub(super) fn write(
    disk: &Disk,
    path: &Path,
    entries: &[AbortedTransaction],
    from: usize,
) -> Result<(), LogError> {
    let mut bytes = Vec::with_capacity((entries.len() - from) * ENTRY_LEN);
    entries[from..].iter().for_each(|e| e.encode(&mut bytes));
    let position = (from * ENTRY_LEN) as u64;
    let file = disk.open(path)?;
    disk.truncate(&file, path, position)?;
    disk.write_at(&file, path, position, &mut [IoSlice::new(&bytes)])?;
    disk.sync(&file, path)
}

/// The entries of a segment's file that are below `upto`, and what is wrong with the file.
pub(super) fn read(
    dir: &Path,
    base: i64,
    upto: i64,
) -> Result<(Vec<AbortedTransaction>, Option<String>), LogError> {
    let path = dir.join(names::file_name(base, names::TXN_INDEX));
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(LogError::io("read", &path, error)),
    };
    Ok(decode(&bytes, base, upto))
}

/// Gives each segment its aborted transactions: below `known_below` those in the files, the others as a replay `found` them.
/// False if a file is damaged, and then all of them have to be found.
pub(crate) fn load(
    disk: &Disk,
    dir: &Path,
    segments: &[Arc<Segment>],
    known_below: i64,
    found: &[AbortedTransaction],
) -> Result<bool, LogError> {
    let mut changed = false;
    for (at, segment) in segments.iter().enumerate() {
        let next = segments.get(at + 1).map_or(i64::MAX, |next| next.base);
        let (mut entries, wrong) = read(dir, segment.base, next)?;
        let in_file = entries.len();
        entries.retain(|entry| entry.last_offset < known_below);
        if let Some(wrong) = wrong.as_ref().filter(|_| segment.base < known_below) {
            let path = dir.join(names::file_name(segment.base, names::TXN_INDEX));
            tracing::warn!(path = %path.display(), wrong, "an index of aborted transactions is damaged; it is built anew");
            return Ok(false);
        }
        let trusted = entries.len();
        let here = |entry: &&AbortedTransaction| (segment.base..next).contains(&entry.last_offset);
        let new = found.iter().filter(here);
        entries.extend(new.filter(|entry| entry.last_offset >= known_below));
        let exact = wrong.is_none() && in_file == trusted;
        let path = dir.join(names::file_name(segment.base, names::TXN_INDEX));
        if entries.is_empty() {
            if !exact {
                disk.remove_file(&path)?;
                changed = true;
            }
        } else if !exact || entries.len() > trusted {
            write(disk, &path, &entries, trusted)?;
            changed = true;
        }
        *lock(&segment.txn_index) = TxnIndex::stored(entries);
    }
    if changed {
        disk.sync_dir(dir)?;
    }
    Ok(true)
}

impl LocalLog {
    /// Stores every aborted transaction that is not stored yet, durably.
    pub(crate) fn store_aborted(&self, loaded: &Loaded) -> Result<(), LogError> {
        let segments = lock(&loaded.view).segments.clone();
        let mut stored = false;
        for segment in segments.iter() {
            stored |= segment.store_aborted(&self.core.disk, &self.dir)?;
        }
        if stored {
            self.core.disk.sync_dir(&self.dir)?;
        }
        Ok(())
    }
}

/// The aborted transactions that reach into a range of the log: (producer id, first offset).
pub(crate) fn aborted_between(
    loaded: &Loaded,
    view: &View,
    from: i64,
    upto: i64,
) -> Vec<(i64, i64)> {
    let mut found = Vec::new();
    if from < upto && loaded.has_aborted.load(Ordering::Acquire) {
        for segment in &view.segments[view.segment_of(from)..] {
            if overlapping(&lock(&segment.txn_index).entries, from, upto, &mut found) {
                break;
            }
        }
    }
    found
}
