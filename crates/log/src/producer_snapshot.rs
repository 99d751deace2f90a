//! Producer state as a file, in Kafka's format, version 1.
//!
//! Layout, big-endian: version (i16), CRC-32C of all that follows it (u32), count (i32), and of each producer: id (i64),
//! epoch (i16), last sequence (i32), last offset (i64), offset delta (i32), timestamp (i64), coordinator epoch (i32),
//! first offset of the open transaction or -1 (i64). Of the last five batches only the newest is kept, as in Kafka.

use bytes::{Buf, BufMut};

use crate::producer_state::{BatchPlace, Producer, Producers};

const VERSION: i16 = 1;
const ENTRY_LEN: usize = 46;

fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// The bytes of the snapshot.
pub(crate) fn encode(producers: &Producers) -> Vec<u8> {
    let mut entries: Vec<_> = producers.iter().collect();
    entries.sort_unstable_by_key(|(id, _)| *id);
    let mut body = Vec::with_capacity(4 + entries.len() * ENTRY_LEN);
    body.put_i32(i32::try_from(entries.len()).expect("memory holds fewer than 2^31 producers"));
    for (id, producer) in entries {
        let last = producer.last_batch();
        body.put_i64(id);
        body.put_i16(producer.epoch);
        body.put_i32(producer.last_sequence());
        body.put_i64(last.map_or(-1, |batch| batch.last_offset));
        body.put_i32(last.map_or(0, |batch| batch.offset_delta));
        body.put_i64(producer.last_timestamp);
        body.put_i32(producer.coordinator_epoch);
        body.put_i64(producer.txn_first_offset.unwrap_or(-1));
    }
    let mut bytes = Vec::with_capacity(6 + body.len());
    bytes.put_i16(VERSION);
    bytes.put_u32(crc32c(&body));
    bytes.extend_from_slice(&body);
    bytes
}

/// The state in a snapshot's bytes, or what is wrong with them.
pub(crate) fn decode(mut bytes: &[u8]) -> Result<Producers, String> {
    let short = |_| "it is cut short".to_owned();
    let version = bytes.try_get_i16().map_err(short)?;
    if version != VERSION {
        return Err(format!("version {version} is unknown"));
    }
    let stored = bytes.try_get_u32().map_err(short)?;
    let computed = crc32c(bytes);
    if stored != computed {
        return Err(format!(
            "stored CRC {stored:#010x}, computed {computed:#010x}"
        ));
    }
    let count = bytes.try_get_i32().map_err(short)?;
    if usize::try_from(count)
        .ok()
        .and_then(|count| count.checked_mul(ENTRY_LEN))
        != Some(bytes.len())
    {
        return Err(format!("{count} producers do not fit its length"));
    }
    let mut producers = Producers::default();
    while bytes.has_remaining() {
        let id = bytes.get_i64();
        let mut producer = Producer::UNKNOWN;
        producer.epoch = bytes.get_i16();
        let (last_sequence, last_offset) = (bytes.get_i32(), bytes.get_i64());
        let (offset_delta, timestamp) = (bytes.get_i32(), bytes.get_i64());
        if last_offset >= 0 {
            let batch = BatchPlace {
                last_sequence,
                last_offset,
                offset_delta,
                timestamp,
            };
            producer.add_batch(producer.epoch, batch);
        }
        producer.last_timestamp = timestamp;
        producer.coordinator_epoch = bytes.get_i32();
        producer.txn_first_offset = Some(bytes.get_i64()).filter(|first| *first >= 0);
        producers.insert(id, producer);
    }
    Ok(producers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producers() -> Producers {
        let mut producers = Producers::default();
        let mut producer = Producer::UNKNOWN;
        producer.coordinator_epoch = 8;
        let batch = BatchPlace {
            last_sequence: 9,
            last_offset: 109,
            offset_delta: 4,
            timestamp: 77,
        };
        producer.add_batch(3, batch);
        producer.txn_first_offset = Some(105);
        producers.insert(1000, producer);
        producers.insert(1001, Producer::UNKNOWN);
        producers
    }

    #[test]
    fn a_snapshot_reads_as_it_was_written() {
        assert_eq!(decode(&encode(&producers())), Ok(producers()));
        assert_eq!(encode(&Producers::default()).len(), 10);
    }

    #[test]
    fn each_damaged_byte_and_each_cut_is_noticed() {
        let bytes = encode(&producers());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            assert!(decode(&damaged).is_err(), "byte {at}");
            assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
