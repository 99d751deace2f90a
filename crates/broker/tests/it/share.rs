//! Share groups over the socket: the state machine's own rules are tested in `catchword-coordinator`.

use catchword_wire::messages::metadata_request::MetadataRequestTopic;
use catchword_wire::messages::share_acknowledge_request::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch,
};
use catchword_wire::messages::share_fetch_request::{FetchPartition, FetchTopic};
use catchword_wire::messages::{
    MetadataRequest, ShareAcknowledgeRequest, ShareFetchRequest, ShareFetchResponse,
    ShareGroupHeartbeatRequest,
};
use catchword_wire::{ErrorCode, Str, Uuid};

use crate::harness::{Client, TestBroker};

const ACCEPT: i8 = 1;

fn topic_id(client: &mut Client, name: &'static str) -> Uuid {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(name.into()),
            ..MetadataRequestTopic::default()
        }]),
        ..MetadataRequest::default()
    };
    client.call(&request, 12).topics[0].topic_id
}

fn fetch(client: &mut Client, member: &str, topic: Uuid, epoch: i32) -> ShareFetchResponse {
    let request = ShareFetchRequest {
        group_id: Some("g".into()),
        member_id: Some(Str::copy(member)),
        share_session_epoch: epoch,
        max_wait_ms: 300,
        min_bytes: 1,
        max_bytes: 1 << 20,
        max_records: 100,
        batch_size: 100,
        topics: vec![FetchTopic {
            topic_id: topic,
            partitions: vec![FetchPartition::default()],
        }],
        ..ShareFetchRequest::default()
    };
    let response = client.call(&request, 1);
    assert_eq!(response.error_code, 0);
    response
}

/// First and last offset and delivery count of what was acquired.
fn acquired(response: &ShareFetchResponse) -> Vec<(i64, i64, i16)> {
    let partitions = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions);
    let ranges = partitions.flat_map(|partition| {
        assert_eq!(partition.error_code, 0);
        &partition.acquired_records
    });
    ranges
        .map(|r| (r.first_offset, r.last_offset, r.delivery_count))
        .collect()
}

fn accept(client: &mut Client, member: &str, topic: Uuid, epoch: i32, last: i64) -> i16 {
    let request = ShareAcknowledgeRequest {
        group_id: Some("g".into()),
        member_id: Some(Str::copy(member)),
        share_session_epoch: epoch,
        topics: vec![AcknowledgeTopic {
            topic_id: topic,
            partitions: vec![AcknowledgePartition {
                partition_index: 0,
                acknowledgement_batches: vec![AcknowledgementBatch {
                    first_offset: 0,
                    last_offset: last,
                    acknowledge_types: vec![ACCEPT],
                }],
            }],
        }],
        ..ShareAcknowledgeRequest::default()
    };
    let response = client.call(&request, 1);
    assert_eq!(response.error_code, 0);
    response.responses[0].partitions[0].error_code
}

#[test]
fn what_a_member_holds_nobody_else_gets_until_its_connection_ends() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let (mut one, mut two) = (broker.client(), broker.client());
    let topic = topic_id(&mut one, "t");
    // The group begins at the end of the log, which is its start.
    assert_eq!(acquired(&fetch(&mut one, "1", topic, 0)), []);
    one.produce("t", &["a", "b", "c"]);
    assert_eq!(acquired(&fetch(&mut one, "1", topic, 1)), [(0, 2, 1)]);
    assert_eq!(acquired(&fetch(&mut two, "2", topic, 0)), []);
    assert_eq!(
        accept(&mut two, "2", topic, 1, 0),
        ErrorCode::InvalidRecordState.code()
    );
    drop(one);
    assert_eq!(acquired(&fetch(&mut two, "2", topic, 2)), [(0, 2, 2)]);
}

#[test]
fn what_was_acknowledged_stays_so_when_the_broker_is_killed() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    let topic = topic_id(&mut client, "t");
    fetch(&mut client, "1", topic, 0);
    client.produce("t", &["a", "b", "c"]);
    assert_eq!(acquired(&fetch(&mut client, "1", topic, 1)), [(0, 2, 1)]);
    assert_eq!(accept(&mut client, "1", topic, 2, 1), 0);
    let after = broker.on_a_copy();
    let mut client = after.client();
    assert_eq!(acquired(&fetch(&mut client, "2", topic, 0)), [(2, 2, 1)]);
}

#[test]
fn two_members_share_one_partition() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    let topic = topic_id(&mut client, "t");
    for member in ["1", "2"] {
        let request = ShareGroupHeartbeatRequest {
            group_id: "g".into(),
            member_id: member.into(),
            member_epoch: 0,
            subscribed_topic_names: Some(vec!["t".into()]),
            ..ShareGroupHeartbeatRequest::default()
        };
        let response = client.call(&request, 1);
        assert_eq!(response.error_code, 0);
        let assigned = response.assignment.unwrap().topic_partitions;
        assert_eq!(
            (assigned[0].topic_id, &assigned[0].partitions[..]),
            (topic, &[0][..])
        );
    }
}
