//! Every message at every version, encoded here and decoded by the `kafka-protocol` crate: it reads
//! the same fields and writes the same bytes, and those are read here again.

use std::collections::BTreeSet;
use std::fmt::Debug;

use bytes::Bytes;
use catchword_wire::api::ApiKey;
use catchword_wire::{Decoder, Message};
use kafka_protocol::protocol::{Decodable, Encodable, Message as TheirMessage};

use crate::dice::Dice;
use crate::random::{Random, all_messages, all_records};
use crate::tree::tree;
use crate::{encode, kinds, rounds, seed};

/// Random messages of each version.
const CASES: u64 = 40;

/// Versions that the other crate does not have. They are only read back here.
const MISSING_THERE: [(&str, i16); 19] = [
    ("DescribeLogDirsRequest", 5),
    ("DescribeLogDirsResponse", 5),
    ("DescribeShareGroupOffsetsRequest", 1),
    ("DescribeShareGroupOffsetsResponse", 1),
    ("InitProducerIdRequest", 6),
    ("ListOffsetsRequest", 11),
    ("ListOffsetsResponse", 11),
    ("OffsetCommitRequest", 10),
    ("OffsetFetchRequest", 10),
    ("ShareAcknowledgeRequest", 2),
    ("ShareAcknowledgeResponse", 2),
    ("ShareFetchRequest", 2),
    ("ShareFetchResponse", 2),
    ("StreamsGroupDescribeRequest", 0),
    ("StreamsGroupDescribeResponse", 0),
    ("StreamsGroupHeartbeatRequest", 0),
    ("StreamsGroupHeartbeatResponse", 0),
    ("WriteTxnMarkersRequest", 2),
    ("WriteTxnMarkersResponse", 2),
];

/// Fields of those versions, and one of a version that is gone here. At the others they have their defaults.
const FIELDS_NOT_IN_BOTH: [(&str, &str); 8] = [
    ("DescribeLogDirsResponse", "is_cordoned"),
    ("DescribeShareGroupOffsetsResponse", "lag"),
    ("ShareAcknowledgeRequest", "is_renew_ack"),
    ("ShareAcknowledgeResponse", "acquisition_lock_timeout_ms"),
    ("ShareFetchRequest", "share_acquire_mode"),
    ("ShareFetchRequest", "is_renew_ack"),
    ("ShareFetchRequest", "partition_max_bytes"),
    ("WriteTxnMarkersRequest", "transaction_version"),
];

/// The other crate's messages. For those that it lacks stand others, of versions that ours don't have.
mod theirs {
    pub(super) use kafka_protocol::messages::*;
    pub(super) use kafka_protocol::messages::{
        ShareGroupDescribeRequest as StreamsGroupDescribeRequest,
        ShareGroupDescribeResponse as StreamsGroupDescribeResponse,
        ShareGroupHeartbeatRequest as StreamsGroupHeartbeatRequest,
        ShareGroupHeartbeatResponse as StreamsGroupHeartbeatResponse,
    };
}

/// A case that failed, with what shows it again.
fn case(name: &str, version: i16, seed: u64) -> String {
    format!("{name} v{version}, seed {seed}")
}

/// Random messages of `M` at `version`, each with its seed, that came back from the wire equal.
fn round_trip<M: Message + Random + PartialEq + Debug>(
    version: i16,
    mut also: impl FnMut(&M, Bytes, &str),
) {
    let mut seeds = Dice::new(seed() ^ u64::from(version as u16) ^ (M::NAME.len() as u64) << 32);
    for _ in 0..CASES * rounds() {
        let seed = seeds.u64();
        let case = case(M::NAME, version, seed);
        let message = M::random(&mut Dice::new(seed), version);
        let bytes = encode(&message, version);
        let mut decoder = Decoder::new(bytes.clone());
        let back = M::decode(&mut decoder, version);
        let back = back.unwrap_or_else(|error| panic!("{case}: {error}, in {message:?}"));
        assert_eq!(decoder.remaining(), 0, "{case}");
        assert_eq!(back, message, "{case}");
        assert_eq!(encode(&back, version), bytes, "{case}");
        also(&message, bytes, &case);
    }
}

