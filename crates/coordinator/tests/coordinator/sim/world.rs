//! The world: time, a bad network, members that are slow or die, a broker that is killed.

mod outsiders;

use std::collections::BTreeMap;

use catchword_coordinator::{Call, Client, GroupConfig, Reply, TimerKey};
use catchword_wire::Str;

use super::broker::{Answer, Broker, Caller, Sabotage};
use super::checker::{Checker, Violation};
use super::member::{Member, Phase, Request};
use super::rng::Rng;

/// How long things go wrong, and how long they must then take at most to be well again.
const FAULTS_MS: i64 = 180_000;
const HEALING_MS: i64 = 180_000;
const START_MS: i64 = 1_000_000_000;
/// No topic has more.
pub(crate) const PARTITIONS: i32 = 8;

#[derive(Debug)]
enum Event {
    Poll(usize),
    Arrive {
        caller: Caller,
        client: Client,
        version: i16,
        call: Box<Call>,
    },
    Answer {
        member: usize,
        life: u64,
        request: u64,
        reply: Box<Reply>,
    },
    Flush {
        incarnation: u64,
    },
    Timer {
        incarnation: u64,
        key: TimerKey,
        due_ms: i64,
    },
    Start,
    Chaos,
    Admin,
    Observe,
    Sweep,
}

pub(crate) struct World {
    rng: Rng,
    now_ms: i64,
    queue: BTreeMap<(i64, u64), Event>,
    next_event: u64,
    broker: Broker,
    members: Vec<Member>,
    /// Counts a member's restarts: answers to a former life are lost.
    lives: Vec<u64>,
    paused_until_ms: Vec<i64>,
    groups: Vec<Str>,
    partitions: i32,
    checker: Checker,
    flushing: bool,
    history: Vec<String>,
}

/// What a run was like.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) history: Vec<String>,
    pub(crate) acknowledged: usize,
    pub(crate) incarnations: u64,
    /// Commits, fetches and deletions, by partition, that were answered and have an order.
    pub(crate) in_order: usize,
}

/// Runs one world from its seed to its end.
pub(crate) fn run(seed: u64, sabotage: Sabotage) -> Result<Report, Violation> {
    watched(World::new(seed, sabotage))
}

/// The same, watched by nobody but the clients.
pub(crate) fn run_from_outside(seed: u64, sabotage: Sabotage) -> Result<Report, Violation> {
    let mut world = World::new(seed, sabotage);
    world.checker.only_outside = true;
    watched(world)
}

fn watched(mut world: World) -> Result<Report, Violation> {
    if let Err(Violation(rule)) = world.run() {
        let tail = world.history.len().saturating_sub(20);
        let lines = world.history[tail..]
            .iter()
            .map(|line| line.chars().take(160).collect());
        let lines: Vec<String> = lines.collect();
        let now_ms = world.now_ms - START_MS;
        return Err(Violation(format!(
            "at {now_ms} ms: {rule}\nbefore that:\n{}",
            lines.join("\n")
        )));
    }
    Ok(Report {
        acknowledged: world.checker.acknowledged,
        in_order: world.checker.outside.answered_operations(),
        incarnations: world.broker.incarnation,
        history: world.history,
    })
}

impl World {
    fn new(seed: u64, sabotage: Sabotage) -> World {
        let mut rng = Rng::new(seed);
        let groups: Vec<Str> = (0..rng.between(1, 3))
            .map(|i| Str::from(format!("group-{i}")))
            .collect();
        let partitions = rng.between(1, i64::from(PARTITIONS)) as i32;
        let mut members = Vec::new();
        for group in &groups {
            for index in 0..rng.between(1, 6) as usize {
                members.push(Member::new(group, index, partitions, &mut rng));
            }
        }
        let config = GroupConfig {
            group_initial_rebalance_delay_ms: rng.between(0, 3_000) as i32,
            group_new_member_join_timeout_ms: 60_000,
            ..GroupConfig::default()
        };
        World {
            now_ms: START_MS,
            queue: BTreeMap::new(),
            next_event: 0,
            broker: Broker::new(config, sabotage),
            lives: vec![0; members.len()],
            paused_until_ms: vec![0; members.len()],
            members,
            groups,
            partitions,
            checker: Checker::default(),
            flushing: false,
            history: Vec::new(),
            rng,
        }
    }

    fn at(&mut self, at_ms: i64, event: Event) {
        self.next_event += 1;
        self.queue.insert((at_ms, self.next_event), event);
    }

    fn is_well(&self) -> bool {
        self.now_ms >= START_MS + FAULTS_MS
    }

