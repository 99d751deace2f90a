//! Offset records as today's writers make them, read where they lie: a start may read tens of millions.
//!
//! Invariant: what is read here is what the general decoder reads. Whatever is unusual, malformed included, is `None`
//! here and goes that way.

use catchword_wire::{Str, Uuid};

use super::key_type;
use crate::offsets::Bookmark;

/// Whose bookmark a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetKey<'a> {
    pub(crate) group_id: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
}

/// Reads the key of an offset record.
#[inline]
pub(crate) fn offset_key(key: &[u8]) -> Option<OffsetKey<'_>> {
    let mut rest = Rest(key);
    if rest.i16()? != key_type::OFFSET_COMMIT {
        return None;
    }
    let key = OffsetKey {
        group_id: rest.string()?,
        topic: rest.string()?,
        partition: rest.i32()?,
    };
    rest.0.is_empty().then_some(key)
}

/// Reads the value of an offset record.
#[inline]
pub(crate) fn bookmark(value: &[u8]) -> Option<Bookmark> {
    let mut rest = Rest(value);
    let version = rest.i16()?;
    let offset = rest.i64()?;
    let (mut leader_epoch, mut topic_id, mut expire_timestamp_ms) = (-1, Uuid::ZERO, None);
    let metadata;
    let commit_timestamp_ms;
    match version {
        1 => {
            metadata = rest.string()?;
            commit_timestamp_ms = rest.i64()?;
            expire_timestamp_ms = Some(rest.i64()?).filter(|at| *at != -1);
        }
        3 => {
            leader_epoch = rest.i32()?;
            metadata = rest.string()?;
            commit_timestamp_ms = rest.i64()?;
        }
        4 => {
            leader_epoch = rest.i32()?;
            metadata = rest.compact_string()?;
            commit_timestamp_ms = rest.i64()?;
            match rest.take(1)? {
                [0] => {}
                // One tagged field: tag 0, 16 bytes.
                [1] if rest.take(2)? == [0, 16] => {
                    topic_id = Uuid(rest.take(16)?.try_into().ok()?);
                }
                _ => return None,
            }
        }
        _ => return None,
    }
    if !rest.0.is_empty() {
        return None;
    }
    let metadata = if metadata.is_empty() {
        Str::EMPTY
    } else {
        Str::copy(metadata)
    };
    Some(Bookmark::new(
        offset,
        leader_epoch,
        commit_timestamp_ms,
        topic_id,
        metadata,
        expire_timestamp_ms,
    ))
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    #[inline]
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// With a 16-bit length; null is unusual.
    fn string(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.i16()?).ok()?;
        std::str::from_utf8(self.take(len)?).ok()
    }

    /// With a length of one byte, which texts of 127 bytes and more do not have.
    fn compact_string(&mut self) -> Option<&'a str> {
        let [len] = self.array()?;
        let len = usize::from(len).checked_sub(1).filter(|len| *len < 127)?;
        std::str::from_utf8(self.take(len)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{Headers, Output};
    use crate::record::{Record, decode, offset_commit};

    /// What the general decoder reads.
    fn general(key: &[u8], value: &[u8]) -> Option<(Str, Str, i32, Bookmark)> {
        match decode(key, Some(value)) {
            Ok(Record::Offset {
                group_id,
                topic,
                partition,
                value: Some(value),
            }) => Some((group_id, topic, partition, Bookmark::from_record(value))),
            _ => None,
        }
    }

    fn agree(key: &[u8], value: &[u8]) -> bool {
        let (Some(quick), Some(read)) = (offset_key(key), bookmark(value)) else {
            return false;
        };
        let (group_id, topic, partition, bookmark) = general(key, value).expect("it is read");
        assert_eq!(
            (quick.group_id, quick.topic, quick.partition),
            (&*group_id, &*topic, partition)
        );
        assert_eq!(read, bookmark);
        true
    }

    fn written(metadata: &str, expire: Option<i64>, topic_id: Uuid) -> (Vec<u8>, Vec<u8>) {
        let bookmark = Bookmark::new(42, 3, 1000, topic_id, Str::copy(metadata), expire);
        let mut out = Output::default();
        offset_commit(
            "gröup",
            "topic",
            7,
            &bookmark,
            &Headers::default(),
            &mut out,
        );
        let record = out.records.into_iter().next().unwrap();
        (record.key.to_vec(), record.value.unwrap().to_vec())
    }

    #[test]
    fn what_we_write_is_read_as_the_general_decoder_reads_it() {
        for metadata in ["", "m", &"x".repeat(126)] {
            for expire in [None, Some(99)] {
                for topic_id in [Uuid::ZERO, Uuid([9; 16])] {
                    let (key, value) = written(metadata, expire, topic_id);
                    assert!(agree(&key, &value), "{metadata} {expire:?} {topic_id}");
                }
            }
        }
        let (_, long) = written(&"x".repeat(127), None, Uuid::ZERO);
        assert_eq!(bookmark(&long), None);
    }

    #[test]
    fn what_kafka_wrote_is_read_as_the_general_decoder_reads_it() {
        let unhex = |text: &str| -> Vec<u8> {
            let byte = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
            (0..text.len()).step_by(2).map(byte).collect()
        };
        let kafka = include_str!("../../tests/bytes/kafka-4.3.1.txt");
        let mut seen = 0;
        for line in kafka.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            if fields[1].starts_with("0001") && fields[2] != "null" {
                assert!(agree(&unhex(fields[1]), &unhex(fields[2])), "{line}");
                seen += 1;
            }
        }
        assert!(seen > 3, "{seen}");
    }

    #[test]
    fn damage_is_never_read_as_something_else() {
        let mut read = 0;
        for expire in [None, Some(99)] {
            let (key, value) = written("meta", expire, Uuid([9; 16]));
            for at in 0..key.len() + value.len() {
                for byte in [0, 1, 2, 16, 127, 128, 255] {
                    let (mut key, mut value) = (key.clone(), value.clone());
                    match at.checked_sub(key.len()) {
                        None => key[at] = byte,
                        Some(at) => value[at] = byte,
                    }
                    read += usize::from(agree(&key, &value));
                }
            }
            for end in 0..key.len() {
                assert_eq!(offset_key(&key[..end]), None);
            }
            for end in 0..value.len() {
                assert_eq!(bookmark(&value[..end]), None);
            }
            let longer = |bytes: &[u8]| [bytes, &[0]].concat();
            assert_eq!(offset_key(&longer(&key)), None);
            assert_eq!(bookmark(&longer(&value)), None);
        }
        assert!(read > 100, "most damage only changes a number: {read}");
    }
}
