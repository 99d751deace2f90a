//! Fetch, ListOffsets, OffsetForLeaderEpoch, DeleteRecords: reading a log from the outside.

use catchword_wire::batch::{BatchBuilder, Compression, NewRecord};
use catchword_wire::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use catchword_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use catchword_wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use catchword_wire::messages::{
    DeleteRecordsRequest, FetchRequest, ListOffsetsRequest, MetadataRequest,
    OffsetForLeaderEpochRequest,
};
use catchword_wire::{ErrorCode, Uuid};

use crate::harness::{Client, TestBroker, fetch_request, records_of, values};

fn list_offset(client: &mut Client, timestamp: i64) -> (i16, i64, i64) {
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: "t".into(),
            partitions: vec![ListOffsetsPartition {
                timestamp,
                ..Default::default()
            }],
        }],
        ..ListOffsetsRequest::default()
    };
    let found = client.call(&request, 9).topics[0].partitions[0].clone();
    (found.error_code, found.offset, found.timestamp)
}

fn produce_at(client: &mut Client, timestamps: &[i64]) {
    let mut builder = BatchBuilder::new(0).compression(Compression::Lz4);
    for timestamp in timestamps {
        builder
            .push(NewRecord {
                timestamp: *timestamp,
                value: Some(b"v"),
                ..NewRecord::default()
            })
            .unwrap();
    }
    assert_eq!(
        client
            .produce_batch("t", builder.build().unwrap(), -1)
            .error_code,
        0
    );
}

#[test]
fn offsets_are_found_by_place_and_by_time() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    assert_eq!(list_offset(&mut client, -1), (0, 0, -1), "an empty log");
    assert_eq!(list_offset(&mut client, 5), (0, -1, -1));
    produce_at(&mut client, &[1000, 3000]);
    produce_at(&mut client, &[2000, 4000, 3500]);
    assert_eq!(list_offset(&mut client, -1), (0, 5, -1), "latest");
    assert_eq!(list_offset(&mut client, -2), (0, 0, -1), "earliest");
    assert_eq!(
        list_offset(&mut client, -3),
        (0, 3, 4000),
        "largest timestamp (KIP-734)"
    );
    assert_eq!(list_offset(&mut client, 1000), (0, 0, 1000));
    assert_eq!(
        list_offset(&mut client, 1001),
        (0, 1, 3000),
        "within a compressed batch"
    );
    assert_eq!(list_offset(&mut client, 3001), (0, 3, 4000));
    assert_eq!(
        list_offset(&mut client, 4001),
        (0, -1, -1),
        "after the last"
    );
}

#[test]
fn an_offset_outside_the_log_is_out_of_range_and_the_end_is_not() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.produce("t", &["a", "b"]);
    let code = |client: &mut Client, offset| {
        client.call(&fetch_request("t", offset), 11).responses[0].partitions[0].error_code
    };
    assert_eq!(code(&mut client, 2), 0);
    assert_eq!(code(&mut client, 3), ErrorCode::OffsetOutOfRange.code());
    assert_eq!(code(&mut client, -1), ErrorCode::OffsetOutOfRange.code());
}

#[test]
fn one_batch_comes_whatever_the_limits_say() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.produce("t", &[&"x".repeat(10_000)]);
    client.produce("t", &["second"]);
    let mut request = fetch_request("t", 0);
    request.max_bytes = 1;
    request.topics[0].partitions[0].partition_max_bytes = 1;
    let records = records_of(&client.call(&request, 11));
    assert_eq!(
        records.len(),
        1,
        "KIP-74: the first batch whole, and no more"
    );
    assert_eq!(records[0].offset, 0);
}