    fn note(&mut self, text: String) {
        self.history
            .push(format!("{} {text}", self.now_ms - START_MS));
    }

    fn run(&mut self) -> Result<(), Violation> {
        self.at(START_MS, Event::Start);
        self.at(START_MS + 1_000, Event::Chaos);
        self.at(START_MS + 2_000, Event::Admin);
        self.at(START_MS + 3_000, Event::Sweep);
        self.at(START_MS + 4_000, Event::Observe);
        for member in 0..self.members.len() {
            let at_ms = START_MS + self.rng.between(0, 10_000);
            self.at(at_ms, Event::Poll(member));
        }
        let end_ms = START_MS + FAULTS_MS + HEALING_MS;
        while let Some(((at_ms, _), event)) = self.queue.pop_first() {
            if at_ms > end_ms {
                break;
            }
            self.now_ms = self.now_ms.max(at_ms);
            self.happen(event)?;
        }
        self.checker.outside.check()?;
        self.check_stable()
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        let answers = match event {
            Event::Poll(member) => return self.poll(member),
            Event::Answer {
                member,
                life,
                request,
                reply,
            } => {
                return self.answer(member, life, request, reply);
            }
            Event::Chaos => return self.chaos(),
            Event::Sweep => {
                self.at(self.now_ms + 20_000, Event::Sweep);
                self.broker.expire(self.now_ms, &mut self.checker)?
            }
            Event::Admin => {
                self.admin();
                Vec::new()
            }
            Event::Observe => {
                self.observe();
                Vec::new()
            }
            Event::Arrive {
                caller,
                client,
                version,
                call,
            } => {
                let who = (&client, version);
                self.broker
                    .call(self.now_ms, who, caller, *call, &mut self.checker)?
            }
            Event::Flush { incarnation } if incarnation == self.broker.incarnation => {
                self.flushing = false;
                if !self.is_well() && self.rng.one_in(200) {
                    self.note("the disk fails".into());
                    let restart_ms = self.now_ms + self.rng.between(1, 2_000);
                    self.at(restart_ms, Event::Start);
                    self.broker.fail_append(&mut self.checker)?
                } else {
                    self.broker.flush(self.now_ms, &mut self.checker)?
                }
            }
            Event::Timer {
                incarnation,
                key,
                due_ms,
            } if incarnation == self.broker.incarnation => {
                self.broker
                    .fire(self.now_ms, (&key, due_ms), &mut self.checker)?
            }
            Event::Flush { .. } | Event::Timer { .. } => Vec::new(),
            Event::Start if self.broker.is_up() => Vec::new(),
            Event::Start => {
                self.note("the broker starts".into());
                self.flushing = false;
                self.broker.start(self.now_ms, &mut self.checker)?
            }
        };
        self.send_answers(answers);
        self.follow_up();
        Ok(())
    }

    /// Whatever the broker did, its disk and its timers go on.
    fn follow_up(&mut self) {
        let incarnation = self.broker.incarnation;
        if self.broker.has_in_flight() && !self.flushing {
            self.flushing = true;
            let at_ms = self.now_ms + self.rng.between(1, 30);
            self.at(at_ms, Event::Flush { incarnation });
        }
        for (key, due_ms) in std::mem::take(&mut self.broker.new_timers) {
            // Timers may be late, seldom by much.
            let is_late = !self.is_well() && self.rng.one_in(20);
            let late_ms = if is_late {
                self.rng.between(0, 5_000)
            } else {
                0
            };
            let at_ms = due_ms.max(self.now_ms) + late_ms;
            self.at(
                at_ms,
                Event::Timer {
                    incarnation,
                    key,
                    due_ms,
                },
            );
        }
    }

    fn poll(&mut self, member: usize) -> Result<(), Violation> {
        let again_ms = self.now_ms + self.rng.between(100, 400);
        let again_ms = again_ms.max(self.paused_until_ms[member]);
        self.at(again_ms, Event::Poll(member));
        let requests = self.members[member].poll(self.now_ms, &mut self.rng, &mut self.checker);
        for request in requests {
            self.send(member, request);
        }
        Ok(())
    }

    /// The network: a request may be lost, late, or arrive twice.
    fn send(&mut self, member: usize, request: Request) {
        let copies = match self.is_well() {
            true => 1,
            false if self.rng.one_in(30) => 0,
            false if self.rng.one_in(40) => 2,
            false => 1,
        };
        for _ in 0..copies {
            let at_ms = self.now_ms + self.delay_ms();
            let caller = Caller {
                member,
                life: self.lives[member],
                request: request.id,
                asked: request.asked.clone(),
            };
            let client = self.members[member].client.clone();
            let call = Box::new(request.call.clone());
            self.at(
                at_ms,
                Event::Arrive {
                    caller,
                    client,
                    version: request.version,
                    call,
                },
            );
        }
    }

