//! Calls and records that no sane client makes: nothing may panic, nobody may be left without an answer.

use std::collections::BTreeSet;

use bytes::Bytes;
use catchword_coordinator::{
    Call, Client, Context, Effect, GroupConfig, GroupShard, Output, Reply, ReplyTo, TagCall,
    TimerKey,
};
use catchword_wire::messages::leave_group_request::MemberIdentity;
use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestTopics;
use catchword_wire::{ErrorCode, Str, Uuid};

use crate::driver::*;
use crate::sim::Rng;

/// A hand full of everything: small enough that things meet, strange enough to hurt.
struct Nonsense {
    rng: Rng,
    /// Member ids that were given out.
    ids: Vec<Str>,
}

impl Nonsense {
    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.rng.between(0, of.len() as i64 - 1) as usize].clone()
    }

    fn number(&mut self) -> i32 {
        self.pick(&[
            i32::MIN,
            -2,
            -1,
            0,
            1,
            2,
            3,
            6_000,
            10_000,
            1_800_000,
            i32::MAX,
        ])
    }

    fn long(&mut self) -> i64 {
        self.pick(&[i64::MIN, -2, -1, 0, 1, 1_000, i64::MAX])
    }

    fn text(&mut self) -> Str {
        let long = Str::from("long".repeat(9_000));
        self.pick(&[Str::EMPTY, "a".into(), "\0".into(), "é😀".into(), long])
    }

    fn group(&mut self) -> Str {
        if self.rng.one_in(20) {
            self.text()
        } else {
            self.pick(&["g".into(), "h".into()])
        }
    }

    fn member(&mut self) -> Str {
        match self.rng.between(0, 5) {
            0 => self.text(),
            1 => Str::EMPTY,
            _ if self.ids.is_empty() => Str::EMPTY,
            _ => {
                let recent = self.ids.len().saturating_sub(6);
                let ids = self.ids[recent..].to_vec();
                self.pick(&ids)
            }
        }
    }

    fn instance(&mut self) -> Option<Str> {
        self.pick(&[
            None,
            None,
            Some("s1".into()),
            Some("s2".into()),
            Some(Str::EMPTY),
        ])
    }

    fn generation(&mut self) -> i32 {
        if self.rng.one_in(5) {
            self.number()
        } else {
            self.rng.between(-1, 8) as i32
        }
    }

    fn call(&mut self) -> Call {
        let (group, member) = (self.group(), self.member());
        let generation = self.generation();
        match self.rng.between(0, 10) {
            0..=2 => {
                let mut call = join(&group, &member);
                call.group_instance_id = self.instance();
                call.protocol_type = self.pick(&["consumer".into(), "connect".into(), Str::EMPTY]);
                let names: Vec<&str> =
                    self.pick(&[vec![], vec!["a"], vec!["a", "b"], vec!["b", "b", "a"]]);
                call.protocols = protocols(&names, &["t"]);
                if self.rng.one_in(4) {
                    call.protocols
                        .iter_mut()
                        .for_each(|p| p.metadata = Bytes::from_static(b"\xff\0"));
                }
                if self.rng.one_in(4) {
                    (call.session_timeout_ms, call.rebalance_timeout_ms) =
                        (self.number(), self.number());
                }
                Call::JoinGroup(call)
            }
            3 | 4 => {
                let mut call = sync(&group, &member, generation);
                call.protocol_name = self.pick(&[None, Some("a".into()), Some("b".into())]);
                call.group_instance_id = self.instance();
                let other = self.member();
                call.assignments = assignments(&[member, other]);
                Call::SyncGroup(call)
            }
            5 => Call::Heartbeat(heartbeat(&group, &member, generation)),
            6 => {
                let mut call = leave(&group, std::slice::from_ref(&member));
                call.member_id = member;
                let by_name = MemberIdentity {
                    group_instance_id: self.instance(),
                    ..MemberIdentity::default()
                };
                call.members.push(by_name);
                Call::LeaveGroup(call)
            }
            7 => {
                let mut call = commit(&group, &member, generation, self.long());
                call.group_instance_id = self.instance();
                call.retention_time_ms = self.long();
                call.topics[0].partitions[0].partition_index = self.number();
                call.topics[0].partitions[0].committed_metadata = Some(self.text());
                call.topics
                    .push(commit_topic("t", &[(0, self.long()), (0, 1)]));
                Call::OffsetCommit(call)
            }
            8 => {
                let partition_indexes = vec![self.number(), 0];
                let topic = OffsetFetchRequestTopics {
                    name: "t".into(),
                    topic_id: Uuid::ZERO,
                    partition_indexes,
                };
                fetch(&group, self.pick(&[None, Some(vec![topic])]))
            }
            9 => offset_delete(&group, "t", self.number()),
            _ => {
                let name = self.text();
                self.pick(&[
                    Call::DescribeGroup(group.clone()),
                    Call::DeleteGroup(group.clone()),
                    Call::Tag(TagCall {
                        name,
                        group_id: group,
                        remove: false,
                    }),
                    Call::ListGroups {
                        states: vec!["Stable".into()],
                        types: vec![],
                    },
                ])
            }
        }
    }
}

