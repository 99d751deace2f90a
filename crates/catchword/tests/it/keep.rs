//! How long a group's offsets are kept: said for a group, for a pattern, and told.

use crate::group::Group;
use crate::harness::Cluster;

#[test]
fn a_group_is_kept_as_it_was_said() {
    let g = Group::on(Cluster::own());
    let keep = |args: &[&str]| {
        g.cluster
            .json(&[&["keep", &g.group, "--json"], args].concat())
    };
    let day_ms = 24 * 3600 * 1000;
    let before = keep(&[]);
    assert_eq!(
        (&before["rule"], &before["retention_ms"]),
        (&"default".into(), &(7 * day_ms).into())
    );
    let expires_ms = before["partitions"][0]["expires_at_ms"].as_i64().unwrap();
    let later = keep(&["30d"]);
    assert_eq!(
        (&later["rule"], &later["retention_ms"]),
        (&"group".into(), &(30 * day_ms).into())
    );
    let moved_ms = later["partitions"][0]["expires_at_ms"].as_i64().unwrap() - expires_ms;
    assert_eq!(moved_ms, 23 * day_ms);
    let never = keep(&["never"]);
    assert!(never["retention_ms"].is_null() && never["partitions"][0]["expires_at_ms"].is_null());
    let text = g.cluster.run(&["keep", &g.group]).ok();
    assert!(text.contains("never expire, as is set on it."), "{text}");
    assert_eq!(keep(&["default"]), before);
}

#[test]
fn a_pattern_holds_for_all_that_fit_it_and_survives_a_restart() {
    let mut g = Group::on(Cluster::own());
    g.cluster.run(&["keep", "nobody-*", "12h"]).ok();
    let listed = g.cluster.run(&["keep", "g*", "never"]).ok();
    assert!(listed.contains("nobody-*  12h"), "{listed}");
    assert!(listed.contains("for ever"), "{listed}");
    let broker = g.cluster.broker().expect("it is our own");
    broker.kill();
    broker.restart();
    let text = g.cluster.run(&["keep", &g.group]).ok();
    assert!(text.contains("never expire, as all that fit g*."), "{text}");
    g.cluster.run(&["keep", "g*", "default"]).ok();
    let text = g.cluster.run(&["keep", &g.group]).ok();
    assert!(text.contains("are kept for 7d"), "{text}");
    assert!(
        text.contains("(in 6d 23h)") || text.contains("(in 7d)"),
        "{text}"
    );
}

#[test]
fn what_is_no_time_is_refused() {
    let cluster = Cluster::own();
    let err = cluster.run(&["keep", "g", "forever"]).failed(2);
    assert!(err.contains("neither never, default nor a time"), "{err}");
}

#[test]
fn what_is_set_before_the_group_is_there_is_told_to_scripts_as_well() {
    let cluster = Cluster::own();
    let told = cluster.json(&["keep", "later", "never", "--json"]);
    assert_eq!(
        (&told["rule"], &told["retention_ms"]),
        (&"group".into(), &serde_json::Value::Null)
    );
    let told = cluster.json(&["keep", "later", "30d", "--json"]);
    assert_eq!(told["retention_ms"], 30_i64 * 24 * 60 * 60 * 1000);
    let text = cluster.run(&["keep", "later", "never"]).ok();
    assert!(
        text.contains("does not exist yet; it will be kept so"),
        "{text}"
    );
    cluster.run(&["keep", "later"]).failed(1);
}
