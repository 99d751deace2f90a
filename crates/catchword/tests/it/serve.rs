//! How a broker is configured and told apart from a bad one.

use std::fs;

use tempfile::TempDir;

use crate::harness::{Broker, binary, run};

#[test]
fn a_slip_in_a_key_is_told_before_anything_starts() {
    let err = run(binary().args(["serve", "--set", "num.partitons=3"]), "").failed(2);
    assert!(err.contains("did you mean \"num.partitions\"?"), "{err}");
    let err = run(binary().args(["serve", "--set", "num.partitions"]), "").failed(2);
    assert!(err.contains("is not KEY=VALUE"), "{err}");
    let err = run(binary().args(["serve", "--listen", "localhost"]), "").failed(2);
    assert!(err.contains("NAME://HOST:PORT"), "{err}");
}

#[test]
fn a_properties_file_of_kafkas_is_taken_and_what_is_not_used_is_named() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("server.properties");
    fs::write(
        &path,
        "num.partitions=3\nzookeeper.set.acl=true\nnum.io.threads=16\n",
    )
    .unwrap();
    let outcome = run(
        binary()
            .args(["serve", "--check", "--properties"])
            .arg(&path),
        "",
    );
    assert!(
        outcome
            .err
            .contains("line 2: not used by Catchword: zookeeper.set.acl"),
        "{}",
        outcome.err
    );
    assert!(
        outcome
            .err
            .contains("num.io.threads is accepted and changes nothing"),
        "{}",
        outcome.err
    );
    outcome.ok();
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named_with_what_to_do() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    let mut serve = binary();
    serve
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(&file);
    let err = run(&mut serve, "").failed(1);
    let name = file.display().to_string();
    assert!(
        err.contains(&name) && err.contains("name another with --data"),
        "{err}"
    );

    let broker = Broker::start(&[]);
    let mut serve = binary();
    serve
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(broker.data());
    let err = run(&mut serve, "").failed(1);
    assert!(err.contains("is in use by another broker"), "{err}");
    let mut serve = binary();
    serve
        .args(["serve", "--listen", &broker.address(), "--data"])
        .arg(dir.path().join("data"));
    let err = run(&mut serve, "").failed(1);
    assert!(
        err.contains("choose another address with --listen"),
        "{err}"
    );
}

#[test]
fn what_is_set_counts() {
    let broker = Broker::start(&["num.partitions=5", "auto.create.topics.enable=true"]);
    let bootstrap = broker.address();
    run(
        binary().args(["produce", "fresh", "--bootstrap", &bootstrap]),
        "a\n",
    )
    .ok();
    let out = run(
        binary().args(["topics", "describe", "fresh", "--json", "-b", &bootstrap]),
        "",
    )
    .ok();
    let described: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(described["partitions"].as_array().map(Vec::len), Some(5));
}

#[test]
fn all_keys_can_be_listed() {
    let out = run(binary().args(["serve", "--keys"]), "").ok();
    for key in [
        "listeners (list",
        "offsets.retention.minutes (int, default: 10080)",
        "log.durability",
    ] {
        assert!(out.contains(key), "{key}");
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let out = run(binary().args(["completions", shell]), "").ok();
        assert!(
            out.contains("rewind") && out.contains("stop-at-end"),
            "{shell}"
        );
    }
}