    fn delay_ms(&mut self) -> i64 {
        match !self.is_well() && self.rng.one_in(100) {
            true => self.rng.between(1_000, 20_000),
            false => self.rng.between(1, 30),
        }
    }

    fn send_answers(&mut self, answers: Vec<Answer>) {
        for Answer { caller, reply } in answers {
            self.note(format!("{} #{} {reply:?}", caller.member, caller.request));
            if !self.is_well() && self.rng.one_in(30) {
                continue;
            }
            let at_ms = self.now_ms + self.delay_ms();
            let Caller {
                member,
                life,
                request,
                ..
            } = caller;
            // Administrators don't wait for their answer.
            if member < self.members.len() {
                self.at(
                    at_ms,
                    Event::Answer {
                        member,
                        life,
                        request,
                        reply: Box::new(reply),
                    },
                );
            }
        }
    }

    fn answer(
        &mut self,
        member: usize,
        life: u64,
        request: u64,
        reply: Box<Reply>,
    ) -> Result<(), Violation> {
        if self.paused_until_ms[member] > self.now_ms {
            let at_ms = self.paused_until_ms[member];
            self.at(
                at_ms,
                Event::Answer {
                    member,
                    life,
                    request,
                    reply,
                },
            );
        } else if life == self.lives[member] {
            self.members[member].answer(self.now_ms, request, *reply, &mut self.rng);
        }
        Ok(())
    }

    /// Something goes wrong, or somebody comes and goes.
    fn chaos(&mut self) -> Result<(), Violation> {
        if self.is_well() {
            self.heal();
            return Ok(());
        }
        let next_ms = self.now_ms + self.rng.between(200, 6_000);
        self.at(next_ms, Event::Chaos);
        let member = self.rng.between(0, self.members.len() as i64 - 1) as usize;
        match self.rng.between(0, 9) {
            0 | 1 => {
                self.note("the broker is killed".into());
                self.broker
                    .crash(self.now_ms, &mut self.rng, &mut self.checker);
                let at_ms = self.now_ms + self.rng.between(1, 15_000);
                self.at(at_ms, Event::Start);
            }
            2 | 3 => {
                self.note(format!("{member} is paused"));
                self.paused_until_ms[member] = self.now_ms + self.rng.between(1_000, 40_000);
            }
            4 => {
                self.note(format!("{member} dies"));
                self.lives[member] += 1;
                self.members[member].restart(Phase::Down);
            }
            5 => {
                self.note(format!("{member} closes"));
                let request = self.members[member].close();
                self.lives[member] += 1;
                if let Some(request) = request {
                    self.send(member, request);
                }
            }
            _ if self.members[member].phase == Phase::Down => self.revive(member),
            _ => {}
        }
        Ok(())
    }

    fn revive(&mut self, member: usize) {
        self.note(format!("{member} starts"));
        self.lives[member] += 1;
        let not_before_ms = self.now_ms;
        self.members[member].restart(Phase::Joining { not_before_ms });
    }

    /// From now on all goes well, and everybody comes back.
    fn heal(&mut self) {
        self.note("all is well from now on".into());
        self.at(self.now_ms, Event::Start);
        for member in 0..self.members.len() {
            self.paused_until_ms[member] = 0;
            if self.members[member].phase == Phase::Down {
                self.revive(member);
            }
        }
    }

    /// Some time after the last fault every group works: one generation, every partition with one owner.
    fn check_stable(&mut self) -> Result<(), Violation> {
        for group in &self.groups {
            let members: Vec<&Member> = self.members.iter().filter(|m| m.group == *group).collect();
            for member in &members {
                if member.phase != Phase::Stable || member.generation != members[0].generation {
                    return Err(Violation(format!(
                        "{group} did not become stable: {member:?}"
                    )));
                }
            }
            let mut owned: Vec<i32> = members
                .iter()
                .flat_map(|m| m.owned.keys().copied())
                .collect();
            owned.sort_unstable();
            if owned != (0..self.partitions).collect::<Vec<i32>>() {
                return Err(Violation(format!(
                    "the partitions of {group} are owned as {owned:?}"
                )));
            }
        }
        // At most what has just arrived is still on its way to the disk.
        match self.broker.waiting() <= 2 * self.members.len() {
            true => Ok(()),
            false => Err(Violation(format!(
                "{} calls wait for ever",
                self.broker.waiting()
            ))),
        }
    }
}