#[test]
fn a_session_is_kept_over_requests_and_topic_ids_name_topics() {
    let broker = TestBroker::start();
    broker.topic("t", 2, &[]);
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
    let mut full = fetch_request("", 0);
    full.session_epoch = 0;
    full.topics[0].topic_id = id;
    let opened = client.call(&full, 16);
    assert_ne!(opened.session_id, 0);
    let next = FetchRequest {
        session_id: opened.session_id,
        session_epoch: 1,
        topics: Vec::new(),
        ..full.clone()
    };
    assert!(
        client.call(&next, 16).responses.is_empty(),
        "nothing is new"
    );
    client.produce("t", &["a"]);
    let next = FetchRequest {
        session_epoch: 2,
        ..next
    };
    let news = client.call(&next, 16);
    assert_eq!(news.responses[0].topic_id, id);
    assert_eq!(values(&records_of(&news)), ["a"]);
    let stale = client.call(&next, 16);
    assert_eq!(stale.error_code, ErrorCode::InvalidFetchSessionEpoch.code());
    let mut unknown = fetch_request("", 0);
    unknown.topics[0].topic_id = Uuid([9; 16]);
    let code = client.call(&unknown, 16).responses[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::UnknownTopicId.code());
}

#[test]
fn leader_epochs_grow_with_each_start_and_old_ones_are_fenced() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    broker.client().produce("t", &["a", "b"]);
    let broker = broker.restart();
    let mut client = broker.client();
    client.produce("t", &["c"]);
    let end = |client: &mut Client, current: i32, epoch: i32| {
        let request = OffsetForLeaderEpochRequest {
            topics: vec![OffsetForLeaderTopic {
                topic: "t".into(),
                partitions: vec![OffsetForLeaderPartition {
                    partition: 0,
                    current_leader_epoch: current,
                    leader_epoch: epoch,
                }],
            }],
            ..OffsetForLeaderEpochRequest::default()
        };
        let found = client.call(&request, 4).topics[0].partitions[0].clone();
        (found.error_code, found.leader_epoch, found.end_offset)
    };
    assert_eq!(
        end(&mut client, 1, 0),
        (0, 0, 2),
        "the first epoch ended where the broker stopped"
    );
    assert_eq!(end(&mut client, 1, 1), (0, 1, 3));
    assert_eq!(
        end(&mut client, 0, 0).0,
        ErrorCode::FencedLeaderEpoch.code()
    );
    assert_eq!(
        end(&mut client, 2, 0).0,
        ErrorCode::UnknownLeaderEpoch.code()
    );
    let mut fetch = fetch_request("t", 0);
    fetch.topics[0].partitions[0].current_leader_epoch = 0;
    let code = client.call(&fetch, 11).responses[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::FencedLeaderEpoch.code());
}

#[test]
fn deleted_records_stay_deleted() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    broker.topic("compact", 1, &[("cleanup.policy", "compact")]);
    let mut client = broker.client();
    for value in ["a", "b", "c"] {
        client.produce("t", &[value]);
    }
    let delete = |client: &mut Client, topic: &'static str, offset| {
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: topic.into(),
                partitions: vec![DeleteRecordsPartition {
                    partition_index: 0,
                    offset,
                }],
            }],
            timeout_ms: 1000,
        };
        let done = client.call(&request, 2).topics[0].partitions[0].clone();
        (done.error_code, done.low_watermark)
    };
    assert_eq!(delete(&mut client, "t", 2), (0, 2));
    assert_eq!(
        delete(&mut client, "t", 1),
        (0, 2),
        "the start never goes back"
    );
    assert_eq!(
        delete(&mut client, "t", 9).0,
        ErrorCode::OffsetOutOfRange.code()
    );
    assert_eq!(
        delete(&mut client, "compact", 0).0,
        ErrorCode::PolicyViolation.code()
    );
    let broker = broker.restart();
    let mut client = broker.client();
    assert_eq!(list_offset(&mut client, -2), (0, 2, -1));
    assert_eq!(values(&client.read("t", 2)), ["c"]);
    assert_eq!(delete(&mut client, "t", -1), (0, 3), "-1 is the end");
}
