//! Batches made here: by coordinators for their own topics, by compaction, by our client.
//!
//! Invariant: what [`BatchBuilder::build`] returns is a sound batch, CRC included; its base
//! timestamp is the first record's, its max timestamp the largest.

use bytes::Bytes;

use super::codec;
use super::header::{
    BatchHeader, CRC_COVERS_FROM, Compression, HEADER_LEN, LOG_OVERHEAD, MAGIC, NO_LEADER_EPOCH,
    NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, TimestampType, attributes,
    crc32c,
};
use super::iter::{Header, Record};
use super::varint::{varlong_len, write_varint, write_varlong};

/// Why a batch could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An offset that does not follow the one before, or is too far from the base.
    #[error("offset {offset} does not fit a batch with base offset {base_offset} and next {next}")]
    Offset {
        /// The offset that was asked for.
        offset: i64,
        /// The batch's base offset.
        base_offset: i64,
        /// The lowest offset that is free.
        next: i64,
    },
    /// The batch or a record of it is over 2 GiB.
    #[error("{0} bytes do not fit a record batch")]
    TooLarge(u64),
    /// The compressor failed, for want of memory.
    #[error("the records could not be compressed: {0}")]
    Compress(#[from] std::io::Error),
}

/// A record to be put into a batch.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewRecord<'a> {
    /// Timestamp, ms.
    pub timestamp: i64,
    /// Key, if any.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers, in order.
    pub headers: &'a [Header],
}

/// Makes one batch: settings first, then records, then [`BatchBuilder::build`].
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    base_offset: i64,
    leader_epoch: i32,
    compression: Compression,
    log_append_time: Option<i64>,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    transactional: bool,
    control: bool,
    delete_horizon: Option<i64>,
    last_offset: Option<i64>,
    empty_max_timestamp: i64,
    base_timestamp: Option<i64>,
    max_timestamp: i64,
    next_offset: i64,
    count: i32,
    /// Room for the header, then the records.
    bytes: Vec<u8>,
}

/// Headers as they lie in a record, encoded once for many records that carry the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncodedHeaders(Vec<u8>);

impl EncodedHeaders {
    /// Encodes headers: their count, then each.
    pub fn new(headers: &[Header]) -> Self {
        let mut bytes = Vec::new();
        write_headers(&mut bytes, headers);
        Self(bytes)
    }
}

impl AsRef<[u8]> for EncodedHeaders {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl BatchBuilder {
    /// An empty, uncompressed batch with CreateTime and no producer id.
    pub fn new(base_offset: i64) -> Self {
        Self {
            base_offset,
            leader_epoch: NO_LEADER_EPOCH,
            compression: Compression::None,
            log_append_time: None,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            transactional: false,
            control: false,
            delete_horizon: None,
            last_offset: None,
            empty_max_timestamp: NO_TIMESTAMP,
            base_timestamp: None,
            max_timestamp: NO_TIMESTAMP,
            next_offset: base_offset,
            count: 0,
            bytes: vec![0; HEADER_LEN],
        }
    }

    /// A batch that replaces `header`'s, as compaction makes it: same offset range, producer,
    /// flags, codec and timestamp type; the records are those that will be pushed, at their
    /// offsets.
    ///
    /// # Errors
    /// [`super::BatchError::UnknownCompression`].
    pub fn replacing(header: &BatchHeader) -> Result<Self, super::BatchError> {
        let mut builder = Self::new(header.base_offset);
        builder.leader_epoch = header.partition_leader_epoch;
        builder.compression = header.compression()?;
        builder.log_append_time = header.is_log_append_time().then_some(header.max_timestamp);
        builder.producer_id = header.producer_id;
        builder.producer_epoch = header.producer_epoch;
        builder.base_sequence = header.base_sequence;
        builder.transactional = header.is_transactional();
        builder.control = header.is_control();
        builder.delete_horizon = header.delete_horizon();
        builder.last_offset = Some(header.last_offset());
        builder.empty_max_timestamp = header.max_timestamp;
        Ok(builder)
    }

