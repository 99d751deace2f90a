//! The record of a tag: a group's bookmarks at a moment, under a name.
//!
//! ```text
//! key    int16 25463 ("cw") · int16-string group · int16-string name
//! value  int16 0 · array of: int16-string topic · int32 partition · uuid topic id · int64 offset
//!        · int32 leader epoch · int16-string metadata
//! ```
//! A type that Apache Kafka does not have: its coordinators and formatters pass over it, as over all that they do not
//! know. Compaction keeps the last record of each key, so a tag stays until it is removed, whatever becomes of its group.
//! No machine replays it: it is read from the log when somebody asks.

use bytes::Bytes;
use catchword_wire::{DecodeError, Decoder, EncodeError, Encoder, Str};

use super::{decoder, key_type};
use crate::ledger::Place;

const VALUE_VERSION: i16 = 0;
/// A value of more bytes is refused: it would not fit into one batch with its key.
pub(crate) const MAX_BYTES: usize = 8 << 20;

/// Whose tag, and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TagKey {
    pub(crate) group_id: Str,
    pub(crate) name: Str,
}

/// A bookmark that a tag holds.
pub(crate) type Tagged = ((Str, i32), Place);

/// The key's bytes. Texts longer than a 16-bit length are an error.
pub(crate) fn encode_key(group_id: &str, name: &str) -> Result<Bytes, EncodeError> {
    let mut fields = Encoder::new();
    fields.i16(key_type::TAG);
    fields.string(group_id, false)?;
    fields.string(name, false)?;
    Ok(whole(fields))
}

/// The value's bytes.
pub(crate) fn encode(places: &[Tagged]) -> Result<Bytes, EncodeError> {
    let mut fields = Encoder::new();
    fields.i16(VALUE_VERSION);
    fields.array(places, false, |fields, ((topic, partition), place)| {
        fields.string(topic, false)?;
        fields.i32(*partition);
        fields.uuid(place.topic_id);
        fields.i64(place.offset);
        fields.i32(place.leader_epoch);
        fields.string(&place.metadata, false)
    })?;
    Ok(whole(fields))
}

/// Reads the key; `None` if it is of another type, or malformed.
pub(crate) fn decode_key(key: &[u8]) -> Option<TagKey> {
    if key.get(..2)? != key_type::TAG.to_be_bytes() {
        return None;
    }
    let mut fields = decoder(key.get(2..)?);
    let key = TagKey {
        group_id: fields.string(false).ok()?,
        name: fields.string(false).ok()?,
    };
    (fields.remaining() == 0).then_some(key)
}

/// Reads the value; `None` if it is of a later version.
pub(crate) fn decode(value: &[u8]) -> Result<Option<Vec<Tagged>>, DecodeError> {
    let mut fields = decoder(value);
    if fields.i16()? != VALUE_VERSION {
        return Ok(None);
    }
    let place = |fields: &mut Decoder| {
        let key = (fields.string(false)?.detached(), fields.i32()?);
        let topic_id = fields.uuid()?;
        let place = Place {
            topic_id,
            offset: fields.i64()?,
            leader_epoch: fields.i32()?,
            metadata: fields.string(false)?.detached(),
        };
        Ok((key, place))
    };
    fields.array(false, place).map(Some)
}

/// How many bookmarks the value holds, without reading them.
pub(crate) fn count(value: &[u8]) -> Option<usize> {
    let count = value.get(2..6)?.try_into().ok()?;
    usize::try_from(i32::from_be_bytes(count)).ok()
}

fn whole(fields: Encoder) -> Bytes {
    // Nothing in it but what was written: no segment that lies in a file.
    fields.into_bytes().expect("it is all in memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use catchword_wire::Uuid;

    fn place(offset: i64) -> Place {
        Place {
            offset,
            leader_epoch: 3,
            metadata: "note".into(),
            topic_id: Uuid([7; 16]),
        }
    }

    #[test]
    fn a_tag_is_read_as_it_was_written() {
        let key = encode_key("g", "before-deploy").unwrap();
        assert_eq!(
            &key[..],
            b"cw\0\x01g\0\x0dbefore-deploy",
            "persisted: never changed"
        );
        let read = decode_key(&key).unwrap();
        assert_eq!(
            (&*read.group_id, &*read.name),
            ("g", "before-deploy"),
            "{read:?}"
        );
        let places = vec![
            (("orders".into(), 0), place(5)),
            (("orders".into(), 1), place(9)),
        ];
        let value = encode(&places).unwrap();
        assert_eq!(count(&value), Some(2));
        assert_eq!(decode(&value), Ok(Some(places)));
    }

    #[test]
    fn what_is_no_tag_of_this_version_is_passed_over_and_damage_is_seen() {
        assert_eq!(decode_key(b"\0\x01\0\x01g\0\x01t\0\0\0\0"), None);
        assert_eq!(decode_key(b"cw\0\x01g\0\x01"), None);
        assert_eq!(decode(&[0, 1, 9, 9]), Ok(None));
        assert!(decode(&[0, 0, 0, 0, 0, 1]).is_err());
    }
}
