//! What a broker checks before it appends a producer's batch: Kafka's rules for format v2.
//!
//! Invariant: a batch that passes can be appended with nothing but a new front, and whoever reads
//! it later finds exactly the records that its header announces. Nothing of it is held inflated.
//!
//! Stricter than Kafka where Kafka would store what it cannot vouch for: offset deltas of
//! uncompressed records must be 0, 1, 2, ..., lengths exact, null only -1, the timestamp type never
//! LogAppendTime, a delete horizon never set, a producer's epoch not negative, and a transactional
//! batch must have a producer id.

use super::codec::Decoder;
use super::error::{BatchError, InvalidBatch, RecordError, RecordReason};
use super::header::{BatchHeader, Compression, HEADER_LEN, NO_TIMESTAMP};
use super::record::{MIN_RECORD_LEN, batch_error, walk_record};
use super::source::{SliceSource, Source, StreamSource};
use super::split::Batch;

/// What a compressed batch may inflate to unless the caller says otherwise: 256 MiB. A producer
/// that is refused for it splits the batch and sends the parts.
pub const DEFAULT_MAX_INFLATED_BYTES: u64 = 256 * 1024 * 1024;

/// How a topic judges the records' timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampPolicy {
    /// `message.timestamp.type=CreateTime`: a record's timestamp must be near the broker's clock.
    CreateTime {
        /// The broker's clock, ms.
        now: i64,
        /// `message.timestamp.before.max.ms`: so far behind it may be.
        before_max_ms: i64,
        /// `message.timestamp.after.max.ms`: so far ahead it may be.
        after_max_ms: i64,
    },
    /// `message.timestamp.type=LogAppendTime`: the producer's timestamps do not matter.
    LogAppendTime,
}

/// What the topic and the request ask of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidateOptions {
    /// `max.message.bytes`: largest batch, header included.
    pub max_message_bytes: usize,
    /// Whether the topic is compacted, so that every record needs a key.
    pub require_keys: bool,
    /// How timestamps are judged.
    pub timestamps: TimestampPolicy,
    /// Whether the request's version knows zstd (Produce v7 on, KIP-110).
    pub allow_zstd: bool,
    /// Bytes of records that a compressed batch may inflate to.
    pub max_inflated_bytes: u64,
}

impl Default for ValidateOptions {
    /// Kafka's defaults of a topic, with timestamps not judged.
    fn default() -> Self {
        Self {
            max_message_bytes: 1024 * 1024 + 12,
            require_keys: false,
            timestamps: TimestampPolicy::LogAppendTime,
            allow_zstd: true,
            max_inflated_bytes: DEFAULT_MAX_INFLATED_BYTES,
        }
    }
}

/// What validation found out on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validated {
    /// The true largest timestamp of the records, ms; the header's may differ.
    pub max_timestamp: i64,
    /// Offset delta of the first record with that timestamp.
    pub max_timestamp_delta: i32,
    /// Count of records, at least 1.
    pub records_count: i32,
    /// Bytes of the records when not compressed.
    pub inflated_bytes: u64,
}

/// Checks a batch that a client sent. Cheap checks come first, each byte is looked at twice at
/// most (CRC, walk), and compressed records stream through one small buffer.
///
/// # Errors
/// The first thing that is wrong, or all records that are refused one by one (missing key,
/// timestamp). [`InvalidBatch::error_code`] gives the code for the client.
pub fn validate(batch: &Batch, options: &ValidateOptions) -> Result<Validated, InvalidBatch> {
    let header = &batch.header;
    if header.base_offset != 0 {
        return Err(InvalidBatch::BaseOffset(header.base_offset));
    }
    let (size, max) = (batch.bytes.len(), options.max_message_bytes);
    if size > max {
        return Err(InvalidBatch::TooLarge { size, max });
    }
    batch.verify_crc()?;
    let codec = header.compression()?;
    if codec == Compression::Zstd && !options.allow_zstd {
        return Err(InvalidBatch::ZstdTooNew);
    }
    validate_header(header)?;
    if codec == Compression::None {
        let payload = &batch.bytes[HEADER_LEN..];
        // Spares the walk if the count cannot be true.
        if header.records_count as usize > payload.len() / MIN_RECORD_LEN {
            let (count, last_offset_delta) = (header.records_count, header.last_offset_delta);
            return Err(InvalidBatch::Count {
                count,
                last_offset_delta,
            });
        }
        return validate_records(header, codec, &mut SliceSource::new(payload), options);
    }
    let limit = options.max_inflated_bytes;
    let decoder =
        Decoder::open(codec, batch.payload(), limit).map_err(|error| BatchError::Payload {
            codec,
            reason: error.to_string().into(),
        })?;
    validate_records(
        header,
        codec,
        &mut StreamSource::new(decoder, limit),
        options,
    )
}

