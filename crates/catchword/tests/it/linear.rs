//! Many clients commit, read and delete the same bookmarks at once, while the broker is killed with `kill -9` again and
//! again: what they saw must be what a single copy of each bookmark would have told them, killed or not.
//!
//! `CATCHWORD_LINEAR_ROUNDS` says how often it is killed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use catchword_client::{Client, ClientOptions, CommitAs, Committed, NewCommit, TopicPartition};
use catchword_linear::History;

use crate::harness::{Broker, PATIENCE, binary, run, wait_until};

const CLIENTS: u64 = 5;
const GROUPS: u64 = 2;
const PARTITIONS: u64 = 2;
/// Operations that must have been answered before the broker is killed.
const BEFORE_A_KILL: usize = 300;

/// A bookmark's group and partition.
type Place = (String, i32);
/// Its offset and metadata, which no two commits have in common.
type Bookmark = Option<(i64, String)>;
type Seen = Mutex<History<Place, Bookmark>>;

fn client(broker: &Broker, retry_for: Duration) -> Client {
    let options = ClientOptions {
        retry_for,
        ..ClientOptions::to(broker.address())
    };
    Client::connect(options).expect("the broker answers")
}

/// A client that waits for a coordinator that reads its log.
fn patient(broker: &Broker) -> Client {
    client(broker, PATIENCE)
}

/// A client that never sends a commit again, which would be another commit.
fn hasty(broker: &Broker) -> Client {
    client(broker, Duration::ZERO)
}

/// Looks at all bookmarks as soon as the coordinators serve.
fn look(broker: &Broker, seen: &Seen) {
    let mut client = patient(broker);
    for n in 0..GROUPS {
        let group = format!("group-{n}");
        for partition in 0..PARTITIONS as i32 {
            let ticket = seen.lock().unwrap().read((group.clone(), partition));
            let partition = TopicPartition::new("shared", partition);
            let found = client.committed(&group, Some(std::slice::from_ref(&partition)));
            let found = found.expect("bookmarks can be read");
            seen.lock()
                .unwrap()
                .found(ticket, bookmark(found.get(&partition)));
        }
    }
}

fn bookmark(found: Option<&Committed>) -> Bookmark {
    found.map(|found| (found.offset, found.metadata.clone()))
}

/// Does one thing after another until the broker is gone. What was not answered stays open.
fn work(mut client: Client, name: &str, mut state: u64, seen: &Seen) {
    for n in 0.. {
        let mut dice = |sides: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % sides
        };
        let group = format!("group-{}", dice(GROUPS));
        let partition = TopicPartition::new("shared", dice(PARTITIONS) as i32);
        let (what, offset) = (dice(20), dice(1000) as i64);
        let place = (group.clone(), partition.partition);
        match what {
            0..9 => {
                let ticket = seen.lock().unwrap().read(place);
                let Ok(found) = client.committed(&group, Some(std::slice::from_ref(&partition)))
                else {
                    return;
                };
                seen.lock()
                    .unwrap()
                    .found(ticket, bookmark(found.get(&partition)));
            }
            9 => {
                let ticket = seen.lock().unwrap().write(place, None);
                if client.delete_offsets(&group, &[partition]).is_err() {
                    return;
                }
                seen.lock().unwrap().written(ticket);
            }
            _ => {
                let metadata = format!("{name}-{n}");
                let bookmark = Some((offset, metadata.clone()));
                let ticket = seen.lock().unwrap().write(place, bookmark);
                let mut new = NewCommit::new(partition, offset);
                new.metadata = metadata;
                if client.commit(&group, CommitAs::Outsider, &[new]).is_err() {
                    return;
                }
                seen.lock().unwrap().written(ticket);
            }
        }
    }
}

fn load(broker: &mut Broker, round: u64, seen: &Seen) {
    let before = seen.lock().unwrap().answered();
    thread::scope(|scope| {
        for n in 0..CLIENTS {
            let client = hasty(broker);
            let state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(round * CLIENTS + n + 1);
            scope.spawn(move || work(client, &format!("{round}-{n}"), state, seen));
        }
        wait_until("there was enough to lose", || {
            seen.lock().unwrap().answered() >= before + BEFORE_A_KILL
        });
        broker.kill();
    });
    seen.lock().unwrap().crashed();
}

#[test]
fn bookmarks_are_linearizable_through_kill_9() {
    let rounds = std::env::var("CATCHWORD_LINEAR_ROUNDS").ok();
    let rounds = rounds.map_or(12, |rounds| rounds.parse().expect("it is a number"));
    let mut broker = Broker::start(&[]);
    for topic in ["shared", "kept"] {
        let mut create = binary();
        create.env("CATCHWORD_BOOTSTRAP", broker.address());
        create.args(["topics", "create", topic, "--partitions", "2"]);
        run(&mut create, "").ok();
    }
    let seen = Seen::default();
    for n in 0..GROUPS {
        // A group must be there before its offsets can be deleted.
        let kept = NewCommit::new(TopicPartition::new("kept", 0), 0);
        let committed = patient(&broker).commit(&format!("group-{n}"), CommitAs::Outsider, &[kept]);
        committed.expect("the broker takes commits");
    }
    for round in 0..rounds {
        load(&mut broker, round, &seen);
        broker.restart();
        look(&broker, &seen);
    }
    let seen = seen.into_inner().unwrap();
    if let Err(broken) = seen.check() {
        panic!("{broken}");
    }
}
