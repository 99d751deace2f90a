//! Quotas: whoever is over is told so, and held up; nobody else is.

use std::time::{Duration, Instant};

use catchword_wire::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use catchword_wire::messages::create_topics_request::CreatableTopic;
use catchword_wire::messages::describe_client_quotas_request::ComponentData;
use catchword_wire::messages::{
    AlterClientQuotasRequest, CreateTopicsRequest, DescribeClientQuotasRequest, MetadataRequest,
};
use catchword_wire::{ErrorCode, Str};

use crate::harness::{Client, TestBroker, batch, fetch_request, produce_request, records_of};
use catchword_wire::batch::Compression;

/// Sets a quota, or takes it back; the error code that comes back.
fn alter(
    client: &mut Client,
    entity: &[(&str, Option<&str>)],
    key: &str,
    value: Option<f64>,
) -> i16 {
    let data = |(of, name): &(&str, Option<&str>)| EntityData {
        entity_type: Str::copy(of),
        entity_name: name.map(Str::copy),
    };
    let request = AlterClientQuotasRequest {
        entries: vec![EntryData {
            entity: entity.iter().map(data).collect(),
            ops: vec![OpData {
                key: Str::copy(key),
                value: value.unwrap_or(0.0),
                remove: value.is_none(),
            }],
        }],
        validate_only: false,
    };
    client.call(&request, 1).entries[0].error_code
}

fn values(client: &mut Client) -> Vec<(String, f64)> {
    let request = DescribeClientQuotasRequest {
        components: vec![ComponentData {
            entity_type: "client-id".into(),
            match_type: 2,
            match_: None,
        }],
        strict: false,
    };
    let response = client.call(&request, 1);
    assert_eq!(response.error_code, 0);
    let entries = response.entries.unwrap_or_default();
    entries
        .iter()
        .flat_map(|e| e.values.iter().map(|v| (v.key.to_string(), v.value)))
        .collect()
}

const ALL_IDS: &[(&str, Option<&str>)] = &[("client-id", None)];

#[test]
fn a_producer_over_its_quota_is_told_for_how_long_and_not_read_from_meanwhile() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    assert_eq!(
        alter(&mut client, ALL_IDS, "producer_byte_rate", Some(1000.0)),
        0
    );
    let value = "x".repeat(10_000);
    let request = produce_request("t", batch(&[&value], Compression::None), -1);
    let response = client.call(&request, 9);
    assert_eq!(
        response.responses[0].partition_responses[0].error_code, 0,
        "it is taken all the same"
    );
    // The value is key as well, so some 20 kB, where ten windows allow 10 kB.
    let told = response.throttle_time_ms;
    assert!((5_000..20_000).contains(&told), "{told}");
    client
        .stream
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    client.send(&MetadataRequest::default(), 9);
    let mut byte = [0];
    let unread = std::io::Read::read(&mut client.stream, &mut byte);
    assert!(unread.is_err(), "nothing is answered while it is held up");
    // Another connection is served.
    let began = Instant::now();
    broker.client().call(&MetadataRequest::default(), 9);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_connection_that_was_held_up_is_served_afterwards() {
    let broker = TestBroker::with(&[("quota.window.num", "2")]);
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    assert_eq!(
        alter(&mut client, ALL_IDS, "producer_byte_rate", Some(1000.0)),
        0
    );
    let value = "x".repeat(600);
    let request = produce_request("t", batch(&[&value], Compression::None), -1);
    let told = client.call(&request, 9).throttle_time_ms;
    assert!(told > 100, "{told}");
    let began = Instant::now();
    client.call(&MetadataRequest::default(), 9);
    let waited = began.elapsed().as_millis() as i32;
    assert!(waited + 100 >= told, "{waited} of {told}");
}

#[test]
fn a_consumer_over_its_quota_gets_nothing_but_the_time() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    let value = "x".repeat(8000);
    client.produce("t", &[&value]);
    assert_eq!(
        alter(&mut client, ALL_IDS, "consumer_byte_rate", Some(2000.0)),
        0
    );
    let first = client.call(&fetch_request("t", 0), 11);
    assert_eq!((first.throttle_time_ms, records_of(&first).len()), (0, 1));
    let second = client.call(&fetch_request("t", 0), 11);
    assert!(second.throttle_time_ms > 0);
    assert!(second.responses.is_empty());
    assert_eq!(second.error_code, 0);
}

