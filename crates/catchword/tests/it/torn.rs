//! kill -9 in the middle of every kind of change: all of it is there or nothing, and its history says the same.
//!
//! `CATCHWORD_KILL_ROUNDS` says how often.

use std::thread;
use std::time::{Duration, Instant};

use catchword_client::{Client, ClientOptions, CommitAs, NewCommit, TopicPartition};

use crate::harness::run;
use crate::plane::Plane;

const PARTITIONS: usize = 200;
const READ: i64 = 1000;

/// A change of group `g`, and where it leads: a reset to 0 or a deletion from where it has read to, an undo back there.
#[derive(Debug, Clone, Copy)]
enum Act {
    Reset,
    Undo,
    Delete,
}

impl Act {
    fn places_after(self) -> Vec<i64> {
        match self {
            Act::Reset => vec![0; PARTITIONS],
            Act::Undo => vec![READ; PARTITIONS],
            Act::Delete => Vec::new(),
        }
    }

    /// Begins it on a thread of its own; what that ends with is whether it was acknowledged. Nothing is tried twice.
    fn begin(self, p: &Plane) -> thread::JoinHandle<bool> {
        let mut client = Client::connect(ClientOptions {
            client_id: "adminclient-7".into(),
            retry_for: Duration::ZERO,
            ..ClientOptions::to(&p.cluster.bootstrap)
        })
        .expect("it answers");
        match self {
            Act::Reset => {
                let at = |n| NewCommit::new(TopicPartition::new("orders", n as i32), 0);
                let places: Vec<NewCommit> = (0..PARTITIONS).map(at).collect();
                thread::spawn(move || client.commit("g", CommitAs::Outsider, &places).is_ok())
            }
            Act::Delete => thread::spawn(move || client.delete_group("g").is_ok()),
            Act::Undo => {
                let id = last_id(p);
                let mut command = p.cluster.command(&["undo", &id, "--yes", "--json"]);
                thread::spawn(move || run(&mut command, "").code == Some(0))
            }
        }
    }
}

fn last_id(p: &Plane) -> String {
    let last = p.last_change("g");
    last["id"].as_str().expect("a change has a name").to_owned()
}

#[test]
fn a_kill_at_any_moment_leaves_all_of_a_change_or_nothing() {
    let mut p = Plane::new();
    p.topic("orders", PARTITIONS);
    p.commit("reader", "g", "orders", &[READ; PARTITIONS]);
    let rounds = std::env::var("CATCHWORD_KILL_ROUNDS").map_or(8, |n| n.parse().expect("a number"));
    let acts = [Act::Reset, Act::Undo, Act::Delete, Act::Undo];
    // How long each takes when nobody disturbs it, so that it is killed while it happens and not before or after.
    let took = acts.map(|act| {
        let asking = act.begin(&p);
        let began = Instant::now();
        assert!(asking.join().expect("it ends"), "{act:?}");
        began.elapsed()
    });
    let undisturbed = acts.into_iter().zip(took);
    for (round, (act, took)) in undisturbed.cycle().take(rounds).enumerate() {
        let before = p.committed("g");
        let asking = act.begin(&p);
        thread::sleep(took.mul_f64(0.2 + 1.6 * (round as f64 * 0.618).fract()));
        let broker = p.cluster.broker().expect("our own");
        broker.kill();
        let answered = asking.join().expect("it ends");
        broker.restart();
        p.client = Client::connect(ClientOptions::to(&p.cluster.bootstrap)).expect("it answers");

        let (now, after) = (p.committed("g"), act.places_after());
        let what = format!("round {round}, {act:?}");
        assert!(now == before || now == after, "{what}: torn: {now:?}");
        assert!(now == after || !answered, "{what}: answered, and gone");
        if now == before {
            assert!(act.begin(&p).join().expect("it ends"), "{what}: again");
            assert_eq!(p.committed("g"), after, "{what}: again");
        }
        let last = p.last_change("g");
        let moves = last["moves"].as_array().expect("moves");
        let told = |end: &str| moves.iter().filter_map(|m| m[end].as_i64()).collect();
        let (from, to): (Vec<i64>, Vec<i64>) = (told("from"), told("to"));
        assert_eq!((from, to), (before, after), "{what}: as history tells it");
    }
}
