//! Transactions through a socket: both kinds of clients, wrong ones, crashes, and offsets that wait for the end.

use std::time::{Duration, Instant};

use catchword_coordinator::partition_for;
use catchword_wire::ErrorCode;
use catchword_wire::batch::{BatchBuilder, NewRecord};
use catchword_wire::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use catchword_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use catchword_wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use catchword_wire::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic,
};
use catchword_wire::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, ApiVersionsRequest,
    DescribeTransactionsRequest, EndTxnRequest, EndTxnResponse, FetchRequest,
    FindCoordinatorRequest, InitProducerIdRequest, InitProducerIdResponse, ListTransactionsRequest,
    OffsetFetchRequest, ProduceRequest, TxnOffsetCommitRequest, WriteTxnMarkersRequest,
};

use crate::harness::{Client, TestBroker, fetch_request, produce_request, records_of, values};

/// A producer: id and epoch.
pub(crate) type Producer = (i64, i16);

pub(crate) fn broker() -> TestBroker {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    let request = FindCoordinatorRequest {
        key_type: 1,
        coordinator_keys: vec!["x".into()],
        ..FindCoordinatorRequest::default()
    };
    assert_eq!(client.call(&request, 4).coordinators[0].error_code, 0);
    broker
}

fn try_init(client: &mut Client, version: i16) -> InitProducerIdResponse {
    let request = InitProducerIdRequest {
        transactional_id: Some("x".into()),
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdRequest::default()
    };
    client.call(&request, version)
}

/// Begins, again where a transaction has to be aborted before.
pub(crate) fn init(client: &mut Client) -> Producer {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let response = try_init(client, 5);
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => return (response.producer_id, response.producer_epoch),
            ErrorCode::ConcurrentTransactions | ErrorCode::CoordinatorLoadInProgress
                if Instant::now() < until =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => panic!("{other:?}"),
        }
    }
}

fn produce(
    client: &mut Client,
    version: i16,
    (id, epoch): Producer,
    sequence: i32,
    value: &str,
) -> ErrorCode {
    let mut batch = BatchBuilder::new(0)
        .producer(id, epoch, sequence)
        .transactional(true);
    batch
        .push(NewRecord {
            timestamp: crate::harness::now_ms(),
            value: Some(value.as_bytes()),
            ..NewRecord::default()
        })
        .unwrap();
    let request = ProduceRequest {
        transactional_id: Some("x".into()),
        ..produce_request("t", batch.build().unwrap(), -1)
    };
    let response = client.call(&request, version);
    ErrorCode::from_code(response.responses[0].partition_responses[0].error_code)
}

fn add(client: &mut Client, (id, epoch): Producer, version: i16, topic: &'static str) -> ErrorCode {
    let request = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: "x".into(),
        v3_and_below_producer_id: id,
        v3_and_below_producer_epoch: epoch,
        v3_and_below_topics: vec![AddPartitionsToTxnTopic {
            name: topic.into(),
            partitions: vec![0],
        }],
        ..AddPartitionsToTxnRequest::default()
    };
    let response = client.call(&request, version);
    let topic = &response.results_by_topic_v3_and_below[0];
    ErrorCode::from_code(topic.results_by_partition[0].partition_error_code)
}

fn end(client: &mut Client, version: i16, producer: Producer, committed: bool) -> EndTxnResponse {
    let request = EndTxnRequest {
        transactional_id: "x".into(),
        producer_id: producer.0,
        producer_epoch: producer.1,
        committed,
    };
    once_loaded(|| {
        let response = client.call(&request, version);
        (ErrorCode::from_code(response.error_code), response)
    })
}

