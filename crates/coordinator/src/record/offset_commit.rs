//! The record of one committed offset.
//!
//! ```text
//! key    int16 1 · int16-string group · int16-string topic · int32 partition
//! value  int16 4 · int64 offset · int32 leader epoch · compact string metadata · int64 commit time
//!        · tagged fields: 0 = topic id, left out where unknown
//!        int16 1 · int64 offset · int16-string metadata · int64 commit time · int64 expiry time
//! ```
//! Version 1 is written only where the client asked for a retention of its own (OffsetCommit 2 to 4); versions 0 to 4
//! are read. Written by hand because it is the hottest path; the tests hold it against the generated codec.

use bytes::{BufMut, Bytes};
use catchword_wire::records::{OffsetCommitKey, OffsetCommitValue};
use catchword_wire::{DecodeError, Decoder, Encoder, Message, Uuid};

use super::key_type;
use crate::effect::{Headers, Output};
use crate::offsets::Bookmark;

/// The version that is written where no retention of its own was asked for.
const VALUE_VERSION: i16 = 4;

pub(super) fn decode_key(fields: &mut Decoder) -> Result<OffsetCommitKey, DecodeError> {
    OffsetCommitKey::decode(fields, 0)
}

/// Adds the record of `bookmark`.
///
/// The texts must fit a 16-bit length; the calls check it when they come in.
pub(crate) fn offset_commit(
    group_id: &str,
    topic: &str,
    partition: i32,
    bookmark: &Bookmark,
    headers: &Headers,
    out: &mut Output,
) {
    let key = |buffer: &mut Vec<u8>| put_key(group_id, topic, partition, buffer);
    out.records
        .put(headers, key, |buffer| put_value(bookmark, buffer));
}

/// Adds the tombstone of an offset.
pub(crate) fn offset_tombstone(
    group_id: &str,
    topic: &str,
    partition: i32,
    headers: &Headers,
    out: &mut Output,
) {
    let key = |buffer: &mut Vec<u8>| put_key(group_id, topic, partition, buffer);
    out.records.put_tombstone(headers, key);
}

fn put_key(group_id: &str, topic: &str, partition: i32, buffer: &mut Vec<u8>) {
    buffer.put_i16(key_type::OFFSET_COMMIT);
    put_string(buffer, group_id);
    put_string(buffer, topic);
    buffer.put_i32(partition);
}

fn put_value(bookmark: &Bookmark, buffer: &mut Vec<u8>) {
    let metadata = bookmark.metadata();
    match bookmark.expire_timestamp_ms() {
        None => {
            buffer.put_i16(VALUE_VERSION);
            buffer.put_i64(bookmark.offset);
            buffer.put_i32(bookmark.leader_epoch);
            put_uvarint(buffer, metadata.len() as u32 + 1);
            buffer.put_slice(metadata.as_bytes());
            buffer.put_i64(bookmark.commit_timestamp_ms);
            if bookmark.topic_id == Uuid::ZERO {
                buffer.put_u8(0);
            } else {
                // One tagged field: tag 0, 16 bytes.
                buffer.put_slice(&[1, 0, 16]);
                buffer.put_slice(&bookmark.topic_id.0);
            }
        }
        Some(expire_timestamp_ms) => {
            buffer.put_i16(1);
            buffer.put_i64(bookmark.offset);
            put_string(buffer, metadata);
            buffer.put_i64(bookmark.commit_timestamp_ms);
            buffer.put_i64(expire_timestamp_ms);
        }
    }
}

/// The value of a committed offset with the id of its topic put in; `None` if it has one already, cannot have one (a
/// retention of its own, see the module), or cannot be read.
pub fn with_topic_id(value: &[u8], topic_id: Uuid) -> Option<Bytes> {
    let mut fields = Decoder::new(Bytes::copy_from_slice(value));
    let version = fields.i16().ok()?;
    let read = OffsetCommitValue::decode(&mut fields, version).ok()?;
    if read.topic_id != Uuid::ZERO || read.expire_timestamp != -1 {
        return None;
    }
    let mut encoder = Encoder::new();
    encoder.i16(VALUE_VERSION);
    let with_id = OffsetCommitValue { topic_id, ..read };
    with_id.encode(&mut encoder, VALUE_VERSION).ok()?;
    encoder.into_bytes().ok()
}

fn put_string(buffer: &mut Vec<u8>, text: &str) {
    let len = i16::try_from(text.len()).expect("calls with longer texts are refused");
    buffer.put_i16(len);
    buffer.put_slice(text.as_bytes());
}