#[test]
fn time_spent_on_requests_has_a_quota_and_holds_nobody_up_for_longer_than_a_window() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    assert_eq!(
        alter(&mut client, ALL_IDS, "request_percentage", Some(0.000_001)),
        0
    );
    let told = client.call(&MetadataRequest::default(), 9).throttle_time_ms;
    assert!((1..=1000).contains(&told), "{told}");
}

#[test]
fn quotas_outlive_a_restart_and_are_taken_back() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    assert_eq!(
        alter(&mut client, ALL_IDS, "producer_byte_rate", Some(1e6)),
        0
    );
    let broker = broker.restart();
    let mut client = broker.client();
    assert_eq!(
        values(&mut client),
        [("producer_byte_rate".to_owned(), 1e6)]
    );
    assert_eq!(alter(&mut client, ALL_IDS, "producer_byte_rate", None), 0);
    assert_eq!(values(&mut client), []);
}

#[test]
fn quotas_that_do_not_do_are_refused_as_kafka_does() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let invalid = ErrorCode::InvalidRequest.code();
    for (entity, key, value) in [
        (ALL_IDS, "producer_byte_rate", 0.0),
        (ALL_IDS, "producer_byte_rate", 1.5),
        (ALL_IDS, "connection_creation_rate", 1.0),
        (ALL_IDS, "no_such_rate", 1.0),
        (&[], "producer_byte_rate", 1.0),
        (&[("user", Some(""))], "producer_byte_rate", 1.0),
        (&[("colour", Some("red"))], "producer_byte_rate", 1.0),
        (
            &[("ip", None), ("user", None)],
            "connection_creation_rate",
            1.0,
        ),
        (&[("ip", None)], "producer_byte_rate", 1.0),
    ] {
        assert_eq!(
            alter(&mut client, entity, key, Some(value)),
            invalid,
            "{entity:?} {key} {value}"
        );
    }
    assert_eq!(values(&mut client), []);
}

#[test]
fn who_creates_too_many_partitions_is_refused_until_none_are_owed() {
    let broker = TestBroker::with(&[("quota.window.num", "2")]);
    let mut client = broker.client();
    let mutation = "controller_mutation_rate";
    assert_eq!(alter(&mut client, ALL_IDS, mutation, Some(10.0)), 0);
    let create = |client: &mut Client, name: &str, partitions: i32, version: i16| {
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: Str::copy(name),
                num_partitions: partitions,
                replication_factor: 1,
                ..CreatableTopic::default()
            }],
            timeout_ms: 10_000,
            validate_only: false,
        };
        let response = client.call(&request, version);
        (response.topics[0].error_code, response.throttle_time_ms)
    };
    let exceeded = ErrorCode::ThrottlingQuotaExceeded.code();
    // Two windows' worth gathers: 20. Whoever has some left may take more than is left.
    assert_eq!(create(&mut client, "a", 40, 7), (0, 0));
    let (code, told) = create(&mut client, "b", 1, 7);
    assert_eq!(code, exceeded);
    assert!((1_000..=2_000).contains(&told), "{told}");
    let mut other = broker.client();
    let began = Instant::now();
    while create(&mut other, "b", 1, 7).0 == exceeded {
        assert!(began.elapsed() < Duration::from_secs(60));
        // Each try waits as long as was said: the connection is not read from meanwhile.
    }
    // An older client, which knows no such error, is held up instead.
    let (code, told) = create(&mut other, "c", 40, 4);
    assert_eq!(code, 0);
    assert!(told > 1_000, "{told}");
}

#[test]
fn an_address_that_connects_too_often_gets_no_answer() {
    let broker = TestBroker::with(&[("quota.window.num", "2")]);
    let mut client = broker.client();
    let ip = [("ip", None)];
    let rate = "connection_creation_rate";
    assert_eq!(alter(&mut client, &ip, rate, Some(3.0)), 0);
    let served = || {
        let mut client = broker.client();
        client.send(&MetadataRequest::default(), 9);
        matches!(std::io::Read::read(&mut client.stream, &mut [0]), Ok(1))
    };
    let in_a_row = (0..20).take_while(|_| served()).count();
    assert!((3..20).contains(&in_a_row), "{in_a_row} were served");
    // The connection that was there before is not concerned.
    assert_eq!(alter(&mut client, &ip, rate, None), 0);
    assert!(served());
}

#[test]
fn connections_beyond_the_brokers_rate_wait() {
    let broker = TestBroker::with(&[
        ("quota.window.num", "2"),
        ("max.connection.creation.rate", "5"),
    ]);
    let began = Instant::now();
    for _ in 0..12 {
        broker.client().call(&MetadataRequest::default(), 9);
    }
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(900), "{took:?}");
}
