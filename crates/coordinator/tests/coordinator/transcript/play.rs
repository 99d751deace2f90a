//! Commands of a story, and who is who.

use std::collections::BTreeMap;

use catchword_coordinator::{Call, Effect, Output, Reply, ReplyTo};
use catchword_wire::messages::leave_group_request::MemberIdentity;
use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestTopics;
use catchword_wire::messages::sync_group_request::SyncGroupRequestAssignment;
use catchword_wire::{Str, Uuid};

use super::show::{show_effect, show_record};
use crate::driver::*;

/// Someone in the story.
#[derive(Debug, Default, Clone)]
struct Person {
    member_id: Str,
    generation: i32,
    instance_id: Option<Str>,
}

/// A story so far.
pub(super) struct Story {
    driver: Driver,
    people: BTreeMap<String, Person>,
    /// Member ids as they are shown.
    pub(super) shown: BTreeMap<Str, String>,
    asked: BTreeMap<ReplyTo, String>,
}

/// A command's words.
struct Words<'a> {
    plain: Vec<&'a str>,
    settings: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    fn of(line: &'a str) -> Words<'a> {
        let mut words = Words {
            plain: Vec::new(),
            settings: Vec::new(),
        };
        for word in line.split_whitespace() {
            match word.split_once('=') {
                Some(setting) => words.settings.push(setting),
                None => words.plain.push(word),
            }
        }
        words
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.settings
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    }

    fn number(&self, name: &str, default: i64) -> i64 {
        self.get(name).map_or(default, |text| text.parse().unwrap())
    }

    fn millis(&self, name: &str, default: i64) -> i64 {
        self.get(name).map_or(default, millis)
    }

    fn list(&self, name: &str, default: &'a str) -> Vec<&'a str> {
        let text = self.get(name).unwrap_or(default);
        text.split(',').filter(|item| !item.is_empty()).collect()
    }
}

/// `10s`, `7d`, `500ms`.
fn millis(text: &str) -> i64 {
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit())
        .expect("a time has a unit");
    let unit = match &text[unit_at..] {
        "ms" => 1,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        "d" => DAY,
        other => panic!("no unit of time: {other}"),
    };
    text[..unit_at].parse::<i64>().unwrap() * unit
}

/// `t:0`
fn place(text: &str) -> (&str, i32) {
    let (topic, partition) = text.split_once(':').expect("a place is TOPIC:PARTITION");
    (topic, partition.parse().unwrap())
}

