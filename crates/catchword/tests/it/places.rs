//! Places that are copied, written to files and read from them, and records that are skipped.

use std::fs;

use crate::group::Group;
use crate::harness::{Cluster, Running, wait_until};

#[test]
fn a_copy_begins_where_the_other_group_is() {
    let g = Group::new("copy");
    let copy = g.cluster.name("copy");
    let preview = g.cluster.run(&["copy", &g.group, &copy]);
    assert!(preview.err.contains("Nothing was changed"), "{preview:?}");
    assert!(preview.ok().contains("a first place"));
    let shown = g.cluster.run(&["show", &copy]);
    assert_eq!(shown.code, Some(1), "there is no such group yet: {shown:?}");
    g.cluster.run(&["copy", &g.group, &copy, "--yes"]).ok();
    let read = ["consume", &g.topic, "--group", &copy, "--max", "2"];
    assert_eq!(g.cluster.run(&read).ok(), "6\n7\n");
    // Copied again it goes back, and says what that means.
    let moved = g
        .cluster
        .json(&["copy", &g.group, &copy, "--yes", "--json"]);
    assert_eq!(moved["partitions"][0]["effect"], "again");
    assert_eq!(moved["partitions"][0]["records"], 2);
    assert_eq!((g.committed(), g.committed_by(&copy)), (6, 6));
}

#[test]
fn a_group_with_live_members_is_copied_but_not_moved() {
    let g = Group::new("copylive");
    let member = Running::start(
        g.cluster
            .command(&["consume", &g.topic, "--group", &g.group]),
    );
    member.take(4);
    wait_until("the rest is committed", || g.committed() == 10);
    let copy = g.cluster.name("copy");
    g.cluster.run(&["copy", &g.group, &copy, "--yes"]).ok();
    assert_eq!(g.committed_by(&copy), 10);
    let err = g.cluster.run(&["copy", &copy, &g.group, "--yes"]).failed(1);
    assert!(err.contains("live members"), "{err}");
}

#[test]
fn what_is_exported_is_imported_again() {
    let g = Group::new("export");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("offsets.csv");
    let file = file.to_str().unwrap();
    let export = ["export", &g.group, "--output", file];
    g.cluster.run(&export).ok();
    assert_eq!(
        fs::read_to_string(file).unwrap(),
        format!("{},0,6\n", g.topic)
    );
    let told = g.cluster.json(&["export", &g.group, "--json"]);
    let place =
        serde_json::json!([{"group": g.group, "topic": g.topic, "partition": 0, "offset": 6}]);
    assert_eq!(told, place);
    g.cluster
        .run(&["rewind", &g.group, "--to", "end", "--yes"])
        .ok();
    let err = g.cluster.run(&["import", file]).failed(2);
    assert!(err.contains("--group"), "{err}");
    let import = ["import", file, "--group", &g.group];
    let preview = g.cluster.run(&import).ok();
    assert!(preview.contains("reads 4 records again"), "{preview}");
    assert_eq!(g.committed(), 10);
    g.cluster.run(&[&import[..], &["--yes"]].concat()).ok();
    assert_eq!(g.committed(), 6);
}

#[test]
fn several_groups_in_zookeepers_form_are_put_in_their_places() {
    let g = Group::new("zkform");
    let other = g.cluster.name("other");
    let line = |group: &str, offset| format!("/consumers/{group}/offsets/{}/0:{offset}\n", g.topic);
    let text = line(&g.group, 2) + &line(&other, 3);
    g.cluster.feed(&["import", "-", "--yes"], &text).ok();
    assert_eq!((g.committed(), g.committed_by(&other)), (2, 3));
    let form = ["--form", "zookeeper"];
    let exported = g
        .cluster
        .run(&[&["export", &g.group, &other], &form[..]].concat())
        .ok();
    assert_eq!(exported, text);
}

#[test]
fn a_file_that_is_wrong_in_one_line_changes_nothing() {
    let g = Group::new("wrong");
    for (text, words) in [
        (format!("{},0,1\n{},zero,1\n", g.topic, g.topic), "line 2"),
        (
            format!("{},0,1\n{},7,1\n", g.topic, g.topic),
            "there is no partition",
        ),
        (String::new(), "the file has no offsets"),
    ] {
        let import = ["import", "-", "--group", &g.group, "--yes"];
        let err = g.cluster.feed(&import, &text).failed(1);
        assert!(err.contains(words), "{err}");
        assert_eq!(g.committed(), 6);
    }
}

#[test]
fn one_record_is_shown_and_skipped() {
    let g = Group::new("skip");
    let place = format!("{}:0", g.topic);
    let preview = g.cluster.run(&["skip", &g.group, &place]).ok();
    assert!(preview.contains("WOULD BE SKIPPED"), "{preview}");
    assert!(preview.contains("key key-6  6"), "{preview}");
    assert_eq!(g.committed(), 6);
    g.cluster.run(&["skip", &g.group, &place, "--yes"]).ok();
    let read = ["consume", &g.topic, "--group", &g.group, "--max", "1"];
    assert_eq!(g.cluster.run(&read).ok(), "7\n");
    let all = ["skip", &g.group, &place, "--records", "100", "--yes"];
    g.cluster.run(&all).ok();
    assert_eq!(g.committed(), 10);
    let err = g.cluster.run(&all).failed(1);
    assert!(err.contains("there is no record to skip"), "{err}");
}

#[test]
fn a_topic_alone_says_not_what_to_skip() {
    let cluster = Cluster::any("skipwrong");
    let err = cluster.run(&["skip", "g", "t"]).failed(2);
    assert!(err.contains("one partition is wanted: t:0"), "{err}");
}
