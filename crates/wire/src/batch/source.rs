//! Where a batch's records are read from: a slice as it is, or a decompressor's stream.
//!
//! Invariant: a stream gives out at most its limit, and holds one buffer of [`BUFFER_LEN`] bytes
//! besides what the decompressor itself needs.

use std::io::Read;

use super::error::RecordFault;

/// Bytes of inflated records that are held at a time.
const BUFFER_LEN: usize = 16 * 1024;

/// Why a source gives no more.
#[derive(Debug, PartialEq)]
pub(super) enum SourceError {
    /// The record that is being read is malformed, or the bytes are at an end.
    Fault(RecordFault),
    /// The decompressor's complaint.
    Inflate(Box<str>),
    /// More bytes than the limit came out of the decompressor.
    Limit(u64),
}

/// What a decompressor says that will not even begin on a block larger than the limit.
#[derive(Debug, thiserror::Error)]
#[error("the payload inflates beyond the limit")]
pub(super) struct OverLimit;

/// A forward reader over the records of a batch.
pub(super) trait Source {
    /// The next byte.
    fn byte(&mut self) -> Result<u8, SourceError>;
    /// Passes over `count` bytes.
    fn skip(&mut self, count: u64) -> Result<(), SourceError>;
    /// Bytes read or passed over so far.
    fn position(&self) -> u64;
    /// Whether nothing is left.
    fn at_end(&mut self) -> Result<bool, SourceError>;
}

/// The bytes of an uncompressed batch, or of one record.
pub(super) struct SliceSource<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> SliceSource<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }
}

impl Source for SliceSource<'_> {
    #[inline]
    fn byte(&mut self) -> Result<u8, SourceError> {
        let Some(&byte) = self.bytes.get(self.position) else {
            return Err(SourceError::Fault(RecordFault::PastEnd));
        };
        self.position += 1;
        Ok(byte)
    }

    #[inline]
    fn skip(&mut self, count: u64) -> Result<(), SourceError> {
        if count > (self.bytes.len() - self.position) as u64 {
            return Err(SourceError::Fault(RecordFault::PastEnd));
        }
        self.position += count as usize;
        Ok(())
    }

    #[inline]
    fn position(&self) -> u64 {
        self.position as u64
    }

    #[inline]
    fn at_end(&mut self) -> Result<bool, SourceError> {
        Ok(self.position == self.bytes.len())
    }
}

/// The stream out of a decompressor.
pub(super) struct StreamSource<R> {
    reader: R,
    buffer: Box<[u8]>,
    /// The part of the buffer that is not yet given out.
    next: usize,
    filled: usize,
    /// Bytes that came out of the reader, those in the buffer included.
    inflated: u64,
    limit: u64,
}

impl<R: Read> StreamSource<R> {
    /// A stream that fails with [`SourceError::Limit`] once the reader gave more than `limit`.
    pub(super) fn new(reader: R, limit: u64) -> Self {
        let buffer = vec![0; BUFFER_LEN].into_boxed_slice();
        Self {
            reader,
            buffer,
            next: 0,
            filled: 0,
            inflated: 0,
            limit,
        }
    }

    /// Makes at least one byte available, or tells that the stream is at its end.
    #[cold]
    fn fill(&mut self) -> Result<bool, SourceError> {
        debug_assert_eq!(self.next, self.filled);
        let filled = loop {
            match self.reader.read(&mut self.buffer) {
                Ok(filled) => break filled,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.get_ref().is_some_and(|cause| cause.is::<OverLimit>()) => {
                    return Err(SourceError::Limit(self.limit));
                }
                Err(error) => return Err(SourceError::Inflate(error.to_string().into())),
            }
        };
        self.next = 0;
        self.filled = filled;
        self.inflated += filled as u64;
        if self.inflated > self.limit {
            return Err(SourceError::Limit(self.limit));
        }
        Ok(filled > 0)
    }

    /// Appends the next `count` bytes to `out`, which grows only as far as bytes really come.
    pub(super) fn read_into(&mut self, out: &mut Vec<u8>, count: usize) -> Result<(), SourceError> {
        let mut missing = count;
        while missing > 0 {
            if self.next == self.filled && !self.fill()? {
                return Err(SourceError::Fault(RecordFault::PastEnd));
            }
            let taken = missing.min(self.filled - self.next);
            out.extend_from_slice(&self.buffer[self.next..self.next + taken]);
            self.next += taken;
            missing -= taken;
        }
        Ok(())
    }
}

impl<R: Read> Source for StreamSource<R> {
    #[inline]
    fn byte(&mut self) -> Result<u8, SourceError> {
        if self.next == self.filled && !self.fill()? {
            return Err(SourceError::Fault(RecordFault::PastEnd));
        }
        let byte = self.buffer[self.next];
        self.next += 1;
        Ok(byte)
    }

    fn skip(&mut self, count: u64) -> Result<(), SourceError> {
        let mut missing = count;
        while missing > 0 {
            if self.next == self.filled && !self.fill()? {
                return Err(SourceError::Fault(RecordFault::PastEnd));
            }
            let taken = missing.min((self.filled - self.next) as u64);
            self.next += taken as usize;
            missing -= taken;
        }
        Ok(())
    }

    #[inline]
    fn position(&self) -> u64 {
        self.inflated - (self.filled - self.next) as u64
    }

    fn at_end(&mut self) -> Result<bool, SourceError> {
        Ok(self.next == self.filled && !self.fill()?)
    }
}