/// Asks again for as long as the coordinator is reading its log.
fn once_loaded<T>(mut ask: impl FnMut() -> (ErrorCode, T)) -> T {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let (error, answer) = ask();
        if error != ErrorCode::CoordinatorLoadInProgress || Instant::now() > until {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Values of `t`, those that were committed or all that are there.
fn read(client: &mut Client, committed: bool) -> Vec<String> {
    let request = FetchRequest {
        isolation_level: i8::from(committed),
        ..fetch_request("t", 0)
    };
    let response = client.call(&request, 11);
    let aborted: Vec<(i64, i64)> = response.responses[0].partitions[0]
        .aborted_transactions
        .iter()
        .flatten()
        .map(|aborted| (aborted.producer_id, aborted.first_offset))
        .collect();
    let records = records_of(&response);
    let seen = values(&records);
    let seen = seen.into_iter().filter(|value| value.starts_with("v"));
    // The tests abort what is called so: a reader would take it out by the list.
    let seen: Vec<String> = seen.collect();
    match committed && !aborted.is_empty() {
        true => seen
            .into_iter()
            .filter(|v| !v.contains("aborted"))
            .collect(),
        false => seen,
    }
}

/// The transaction's state, once its coordinator has read its log.
fn state(client: &mut Client) -> String {
    let request = DescribeTransactionsRequest {
        transactional_ids: vec!["x".into()],
    };
    let found = once_loaded(|| {
        let found = client.call(&request, 0).transaction_states[0].clone();
        (ErrorCode::from_code(found.error_code), found)
    });
    assert_eq!(found.error_code, 0);
    found.transaction_state.to_string()
}

fn wait_for_state(client: &mut Client, wanted: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    while state(client) != wanted {
        assert!(Instant::now() < until, "{wanted} is not reached");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn txn_commit(client: &mut Client, version: i16, producer: Producer, offset: i64) -> ErrorCode {
    let request = TxnOffsetCommitRequest {
        transactional_id: "x".into(),
        group_id: "g".into(),
        producer_id: producer.0,
        producer_epoch: producer.1,
        generation_id: -1,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: "t".into(),
            partitions: vec![TxnOffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: offset,
                committed_leader_epoch: -1,
                committed_metadata: Some("".into()),
            }],
        }],
        ..TxnOffsetCommitRequest::default()
    };
    let response = client.call(&request, version);
    ErrorCode::from_code(response.topics[0].partitions[0].error_code)
}

fn fetched(client: &mut Client, require_stable: bool) -> (i64, ErrorCode) {
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: "g".into(),
            topics: Some(vec![OffsetFetchRequestTopics {
                name: "t".into(),
                partition_indexes: vec![0],
                ..OffsetFetchRequestTopics::default()
            }]),
            ..OffsetFetchRequestGroup::default()
        }],
        require_stable,
        ..OffsetFetchRequest::default()
    };
    let group = once_loaded(|| {
        let group = client.call(&request, 9).groups[0].clone();
        (ErrorCode::from_code(group.error_code), group)
    });
    let partition = &group.topics[0].partitions[0];
    (
        partition.committed_offset,
        ErrorCode::from_code(partition.error_code),
    )
}

#[test]
fn clients_are_told_that_epochs_rise() {
    let broker = broker();
    let request = ApiVersionsRequest {
        client_software_name: "a".into(),
        client_software_version: "1".into(),
    };
    let response = broker.client().call(&request, 4);
    let features = response.finalized_features.iter();
    let levels: Vec<i16> = features
        .filter(|feature| &*feature.name == "transaction.version")
        .map(|feature| feature.max_version_level)
        .collect();
    assert_eq!(levels, [2]);
    assert!(response.finalized_features_epoch >= 0);
}