    /// Epoch of the leader that appends the batch.
    pub fn leader_epoch(mut self, leader_epoch: i32) -> Self {
        self.leader_epoch = leader_epoch;
        self
    }

    /// Codec of the records.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// LogAppendTime: every record has this time, ms.
    pub fn log_append_time(mut self, now: i64) -> Self {
        self.log_append_time = Some(now);
        self
    }

    /// The idempotent producer's id and epoch, and the sequence of the first record (-1 for
    /// markers).
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.producer_id = id;
        self.producer_epoch = epoch;
        self.base_sequence = base_sequence;
        self
    }

    /// The batch belongs to a transaction.
    pub fn transactional(mut self, transactional: bool) -> Self {
        self.transactional = transactional;
        self
    }

    /// The batch holds control records.
    pub fn control(mut self, control: bool) -> Self {
        self.control = control;
        self
    }

    /// When compaction may drop the batch's tombstones, ms (KIP-534).
    pub fn delete_horizon(mut self, delete_horizon: Option<i64>) -> Self {
        self.delete_horizon = delete_horizon;
        self
    }

    /// Count of the records pushed so far.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether no record was pushed yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the batch so far, if it were not compressed.
    pub fn uncompressed_len(&self) -> usize {
        self.bytes.len()
    }

    /// Makes room for so many bytes of records, so that pushing them does not grow the buffer.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Appends a record at the next offset.
    ///
    /// # Errors
    /// As [`BatchBuilder::push_at`].
    pub fn push(&mut self, record: NewRecord<'_>) -> Result<(), BuildError> {
        self.push_at(self.next_offset, record)
    }

    /// Appends a record as it was read, at its own offset.
    ///
    /// # Errors
    /// As [`BatchBuilder::push_at`].
    pub fn push_record(&mut self, record: &Record) -> Result<(), BuildError> {
        let copy = NewRecord {
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &record.headers,
        };
        self.push_at(record.offset, copy)
    }

    /// Appends a record at an offset at or above the next.
    ///
    /// # Errors
    /// [`BuildError::Offset`] if the offset goes back or too far, [`BuildError::TooLarge`] if the
    /// batch would be over 2 GiB; the batch is then as it was.
    pub fn push_at(&mut self, offset: i64, record: NewRecord<'_>) -> Result<(), BuildError> {
        let headers = record.headers;
        let mut headers_len = varlong_len(headers.len() as i64) as u64;
        for (key, value) in headers {
            headers_len += field_len(Some(key)) + field_len(value.as_deref());
        }
        self.put(offset, &record, headers_len, |bytes| {
            write_headers(bytes, headers)
        })
    }

    /// Appends a record at the next offset, with `headers` in place of the record's own.
    ///
    /// # Errors
    /// As [`BatchBuilder::push_at`].
    pub fn push_with(
        &mut self,
        record: NewRecord<'_>,
        headers: &EncodedHeaders,
    ) -> Result<(), BuildError> {
        let headers = headers.as_ref();
        self.put(self.next_offset, &record, headers.len() as u64, |bytes| {
            bytes.extend_from_slice(headers)
        })
    }

