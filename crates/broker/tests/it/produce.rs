//! Produce: acks, idempotence, codecs, timestamps, limits.

use catchword_wire::ErrorCode;
use catchword_wire::batch::{BatchBuilder, Compression, NewRecord};
use catchword_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use catchword_wire::messages::{
    InitProducerIdRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest,
};

use crate::harness::{TestBroker, batch, now_ms, produce_request, values};

#[test]
fn records_come_back_as_they_were_whatever_the_codec_and_through_a_restart() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let codecs = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    for (i, codec) in codecs.into_iter().enumerate() {
        let response = broker
            .client()
            .produce_batch("t", batch(&["one", "two"], codec), -1);
        assert_eq!(
            (response.error_code, response.base_offset),
            (0, 2 * i as i64),
            "{codec:?}"
        );
    }
    let broker = broker.restart();
    let records = broker.client().read("t", 0);
    assert_eq!(values(&records), ["one", "two"].repeat(5));
    assert_eq!(
        records.iter().map(|r| r.offset).collect::<Vec<_>>(),
        (0..10).collect::<Vec<_>>()
    );
}

#[test]
fn zstd_needs_a_request_that_knows_it() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let request = produce_request("t", batch(&["a"], Compression::Zstd), -1);
    let response = broker.client().call(&request, 6);
    let code = response.responses[0].partition_responses[0].error_code;
    assert_eq!(code, ErrorCode::UnsupportedCompressionType.code());
}

#[test]
fn acks_0_is_not_answered_and_a_refusal_closes_the_connection() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.send(
        &produce_request("t", batch(&["a"], Compression::None), 0),
        9,
    );
    let id = client.send(&MetadataRequest::default(), 12);
    assert_eq!(
        client.receive::<MetadataRequest>(12).0,
        id,
        "the next answer is the next question's"
    );
    assert_eq!(values(&client.read("t", 0)), ["a"]);
    client.send(
        &produce_request("nowhere", batch(&["a"], Compression::None), 0),
        9,
    );
    assert_eq!(client.frame(), None);
}

#[test]
fn other_acks_are_refused() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let response = broker
        .client()
        .produce_batch("t", batch(&["a"], Compression::None), 2);
    assert_eq!(response.error_code, ErrorCode::InvalidRequiredAcks.code());
}

fn idempotent(id: i64, epoch: i16, sequence: i32, value: &str) -> bytes::Bytes {
    let mut builder = BatchBuilder::new(0).producer(id, epoch, sequence);
    let record = NewRecord {
        timestamp: now_ms(),
        value: Some(value.as_bytes()),
        ..NewRecord::default()
    };
    builder.push(record).unwrap();
    builder.build().unwrap()
}

#[test]
fn an_idempotent_producers_retry_is_answered_with_the_first_offset_and_stored_once() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    let request = InitProducerIdRequest {
        transactional_id: None,
        ..InitProducerIdRequest::default()
    };
    let given = client.call(&request, 4);
    assert_eq!((given.error_code, given.producer_epoch), (0, 0));
    let id = given.producer_id;
    assert_eq!(
        client
            .produce_batch("t", idempotent(id, 0, 0, "a"), -1)
            .base_offset,
        0
    );
    assert_eq!(
        client
            .produce_batch("t", idempotent(id, 0, 1, "b"), -1)
            .base_offset,
        1
    );
    let again = client.produce_batch("t", idempotent(id, 0, 0, "a"), -1);
    assert_eq!((again.error_code, again.base_offset), (0, 0));
    let gap = client.produce_batch("t", idempotent(id, 0, 5, "f"), -1);
    assert_eq!(gap.error_code, ErrorCode::OutOfOrderSequenceNumber.code());
    assert_eq!(
        client
            .produce_batch("t", idempotent(id, 1, 0, "c"), -1)
            .base_offset,
        2,
        "a new epoch begins at 0"
    );
    let fenced = client.produce_batch("t", idempotent(id, 0, 2, "d"), -1);
    assert_eq!(fenced.error_code, ErrorCode::InvalidProducerEpoch.code());
    let broker = broker.restart();
    let again = broker
        .client()
        .produce_batch("t", idempotent(id, 1, 0, "c"), -1);
    assert_eq!(
        (again.error_code, again.base_offset),
        (0, 2),
        "a restart forgets no sequence"
    );
    assert_eq!(values(&broker.client().read("t", 0)), ["a", "b", "c"]);
}

