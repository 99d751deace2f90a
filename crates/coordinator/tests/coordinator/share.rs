//! One share group in one partition: many members, a log with holes, time, crashes, and everything from a seed.
//!
//! The checker keeps its own account of who was given what and watches that
//! - no record is with two members at once, and none is given out that is done with;
//! - none is delivered more often than the limit says between two crashes;
//! - the start moves only over what was accepted, rejected, given up, or is no record;
//! - what was acknowledged and is durable stays so through a crash, and the log alone gives the state;
//! - when the faults stop, every record comes to its end.

use std::collections::BTreeMap;

use catchword_coordinator::share::{
    AckBatch, AckError, AckType, Acquire, RecordState, ShareKey, ShareRecord, ShareSettings,
    ShareShard,
};
use catchword_wire::{Str, Uuid};

use crate::sim::{Rng, is_noticed_by_panic};

/// What is broken on purpose, to see that the checker notices.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sabotage {
    None,
    /// A crash takes a record with it that was durable.
    LoseDurable,
    /// Records are given out more often than the group's limit.
    Lavish,
    /// Records are taken back before their time is over.
    Impatient,
}

/// What the checker knows of a record.
#[derive(Debug, Clone, Default)]
struct Account {
    holder: Option<(usize, i64)>,
    /// Since the last crash.
    deliveries: i16,
    done: bool,
}

struct World {
    rng: Rng,
    now_ms: i64,
    settings: ShareSettings,
    key: ShareKey,
    shard: ShareShard,
    /// What is in the log of the state, and how much of it is durable.
    log: Vec<ShareRecord>,
    /// Batches of the topic: first and last offset, in order, with holes.
    batches: Vec<(i64, i64)>,
    accounts: BTreeMap<i64, Account>,
    members: Vec<Str>,
    delivered: usize,
    /// How often a record may be given out.
    limit: i16,
    sabotage: Sabotage,
}

const UPDATES_PER_SNAPSHOT: u32 = 7;

impl World {
    fn new(seed: u64, sabotage: Sabotage) -> World {
        let mut rng = Rng::new(seed);
        let mut batches = Vec::new();
        let mut at = 0;
        for _ in 0..rng.between(5, 30) {
            at += if rng.one_in(5) { rng.between(1, 4) } else { 0 };
            let last = at + rng.between(0, 9);
            batches.push((at, last));
            at = last + 1;
        }
        let limit = rng.between(2, 5) as i16;
        let records = batches.iter().flat_map(|(first, last)| *first..=*last);
        let accounts = records.map(|offset| (offset, Account::default()));
        let mut world = World {
            now_ms: 1_000,
            settings: ShareSettings {
                lock_ms: 100,
                max_deliveries: limit + i16::from(sabotage == Sabotage::Lavish),
                max_in_flight: rng.between(10, 60),
                may_renew: true,
            },
            key: ShareKey {
                group_id: "g".into(),
                topic_id: Uuid([1; 16]),
                partition: 0,
            },
            shard: ShareShard::new(UPDATES_PER_SNAPSHOT),
            log: Vec::new(),
            accounts: accounts.collect(),
            batches,
            members: ["a", "b", "c"].map(Str::from).to_vec(),
            delivered: 0,
            limit,
            sabotage,
            rng,
        };
        let key = world.key.clone();
        world.shard.set_start(&key, 0, 0, &mut world.log);
        world
    }

