//! The 61 bytes in front of every batch: parsed from bytes, written to bytes.
//!
//! Invariant: `BatchHeader::parse(&header.to_bytes())` gives the header back, whatever its fields.
//! Parsing needs no payload and judges only what it must to find the batch's end: magic and length.

use std::fmt;

use super::error::BatchError;

/// Bytes of a batch header.
pub const HEADER_LEN: usize = 61;
/// Bytes at the front of a batch that no CRC covers and an append replaces: base offset, length,
/// partition leader epoch.
pub const STAMP_LEN: usize = 16;
/// Bytes of base offset and batch length, which the batch length does not count.
pub(super) const LOG_OVERHEAD: usize = 12;
/// Where the CRC is.
pub(super) const CRC_AT: usize = 17;
/// Where the bytes begin that the CRC covers.
pub(super) const CRC_COVERS_FROM: usize = 21;
/// Where the magic is, in this and in every older format.
const MAGIC_AT: usize = 16;

/// The format written and read here.
pub const MAGIC: i8 = 2;
/// No producer id: the batch is not idempotent.
pub const NO_PRODUCER_ID: i64 = -1;
/// No producer epoch.
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// No sequence.
pub const NO_SEQUENCE: i32 = -1;
/// No timestamp.
pub const NO_TIMESTAMP: i64 = -1;
/// No leader epoch; what producers send.
pub const NO_LEADER_EPOCH: i32 = -1;

const COMPRESSION_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

/// How a batch's records are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, RFC 1952.
    Gzip,
    /// Snappy: written in xerial's framing as Kafka's Java client does; raw blocks are read too.
    Snappy,
    /// LZ4 frames with independent blocks.
    Lz4,
    /// Zstandard (KIP-110).
    Zstd,
}

impl Compression {
    /// The id in the attributes.
    pub fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The codec with this id.
    pub fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }
}

impl fmt::Display for Compression {
    /// Kafka's name of the codec, as in `compression.type`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

/// Who set the timestamps of a batch (`message.timestamp.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// The producer, record by record.
    #[default]
    CreateTime,
    /// The broker: every record of the batch has the batch's max timestamp.
    LogAppendTime,
}

/// A batch's header, field by field, as it is in the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record the batch ever had; 0 from a producer.
    pub base_offset: i64,
    /// Bytes after this field: the size of the batch less 12.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch.
    pub partition_leader_epoch: i32,
    /// Format, always [`MAGIC`].
    pub magic: i8,
    /// CRC-32C of all that follows it.
    pub crc: u32,
    /// Flags; read them through the methods.
    pub attributes: i16,
    /// Offset of the last record the batch ever had, less the base offset. Compaction keeps it.
    pub last_offset_delta: i32,
    /// Timestamp that the records' deltas count from, ms; or the delete horizon.
    pub base_timestamp: i64,
    /// Largest timestamp of the records, ms; with LogAppendTime the time of the append.
    pub max_timestamp: i64,
    /// Id of the idempotent producer, or -1.
    pub producer_id: i64,
    /// Epoch of the producer, or -1.
    pub producer_epoch: i16,
    /// Sequence of the first record, or -1.
    pub base_sequence: i32,
    /// Records that are in the batch.
    pub records_count: i32,
}

