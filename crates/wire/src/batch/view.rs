//! The keys and values of a batch's records, looked at in place.
//!
//! For whoever reads many records and keeps little of them: an uncompressed batch costs no allocation and no count of
//! references a record. [`records`] gives records that can be kept.

use super::error::BatchError;
use super::header::{Compression, HEADER_LEN};
use super::iter::{Header, records};
use super::record::{Visitor, batch_error, read_length, walk_body};
use super::source::{SliceSource, Source, SourceError};
use super::split::Batch;
use super::varint::read_varint;

/// A record as it lies in its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Offset in the partition.
    pub offset: i64,
    /// Timestamp, ms since the epoch, or -1.
    pub timestamp: i64,
    /// Key, if any.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers, of which most readers want none.
    pub headers: HeadersView<'a>,
}

/// A record's headers, taken apart only when one is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadersView<'a> {
    /// As they lie in the record: their count, then each.
    Lying(&'a [u8]),
    /// Of a record that had to be inflated.
    Taken(&'a [Header]),
}

impl<'a> HeadersView<'a> {
    /// The value of the first header of this name; `None` also where that is null.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        match self {
            HeadersView::Lying(bytes) => find(bytes, name.as_bytes()),
            HeadersView::Taken(headers) => {
                let found = headers.iter().find(|(key, _)| key == name);
                found.and_then(|(_, value)| value.as_deref())
            }
        }
    }
}

/// Looks for a header among those whose lengths were walked over before.
fn find<'a>(bytes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut source = SliceSource::new(bytes);
    let field = |source: &mut SliceSource<'_>| {
        let length = usize::try_from(read_varint(source).ok()?).ok();
        let start = source.position() as usize;
        source.skip(length.unwrap_or(0) as u64).ok()?;
        Some(length.and_then(|length| bytes.get(start..start + length)))
    };
    for _ in 0..read_varint(&mut source).ok()? {
        let key = field(&mut source)?;
        let value = field(&mut source)?;
        if key == Some(name) {
            return value;
        }
    }
    None
}

/// Shows the records of a batch in order. The CRC is not looked at: see [`Batch::verify_crc`].
///
/// # Errors
/// As [`records`] and its items give; and what `each` gives, which ends it.
pub fn view_records<E: From<BatchError>>(
    batch: &Batch,
    mut each: impl FnMut(RecordView<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let header = &batch.header;
    if header.compression()? != Compression::None || header.records_count <= 0 {
        for record in records(batch)? {
            let record = record?;
            each(RecordView {
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: HeadersView::Taken(&record.headers),
            })?;
        }
        return Ok(());
    }
    let payload = &batch.bytes[HEADER_LEN..];
    let mut position = 0;
    for index in 0..header.records_count {
        let failed = |error| batch_error(error, index, Compression::None);
        let (view, end) = view(batch, payload, position).map_err(failed)?;
        position = end;
        each(view)?;
    }
    if position == payload.len() {
        Ok(())
    } else {
        Err(BatchError::TrailingBytes(header.records_count).into())
    }
}

/// The record at a position, and where it ends.
fn view<'a>(
    batch: &Batch,
    payload: &'a [u8],
    position: usize,
) -> Result<(RecordView<'a>, usize), SourceError> {
    let header = &batch.header;
    let mut source = SliceSource::new(&payload[position..]);
    let length = read_length(&mut source)?;
    let start = position + source.position() as usize;
    source.skip(length)?;
    let end = position + source.position() as usize;
    let body = &payload[start..end];
    let mut parts = Parts::default();
    let shape = walk_body(&mut SliceSource::new(body), length, &mut parts)?;
    let [key, value] = parts.places.map(|place| {
        let (start, length) = place?;
        body.get(start..start + length)
    });
    let timestamp = if header.is_log_append_time() {
        header.max_timestamp
    } else {
        header.base_timestamp.wrapping_add(shape.timestamp_delta)
    };
    let offset = header
        .base_offset
        .wrapping_add(i64::from(shape.offset_delta));
    let view = RecordView {
        offset,
        timestamp,
        key,
        value,
        headers: HeadersView::Lying(body.get(parts.value_end..).unwrap_or_default()),
    };
    Ok((view, end))
}

/// Where key and value are, and so where the headers begin.
#[derive(Default)]
struct Parts {
    places: [Option<(usize, usize)>; 2],
    seen: usize,
    value_end: usize,
}

impl Visitor for Parts {
    #[inline]
    fn field(&mut self, start: u64, length: Option<u64>) {
        if let Some(place) = self.places.get_mut(self.seen) {
            *place = length.map(|length| (start as usize, length as usize));
            self.seen += 1;
            self.value_end = (start + length.unwrap_or(0)) as usize;
        }
    }
}
