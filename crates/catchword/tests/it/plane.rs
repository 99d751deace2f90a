//! What was done to a group is known, and taken back in one command: after a reset, a deletion, an expiry, and a kill -9.

use std::thread;
use std::time::Duration;

use catchword_client::{Client, ClientOptions, CommitAs, NewCommit, TopicPartition};
use serde_json::Value;

use crate::harness::{Cluster, wait_until};

/// A broker of our own and a client that is nobody's member.
pub(crate) struct Plane {
    pub(crate) cluster: Cluster,
    pub(crate) client: Client,
}

impl Plane {
    pub(crate) fn new() -> Plane {
        let cluster = Cluster::own();
        let client = Client::connect(ClientOptions::to(&cluster.bootstrap)).expect("it answers");
        Plane { cluster, client }
    }

    /// Somebody by that name puts a group somewhere in the first partitions of a topic.
    pub(crate) fn commit(&mut self, who: &str, group: &str, topic: &str, offsets: &[i64]) {
        let options = ClientOptions {
            client_id: who.into(),
            ..ClientOptions::to(&self.cluster.bootstrap)
        };
        let mut client = Client::connect(options).expect("it answers");
        let at = |(p, offset): (usize, &i64)| {
            NewCommit::new(TopicPartition::new(topic, p as i32), *offset)
        };
        let commits: Vec<NewCommit> = offsets.iter().enumerate().map(at).collect();
        client
            .commit(group, CommitAs::Outsider, &commits)
            .expect("it is taken");
    }

    pub(crate) fn committed(&mut self, group: &str) -> Vec<i64> {
        let committed = self.client.committed(group, None).expect("it is told");
        committed
            .values()
            .map(|committed| committed.offset)
            .collect()
    }

    pub(crate) fn topic(&self, name: &str, partitions: usize) {
        self.cluster
            .run(&[
                "topics",
                "create",
                name,
                "--partitions",
                &partitions.to_string(),
            ])
            .ok();
    }

    pub(crate) fn last_change(&self, group: &str) -> Value {
        self.cluster.json(&["log", group, "--json"])["changes"][0].clone()
    }
}

#[test]
fn a_wrong_reset_is_seen_with_who_did_it_and_undone() {
    let mut p = Plane::new();
    // About 1,000 in each partition.
    p.cluster.numbers("orders", 2, 2000);
    p.commit("reader", "g", "orders", &[500, 700]);
    p.commit("adminclient-7", "g", "orders", &[0, 0]);
    let change = p.last_change("g");
    assert_eq!(change["kind"], "reset");
    assert_eq!(change["by"]["client_id"], "adminclient-7");
    assert_eq!(change["by"]["host"], "127.0.0.1");
    assert_eq!(change["moves"][1]["from"], 700);
    let told = p.cluster.run(&["log", "g"]);
    assert!(told.err.contains("at most 256.0 MiB"), "{told:?}");
    let id = change["id"].as_str().expect("it has a name").to_owned();
    let listed = p.cluster.run(&["undo"]).ok();
    assert!(
        listed.contains(&id) && listed.contains("1,200 back"),
        "{listed}"
    );

    assert_eq!(p.cluster.run(&["undo", "g"]).ok(), listed);
    let other = p.cluster.run(&["undo", "another"]);
    assert!(other.err.contains("\"another\""), "{other:?}");
    let vague = p.cluster.run(&["undo", "g", "--yes"]);
    assert!(vague.failed(2).contains("which change"));
    assert_eq!(p.committed("g"), [0, 0]);

    let preview = p.cluster.run(&["undo", &id]);
    assert!(preview.err.contains("Nothing was changed"), "{preview:?}");
    let preview = preview.ok();
    assert!(preview.contains("skips 500 records") && preview.contains("key key-"));
    assert!(preview.contains("0 records again, 1,200 records skipped"));
    assert_eq!(p.committed("g"), [0, 0]);

    let done = p.cluster.run(&["undo", &id, "--yes"]);
    let back = done
        .err
        .lines()
        .find_map(|line| line.strip_prefix("To take this back: catchword "));
    let back = back.expect("the way back is told").to_owned();
    done.ok();
    assert_eq!(p.committed("g"), [500, 700]);
    assert_eq!(p.last_change("g")["undoes"], *id);

    let back: Vec<&str> = back.split_whitespace().collect();
    p.cluster.run(&back).ok();
    assert_eq!(p.committed("g"), [0, 0]);
}

#[test]
fn what_was_committed_since_is_not_overwritten_unless_forced() {
    let mut p = Plane::new();
    p.topic("orders", 2);
    p.commit("reader", "g", "orders", &[500, 700]);
    p.commit("adminclient-7", "g", "orders", &[0, 0]);
    let id = p.last_change("g")["id"]
        .as_str()
        .expect("a name")
        .to_owned();
    p.commit("reader", "g", "orders", &[30]);
    let refused = p.cluster.run(&["undo", &id, "--yes"]);
    assert!(
        refused.out.contains("not moved: committed since"),
        "{refused:?}"
    );
    let err = refused.failed(1);
    assert!(
        err.contains("1 partition of group \"g\" has moved since; nothing was changed"),
        "{err}"
    );
    assert!(err.contains("--force"), "{err}");
    assert_eq!(p.committed("g"), [30, 0]);
    p.cluster.run(&["undo", &id, "--yes", "--force"]).ok();
    assert_eq!(p.committed("g"), [500, 700]);
}

