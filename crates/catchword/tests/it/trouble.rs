//! What goes wrong is said with what to do next, and with the right exit code.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::harness::{Cluster, binary, run};

#[test]
fn nobody_there() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let bootstrap = format!("127.0.0.1:{port}");
    let err = run(binary().args(["groups", "--bootstrap", &bootstrap]), "").failed(1);
    assert!(
        err.contains("connection refused") && err.contains("`catchword serve` starts one"),
        "{err}"
    );
}

#[test]
fn somebody_else_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let bootstrap = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let err = run(binary().args(["groups", "--bootstrap", &bootstrap]), "").failed(1);
    assert!(err.contains("is this a Kafka broker?"), "{err}");
}

/// A listener that wants SASL tells its versions, and closes at the first question of who has not said who he is.
#[test]
fn a_listener_that_wants_to_know_who_asks_is_not_asked_for_long() {
    let cluster = Cluster::own();
    let broker = cluster.bootstrap.clone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let bootstrap = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    thread::spawn(move || {
        for client in listener.incoming() {
            count.fetch_add(1, Ordering::Relaxed);
            let mut client = client.unwrap();
            let mut broker = TcpStream::connect(&broker).unwrap();
            broker.write_all(&frame(&mut client)).unwrap();
            client.write_all(&frame(&mut broker)).unwrap();
            frame(&mut client);
        }
    });
    let err = run(binary().args(["groups", "--bootstrap", &bootstrap]), "").failed(1);
    assert!(err.contains("told by --command-config FILE"), "{err}");
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked < 10, "it was tried {asked} times before it was told");
}

/// A request or an answer, with its length.
fn frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("a length");
    let mut frame = length.to_vec();
    let mut body = stream.take(u32::from_be_bytes(length).into());
    body.read_to_end(&mut frame)
        .expect("as much as the length says");
    frame
}

#[test]
fn not_an_address() {
    let err = run(binary().args(["groups", "--bootstrap", "nonsense"]), "").failed(1);
    assert!(
        err.contains("is not a broker's address; it is HOST:PORT"),
        "{err}"
    );
}

/// People put it where kafka-topics has it, behind the program's name.
#[test]
fn the_broker_may_be_named_before_the_command_or_after_it() {
    let cluster = Cluster::own();
    let topic = cluster.name("t");
    cluster.run(&["topics", "create", &topic]).ok();
    let at: &str = &cluster.bootstrap;
    for args in [
        ["--bootstrap", at, "topics", "list"],
        ["topics", "-b", at, "list"],
        ["topics", "list", "--bootstrap", at],
    ] {
        // Whatever the environment says, the command line comes first.
        let out = run(binary().args(args).env("CATCHWORD_BOOTSTRAP", "h:1"), "").ok();
        assert!(out.contains(&topic), "{args:?}: {out}");
    }
}

#[test]
fn a_command_that_talks_to_no_broker_refuses_its_name() {
    for args in [
        ["--bootstrap", "h:1", "serve", "--check"],
        ["serve", "--check", "-b", "h:1"],
        ["--bootstrap", "h:1", "doctor", "."],
        ["completions", "bash", "--bootstrap", "h:1"],
    ] {
        let err = run(binary().args(args), "").failed(2);
        assert!(
            err.contains("has no use for --bootstrap"),
            "{args:?}: {err}"
        );
    }
    // Set for all commands it disturbs none.
    let mut check = binary();
    check
        .args(["serve", "--check"])
        .env("CATCHWORD_BOOTSTRAP", "h:1");
    run(&mut check, "").ok();
}

#[test]
fn asked_wrongly() {
    run(binary().arg("frobnicate"), "").failed(2);
    run(binary().args(["consume", "t", "--from", "yesterday"]), "").failed(2);
    run(binary().args(["rewind", "g"]), "").failed(2);
    let err = run(binary().args(["at", "g", "25:00"]), "").failed(2);
    assert!(err.contains("\"25:00\" is no time; write"), "{err}");
    let err = run(binary().args(["at", "g", "yesterday 14:00"]), "").failed(2);
    assert!(err.contains("lacks its time zone"), "{err}");
}

#[test]
fn a_topic_that_is_not_there() {
    let cluster = Cluster::any("notopic");
    let topic = cluster.name("nowhere");
    let err = cluster.run(&["consume", &topic]).failed(1);
    assert!(
        err.contains("`catchword topics list` shows what there is"),
        "{err}"
    );
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let cluster = Cluster::any("pipe");
    let topic = cluster.name("t");
    let lines: String = (0..50_000)
        .map(|n| format!("a line that is long enough, number {n}\n"))
        .collect();
    cluster
        .run(&["topics", "create", &topic, "--partitions", "1"])
        .ok();
    cluster.feed(&["produce", &topic], &lines).ok();
    let mut command = cluster.command(&["consume", &topic]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "a line that is long enough, number 0\n");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
