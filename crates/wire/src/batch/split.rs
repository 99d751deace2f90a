//! Batches that lie one after the other in a buffer, taken apart without a copy.
//!
//! Invariant: the batches that come out are whole, lie back to back and share the buffer.

use bytes::Bytes;

use super::error::BatchError;
use super::header::{BatchHeader, CRC_COVERS_FROM, HEADER_LEN, crc32c};

/// A whole batch: its header, parsed, and all of its bytes, header included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The header, as it is in the bytes.
    pub header: BatchHeader,
    /// Exactly the batch's bytes.
    pub bytes: Bytes,
}

impl Batch {
    /// Takes the batch at the front of `bytes`; what follows it is left out.
    ///
    /// # Errors
    /// As [`BatchHeader::parse`], and [`BatchError::Truncated`] if the batch is not whole.
    pub fn parse(bytes: &Bytes) -> Result<Self, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        let size = header.size_in_bytes();
        if size > bytes.len() {
            return Err(BatchError::Truncated {
                size,
                available: bytes.len(),
            });
        }
        Ok(Self {
            header,
            bytes: bytes.slice(..size),
        })
    }

    /// The bytes after the header: the records, perhaps compressed.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(HEADER_LEN..)
    }

    /// Compares the CRC with the bytes.
    ///
    /// # Errors
    /// [`BatchError::BadCrc`] if they differ.
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let stored = self.header.crc;
        let computed = crc32c(&self.bytes[CRC_COVERS_FROM..], &[]);
        if stored == computed {
            Ok(())
        } else {
            Err(BatchError::BadCrc { stored, computed })
        }
    }
}

/// Takes concatenated batches apart; every byte must belong to a whole batch.
///
/// After an error the iterator ends: where the next batch would begin is unknown.
pub fn split(bytes: Bytes) -> Split {
    Split { rest: bytes }
}

/// The iterator of [`split`].
#[derive(Debug, Clone)]
pub struct Split {
    rest: Bytes,
}

impl Split {
    /// The bytes not yet taken; empty after an error.
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }
}

impl Iterator for Split {
    type Item = Result<Batch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let parsed = Batch::parse(&self.rest);
        self.rest = match &parsed {
            Ok(batch) => self.rest.slice(batch.bytes.len()..),
            Err(_) => Bytes::new(),
        };
        Some(parsed)
    }
}

/// As [`split`], but a batch that is cut short at the end is left out without an error: the answer
/// to a Fetch ends where its byte limit fell.
pub fn split_lenient(bytes: Bytes) -> SplitLenient {
    SplitLenient {
        strict: split(bytes),
    }
}

/// The iterator of [`split_lenient`].
#[derive(Debug, Clone)]
pub struct SplitLenient {
    strict: Split,
}

impl Iterator for SplitLenient {
    type Item = Result<Batch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.strict.next()? {
            Err(BatchError::TooShort { .. } | BatchError::Truncated { .. }) => None,
            other => Some(other),
        }
    }
}
