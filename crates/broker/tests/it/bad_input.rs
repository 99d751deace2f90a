//! Whatever bytes come: Kafka's error or a closed connection, and nobody else is disturbed.

use std::io::Write;

use catchword_wire::batch::Compression;
use catchword_wire::messages::describe_configs_request::DescribeConfigsResource;
use catchword_wire::messages::metadata_request::MetadataRequestTopic;
use catchword_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use catchword_wire::messages::{
    ApiVersionsRequest, DescribeConfigsRequest, DescribeGroupsRequest, MetadataRequest,
    OffsetCommitRequest, OffsetFetchRequest, ProduceRequest,
};
use catchword_wire::{Decoder, ErrorCode, Message};

use crate::harness::{Client, TestBroker, batch, encoded};

fn is_alive(broker: &TestBroker) {
    let response = broker.client().call(&MetadataRequest::default(), 12);
    assert_eq!(response.brokers.len(), 1);
}

fn closes(broker: &TestBroker, bytes: &[u8]) {
    let mut client = broker.client();
    let mut bystander = broker.client();
    client.stream.write_all(bytes).unwrap();
    assert_eq!(
        client.frame(),
        None,
        "the connection is closed without an answer"
    );
    assert_eq!(
        bystander
            .call(&MetadataRequest::default(), 12)
            .brokers
            .len(),
        1
    );
}

#[test]
fn garbage_closes_its_connection_and_no_other() {
    let broker = TestBroker::start();
    closes(&broker, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    closes(&broker, &[0xff; 64]);
    closes(&broker, &[0, 0, 0, 2, 1, 2]);
}

#[test]
fn a_frame_larger_than_allowed_is_refused_by_its_length_alone() {
    let broker = TestBroker::with(&[("socket.request.max.bytes", "1000")]);
    closes(&broker, &1001i32.to_be_bytes());
    closes(&broker, &(-1i32).to_be_bytes());
}

#[test]
fn an_unknown_api_or_version_closes_the_connection() {
    let broker = TestBroker::start();
    let mut unknown_api = encoded(&MetadataRequest::default(), 9);
    unknown_api[4..6].copy_from_slice(&999i16.to_be_bytes());
    closes(&broker, &unknown_api);
    let mut unknown_version = encoded(&MetadataRequest::default(), 9);
    unknown_version[6..8].copy_from_slice(&99i16.to_be_bytes());
    closes(&broker, &unknown_version);
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_at_version_0() {
    let broker = TestBroker::start();
    let mut bytes = encoded(&ApiVersionsRequest::default(), 3);
    bytes[6..8].copy_from_slice(&99i16.to_be_bytes());
    let mut client = broker.client();
    client.stream.write_all(&bytes).unwrap();
    let mut d = Decoder::new(client.frame().expect("KIP-511: an answer"));
    assert_eq!(d.i32(), Ok(7), "the correlation id");
    let response = catchword_wire::messages::ApiVersionsResponse::decode(&mut d, 0).unwrap();
    assert_eq!(response.error_code, ErrorCode::UnsupportedVersion.code());
    assert!(
        response
            .api_keys
            .iter()
            .any(|k| k.api_key == 18 && k.max_version == 4)
    );
}

#[test]
fn half_a_request_is_waited_for_and_then_forgotten() {
    let broker = TestBroker::start();
    let whole = encoded(&MetadataRequest::default(), 12);
    for cut in 0..whole.len() {
        let mut client = broker.client();
        client.stream.write_all(&whole[..cut]).unwrap();
    }
    let mut client = broker.client();
    for byte in &whole {
        client.stream.write_all(&[*byte]).unwrap();
    }
    assert!(client.frame().is_some(), "a request may come byte by byte");
    is_alive(&broker);
}

/// Clients that claim requests of 100 MB and send little keep nobody's large request waiting.
#[test]
fn a_large_request_passes_by_those_that_were_only_announced() {
    let broker = TestBroker::with(&[("queued.max.request.bytes", "2000000")]);
    broker.topic("t", 1, &[]);
    let announced: Vec<Client> = (0..20)
        .map(|_| {
            let mut client = broker.client();
            let length = 100_000_000i32.to_be_bytes();
            client.stream.write_all(&length).unwrap();
            client.stream.write_all(&[0; 10_000]).unwrap();
            client
        })
        .collect();
    let text = "x".repeat(500_000);
    let produced = broker.client().produce("t", &[&text]);
    assert_eq!(produced.error_code, 0);
    drop(announced);
}

/// Together they claim more than there is, each comes to its end.
#[test]
fn more_large_requests_at_a_time_than_there_is_memory_for() {
    let broker = TestBroker::with(&[("queued.max.request.bytes", "300000")]);
    broker.topic("t", 1, &[]);
    let text = "x".repeat(400_000);
    let batch = batch(&[&text], Compression::None);
    let request = encoded(&crate::harness::produce_request("t", batch, -1), 9);
    let mut clients: Vec<Client> = (0..8).map(|_| broker.client()).collect();
    // All are halfway before any can end.
    for client in &mut clients {
        client.stream.write_all(&request[..100_000]).unwrap();
    }
    std::thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(|| {
                client.stream.write_all(&request[100_000..]).unwrap();
                let (_, response) = client.receive::<ProduceRequest>(9);
                assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
            });
        }
    });
}