impl Story {
    pub(super) fn new() -> Story {
        Story {
            driver: Driver::new(),
            people: BTreeMap::new(),
            shown: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }

    /// Plays a command and says what came of it.
    pub(super) fn play(&mut self, line: &str) -> Vec<String> {
        let words = Words::of(line);
        let group = words.plain.get(1).copied().unwrap_or_default();
        match words.plain[0] {
            "join" => self.join(group, &words),
            "sync" => self.sync(group, &words),
            "heartbeat" => {
                let (name, person) = self.person(&words);
                let generation = words.number("gen", person.generation.into()) as i32;
                let mut call = heartbeat(group, &person.member_id, generation);
                call.group_instance_id = person.instance_id;
                self.call(&name, 4, Call::Heartbeat(call))
            }
            "leave" => self.leave(group, &words),
            "commit" => self.commit(group, &words),
            "fetch" => self.call("", 9, fetch(group, topics(&words.plain[2..]))),
            "delete-offset" => {
                let (topic, partition) = place(words.plain[2]);
                let mut call = offset_delete(group, "", partition);
                if let Call::OffsetDelete(request) = &mut call {
                    request.topics[0].name = Str::copy(topic);
                }
                self.call("", 0, call)
            }
            "delete" => self.call("", 2, Call::DeleteGroup(Str::copy(group))),
            "describe" => self.call("", 6, Call::DescribeGroup(Str::copy(group))),
            "list" => {
                let texts = |name| words.list(name, "").into_iter().map(Str::copy).collect();
                let call = Call::ListGroups {
                    states: texts("states"),
                    types: texts("types"),
                };
                self.call("", 5, call)
            }
            "tick" => self.tick(millis(group)),
            "sweep" => self.act(|driver, out| driver.shard.expire_offsets(driver.now_ms, out)),
            "touch" => self.act(|driver, _| driver.shard.touch(group, driver.now_ms)),
            "topic-deleted" => {
                let topic = [(Str::copy(group), Uuid::ZERO)];
                self.act(|driver, out| driver.shard.topics_deleted(&topic, out))
            }
            "restart" => {
                self.driver.restart();
                let effects = self.driver.last_effects.clone();
                self.show(self.driver.log.len(), &effects)
            }
            "dump" => {
                let records = self.driver.shard.dump_records();
                records
                    .iter()
                    .map(|record| show_record(record, &self.shown))
                    .collect()
            }
            other => panic!("no such command: {other}"),
        }
    }

    fn person(&mut self, words: &Words<'_>) -> (String, Person) {
        let name = words.plain[2].to_owned();
        (name.clone(), self.people.entry(name).or_default().clone())
    }

    fn join(&mut self, group: &str, words: &Words<'_>) -> Vec<String> {
        let (name, mut person) = self.person(words);
        if let Some(instance_id) = words.get("static") {
            person.instance_id = Some(Str::copy(instance_id));
            self.people.insert(name.clone(), person.clone());
        }
        let mut request = join(group, &person.member_id);
        request.group_instance_id = person.instance_id;
        request.session_timeout_ms = words.millis("session", 10_000) as i32;
        request.rebalance_timeout_ms = words.millis("rebalance", 60_000) as i32;
        request.protocols = protocols(
            &words.list("protocols", "range"),
            &words.list("topics", "t"),
        );
        self.driver.client.client_id = Str::copy(&name);
        self.call(&name, words.number("v", 9) as i16, Call::JoinGroup(request))
    }

    fn sync(&mut self, group: &str, words: &Words<'_>) -> Vec<String> {
        let (name, person) = self.person(words);
        let generation = words.number("gen", person.generation.into()) as i32;
        let mut request = sync(group, &person.member_id, generation);
        request.group_instance_id = person.instance_id;
        request.protocol_name = None;
        for (member, assignment) in &words.settings {
            if let Some(member) = self.people.get(*member) {
                request.assignments.push(SyncGroupRequestAssignment {
                    member_id: member.member_id.clone(),
                    assignment: bytes::Bytes::copy_from_slice(assignment.as_bytes()),
                });
            }
        }
        self.call(&name, 4, Call::SyncGroup(request))
    }

    fn leave(&mut self, group: &str, words: &Words<'_>) -> Vec<String> {
        let mut request = leave(group, &[]);
        for name in &words.plain[2..] {
            let person = self.people.entry((*name).to_owned()).or_default();
            request.members.push(MemberIdentity {
                member_id: std::mem::take(&mut person.member_id),
                group_instance_id: person.instance_id.clone(),
                reason: None,
            });
        }
        if let Some(instance_id) = words.get("static") {
            request.members.push(MemberIdentity {
                group_instance_id: Some(Str::copy(instance_id)),
                ..MemberIdentity::default()
            });
        }
        self.call(&words.plain[2..].join(" "), 5, Call::LeaveGroup(request))
    }

    fn commit(&mut self, group: &str, words: &Words<'_>) -> Vec<String> {
        let (name, person) = match words.plain[2] {
            "-" => (
                "-".to_owned(),
                Person {
                    generation: -1,
                    ..Person::default()
                },
            ),
            _ => self.person(words),
        };
        let generation = words.number("gen", person.generation.into()) as i32;
        let mut request = commit(group, &person.member_id, generation, 0);
        request.group_instance_id = person.instance_id;
        request.retention_time_ms = words.millis("retention", -1);
        request.topics.clear();
        for (key, offset) in &words.settings {
            if key.contains(':') {
                let (topic, partition) = place(key);
                let mut topic = commit_topic(topic, &[(partition, offset.parse().unwrap())]);
                let metadata = words.get("metadata").unwrap_or_default();
                topic.partitions[0].committed_metadata = Some(Str::copy(metadata));
                request.topics.push(topic);
            }
        }
        self.driver.client.client_id = Str::copy(&name);
        self.call(
            &name,
            words.number("v", 9) as i16,
            Call::OffsetCommit(request),
        )
    }

    fn tick(&mut self, ms: i64) -> Vec<String> {
        let end_ms = self.driver.now_ms + ms;
        let mut lines = Vec::new();
        loop {
            let next = self
                .driver
                .timers
                .values()
                .copied()
                .min()
                .filter(|at_ms| *at_ms <= end_ms);
            let Some(at_ms) = next else { break };
            let (before, passed) = (self.driver.log.len(), at_ms - self.driver.now_ms);
            let effects_before = self.driver.all_effects.len();
            self.driver.tick(passed.max(0));
            let effects = self.driver.all_effects[effects_before..].to_vec();
            lines.extend(self.show(before, &effects));
        }
        self.driver.now_ms = end_ms;
        lines
    }

    fn act(&mut self, act: impl FnOnce(&mut Driver, &mut Output)) -> Vec<String> {
        let before = self.driver.log.len();
        let mut out = Output::default();
        act(&mut self.driver, &mut out);
        self.driver.with_output(|_, _, given| *given = out);
        let effects = self.driver.last_effects.clone();
        self.show(before, &effects)
    }

    fn call(&mut self, name: &str, version: i16, call: Call) -> Vec<String> {
        let before = self.driver.log.len();
        let to = self.driver.call(version, call);
        self.asked.insert(to, name.to_owned());
        let effects = self.driver.last_effects.clone();
        self.show(before, &effects)
    }

    /// What came of a step; members learn what they are told.
    fn show(&mut self, records_from: usize, effects: &[Effect]) -> Vec<String> {
        for effect in effects {
            if let Effect::Reply {
                to,
                reply: Reply::JoinGroup(response),
            } = effect
            {
                self.learn(*to, response.member_id.clone(), response.generation_id);
            }
        }
        let records = self.driver.log[records_from..].iter();
        let mut lines: Vec<String> = records
            .map(|(_, record)| show_record(record.as_ref(), &self.shown))
            .collect();
        let now_ms = self.driver.now_ms;
        for effect in effects {
            lines.push(show_effect(effect, now_ms, &self.asked, &self.shown));
        }
        lines
    }

    fn learn(&mut self, to: ReplyTo, member_id: Str, generation: i32) {
        let name = self.asked[&to].clone();
        if !member_id.is_empty() && !self.shown.contains_key(&member_id) {
            let ids = self
                .shown
                .values()
                .filter(|s| s.split('/').next() == Some(&name))
                .count();
            self.shown
                .insert(member_id.clone(), format!("{name}/{}", ids + 1));
        }
        let person = self.people.entry(name).or_default();
        person.member_id = member_id;
        if generation >= 0 {
            person.generation = generation;
        }
    }
}

fn topics(words: &[&str]) -> Option<Vec<OffsetFetchRequestTopics>> {
    if words == ["all"] {
        return None;
    }
    let topic = |word: &&str| {
        let (topic, partition) = place(word);
        OffsetFetchRequestTopics {
            name: Str::copy(topic),
            topic_id: Uuid::ZERO,
            partition_indexes: vec![partition],
        }
    };
    Some(words.iter().map(topic).collect())
}
