//! OffsetCommit 0 and 1 and OffsetFetch 0, which Kafka 4 gave up (KIP-896) and its schemas no longer have. By hand.
//!
//! ```text
//! OffsetCommit 0   group · [topic · [partition i32 · offset i64 · metadata]]
//! OffsetCommit 1   group · generation i32 · member · [topic · [partition i32 · offset i64 · timestamp i64 · metadata]]
//! ```
//! Their answers have the form of OffsetCommit 2; OffsetFetch 0 has the form of version 1, question and answer.

use crate::api::ApiKey;
use crate::codec::{DecodeError, Decoder};
use crate::messages::OffsetCommitRequest;
use crate::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};

/// The version whose form a request's answer has (and, for OffsetFetch, the request), where `version` is one of those
/// described here; `None` for all others.
pub fn form_of(api: ApiKey, version: i16) -> Option<i16> {
    match (api, version) {
        (ApiKey::OffsetCommit, 0 | 1) => Some(2),
        (ApiKey::OffsetFetch, 0) => Some(1),
        _ => None,
    }
}

/// Reads OffsetCommit 0 or 1. Of version 1 the timestamp is left out, which only ever lengthened how long the broker kept the
/// offset.
///
/// # Errors
/// When the bytes end too early or are malformed.
pub fn offset_commit(d: &mut Decoder, version: i16) -> Result<OffsetCommitRequest, DecodeError> {
    let mut request = OffsetCommitRequest {
        group_id: d.string(false)?,
        ..OffsetCommitRequest::default()
    };
    if version == 1 {
        request.generation_id_or_member_epoch = d.i32()?;
        request.member_id = d.string(false)?;
    }
    let partition = |d: &mut Decoder| {
        let (partition_index, committed_offset) = (d.i32()?, d.i64()?);
        if version == 1 {
            d.i64()?;
        }
        Ok(OffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            committed_metadata: d.nullable_string(false)?,
            ..OffsetCommitRequestPartition::default()
        })
    };
    request.topics = d.array(false, |d| {
        Ok(OffsetCommitRequestTopic {
            name: d.string(false)?,
            partitions: d.array(false, partition)?,
            ..OffsetCommitRequestTopic::default()
        })
    })?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Encoder;

    fn bytes(version: i16) -> bytes::Bytes {
        let mut e = Encoder::new();
        e.string("g", false).unwrap();
        if version == 1 {
            e.i32(7);
            e.string("m", false).unwrap();
        }
        e.i32(1);
        e.string("t", false).unwrap();
        e.i32(1);
        e.i32(3);
        e.i64(42);
        if version == 1 {
            e.i64(-1);
        }
        e.string("meta", false).unwrap();
        e.into_bytes().unwrap()
    }

    #[test]
    fn both_versions_are_read() {
        for (version, generation, member) in [(0, -1, ""), (1, 7, "m")] {
            let mut d = Decoder::new(bytes(version));
            let read = offset_commit(&mut d, version).unwrap();
            assert_eq!(&*read.group_id, "g");
            assert_eq!(read.generation_id_or_member_epoch, generation);
            assert_eq!(&*read.member_id, member);
            let partition = &read.topics[0].partitions[0];
            assert_eq!(&*read.topics[0].name, "t");
            assert_eq!(
                (partition.partition_index, partition.committed_offset),
                (3, 42)
            );
            assert_eq!(partition.committed_metadata.as_deref(), Some("meta"));
        }
    }

    #[test]
    fn what_ends_too_early_is_refused() {
        for version in [0, 1] {
            let whole = bytes(version);
            for end in 0..whole.len() {
                let mut d = Decoder::new(whole.slice(..end));
                assert!(offset_commit(&mut d, version).is_err(), "{version} {end}");
            }
        }
    }
}