#[test]
fn producer_ids_are_never_given_twice() {
    let broker = TestBroker::start();
    let request = InitProducerIdRequest {
        transactional_id: None,
        ..InitProducerIdRequest::default()
    };
    let mut ids: Vec<i64> = (0..3)
        .map(|_| broker.client().call(&request, 4).producer_id)
        .collect();
    let broker = broker.restart();
    ids.extend((0..3).map(|_| broker.client().call(&request, 4).producer_id));
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
}

#[test]
fn log_append_time_is_the_brokers_clock() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let mut builder = BatchBuilder::new(0);
    builder
        .push(NewRecord {
            timestamp: 5,
            value: Some(b"old"),
            ..NewRecord::default()
        })
        .unwrap();
    let response = broker
        .client()
        .produce_batch("t", builder.build().unwrap(), -1);
    assert!((now_ms() - response.log_append_time_ms).abs() < 60_000);
    assert_eq!(
        broker.client().read("t", 0)[0].timestamp,
        response.log_append_time_ms
    );
}

#[test]
fn a_batch_that_lies_about_its_largest_timestamp_is_put_right() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut builder = BatchBuilder::new(0);
    for timestamp in [1000, 3000, 2000] {
        let record = NewRecord {
            timestamp,
            value: Some(b"v"),
            ..NewRecord::default()
        };
        builder.push(record).unwrap();
    }
    let mut lying = builder.build().unwrap().to_vec();
    lying[35..43].copy_from_slice(&9000i64.to_be_bytes());
    let crc = crc32c(&lying[21..]);
    lying[17..21].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(
        broker
            .client()
            .produce_batch("t", lying.into(), -1)
            .error_code,
        0
    );
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: "t".into(),
            partitions: vec![ListOffsetsPartition {
                timestamp: -3,
                ..Default::default()
            }],
        }],
        ..ListOffsetsRequest::default()
    };
    let largest = broker.client().call(&request, 9).topics[0].partitions[0].clone();
    assert_eq!((largest.offset, largest.timestamp), (1, 3000));
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

#[test]
fn limits_of_the_topic_are_kept() {
    let broker = TestBroker::start();
    broker.topic("small", 1, &[("max.message.bytes", "200")]);
    broker.topic("recent", 1, &[("message.timestamp.before.max.ms", "1000")]);
    broker.topic("compact", 1, &[("cleanup.policy", "compact")]);
    let mut client = broker.client();
    let large = client.produce("small", &[&"x".repeat(300)]);
    assert_eq!(large.error_code, ErrorCode::MessageTooLarge.code());
    let mut old = BatchBuilder::new(0);
    old.push(NewRecord {
        timestamp: 5,
        value: Some(b"old"),
        ..NewRecord::default()
    })
    .unwrap();
    let refused = client.produce_batch("recent", old.build().unwrap(), -1);
    assert_eq!(refused.error_code, ErrorCode::InvalidTimestamp.code());
    let mut keyless = BatchBuilder::new(0);
    keyless
        .push(NewRecord {
            timestamp: now_ms(),
            value: Some(b"v"),
            ..NewRecord::default()
        })
        .unwrap();
    let refused = client.produce_batch("compact", keyless.build().unwrap(), -1);
    assert_eq!(refused.error_code, ErrorCode::InvalidRecord.code());
}

/// OFFSETS S1.
#[test]
fn s1_nobody_but_the_broker_writes_to_the_offsets_topic() {
    let broker = TestBroker::start();
    broker.client().find_coordinator();
    let refused = broker.client().produce("__consumer_offsets", &["x"]);
    assert_eq!(refused.error_code, ErrorCode::InvalidTopicException.code());
}

#[test]
fn topics_can_be_named_by_their_ids() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    let id = client
        .call(
            &MetadataRequest {
                topics: None,
                ..Default::default()
            },
            12,
        )
        .topics[0]
        .topic_id;
    let mut request = produce_request("", batch(&["a"], Compression::None), -1);
    request.topic_data[0].topic_id = id;
    let response = client.call(&request, 13);
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    request.topic_data[0].topic_id = catchword_wire::Uuid([9; 16]);
    let response = client.call::<ProduceRequest>(&request, 13);
    let code = response.responses[0].partition_responses[0].error_code;
    assert_eq!(code, ErrorCode::UnknownTopicId.code());
}
