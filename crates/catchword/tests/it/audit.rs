//! What goes wrong with commits is told: by whom, and what is read twice for it.

use catchword_client::{
    Client, ClientOptions, CommitAs, GroupMember, MemberOptions, NewCommit, TopicPartition,
};

use crate::group::Group;
use crate::harness::Cluster;

fn client(g: &Group) -> Client {
    let options = ClientOptions {
        client_id: "billing-1".into(),
        ..ClientOptions::to(&g.cluster.bootstrap)
    };
    Client::connect(options).expect("it answers")
}

fn to(g: &Group, offset: i64) -> [NewCommit; 1] {
    [NewCommit::new(TopicPartition::new(&g.topic, 0), offset)]
}

#[test]
fn commits_that_do_more_than_read_on_are_told_with_what_they_cost() {
    let g = Group::on(Cluster::own());
    let nothing = g.cluster.run(&["audit"]);
    assert!(nothing.err.contains("Nothing was noticed"), "{nothing:?}");

    let mut client = client(&g);
    let options = MemberOptions::new("g", vec![g.topic.clone()]);
    let mut member = GroupMember::join(&mut client, options).expect("it joins");
    let mut commit = |offset| {
        member
            .commit(&mut client, &to(&g, offset))
            .expect("it answers")
    };
    commit(4);
    commit(1000);
    let evicted = CommitAs::Member {
        member_id: "gone",
        generation: 1,
        instance_id: None,
    };
    let refused = client.commit("g", evicted, &to(&g, 1480));
    assert!(refused.is_err());

    let told = g.cluster.run(&["audit", "g"]).ok();
    for words in [
        "t:0 back, 6 → 4: 2 records again",
        "set t:0 to 1,000, beyond the log's end 10",
        "commit of 1 partition refused (UNKNOWN_MEMBER_ID): up to 480 records twice",
        "billing-1 on 127.0.0.1",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let other = g.cluster.run(&["audit", "other"]);
    assert!(other.err.contains("Nothing was noticed"), "{other:?}");
    let counts = g.cluster.json(&["audit", "--json"])["counts"].clone();
    assert_eq!(counts["refused_records"], 480);
}

#[test]
fn an_outsiders_jump_over_records_is_told_with_how_many_nobody_was_given() {
    let g = Group::on(Cluster::own());
    let mut client = client(&g);
    let jump = client.commit("g", CommitAs::Outsider, &to(&g, 9));
    jump.expect("an empty group may be moved by anybody");
    let told = g.cluster.run(&["audit", "g"]).ok();
    let words = "no member, set t:0 forward, 6 → 9: 3 records given to nobody";
    assert!(told.contains(words), "{told}");
    let counts = g.cluster.json(&["audit", "--json"])["counts"].clone();
    assert_eq!(counts["jump"], 1);
}
