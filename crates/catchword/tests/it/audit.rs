//! What goes wrong with commits is told: by whom, and what is read twice for it.

use catchword_client::{
    Client, ClientOptions, CommitAs, FetchFrom, FetchOptions, GroupMember, MemberOptions,
    NewCommit, TopicPartition,
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

/// A member that is handed the records 6 to 9, which its group has not committed.
fn reading(g: &Group, client: &mut Client) -> GroupMember {
    let options = MemberOptions::new("g", vec![g.topic.clone()]);
    let member = GroupMember::join(client, options).expect("it joins");
    let from = [FetchFrom {
        partition: TopicPartition::new(&g.topic, 0),
        offset: 6,
    }];
    let fetched = client.fetch(&from, FetchOptions::default());
    assert_eq!(fetched.expect("it reads")[0].records.len(), 4);
    member
}

#[test]
fn what_a_member_fetched_and_has_not_committed_is_told_while_it_reads_and_when_it_is_gone() {
    let g = Group::on(Cluster::own());
    let mut client = client(&g);
    let member = reading(&g, &mut client);
    let place = &g.cluster.json(&["show", "g", "--json"])["partitions"][0];
    assert_eq!(
        (&place["fetched"], &place["uncommitted"]),
        (&10.into(), &4.into())
    );
    let words =
        "t:0 was fetched to 10, committed to 6: up to 4 records would come again after a crash";
    let shown = g.cluster.run(&["show", "g"]).ok();
    assert!(shown.contains(words), "{shown}");
    let lag = g.cluster.run(&["lag", "g"]).ok();
    assert!(lag.contains("4 records fetched and not committed"), "{lag}");

    g.cluster
        .run(&["kick", "g", member.member_id(), "--yes"])
        .ok();
    let told = g.cluster.run(&["audit", "g"]).ok();
    let words = "sent away; t:0 was handed to 10, committed to 6: up to 4 records again";
    assert!(told.contains(words), "{told}");
    let counts = g.cluster.json(&["audit", "--json"])["counts"].clone();
    assert_eq!(
        (&counts["uncommitted"], &counts["uncommitted_records"]),
        (&1.into(), &4.into())
    );
}

#[test]
fn who_leaves_in_order_is_told_of_only_if_it_has_committed_nothing() {
    let g = Group::on(Cluster::own());
    let mut client = client(&g);
    let mut member = reading(&g, &mut client);
    let committed = member.commit(&mut client, &to(&g, 8));
    committed.expect("it answers");
    member.leave(&mut client).expect("it leaves");
    let told = g.cluster.run(&["audit", "g"]);
    assert!(told.err.contains("Nothing was noticed"), "{told:?}");

    let reset = client.commit("g", CommitAs::Outsider, &to(&g, 6));
    reset.expect("an empty group may be moved by anybody");
    let member = reading(&g, &mut client);
    member.leave(&mut client).expect("it leaves");
    let told = g.cluster.run(&["audit", "g"]).ok();
    let words = "left; t:0 was handed to 10, committed to 6: up to 4 records again";
    assert!(told.contains(words), "{told}");
}
