//! The batch headers of a segment file, one after the other, read in small pieces.
//!
//! Invariant: every header given out lies, with its payload, inside the bounds of the walk. Payloads are not read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use catchword_wire::batch::{Batch, BatchError, BatchHeader, HEADER_LEN};

/// Bytes read at a time: an index entry stands for about as many.
const CHUNK_LEN: usize = 8192;

/// Why a walk cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalkError {
    /// The file could not be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What is there is no batch, or not a whole one.
    #[error("at byte {position}: {error}")]
    NotABatch {
        /// Where.
        position: u64,
        /// What is wrong.
        error: BatchError,
    },
}

impl WalkError {
    fn bad(position: u64, error: BatchError) -> WalkError {
        WalkError::NotABatch { position, error }
    }
}

/// A batch's header and where it is in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) position: u64,
    pub(crate) header: BatchHeader,
}

impl Located {
    /// Where the next batch begins.
    pub(crate) fn end(&self) -> u64 {
        self.position + self.header.size_in_bytes() as u64
    }
}

/// Walks over the batches between two positions.
pub(crate) struct Walk<'a> {
    file: &'a File,
    position: u64,
    end: u64,
    chunk: [u8; CHUNK_LEN],
    chunk_start: u64,
    chunk_len: usize,
}

impl<'a> Walk<'a> {
    /// From `start`, which must be the start of a batch, to `end`.
    pub(crate) fn new(file: &'a File, start: u64, end: u64) -> Walk<'a> {
        Walk {
            file,
            position: start,
            end,
            chunk: [0; CHUNK_LEN],
            chunk_start: 0,
            chunk_len: 0,
        }
    }

    /// The next header; `None` at the end.
    pub(crate) fn step(&mut self) -> Result<Option<Located>, WalkError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let position = self.position;
        let available = (self.end - position).min(HEADER_LEN as u64) as usize;
        let bytes = self.bytes_at(position, available)?;
        let header = BatchHeader::parse(bytes).map_err(|error| WalkError::bad(position, error))?;
        let located = Located { position, header };
        if located.end() > self.end {
            let size = located.header.size_in_bytes();
            let available = (self.end - position) as usize;
            return Err(WalkError::bad(
                position,
                BatchError::Truncated { size, available },
            ));
        }
        if located.header.last_offset_delta < 0 {
            return Err(WalkError::bad(position, BatchError::InvalidLength(-1)));
        }
        self.position = located.end();
        Ok(Some(located))
    }

    /// The first batch whose last offset is at least `offset`.
    pub(crate) fn find(&mut self, offset: i64) -> Result<Option<Located>, WalkError> {
        while let Some(located) = self.step()? {
            if located.header.last_offset() >= offset {
                return Ok(Some(located));
            }
        }
        Ok(None)
    }

    fn bytes_at(&mut self, position: u64, len: usize) -> io::Result<&[u8]> {
        let chunk_end = self.chunk_start + self.chunk_len as u64;
        if position < self.chunk_start || position + len as u64 > chunk_end {
            let wanted = (self.end - position).min(CHUNK_LEN as u64) as usize;
            self.chunk_len = 0;
            self.file
                .read_exact_at(&mut self.chunk[..wanted], position)?;
            self.chunk_start = position;
            self.chunk_len = wanted;
        }
        let at = (position - self.chunk_start) as usize;
        Ok(&self.chunk[at..at + len])
    }
}

/// Reads a whole batch that a walk has found.
pub(crate) fn read_batch(file: &File, located: &Located) -> Result<Batch, WalkError> {
    let mut bytes = vec![0; located.header.size_in_bytes()];
    file.read_exact_at(&mut bytes, located.position)?;
    Batch::parse(&Bytes::from(bytes)).map_err(|error| WalkError::bad(located.position, error))
}
