//! What can be wrong with a batch, and which Kafka error each wrong means.
//!
//! Invariant: each error keeps the numbers that show its cause. The one mapping to Kafka's codes is
//! here, as plain `i16`, so that this module needs no table of all of Kafka's errors.

use super::header::Compression;

/// The Kafka error codes a batch can be refused with.
pub mod code {
    /// CORRUPT_MESSAGE: the bytes were damaged on their way; the same request may succeed again.
    pub const CORRUPT_MESSAGE: i16 = 2;
    /// MESSAGE_TOO_LARGE: the batch (or what it inflates to) is over the limit. Clients split it.
    pub const MESSAGE_TOO_LARGE: i16 = 10;
    /// INVALID_TIMESTAMP: a record's timestamp is out of the topic's range, or of the wrong type.
    pub const INVALID_TIMESTAMP: i16 = 32;
    /// UNSUPPORTED_COMPRESSION_TYPE: an unknown codec, or zstd in a request too old for it.
    pub const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
    /// INVALID_RECORD: the batch is as the client made it, and wrong; sending it again is no use.
    pub const INVALID_RECORD: i16 = 87;
}

/// Bytes that are not a record batch, or not a whole one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Fewer bytes than a batch header needs.
    #[error("{available} bytes are too few for a record batch, which has at least {needed}")]
    TooShort {
        /// Bytes needed to go on.
        needed: usize,
        /// Bytes there are.
        available: usize,
    },
    /// The batch length field is negative or smaller than the rest of the header.
    #[error("the batch length {0} is impossible")]
    InvalidLength(i32),
    /// The header announces more bytes than there are.
    #[error("the batch says it has {size} bytes, {available} are there")]
    Truncated {
        /// Bytes that the header announces, itself included.
        size: usize,
        /// Bytes there are.
        available: usize,
    },
    /// Not format v2. Magic 0 and 1 are the message sets of Kafka before 0.11.
    #[error("record batch magic {0} is not supported")]
    UnsupportedMagic(i8),
    /// The checksum does not match: the bytes were damaged.
    #[error("the batch is corrupt: stored CRC {stored:#010x}, computed {computed:#010x}")]
    BadCrc {
        /// CRC in the header.
        stored: u32,
        /// CRC of the bytes.
        computed: u32,
    },
    /// A codec id that Kafka does not define.
    #[error("compression codec {0} is unknown")]
    UnknownCompression(u8),
    /// The count of records is negative.
    #[error("the batch says it has {0} records")]
    NegativeCount(i32),
    /// A record's bytes are malformed.
    #[error("record {index} of the batch is malformed: {fault}")]
    Record {
        /// Index of the record in its batch.
        index: i32,
        /// What is wrong with it.
        fault: RecordFault,
    },
    /// Bytes are left over after the last record.
    #[error("bytes are left after the {0} records of the batch")]
    TrailingBytes(i32),
    /// The compressed payload cannot be opened.
    #[error("the {codec} payload cannot be read: {reason}")]
    Payload {
        /// The codec of the batch.
        codec: Compression,
        /// What the decompressor says.
        reason: Box<str>,
    },
    /// The payload inflates beyond the limit.
    #[error("the batch inflates to more than {limit} bytes")]
    InflatesTooLarge {
        /// The limit, bytes.
        limit: u64,
    },
}

impl BatchError {
    /// The Kafka error code (see [`code`]) that a producer of such a batch gets.
    pub fn error_code(&self) -> i16 {
        match self {
            Self::InvalidLength(_) | Self::BadCrc { .. } => code::CORRUPT_MESSAGE,
            // Kafka takes only v2 in the produce requests that it still speaks: the old formats
            // are invalid, a magic that never was is damage.
            Self::UnsupportedMagic(0 | 1) => code::INVALID_RECORD,
            Self::UnsupportedMagic(_) => code::CORRUPT_MESSAGE,
            Self::UnknownCompression(_) => code::UNSUPPORTED_COMPRESSION_TYPE,
            Self::InflatesTooLarge { .. } => code::MESSAGE_TOO_LARGE,
            // To Kafka a batch that is not whole is none at all.
            Self::TooShort { .. }
            | Self::Truncated { .. }
            | Self::NegativeCount(_)
            | Self::Record { .. }
            | Self::TrailingBytes(_)
            | Self::Payload { .. } => code::INVALID_RECORD,
        }
    }
}

/// What is wrong with the bytes of one record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// The batch ends before the record does.
    #[error("the batch ends within it")]
    PastEnd,
    /// A field reaches beyond the length that the record announces.
    #[error("a field of {0} bytes reaches past its end")]
    FieldPastRecord(i64),
    /// A length that must not be negative is.
    #[error("it has a negative length, {0}")]
    NegativeLength(i32),
    /// A variable-length integer is longer than its type.
    #[error("a variable-length integer is too long")]
    VarintTooLong,
    /// The record's fields end before its announced length does.
    #[error("{0} bytes are left in it after its last field")]
    LeftOver(u64),
}

