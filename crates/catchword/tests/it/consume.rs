//! Records become lines, and a group keeps its place.

use std::collections::BTreeSet;

use crate::harness::{Cluster, Running, sorted, wait_until};

#[test]
fn reading_begins_where_it_is_told() {
    let cluster = Cluster::any("from");
    let topic = cluster.name("t");
    cluster.numbers(&topic, 1, 10);
    let read = |from: &str| {
        let out = cluster
            .run(&["consume", &topic, "--stop-at-end", "--from", from])
            .ok();
        out.lines().map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(read("earliest"), "0 1 2 3 4 5 6 7 8 9");
    assert_eq!(read("7"), "7 8 9");
    assert_eq!(read("-2"), "8 9");
    assert_eq!(read("end"), "");
    assert_eq!(read("1h ago"), "0 1 2 3 4 5 6 7 8 9");
    assert_eq!(read("2100-01-01T00:00Z"), "");
}

#[test]
fn a_group_goes_on_where_it_was() {
    let cluster = Cluster::any("resume");
    let (topic, group) = (cluster.name("t"), cluster.name("g"));
    cluster.numbers(&topic, 1, 10);
    let read = |max: &str| {
        cluster
            .run(&["consume", &topic, "--group", &group, "--max", max])
            .ok()
    };
    assert_eq!(read("3"), "0\n1\n2\n");
    assert_eq!(read("3"), "3\n4\n5\n");
    assert_eq!(read("4"), "6\n7\n8\n9\n");
    let shown = cluster.json(&["show", &group, "--json"]);
    assert_eq!(shown["partitions"][0]["committed"], 10);
    assert_eq!(shown["lag"], 0);
}

#[test]
fn two_members_share_the_partitions_and_miss_nothing() {
    let cluster = Cluster::any("two");
    let (topic, group) = (cluster.name("t"), cluster.name("g"));
    cluster
        .run(&["topics", "create", &topic, "--partitions", "4"])
        .ok();
    let member =
        || Running::start(cluster.command(&["consume", &topic, "--group", &group, "--json"]));
    let (a, b) = (member(), member());
    wait_until("both have two partitions", || {
        let shown = cluster.run(&["show", &group, "--json"]);
        let shown: serde_json::Value = serde_json::from_str(&shown.out).unwrap_or_default();
        let members = shown["members"].as_array().cloned().unwrap_or_default();
        shown["state"] == "Stable"
            && members.len() == 2
            && members
                .iter()
                .all(|m| m["partitions"].as_array().map(Vec::len) == Some(2))
    });
    let lines: String = (0..200).map(|n| format!("key-{n}:{n}\n")).collect();
    cluster
        .feed(&["produce", &topic, "--key-separator", ":"], &lines)
        .ok();
    wait_until("all is committed", || {
        let shown = cluster.json(&["show", &group, "--json"]);
        let partitions = shown["partitions"].as_array().unwrap();
        // Not the group's lag: a partition without a bookmark yet has none.
        let committed = |p: &serde_json::Value| p["committed"].as_i64().unwrap_or(0);
        partitions.iter().map(committed).sum::<i64>() == 200
    });
    a.terminate();
    b.terminate();
    let ((a, code_a), (b, code_b)) = (a.rest(), b.rest());
    assert_eq!((code_a, code_b), (Some(0), Some(0)));
    assert!(!a.is_empty() && !b.is_empty(), "one member got everything");
    let value = |line: &String| {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        record["value"].as_str().unwrap().parse::<u32>().unwrap()
    };
    let values: Vec<u32> = a.iter().chain(&b).map(value).collect();
    assert_eq!(values.len(), 200, "something was read twice");
    assert_eq!(values.into_iter().collect::<BTreeSet<_>>().len(), 200);
}

#[test]
fn a_member_that_is_told_to_stop_commits_and_leaves() {
    let cluster = Cluster::any("stop");
    let (topic, group) = (cluster.name("t"), cluster.name("g"));
    cluster.numbers(&topic, 1, 7);
    let member = Running::start(cluster.command(&["consume", &topic, "--group", &group]));
    assert_eq!(member.take(7).join(" "), "0 1 2 3 4 5 6");
    member.terminate();
    let (rest, code) = member.rest();
    assert_eq!((rest.len(), code), (0, Some(0)));
    let shown = cluster.json(&["show", &group, "--json"]);
    assert_eq!(shown["state"], "Empty");
    assert_eq!(shown["partitions"][0]["committed"], 7);
}

#[test]
fn a_reader_rides_out_the_brokers_death() {
    let mut cluster = Cluster::own();
    cluster
        .run(&["topics", "create", "t", "--partitions", "1"])
        .ok();
    let lines = |from: u32, to: u32| (from..to).map(|n| format!("{n}\n")).collect::<String>();
    cluster.feed(&["produce", "t"], &lines(0, 100)).ok();
    let member = Running::start(cluster.command(&["consume", "t", "--group", "g", "--max", "200"]));
    let mut read = member.take(100);
    let broker = cluster.broker().expect("it is our own");
    broker.kill();
    broker.restart();
    cluster.feed(&["produce", "t"], &lines(100, 200)).ok();
    let (rest, code) = member.rest();
    read.extend(rest);
    assert_eq!(code, Some(0));
    assert_eq!(read, lines(0, 200).lines().collect::<Vec<_>>());
    let shown = cluster.json(&["show", "g", "--json"]);
    assert_eq!(shown["partitions"][0]["committed"], 200);
}

#[test]
fn a_committed_place_survives_kill_9() {
    let mut cluster = Cluster::own();
    cluster.numbers("t", 3, 300);
    let first = cluster
        .run(&["consume", "t", "--group", "g", "--max", "137"])
        .ok();
    // All of it but how long the rest has waited.
    let shown = |cluster: &Cluster| {
        let mut shown = cluster.json(&["show", "g", "--json"]);
        for place in shown["partitions"].as_array_mut().unwrap() {
            place["age_ms"].take();
        }
        shown
    };
    let before = shown(&cluster);
    let broker = cluster.broker().expect("it is our own");
    broker.kill();
    broker.restart();
    assert_eq!(shown(&cluster), before);
    let second = cluster
        .run(&["consume", "t", "--group", "g", "--max", "163"])
        .ok();
    let mut all: Vec<u32> = first
        .lines()
        .chain(second.lines())
        .map(|line| line.parse().unwrap())
        .collect();
    all.sort_unstable();
    assert_eq!(all, (0..300).collect::<Vec<_>>());
}

#[test]
fn records_can_carry_their_time_place_and_key() {
    let cluster = Cluster::any("columns");
    let topic = cluster.name("t");
    cluster
        .run(&["topics", "create", &topic, "--partitions", "1"])
        .ok();
    cluster.feed(&["produce", &topic, "-K", ":"], "k:v\n").ok();
    let out = cluster
        .run(&[
            "consume",
            &topic,
            "-e",
            "--timestamps",
            "--offsets",
            "--keys",
        ])
        .ok();
    let columns: Vec<&str> = out.trim_end().split('\t').collect();
    assert!(
        columns[0].starts_with("20") && columns[0].ends_with('Z'),
        "{out}"
    );
    assert_eq!(columns[1..], [&format!("{topic}:0@0"), "k", "v"]);
}

#[test]
fn some_partitions_can_be_read_alone() {
    let cluster = Cluster::any("some");
    let topic = cluster.name("t");
    cluster.numbers(&topic, 3, 60);
    let read = |place: &str| sorted(&cluster.run(&["consume", place, "-e"]).ok());
    let mut parts: Vec<String> = Vec::new();
    for place in [format!("{topic}:0"), format!("{topic}:1,2")] {
        parts.extend(read(&place));
    }
    parts.sort();
    assert_eq!(parts, read(&topic));
    let err = cluster.run(&["consume", &format!("{topic}:7")]).failed(1);
    assert!(err.contains("has no partition 7; it has 0 to 2"), "{err}");
}
