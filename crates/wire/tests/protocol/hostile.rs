//! Lengths that lie and bytes that end early: an error, and no more memory than the bytes deserve.

use bytes::{Bytes, BytesMut};
use catchword_wire::messages::{OffsetCommitRequest, ProduceResponse};
use catchword_wire::{Decoder, Message};

use crate::dice::Dice;
use crate::memory::peak;
use crate::{kinds, seed};

/// What decoding this many bytes may take at most: the decoder's own promise (64 KiB and 24 bytes
/// a byte) and a little for text that has to be repaired.
pub(crate) fn allowance(len: usize) -> usize {
    (64 << 10) + 24 * len + 4 * len + 4096
}

/// Decodes and checks the memory it took; whether it went well.
fn decodes(kind: &crate::Kind, bytes: &Bytes, version: i16, what: &str) -> bool {
    let (decoded, most) = peak(|| (kind.decode)(bytes.clone(), version).is_some());
    let allowed = allowance(bytes.len());
    assert!(
        most <= allowed,
        "{} v{version}, {what}: {most} bytes for {}",
        kind.name,
        bytes.len()
    );
    decoded
}

/// 21 bytes that claim 2,147,483,647 topics. Decoders that believe them ask for 206 GB.
#[test]
fn the_21_byte_offset_commit_bomb_takes_no_memory() {
    let mut bomb = BytesMut::new();
    bomb.extend_from_slice(&[0, 1, b'g']); // group id
    bomb.extend_from_slice(&[0, 0, 0, 1]); // generation
    bomb.extend_from_slice(&[0, 0]); // member id
    bomb.extend_from_slice(&[0xff; 8]); // retention time
    bomb.extend_from_slice(&i32::MAX.to_be_bytes()); // topics
    assert_eq!(bomb.len(), 21);
    let bomb = bomb.freeze();
    let (decoded, most) = peak(|| OffsetCommitRequest::decode(&mut Decoder::new(bomb), 2));
    decoded.unwrap_err();
    assert!(most < 1024, "{most} bytes");
}

/// As many elements as there are bytes left, each of the largest kind: the frame is not a lie, but
/// what it would take in memory is out of proportion.
#[test]
fn long_arrays_of_empty_elements_stay_in_proportion() {
    for kind in kinds() {
        for version in kind.versions.0..=kind.versions.1 {
            for fill in [0, 1, 2] {
                for len in [100, 10_000, 1 << 20] {
                    let mut bytes = vec![fill; len];
                    decodes(&kind, &bytes.clone().into(), version, "all the same byte");
                    // A large count in each of the first places, then bytes enough for it.
                    for at in [0, 1, 2, 4, 6, 10, 16] {
                        let count = (len as u32 / 2).to_be_bytes();
                        bytes[at..at + 4].copy_from_slice(&count);
                        decodes(&kind, &bytes.clone().into(), version, "a large count");
                        bytes[at..at + 4].fill(fill);
                    }
                    if len == 1 << 20 && version != kind.versions.1 {
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn a_message_may_end_nowhere_but_at_its_end() {
    let mut dice = Dice::new(seed());
    for kind in kinds() {
        for version in kind.versions.0..=kind.versions.1 {
            for _ in 0..3 {
                let bytes = (kind.random)(&mut dice, version);
                for end in 0..bytes.len() {
                    let cut = bytes.slice(..end);
                    let decoded = decodes(&kind, &cut, version, "cut short");
                    assert!(
                        !decoded,
                        "{} v{version} cut at {end} of {bytes:?}",
                        kind.name
                    );
                }
            }
        }
    }
}

#[test]
fn lying_lengths_are_refused_or_harmless_wherever_they_stand() {
    const LIES: [&[u8]; 8] = [
        &[0x7f, 0xff, 0xff, 0xff],                               // i32::MAX
        &[0x80, 0, 0, 0],                                        // i32::MIN
        &[0xff, 0xff, 0xff, 0xfe],                               // -2
        &[0x7f, 0xff],                                           // i16::MAX
        &[0x80, 0],                                              // i16::MIN
        &[0xff, 0xff, 0xff, 0xff, 0x0f],                         // the largest uvarint
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // no uvarint
        &[0x80, 0x80, 0x80, 0x08],                               // 16 Mi, compact
    ];
    let mut dice = Dice::new(seed() + 1);
    for kind in kinds() {
        for version in kind.versions.0..=kind.versions.1 {
            let bytes = (kind.random)(&mut dice, version);
            for at in 0..bytes.len().min(400) {
                for lie in LIES {
                    let mut lying = BytesMut::from(&bytes[..]);
                    let end = (at + lie.len()).min(bytes.len());
                    lying[at..end].copy_from_slice(&lie[..end - at]);
                    decodes(&kind, &lying.freeze(), version, "a lying length");
                }
            }
        }
    }
}

/// Tagged fields that nobody knows are passed over; ones whose size lies are refused.
#[test]
fn unknown_tagged_fields_are_skipped_and_lying_ones_refused() {
    // These have no tagged fields of their own at the end, so that their last byte is a count of 0.
    let plain_ends = [
        "HeartbeatRequest",
        "JoinGroupRequest",
        "OffsetCommitRequest",
        "MetadataRequest",
    ];
    let mut dice = Dice::new(seed() + 2);
    for name in plain_ends {
        let kind = kinds().into_iter().find(|kind| kind.name == name).unwrap();
        let version = kind.versions.1;
        let plain = (kind.random)(&mut dice, version);
        assert_eq!(plain.last(), Some(&0));
        let with_tags = |tags: &[u8]| {
            let mut bytes = BytesMut::from(&plain[..plain.len() - 1]);
            bytes.extend_from_slice(tags);
            (kind.again)(bytes.freeze(), version)
        };
        // One or two fields with tag 9999 or 10000, of three bytes or none.
        for unknown in [
            &[1, 0x8f, 0x4e, 3, 1, 2, 3][..],
            &[2, 0x8f, 0x4e, 0, 0x90, 0x4e, 1, 7],
        ] {
            assert_eq!(
                with_tags(unknown).as_ref(),
                Some(&plain),
                "{name}: they are dropped"
            );
        }
        for lie in [
            &[1, 0x8f, 0x4e, 4, 1, 2, 3][..], // more bytes than there are
            &[2, 0x8f, 0x4e, 3, 1, 2, 3],     // more fields than there are
            &[1, 0x8f, 0x4e, 0xff, 0xff, 0xff, 0xff, 0x0f, 1], // the largest size
            &[0xff, 0xff, 0xff, 0xff, 0x0f],  // the largest count
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0], // no number at all
        ] {
            assert_eq!(with_tags(lie), None, "{name}: {lie:?}");
        }
    }
}

/// A known tagged field must be exactly as long as its size says.
#[test]
fn a_known_tagged_field_of_another_size_is_refused() {
    let tagged = |size: u8| {
        // A response without topics or error, then tag 0: node endpoints, none of them.
        let bytes = [1, 0, 0, 0, 0, 1, 0, size, 1, 0, 0];
        ProduceResponse::decode(&mut Decoder::new(Bytes::copy_from_slice(&bytes)), 10)
    };
    tagged(1).unwrap();
    for size in [0, 2, 3, 4, 0x7f] {
        tagged(size).unwrap_err();
    }
}
