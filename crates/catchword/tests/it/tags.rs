//! A name for where a group is, and the way back to it: after commits, a deletion, a kill -9, and to any time.

use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::group::Group;
use crate::harness::Cluster;

/// Reads two records more.
fn read_on(g: &Group) {
    let read = ["consume", &g.topic, "--group", &g.group, "--max", "2"];
    g.cluster.run(&read).ok();
}

#[test]
fn a_tag_outlives_commits_the_group_and_a_crash_and_is_gone_back_to_in_one_command() {
    let mut g = Group::on(Cluster::own());
    let made = g.cluster.run(&["tag", "g", "before-deploy"]);
    assert!(
        made.err.contains("catchword restore g --at before-deploy"),
        "{made:?}"
    );
    made.ok();
    read_on(&g);
    let preview = g.cluster.run(&["restore", "g", "--at", "before-deploy"]);
    assert!(preview.err.contains("Nothing was changed"), "{preview:?}");
    assert_eq!(g.committed(), 8);

    let delete = ["tag", "g", "before-deploy", "--remove"];
    assert!(g.cluster.run(&delete).err.contains("Nothing was removed"));
    let mut client = catchword_client::Client::connect(catchword_client::ClientOptions::to(
        &g.cluster.bootstrap,
    ))
    .expect("it answers");
    client.delete_group("g").expect("it is deleted");
    let broker = g.cluster.broker().expect("it is our own");
    broker.kill();
    broker.restart();
    let tags = g.cluster.json(&["tags", "g", "--json"]);
    assert_eq!(tags["tags"][0]["tag"], "before-deploy");
    assert_eq!(tags["tags"][0]["offsets"], 1);

    let done = g
        .cluster
        .run(&["restore", "g", "--at", "before-deploy", "--yes"]);
    let back = done
        .err
        .lines()
        .find_map(|line| line.strip_prefix("To take this back: catchword "));
    let back: Vec<String> = back
        .expect("the way back is told")
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    done.ok();
    assert_eq!(g.committed(), 6);
    let back: Vec<&str> = back.iter().map(String::as_str).collect();
    g.cluster.run(&back).ok();
    let shown = g.cluster.json(&["trash", "--json"]);
    assert_eq!(shown["groups"][0]["restorable"], 1, "it is deleted again");

    g.cluster.run(&[&delete[..], &["--yes"]].concat()).ok();
    let err = g
        .cluster
        .run(&["restore", "g", "--at", "before-deploy"])
        .failed(1);
    assert!(err.contains("has no tag \"before-deploy\""), "{err}");
}

#[test]
fn a_group_goes_back_to_a_time() {
    let g = Group::on(Cluster::own());
    thread::sleep(Duration::from_millis(1100));
    read_on(&g);
    let to = g
        .cluster
        .json(&["restore", "g", "--at", "1s ago", "--yes", "--json"]);
    assert_eq!(to["to"]["exact_to"], "move");
    assert_eq!(g.committed(), 6);
    let hours = g.cluster.run(&["tags", "g", "--hours"]);
    assert!(
        hours.err.contains("moved in no hour that is over") || hours.out.contains(":00:00.000Z"),
        "{hours:?}"
    );
    let err = g
        .cluster
        .run(&["restore", "g", "--at", "1d ago", "--yes"])
        .failed(1);
    assert!(err.contains("no committed offset then"), "{err}");
    let err = g
        .cluster
        .run(&["restore", "g", "--at", "yesterday 14:00"])
        .failed(2);
    assert!(err.contains("time zone"), "{err}");
}

#[test]
fn a_tag_is_not_lost_to_another_of_its_name() {
    let g = Group::on(Cluster::own());
    g.cluster.run(&["tag", "g", "a"]).ok();
    read_on(&g);
    let err = g.cluster.run(&["tag", "g", "a"]).failed(1);
    assert!(err.contains("has a tag \"a\" already"), "{err}");
    let to = || g.cluster.json(&["restore", "g", "--at", "a", "--json"])["partitions"][0].clone();
    assert_eq!(to()["then"], 6);
    g.cluster.run(&["tag", "g", "a", "--force"]).ok();
    assert_eq!(to()["then"], 8);
    for name in ["2h", "a b", "now", ""] {
        let err = g.cluster.run(&["tag", "g", name]).failed(2);
        assert!(err.contains("begin with a letter"), "{name}: {err}");
    }
    let err = g.cluster.run(&["tag", "nobody", "a"]).failed(1);
    assert!(err.contains("no committed offsets"), "{err}");
}

#[test]
fn a_tag_of_a_topic_that_was_created_anew_is_not_put_into_it() {
    let g = Group::on(Cluster::own());
    g.cluster.run(&["tag", "g", "a"]).ok();
    g.cluster.run(&["topics", "delete", &g.topic, "--yes"]).ok();
    g.cluster.numbers(&g.topic, 1, 10);
    let err = g
        .cluster
        .run(&["restore", "g", "--at", "a", "--yes"])
        .failed(1);
    assert!(err.contains("created again since"), "{err}");
    let shown = g.cluster.json(&["show", "g", "--json"]);
    assert_eq!(shown["partitions"], Value::Array(Vec::new()));
}

#[test]
fn of_a_group_that_nobody_knows_there_are_no_tags_to_list() {
    let g = Group::on(Cluster::own());
    let none = g.cluster.run(&["tags", "g"]);
    assert!(none.err.contains("has no tags"), "{none:?}");
    let err = g.cluster.run(&["tags", "nobody"]).failed(1);
    assert!(
        err.contains("nothing is known of a group \"nobody\""),
        "{err}"
    );
}