/// A batch that a broker must not append, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBatch {
    /// The bytes are not a sound batch.
    #[error(transparent)]
    Malformed(#[from] BatchError),
    /// The batch is larger than the topic allows (`max.message.bytes`).
    #[error("the batch has {size} bytes, the topic allows {max}")]
    TooLarge {
        /// Size of the batch, bytes.
        size: usize,
        /// `max.message.bytes`.
        max: usize,
    },
    /// A producer's base offset is not 0.
    #[error("a producer's batch has base offset 0, this one has {0}")]
    BaseOffset(i64),
    /// Codec zstd in a request of a version that does not know it (Produce before v7, KIP-110).
    #[error("zstd needs a newer version of the request")]
    ZstdTooNew,
    /// The count of records and the offset range do not agree, or there are no records.
    #[error("the batch has {count} records and last offset delta {last_offset_delta}")]
    Count {
        /// Records that the header announces.
        count: i32,
        /// The header's last offset delta.
        last_offset_delta: i32,
    },
    /// A record's offset delta is not its index.
    #[error("record {index} of the batch has offset delta {offset_delta}")]
    OffsetDelta {
        /// Index of the record in its batch.
        index: i32,
        /// The delta it carries.
        offset_delta: i32,
    },
    /// Only brokers write control batches.
    #[error("clients must not write control batches")]
    ControlBatch,
    /// Only compaction sets a delete horizon.
    #[error("clients must not set a delete horizon")]
    DeleteHorizon,
    /// The producer's fields do not fit together.
    #[error("producer id {producer_id} with epoch {producer_epoch}, sequence {base_sequence}")]
    Producer {
        /// Producer id.
        producer_id: i64,
        /// Producer epoch.
        producer_epoch: i16,
        /// Sequence of the first record.
        base_sequence: i32,
    },
    /// A transactional batch without a producer id.
    #[error("a transactional batch needs a producer id")]
    TransactionalWithoutProducer,
    /// The client says that the broker set the timestamps.
    #[error("producers must not set the timestamp type to LogAppendTime")]
    LogAppendTime,
    /// Single records are refused. Not empty; at most [`InvalidBatch::MAX_RECORD_ERRORS`] of them.
    #[error("{} records are refused, first record {}: {}", .0.len(), .0[0].index, .0[0].reason)]
    Records(Vec<RecordError>),
}

impl InvalidBatch {
    /// So many refused records of a batch are named at most; the rest are refused without mention.
    pub const MAX_RECORD_ERRORS: usize = 256;

    /// The Kafka error code (see [`code`]) of the partition's answer.
    pub fn error_code(&self) -> i16 {
        match self {
            Self::Malformed(error) => error.error_code(),
            Self::TooLarge { .. } => code::MESSAGE_TOO_LARGE,
            Self::ZstdTooNew => code::UNSUPPORTED_COMPRESSION_TYPE,
            Self::LogAppendTime => code::INVALID_TIMESTAMP,
            Self::BaseOffset(_)
            | Self::Count { .. }
            | Self::OffsetDelta { .. }
            | Self::ControlBatch
            | Self::DeleteHorizon
            | Self::Producer { .. }
            | Self::TransactionalWithoutProducer => code::INVALID_RECORD,
            Self::Records(errors) => {
                let timestamp =
                    |e: &RecordError| matches!(e.reason, RecordReason::Timestamp { .. });
                if errors.iter().any(timestamp) {
                    code::INVALID_TIMESTAMP
                } else {
                    code::INVALID_RECORD
                }
            }
        }
    }

    /// The refused records, for the `record_errors` of a Produce response (KIP-467).
    pub fn record_errors(&self) -> &[RecordError] {
        match self {
            Self::Records(errors) => errors,
            _ => &[],
        }
    }
}

/// One refused record (KIP-467).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// Index of the record in its batch.
    pub index: i32,
    /// Why it is refused.
    pub reason: RecordReason,
}

/// Why a single record is refused. `Display` gives the message for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordReason {
    /// The topic is compacted and the record has no key.
    #[error("a compacted topic takes no record without a key")]
    MissingKey,
    /// The timestamp is too far from the broker's clock.
    #[error("timestamp {timestamp} is out of the range [{earliest}, {latest}]")]
    Timestamp {
        /// The record's timestamp, ms.
        timestamp: i64,
        /// Earliest one allowed, ms.
        earliest: i64,
        /// Latest one allowed, ms.
        latest: i64,
    },
}