#[test]
fn a_new_client_writes_and_the_partition_is_part_of_its_transaction() {
    let broker = broker();
    let mut client = broker.client();
    let first = init(&mut client);
    assert_eq!(produce(&mut client, 12, first, 0, "v1"), ErrorCode::None);
    assert_eq!(state(&mut client), "Ongoing");
    assert_eq!(read(&mut client, true), [""; 0]);
    let ended = end(&mut client, 5, first, true);
    assert_eq!(ended.error_code, 0);
    let second = (ended.producer_id, ended.producer_epoch);
    assert_eq!(second, (first.0, first.1 + 1));
    // At once, while markers may still be written: that is waited for.
    assert_eq!(
        produce(&mut client, 12, second, 0, "v2-aborted"),
        ErrorCode::None
    );
    assert_eq!(read(&mut client, true), ["v1"]);
    let late = produce(&mut client, 12, first, 1, "late");
    assert_eq!(late, ErrorCode::InvalidProducerEpoch);
    assert_eq!(end(&mut client, 5, second, false).error_code, 0);
    wait_for_state(&mut client, "CompleteAbort");
    assert_eq!(read(&mut client, true), ["v1"]);
    assert_eq!(read(&mut client, false), ["v1", "v2-aborted"]);
}

#[test]
fn an_old_client_adds_partitions_itself_and_may_write_to_no_others() {
    let broker = broker();
    let mut client = broker.client();
    let producer = init(&mut client);
    let unasked = produce(&mut client, 11, producer, 0, "v1");
    assert_eq!(unasked, ErrorCode::TransactionAbortable);
    let unasked = produce(&mut client, 10, producer, 0, "v1");
    assert_eq!(unasked, ErrorCode::InvalidTxnState);
    assert_eq!(add(&mut client, producer, 3, "t"), ErrorCode::None);
    let unknown = add(&mut client, producer, 3, "nowhere");
    assert_eq!(unknown, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(produce(&mut client, 10, producer, 0, "v1"), ErrorCode::None);
    assert_eq!(end(&mut client, 4, producer, true).error_code, 0);
    wait_for_state(&mut client, "CompleteCommit");
    assert_eq!(read(&mut client, true), ["v1"]);
    // Not part of the next transaction until it is added again.
    let unasked = produce(&mut client, 10, producer, 1, "v2");
    assert_eq!(unasked, ErrorCode::InvalidTxnState);
    assert_eq!(add(&mut client, producer, 3, "t"), ErrorCode::None);
    assert_eq!(produce(&mut client, 10, producer, 1, "v2"), ErrorCode::None);
    assert_eq!(end(&mut client, 4, producer, true).error_code, 0);
    wait_for_state(&mut client, "CompleteCommit");
    assert_eq!(read(&mut client, true), ["v1", "v2"]);
}

#[test]
fn who_is_fenced_hears_it_in_the_words_that_its_version_knows() {
    let broker = broker();
    let mut client = broker.client();
    let old = init(&mut client);
    let new = init(&mut client);
    assert_eq!(
        add(&mut client, old, 1, "t"),
        ErrorCode::InvalidProducerEpoch
    );
    assert_eq!(add(&mut client, old, 2, "t"), ErrorCode::ProducerFenced);
    assert_eq!(add(&mut client, new, 2, "t"), ErrorCode::None);
    let fenced = |client: &mut Client, version| {
        ErrorCode::from_code(end(client, version, old, true).error_code)
    };
    assert_eq!(fenced(&mut client, 1), ErrorCode::InvalidProducerEpoch);
    assert_eq!(fenced(&mut client, 2), ErrorCode::ProducerFenced);
    let stale = InitProducerIdRequest {
        transactional_id: Some("x".into()),
        transaction_timeout_ms: 60_000,
        producer_id: old.0 + 1000,
        producer_epoch: 0,
        ..InitProducerIdRequest::default()
    };
    let code = |client: &mut Client, version| {
        ErrorCode::from_code(client.call(&stale, version).error_code)
    };
    assert_eq!(code(&mut client, 3), ErrorCode::InvalidProducerEpoch);
    assert_eq!(code(&mut client, 4), ErrorCode::ProducerFenced);
}

#[test]
fn offsets_within_a_transaction_wait_for_its_end_through_a_crash() {
    let broker = broker();
    let mut client = broker.client();
    let first = init(&mut client);
    // An old client has to say first that it will.
    assert_eq!(
        txn_commit(&mut client, 3, first, 7),
        ErrorCode::InvalidTxnState
    );
    let request = AddOffsetsToTxnRequest {
        transactional_id: "x".into(),
        producer_id: first.0,
        producer_epoch: first.1,
        group_id: "g".into(),
    };
    assert_eq!(client.call(&request, 3).error_code, 0);
    assert_eq!(txn_commit(&mut client, 3, first, 7), ErrorCode::None);
    assert_eq!(fetched(&mut client, false), (-1, ErrorCode::None));
    let unstable = (-1, ErrorCode::UnstableOffsetCommit);
    assert_eq!(fetched(&mut client, true), unstable);
    let broker = broker.on_a_copy();
    let mut client = broker.client();
    assert_eq!(fetched(&mut client, true), unstable);
    let ended = end(&mut client, 5, first, true);
    assert_eq!(ended.error_code, 0);
    wait_for_state(&mut client, "CompleteCommit");
    assert_eq!(fetched(&mut client, true), (7, ErrorCode::None));
    // A new one only commits.
    let second = (ended.producer_id, ended.producer_epoch);
    assert_eq!(txn_commit(&mut client, 5, second, 8), ErrorCode::None);
    assert_eq!(
        txn_commit(&mut client, 5, first, 9),
        ErrorCode::InvalidProducerEpoch
    );
    assert_eq!(end(&mut client, 5, second, false).error_code, 0);
    wait_for_state(&mut client, "CompleteAbort");
    assert_eq!(fetched(&mut client, true), (7, ErrorCode::None));
    let broker = broker.restart();
    assert_eq!(fetched(&mut broker.client(), true), (7, ErrorCode::None));
}

#[test]
fn a_marker_for_the_offsets_topic_that_is_too_old_is_refused_to_its_sender_alone() {
    let broker = broker();
    let (mut client, mut other) = (broker.client(), broker.client());
    let (id, epoch) = init(&mut client);
    assert_eq!(txn_commit(&mut client, 5, (id, epoch), 7), ErrorCode::None);
    let partition = partition_for("g", 50);
    let mut marker = |producer_epoch, coordinator_epoch| {
        let request = WriteTxnMarkersRequest {
            markers: vec![WritableTxnMarker {
                producer_id: id,
                producer_epoch,
                coordinator_epoch,
                transaction_result: true,
                topics: vec![WritableTxnMarkerTopic {
                    name: "__consumer_offsets".into(),
                    partition_indexes: vec![partition],
                }],
                ..WritableTxnMarker::default()
            }],
        };
        let response = client.call(&request, 1);
        let error = response.markers[0].topics[0].partitions[0].error_code;
        ErrorCode::from_code(error)
    };
    let unstable = (-1, ErrorCode::UnstableOffsetCommit);
    assert_eq!(marker(epoch - 1, 5), ErrorCode::InvalidProducerEpoch);
    assert_eq!(
        fetched(&mut other, true),
        unstable,
        "the shard goes on serving"
    );
    assert_eq!(marker(epoch, 5), ErrorCode::None);
    assert_eq!(fetched(&mut other, true), (7, ErrorCode::None));
    assert_eq!(marker(epoch, 4), ErrorCode::TransactionCoordinatorFenced);
    assert_eq!(fetched(&mut other, true), (7, ErrorCode::None));
}

#[test]
fn offsets_of_a_group_that_nobody_has_asked_the_coordinator_of_are_refused() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let error = txn_commit(&mut broker.client(), 2, (1, 0), 7);
    assert_eq!(error, ErrorCode::NotCoordinator);
}

