//! How far groups are behind, and how fast they read.

use crate::harness::{Cluster, Running, wait_until};

#[test]
fn lag_is_told_in_records_bytes_and_time() {
    let cluster = Cluster::own();
    cluster.numbers("t", 1, 10);
    cluster
        .run(&["consume", "t", "--group", "g", "--max", "4"])
        .ok();
    let told = cluster.json(&["lag", "g", "--json"]);
    assert_eq!(told["counted"], true);
    let group = &told["groups"][0];
    let place = &group["partitions"][0];
    for one in [group, place] {
        assert_eq!(
            (one["lag"].as_i64(), one["lost"].as_i64()),
            (Some(6), Some(0))
        );
        assert!(one["age_ms"].as_i64().unwrap() < 10 * 60 * 1000, "{one}");
        assert!(one["bytes"].as_i64().unwrap() > 0, "{one}");
        // Kept for 7 days from when it was written.
        let kept_ms = one["retention_in_ms"].as_i64().unwrap();
        let days = 7 * 24 * 60 * 60 * 1000;
        assert_eq!(
            kept_ms / 60_000,
            (days - one["age_ms"].as_i64().unwrap()) / 60_000
        );
    }
    let text = cluster.run(&["lag", "g"]).ok();
    assert!(text.contains("6 records behind, the oldest for "), "{text}");
    let all = cluster.run(&["lag"]).ok();
    assert!(all.starts_with("GROUP  STATE  BEHIND  OLDEST"), "{all}");
    cluster
        .run(&["consume", "t", "--group", "g", "--max", "6"])
        .ok();
    let done = &cluster.json(&["lag", "--json"])["groups"][0];
    assert_eq!(done["lag"], 0);
    assert!(
        done["age_ms"].is_null() && done["retention_in_ms"].is_null(),
        "{done}"
    );
}

#[test]
fn what_is_watched_has_a_speed() {
    let cluster = Cluster::own();
    cluster.numbers("t", 1, 10);
    cluster
        .run(&["consume", "t", "--group", "g", "--max", "4"])
        .ok();
    let watch = Running::start(cluster.command(&["lag", "g", "--watch", "1", "--json"]));
    let told = |line: &str| -> serde_json::Value { serde_json::from_str(line).unwrap() };
    let first = told(&watch.take(1)[0]);
    assert_eq!(first["groups"][0]["lag"], 6);
    cluster
        .run(&["consume", "t", "--group", "g", "--max", "6"])
        .ok();
    wait_until("the group is seen to read", || {
        let line = told(&watch.take(1)[0]);
        let group = &line["groups"][0];
        group["lag"] == 0 && group["speed"].as_f64().is_some_and(|speed| speed > 0.0)
    });
    watch.terminate();
    assert_eq!(watch.rest().1, Some(0), "it ends tidily");
}

#[test]
fn without_a_broker_that_counts_lag_is_told_in_offsets_and_said_to_be_so() {
    let mut cluster = Cluster::own();
    cluster.numbers("t", 1, 10);
    cluster
        .run(&["consume", "t", "--group", "g", "--max", "4"])
        .ok();
    let broker = cluster.broker().expect("it is our own");
    broker.stop();
    broker.set("http.listener=");
    broker.restart();
    for (args, behind) in [
        (&["lag"][..], "g      Empty       6"),
        (&["lag", "g"][..], "6 records behind"),
    ] {
        let told = cluster.run(args);
        assert!(
            told.err.contains("BEHIND is the distance between offsets"),
            "{}",
            told.err
        );
        let out = told.ok();
        assert!(out.contains(behind), "{out}");
    }
    let told = cluster.json(&["lag", "g", "--json"]);
    assert_eq!(
        (&told["counted"], &told["groups"][0]["lag"]),
        (&false.into(), &6.into())
    );
    let err = cluster.run(&["lag", "nobody"]).failed(1);
    assert!(err.contains("there is no group"), "{err}");
}
