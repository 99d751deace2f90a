//! Groups as they are shown.

use crate::harness::{Cluster, Running, wait_until};

#[test]
fn a_group_shows_where_it_is_and_how_far_behind() {
    let cluster = Cluster::any("show");
    let (topic, group) = (cluster.name("t"), cluster.name("g"));
    cluster.numbers(&topic, 1, 10);
    cluster
        .run(&["consume", &topic, "--group", &group, "--max", "4"])
        .ok();
    let text = cluster.run(&["show", &group]).ok();
    assert!(text.starts_with(&format!("Group {group}  Empty")), "{text}");
    assert!(text.contains("6 records behind"), "{text}");
    if cluster.is_own() {
        assert!(text.contains("6 records behind, the oldest for "), "{text}");
    }
    let last: Vec<&str> = text
        .lines()
        .last()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    assert_eq!(last, [&format!("{topic}:0"), "0", "4", "10", "6"]);

    let shown = cluster.json(&["show", &group, "--json"]);
    let place = &shown["partitions"][0];
    assert_eq!(place["topic"], topic.as_str());
    assert_eq!(
        (place["committed"].as_i64(), place["end"].as_i64()),
        (Some(4), Some(10))
    );
    assert_eq!(
        (place["log_start"].as_i64(), place["lag"].as_i64()),
        (Some(0), Some(6))
    );

    let groups = cluster.json(&["groups", "--json"]);
    let row = groups
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["group"] == group.as_str())
        .unwrap();
    assert_eq!(
        (row["lag"].as_i64(), row["lost"].as_i64()),
        (Some(6), Some(0))
    );
    assert_eq!(row["topics"], serde_json::json!([topic]));
}

#[test]
fn a_live_group_shows_its_members() {
    let cluster = Cluster::any("members");
    let (topic, group) = (cluster.name("t"), cluster.name("g"));
    cluster.numbers(&topic, 2, 2);
    let member = Running::start(cluster.command(&["consume", &topic, "--group", &group]));
    member.take(2);
    wait_until("the member's place is committed", || {
        let shown = cluster.json(&["show", &group, "--json"]);
        let members = shown["members"].as_array().cloned().unwrap_or_default();
        let owner = &shown["partitions"][0]["member_id"];
        shown["state"] == "Stable"
            && shown["protocol"] == "range"
            && members.len() == 1
            && members[0]["client_id"] == "catchword"
            && members[0]["partitions"].as_array().map(Vec::len) == Some(2)
            && *owner == members[0]["member_id"]
            && shown["lag"] == 0
    });
}

#[test]
fn a_group_that_is_not_there_is_said_to_be_so() {
    let cluster = Cluster::any("nogroup");
    let err = cluster.run(&["show", &cluster.name("nobody")]).failed(1);
    assert!(err.contains("there is no group"), "{err}");
}