    fn acquire(&mut self, member: usize, max_records: i64, strict: bool) {
        let state = self.shard.get(&self.key).unwrap();
        let Some(from) = state.next_offset(&self.settings) else {
            return;
        };
        let some = self.rng.between(1, 4) as usize;
        let rest = self.batches.iter().filter(|(_, last)| *last >= from);
        let read: Vec<(i64, i64)> = rest.take(some).copied().collect();
        let Some((_, last)) = read.last() else {
            return;
        };
        let ask = Acquire {
            member: &self.members[member],
            now_ms: self.now_ms,
            settings: self.settings,
            from,
            batches: &read,
            upto: last + 1,
            max_records,
            strict,
        };
        let got = self.shard.acquire(&self.key, &ask, &mut self.log);
        let count: i64 = got.iter().map(|range| range.last - range.first + 1).sum();
        if strict {
            assert!(count <= max_records, "{count} of {max_records}");
        }
        for range in got {
            for offset in range.first..=range.last {
                let account = self
                    .accounts
                    .get_mut(&offset)
                    .expect("a record was given that is none");
                let free = account.holder.is_none_or(|(_, until)| until <= self.now_ms);
                assert!(free, "{offset} is with two members");
                assert!(!account.done, "{offset} was done with");
                account.holder = Some((member, self.now_ms + self.settings.lock_ms));
                account.deliveries += 1;
                assert!(
                    account.deliveries <= range.deliveries,
                    "{offset}: {account:?}, {range:?}"
                );
                assert!(
                    range.deliveries <= self.limit,
                    "{offset} is given beyond the limit: {range:?}"
                );
                self.delivered += 1;
            }
        }
    }

    fn acknowledge(&mut self, member: usize) {
        let held = self
            .accounts
            .iter()
            .filter(|(_, a)| a.holder.is_some_and(|(m, _)| m == member));
        let held: Vec<i64> = held.map(|(offset, _)| *offset).collect();
        let Some(&first) = held.first() else {
            return;
        };
        let mut last = first;
        while held.contains(&(last + 1)) && !self.rng.one_in(4) {
            last += 1;
        }
        let kinds = [
            AckType::Accept,
            AckType::Accept,
            AckType::Release,
            AckType::Reject,
            AckType::Renew,
        ];
        let one = self.rng.one_in(2);
        let count = if one { 1 } else { last - first + 1 };
        let types: Vec<AckType> = (0..count)
            .map(|_| kinds[self.rng.between(0, 4) as usize])
            .collect();
        let batch = AckBatch {
            first,
            last,
            types: types.clone(),
        };
        let name = self.members[member].clone();
        let result = self.shard.acknowledge(
            &self.key,
            &name,
            &[batch],
            self.now_ms,
            &self.settings,
            &mut self.log,
        );
        // The machine takes records back when it is told that time is over, not before.
        if result.is_err() {
            let late = (first..=last).any(|o| {
                self.accounts[&o]
                    .holder
                    .is_some_and(|(_, until)| until <= self.now_ms)
            });
            assert!(late, "an acknowledgement in time was refused");
            return;
        }
        for (at, offset) in (first..=last).enumerate() {
            let account = self.accounts.get_mut(&offset).unwrap();
            match types[if one { 0 } else { at }] {
                AckType::Accept | AckType::Reject | AckType::Gap => {
                    account.done = true;
                    account.holder = None;
                }
                AckType::Release => account.holder = None,
                AckType::Renew => {
                    account.holder = Some((member, self.now_ms + self.settings.lock_ms))
                }
            }
        }
    }

    fn release(&mut self, member: usize) {
        let name = self.members[member].clone();
        self.shard
            .release(&self.key, &name, self.now_ms, &self.settings, &mut self.log);
        for account in self.accounts.values_mut() {
            if account.holder.is_some_and(|(m, _)| m == member) {
                account.holder = None;
            }
        }
    }

    fn pass_time(&mut self, ms: i64) {
        self.now_ms += ms;
        let settings = self.settings;
        let early_ms = match self.sabotage {
            Sabotage::Impatient => settings.lock_ms / 2,
            _ => 0,
        };
        let now_ms = self.now_ms + early_ms;
        self.shard.expire(now_ms, |_| settings, &mut self.log);
        for account in self.accounts.values_mut() {
            if account
                .holder
                .is_some_and(|(_, until)| until <= self.now_ms)
            {
                account.holder = None;
            }
        }
    }

    /// Everything that was recorded is there again, and nobody holds anything.
    fn crash(&mut self) {
        let before = self.shard.get(&self.key).unwrap().clone();
        if self.sabotage == Sabotage::LoseDurable && self.log.len() > 1 {
            self.log.pop();
        }
        self.shard = self.replayed();
        let after = self.shard.get(&self.key).unwrap();
        assert_eq!(after.start(), before.start(), "the start after a crash");
        for (offset, account) in &mut self.accounts {
            account.holder = None;
            // What was given up stays so, though nobody counts it any more.
            let given_up = before
                .record(*offset)
                .map_or(*offset < before.start(), |(state, _)| state.is_terminal());
            account.done |= given_up;
            account.deliveries = after.record(*offset).map_or(0, |(_, count)| count);
        }
    }

