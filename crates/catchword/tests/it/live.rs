//! A group is moved while its members read: nobody is stopped, everybody goes on from the new place.

use std::collections::BTreeSet;
use std::time::Duration;

use catchword_client::{Client, ClientOptions, CommitAs, NewCommit, TopicPartition};
use catchword_wire::ErrorCode;

use crate::group::Group;
use crate::harness::{Cluster, Running, wait_until};

fn member(g: &Group) -> Running {
    let consume = ["consume", &g.topic, "--group", &g.group];
    Running::start(g.cluster.command(&consume))
}

#[test]
fn a_live_group_is_rewound_without_stopping_it_and_that_is_undone_as_live() {
    let g = Group::on(Cluster::own());
    g.cluster.run(&["tag", "g", "at-six"]).ok();
    let reader = member(&g);
    reader.take(4);
    wait_until("the rest is committed", || g.committed() == 10);

    let rewind = ["rewind", "g", "--to", "4", "--live"];
    let preview = g.cluster.run(&rewind);
    assert!(preview.err.contains("read again"), "{preview:?}");
    assert_eq!(g.committed(), 10);
    let done = g.cluster.run(&[&rewind[..], &["--yes"]].concat());
    assert!(done.out.contains("the members rejoin"), "{done:?}");
    let back = done.err.lines().find_map(|line| {
        let back = line.strip_prefix("To put it back: catchword undo ");
        back.and_then(|back| back.strip_suffix(" --live --force --yes"))
    });
    let change = back.expect("the way back is told").to_owned();
    assert_eq!(reader.take(6), ["4", "5", "6", "7", "8", "9"]);
    wait_until("it has committed again", || g.committed() == 10);

    // Where it was before the change is where it is again: so there is nothing to undo, which is said.
    let undo = ["undo", &change, "--live", "--force", "--yes"];
    let err = g.cluster.run(&undo).failed(1);
    assert!(err.contains("already where it would be put"), "{err}");
    g.cluster
        .run(&["restore", "g", "--at", "at-six", "--live", "--yes"])
        .ok();
    assert_eq!(reader.take(4), ["6", "7", "8", "9"]);
}

/// The member is gone for good; a client that has lost its member id would be somebody who never had one.
#[test]
fn a_broker_that_is_killed_after_a_live_move_still_keeps_late_commits_out() {
    let mut g = Group::on(Cluster::own());
    let reader = member(&g);
    reader.take(4);
    wait_until("the rest is committed", || g.committed() == 10);
    // Killed, so that it does not leave the group by itself.
    drop(reader);
    let rewind = ["rewind", "g", "--to", "4", "--live", "--yes"];
    g.cluster.run(&rewind).ok();
    let broker = g.cluster.broker().expect("it is our own");
    broker.kill();
    broker.restart();
    let options = ClientOptions {
        retry_for: Duration::ZERO,
        ..ClientOptions::to(broker.address())
    };
    let place = NewCommit::new(TopicPartition::new(g.topic.as_str(), 0), 9);
    let late = || {
        let mut client = Client::connect(options.clone()).expect("the broker answers");
        let heard = client.commit("g", CommitAs::Outsider, std::slice::from_ref(&place));
        heard.err().and_then(|error| error.code())
    };
    let mut heard = None;
    wait_until("the groups are read", || {
        heard = late();
        heard != Some(ErrorCode::CoordinatorLoadInProgress)
    });
    assert_eq!(heard, Some(ErrorCode::RebalanceInProgress));
    assert_eq!(g.committed(), 4);
}

#[test]
fn without_live_it_is_said_that_there_is_such_a_thing() {
    let g = Group::on(Cluster::own());
    let reader = member(&g);
    reader.take(4);
    wait_until("the rest is committed", || g.committed() == 10);
    let err = g
        .cluster
        .run(&["rewind", "g", "--to", "4", "--yes"])
        .failed(1);
    assert!(err.contains("--live"), "{err}");
    assert_eq!(g.committed(), 10);
}

#[test]
fn consumers_that_are_no_members_cannot_be_moved_and_that_is_said() {
    let g = Group::on(Cluster::own());
    let done = g
        .cluster
        .run(&["rewind", "g", "--to", "4", "--live", "--yes"]);
    assert!(done.err.contains("assign()"), "{done:?}");
    done.ok();
    assert_eq!(g.committed(), 4);
}

#[test]
fn a_member_is_sent_away_and_comes_back_where_it_was() {
    let g = Group::on(Cluster::own());
    let _reader = member(&g);
    let members = || {
        let shown = g.cluster.json(&["show", "g", "--json"]);
        let members = shown["members"].as_array().cloned().unwrap_or_default();
        let ids = members.iter().filter_map(|m| m["member_id"].as_str());
        ids.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    wait_until("it has joined", || !members().is_empty());
    let before = members();
    let id = before.first().expect("there is one").as_str();
    let preview = g.cluster.run(&["kick", "g", id]);
    assert!(preview.err.contains("Nothing was changed"), "{preview:?}");
    assert_eq!(members(), before);
    g.cluster.run(&["kick", "g", id, "--yes"]).ok();
    wait_until("it is back under another id", || {
        let now = members();
        !now.is_empty() && now != before
    });
    let err = g.cluster.run(&["kick", "g", id, "--yes"]).failed(1);
    assert!(err.contains("has no member"), "{err}");
}
