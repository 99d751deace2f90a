//! Batches that no log may take: damaged, too large, without the key or time that the topic asks for, or with what only
//! brokers write.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use catchword_wire::batch::{BatchBuilder, BatchHeader, Compression, HEADER_LEN, NewRecord};
use catchword_wire::messages::ProduceRequest;
use catchword_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use catchword_wire::{ErrorCode, Str, Uuid};

use super::ground::Ground;
use super::{Answers, are, code};
use crate::harness::{Cluster, wait_until};

const ALL: i16 = -1;
const UNKNOWN: Uuid = Uuid([7; 16]);
/// The first byte that the checksum is about.
const CHECKED_FROM: usize = 21;
/// Bits of the attributes.
const LOG_APPEND_TIME: i16 = 1 << 3;
const NO_SUCH_CODEC: i16 = 7;
const DAY_MS: i64 = 86_400_000;

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// A batch of one record.
fn batch(set: impl Fn(BatchBuilder) -> BatchBuilder, key: Option<&[u8]>, timestamp: i64) -> Bytes {
    let mut batch = set(BatchBuilder::new(0));
    let record = NewRecord {
        timestamp,
        key,
        value: Some(b"value"),
        ..NewRecord::default()
    };
    batch.push(record).unwrap();
    batch.build().unwrap()
}

fn sound(set: impl Fn(BatchBuilder) -> BatchBuilder) -> Bytes {
    batch(set, Some(b"key"), now_ms())
}

