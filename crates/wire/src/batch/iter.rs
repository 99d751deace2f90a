//! The records of a batch, one after the other.
//!
//! Invariant: records of an uncompressed batch share its buffer; of a compressed one a single
//! record is held at a time. Offsets may have gaps, as compaction leaves them.

use bytes::Bytes;

use super::codec::Decoder;
use super::error::BatchError;
use super::header::{BatchHeader, Compression};
use super::record::{Visitor, batch_error, read_length, walk_body};
use super::source::{SliceSource, Source, SourceError, StreamSource};
use super::split::Batch;
use super::validate::DEFAULT_MAX_INFLATED_BYTES;

/// A record header: its key (UTF-8 if the producer kept to the protocol) and its value.
pub type Header = (Bytes, Option<Bytes>);

/// A record, with its offset and timestamp worked out from the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Offset in the partition.
    pub offset: i64,
    /// Timestamp, ms since the epoch, or -1.
    pub timestamp: i64,
    /// Key, if any.
    pub key: Option<Bytes>,
    /// Value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers, in the producer's order; keys may repeat.
    pub headers: Vec<Header>,
}

/// The records of a batch, inflated to [`DEFAULT_MAX_INFLATED_BYTES`] at most.
///
/// The CRC is not looked at: see [`Batch::verify_crc`].
///
/// # Errors
/// An unknown codec or a payload that the codec cannot open. After an error among its items the
/// iterator ends.
pub fn records(batch: &Batch) -> Result<RecordIter, BatchError> {
    records_within(batch, DEFAULT_MAX_INFLATED_BYTES)
}

/// As [`records`], inflating to `limit` bytes at most.
///
/// # Errors
/// As [`records`].
pub fn records_within(batch: &Batch, limit: u64) -> Result<RecordIter, BatchError> {
    let header = batch.header.clone();
    let codec = header.compression()?;
    if header.records_count < 0 {
        return Err(BatchError::NegativeCount(header.records_count));
    }
    let source = if codec == Compression::None || header.records_count == 0 {
        Records::Plain {
            payload: batch.payload(),
            position: 0,
        }
    } else {
        let opened =
            Decoder::open(codec, batch.payload(), limit).map_err(|error| BatchError::Payload {
                codec,
                reason: error.to_string().into(),
            })?;
        Records::Inflated(Box::new(StreamSource::new(opened, limit)))
    };
    Ok(RecordIter {
        header,
        codec,
        source,
        index: 0,
        done: false,
    })
}

/// The iterator of [`records`].
pub struct RecordIter {
    header: BatchHeader,
    codec: Compression,
    source: Records,
    index: i32,
    done: bool,
}

enum Records {
    Plain { payload: Bytes, position: usize },
    Inflated(Box<StreamSource<Decoder>>),
}

impl RecordIter {
    /// The bytes of the next record after its length.
    fn next_body(&mut self) -> Result<Bytes, SourceError> {
        match &mut self.source {
            Records::Plain { payload, position } => {
                let mut source = SliceSource::new(&payload[*position..]);
                let length = read_length(&mut source)?;
                let start = *position + source.position() as usize;
                source.skip(length)?;
                *position += source.position() as usize;
                Ok(payload.slice(start..*position))
            }
            Records::Inflated(source) => {
                let length = read_length(source.as_mut())? as usize;
                // The length may lie: memory is taken as bytes come, not as they are announced.
                let mut body = Vec::with_capacity(length.min(4096));
                source.read_into(&mut body, length)?;
                Ok(body.into())
            }
        }
    }

    fn next_record(&mut self) -> Result<Record, BatchError> {
        let (index, codec) = (self.index, self.codec);
        let parsed = self.next_body().and_then(|body| parse(&self.header, body));
        let record = parsed.map_err(|error| batch_error(error, index, codec))?;
        self.index += 1;
        if self.index == self.header.records_count {
            self.expect_end()?;
        }
        Ok(record)
    }

    /// After the last record nothing may follow.
    fn expect_end(&mut self) -> Result<(), BatchError> {
        let at_end = match &mut self.source {
            Records::Plain { payload, position } => Ok(*position == payload.len()),
            Records::Inflated(source) => source.at_end(),
        };
        match at_end.map_err(|error| batch_error(error, self.index, self.codec))? {
            true => Ok(()),
            false => Err(BatchError::TrailingBytes(self.index)),
        }
    }
}

impl Iterator for RecordIter {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done || self.index >= self.header.records_count {
            return None;
        }
        let next = self.next_record();
        self.done = next.is_err();
        Some(next)
    }
}

/// Collects the parts of a record: the first two fields are key and value, the rest headers.
#[derive(Default)]
struct Parts {
    body: Bytes,
    seen: usize,
    key: Option<Bytes>,
    value: Option<Bytes>,
    header_key: Bytes,
    headers: Vec<Header>,
}

impl Visitor for Parts {
    fn field(&mut self, start: u64, length: Option<u64>) {
        let start = start as usize;
        let field = length.map(|length| self.body.slice(start..start + length as usize));
        match self.seen {
            0 => self.key = field,
            1 => self.value = field,
            n if n % 2 == 0 => self.header_key = field.unwrap_or_default(),
            _ => self
                .headers
                .push((std::mem::take(&mut self.header_key), field)),
        }
        self.seen += 1;
    }
}

/// Makes a record of its body's bytes.
fn parse(header: &BatchHeader, body: Bytes) -> Result<Record, SourceError> {
    let mut parts = Parts {
        body: body.clone(),
        ..Parts::default()
    };
    let shape = walk_body(&mut SliceSource::new(&body), body.len() as u64, &mut parts)?;
    let timestamp = if header.is_log_append_time() {
        header.max_timestamp
    } else {
        header.base_timestamp.wrapping_add(shape.timestamp_delta)
    };
    Ok(Record {
        offset: header
            .base_offset
            .wrapping_add(i64::from(shape.offset_delta)),
        timestamp,
        key: parts.key,
        value: parts.value,
        headers: parts.headers,
    })
}
