//! The journal's file: allocated and filled with zeros ahead, written past the page cache.
//!
//! A write into blocks that are there already costs the device one write and one flush, and the file system nothing: that
//! is what makes the journal cheaper than syncing files that grow.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::super::disk::Disk;
use super::block::{JournalId, PAGE, file_header};
use crate::LogError;

/// Zeros written at once.
const FILL: usize = 1 << 20;

/// An open journal.
pub(crate) struct JournalFile {
    file: File,
    path: PathBuf,
}

impl JournalFile {
    /// Makes the file, of `bytes` bytes, durably. `buffer` is scratch space.
    pub(crate) fn create(
        disk: &Disk,
        dir: &Path,
        path: &Path,
        id: &JournalId,
        bytes: u64,
    ) -> Result<JournalFile, LogError> {
        match JournalFile::fill(disk, path, id, bytes, true) {
            // Not every file system can be written past the page cache.
            Err(LogError::Io { source, .. }) if source.kind() == io::ErrorKind::InvalidInput => {
                JournalFile::fill(disk, path, id, bytes, false)
            }
            other => other,
        }
        .and_then(|file| disk.sync_dir(dir).map(|()| file))
    }

    fn fill(
        disk: &Disk,
        path: &Path,
        id: &JournalId,
        bytes: u64,
        direct: bool,
    ) -> Result<JournalFile, LogError> {
        let file = disk.open_direct(path, direct)?;
        let path = path.to_owned();
        let journal = JournalFile { file, path };
        // What an earlier life left is worth nothing once there is another header; zeros first, header last.
        journal.extend(disk, PAGE as u64, bytes)?;
        let mut first = Buffer::new(PAGE);
        first.bytes()[..PAGE].copy_from_slice(&file_header(id));
        journal.write(disk, 0, first.bytes())?;
        Ok(journal)
    }

    /// Fills the file with zeros from one size to another, durably.
    pub(crate) fn extend(&self, disk: &Disk, from: u64, to: u64) -> Result<(), LogError> {
        let mut zeros = Buffer::new(FILL);
        let mut at = from;
        while at < to {
            let len = (to - at).min(FILL as u64);
            // At most FILL.
            self.write(disk, at, &zeros.bytes()[..len as usize])?;
            at += len;
        }
        Ok(())
    }

    /// Writes whole pages, aligned in memory as in the file; they are on stable storage on return.
    pub(crate) fn write(&self, disk: &Disk, position: u64, pages: &[u8]) -> Result<(), LogError> {
        disk.write_durably(&self.file, &self.path, position, pages)
    }
}

/// Memory that direct IO takes: it begins at a page.
pub(crate) struct Buffer {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// Zeros.
    pub(crate) fn new(len: usize) -> Buffer {
        let memory = vec![0; len + PAGE];
        let start = memory.as_ptr().align_offset(PAGE);
        Buffer { memory, start, len }
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }
}
