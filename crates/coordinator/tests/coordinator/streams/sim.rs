//! A simulation of streams groups: members come, go, die, are slow; answers get lost, topics grow, copies are wanted and
//! not, the broker crashes with what was not durable.
//!
//! Invariants: an active task is one member's at most, and no process has a task twice, whatever members believe of
//! themselves; once faults stop every task runs, every stateful one has its copies, and the shares are even. After each
//! step a replayed log is the live state (the driver looks).

use catchword_coordinator::{GroupSettings, StreamsSettings};

use super::*;
use crate::sim::{Rng, is_noticed_by_panic};

const SEEDS: u64 = 12;
const STEPS: u32 = 80;

/// What is broken on purpose, to see that the simulation notices.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sabotage {
    None,
    /// Members say that they have given up tasks that they go on running.
    RunOn,
}

/// A member, as it sees itself.
#[derive(Debug, Default)]
struct Client {
    id: String,
    /// 0 for not joined.
    epoch: i32,
    held: Held,
    /// The active tasks that it runs, though it says that it has given them up, by sabotage.
    kept: Names,
    /// The next heartbeat says which tasks it has.
    must_tell: bool,
}

struct World {
    driver: Driver,
    rng: Rng,
    clients: Vec<Client>,
    partitions: i32,
    copies: i32,
    version: u64,
    born: u32,
    faults: bool,
    sabotage: Sabotage,
}

impl World {
    fn new(seed: u64, sabotage: Sabotage) -> World {
        let mut world = World {
            driver: Driver::with(config()),
            rng: Rng::new(seed),
            clients: Vec::new(),
            partitions: 3,
            copies: 0,
            version: 0,
            born: 0,
            faults: true,
            sabotage,
        };
        world.tell_world();
        world
    }

    /// What the driver tells the shard of topics and settings.
    fn tell_world(&mut self) {
        self.version += 1;
        let n = self.partitions;
        let topics = [("in", 1, n), ("by-word", 2, n), ("counts", 3, n)];
        self.driver.set_topics(self.version, &topics);
        let streams = StreamsSettings {
            num_standby_replicas: self.copies,
            ..config().consumer.defaults.streams
        };
        let settings = GroupSettings {
            streams,
            ..config().consumer.defaults
        };
        self.driver.shard.set_group_settings("app", Some(settings));
    }

    fn crash(&mut self) {
        self.driver.restart();
        self.tell_world();
    }

    fn beat(&mut self, at: usize) {
        let client = &self.clients[at];
        let request = match client.epoch {
            0 => joining(&client.id),
            epoch if client.must_tell => owning(&client.id, epoch, &client.held),
            epoch => alive(&client.id, epoch),
        };
        let durable = self.driver.log.len();
        let (response, _) = self.driver.hears_all(request);
        let crashes = self.faults && self.rng.one_in(40);
        if crashes {
            self.driver.log.truncate(durable);
            self.crash();
        }
        let client = &mut self.clients[at];
        if crashes || (self.faults && self.rng.one_in(12)) {
            // It cannot know what became of it.
            client.must_tell = true;
            return;
        }
        client.must_tell = false;
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => client.epoch = response.member_epoch,
            ErrorCode::FencedMemberEpoch
            | ErrorCode::UnknownMemberId
            | ErrorCode::GroupIdNotFound => {
                client.epoch = 0;
                client.held = Held::default();
            }
            other => panic!("{other:?}: {:?}", response.error_message),
        }
        if let Some(held) = given(&response) {
            client.must_tell = held != client.held;
            if self.sabotage == Sabotage::RunOn {
                client.kept = &client.held.active - &held.active;
            }
            client.held = held;
        }
    }

    fn step(&mut self) {
        match self.rng.between(0, 39) {
            0..=2 if self.clients.len() < 7 => {
                self.born += 1;
                let process = ["a", "b", "c"][self.rng.between(0, 2) as usize];
                self.clients.push(Client {
                    id: format!("{process}{}", self.born),
                    ..Client::default()
                });
            }
            3 if self.clients.len() > 1 => {
                let at = self.rng.between(0, self.clients.len() as i64 - 1);
                let gone = self.clients.remove(at as usize);
                if self.rng.one_in(2) {
                    self.driver.hears_all(alive(&gone.id, -1));
                }
            }
            4 if self.partitions < 6 => {
                self.partitions += 1;
                self.tell_world();
            }
            5 => {
                self.copies = self.rng.between(0, 2) as i32;
                self.tell_world();
            }
            6 => self.crash(),
            _ => {}
        }
        self.round();
    }

    fn round(&mut self) {
        for at in 0..self.clients.len() {
            // Now and then one is busy.
            if self.faults && self.rng.one_in(6) {
                continue;
            }
            self.beat(at);
            self.check();
        }
        let pause_ms = if self.faults {
            self.rng.between(0, 6000)
        } else {
            3000
        };
        self.driver.tick(pause_ms);
    }

    /// Nobody has a task that the coordinator does not know to be its own, unless it was taken for dead.
    fn check(&mut self) {
        let described = self.driver.described_app();
        let mut active: BTreeSet<String> = BTreeSet::new();
        let mut at_home: BTreeSet<(String, String)> = BTreeSet::new();
        for member in &described.members {
            let Some(client) = self.clients.iter().find(|c| *c.id == *member.member_id) else {
                continue;
            };
            for task in &client.held.active | &client.kept {
                assert!(active.insert(task.clone()), "{task} is run twice");
            }
            for task in &client.held.active | &client.held.standby {
                let home = (member.process_id.to_string(), task);
                assert!(at_home.insert(home.clone()), "twice in a process: {home:?}");
            }
        }
    }

    fn settle(&mut self) {
        self.faults = false;
        self.tell_world();
        for _ in 0..40 {
            self.round();
        }
        let processes: BTreeSet<&str> = self.clients.iter().map(|c| &c.id[..1]).collect();
        let of = |subtopology: i32| (0..self.partitions).map(move |p| format!("{subtopology}_{p}"));
        let all: Names = of(0).chain(of(1)).collect();
        let run: Vec<&String> = self.clients.iter().flat_map(|c| &c.held.active).collect();
        if self.clients.is_empty() {
            return;
        }
        assert_eq!(run.iter().map(|t| (*t).clone()).collect::<Names>(), all);
        assert_eq!(run.len(), all.len());
        for task in of(1) {
            let copies = self
                .clients
                .iter()
                .filter(|c| c.held.standby.contains(&task));
            let most = usize::min(self.copies as usize, processes.len() - 1);
            assert_eq!(copies.count(), most, "copies of {task}");
        }
        assert_eq!(self.driver.described_app().group_state, "Stable");
    }
}

fn run(seed: u64, sabotage: Sabotage) {
    let mut world = World::new(seed, sabotage);
    for _ in 0..STEPS {
        world.step();
    }
    world.settle();
}

/// `STREAMS_SEED=7 cargo test -p catchword-coordinator streams` replays one.
#[test]
#[allow(clippy::disallowed_methods)]
fn no_task_ever_runs_twice_and_all_run_once_faults_stop() {
    let seed = std::env::var("STREAMS_SEED").ok();
    if let Some(seed) = seed.and_then(|text| text.parse().ok()) {
        return run(seed, Sabotage::None);
    }
    for seed in 0..SEEDS {
        println!("STREAMS_SEED={seed}");
        run(seed, Sabotage::None);
    }
}

#[test]
fn a_member_that_runs_on_is_noticed() {
    is_noticed_by_panic(|seed| run(seed, Sabotage::RunOn), &["is run twice"]);
}