    fn replayed(&self) -> ShareShard {
        let mut shard = ShareShard::new(UPDATES_PER_SNAPSHOT);
        for record in &self.log {
            shard.replay(&record.key, record.value.as_deref()).unwrap();
        }
        shard
    }

    /// What the machine says against what the checker knows.
    fn check(&self) {
        let state = self.shard.get(&self.key).unwrap();
        state.check();
        let spent = self.limit;
        for (offset, account) in &self.accounts {
            let record = state.record(*offset);
            let given_up = record.map_or(*offset < state.start(), |(state, _)| state.is_terminal());
            if account.done {
                assert!(given_up, "{offset} was acknowledged and is not done with");
            } else if given_up {
                assert!(
                    account.holder.is_none() && account.deliveries >= spent,
                    "{offset} is gone: {account:?}"
                );
            }
            let held = matches!(record, Some((RecordState::Acquired { .. }, _)));
            assert_eq!(
                held,
                account.holder.is_some(),
                "{offset} is held otherwise than it was given: {record:?} {account:?}"
            );
        }
    }

    /// The log alone says the same.
    fn check_log(&self) {
        let state = self.shard.get(&self.key).unwrap();
        let replayed = self.replayed();
        let kept = replayed.get(&self.key).unwrap();
        assert_eq!(
            (kept.start(), kept.state_epoch()),
            (state.start(), state.state_epoch())
        );
        for offset in self.accounts.keys() {
            let done = |p: &catchword_coordinator::share::SharePartition| {
                p.record(*offset)
                    .map_or(*offset < p.start(), |(state, _)| state.is_terminal())
            };
            assert_eq!(done(kept), done(state), "{offset} in the log alone");
        }
    }

    fn step(&mut self) {
        let member = self.rng.between(0, 2) as usize;
        match self.rng.between(0, 19) {
            0..=6 => {
                let (most, strict) = (self.rng.between(1, 20), self.rng.one_in(2));
                self.acquire(member, most, strict);
            }
            7..=14 => self.acknowledge(member),
            15 => self.release(member),
            16..=18 => {
                let ms = self.rng.between(0, 70);
                self.pass_time(ms);
            }
            _ if self.rng.one_in(4) => self.crash(),
            _ => {}
        }
        self.check();
        if self.rng.one_in(20) {
            self.check_log();
        }
    }

    fn finish(&mut self) {
        for _ in 0..10_000 {
            self.pass_time(200);
            self.acquire(0, 50, false);
            let held = self.accounts.iter().filter(|(_, a)| a.holder.is_some());
            for offset in held.map(|(offset, _)| *offset).collect::<Vec<_>>() {
                let batch = AckBatch {
                    first: offset,
                    last: offset,
                    types: vec![AckType::Accept],
                };
                let name = self.members[0].clone();
                let (now, settings) = (self.now_ms, self.settings);
                self.shard
                    .acknowledge(&self.key, &name, &[batch], now, &settings, &mut self.log)
                    .unwrap();
                let account = self.accounts.get_mut(&offset).unwrap();
                account.holder = None;
                account.done = true;
            }
            self.check();
            let end = self.batches.last().unwrap().1 + 1;
            if self.shard.get(&self.key).unwrap().start() == end {
                return;
            }
        }
        panic!("records were left over: {:?}", self.shard.get(&self.key));
    }
}

fn play(seed: u64, sabotage: Sabotage) -> World {
    let mut world = World::new(seed, sabotage);
    for _ in 0..300 {
        world.step();
    }
    world.finish();
    world
}

