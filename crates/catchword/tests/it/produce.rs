//! Lines become records.

use std::io::Write;
use std::process::Stdio;

use crate::harness::{Cluster, sorted, wait_until};

#[test]
fn every_line_comes_back_as_it_went() {
    let cluster = Cluster::any("lines");
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = cluster.name(codec);
        let lines: String = (0..5000).map(|n| format!("line {n} é\n")).collect();
        cluster
            .run(&["topics", "create", &topic, "--partitions", "1"])
            .ok();
        cluster
            .feed(&["produce", &topic, "--compression", codec], &lines)
            .ok();
        assert_eq!(
            cluster.run(&["consume", &topic, "--stop-at-end"]).ok(),
            lines,
            "{codec}"
        );
    }
}

#[test]
fn empty_lines_and_a_missing_last_line_end_are_records_too() {
    let cluster = Cluster::any("empty");
    let topic = cluster.name("t");
    cluster
        .run(&["topics", "create", &topic, "--partitions", "1"])
        .ok();
    let err = cluster.feed(&["produce", &topic], "a\n\n\r\nb").err;
    assert!(err.contains("Stored 4 records"), "{err}");
    assert_eq!(
        cluster.run(&["consume", &topic, "--stop-at-end"]).ok(),
        "a\n\n\nb\n"
    );
}

/// A batch that has room left does not take a line that makes it larger than the broker allows.
#[test]
fn long_lines_go_into_batches_that_the_broker_takes() {
    let cluster = Cluster::any("long");
    let topic = cluster.name("t");
    cluster
        .run(&["topics", "create", &topic, "--partitions", "1"])
        .ok();
    let lines = format!("{}\n{}\nend\n", "x".repeat(400_000), "y".repeat(900_000));
    cluster.feed(&["produce", &topic], &lines).ok();
    assert_eq!(
        cluster.run(&["consume", &topic, "--stop-at-end"]).ok(),
        lines
    );
}

#[test]
fn keys_headers_and_nulls_are_kept() {
    let cluster = Cluster::any("keys");
    let topic = cluster.name("t");
    cluster
        .run(&["topics", "create", &topic, "--partitions", "1"])
        .ok();
    let produce = [
        "produce",
        &topic,
        "-K",
        "=>",
        "--null",
        "NULL",
        "-H",
        "from=test",
    ];
    cluster.feed(&produce, "ana=>3\nben=>NULL\n").ok();
    let out = cluster
        .run(&["consume", &topic, "--stop-at-end", "--json"])
        .ok();
    let records: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records[0]["key"], "ana");
    assert_eq!(records[0]["value"], "3");
    assert_eq!(records[0]["headers"], serde_json::json!([["from", "test"]]));
    assert_eq!(records[1]["key"], "ben");
    assert_eq!(records[1]["value"], serde_json::Value::Null);
    assert_eq!(records[1]["offset"], 1);
}

#[test]
fn a_key_always_lands_in_the_same_partition() {
    let cluster = Cluster::any("partition");
    let topic = cluster.name("t");
    cluster.numbers(&topic, 4, 100);
    let first = sorted(
        &cluster
            .run(&["consume", &topic, "--stop-at-end", "--json"])
            .ok(),
    );
    assert_eq!(first.len(), 100);
    let lines: String = (0..100).map(|n| format!("key-{n}:{n}\n")).collect();
    cluster
        .feed(
            &[
                "produce",
                &topic,
                "--key-separator",
                ":",
                "--acks",
                "leader",
            ],
            &lines,
        )
        .ok();
    let all = cluster
        .run(&["consume", &topic, "--stop-at-end", "--json"])
        .ok();
    let mut homes = std::collections::BTreeMap::new();
    for line in all.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let key = record["key"].as_str().unwrap().to_owned();
        let home = homes
            .entry(key)
            .or_insert_with(|| record["partition"].clone());
        assert_eq!(*home, record["partition"]);
    }
    let used: std::collections::BTreeSet<String> =
        homes.values().map(ToString::to_string).collect();
    assert_eq!(used.len(), 4);
}

#[test]
fn a_line_is_stored_while_the_next_is_still_awaited() {
    let cluster = Cluster::any("streaming");
    let topic = cluster.name("t");
    cluster
        .run(&["topics", "create", &topic, "--partitions", "1"])
        .ok();
    let mut produce = cluster.command(&["produce", &topic]);
    let produce = produce.stdin(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut produce = produce.expect("the binary starts");
    let mut stdin = produce.stdin.take().expect("stdin is a pipe");
    for line in ["first\n", "second\n"] {
        stdin.write_all(line.as_bytes()).expect("it still reads");
        wait_until("the line is stored", || {
            cluster
                .run(&["consume", &topic, "--stop-at-end"])
                .ok()
                .ends_with(line)
        });
    }
    drop(stdin);
    assert!(produce.wait().expect("it ends").success());
}

#[test]
fn a_line_without_its_key_stops_with_its_number() {
    let cluster = Cluster::any("nokey");
    let topic = cluster.name("t");
    cluster.run(&["topics", "create", &topic]).ok();
    let err = cluster
        .feed(&["produce", &topic, "--key-separator", ":"], "a:1\nb\n")
        .failed(1);
    assert!(err.contains("line 2: the line has no key"), "{err}");
}

#[test]
fn without_acknowledgement_records_arrive_as_well() {
    let cluster = Cluster::any("acks0");
    let topic = cluster.name("t");
    cluster
        .run(&["topics", "create", &topic, "--partitions", "1"])
        .ok();
    cluster
        .feed(&["produce", &topic, "--acks", "none"], "a\nb\n")
        .ok();
    wait_until("both are there", || {
        cluster.run(&["consume", &topic, "--stop-at-end"]).ok() == "a\nb\n"
    });
}
