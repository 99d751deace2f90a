//! Record batches, seen from outside: read as Kafka wrote them, refused where Kafka refuses them,
//! and never a panic or a large allocation, whatever the bytes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod golden;
mod hostile;
mod round_trip;
mod rules;

use bytes::{Bytes, BytesMut};
use catchword_wire::batch::{Batch, BatchBuilder, Compression, HEADER_LEN, NewRecord};

/// Every codec.
const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// A batch of ordinary records, as a producer would send it.
fn sample(codec: Compression, count: i64) -> Batch {
    let mut builder = BatchBuilder::new(0).compression(codec);
    for i in 0..count {
        let value = format!("the value of record number {i}");
        let record = NewRecord {
            timestamp: 1_000 + i,
            key: Some(b"key"),
            value: Some(value.as_bytes()),
            headers: &[(Bytes::from_static(b"h"), None)],
        };
        builder.push(record).unwrap();
    }
    parse(builder.build().unwrap())
}

fn parse(bytes: impl Into<Bytes>) -> Batch {
    Batch::parse(&bytes.into()).unwrap()
}

/// The batch with some bytes of its header overwritten, and a CRC that fits again.
fn patched(batch: &Batch, at: usize, bytes: &[u8]) -> Batch {
    let mut patched = BytesMut::from(&batch.bytes[..]);
    patched[at..at + bytes.len()].copy_from_slice(bytes);
    with_crc(patched)
}

/// The batch of these bytes, its length and CRC made to fit them.
fn with_crc(mut bytes: BytesMut) -> Batch {
    let length = (bytes.len() - 12) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc_fast::crc32_iscsi(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    parse(bytes)
}

/// An uncompressed batch whose payload is taken as it is.
fn with_payload(codec: Compression, count: i32, payload: &[u8]) -> Batch {
    let mut bytes = BytesMut::from(&sample(Compression::None, 1).bytes[..HEADER_LEN]);
    bytes.extend_from_slice(payload);
    bytes[21..23].copy_from_slice(&u16::from(codec.id()).to_be_bytes());
    bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    bytes[57..61].copy_from_slice(&count.to_be_bytes());
    with_crc(bytes)
}