    fn put(
        &mut self,
        offset: i64,
        record: &NewRecord<'_>,
        headers_len: u64,
        put_headers: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), BuildError> {
        let (base_offset, next) = (self.base_offset, self.next_offset);
        let last = self.last_offset.unwrap_or(i64::MAX - 1);
        let delta = offset
            .checked_sub(base_offset)
            .and_then(|delta| i32::try_from(delta).ok());
        let Some(delta) = delta.filter(|_| (next..=last).contains(&offset)) else {
            return Err(BuildError::Offset {
                offset,
                base_offset,
                next,
            });
        };
        let first = self.delete_horizon.unwrap_or(record.timestamp);
        let base_timestamp = self.base_timestamp.unwrap_or(first);
        let timestamp_delta = record.timestamp.wrapping_sub(base_timestamp);
        let length = 1
            + varlong_len(timestamp_delta) as u64
            + varlong_len(i64::from(delta)) as u64
            + field_len(record.key)
            + field_len(record.value)
            + headers_len;
        let size = (self.uncompressed_len() + 5) as u64 + length;
        let (Ok(length), true) = (i32::try_from(length), size <= i32::MAX as u64) else {
            return Err(BuildError::TooLarge(size));
        };
        let bytes = &mut self.bytes;
        write_varint(bytes, length);
        bytes.push(0);
        write_varlong(bytes, timestamp_delta);
        write_varint(bytes, delta);
        write_field(bytes, record.key);
        write_field(bytes, record.value);
        put_headers(bytes);
        self.base_timestamp = Some(base_timestamp);
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        self.next_offset = offset + 1;
        self.count += 1;
        Ok(())
    }

    /// The batch's bytes. Without records it is a bare header, as compaction leaves it to keep a
    /// producer's last sequence; Kafka's brokers take no such batch from a client.
    ///
    /// # Errors
    /// [`BuildError::Compress`], [`BuildError::TooLarge`].
    pub fn build(mut self) -> Result<Bytes, BuildError> {
        let compression = match self.count {
            0 => Compression::None,
            _ => self.compression,
        };
        let mut bytes = std::mem::take(&mut self.bytes);
        if compression != Compression::None {
            let mut compressed = vec![0; HEADER_LEN];
            codec::compress(compression, &bytes[HEADER_LEN..], &mut compressed)?;
            bytes = compressed;
        }
        let size = bytes.len();
        let batch_length =
            i32::try_from(size - LOG_OVERHEAD).map_err(|_| BuildError::TooLarge(size as u64))?;
        let header = self.header(batch_length, compression, &bytes[HEADER_LEN..])?;
        bytes[..HEADER_LEN].copy_from_slice(&header.to_bytes());
        Ok(bytes.into())
    }

    fn header(
        &self,
        batch_length: i32,
        compression: Compression,
        payload: &[u8],
    ) -> Result<BatchHeader, BuildError> {
        let (base_offset, next) = (self.base_offset, self.next_offset);
        let last_offset = self.last_offset.unwrap_or((next - 1).max(base_offset));
        let last_offset_delta =
            i32::try_from(last_offset - base_offset).map_err(|_| BuildError::Offset {
                offset: last_offset,
                base_offset,
                next,
            })?;
        let timestamp_type = match self.log_append_time {
            Some(_) => TimestampType::LogAppendTime,
            None => TimestampType::CreateTime,
        };
        let max_timestamp = if self.count == 0 {
            self.empty_max_timestamp
        } else {
            self.max_timestamp
        };
        let mut header = BatchHeader {
            base_offset,
            batch_length,
            partition_leader_epoch: self.leader_epoch,
            magic: MAGIC,
            crc: 0,
            attributes: attributes(
                compression,
                timestamp_type,
                self.transactional,
                self.control,
                self.delete_horizon.is_some(),
            ),
            last_offset_delta,
            base_timestamp: self
                .delete_horizon
                .or(self.base_timestamp)
                .unwrap_or(NO_TIMESTAMP),
            max_timestamp: self.log_append_time.unwrap_or(max_timestamp),
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            records_count: self.count,
        };
        header.crc = crc32c(&header.to_bytes()[CRC_COVERS_FROM..], payload);
        Ok(header)
    }
}

/// Bytes of a field with its length.
fn field_len(field: Option<&[u8]>) -> u64 {
    match field {
        None => 1,
        Some(bytes) => varlong_len(bytes.len() as i64) as u64 + bytes.len() as u64,
    }
}

fn write_headers(out: &mut Vec<u8>, headers: &[Header]) {
    write_varlong(out, headers.len() as i64);
    for (key, value) in headers {
        write_field(out, Some(key));
        write_field(out, value.as_deref());
    }
}

fn write_field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => write_varint(out, -1),
        Some(bytes) => {
            write_varlong(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}