fn validate_header(header: &BatchHeader) -> Result<(), InvalidBatch> {
    let (count, last_offset_delta) = (header.records_count, header.last_offset_delta);
    if count <= 0 || last_offset_delta != count - 1 {
        return Err(InvalidBatch::Count {
            count,
            last_offset_delta,
        });
    }
    if header.is_control() {
        return Err(InvalidBatch::ControlBatch);
    }
    if header.has_delete_horizon() {
        return Err(InvalidBatch::DeleteHorizon);
    }
    if header.has_producer_id() && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return Err(InvalidBatch::Producer {
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
        });
    }
    if header.is_transactional() && !header.has_producer_id() {
        return Err(InvalidBatch::TransactionalWithoutProducer);
    }
    if header.is_log_append_time() {
        return Err(InvalidBatch::LogAppendTime);
    }
    Ok(())
}

fn validate_records<S: Source>(
    header: &BatchHeader,
    codec: Compression,
    source: &mut S,
    options: &ValidateOptions,
) -> Result<Validated, InvalidBatch> {
    let count = header.records_count;
    let mut max_timestamp = NO_TIMESTAMP;
    let mut max_timestamp_delta = 0;
    let mut refused = Vec::new();
    for index in 0..count {
        let shape = walk_record(source).map_err(|error| batch_error(error, index, codec))?;
        if shape.offset_delta != index {
            return Err(InvalidBatch::OffsetDelta {
                index,
                offset_delta: shape.offset_delta,
            });
        }
        let timestamp = header.base_timestamp.wrapping_add(shape.timestamp_delta);
        if timestamp > max_timestamp {
            max_timestamp = timestamp;
            max_timestamp_delta = index;
        }
        let reason = if options.require_keys && !shape.has_key {
            Some(RecordReason::MissingKey)
        } else {
            options.timestamps.refuses(timestamp)
        };
        if let Some(reason) = reason
            && refused.len() < InvalidBatch::MAX_RECORD_ERRORS
        {
            refused.push(RecordError { index, reason });
        }
    }
    let inflated_bytes = source.position();
    if !source
        .at_end()
        .map_err(|error| batch_error(error, count, codec))?
    {
        return Err(BatchError::TrailingBytes(count).into());
    }
    if !refused.is_empty() {
        return Err(InvalidBatch::Records(refused));
    }
    Ok(Validated {
        max_timestamp,
        max_timestamp_delta,
        records_count: count,
        inflated_bytes,
    })
}

impl TimestampPolicy {
    /// Why a record with this timestamp is refused, if it is. No timestamp (-1) never is.
    #[inline]
    fn refuses(&self, timestamp: i64) -> Option<RecordReason> {
        let Self::CreateTime {
            now,
            before_max_ms,
            after_max_ms,
        } = *self
        else {
            return None;
        };
        let earliest = now.saturating_sub(before_max_ms);
        let latest = now.saturating_add(after_max_ms);
        if timestamp == NO_TIMESTAMP || (earliest..=latest).contains(&timestamp) {
            return None;
        }
        Some(RecordReason::Timestamp {
            timestamp,
            earliest,
            latest,
        })
    }
}