impl BatchHeader {
    /// Reads the header at the front of `bytes`, which need not hold the payload.
    ///
    /// # Errors
    /// [`BatchError::TooShort`] below [`HEADER_LEN`] bytes, [`BatchError::UnsupportedMagic`] for
    /// every format but v2, [`BatchError::InvalidLength`] if the length does not cover the header.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        if let Some(&magic) = bytes.get(MAGIC_AT)
            && magic as i8 != MAGIC
        {
            return Err(BatchError::UnsupportedMagic(magic as i8));
        }
        let Some(b) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(BatchError::TooShort {
                needed: HEADER_LEN,
                available: bytes.len(),
            });
        };
        let header = Self {
            base_offset: i64::from_be_bytes(at(b, 0)),
            batch_length: i32::from_be_bytes(at(b, 8)),
            partition_leader_epoch: i32::from_be_bytes(at(b, 12)),
            magic: b[MAGIC_AT] as i8,
            crc: u32::from_be_bytes(at(b, CRC_AT)),
            attributes: i16::from_be_bytes(at(b, 21)),
            last_offset_delta: i32::from_be_bytes(at(b, 23)),
            base_timestamp: i64::from_be_bytes(at(b, 27)),
            max_timestamp: i64::from_be_bytes(at(b, 35)),
            producer_id: i64::from_be_bytes(at(b, 43)),
            producer_epoch: i16::from_be_bytes(at(b, 51)),
            base_sequence: i32::from_be_bytes(at(b, 53)),
            records_count: i32::from_be_bytes(at(b, 57)),
        };
        if header.batch_length < (HEADER_LEN - LOG_OVERHEAD) as i32 {
            return Err(BatchError::InvalidLength(header.batch_length));
        }
        Ok(header)
    }

    /// The header as bytes, CRC included as it is in `self`.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut b = [0; HEADER_LEN];
        b[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        b[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        b[12..16].copy_from_slice(&self.partition_leader_epoch.to_be_bytes());
        b[16] = self.magic as u8;
        b[17..21].copy_from_slice(&self.crc.to_be_bytes());
        b[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        b[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        b[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        b[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        b[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        b[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        b[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        b[57..61].copy_from_slice(&self.records_count.to_be_bytes());
        b
    }

    /// Bytes of the whole batch, header included. At least [`HEADER_LEN`].
    pub fn size_in_bytes(&self) -> usize {
        LOG_OVERHEAD + self.batch_length.max(0) as usize
    }

    /// Offset of the last record the batch ever had.
    pub fn last_offset(&self) -> i64 {
        self.base_offset
            .wrapping_add(i64::from(self.last_offset_delta))
    }

    /// Offset that follows the batch.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().wrapping_add(1)
    }

    /// Sequence of the last record, or [`NO_SEQUENCE`]. Sequences wrap from `i32::MAX` to 0.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return NO_SEQUENCE;
        }
        self.base_sequence.wrapping_add(self.last_offset_delta) & i32::MAX
    }

    /// How the records are compressed.
    ///
    /// # Errors
    /// [`BatchError::UnknownCompression`] for an id that Kafka does not define.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        let id = (self.attributes & COMPRESSION_MASK) as u8;
        Compression::from_id(id).ok_or(BatchError::UnknownCompression(id))
    }

    /// Who set the timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.is_log_append_time() {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    /// Whether the broker set the timestamps.
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// Whether the batch belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the batch holds control records (transaction markers), which no application sees.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Whether an idempotent or transactional producer made the batch.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// Whether compaction has set a delete horizon (KIP-534).
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes & DELETE_HORIZON != 0
    }

    /// When compaction may drop the tombstones and markers of this batch, ms (KIP-534).
    pub fn delete_horizon(&self) -> Option<i64> {
        self.has_delete_horizon().then_some(self.base_timestamp)
    }

    /// Sets who set the timestamps. The CRC must then be computed anew.
    pub(super) fn set_timestamp_type(&mut self, timestamp_type: TimestampType) {
        match timestamp_type {
            TimestampType::CreateTime => self.attributes &= !LOG_APPEND_TIME,
            TimestampType::LogAppendTime => self.attributes |= LOG_APPEND_TIME,
        }
    }
}

/// The flags of a batch, put together.
pub(super) fn attributes(
    compression: Compression,
    timestamp_type: TimestampType,
    transactional: bool,
    control: bool,
    delete_horizon: bool,
) -> i16 {
    let flag = |set: bool, bit: i16| if set { bit } else { 0 };
    i16::from(compression.id())
        | flag(
            timestamp_type == TimestampType::LogAppendTime,
            LOG_APPEND_TIME,
        )
        | flag(transactional, TRANSACTIONAL)
        | flag(control, CONTROL)
        | flag(delete_horizon, DELETE_HORIZON)
}

/// CRC-32C (CRC-32/ISCSI) of bytes that lie in two pieces.
pub(super) fn crc32c(front: &[u8], rest: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(front);
    digest.update(rest);
    digest.finalize() as u32
}

fn at<const N: usize>(header: &[u8; HEADER_LEN], from: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&header[from..from + N]);
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_32c() {
        // The check value of CRC-32/ISCSI in the catalogue of CRCs.
        assert_eq!(crc32c(b"123456789", b""), 0xe306_9283);
        assert_eq!(crc32c(b"1234", b"56789"), 0xe306_9283);
        assert_eq!(crc_fast::crc32_iscsi(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn sequences_wrap_past_the_largest_to_zero() {
        let mut header = BatchHeader::parse(&zeroed(49)).unwrap();
        header.base_sequence = i32::MAX - 1;
        header.last_offset_delta = 1;
        assert_eq!(header.last_sequence(), i32::MAX);
        header.last_offset_delta = 2;
        assert_eq!(header.last_sequence(), 0);
        header.base_sequence = NO_SEQUENCE;
        assert_eq!(header.last_sequence(), NO_SEQUENCE);
    }

    #[test]
    fn a_length_that_does_not_cover_the_header_is_refused() {
        for length in [i32::MIN, -1, 0, 48] {
            let parsed = BatchHeader::parse(&zeroed(length));
            assert_eq!(parsed, Err(BatchError::InvalidLength(length)));
        }
        assert_eq!(
            BatchHeader::parse(&zeroed(49)).unwrap().size_in_bytes(),
            HEADER_LEN
        );
        let largest = BatchHeader::parse(&zeroed(i32::MAX)).unwrap();
        assert_eq!(largest.size_in_bytes(), i32::MAX as usize + 12);
    }

    #[test]
    fn old_formats_are_named_even_where_the_bytes_end_early() {
        let mut old = [0u8; 26];
        assert_eq!(
            BatchHeader::parse(&old),
            Err(BatchError::UnsupportedMagic(0))
        );
        old[16] = 1;
        assert_eq!(
            BatchHeader::parse(&old),
            Err(BatchError::UnsupportedMagic(1))
        );
    }

    fn zeroed(length: i32) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[16] = 2;
        bytes
    }
}