/// A sound batch whose header says something else, with the checksum that this has.
fn told(change: impl Fn(&mut BatchHeader)) -> Bytes {
    let mut bytes = sound(|b| b).to_vec();
    let mut header = BatchHeader::parse(&bytes).unwrap();
    change(&mut header);
    bytes[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    header.crc = crc_fast::crc32_iscsi(&bytes[CHECKED_FROM..]);
    bytes[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    bytes.into()
}

struct Asker(Ground);

impl Asker {
    fn new(cluster: &Cluster) -> Asker {
        Asker(Ground::new(cluster, 1))
    }

    /// Another topic, with this key of its own.
    fn topic_with(&self, cluster: &Cluster, name: &str, key: &str) -> Str {
        let topic = cluster.name(name);
        let create = ["topics", "create", &topic, "--config", key];
        cluster.run(&create).ok();
        Str::from(topic)
    }

    fn producing(&self, records: Bytes) -> ProduceRequest {
        ProduceRequest {
            acks: ALL,
            timeout_ms: 10_000,
            topic_data: vec![TopicProduceData {
                name: self.0.topic.clone(),
                partition_data: vec![PartitionProduceData {
                    index: 0,
                    records: Some(records.into()),
                }],
                ..TopicProduceData::default()
            }],
            ..ProduceRequest::default()
        }
    }

    /// The answer to a batch in a request with something about it changed.
    fn ask(
        &mut self,
        version: i16,
        records: Bytes,
        change: impl Fn(&mut ProduceRequest),
    ) -> ErrorCode {
        let mut request = self.producing(records);
        change(&mut request);
        // A new partition is led a little later than it is known of.
        let mut answer = ErrorCode::None;
        wait_until("the partition is led", || {
            let response = self.0.wire.call(&request, version);
            answer = code(response.responses[0].partition_responses[0].error_code);
            answer != ErrorCode::NotLeaderOrFollower
        });
        answer
    }

    fn send(&mut self, records: Bytes) -> ErrorCode {
        self.ask(12, records, |_| {})
    }

    fn send_to(&mut self, topic: &Str, records: Bytes) -> ErrorCode {
        let change = |r: &mut ProduceRequest| r.topic_data[0].name = topic.clone();
        self.ask(12, records, change)
    }
}

#[test]
fn requests_to_produce_that_nobody_could_take_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("producing");
    let mut asker = Asker::new(&cluster);
    let whole = || sound(|b| b);
    let nowhere = Str::from("no-such-topic");
    let twice: Bytes = [whole(), whole()].concat().into();
    let zstd = sound(|b| b.compression(Compression::Zstd));
    let answers: Answers = vec![
        ("a batch", asker.send(whole())),
        ("acks of two", asker.ask(12, whole(), |r| r.acks = 2)),
        ("acks below all", asker.ask(12, whole(), |r| r.acks = -2)),
        (
            "acks of two to no topic",
            asker.ask(12, whole(), |r| {
                r.acks = 2;
                r.topic_data[0].name = "no-such-topic".into();
            }),
        ),
        ("no topic", asker.send_to(&nowhere, whole())),
        ("no topic id", {
            asker.ask(13, whole(), |r| r.topic_data[0].topic_id = UNKNOWN)
        }),
        ("no partition", {
            asker.ask(12, whole(), |r| r.topic_data[0].partition_data[0].index = 7)
        }),
        (
            "an empty batch",
            asker.send(BatchBuilder::new(0).build().unwrap()),
        ),
        ("nothing at all", asker.send(Bytes::new())),
        ("two batches", asker.send(twice)),
        (
            "less than a batch",
            asker.send(whole().slice(..HEADER_LEN + 2)),
        ),
        ("less than a header", asker.send(whole().slice(..10))),
        ("an older format", asker.send(told(|h| h.magic = 1))),
        (
            "zstd from an old client",
            asker.ask(6, zstd.clone(), |_| {}),
        ),
        ("zstd", asker.send(zstd)),
        ("of a transaction that is not named", {
            asker.send(sound(|b| b.producer(1, 0, 0).transactional(true)))
        }),
    ];
    are(
        &answers,
        &[
            ErrorCode::None,
            ErrorCode::InvalidRequiredAcks,
            ErrorCode::InvalidRequiredAcks,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicId,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::InvalidRecord,
            ErrorCode::InvalidRecord,
            ErrorCode::InvalidRecord,
            ErrorCode::InvalidRecord,
            ErrorCode::InvalidRecord,
            ErrorCode::InvalidRecord,
            ErrorCode::UnsupportedCompressionType,
            ErrorCode::None,
            ErrorCode::TransactionalIdAuthorizationFailed,
        ],
    );
}

#[test]
fn batches_that_no_log_may_take_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("batches");
    let mut asker = Asker::new(&cluster);
    let small = asker.topic_with(&cluster, "small", "max.message.bytes=100");
    let keyed = asker.topic_with(&cluster, "keyed", "cleanup.policy=compact");
    let now = now_ms();
    let mut damaged = sound(|b| b).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let large = vec![b'x'; 200];
    // Kafka 4.3.1 stores the one, and fails over the other.
    let (stamped, unheard) = match cluster.is_own() {
        true => (
            ErrorCode::InvalidTimestamp,
            ErrorCode::UnsupportedCompressionType,
        ),
        false => (ErrorCode::None, ErrorCode::UnknownServerError),
    };
    let answers: Answers = vec![
        ("damaged", asker.send(damaged.into())),
        (
            "a length that cannot be",
            asker.send(told(|h| h.batch_length = 3)),
        ),
        ("a magic that never was", asker.send(told(|h| h.magic = 9))),
        ("too large for the topic", {
            asker.send_to(&small, batch(|b| b, Some(&large), now))
        }),
        ("without a key, where one is needed", {
            asker.send_to(&keyed, batch(|b| b, None, now))
        }),
        (
            "with it",
            asker.send_to(&keyed, batch(|b| b, Some(b"k"), now)),
        ),
        ("from days to come", {
            asker.send(batch(|b| b, None, now + 7 * DAY_MS))
        }),
        (
            "not from the beginning",
            asker.send(told(|h| h.base_offset = 5)),
        ),
        ("records that are not there", {
            asker.send(told(|h| (h.records_count, h.last_offset_delta) = (2, 1)))
        }),
        ("more offsets than records", {
            asker.send(told(|h| h.last_offset_delta = 1))
        }),
        (
            "a marker",
            asker.send(sound(|b| b.producer(1, 0, -1).control(true))),
        ),
        ("a producer without a sequence", {
            asker.send(sound(|b| b.producer(1, 0, -1)))
        }),
        ("the broker's time, by a client", {
            asker.send(told(|h| h.attributes |= LOG_APPEND_TIME))
        }),
        ("a codec that is not there", {
            asker.send(told(|h| h.attributes |= NO_SUCH_CODEC))
        }),
    ];
    are(
        &answers,
        &[
            ErrorCode::CorruptMessage,
            ErrorCode::CorruptMessage,
            ErrorCode::CorruptMessage,
            ErrorCode::MessageTooLarge,
            ErrorCode::InvalidRecord,
            ErrorCode::None,
            ErrorCode::InvalidTimestamp,
            ErrorCode::InvalidRecord,
            ErrorCode::InvalidRecord,
            ErrorCode::InvalidRecord,
            ErrorCode::InvalidRecord,
            ErrorCode::InvalidRecord,
            stamped,
            unheard,
        ],
    );
}
