//! The pages for people in trouble, run as they stand: each `$ command` of theirs against a broker, and what it prints
//! held against what the page shows. `…` stands for anything; blanks count as one. What happened before the page begins
//! stands in a comment of it, `<!-- before ... -->`.

use std::io::{Read, Write};
use std::net::TcpStream;

use catchword_wire::frame;
use catchword_wire::messages::OffsetCommitRequest;
use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};

use crate::harness::{Broker, run, wait_until};

fn page(name: &str) -> String {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("the page is there")
}

fn shell(broker: &Broker, line: &str) -> crate::harness::Outcome {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_catchword"));
    let path = std::env::var("PATH").unwrap_or_default();
    let dir = binary.parent().expect("it is in a directory");
    let mut command = std::process::Command::new("sh");
    command
        .args(["-ec", line])
        .env("PATH", format!("{}:{path}", dir.display()))
        .env("CATCHWORD_BOOTSTRAP", broker.address());
    run(&mut command, "")
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether `text` is like `pattern`, in which `…` stands for anything.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut last = first;
    for part in parts {
        last = part;
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty() || (pattern.contains('…') && last.is_empty())
}

/// Runs the comment and then the commands of a page.
fn follow(broker: &Broker, text: &str) {
    if let Some((_, rest)) = text.split_once("<!-- before\n") {
        let (before, _) = rest.split_once("-->").expect("the comment ends");
        for line in before.lines() {
            shell(broker, line).ok();
        }
    }
    let mut shown = None;
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        match (line.trim(), shown) {
            ("```console", _) => shown = Some(()),
            ("```", _) => shown = None,
            (line, Some(())) => match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(command), _) => commands.push((command.to_owned(), Vec::new())),
                (None, Some((_, expected))) => expected.push(squeezed(line)),
                (None, None) => panic!("output before any command: {line}"),
            },
            _ => {}
        }
    }
    assert!(commands.len() >= 3, "a page has commands");
    let mut ids = Vec::new();
    for (command, expected) in commands {
        // The page has its own ids; here they are what the commands before have printed.
        let command = command.replace("17-4811", ids.last().map_or("17-4811", String::as_str));
        let outcome = shell(broker, &command);
        assert_eq!(outcome.code, Some(0), "$ {command}\n{outcome:#?}");
        let printed: Vec<String> = outcome
            .out
            .lines()
            .chain(outcome.err.lines())
            .map(squeezed)
            .collect();
        for line in expected.iter().filter(|line| !line.is_empty()) {
            let line = line.replace("17-4811", "…").replace("17-4813", "…");
            assert!(
                printed.iter().any(|printed| is_like(&line, printed)),
                "$ {command}\nthe page shows {line:?}, it printed\n{printed:#?}"
            );
        }
        let looks = |word: &&str| {
            word.split_once('-')
                .is_some_and(|(a, b)| a.parse::<u32>().is_ok() && b.parse::<u64>().is_ok())
        };
        ids.extend(
            printed
                .iter()
                .flat_map(|line| line.split(' '))
                .filter(looks)
                .map(str::to_owned),
        );
    }
}

#[test]
fn the_ellipsis_stands_for_anything() {
    assert!(is_like("a … b", "a x y b") && is_like("a …", "a x") && is_like("a", "a"));
    assert!(!is_like("a … b", "a x y") && !is_like("a", "ab") && !is_like("b …", "a b x"));
}

#[test]
fn you_reset_the_wrong_group() {
    follow(&Broker::start(&[]), &page("you-reset-the-wrong-group.md"));
}

#[test]
fn your_group_was_deleted() {
    let broker = Broker::start(&[]);
    let text = page("your-group-was-deleted.md");
    let (before, rest) = text
        .split_once("<!-- deleted -->")
        .expect("the moment is marked");
    let (_, before) = before.split_once("<!-- before\n").expect("what was before");
    for line in before.trim_end().trim_end_matches("-->").lines() {
        shell(&broker, line).ok();
    }
    let options = catchword_client::ClientOptions::to(broker.address());
    let mut client = catchword_client::Client::connect(options).expect("it answers");
    client.delete_group("billing").expect("it is deleted");
    follow(&broker, rest);
}

#[test]
fn offsets_expired_over_the_holidays() {
    let broker = Broker::start(&["offsets.retention.check.interval.ms=100"]);
    let text = page("offsets-expired.md");
    let (before, rest) = text
        .split_once("<!-- expired -->")
        .expect("the moment is marked");
    let (_, before) = before.split_once("<!-- before\n").expect("what was before");
    for line in before.trim_end().trim_end_matches("-->").lines() {
        shell(&broker, line).ok();
    }
    // An old client's commit, which asks for a retention of its own: no holidays are as short as a test.
    let at = |(index, offset)| OffsetCommitRequestPartition {
        partition_index: index,
        committed_offset: offset,
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: "weekly-report".into(),
        generation_id_or_member_epoch: -1,
        retention_time_ms: 1,
        topics: vec![OffsetCommitRequestTopic {
            name: "orders".into(),
            partitions: [(0, 8000), (1, 7500)].map(at).into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut stream = TcpStream::connect(broker.address()).expect("it answers");
    for segment in frame::encode_request(&request, 2, 1, "weekly-report").expect("it is small") {
        stream
            .write_all(&segment.read().expect("it is memory"))
            .expect("it is sent");
    }
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("it is answered");
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).expect("it comes whole");
    assert!(answer.ends_with(&[0, 0]), "it was refused: {answer:?}");
    wait_until("it has expired", || {
        shell(&broker, "catchword trash")
            .out
            .contains("weekly-report")
    });
    follow(&broker, rest);
}
