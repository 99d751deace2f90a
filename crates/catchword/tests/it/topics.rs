//! Topics: made, listed, described, configured, deleted.

use crate::harness::{Cluster, wait_until};

#[test]
fn a_topic_is_made_shown_and_deleted() {
    let cluster = Cluster::any("topics");
    let topic = cluster.name("orders");
    let create = [
        "topics",
        "create",
        &topic,
        "--partitions",
        "3",
        "--config",
        "retention.ms=1000",
    ];
    assert_eq!(
        cluster.run(&create).ok(),
        format!("Created topic {topic} with 3 partitions.\n")
    );

    let described = cluster.json(&["topics", "describe", &topic, "--json"]);
    assert_eq!(described["topic"], topic.as_str());
    assert_eq!(described["partitions"].as_array().map(Vec::len), Some(3));
    assert_eq!(described["partitions"][2]["partition"], 2);
    assert_eq!(described["partitions"][2]["end"], 0);
    assert_eq!(described["config"]["retention.ms"], "1000");

    let listed = cluster.json(&["topics", "list", "--json"]);
    let listed = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["topic"] == topic.as_str())
        .unwrap();
    assert_eq!(listed["partitions"], 3);
    assert_eq!(listed["records"], 0);
    assert_eq!(listed["internal"], false);

    cluster.run(&["topics", "delete", &topic]).ok();
    cluster.json(&["topics", "describe", &topic, "--json"]);
    cluster.run(&["topics", "delete", &topic, "--yes"]).ok();
    let err = cluster.run(&["topics", "describe", &topic]).failed(1);
    assert!(err.contains("there is no topic"), "{err}");
}

#[test]
fn a_topic_is_not_made_twice() {
    let cluster = Cluster::any("twice");
    let topic = cluster.name("once");
    cluster.run(&["topics", "create", &topic]).ok();
    let err = cluster.run(&["topics", "create", &topic]).failed(1);
    // The broker's words, then ours, as one sentence.
    let said = format!(
        "TOPIC_ALREADY_EXISTS: Topic '{topic}' already exists; `catchword topics describe` shows it"
    );
    assert!(err.contains(&said), "{err}");
    cluster
        .run(&["topics", "create", &topic, "--if-not-exists"])
        .ok();
}

#[test]
fn a_topics_configuration_is_changed_and_changed_back() {
    let cluster = Cluster::any("config");
    let topic = cluster.name("kept");
    cluster.run(&["topics", "create", &topic]).ok();
    let value = |key: &str| {
        let rows = cluster.json(&["topics", "config", &topic, "--json"]);
        let row = rows
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["key"] == key)
            .unwrap()
            .clone();
        (
            row["value"].as_str().unwrap().to_owned(),
            row["source"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(value("cleanup.policy"), ("delete".into(), "default".into()));
    cluster
        .run(&[
            "topics",
            "config",
            &topic,
            "--set",
            "cleanup.policy=compact",
        ])
        .ok();
    // A Kafka's brokers hear of a change a little later than the client that made it.
    let becomes = |wanted: (&str, &str)| {
        wait_until("cleanup.policy changes", || {
            let (value, source) = value("cleanup.policy");
            (value.as_str(), source.as_str()) == wanted
        });
    };
    becomes(("compact", "topic"));
    cluster
        .run(&["topics", "config", &topic, "--unset", "cleanup.policy"])
        .ok();
    becomes(("delete", "default"));

    let err = cluster
        .run(&["topics", "config", &topic, "--set", "retention.ms=a week"])
        .failed(1);
    assert!(err.contains("INVALID_CONFIG"), "{err}");
}

#[test]
fn the_brokers_own_topics_are_listed_when_asked_for() {
    let cluster = Cluster::any("internal");
    let topic = cluster.name("t");
    cluster.numbers(&topic, 1, 1);
    cluster
        .run(&[
            "consume",
            &topic,
            "--group",
            &cluster.name("g"),
            "--max",
            "1",
        ])
        .ok();
    let shown = cluster.run(&["topics", "list"]).ok();
    assert!(!shown.contains("__consumer_offsets"), "{shown}");
    let shown = cluster.run(&["topics", "list", "--internal"]).ok();
    assert!(shown.contains("__consumer_offsets"), "{shown}");
}