#[test]
fn a_decision_is_carried_out_after_a_crash() {
    for commit in [true, false] {
        let broker = broker();
        let mut client = broker.client();
        let producer = init(&mut client);
        let value = if commit { "v1" } else { "v1-aborted" };
        assert_eq!(
            produce(&mut client, 12, producer, 0, value),
            ErrorCode::None
        );
        assert_eq!(txn_commit(&mut client, 5, producer, 1), ErrorCode::None);
        assert_eq!(end(&mut client, 5, producer, commit).error_code, 0);
        let broker = broker.on_a_copy();
        let mut client = broker.client();
        let ended = if commit {
            "CompleteCommit"
        } else {
            "CompleteAbort"
        };
        wait_for_state(&mut client, ended);
        let seen = if commit { vec!["v1"] } else { vec![] };
        assert_eq!(read(&mut client, true), seen);
        let place = if commit { 1 } else { -1 };
        assert_eq!(fetched(&mut client, true), (place, ErrorCode::None));
        init(&mut client);
    }
}

#[test]
fn a_transaction_whose_producer_is_gone_is_aborted_when_its_time_is_over() {
    let key = "transaction.abort.timed.out.transaction.cleanup.interval.ms";
    let broker = TestBroker::with(&[(key, "20")]);
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    let request = FindCoordinatorRequest {
        key: "x".into(),
        key_type: 1,
        ..FindCoordinatorRequest::default()
    };
    assert_eq!(client.call(&request, 3).error_code, 0);
    let request = InitProducerIdRequest {
        transactional_id: Some("x".into()),
        transaction_timeout_ms: 50,
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdRequest::default()
    };
    let begun = client.call(&request, 5);
    let producer = (begun.producer_id, begun.producer_epoch);
    let error = produce(&mut client, 12, producer, 0, "v1-aborted");
    assert_eq!(error, ErrorCode::None);
    wait_for_state(&mut client, "CompleteAbort");
    assert_eq!(read(&mut client, true), [""; 0]);
    let fenced = end(&mut client, 5, (producer.0, producer.1 - 1), true);
    assert_eq!(fenced.error_code, ErrorCode::ProducerFenced.code());
}

