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
fn a_directory_that_is_not_there() {
    let err = run(binary().args(["doctor", "no/such/dir"]), "").failed(1);
    assert!(err.contains("there is no directory no/such/dir"), "{err}");
}
