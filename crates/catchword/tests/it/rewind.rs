//! Moving a group: shown first, done when told, refused while it lives.

use serde_json::Value;

use crate::group::Group;
use crate::harness::{Cluster, Running, wait_until};

trait Rewinds {
    fn rewind(&self, args: &[&str]) -> Value;
}

impl Rewinds for Group {
    fn rewind(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["rewind", &self.group, "--json"]
            .into_iter()
            .chain(args.iter().copied())
            .collect();
        self.cluster.json(&args)
    }
}

#[test]
fn nothing_moves_without_yes() {
    let g = Group::new("preview");
    let text = g.cluster.run(&["rewind", &g.group, "--to", "earliest"]);
    assert!(text.err.contains("Nothing was changed"), "{text:?}");
    let text = text.ok();
    assert!(text.contains("reads 6 records again"), "{text}");
    assert!(text.contains("key key-0  0"), "{text}");
    assert_eq!(g.committed(), 6);
}

#[test]
fn a_group_is_put_where_it_is_told() {
    let g = Group::new("yes");
    let cases = [
        ("earliest", 0, "again", 6),
        ("4", 4, "skipped", 4),
        ("-3", 1, "again", 3),
        ("+2", 3, "skipped", 2),
        ("end", 10, "skipped", 7),
        ("-100", 0, "again", 10),
        ("999", 10, "skipped", 10),
        ("1h ago", 0, "again", 10),
        ("2100-01-01T00:00+01:00", 10, "skipped", 10),
    ];
    for (to, then, effect, records) in cases {
        let moved = g.rewind(&["--to", to, "--yes"]);
        assert_eq!(moved["applied"], true);
        let place = &moved["partitions"][0];
        assert_eq!(place["then"], then, "{to}");
        assert_eq!(place["effect"], effect, "{to}");
        assert_eq!(place["records"], records, "{to}");
        assert_eq!(g.committed(), then, "{to}");
    }
}

#[test]
fn the_group_reads_on_from_there_and_the_way_back_is_told() {
    let g = Group::new("back");
    let outcome = g.cluster.run(&["rewind", &g.group, "--to", "2", "--yes"]);
    let back = outcome
        .err
        .lines()
        // One line where the broker remembers, one for each partition where it does not.
        .find_map(|line| line.split_once("catchword "))
        .map(|(_, command)| command.to_owned())
        .expect("the way back");
    outcome.ok();
    let read = g
        .cluster
        .run(&["consume", &g.topic, "--group", &g.group, "--max", "2"])
        .ok();
    assert_eq!(read, "2\n3\n");
    let mut back: Vec<&str> = back.split_whitespace().collect();
    if back[0] == "undo" {
        // The group has read on since.
        assert!(g.cluster.run(&back).failed(1).contains("moved since"));
        back.push("--force");
    }
    g.cluster.run(&back).ok();
    assert_eq!(g.committed(), 6);
}

#[test]
fn only_the_topics_that_are_named_move() {
    let g = Group::new("topic");
    let other = g.cluster.name("other");
    g.cluster.numbers(&other, 2, 8);
    let moved = g.rewind(&["--to", "end", "--topic", &format!("{other}:1"), "--yes"]);
    assert_eq!(moved["partitions"].as_array().map(Vec::len), Some(1));
    assert_eq!(moved["partitions"][0]["effect"], "new");
    assert_eq!(moved["partitions"][0]["now"], Value::Null);
    let shown = g.cluster.json(&["show", &g.group, "--json"]);
    let places: Vec<(&str, i64)> = shown["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| {
            (
                p["topic"].as_str().unwrap(),
                p["partition"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(places, [(other.as_str(), 1), (g.topic.as_str(), 0)]);
}

#[test]
fn a_live_group_is_left_alone() {
    let g = Group::new("live");
    let member = Running::start(
        g.cluster
            .command(&["consume", &g.topic, "--group", &g.group]),
    );
    member.take(4);
    wait_until("the rest is committed", || g.committed() == 10);
    let err = g
        .cluster
        .run(&["rewind", &g.group, "--to", "earliest", "--yes"])
        .failed(1);
    assert!(err.contains("live members (catchword on "), "{err}");
    assert!(err.contains("Nothing was changed"), "{err}");
    assert_eq!(g.committed(), 10);
}

#[test]
fn a_time_without_its_zone_is_refused() {
    let g = Group::new("zone");
    let err = g
        .cluster
        .run(&["rewind", &g.group, "--to", "2026-11-23 13:30", "--yes"])
        .failed(2);
    assert!(err.contains("lacks its time zone"), "{err}");
    assert_eq!(g.committed(), 6);
}

#[test]
fn a_group_without_a_place_needs_a_topic() {
    let cluster = Cluster::any("noplace");
    let err = cluster
        .run(&["rewind", &cluster.name("nobody"), "--to", "end"])
        .failed(1);
    assert!(err.contains("has committed no offsets; --topic"), "{err}");
}

#[test]
fn the_preview_tells_bytes_and_how_long_the_group_takes_if_somebody_reads() {
    let g = Group::on(Cluster::own());
    let more = |count: u32| {
        let lines: String = (0..count).map(|n| format!("more {n}\n")).collect();
        g.cluster.feed(&["produce", &g.topic], &lines).ok();
    };
    more(10);
    let skipped = g.rewind(&["--to", "end"]);
    assert_eq!(skipped["partitions"][0]["records"], 14);
    let bytes = skipped["partitions"][0]["bytes"].as_i64();
    assert!(bytes > Some(100), "{skipped}");
    assert_eq!(skipped["takes_ms"], Value::Null);
    let preview = || {
        let again = ["rewind", &g.group, "--to", "earliest"];
        g.cluster.run(&again).out
    };
    let text = preview();
    assert!(text.contains("Nobody reads the group now"), "{text}");

    let member = Running::start(
        g.cluster
            .command(&["consume", &g.topic, "--group", &g.group]),
    );
    member.take(14);
    wait_until("its pace is known", || {
        more(5);
        preview().contains("At the group's own pace (")
    });
}
