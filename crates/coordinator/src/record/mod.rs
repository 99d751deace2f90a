//! The bytes of `__consumer_offsets`: Kafka's own record formats, read and written.
//!
//! A key is two bytes of type and the type's fields; a value is two bytes of version and that version's fields; a null
//! value is a tombstone. Anything that reads Kafka's topic reads ours. This module must not know what a record does to
//! the state.

pub(crate) mod consumer;
mod group_metadata;
pub mod headers;
mod offset_commit;
pub(crate) mod origin;
pub(crate) mod quick;
pub(crate) mod share;
pub(crate) mod streams;
pub(crate) mod tag;
pub(crate) mod writer;

use bytes::Bytes;
use catchword_wire::records::{GroupMetadataValue, OffsetCommitValue};
use catchword_wire::{DecodeError, Decoder, Str};

pub(crate) use group_metadata::{
    encode, encode_key as group_metadata_key, group_metadata, group_metadata_tombstone,
};
pub use offset_commit::with_topic_id;
pub(crate) use offset_commit::{offset_commit, offset_tombstone};
pub use origin::of_nobody_knows_where;

/// Key types. Persisted, and Kafka's: never reuse a number.
mod key_type {
    /// An offset as brokers before 0.9 wrote it; same fields as [`OFFSET_COMMIT`].
    pub(super) const LEGACY_OFFSET_COMMIT: i16 = 0;
    /// `(group, topic, partition)`.
    pub(super) const OFFSET_COMMIT: i16 = 1;
    /// `(group)`, a classic group.
    pub(super) const GROUP_METADATA: i16 = 2;
    /// Ours, far above all of Kafka's: `(group, name)`, a tag. Reads "cw".
    pub(super) const TAG: i16 = 0x6377;
}

/// Why a record could not be replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// A kind of record that this version does not know. It is to be logged and skipped, as Kafka does.
    #[error("unknown record type {0}")]
    UnknownKeyType(i16),
    /// The key is not what its type says.
    #[error("the key is malformed: {0}")]
    Key(#[source] DecodeError),
    /// The value is not what its version says, or the version is unknown.
    #[error("the value under a key of type {key_type} is malformed: {cause}")]
    Value {
        /// The key's type.
        key_type: i16,
        /// What is wrong.
        #[source]
        cause: DecodeError,
    },
    /// A transaction in a state that is not known.
    #[error("transaction {transactional_id} is in the unknown state {status}")]
    UnknownStatus {
        /// Whose transaction.
        transactional_id: Str,
        /// The number of the state.
        status: i8,
    },
    /// A group with members whose record names no protocol.
    #[error("group {0} has members but no protocol")]
    NoProtocol(Str),
}

/// A record, understood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    Offset {
        group_id: Str,
        topic: Str,
        partition: i32,
        value: Option<OffsetCommitValue>,
    },
    Group {
        group_id: Str,
        value: Option<GroupMetadataValue>,
    },
    Consumer(consumer::ConsumerRecord),
    /// A tag, which nobody replays; see `tag`.
    Tag,
    Share(share::ShareGroupRecord),
    Streams(streams::StreamsRecord),
}

/// Reads a key and its value.
pub(crate) fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Record, ReplayError> {
    let mut fields = decoder(key);
    match fields.i16().map_err(ReplayError::Key)? {
        key_type @ (key_type::LEGACY_OFFSET_COMMIT | key_type::OFFSET_COMMIT) => {
            let key = offset_commit::decode_key(&mut fields).map_err(ReplayError::Key)?;
            let value = value.map(|v| versioned(key_type, v)).transpose()?;
            Ok(Record::Offset {
                group_id: key.group,
                topic: key.topic,
                partition: key.partition,
                value,
            })
        }
        key_type @ key_type::GROUP_METADATA => {
            let group_id = group_metadata::decode_key(&mut fields).map_err(ReplayError::Key)?;
            Ok(Record::Group {
                group_id,
                value: value.map(|v| versioned(key_type, v)).transpose()?,
            })
        }
        key_type::TAG => Ok(Record::Tag),
        other => {
            let fields = &mut fields;
            let consumer = consumer::decode(other, fields, value);
            let read = consumer.map(|read| read.map(Record::Consumer));
            let share = |fields: &mut _| share::decode(other, fields, value);
            let read = read.or_else(|| Some(share(fields)?.map(Record::Share)));
            let streams = |fields: &mut _| streams::decode(other, fields, value);
            let read = read.or_else(|| Some(streams(fields)?.map(Record::Streams)));
            read.unwrap_or(Err(ReplayError::UnknownKeyType(other)))
        }
    }
}

/// Whether a key is that of a committed offset.
pub(crate) fn is_offset_key(key: &[u8]) -> bool {
    let key_type = key.first_chunk().map(|bytes| i16::from_be_bytes(*bytes));
    matches!(
        key_type,
        Some(key_type::LEGACY_OFFSET_COMMIT | key_type::OFFSET_COMMIT)
    )
}

pub(crate) fn decoder(bytes: &[u8]) -> Decoder {
    Decoder::new(Bytes::copy_from_slice(bytes))
}

pub(crate) fn versioned<M: catchword_wire::Message>(
    key_type: i16,
    value: &[u8],
) -> Result<M, ReplayError> {
    let mut fields = decoder(value);
    let decoded = fields
        .i16()
        .and_then(|version| M::decode(&mut fields, version));
    decoded.map_err(|cause| ReplayError::Value { key_type, cause })
}
