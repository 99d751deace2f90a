//! What an append changes in a producer's batch: its front, never its payload.
//!
//! Invariant: the stamped front followed by the rest of the batch's own bytes is a sound batch. A
//! log writes the two pieces with one vectored write.

use bytes::{Bytes, BytesMut};

use super::header::{BatchHeader, CRC_COVERS_FROM, HEADER_LEN, STAMP_LEN, TimestampType, crc32c};
use super::split::Batch;
use super::validate::Validated;

/// The first 16 bytes of the batch at its place in the log. The CRC does not cover them.
pub fn stamped_prefix(batch: &Batch, base_offset: i64, leader_epoch: i32) -> [u8; STAMP_LEN] {
    let mut prefix = [0; STAMP_LEN];
    prefix[0..8].copy_from_slice(&base_offset.to_be_bytes());
    prefix[8..12].copy_from_slice(&batch.header.batch_length.to_be_bytes());
    prefix[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
    prefix
}

/// The whole header of the batch at its place in the log, with this timestamp type and max
/// timestamp (ms), and the CRC that goes with them. Reads the payload once, for the CRC.
pub fn stamped_header(
    batch: &Batch,
    base_offset: i64,
    leader_epoch: i32,
    timestamp_type: TimestampType,
    max_timestamp: i64,
) -> [u8; HEADER_LEN] {
    restamped(
        batch,
        base_offset,
        leader_epoch,
        timestamp_type,
        max_timestamp,
    )
    .to_bytes()
}

fn restamped(
    batch: &Batch,
    base_offset: i64,
    leader_epoch: i32,
    timestamp_type: TimestampType,
    max_timestamp: i64,
) -> BatchHeader {
    let mut header = batch.header.clone();
    header.base_offset = base_offset;
    header.partition_leader_epoch = leader_epoch;
    header.set_timestamp_type(timestamp_type);
    header.max_timestamp = max_timestamp;
    header.crc = crc32c(
        &header.to_bytes()[CRC_COVERS_FROM..],
        &batch.bytes[HEADER_LEN..],
    );
    header
}

/// A batch's new front: 16 bytes if only its place changes, else the whole header.
#[derive(Debug, Clone)]
pub struct Stamp {
    header: BatchHeader,
    front: [u8; HEADER_LEN],
    front_len: usize,
}

impl Stamp {
    /// For a topic with CreateTime. The max timestamp is put right if the producer's is not.
    pub fn create_time(
        batch: &Batch,
        validated: &Validated,
        base_offset: i64,
        leader_epoch: i32,
    ) -> Self {
        let create_time = TimestampType::CreateTime;
        let true_max = validated.max_timestamp;
        if batch.header.max_timestamp != true_max || batch.header.is_log_append_time() {
            let header = restamped(batch, base_offset, leader_epoch, create_time, true_max);
            return Self::whole(header);
        }
        let mut front = [0; HEADER_LEN];
        front[..STAMP_LEN].copy_from_slice(&stamped_prefix(batch, base_offset, leader_epoch));
        let mut header = batch.header.clone();
        header.base_offset = base_offset;
        header.partition_leader_epoch = leader_epoch;
        Self {
            header,
            front,
            front_len: STAMP_LEN,
        }
    }

    /// For a topic with LogAppendTime: every record of the batch gets the time `now`, ms.
    pub fn log_append_time(batch: &Batch, now: i64, base_offset: i64, leader_epoch: i32) -> Self {
        let log_append_time = TimestampType::LogAppendTime;
        Self::whole(restamped(
            batch,
            base_offset,
            leader_epoch,
            log_append_time,
            now,
        ))
    }

    fn whole(header: BatchHeader) -> Self {
        let front = header.to_bytes();
        Self {
            header,
            front,
            front_len: HEADER_LEN,
        }
    }

    /// The header as it will be in the log.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The bytes to write first: 16 or 61.
    pub fn front(&self) -> &[u8] {
        &self.front[..self.front_len]
    }

    /// The bytes of `batch` to write after [`Stamp::front`]; no copy.
    pub fn rest(&self, batch: &Batch) -> Bytes {
        batch.bytes.slice(self.front_len..)
    }

    /// The stamped batch in one piece; copies it. For tests and logs in memory.
    pub fn apply(&self, batch: &Batch) -> Batch {
        let mut bytes = BytesMut::with_capacity(batch.bytes.len());
        bytes.extend_from_slice(self.front());
        bytes.extend_from_slice(&batch.bytes[self.front_len..]);
        Batch {
            header: self.header.clone(),
            bytes: bytes.freeze(),
        }
    }
}
