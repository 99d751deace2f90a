//! What is pinned stays, whoever wants to delete it; what expires soon is marked before it does.

use catchword_client::{Client, ClientOptions};

use crate::group::Group;
use crate::harness::{Cluster, wait_until};

#[test]
fn a_pinned_group_is_not_deleted_until_the_pin_is_off() {
    let mut g = Group::on(Cluster::own());
    let pinned = g.cluster.json(&["pin", "g", "--json"]);
    assert_eq!(pinned["pins"][0], "*");
    let broker = g.cluster.broker().expect("it is our own");
    broker.kill();
    broker.restart();
    let mut client = Client::connect(ClientOptions::to(&g.cluster.bootstrap)).unwrap();
    let error = client.delete_group("g").unwrap_err();
    assert!(error.to_string().contains("POLICY_VIOLATION"), "{error}");
    // Moving it is no deletion.
    let rewind = ["rewind", "g", "--to", "earliest", "--yes"];
    g.cluster.run(&rewind).ok();
    // What would take a bookmark away is: here, to undo how it came to be.
    let place = ["--to", "end", "--topic", &g.topic, "--yes"];
    g.cluster
        .run(&[&["rewind", "fresh"], &place[..]].concat())
        .ok();
    g.cluster.run(&["pin", "fresh"]).ok();
    let log = g.cluster.json(&["log", "fresh", "--commits", "--json"]);
    let id = log["changes"][0]["id"].as_str().unwrap();
    let err = g.cluster.run(&["undo", id, "--yes"]).failed(1);
    assert!(err.contains("in t:0 is pinned"), "{err}");
    assert!(err.contains("catchword pin fresh --list"), "{err}");
    let shown = g.cluster.run(&["groups"]).ok();
    assert!(shown.contains("pinned"), "{shown}");
    assert!(g.cluster.run(&["show", "g"]).ok().contains("pinned"));
    let kept = g.cluster.json(&["keep", "g", "--json"]);
    assert!(kept["partitions"][0]["expires_at_ms"].is_null(), "{kept}");

    let off = g.cluster.run(&["pin", "g", "--off"]).ok();
    assert!(off.contains("Nothing of group g is pinned"), "{off}");
    client.delete_group("g").expect("nothing holds it");
}

#[test]
fn one_partition_is_pinned_and_a_wrong_name_is_refused() {
    let g = Group::on(Cluster::own());
    let place = format!("{}:0", g.topic);
    g.cluster.run(&["pin", "g", &place]).ok();
    let shown = g.cluster.json(&["show", "g", "--json"]);
    assert_eq!(shown["pins"][0], place.as_str());
    let err = g.cluster.run(&["pin", "g", "t:x"]).failed(1);
    assert!(err.contains("TOPIC:PARTITION"), "{err}");
    let listed = g.cluster.json(&["pin", "g", "--list", "--json"]);
    assert_eq!(listed["pins"].as_array().unwrap().len(), 1, "{listed}");
}

#[test]
fn a_group_that_expires_soon_is_marked_until_it_is_kept() {
    let g = Group::on(Cluster::own_with(&[
        "offsets.retention.check.interval.ms=200",
        "offsets.retention.rules=g*:1",
    ]));
    let is_marked = || {
        let groups = g.cluster.json(&["groups", "--json"]);
        groups[0]["expires_soon"] == true
    };
    // Its offsets are kept for a minute, so it is marked when half of it is over.
    wait_until("it is marked", is_marked);
    let shown = g.cluster.run(&["show", "g"]);
    assert!(shown.err.contains("catchword keep g never"), "{shown:?}");
    g.cluster.run(&["keep", "g", "never"]).ok();
    wait_until("it is marked no more", || !is_marked());
}