fn put_uvarint(buffer: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        buffer.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    buffer.put_u8(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Record, decode};
    use crate::records::CoordinatorRecord;
    use catchword_wire::Str;

    fn generated<M: Message>(version: i16, prefix: i16, message: &M) -> Bytes {
        let mut encoder = Encoder::new();
        encoder.i16(prefix);
        message.encode(&mut encoder, version).unwrap();
        encoder.into_bytes().unwrap()
    }

    fn written(bookmark: &Bookmark) -> CoordinatorRecord {
        let mut out = Output::default();
        offset_commit("group", "topic", 7, bookmark, &Headers::default(), &mut out);
        out.records.into_iter().next().unwrap()
    }

    fn value_of(bookmark: &Bookmark) -> OffsetCommitValue {
        OffsetCommitValue {
            offset: bookmark.offset,
            leader_epoch: bookmark.leader_epoch,
            metadata: bookmark.metadata().clone(),
            commit_timestamp: bookmark.commit_timestamp_ms,
            expire_timestamp: bookmark.expire_timestamp_ms().unwrap_or(-1),
            topic_id: bookmark.topic_id,
        }
    }

    #[test]
    fn a_topics_id_is_put_in_where_there_is_none_and_nothing_else_changes() {
        let without = Bookmark::new(42, 3, 1000, Uuid::ZERO, "note".into(), None);
        let id = Uuid([9; 16]);
        let with_id = with_topic_id(&written(&without).value.unwrap(), id).unwrap();
        let whole = Bookmark::new(42, 3, 1000, id, "note".into(), None);
        assert_eq!(with_id, written(&whole).value.unwrap());
        assert_eq!(with_topic_id(&with_id, Uuid([8; 16])), None, "it has one");
        let kept = Bookmark::new(42, 3, 1000, Uuid::ZERO, "note".into(), Some(99));
        assert_eq!(with_topic_id(&written(&kept).value.unwrap(), id), None);
        assert_eq!(with_topic_id(b"\0\x09nothing", id), None);
    }

    #[test]
    fn s3_s4_bytes_are_those_of_kafkas_schemas() {
        let key = OffsetCommitKey {
            group: "group".into(),
            topic: "topic".into(),
            partition: 7,
        };
        let long = Str::from("x".repeat(300));
        let id = Uuid([9; 16]);
        for (metadata, expire, topic_id) in [
            (Str::EMPTY, None, Uuid::ZERO),
            (Str::EMPTY, None, id),
            (long.clone(), None, id),
            (long, Some(99), Uuid::ZERO),
        ] {
            let bookmark = Bookmark::new(42, 3, 1000, topic_id, metadata, expire);
            let record = written(&bookmark);
            assert_eq!(record.key, generated(0, 1, &key));
            let version = if expire.is_some() { 1 } else { 4 };
            assert_eq!(
                record.value.unwrap(),
                generated(version, version, &value_of(&bookmark))
            );
        }
    }

    #[test]
    fn s3_s4_every_older_key_and_value_is_read() {
        let bookmark = Bookmark::new(42, 3, 1000, Uuid([1; 16]), "m".into(), Some(99));
        let value = value_of(&bookmark);
        let key = OffsetCommitKey {
            group: "g".into(),
            topic: "t".into(),
            partition: 0,
        };
        for key_type in [0, 1] {
            for version in 0..=4 {
                let key = generated(0, key_type, &key);
                let bytes = generated(version, version, &value);
                let Ok(Record::Offset {
                    partition: 0,
                    value: Some(read),
                    ..
                }) = decode(&key, Some(&bytes))
                else {
                    panic!("version {version} is not read")
                };
                assert_eq!(read.offset, 42);
                assert_eq!(read.metadata, "m");
                assert_eq!(read.leader_epoch, if version >= 3 { 3 } else { -1 });
                assert_eq!(read.expire_timestamp, if version == 1 { 99 } else { -1 });
                assert_eq!(read.topic_id.is_zero(), version < 4);
            }
        }
    }

    #[test]
    fn s4_unknown_tagged_fields_are_ignored() {
        let bookmark = Bookmark::new(42, -1, 1000, Uuid::ZERO, Str::EMPTY, None);
        let record = written(&bookmark);
        let mut value = record.value.unwrap().to_vec();
        // In place of "no tagged fields": one with tag 5 and two bytes.
        value.pop();
        value.extend_from_slice(&[1, 5, 2, 0xaa, 0xbb]);
        assert!(matches!(
            decode(&record.key, Some(&value)),
            Ok(Record::Offset {
                value: Some(OffsetCommitValue { offset: 42, .. }),
                ..
            })
        ));
    }
}
