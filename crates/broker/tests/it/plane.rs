//! The JSON API over a socket: answers, errors that say what to do, pages of other sites kept out, metrics.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use catchword_wire::Str;
use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use catchword_wire::messages::{
    ConsumerGroupHeartbeatRequest, DeleteGroupsRequest, OffsetCommitRequest,
    ShareGroupHeartbeatRequest,
};

use crate::harness::TestBroker;

fn ask(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer[9..12].parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, body.to_owned())
}

pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    ask(address, &head)
}

pub(crate) fn post(address: SocketAddr, path: &str, more: &str, body: &str) -> (u16, String) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n{more}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    ask(address, &head)
}

fn commit(broker: &TestBroker, group: &str, offsets: &[i64]) {
    let mut client = broker.client();
    client.find_coordinator();
    let partition = |(index, offset): (usize, &i64)| OffsetCommitRequestPartition {
        partition_index: index as i32,
        committed_offset: *offset,
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: Str::copy(group),
        generation_id_or_member_epoch: -1,
        topics: vec![OffsetCommitRequestTopic {
            name: "t".into(),
            partitions: offsets.iter().enumerate().map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let response = client.call(&request, 9);
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
}

fn delete(broker: &TestBroker, group: &str) {
    let request = DeleteGroupsRequest {
        groups_names: vec![Str::copy(group)],
    };
    assert_eq!(broker.client().call(&request, 2).results[0].error_code, 0);
}

#[test]
fn a_deleted_group_comes_back_with_a_post_and_stays_through_a_restart() {
    let broker = TestBroker::start();
    let http = broker.http.unwrap();
    broker.topic("t", 3, &[]);
    commit(&broker, "a/b é", &[5, 6, 7]);
    delete(&broker, "a/b é");
    let (status, trash) = get(http, "/v1/trash");
    assert_eq!(status, 200);
    assert!(
        trash.contains("\"kind\":\"group-delete\"") && trash.contains("\"restorable\":3"),
        "{trash}"
    );
    let path = "/v1/groups/a%2Fb%20%C3%A9/restore";
    let (status, preview) = post(http, path, "", "");
    assert!(
        status == 200 && preview.contains("\"applied\":false"),
        "{preview}"
    );
    let (status, done) = post(http, path, "", "{\"apply\":true}");
    assert!(status == 200 && done.contains("\"applied\":true"), "{done}");
    let broker = broker.restart();
    let (_, group) = get(broker.http.unwrap(), "/v1/groups/a%2Fb%20%C3%A9");
    for offset in 5..=7 {
        assert!(
            group.contains(&format!("\"committed\":{offset}")),
            "{group}"
        );
    }
    let (_, log) = get(broker.http.unwrap(), "/v1/groups/a%2Fb%20%C3%A9/log");
    let kinds: Vec<usize> = ["\"restore\"", "\"group-delete\""]
        .iter()
        .map(|kind| log.find(kind).unwrap())
        .collect();
    assert!(kinds.is_sorted(), "newest first: {log}");
}

#[test]
fn the_last_changes_are_told_and_undone_without_what_a_consumer_read_between_them() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    for offset in 100..200 {
        commit(&broker, "assigns", &[offset]);
    }
    commit(&broker, "assigns", &[3]);
    let ids = |broker: &TestBroker| {
        let (_, changes) = get(broker.http.unwrap(), "/v1/changes");
        let changes: serde_json::Value = serde_json::from_str(&changes).unwrap();
        let changes = changes["changes"].as_array().unwrap().iter();
        let told = changes.map(|change| {
            let moved = &change["moves"][0];
            assert_eq!((&moved["from"], &moved["to"]), (&199.into(), &3.into()));
            change["id"].as_str().unwrap().to_owned()
        });
        told.collect::<Vec<_>>()
    };
    let first = ids(&broker);
    assert_eq!(first.len(), 1, "the step back, and none of the commits");
    for offset in 4..20 {
        commit(&broker, "assigns", &[offset]);
    }
    assert_eq!(ids(&broker), first);
    let broker = broker.restart();
    commit(&broker, "assigns", &[20]);
    assert_eq!(
        ids(&broker),
        first,
        "the first commit after a restart is none"
    );
    let path = format!("/v1/changes/{}/undo", first[0]);
    let forced = "{\"apply\":true,\"force\":true}";
    let (status, done) = post(broker.http.unwrap(), &path, "", forced);
    assert_eq!(status, 200, "{done}");
    let done: serde_json::Value = serde_json::from_str(&done).unwrap();
    assert_eq!(done["partitions"][0]["then"], 199);
    assert!(done["change"].is_string(), "{done}");
    let (_, group) = get(broker.http.unwrap(), "/v1/groups/assigns");
    assert!(group.contains("\"committed\":199"), "{group}");
}

#[test]
fn lag_is_records_and_how_long_the_oldest_has_waited() {
    let broker = TestBroker::start();
    let http = broker.http.unwrap();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.produce("t", &["a", "b", "c"]);
    commit(&broker, "g", &[1]);
    let lag = || {
        let (_, group) = get(http, "/v1/groups/g");
        let group: serde_json::Value = serde_json::from_str(&group).unwrap();
        group["partitions"][0].clone()
    };
    let behind = lag();
    assert_eq!((&behind["lag"], &behind["unsure"]), (&2.into(), &0.into()));
    assert!(
        behind["age_ms"].as_i64().is_some_and(|ms| ms >= 0),
        "{behind}"
    );
    commit(&broker, "g", &[3]);
    let read = lag();
    assert_eq!(
        (&read["lag"], &read["age_ms"]),
        (&0.into(), &serde_json::Value::Null)
    );
    let (_, metrics) = get(http, "/metrics");
    let age =
        "catchword_consumergroup_age_seconds{consumergroup=\"g\",partition=\"0\",topic=\"t\"} 0";
    assert!(metrics.contains(age), "{metrics}");
}

#[test]
fn a_group_is_shown_as_the_kind_that_it_is_alone_and_in_the_list() {
    let broker = TestBroker::start();
    let http = broker.http.unwrap();
    broker.topic("t", 1, &[]);
    commit(&broker, "assigns", &[5]);
    let joined = ConsumerGroupHeartbeatRequest {
        group_id: "modern".into(),
        member_id: "m1".into(),
        member_epoch: 0,
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec!["t".into()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    let mut client = broker.client();
    client.find_coordinator();
    assert_eq!(client.call(&joined, 1).error_code, 0);
    let shares = ShareGroupHeartbeatRequest {
        group_id: "shares".into(),
        member_id: "m2".into(),
        member_epoch: 0,
        subscribed_topic_names: Some(vec!["t".into()]),
        ..Default::default()
    };
    assert_eq!(client.call(&shares, 1).error_code, 0);
    let app = crate::streams::joining("app", "t");
    assert_eq!(client.call(&app, 0).error_code, 0);
    let (_, list) = get(http, "/v1/groups");
    let kinds = [
        ("assigns", "simple"),
        ("modern", "consumer"),
        ("shares", "share"),
        ("app", "streams"),
    ];
    for (group, kind) in kinds {
        let said = format!("\"kind\":\"{kind}\"");
        let (status, one) = get(http, &format!("/v1/groups/{group}"));
        assert!(status == 200 && one.contains(&said), "{group}: {one}");
        assert!(list.contains(&said), "{list}");
    }
}

#[test]
fn a_page_of_another_site_changes_nothing() {
    let broker = TestBroker::start();
    let http = broker.http.unwrap();
    broker.topic("t", 1, &[]);
    commit(&broker, "g", &[5]);
    delete(&broker, "g");
    let apply = "{\"apply\":true}";
    let (status, _) = post(
        http,
        "/v1/groups/g/restore",
        "Origin: http://evil.example\r\n",
        apply,
    );
    assert_eq!(status, 403);
    let rebound = "GET /v1/groups HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(http, rebound).0, 403);
    assert!(
        get(http, "/v1/trash").1.contains("\"group\":\"g\""),
        "it must still be gone"
    );
}

#[test]
fn every_error_says_what_to_do() {
    let broker = TestBroker::start();
    let http = broker.http.unwrap();
    broker.topic("t", 1, &[]);
    commit(&broker, "g", &[5]);
    let asked = [
        (get(http, "/v1/groups/nobody"), 404),
        (get(http, "/v1/groups/nobody/log"), 404),
        (get(http, "/v1/groups/g/at"), 400),
        (get(http, "/v1/groups/g/log?limit=many"), 400),
        (get(http, "/v1/changes/x"), 400),
        (get(http, "/v1/changes/0-99"), 404),
        (get(http, "/v2"), 404),
        (post(http, "/v1/groups/g/restore", "", "{\"apply\":1}"), 400),
        (post(http, "/v1/groups/g/restore", "", "{}"), 409),
        (post(http, "/v1/changes/49-0/undo", "", "{}"), 404),
    ];
    for ((status, body), expected) in asked {
        assert_eq!(status, expected, "{body}");
        assert!(body.contains("\"what_to_do\":\""), "{body}");
    }
}

#[test]
fn health_metrics_and_the_description_are_served() {
    let broker = TestBroker::start();
    let http = broker.http.unwrap();
    broker.topic("t", 1, &[]);
    broker.client().produce("t", &["a", "b", "c"]);
    commit(&broker, "g", &[1]);
    assert_eq!(get(http, "/health"), (200, "ok\n".into()));
    assert_eq!(get(http, "/ready"), (200, "ok\n".into()));
    assert!(get(http, "/v1/openapi.json").1.contains("\"openapi\""));
    let (_, metrics) = get(http, "/metrics");
    for line in [
        "kafka_consumergroup_lag{consumergroup=\"g\",partition=\"0\",topic=\"t\"} 2\n",
        "kafka_consumergroup_lag_sum{consumergroup=\"g\",topic=\"t\"} 2\n",
        "kminion_kafka_consumer_group_topic_lag{group_id=\"g\",topic_name=\"t\"} 2\n",
        "kafka_topic_partition_current_offset{partition=\"0\",topic=\"t\"} 3\n",
        "catchword_commit_step_backs 0\n",
        "catchword_history_max_bytes 268435456\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    delete(&broker, "g");
    assert!(
        !get(http, "/metrics").1.contains("\"g\""),
        "a deleted group has no series"
    );
}

#[test]
fn the_bytes_of_history_are_told_and_what_bounds_them() {
    let broker = TestBroker::with(&[("offsets.history.max.bytes", "123456")]);
    let http = broker.http.unwrap();
    broker.topic("t", 1, &[]);
    let told = || get(http, "/v1/history").1;
    let total = |told: &str| -> u64 {
        let digits = told.split_once("\"bytes\":").unwrap().1;
        digits.split_once(',').unwrap().0.parse().unwrap()
    };
    assert_eq!(total(&told()), 0);
    commit(&broker, "g", &[1]);
    let once = told();
    commit(&broker, "g", &[2]);
    let twice = told();
    assert!(total(&once) > 0 && total(&twice) > total(&once), "{twice}");
    assert!(twice.contains("\"max_partition_bytes\":123456"), "{twice}");
    let line = format!("catchword_history_bytes {}\n", total(&twice));
    assert!(get(http, "/metrics").1.contains(&line));
}

#[test]
fn a_port_that_is_taken_keeps_nobody_from_kafka() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let broker = TestBroker::with(&[("http.listener", &address)]);
    assert_eq!(broker.http, None);
    broker.topic("t", 1, &[]);
    commit(&broker, "g", &[5]);
}
