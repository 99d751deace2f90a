//! Order on a connection, and connections that do not disturb each other.

use std::time::{Duration, Instant};

use catchword_wire::batch::Compression;
use catchword_wire::messages::{FetchRequest, MetadataRequest, ProduceRequest};

use crate::harness::{TestBroker, batch, fetch_request, produce_request, values};

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    let mut sent = Vec::new();
    for i in 0..200 {
        // A durable write and a cheap question by turns: the question must not overtake.
        sent.push(if i % 2 == 0 {
            client.send(
                &produce_request("t", batch(&[&i.to_string()], Compression::None), -1),
                9,
            )
        } else {
            client.send(&MetadataRequest::default(), 12)
        });
    }
    for (i, id) in sent.into_iter().enumerate() {
        let answered = if i % 2 == 0 {
            let (answered, response) = client.receive::<ProduceRequest>(9);
            assert_eq!(
                response.responses[0].partition_responses[0].base_offset,
                i as i64 / 2
            );
            answered
        } else {
            client.receive::<MetadataRequest>(12).0
        };
        assert_eq!(answered, id);
    }
    assert_eq!(client.read("t", 0).len(), 100);
}

#[test]
fn a_reader_that_does_not_read_stops_nobody_else() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let large = "x".repeat(400_000);
    for _ in 0..20 {
        assert_eq!(broker.client().produce("t", &[&large]).error_code, 0);
    }
    let mut sluggard = broker.client();
    for _ in 0..50 {
        let mut request = fetch_request("t", 0);
        request.topics[0].partitions[0].partition_max_bytes = 50 << 20;
        sluggard.send(&request, 11);
    }
    std::thread::sleep(Duration::from_millis(200));
    let begun = Instant::now();
    for i in 0..20 {
        assert_eq!(
            broker.client().produce("t", &[&i.to_string()]).error_code,
            0
        );
    }
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    // And what was asked for is there for whoever reads after all.
    assert!(sluggard.frame().is_some());
}

#[test]
fn large_requests_share_a_bounded_memory_and_all_get_their_turn() {
    let broker = TestBroker::with(&[("queued.max.request.bytes", "1000000")]);
    broker.topic("t", 1, &[]);
    // A client that announced much and never sends it holds its share, and no more than its share.
    let mut stalled = broker.client();
    let frame = crate::harness::encoded(
        &produce_request("t", batch(&[&"y".repeat(200_000)], Compression::None), -1),
        9,
    );
    std::io::Write::write_all(&mut stalled.stream, &frame[..1000]).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let large = "x".repeat(200_000);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = broker.client();
                for _ in 0..5 {
                    client.send(
                        &produce_request("t", batch(&[&large], Compression::None), -1),
                        9,
                    );
                }
                for _ in 0..5 {
                    let (_, response) = client.receive::<ProduceRequest>(9);
                    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
                }
            });
        }
    });
}

#[test]
fn a_fetch_that_waits_is_woken_by_an_append() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut reader = broker.client();
    let request = FetchRequest {
        max_wait_ms: 10_000,
        min_bytes: 1,
        ..fetch_request("t", 0)
    };
    let begun = Instant::now();
    reader.send(&request, 11);
    std::thread::sleep(Duration::from_millis(100));
    broker.client().produce("t", &["now"]);
    let (_, response) = reader.receive::<FetchRequest>(11);
    assert_eq!(values(&crate::harness::records_of(&response)), ["now"]);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_fetch_with_nothing_to_bring_returns_after_its_time() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let request = FetchRequest {
        max_wait_ms: 300,
        min_bytes: 1,
        ..fetch_request("t", 0)
    };
    let begun = Instant::now();
    let response = broker.client().call(&request, 11);
    assert!(crate::harness::records_of(&response).is_empty());
    assert!(
        begun.elapsed() >= Duration::from_millis(300),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn stopping_answers_what_was_asked_and_keeps_what_was_written() {
    let mut broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    for i in 0..50 {
        client.send(
            &produce_request("t", batch(&[&i.to_string()], Compression::None), -1),
            9,
        );
    }
    for _ in 0..50 {
        let (_, response) = client.receive::<ProduceRequest>(9);
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    }
    let mut waiting = broker.client();
    waiting.send(
        &FetchRequest {
            max_wait_ms: 60_000,
            min_bytes: 1,
            ..fetch_request("t", 50)
        },
        11,
    );
    std::thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    broker.stop();
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "a waiting fetch does not hold it up: {:?}",
        begun.elapsed()
    );
    assert!(
        waiting.frame().is_some(),
        "the fetch is answered with what there is"
    );
    let broker = broker.restart();
    assert_eq!(broker.client().read("t", 0).len(), 50);
}
