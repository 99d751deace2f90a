//! A compacted segment while it is written, beside those whose place it will take.

use std::fs::File;
use std::io::IoSlice;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::disk::Disk;
use super::index::Indexes;
use super::names::{self, CLEANED};
use super::txn_index;
use crate::{AbortedTransaction, LogError};

/// Bytes gathered before they are written.
const WRITE_LEN: usize = 1024 * 1024;
/// The files that make a segment. The log comes last, so that a swap without its indexes is seen to be unfinished.
pub(super) const EXTENSIONS: [&str; 4] = [
    names::INDEX,
    names::TIME_INDEX,
    names::TXN_INDEX,
    names::LOG,
];

pub(super) fn suffixed(dir: &Path, base: i64, extension: &str, suffix: &str) -> PathBuf {
    dir.join(format!("{}{suffix}", names::file_name(base, extension)))
}

/// A compacted segment, written and synced.
pub(super) struct Built {
    pub(super) len: u64,
    pub(super) indexes: Indexes,
    pub(super) aborted: Vec<AbortedTransaction>,
}

impl Built {
    /// The files that it has.
    pub(super) fn extensions(&self) -> impl Iterator<Item = &'static str> {
        let has_none = self.aborted.is_empty();
        let there = move |extension: &&str| !(has_none && *extension == names::TXN_INDEX);
        EXTENSIONS.into_iter().filter(there)
    }
}

/// A compacted segment that is being written.
pub(super) struct Output<'a> {
    disk: &'a Disk,
    dir: &'a Path,
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    written: u64,
    indexes: Indexes,
}

impl<'a> Output<'a> {
    pub(super) fn new(disk: &'a Disk, dir: &'a Path, base: i64) -> Result<Output<'a>, LogError> {
        let path = suffixed(dir, base, names::LOG, CLEANED);
        let file = disk.open(&path)?;
        disk.truncate(&file, &path, 0)?;
        let indexes = Indexes::empty(base);
        Ok(Output {
            disk,
            dir,
            path,
            file,
            buffer: Vec::new(),
            written: 0,
            indexes,
        })
    }

    pub(super) fn push(&mut self, bytes: &Bytes, interval: u64) -> Result<(), LogError> {
        let position = self.written + self.buffer.len() as u64;
        let parsed = catchword_wire::batch::BatchHeader::parse(bytes);
        let header = parsed.map_err(|error| LogError::corrupt(&self.path, error.to_string()))?;
        self.indexes.add(&header, position, interval);
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= WRITE_LEN {
            self.write()
        } else {
            Ok(())
        }
    }

    fn write(&mut self) -> Result<(), LogError> {
        let slices = &mut [IoSlice::new(&self.buffer)];
        self.disk
            .write_at(&self.file, &self.path, self.written, slices)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    pub(super) fn finish(mut self, aborted: Vec<AbortedTransaction>) -> Result<Built, LogError> {
        self.write()?;
        self.disk.sync(&self.file, &self.path)?;
        self.indexes.seal(self.disk, self.dir, CLEANED)?;
        for extension in [names::INDEX, names::TIME_INDEX] {
            let base = self.indexes.base();
            let path = suffixed(self.dir, base, extension, CLEANED);
            let file = self.disk.open(&path)?;
            self.disk.sync(&file, &path)?;
        }
        if !aborted.is_empty() {
            let path = suffixed(self.dir, self.indexes.base(), names::TXN_INDEX, CLEANED);
            txn_index::write(self.disk, &path, &aborted, 0)?;
        }
        Ok(Built {
            len: self.written,
            indexes: self.indexes,
            aborted,
        })
    }
}
