//! The shard's driver, with a disk that is slow, loses what is not synced, and sometimes fails.

use std::collections::{BTreeMap, VecDeque};

use catchword_coordinator::{
    Call, Client, Context, CoordinatorRecord, Effect, GroupConfig, GroupShard, Output, Records,
    Reply, ReplyTo, TimerKey,
};
use catchword_wire::ErrorCode;

use super::checker::{Asked, Checker, Violation};
use super::rng::Rng;
use super::world::PARTITIONS;

/// How long a start is sabotaged.
const STALE_MS: i64 = 10_000;

/// What is broken on purpose, to see that the simulation notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sabotage {
    None,
    /// Effects are performed before the records are durable.
    ReplyBeforeDurable,
    /// A crash takes a record with it that was durable.
    LoseDurable,
    /// Timers are never fired.
    NoTimers,
    /// Fetches are answered from the snapshot for a while after a start, though the log has more.
    StaleFetches,
}

/// One step's output on its way to the disk.
struct Batch {
    records: Records,
    effects: Vec<Effect>,
}

/// Who is to be answered, and what it asked.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) member: usize,
    pub(crate) life: u64,
    pub(crate) request: u64,
    pub(crate) asked: Asked,
}

/// An answer on its way out.
pub(crate) struct Answer {
    pub(crate) caller: Caller,
    pub(crate) reply: Reply,
}

pub(crate) struct Broker {
    config: GroupConfig,
    sabotage: Sabotage,
    /// `None` while it is down.
    shard: Option<GroupShard>,
    /// What the last snapshot has, and until when fetches are answered from it, by sabotage.
    stale: Option<(i64, GroupShard)>,
    /// Replays every record as it is given, and must always dump what the shard does.
    shadow: GroupShard,
    pub(crate) incarnation: u64,
    durable: Vec<(i64, CoordinatorRecord)>,
    /// How much of the durable log it speaks of, and its records.
    snapshot: (usize, Vec<(i64, CoordinatorRecord)>),
    in_flight: VecDeque<Batch>,
    waiting: BTreeMap<ReplyTo, Caller>,
    next_to: u64,
    timers: BTreeMap<TimerKey, i64>,
    /// Timers that were set and that the world has not heard of.
    pub(crate) new_timers: Vec<(TimerKey, i64)>,
    steps: u64,
}

fn replay(shard: &mut GroupShard, records: &[(i64, CoordinatorRecord)]) {
    for (timestamp_ms, record) in records {
        let value = record.value.as_deref();
        shard
            .replay(*timestamp_ms, &record.key, value, &record.headers)
            .unwrap();
    }
}