/// Ten thousand times the same topic, in a request of 50 KB, is no answer of megabytes.
#[test]
fn what_is_asked_for_again_and_again_is_answered_once() {
    let broker = TestBroker::start();
    broker.topic("t", 100, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    let topic = MetadataRequestTopic {
        name: Some("t".into()),
        ..Default::default()
    };
    let request = MetadataRequest {
        topics: Some(vec![topic; 10_000]),
        ..Default::default()
    };
    assert_eq!(client.call(&request, 12).topics.len(), 1);
    let resource = DescribeConfigsResource {
        resource_type: 2,
        resource_name: "t".into(),
        ..Default::default()
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource; 10_000],
        ..Default::default()
    };
    assert_eq!(client.call(&request, 4).results.len(), 1);
    let request = DescribeGroupsRequest {
        groups: vec!["g".into(); 10_000],
        ..Default::default()
    };
    assert_eq!(client.call(&request, 5).groups.len(), 1);
    let topic = OffsetFetchRequestTopics {
        name: "t".into(),
        partition_indexes: vec![0; 10_000],
        ..Default::default()
    };
    let group = OffsetFetchRequestGroup {
        group_id: "g".into(),
        topics: Some(vec![topic; 10]),
        ..Default::default()
    };
    let request = OffsetFetchRequest {
        groups: vec![group; 10],
        ..Default::default()
    };
    let groups = client.call(&request, 9).groups;
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0].topics.len(), 1);
    assert_eq!(groups[0].topics[0].partitions.len(), 1);
}

/// DESIGN: 21 bytes that made another decoder allocate 206 GB.
#[test]
fn an_array_that_claims_two_billion_elements_costs_nothing() {
    let broker = TestBroker::start();
    let mut bytes = encoded(&OffsetCommitRequest::default(), 2);
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&i32::MAX.to_be_bytes());
    closes(&broker, &bytes);
    is_alive(&broker);
}

#[test]
fn a_damaged_batch_is_refused_with_kafkas_code_and_nothing_is_stored() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    let good = batch(&["a", "b"], Compression::None);
    for (at, code) in [
        (good.len() - 1, ErrorCode::CorruptMessage),
        (17, ErrorCode::CorruptMessage),
    ] {
        let mut bad = good.to_vec();
        bad[at] ^= 1;
        assert_eq!(
            client.produce_batch("t", bad.into(), -1).error_code,
            code.code(),
            "byte {at}"
        );
    }
    // Lying lengths: the batch claims more bytes than came.
    let mut long = good.to_vec();
    long[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    assert_ne!(client.produce_batch("t", long.into(), -1).error_code, 0);
    assert_eq!(
        client
            .produce_batch("t", bytes::Bytes::new(), -1)
            .error_code,
        ErrorCode::InvalidRecord.code()
    );
    let two = [good.clone(), good.clone()].concat();
    assert_eq!(
        client.produce_batch("t", two.into(), -1).error_code,
        ErrorCode::InvalidRecord.code()
    );
    assert!(client.read("t", 0).is_empty());
}

/// Frames with single bytes changed, over the whole path of a request.
#[test]
fn mutated_requests_never_take_the_broker_down() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let good = encoded(
        &crate::harness::produce_request("t", batch(&["a", "b", "c"], Compression::None), -1),
        9,
    );
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |n: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % n as u64) as usize
    };
    for _ in 0..300 {
        let mut bad = good.clone();
        for _ in 0..=random(3) {
            let at = 4 + random(bad.len() - 4);
            bad[at] = random(256) as u8;
        }
        let mut client = Client::connect(broker.address);
        client.stream.write_all(&bad).unwrap();
        client.stream.shutdown(std::net::Shutdown::Write).unwrap();
        while client.frame().is_some() {}
    }
    is_alive(&broker);
}