fn run(seed: u64) {
    let mut nonsense = Nonsense {
        rng: Rng::new(seed),
        ids: Vec::new(),
    };
    let max = nonsense.pick(&[0, 1, 2, i32::MAX]);
    let config = GroupConfig {
        group_max_size: max,
        ..GroupConfig::default()
    };
    let mut shard = GroupShard::new(config.clone(), seed.into());
    let mut shadow = GroupShard::new(config, 0);
    let mut waiting = BTreeSet::new();
    let mut keys: Vec<TimerKey> = Vec::new();
    let client = Client {
        client_id: nonsense.text(),
        ..Client::default()
    };
    let mut now_ms = 1_000_000;
    for to in (0..2_000).map(ReplyTo) {
        now_ms += nonsense.pick(&[0, 1, 500, 3_000, 60_000]);
        let mut out = Output::default();
        match nonsense.rng.between(0, 9) {
            0 if !keys.is_empty() => shard.timer(now_ms, &nonsense.pick(&keys), &mut out),
            1 if nonsense.rng.one_in(20) => shard.expire_offsets(now_ms, &mut out),
            1 if nonsense.rng.one_in(20) => {
                shard.topics_deleted(&[("t".into(), Uuid::ZERO)], &mut out)
            }
            _ => {
                waiting.insert(to);
                let api_version = nonsense.rng.between(0, 10) as i16;
                let ctx = Context {
                    now_ms,
                    client: &client,
                    api_version,
                };
                shard.step(&ctx, to, nonsense.call(), &mut out);
            }
        }
        for record in out.records.iter() {
            shadow
                .replay(now_ms, record.key, record.value, record.headers)
                .unwrap();
        }
        for effect in out.effects {
            match effect {
                Effect::SetTimer { key, .. } => keys.push(key),
                Effect::CancelTimer { .. } | Effect::Notice(_) => {}
                Effect::Reply { to, reply } => {
                    assert!(waiting.remove(&to), "{to:?} was answered twice");
                    if let Reply::JoinGroup(response) = reply {
                        nonsense.ids.push(response.member_id);
                    }
                }
            }
        }
        assert_eq!(shard.dump_records(), shadow.dump_records(), "seed {seed}");
    }
    let mut out = Output::default();
    shard.unload(ErrorCode::NotCoordinator, &mut out);
    for effect in out.effects {
        if let Effect::Reply { to, .. } = effect {
            assert!(waiting.remove(&to), "{to:?} was answered twice");
        }
    }
    assert!(
        waiting.is_empty(),
        "seed {seed}: never answered: {waiting:?}"
    );
}

#[test]
fn nonsense_never_panics_and_everyone_is_answered_exactly_once() {
    for seed in 0..60 {
        run(seed);
    }
}

#[test]
fn damaged_records_are_refused_or_read_but_never_panic() {
    let mut rng = Rng::new(1);
    let mut driver = crate::consumers::driver();
    let members = driver.stable("g", 3);
    driver.commit(commit("g", &members[0], 1, 5));
    for member in ["a", "b"] {
        driver.beat(crate::consumers::joining("c", member));
    }
    for _ in 0..20_000 {
        let at = rng.between(0, driver.log.len() as i64 - 1) as usize;
        let record = &driver.log[at].1;
        let mut key = record.key.to_vec();
        let mut value = record.value.as_ref().unwrap().to_vec();
        for _ in 0..rng.between(1, 4) {
            let bytes = if rng.one_in(3) { &mut key } else { &mut value };
            let index = rng.between(0, bytes.len() as i64 - 1) as usize;
            bytes[index] = rng.next() as u8;
            if rng.one_in(4) {
                bytes.truncate(index);
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
        let mut shard = GroupShard::new(GroupConfig::default(), 1);
        // Whatever is read must also be able to live.
        if shard.replay(0, &key, Some(&value), &[]).is_ok() {
            shard.set_metadata(crate::consumers::image(1, &[("t", 1, 6)]));
            let mut out = Output::default();
            shard.loaded(1_000_000, &mut out);
            shard.expire_offsets(i64::MAX, &mut out);
            shard.dump_records();
        }
    }
}
