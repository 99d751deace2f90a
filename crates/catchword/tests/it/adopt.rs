//! `catchword adopt` at its edges; `conformance/run adopt` does it with a real Kafka.

use std::fs;

use crate::harness::{Cluster, binary, run};

#[test]
fn what_is_no_data_directory_of_kafkas_is_told() {
    let err = run(binary().args(["adopt", "no/such/dir"]), "").failed(1);
    assert!(
        err.contains("no such directory") && err.contains("log.dirs"),
        "{err}"
    );
    let dir = tempfile::tempdir().unwrap();
    let err = run(binary().arg("adopt").arg(dir.path()), "").failed(1);
    assert!(err.contains("no meta.properties"), "{err}");
    run(
        binary()
            .arg("adopt")
            .arg(dir.path())
            .args(["--yes", "--to", "x"]),
        "",
    )
    .failed(2);
}

#[test]
fn a_directory_of_ours_needs_no_adopting() {
    let mut cluster = Cluster::own();
    let broker = cluster.broker().expect("it is our own");
    let data = broker.data();
    broker.stop();
    let out = run(binary().arg("adopt").arg(&data), "").ok();
    assert!(
        out.contains("is adopted already: `catchword serve --data"),
        "{out}"
    );
}

#[test]
fn an_adoption_that_was_interrupted_is_neither_served_nor_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("meta.properties"),
        "version=1000\ncluster.id=c\nnode.id=3\n",
    )
    .unwrap();
    fs::create_dir_all(
        dir.path()
            .join("__cluster_metadata-0.adopting-delete/__cluster_metadata-0"),
    )
    .unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data"];
    let err = run(binary().args(serve).arg(dir.path()), "").failed(1);
    assert!(
        err.contains("was interrupted") && err.contains("--yes` finishes it"),
        "{err}"
    );
    let err = run(binary().arg("adopt").arg(dir.path()), "").failed(1);
    assert!(err.contains("--yes` finishes it"), "{err}");
    let out = run(binary().arg("adopt").arg(dir.path()).arg("--yes"), "").ok();
    assert!(
        out.contains("is finished") && out.contains("--set node.id=3"),
        "{out}"
    );
    assert!(dir.path().join("__cluster_metadata-0").is_dir());
}