/// Compares `Ours` with `Theirs` at all versions that both have; gives back those that only we have.
fn compare<Ours, Theirs>() -> Vec<(&'static str, i16)>
where
    Ours: Message + Random + PartialEq + Debug,
    Theirs: TheirMessage + Encodable + Decodable + Debug,
{
    let mut missing = Vec::new();
    let (first, last) = Ours::VERSIONS;
    assert!(first <= last, "{}", Ours::NAME);
    for version in first..=last {
        if !(Theirs::VERSIONS.min..=Theirs::VERSIONS.max).contains(&version) {
            missing.push((Ours::NAME, version));
            round_trip::<Ours>(version, |_, _, _| ());
            continue;
        }
        round_trip::<Ours>(version, |ours, bytes, case| {
            let mut rest = bytes.clone();
            let theirs = Theirs::decode(&mut rest, version)
                .unwrap_or_else(|error| panic!("{case}: they say {error} of {ours:?}"));
            assert!(rest.is_empty(), "{case}: they leave {} bytes", rest.len());
            let mut our_fields = tree(&format!("{ours:?}"));
            let mut their_fields = tree(&format!("{theirs:?}"));
            for (_, field) in FIELDS_NOT_IN_BOTH
                .iter()
                .filter(|(name, _)| *name == Ours::NAME)
            {
                our_fields.forget(field);
                their_fields.forget(field);
            }
            assert_eq!(
                our_fields, their_fields,
                "{case}: the same bytes mean other fields"
            );
            let mut again = bytes::BytesMut::new();
            theirs
                .encode(&mut again, version)
                .unwrap_or_else(|e| panic!("{case}: {e}"));
            assert_eq!(again, bytes, "{case}: {ours:?}");
        });
    }
    missing
}

#[test]
fn every_message_at_every_version_is_the_same_as_another_implementations() {
    macro_rules! compare_all { ($($name:ident),*) => {
        vec![$(compare::<catchword_wire::messages::$name, theirs::$name>()),*]
    } }
    let missing: Vec<Vec<_>> = all_messages!(compare_all);
    assert_eq!(
        missing.concat(),
        MISSING_THERE,
        "what the other crate lacks is listed"
    );
}

#[test]
fn every_record_of_an_internal_topic_comes_back_as_it_was() {
    fn all_versions<M: Message + Random + PartialEq + Debug>() {
        for version in M::VERSIONS.0..=M::VERSIONS.1 {
            round_trip::<M>(version, |_, _, _| ());
        }
    }
    macro_rules! each { ($($name:ident),*) => {
        $(all_versions::<catchword_wire::records::$name>();)*
    } }
    all_records!(each);
}

#[test]
fn no_api_is_left_out() {
    let covered: Vec<&str> = kinds().iter().map(|kind| kind.name).collect();
    for api in ApiKey::ALL {
        let info = api.info();
        for name in [
            format!("{}Request", info.name),
            format!("{}Response", info.name),
        ] {
            let kind = kinds().into_iter().find(|kind| kind.name == name);
            let kind = kind.unwrap_or_else(|| panic!("{name} has no random messages"));
            let (first, last) = kind.versions;
            assert!(
                first <= info.versions.0 && info.versions.1 <= last,
                "{name}: {info:?}"
            );
        }
    }
    let messages = ApiKey::ALL.len() * 2;
    assert!(
        covered.len() > messages,
        "headers and records are covered as well"
    );
}

#[test]
fn versions_that_do_not_exist_are_refused() {
    for kind in kinds() {
        let (first, last) = kind.versions;
        for version in [i16::MIN, -1, first - 1, last + 1, i16::MAX] {
            if !(first..=last).contains(&version) {
                let zeros = bytes::Bytes::from_static(&[0; 64]);
                assert_eq!(
                    (kind.decode)(zeros, version),
                    None,
                    "{} v{version}",
                    kind.name
                );
            }
        }
    }
}

/// What the other crate lacks, Kafka's own classes have read: the same fields, the same bytes.
#[test]
fn what_is_missing_there_is_the_same_as_kafkas_own() {
    let file = std::env::var("WIRE_KAFKA_FILE").unwrap_or_else(|_| {
        concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/protocol/kafka/messages.txt"
        )
        .to_owned()
    });
    let mut seen = BTreeSet::new();
    for line in std::fs::read_to_string(file).unwrap().lines() {
        let [name, version, hex, kafkas] = line.splitn(4, ' ').collect::<Vec<_>>()[..] else {
            panic!("name, version, hex, fields: {line}");
        };
        let version: i16 = version.parse().unwrap();
        let bytes: Bytes = hex
            .as_bytes()
            .chunks(2)
            .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
            .collect();
        let kind = kinds()
            .into_iter()
            .find(|kind| kind.name == name)
            .expect(name);
        let ours = (kind.show)(bytes.clone(), version).expect(line);
        assert_eq!(
            tree(&ours).plain(),
            tree(kafkas).plain(),
            "{name} v{version}"
        );
        assert_eq!(
            (kind.again)(bytes.clone(), version),
            Some(bytes),
            "{name} v{version}"
        );
        seen.insert((kind.name, version));
    }
    let expected: BTreeSet<_> = only_kafka_has().collect();
    assert!(
        expected.is_subset(&seen),
        "not in the file: {:?}",
        expected.difference(&seen)
    );
}

/// Messages and versions that the other crate does not have, internal records among them.
fn only_kafka_has() -> impl Iterator<Item = (&'static str, i16)> {
    macro_rules! names { ($($name:ident),*) => { [$(stringify!($name)),*] } }
    let records = all_records!(names);
    let records = kinds()
        .into_iter()
        .filter(move |kind| records.contains(&kind.name));
    let versions = |kind: crate::Kind| {
        (kind.versions.0..=kind.versions.1).map(move |version| (kind.name, version))
    };
    records.flat_map(versions).chain(MISSING_THERE)
}

/// Writes messages as lines of name, version and hex, for `kafka/ReadMessages.java`: those that
/// only Kafka has, or with `WIRE_ALL=1` all there are.
#[test]
#[ignore = "makes input for Kafka's own classes; see kafka/README.md"]
fn print_messages_for_kafka() {
    let all = crate::setting("WIRE_ALL", 0) == 1;
    let wanted: BTreeSet<_> = only_kafka_has().collect();
    let mut dice = Dice::new(seed());
    for kind in kinds() {
        for version in kind.versions.0..=kind.versions.1 {
            for _ in 0..if all { 20 } else { 2 } {
                let bytes = (kind.random)(&mut dice, version);
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                // A record without fields or tags has no bytes at all; there is nothing to read.
                if (all || wanted.contains(&(kind.name, version))) && !hex.is_empty() {
                    println!("MESSAGE {} {version} {hex}", kind.name);
                }
            }
        }
    }
}