#[test]
fn a_deleted_group_is_in_the_trash_and_restored() {
    let mut p = Plane::new();
    p.topic("orders", 2);
    p.commit("reader", "g", "orders", &[500, 700]);
    assert!(p.cluster.run(&["trash"]).err.contains("The trash is empty"));
    p.client.delete_group("g").expect("it is deleted");
    assert!(p.committed("g").is_empty());
    let trash = p.cluster.run(&["trash"]).ok();
    assert!(
        trash.contains("group deleted") && trash.contains("orders"),
        "{trash}"
    );
    let preview = p.cluster.run(&["restore", "g"]).ok();
    assert!(preview.contains("put back"), "{preview}");
    assert!(p.committed("g").is_empty());
    p.cluster.run(&["restore", "g", "--yes"]).ok();
    assert_eq!(p.committed("g"), [500, 700]);
    assert_eq!(
        p.cluster.json(&["trash", "--json"])["groups"],
        Value::Array(Vec::new())
    );
    let err = p.cluster.run(&["restore", "g", "--yes"]).failed(1);
    assert!(err.contains("has lost no committed offsets"), "{err}");
}

#[test]
fn places_of_a_topic_that_was_created_anew_are_not_put_into_it() {
    let mut p = Plane::new();
    p.topic("orders", 1);
    p.commit("reader", "g", "orders", &[500]);
    p.cluster.run(&["topics", "delete", "orders", "--yes"]).ok();
    let err = p.cluster.run(&["restore", "g", "--yes"]).failed(1);
    assert!(err.contains("do not exist any more"), "{err}");
    p.topic("orders", 1);
    let trash = p.cluster.run(&["trash"]).ok();
    assert!(
        trash.contains("topic deleted") && trash.contains("0 of 1"),
        "{trash}"
    );
    let err = p.cluster.run(&["restore", "g", "--yes"]).failed(1);
    assert!(
        err.contains("the old places of group \"g\" are offsets of other records"),
        "{err}"
    );
    let id = p.last_change("g")["id"]
        .as_str()
        .expect("a name")
        .to_owned();
    let err = p.cluster.run(&["undo", &id, "--yes", "--force"]).failed(1);
    assert!(err.contains("nothing was changed"), "{err}");
    assert!(p.committed("g").is_empty());
}

#[test]
fn a_group_with_live_members_is_left_alone() {
    let mut p = Plane::new();
    p.cluster.numbers("orders", 1, 10);
    p.commit("reader", "g", "orders", &[8]);
    // To the end: a member finds nothing to read, and has nothing to commit.
    p.commit("adminclient-7", "g", "orders", &[10]);
    let member = p.cluster.command(&["consume", "orders", "--group", "g"]);
    let _member = crate::harness::Running::start(member);
    wait_until("it has joined", || {
        let group = p.client.describe_group("g").expect("it is told");
        group.is_some_and(|group| group.is_live())
    });
    let id = p.last_change("g")["id"]
        .as_str()
        .expect("a name")
        .to_owned();
    let err = p.cluster.run(&["undo", &id, "--yes"]).failed(1);
    assert!(
        err.contains("has live members; nothing was changed"),
        "{err}"
    );
    assert_eq!(p.committed("g"), [10]);
}

#[test]
fn where_a_group_was_is_told_for_any_time() {
    let mut p = Plane::new();
    p.topic("orders", 1);
    p.commit("reader", "g", "orders", &[500]);
    thread::sleep(Duration::from_millis(1100));
    p.commit("adminclient-7", "g", "orders", &[20]);
    let at = p.cluster.json(&["at", "g", "1s ago", "--json"]);
    assert_eq!(at["partitions"][0]["then"], 500);
    assert_eq!(at["partitions"][0]["now"], 20);
    assert_eq!(at["exact_to"], "move");
    let text = p.cluster.run(&["at", "g", "1s ago"]).ok();
    assert!(text.contains("480 back"), "{text}");
    let err = p.cluster.run(&["at", "g", "2026-11-23 13:30"]).failed(2);
    assert!(err.contains("time zone"), "{err}");
    assert!(
        p.cluster
            .run(&["at", "g", "1d ago"])
            .err
            .contains("begins at")
    );
}

#[test]
fn names_that_nobody_knows_are_refused_with_what_to_do() {
    let p = Plane::new();
    let err = p.cluster.run(&["log", "nobody"]).failed(1);
    assert!(
        err.contains("nothing is known of a group \"nobody\""),
        "{err}"
    );
    assert!(err.contains("What to do: `catchword groups`"), "{err}");
    let err = p.cluster.run(&["undo", "17-4811"]).failed(1);
    assert!(err.contains("17-4811"), "{err}");
    let said = p.cluster.run(&["protect", "nobody", "frozen"]);
    assert!(said.err.contains("There is no such group yet"), "{said:?}");
    // What is no name of a change is that of a group.
    let err = p.cluster.run(&["undo", "17-"]).failed(1);
    assert!(err.contains("nothing is known of a group \"17-\""), "{err}");
}
