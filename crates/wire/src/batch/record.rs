//! One record's bytes, walked: lengths checked against one another, nothing copied.
//!
//! Invariant: a walk that succeeds ends exactly where the record's length says.
//!
//! Layout: length, attributes (one byte, unused), timestamp delta, offset delta, key length, key,
//! value length, value, count of headers, then of each header: key length, key, value length,
//! value. Numbers are zigzag varints (the timestamp delta a varlong); length -1 means null.

use super::error::{BatchError, RecordFault};
use super::header::Compression;
use super::source::{Source, SourceError};
use super::varint::{read_varint, read_varlong};

/// The fewest bytes a record has: its length, attributes, two deltas, two lengths, header count.
pub(super) const MIN_RECORD_LEN: usize = 7;

/// What validation needs to know of a record.
pub(super) struct RecordShape {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) has_key: bool,
}

/// Where the parts of a record's body are, from the start of the source.
pub(super) trait Visitor {
    /// The place of the next key or value, which lies within the record; `None` is null.
    fn field(&mut self, start: u64, length: Option<u64>);
}

/// Looks at nothing.
pub(super) struct NoVisitor;

impl Visitor for NoVisitor {
    #[inline]
    fn field(&mut self, _start: u64, _length: Option<u64>) {}
}

/// Walks over one record, its length first.
#[inline]
pub(super) fn walk_record<S: Source>(source: &mut S) -> Result<RecordShape, SourceError> {
    let length = read_length(source)?;
    walk_body(source, length, &mut NoVisitor)
}

/// Reads a record's length, which is not negative.
#[inline]
pub(super) fn read_length<S: Source>(source: &mut S) -> Result<u64, SourceError> {
    let length = read_varint(source)?;
    u64::try_from(length).map_err(|_| fault(RecordFault::NegativeLength(length)))
}

/// Walks over the `length` bytes of a record that follow its length.
#[inline]
pub(super) fn walk_body<S: Source, V: Visitor>(
    source: &mut S,
    length: u64,
    visitor: &mut V,
) -> Result<RecordShape, SourceError> {
    let end = source.position() + length;
    source.byte()?;
    let timestamp_delta = read_varlong(source)?;
    let offset_delta = read_varint(source)?;
    let has_key = walk_field(source, end, visitor)?;
    walk_field(source, end, visitor)?;
    let headers = read_varint(source)?;
    if headers < 0 {
        return Err(fault(RecordFault::NegativeLength(headers)));
    }
    for _ in 0..headers {
        // A header's key must not be null.
        if !walk_field(source, end, visitor)? {
            return Err(fault(RecordFault::NegativeLength(-1)));
        }
        walk_field(source, end, visitor)?;
    }
    let position = source.position();
    if position < end {
        return Err(fault(RecordFault::LeftOver(end - position)));
    }
    if position > end {
        return Err(fault(RecordFault::FieldPastRecord((position - end) as i64)));
    }
    Ok(RecordShape {
        timestamp_delta,
        offset_delta,
        has_key,
    })
}

/// Passes over a length and its bytes; tells whether they are there, or null.
#[inline]
fn walk_field<S: Source, V: Visitor>(
    source: &mut S,
    end: u64,
    visitor: &mut V,
) -> Result<bool, SourceError> {
    let length = read_varint(source)?;
    let start = source.position();
    if length < 0 {
        if length != -1 {
            return Err(fault(RecordFault::NegativeLength(length)));
        }
        visitor.field(start, None);
        return Ok(false);
    }
    let length = length as u64;
    if start + length > end {
        return Err(fault(RecordFault::FieldPastRecord(length as i64)));
    }
    visitor.field(start, Some(length));
    source.skip(length)?;
    Ok(true)
}

/// The error of the batch whose record `index` could not be read.
pub(super) fn batch_error(error: SourceError, index: i32, codec: Compression) -> BatchError {
    match error {
        SourceError::Fault(fault) => BatchError::Record { index, fault },
        SourceError::Inflate(reason) => BatchError::Payload { codec, reason },
        SourceError::Limit(limit) => BatchError::InflatesTooLarge { limit },
    }
}

fn fault(fault: RecordFault) -> SourceError {
    SourceError::Fault(fault)
}