#[test]
fn a_lost_record_one_given_too_often_and_one_taken_back_too_early_are_noticed() {
    let play = |sabotage| move |seed| drop(play(seed, sabotage));
    let lost = ["is not done with", "the start after a crash"];
    is_noticed_by_panic(play(Sabotage::LoseDurable), &lost);
    is_noticed_by_panic(play(Sabotage::Lavish), &["is given beyond the limit"]);
    let early = ["is with two members", "is held otherwise"];
    is_noticed_by_panic(play(Sabotage::Impatient), &early);
}

#[test]
fn a_share_group_keeps_its_promises_whatever_happens() {
    let mut delivered = 0;
    for seed in 0..100 {
        let outcome = std::panic::catch_unwind(|| {
            let world = play(seed, Sabotage::None);
            world.delivered
        });
        delivered += outcome.unwrap_or_else(|_| panic!("seed {seed}, see above"));
    }
    assert!(
        delivered > 10_000,
        "only {delivered} deliveries: the worlds are too quiet"
    );
}

fn one_record(deliveries: i16) -> (ShareShard, ShareKey, ShareSettings, Vec<ShareRecord>) {
    let settings = ShareSettings {
        max_deliveries: deliveries,
        ..ShareSettings::default()
    };
    let key = ShareKey {
        group_id: "g".into(),
        topic_id: Uuid([2; 16]),
        partition: 3,
    };
    let mut shard = ShareShard::new(500);
    let mut out = Vec::new();
    shard.set_start(&key, 0, 0, &mut out);
    (shard, key, settings, out)
}

fn take(
    shard: &mut ShareShard,
    key: &ShareKey,
    settings: ShareSettings,
    out: &mut Vec<ShareRecord>,
) -> usize {
    let ask = Acquire {
        member: &"m".into(),
        now_ms: 0,
        settings,
        from: 0,
        batches: &[(0, 0)],
        upto: 1,
        max_records: 1,
        strict: false,
    };
    shard.acquire(key, &ask, out).len()
}

#[test]
fn a_record_that_was_released_too_often_is_given_up() {
    let (mut shard, key, settings, mut out) = one_record(2);
    for _ in 0..2 {
        assert_eq!(take(&mut shard, &key, settings, &mut out), 1);
        shard.release(&key, "m", 0, &settings, &mut out);
    }
    assert_eq!(take(&mut shard, &key, settings, &mut out), 0);
    assert_eq!(shard.get(&key).unwrap().start(), 1);
}

#[test]
fn who_does_not_hold_a_record_cannot_acknowledge_it() {
    let (mut shard, key, settings, mut out) = one_record(5);
    take(&mut shard, &key, settings, &mut out);
    let accept = |last| {
        [AckBatch {
            first: 0,
            last,
            types: vec![AckType::Accept],
        }]
    };
    let stranger = shard.acknowledge(&key, "x", &accept(0), 0, &settings, &mut out);
    assert_eq!(stranger, Err(AckError::NotHeld));
    let beyond = shard.acknowledge(&key, "m", &accept(1), 0, &settings, &mut out);
    assert_eq!(beyond, Err(AckError::Invalid));
    assert_eq!(
        shard.acknowledge(&key, "m", &accept(0), 0, &settings, &mut out),
        Ok(())
    );
    // Below the start nothing is known any more, so nothing is wrong.
    assert_eq!(
        shard.acknowledge(&key, "m", &accept(0), 0, &settings, &mut out),
        Ok(())
    );
}

#[test]
fn a_log_that_lost_its_end_gives_its_new_records_to_the_group() {
    let (mut shard, key, settings, mut out) = one_record(5);
    take(&mut shard, &key, settings, &mut out);
    let all = [AckBatch {
        first: 0,
        last: 0,
        types: vec![AckType::Accept],
    }];
    shard
        .acknowledge(&key, "m", &all, 0, &settings, &mut out)
        .unwrap();
    shard.log_is(&key, 0, Some(0), 0, &mut out);
    assert_eq!(take(&mut shard, &key, settings, &mut out), 1);
    let mut replayed = ShareShard::new(500);
    for record in &out {
        replayed
            .replay(&record.key, record.value.as_deref())
            .unwrap();
    }
    assert_eq!(replayed.get(&key).unwrap().start(), 0);
}
