//! A snapshot of a coordinator shard's state, as it is kept beside the shard's log.
//!
//! ```text
//! 8 bytes  cwgroups
//! int16    version, 3
//! 16 bytes topic id
//! int64    end: it speaks of every record below this offset
//! int32    leader epoch of the record before that
//! int64    count of records
//! ...      the records that make the state, in record batches
//! int32    CRC-32C of all that stands before it
//! ```
//! Invariant: what is damaged, cut short or of another version is an error, never another state. A snapshot only saves
//! time: all that it says is in the log as well, so a version that is not known is simply not used.

use bytes::{Buf, BufMut, Bytes};
use catchword_coordinator::{ProducerEpoch, Records};
use catchword_wire::Uuid;
use catchword_wire::batch::{BatchBuilder, BuildError, NewRecord};

const MAGIC: &[u8; 8] = b"cwgroups";
/// 2: offsets of transactions that have not ended are in it. 3: it says who reads without a group.
const VERSION: i16 = 3;
const HEADER_LEN: usize = 8 + 2 + 16 + 8 + 4 + 8;
const CRC_LEN: usize = 4;
/// A batch is ended when it has grown to this: what is read at once stays in the processor's cache.
const BATCH_BYTES: usize = 256 * 1024;

/// Which log a snapshot is of, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Of {
    pub(super) topic_id: Uuid,
    /// It speaks of every record below this offset.
    pub(super) end: i64,
    /// The leader epoch of the record before `end`.
    pub(super) leader_epoch: i32,
}

/// A snapshot that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) of: Of,
    /// How many records there are.
    pub(super) records: u64,
    /// Record batches; their offsets mean nothing.
    pub(super) batches: Bytes,
}

/// Records that belong together, and the producer in whose transaction they wait, if they do.
pub(crate) type Part = (Option<ProducerEpoch>, Records);

/// Writes a snapshot. The parts keep their order.
pub(super) fn encode(of: Of, parts: &[Part]) -> Result<Vec<u8>, BuildError> {
    let records = count(parts);
    let mut bytes = Vec::with_capacity(HEADER_LEN + CRC_LEN + 96 * records);
    bytes.put_slice(MAGIC);
    bytes.put_i16(VERSION);
    bytes.put_slice(&of.topic_id.0);
    bytes.put_i64(of.end);
    bytes.put_i32(of.leader_epoch);
    bytes.put_u64(records as u64);
    for (producer, records) in parts {
        put_batches(*producer, records, &mut bytes)?;
    }
    let crc = crc_fast::crc32_iscsi(&bytes);
    bytes.put_u32(crc);
    Ok(bytes)
}

/// How many records there are.
pub(super) fn count(parts: &[Part]) -> usize {
    parts.iter().map(|(_, records)| records.len()).sum()
}

fn put_batches(
    producer: Option<ProducerEpoch>,
    records: &Records,
    bytes: &mut Vec<u8>,
) -> Result<(), BuildError> {
    let mut rest = records.iter().peekable();
    while rest.peek().is_some() {
        let mut builder = BatchBuilder::new(0);
        if let Some(ProducerEpoch { id, epoch }) = producer {
            builder = builder.producer(id, epoch, -1).transactional(true);
        }
        while let Some(record) = rest.next_if(|_| builder.uncompressed_len() < BATCH_BYTES) {
            builder.push(NewRecord {
                timestamp: 0,
                key: Some(record.key),
                value: record.value,
                headers: record.headers,
            })?;
        }
        bytes.put_slice(&builder.build()?);
    }
    Ok(())
}

/// Reads a snapshot; the error says what is wrong with it.
pub(super) fn decode(bytes: Bytes) -> Result<Snapshot, String> {
    if !bytes.starts_with(MAGIC) || bytes.len() < HEADER_LEN + CRC_LEN {
        return Err("it is damaged at its beginning".into());
    }
    let mut fields = &bytes[MAGIC.len()..HEADER_LEN];
    let version = fields.get_i16();
    if version != VERSION {
        return Err(format!(
            "it is of version {version}, which is not known here"
        ));
    }
    let body_len = bytes.len() - CRC_LEN;
    let crc = crc_fast::crc32_iscsi(&bytes[..body_len]);
    if (&bytes[body_len..]).get_u32() != crc {
        return Err("it is damaged: its checksum does not fit".into());
    }
    let mut topic_id = [0; 16];
    fields.copy_to_slice(&mut topic_id);
    Ok(Snapshot {
        of: Of {
            topic_id: Uuid(topic_id),
            end: fields.get_i64(),
            leader_epoch: fields.get_i32(),
        },
        records: fields.get_u64(),
        batches: bytes.slice(HEADER_LEN..body_len),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use catchword_coordinator::CoordinatorRecord;
    use catchword_wire::batch::{records, split};

    const OF: Of = Of {
        topic_id: Uuid([7; 16]),
        end: 42,
        leader_epoch: 3,
    };

    fn some(count: usize) -> Records {
        let one = |n| CoordinatorRecord {
            key: Bytes::from(format!("key-{n}")),
            value: (n % 3 != 0).then(|| Bytes::from(vec![b'v'; 1000])),
            headers: Default::default(),
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn a_snapshot_reads_as_it_was_written() {
        for count in [0, 1, 1000] {
            let written = some(count);
            let read = decode(encode(OF, &[(None, written.clone())]).unwrap().into()).unwrap();
            assert_eq!((read.of, read.records), (OF, count as u64));
            let mut found = Vec::new();
            for batch in split(read.batches) {
                let batch = batch.unwrap();
                for record in records(&batch).unwrap().map(Result::unwrap) {
                    found.push((record.key.unwrap(), record.value));
                }
            }
            let expected: Vec<_> = written.into_iter().map(|r| (r.key, r.value)).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn no_flipped_bit_and_no_missing_byte_goes_unnoticed() {
        let whole = encode(OF, &[(None, some(2))]).unwrap();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                assert!(decode(bytes.into()).is_err(), "bit {bit} of byte {at}");
            }
            let cut = Bytes::copy_from_slice(&whole[..at]);
            assert!(decode(cut).is_err(), "cut to {at}");
        }
    }

    #[test]
    fn another_version_is_named_and_not_taken_for_damage() {
        let mut bytes = encode(OF, &[(None, some(2))]).unwrap();
        bytes[9] = 9;
        assert!(decode(bytes.into()).unwrap_err().contains("version 9"));
    }
}
