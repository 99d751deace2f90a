//! Logs with transactions in them, read from the outside.

use catchword_log::{
    Append, AppendOrigin, Engine, LocalEngine, LocalOptions, PartitionLog, TopicPartition,
    TransactionMarker, Verification,
};
use catchword_wire::batch::{Batch, BatchBuilder, NewRecord};
use catchword_wire::messages::describe_producers_request::TopicRequest;
use catchword_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use catchword_wire::messages::{
    DescribeProducersRequest, FetchRequest, ListOffsetsRequest, ProduceRequest,
};

use crate::harness::{TestBroker, fetch_request, produce_request, records_of};

fn transactional(id: i64, value: &str) -> Batch {
    let mut builder = BatchBuilder::new(0).producer(id, 0, 0).transactional(true);
    builder
        .push(NewRecord {
            timestamp: 1000,
            value: Some(value.as_bytes()),
            ..NewRecord::default()
        })
        .unwrap();
    Batch::parse(&builder.build().unwrap()).unwrap()
}

fn write(log: &dyn PartitionLog, id: i64, value: &str) {
    let Ok(Verification::Ask(guard)) = log.verify(id, 0, 0, false) else {
        panic!("its transaction has not begun")
    };
    let how = Append {
        leader_epoch: 0,
        append_time: None,
        origin: AppendOrigin::ClientVerified(guard),
    };
    log.append(&[transactional(id, value)], how).unwrap();
}

fn end(log: &dyn PartitionLog, id: i64, commit: bool) {
    let marker = TransactionMarker {
        producer_id: id,
        producer_epoch: 0,
        coordinator_epoch: 3,
        commit,
        transaction_version: 1,
        timestamp: 1000,
    };
    log.append_marker(&marker, 0).unwrap();
}

/// A broker on a log with a transaction that was aborted (offsets 0 and 2), one that was committed (1 and 3), and one that is
/// open (4).
fn broker() -> TestBroker {
    let mut broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    broker.stop();
    {
        let engine = LocalEngine::open(broker.dir.path(), LocalOptions::default()).unwrap();
        let log = engine.get(&TopicPartition::new("t", 0)).unwrap();
        write(&*log, 7, "aborted");
        write(&*log, 8, "committed");
        end(&*log, 7, false);
        end(&*log, 8, true);
        write(&*log, 9, "open");
        engine.close().unwrap();
    }
    broker.restart()
}

#[test]
fn read_committed_ends_at_the_last_stable_offset_and_names_what_was_aborted() {
    let broker = broker();
    let mut client = broker.client();
    for version in [4, 11, 12] {
        for (isolation_level, records, aborted) in [(0, 5, None), (1, 4, Some(vec![(7, 0)]))] {
            let request = FetchRequest {
                isolation_level,
                ..fetch_request("t", 0)
            };
            let response = client.call(&request, version);
            assert_eq!(records_of(&response).len(), records);
            let found = &response.responses[0].partitions[0];
            assert_eq!((found.high_watermark, found.last_stable_offset), (5, 4));
            let named = found.aborted_transactions.as_ref().map(|all| {
                let one = all.iter().map(|one| (one.producer_id, one.first_offset));
                one.collect::<Vec<_>>()
            });
            assert_eq!(named, aborted, "version {version}");
        }
    }
}

#[test]
fn the_latest_offset_of_committed_records_is_the_last_stable_one() {
    let broker = broker();
    let mut client = broker.client();
    let mut latest = |isolation_level, timestamp| {
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level,
            topics: vec![ListOffsetsTopic {
                name: "t".into(),
                partitions: vec![ListOffsetsPartition {
                    timestamp,
                    ..Default::default()
                }],
            }],
            ..ListOffsetsRequest::default()
        };
        client.call(&request, 9).topics[0].partitions[0].offset
    };
    assert_eq!((latest(0, -1), latest(1, -1)), (5, 4));
    assert_eq!((latest(0, -2), latest(1, -2)), (0, 0));
}

#[test]
fn the_producer_of_an_open_transaction_is_described_and_may_go_on() {
    let broker = broker();
    let mut client = broker.client();
    let request = DescribeProducersRequest {
        topics: vec![TopicRequest {
            name: "t".into(),
            partition_indexes: vec![0],
        }],
    };
    let found = client.call(&request, 0).topics[0].partitions[0].clone();
    let seen: Vec<_> = found
        .active_producers
        .iter()
        .map(|p| {
            (
                p.producer_id,
                p.coordinator_epoch,
                p.current_txn_start_offset,
            )
        })
        .collect();
    assert_eq!(seen, [(7, 3, -1), (8, 3, -1), (9, -1, 4)]);

    let mut next = BatchBuilder::new(0).producer(9, 0, 1).transactional(true);
    next.push(NewRecord::default()).unwrap();
    let mut produce = |batch| {
        let request = ProduceRequest {
            transactional_id: Some("x".into()),
            ..produce_request("t", batch, -1)
        };
        let response = client.call(&request, 9);
        response.responses[0].partition_responses[0].clone()
    };
    let went_on = produce(next.build().unwrap());
    assert_eq!((went_on.error_code, went_on.base_offset), (0, 5));
    let unknown = transactional(10, "x").bytes;
    // Its coordinator, of which there is none yet, cannot be asked: Kafka's producers try again at this.
    let refused = produce(unknown.clone());
    assert_eq!(refused.error_code, 19, "NOT_ENOUGH_REPLICAS");
    let refused = client.produce_batch("t", unknown, -1);
    assert_eq!(
        refused.error_code, 53,
        "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"
    );
}
