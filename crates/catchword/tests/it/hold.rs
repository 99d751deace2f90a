//! Retention waits for a group that asks for it, says so, and lets go when it has read, or is told to.

use crate::group::Group;
use crate::harness::{Cluster, wait_until};

#[test]
fn records_past_their_time_stay_until_the_group_that_holds_them_has_read() {
    let mut g = Group::on(Cluster::own_with(&[
        "log.retention.check.interval.ms=200",
        "log.initial.task.delay.ms=0",
    ]));
    let said = g.cluster.run(&["hold", "g", "on"]).ok();
    assert!(said.contains("waits, within bounds"), "{said}");
    // Everything is past its time from now on.
    let short = ["topics", "config", &g.topic, "--set", "retention.ms=1"];
    g.cluster.run(&short).ok();
    let show = || g.cluster.json(&["show", "g", "--json"])["partitions"][0].clone();
    wait_until("records are held", || show()["held_bytes"] != 0);
    assert_eq!(
        (&show()["log_start"], &show()["lag"]),
        (&0.into(), &4.into())
    );
    let shown = g.cluster.run(&["show", "g"]);
    assert!(shown.err.contains("catchword hold g off"), "{shown:?}");
    // Also when the broker does not know yet where the group is.
    let broker = g.cluster.broker().expect("it is our own");
    broker.kill();
    broker.restart();
    let show = || g.cluster.json(&["show", "g", "--json"])["partitions"][0].clone();
    wait_until("records are held again", || show()["held_bytes"] != 0);
    let read = ["consume", &g.topic, "--group", "g", "--max", "4"];
    assert_eq!(g.cluster.run(&read).ok(), "6\n7\n8\n9\n");
    wait_until("what was read is deleted", || show()["log_start"] == 10);
    assert_eq!(show()["lost"], 0);
}

#[test]
fn a_hold_that_is_lifted_or_full_holds_nothing() {
    let g = Group::on(Cluster::own_with(&[
        "log.retention.check.interval.ms=200",
        "log.initial.task.delay.ms=0",
    ]));
    g.cluster.run(&["hold", "g", "on"]).ok();
    for key in ["retention.hold.max.bytes=0", "retention.ms=1"] {
        let set = ["topics", "config", &g.topic, "--set", key];
        g.cluster.run(&set).ok();
    }
    let show = || g.cluster.json(&["show", "g", "--json"])["partitions"][0].clone();
    wait_until("they are deleted all the same", || {
        show()["log_start"] == 10
    });
    assert_eq!(show()["lost"], 4);
    let off = g.cluster.run(&["hold", "g", "off"]).ok();
    assert!(off.contains("does not wait"), "{off}");
}
