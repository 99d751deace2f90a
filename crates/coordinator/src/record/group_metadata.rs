//! The record of a classic group: its generation, protocol and members.
//!
//! ```text
//! key    int16 2 · int16-string group
//! value  int16 3 · GroupMetadataValue
//! ```
//! Versions 0 to 4 are read. The key's type is 2 for historical reasons; its fields have one version.

use bytes::Bytes;
use catchword_wire::records::{GroupMetadataKey, GroupMetadataValue};
use catchword_wire::{DecodeError, Decoder, Encoder, Message, Str};

use super::key_type;
use crate::effect::{Headers, Output};
use crate::records::RecordRef;

const VALUE_VERSION: i16 = 3;

pub(super) fn decode_key(fields: &mut Decoder) -> Result<Str, DecodeError> {
    GroupMetadataKey::decode(fields, 0).map(|key| key.group)
}

/// Adds the record of a group and returns its value.
pub(crate) fn group_metadata(
    group_id: &Str,
    value: &GroupMetadataValue,
    headers: &Headers,
    out: &mut Output,
) -> Bytes {
    let value = encode(VALUE_VERSION, VALUE_VERSION, value);
    out.records.push(RecordRef {
        key: &encode_key(group_id),
        value: Some(&value),
        headers,
    });
    value
}

/// Adds the tombstone of a group.
pub(crate) fn group_metadata_tombstone(group_id: &Str, headers: &Headers, out: &mut Output) {
    out.records.push(RecordRef {
        key: &encode_key(group_id),
        value: None,
        headers,
    });
}

pub(crate) fn encode_key(group_id: &Str) -> Bytes {
    encode(
        key_type::GROUP_METADATA,
        0,
        &GroupMetadataKey {
            group: group_id.clone(),
        },
    )
}

pub(crate) fn encode<M: Message>(prefix: i16, version: i16, message: &M) -> Bytes {
    let mut encoder = Encoder::with_capacity(128);
    encoder.i16(prefix);
    message
        .encode(&mut encoder, version)
        .expect("calls with longer texts are refused");
    encoder
        .into_bytes()
        .expect("there are no records in a file in this message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Record, ReplayError, decode};
    use catchword_wire::records::group_metadata_value::MemberMetadata;

    fn value() -> GroupMetadataValue {
        GroupMetadataValue {
            protocol_type: "consumer".into(),
            generation: 3,
            protocol: Some("range".into()),
            leader: Some("m1".into()),
            current_state_timestamp: 1000,
            members: vec![MemberMetadata {
                member_id: "m1".into(),
                group_instance_id: Some("i1".into()),
                client_id: "c".into(),
                client_host: "/127.0.0.1".into(),
                rebalance_timeout: 300_000,
                session_timeout: 45_000,
                subscription: Bytes::from_static(b"sub"),
                assignment: Bytes::from_static(b"ass"),
            }],
        }
    }

    #[test]
    fn s5_group_records_are_written_as_version_3_and_read_from_0_to_4() {
        let mut out = Output::default();
        group_metadata(&"g".into(), &value(), &Headers::default(), &mut out);
        let record = out.records.iter().next().unwrap();
        assert_eq!(record.key, b"\0\x02\0\x01g");
        assert_eq!(record.value.unwrap()[..2], [0, 3]);
        for version in 0..=4 {
            let bytes = encode(version, version, &value());
            let Ok(Record::Group {
                group_id,
                value: Some(read),
            }) = decode(record.key, Some(&bytes))
            else {
                panic!("version {version} is not read")
            };
            assert_eq!(group_id, "g");
            assert_eq!(read.generation, 3);
            assert_eq!(
                read.current_state_timestamp,
                if version >= 2 { 1000 } else { -1 }
            );
            assert_eq!(read.members[0].group_instance_id.is_some(), version >= 3);
            assert_eq!(
                read.members[0].rebalance_timeout,
                if version >= 1 { 300_000 } else { -1 }
            );
        }
    }

    #[test]
    fn s5_s7_a_null_value_is_a_tombstone_and_an_unknown_type_is_named() {
        let key = encode_key(&"g".into());
        assert_eq!(
            decode(&key, None),
            Ok(Record::Group {
                group_id: "g".into(),
                value: None
            })
        );
        for unknown in [9i16, 18, 24, -1, 500] {
            let error = decode(&unknown.to_be_bytes(), None);
            assert_eq!(error, Err(ReplayError::UnknownKeyType(unknown)));
        }
        assert!(matches!(decode(&[0], None), Err(ReplayError::Key(_))));
        assert!(matches!(
            decode(&key, Some(&[0, 9])),
            Err(ReplayError::Value { .. })
        ));
    }

    #[test]
    fn s5_kafkas_own_group_records_are_written_back_byte_for_byte() {
        let kafka = include_str!("../../tests/bytes/kafka-4.3.1.txt");
        let unhex = |text: &str| -> Vec<u8> {
            let byte = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
            (0..text.len()).step_by(2).map(byte).collect()
        };
        let mut seen = 0;
        for line in kafka.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            // Key type 2, not a tombstone.
            if !fields[1].starts_with("0002") || fields[2] == "null" {
                continue;
            }
            let (key, bytes) = (unhex(fields[1]), unhex(fields[2]));
            let Ok(Record::Group {
                group_id,
                value: Some(read),
            }) = decode(&key, Some(&bytes))
            else {
                panic!("not read: {line}")
            };
            assert_eq!(encode_key(&group_id), key);
            assert_eq!(encode(3, 3, &read), bytes);
            seen += 1;
        }
        assert_eq!(seen, 8);
    }
}
