//! The data directory, checked.

use std::fs;

use crate::harness::{Cluster, binary, run};

fn doctor(dir: &std::path::Path) -> (serde_json::Value, Option<i32>) {
    let outcome = run(binary().arg("doctor").arg(dir).arg("--json"), "");
    (
        serde_json::from_str(&outcome.out).unwrap_or_default(),
        outcome.code,
    )
}

#[test]
fn a_directory_is_sound_until_a_byte_is_changed() {
    let mut cluster = Cluster::own();
    cluster.numbers("t", 1, 1000);
    let broker = cluster.broker().expect("it is our own");
    let data = broker.data();
    let err = run(binary().arg("doctor").arg(&data), "").failed(1);
    assert!(err.contains("stop the broker first"), "{err}");
    broker.stop();

    let (report, code) = doctor(&data);
    assert_eq!(
        (report["sound"].as_bool(), code),
        (Some(true), Some(0)),
        "{report}"
    );
    assert!(report["records"].as_u64() >= Some(1000), "{report}");

    let log = data.join("t-0").join("00000000000000000000.log");
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.iter().position(|byte| *byte == b'k').unwrap();
    bytes[middle] ^= 1;
    fs::write(&log, bytes).unwrap();
    let (report, code) = doctor(&data);
    assert_eq!(
        (report["sound"].as_bool(), code),
        (Some(false), Some(1)),
        "{report}"
    );
    let findings = report["findings"].as_array().unwrap();
    let finding = findings
        .iter()
        .find(|finding| finding["severity"] == "damage")
        .unwrap();
    assert_eq!(
        (finding["topic"].as_str(), finding["partition"].as_i64()),
        (Some("t"), Some(0))
    );
    assert!(
        finding["advice"]
            .as_str()
            .is_some_and(|advice| !advice.is_empty())
    );
}

#[test]
fn a_damaged_topic_is_repaired_and_the_others_go_on_meanwhile() {
    let mut cluster = Cluster::own();
    cluster.numbers("hurt", 1, 10);
    cluster.numbers("well", 1, 10);
    for line in ["a", "b"] {
        cluster.feed(&["produce", "hurt"], line).ok();
    }
    let data = cluster.broker().unwrap().data();
    cluster.broker().unwrap().stop();
    let log = data.join("hurt-0/00000000000000000000.log");
    let mut bytes = fs::read(&log).unwrap();
    bytes[16] = 77;
    fs::write(&log, &bytes).unwrap();

    cluster.broker().unwrap().restart();
    let all = |cluster: &Cluster, topic: &str| {
        cluster.run(&["consume", topic, "--from", "earliest", "--stop-at-end"])
    };
    cluster.feed(&["produce", "well"], "more").ok();
    assert_eq!(all(&cluster, "well").ok().lines().count(), 11);
    let err = cluster.feed(&["produce", "hurt"], "more").failed(1);
    assert!(err.contains("storage"), "{err}");
    cluster.broker().unwrap().stop();

    let repair = |more: &[&str]| {
        let outcome = run(
            binary().arg("doctor").arg(&data).arg("--repair").args(more),
            "",
        );
        (outcome.code, outcome.out)
    };
    let (code, out) = repair(&["--drop-damaged"]);
    assert_eq!(code, Some(1));
    assert!(
        out.contains("--yes would") && out.contains("give up offsets 0 to 9"),
        "{out}"
    );
    let (code, out) = repair(&["--yes"]);
    assert_eq!(
        code,
        Some(1),
        "what is damaged is not given up unasked: {out}"
    );
    assert_eq!(fs::read(&log).unwrap(), bytes);
    let (code, out) = repair(&["--yes", "--drop-damaged"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("1 thing mended"), "{out}");

    cluster.broker().unwrap().restart();
    assert_eq!(
        all(&cluster, "hurt").ok().lines().collect::<Vec<_>>(),
        ["a", "b"]
    );
    cluster.feed(&["produce", "hurt"], "more").ok();
}

#[test]
fn a_directory_of_a_newer_version_is_refused_with_what_to_do() {
    let mut cluster = Cluster::own();
    let broker = cluster.broker().expect("it is our own");
    let data = broker.data();
    broker.stop();
    fs::write(data.join("catchword.format"), "version=99\n").unwrap();
    for command in [
        ["doctor"].as_slice(),
        &["doctor", "--repair", "--yes"],
        &["serve", "--listen", "127.0.0.1:0", "--data"],
    ] {
        let err = run(binary().args(command).arg(&data), "").failed(1);
        assert!(
            err.contains("layout 99 of a newer Catchword"),
            "{command:?}: {err}"
        );
    }
}

#[test]
fn a_directory_that_is_not_there() {
    let err = run(binary().args(["doctor", "no/such/dir"]), "").failed(1);
    assert!(err.contains("there is no directory no/such/dir"), "{err}");
}
