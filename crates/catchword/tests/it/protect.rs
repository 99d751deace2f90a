//! A group that is protected is not reset or deleted, by our commands or by whoever speaks Kafka's protocol.

use catchword_client::{Client, ClientOptions, CommitAs, NewCommit, TopicPartition};

use crate::group::Group;
use crate::harness::Cluster;

#[test]
fn a_protected_group_is_not_reset_until_that_is_lifted() {
    let mut g = Group::on(Cluster::own());
    let off = g.cluster.json(&["protect", &g.group, "--json"]);
    assert_eq!(off["protection"], "off");
    let said = g.cluster.run(&["protect", &g.group, "forward-only"]).ok();
    assert!(
        said.contains("moved back or deleted by members only"),
        "{said}"
    );
    // Whoever lists groups sees it.
    let groups = g.cluster.json(&["groups", "--json"]);
    assert_eq!(groups[0]["protection"], "forward-only", "{groups}");
    for command in [&["groups"][..], &["show", &g.group]] {
        let said = g.cluster.run(command).ok();
        assert!(said.contains("forward-only"), "{said}");
    }
    let broker = g.cluster.broker().expect("it is our own");
    broker.kill();
    broker.restart();
    let rewind = ["rewind", &g.group, "--to", "earliest", "--yes"];
    let err = g.cluster.run(&rewind).failed(1);
    assert!(err.contains("catchword protect g off"), "{err}");
    assert!(err.contains("is protected from being set back"), "{err}");
    let mut client = Client::connect(ClientOptions::to(&g.cluster.bootstrap)).unwrap();
    let back = [NewCommit::new(TopicPartition::new(&g.topic, 0), 1)];
    let error = client
        .commit(&g.group, CommitAs::Outsider, &back)
        .unwrap_err();
    assert!(error.to_string().contains("POLICY_VIOLATION"), "{error}");
    assert_eq!(g.committed(), 6);
    // Reading on is what the group is for.
    let read = ["consume", &g.topic, "--group", &g.group, "--max", "1"];
    assert_eq!(g.cluster.run(&read).ok(), "6\n");
    // A step on by an outsider can be undone only when the protection is lifted.
    g.cluster
        .run(&["skip", &g.group, &format!("{}:0", g.topic), "--yes"])
        .ok();
    let changes = g.cluster.json(&["log", &g.group, "--json"]);
    let id = changes["changes"][0]["id"].as_str().unwrap().to_owned();
    let err = g.cluster.run(&["undo", &id, "--yes"]).failed(1);
    let words = "is protected from being set back; nothing was changed";
    assert!(err.contains(words), "{err}");
    g.cluster.run(&["protect", &g.group, "off"]).ok();
    g.cluster.run(&["undo", &id, "--yes"]).ok();
    assert_eq!(g.committed(), 7);
}