impl Broker {
    pub(crate) fn new(config: GroupConfig, sabotage: Sabotage) -> Broker {
        Broker {
            shadow: GroupShard::new(config.clone(), 0),
            config,
            sabotage,
            shard: None,
            stale: None,
            incarnation: 0,
            durable: Vec::new(),
            snapshot: (0, Vec::new()),
            in_flight: VecDeque::new(),
            waiting: BTreeMap::new(),
            next_to: 0,
            timers: BTreeMap::new(),
            new_timers: Vec::new(),
            steps: 0,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.shard.is_some()
    }

    pub(crate) fn has_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Reads the log and goes to work.
    pub(crate) fn start(
        &mut self,
        now_ms: i64,
        checker: &mut Checker,
    ) -> Result<Vec<Answer>, Violation> {
        self.incarnation += 1;
        let seed = u128::from(self.incarnation) << 64 | 7;
        let mut shard = GroupShard::new(self.config.clone(), seed);
        self.shadow = GroupShard::new(self.config.clone(), 0);
        replay(&mut self.shadow, &self.durable);
        let (snapshot_end, snapshot) = &self.snapshot;
        // A log that lost what was durable is one that no snapshot fits.
        let tail = self.durable.get(*snapshot_end..);
        replay(&mut shard, tail.map_or(&[], |_| snapshot));
        if self.sabotage == Sabotage::StaleFetches {
            let mut stale = GroupShard::new(self.config.clone(), 0);
            replay(&mut stale, snapshot);
            self.stale = Some((now_ms + STALE_MS, stale));
        }
        replay(&mut shard, tail.unwrap_or(&self.durable));
        let state = |shard: &GroupShard| (shard.snapshot_records(), shard.counts());
        if state(&shard) != state(&self.shadow) {
            return Err(Violation(
                "a snapshot and what came since give another state than the whole log".into(),
            ));
        }
        self.shard = Some(shard);
        self.act(checker, |shard, out| shard.loaded(now_ms, out))
    }

    /// Now and then notes the state at some place in the durable log that is not before the last snapshot's: made of
    /// that snapshot and the log alone, as the broker does it, while the shard goes on.
    fn take_snapshot(&mut self) {
        let (from, snapshot) = &self.snapshot;
        let more = self.durable.len().saturating_sub(*from);
        if more == 0 || !self.steps.is_multiple_of(5) {
            return;
        }
        let end = from + 1 + (self.steps as usize * 31) % more;
        let mut shard = GroupShard::new(self.config.clone(), 0);
        replay(&mut shard, snapshot);
        replay(&mut shard, &self.durable[*from..end]);
        let records = shard.snapshot_records().into_iter();
        self.snapshot = (end, records.map(|record| (0, record)).collect());
    }

    /// A call arrives. While it is down nobody answers.
    pub(crate) fn call(
        &mut self,
        now_ms: i64,
        (client, version): (&Client, i16),
        caller: Caller,
        call: Call,
        checker: &mut Checker,
    ) -> Result<Vec<Answer>, Violation> {
        if self.shard.is_none() {
            return Ok(Vec::new());
        }
        self.next_to += 1;
        let to = ReplyTo(self.next_to);
        self.waiting.insert(to, caller);
        checker.outside.called(to, &call, PARTITIONS);
        let ctx = Context {
            now_ms,
            client,
            api_version: version,
        };
        if let (Some((until_ms, stale)), Call::OffsetFetch(_)) = (&mut self.stale, &call)
            && now_ms < *until_ms
        {
            let mut out = Output::default();
            stale.step(&ctx, to, call, &mut out);
            return self.perform(out.effects, checker);
        }
        self.act(checker, |shard, out| shard.step(&ctx, to, call, out))
    }

    /// The timer that was set to `due_ms` fires, unless it was set anew or cancelled.
    pub(crate) fn fire(
        &mut self,
        now_ms: i64,
        (key, due_ms): (&TimerKey, i64),
        checker: &mut Checker,
    ) -> Result<Vec<Answer>, Violation> {
        if self.sabotage == Sabotage::NoTimers || self.timers.get(key) != Some(&due_ms) {
            return Ok(Vec::new());
        }
        self.timers.remove(key);
        self.act(checker, |shard, out| shard.timer(now_ms, key, out))
    }

    pub(crate) fn expire(
        &mut self,
        now_ms: i64,
        checker: &mut Checker,
    ) -> Result<Vec<Answer>, Violation> {
        self.act(checker, |shard, out| shard.expire_offsets(now_ms, out))
    }

    fn act(
        &mut self,
        checker: &mut Checker,
        act: impl FnOnce(&mut GroupShard, &mut Output),
    ) -> Result<Vec<Answer>, Violation> {
        let Some(shard) = &mut self.shard else {
            return Ok(Vec::new());
        };
        let mut out = Output::default();
        act(shard, &mut out);
        checker.appended(&out.records)?;
        for record in out.records.iter() {
            self.shadow
                .replay(0, record.key, record.value, record.headers)
                .unwrap();
        }
        self.steps += 1;
        if self.steps.is_multiple_of(16) && self.shadow.dump_records() != shard.dump_records() {
            return Err(Violation(
                "the shard holds what its records don't say".into(),
            ));
        }
        let mut batch = Batch {
            records: out.records,
            effects: out.effects,
        };
        if self.sabotage == Sabotage::ReplyBeforeDurable {
            let effects = std::mem::take(&mut batch.effects);
            self.in_flight.push_back(batch);
            return self.perform(effects, checker);
        }
        if batch.records.is_empty() && self.in_flight.is_empty() {
            return self.perform(batch.effects, checker);
        }
        self.in_flight.push_back(batch);
        Ok(Vec::new())
    }

    /// The disk has synced all that it was given.
    pub(crate) fn flush(
        &mut self,
        now_ms: i64,
        checker: &mut Checker,
    ) -> Result<Vec<Answer>, Violation> {
        let mut answers = Vec::new();
        while let Some(batch) = self.in_flight.pop_front() {
            checker.durable(&batch.records);
            self.durable
                .extend(batch.records.into_iter().map(|record| (now_ms, record)));
            answers.extend(self.perform(batch.effects, checker)?);
        }
        self.take_snapshot();
        Ok(answers)
    }

    /// The disk refuses: whoever waits is told, and the state is read again from what is there.
    pub(crate) fn fail_append(&mut self, checker: &mut Checker) -> Result<Vec<Answer>, Violation> {
        let mut answers = Vec::new();
        let batches: Vec<Batch> = self.in_flight.drain(..).collect();
        for batch in batches {
            for effect in batch.effects {
                if let Effect::Reply { to, reply } = effect {
                    let reply = reply.into_error(ErrorCode::NotCoordinator);
                    answers.extend(self.perform(vec![Effect::Reply { to, reply }], checker)?);
                }
            }
        }
        let mut out = Output::default();
        if let Some(mut shard) = self.shard.take() {
            shard.unload(ErrorCode::NotCoordinator, &mut out);
        }
        answers.extend(self.perform(out.effects, checker)?);
        if !self.waiting.is_empty() {
            return Err(Violation(format!(
                "{} calls were forgotten",
                self.waiting.len()
            )));
        }
        self.timers.clear();
        checker.crashed();
        Ok(answers)
    }

    /// Power is gone. Of what was on its way to the disk some may have arrived.
    pub(crate) fn crash(&mut self, now_ms: i64, rng: &mut Rng, checker: &mut Checker) {
        let arrived = rng.between(0, self.in_flight.len() as i64) as usize;
        for batch in self.in_flight.drain(..).take(arrived) {
            checker.durable(&batch.records);
            self.durable
                .extend(batch.records.into_iter().map(|record| (now_ms, record)));
        }
        self.in_flight.clear();
        if self.sabotage == Sabotage::LoseDurable {
            self.durable.pop();
        }
        self.waiting.clear();
        self.timers.clear();
        self.shard = None;
        checker.crashed();
    }

    fn perform(
        &mut self,
        effects: Vec<Effect>,
        checker: &mut Checker,
    ) -> Result<Vec<Answer>, Violation> {
        let mut answers = Vec::new();
        for effect in effects {
            match effect {
                Effect::Reply { to, reply } => {
                    let Some(caller) = self.waiting.remove(&to) else {
                        return Err(Violation(format!("{to:?} was answered twice")));
                    };
                    checker.outside.answered(to, &reply);
                    checker.answered(&caller.asked, &reply)?;
                    answers.push(Answer { caller, reply });
                }
                Effect::SetTimer { key, at_ms } => {
                    self.new_timers.push((key.clone(), at_ms));
                    self.timers.insert(key, at_ms);
                }
                Effect::CancelTimer { key } => {
                    self.timers.remove(&key);
                }
                Effect::Notice(_) => {}
            }
        }
        Ok(answers)
    }
}