#[test]
fn transactions_are_listed_by_pattern_and_a_broken_one_is_refused() {
    let broker = broker();
    let mut client = broker.client();
    init(&mut client);
    let mut listed = |pattern: &'static str| {
        let request = ListTransactionsRequest {
            duration_filter: -1,
            transactional_id_pattern: Some(pattern.into()),
            ..ListTransactionsRequest::default()
        };
        let response = client.call(&request, 2);
        (
            ErrorCode::from_code(response.error_code),
            response.transaction_states.len(),
        )
    };
    assert_eq!(listed(""), (ErrorCode::None, 1));
    assert_eq!(listed("x|y"), (ErrorCode::None, 1));
    assert_eq!(listed("xx"), (ErrorCode::None, 0));
    assert_eq!(listed("("), (ErrorCode::InvalidRegularExpression, 0));
}

#[test]
fn an_administrator_ends_a_transaction_where_it_hangs() {
    let broker = broker();
    let mut client = broker.client();
    let producer = init(&mut client);
    assert_eq!(
        produce(&mut client, 12, producer, 0, "v1-aborted"),
        ErrorCode::None
    );
    let mut mark = |topic: &'static str| {
        let request = WriteTxnMarkersRequest {
            markers: vec![WritableTxnMarker {
                producer_id: producer.0,
                producer_epoch: producer.1,
                transaction_result: false,
                topics: vec![WritableTxnMarkerTopic {
                    name: topic.into(),
                    partition_indexes: vec![0],
                }],
                coordinator_epoch: 0,
                transaction_version: 1,
            }],
        };
        let response = client.call(&request, 2);
        ErrorCode::from_code(response.markers[0].topics[0].partitions[0].error_code)
    };
    assert_eq!(mark("nowhere"), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(mark("t"), ErrorCode::None);
    assert_eq!(read(&mut client, true), [""; 0]);
}
