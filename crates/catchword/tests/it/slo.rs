//! Lag objectives: whether groups are as close to their writers as they should be, and who is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use serde_json::Value;

use crate::harness::{Cluster, PATIENCE, wait_until};

/// A broker that looks often, and tells `webhook`.
fn cluster(webhook: Option<&str>) -> Cluster {
    let mut cluster = Cluster::own();
    let broker = cluster.broker().expect("it is our own");
    broker.stop();
    broker.set("lag.check.interval.ms=100");
    if let Some(url) = webhook {
        broker.set(&format!("lag.webhook.url={url}"));
    }
    broker.restart();
    cluster
}

/// Takes what is posted to it: the path and the document.
fn receiver() -> (String, mpsc::Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let (sender, posts) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().expect("it can be shared"));
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("the head comes");
                if line == "\r\n" {
                    break;
                }
                head.push(line.to_lowercase());
            }
            let length = head
                .iter()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length = length
                .and_then(|n| n.trim().parse().ok())
                .expect("a length");
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("the body comes");
            let mut stream = stream;
            let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
            stream.write_all(answer).expect("it listens");
            let document = serde_json::from_slice(&body).expect("it is JSON");
            if sender.send((head[0].trim().to_owned(), document)).is_err() {
                return;
            }
        }
    });
    (format!("http://{address}/lag?to=us"), posts)
}

#[test]
fn a_group_that_misses_its_objective_is_told_of_and_when_it_keeps_it_again_too() {
    let (url, posts) = receiver();
    let cluster = cluster(Some(&url));
    cluster.numbers("t", 1, 10);
    cluster
        .run(&["consume", "t", "--group", "g", "--max", "4"])
        .ok();
    let set = cluster.run(&["slo", "g", "--behind", "5"]).ok();
    assert!(
        set.contains("no more than 5 records may be unread in a partition"),
        "{set}"
    );
    let (path, told) = posts.recv_timeout(PATIENCE).expect("it is posted");
    assert_eq!(path, "post /lag?to=us http/1.1");
    assert_eq!(
        (&told["was"], &told["group"]["objective"]["status"]),
        (&"OK".into(), &"WARN".into())
    );
    assert_eq!(
        (&told["group"]["group"], &told["group"]["lag"]),
        (&"g".into(), &6.into())
    );
    let shown = cluster.run(&["slo", "g"]).ok();
    assert!(
        shown.contains("WARN (falling behind) in t:0, since "),
        "{shown}"
    );
    let listed = cluster.run(&["lag"]).ok();
    assert!(
        listed.contains("OBJECTIVE") && listed.contains("WARN (falling behind)"),
        "{listed}"
    );

    cluster
        .run(&["consume", "t", "--group", "g", "--max", "6"])
        .ok();
    let (_, told) = posts.recv_timeout(PATIENCE).expect("it is posted");
    assert_eq!(
        (&told["was"], &told["group"]["objective"]["status"]),
        (&"WARN".into(), &"OK".into())
    );

    let off = cluster.run(&["slo", "g", "off"]).ok();
    assert_eq!(off, "Group g has no lag objective.\n");
    wait_until("it is no longer looked at", || {
        cluster.json(&["lag", "g", "--json"])["groups"][0]["objective"].is_null()
    });
}

#[test]
fn a_rewind_and_a_crash_of_the_broker_leave_the_objective_in_force() {
    let mut cluster = cluster(None);
    cluster.numbers("t", 1, 10);
    cluster
        .run(&["consume", "t", "--group", "g", "--max", "10"])
        .ok();
    cluster
        .run(&["slo", "g", "--behind", "0", "--age", "1h"])
        .ok();
    let status = |cluster: &Cluster| cluster.json(&["slo", "g", "--json"])["status"].clone();
    wait_until("the group is seen to have read all", || {
        status(&cluster) == "OK"
    });
    cluster
        .run(&["rewind", "g", "--to", "earliest", "--yes"])
        .ok();
    wait_until("the rewind is noticed", || status(&cluster) == "REWIND");
    let broker = cluster.broker().expect("it is our own");
    broker.kill();
    broker.restart();
    // Of what was before the crash it knows nothing but where the group is.
    wait_until("the objective holds", || status(&cluster) == "WARN");
    let held = cluster.json(&["slo", "g", "--json"]);
    assert_eq!(
        (&held["age_ms"], &held["records"]),
        (&3_600_000.into(), &0.into())
    );
}

#[test]
fn a_receiver_that_is_away_hurts_nobody() {
    let mut cluster = cluster(Some("http://127.0.0.1:1/"));
    cluster.numbers("t", 1, 10);
    cluster
        .run(&["consume", "t", "--group", "g", "--max", "4"])
        .ok();
    cluster.run(&["slo", "g", "--behind", "0"]).ok();
    let status = |cluster: &Cluster| cluster.json(&["slo", "g", "--json"])["status"].clone();
    wait_until("it is seen to be missed", || status(&cluster) == "WARN");
    cluster
        .run(&["consume", "t", "--group", "g", "--max", "6"])
        .ok();
    wait_until("it is seen to be kept", || status(&cluster) == "OK");
    // What is still to be told then keeps the broker from no stop in order.
    cluster.broker().expect("it is our own").stop();
}

#[test]
fn an_objective_that_cannot_be_is_refused() {
    let cluster = cluster(None);
    let err = cluster.run(&["slo", "g", "--age", "soon"]).failed(2);
    assert!(err.contains("no time such as 60s, 5m or 1h"), "{err}");
    cluster.run(&["slo", "g", "off", "--age", "5s"]).failed(2);
    let none = cluster.run(&["slo", "g"]).ok();
    assert_eq!(none, "Group g has no lag objective.\n");
}
