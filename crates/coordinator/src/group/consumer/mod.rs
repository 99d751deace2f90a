//! A consumer group of KIP-848: the coordinator decides who reads what, and members are led there one heartbeat at a time.
//!
//! Three epochs. The *group epoch* counts changes of what there is to share: members, subscriptions, topics. The
//! *assignment epoch* is the group epoch for which targets were last computed. A *member epoch* is the assignment epoch to
//! which the member has come. A partition goes to its new owner only when the one before has said that it gave it up.
//!
//! Members say things in `heartbeat` (and, where they speak the classic protocol, in `classic_member`), are led to their
//! target in `reconcile`, targets are made in `target`, `fence` takes members out, `migrate` turns the group from and into
//! a classic one, `load` is its form in the log.
//!
//! Invariants: each partition has one owner at most, who has it in its assigned or its revoking ones; a static name leads
//! to a member; nothing here fails once it has begun to change the group.

mod classic_member;
mod commit;
mod describe;
mod fence;
mod heartbeat;
mod load;
mod member;
mod migrate;
mod protocol;
mod reconcile;
mod regex;
mod subscribe;
mod target;

use std::collections::{BTreeMap, BTreeSet};

use catchword_wire::records::{
    ConsumerGroupMetadataValue, ConsumerGroupTargetAssignmentMetadataValue,
};
use catchword_wire::{Str, Uuid};

use super::{Env, Members, Refused, Scope};
use crate::assignor::Partitions;
use crate::effect::{Headers, Output};
use crate::metadata::MetadataImage;
use crate::offsets::Expiry;
use crate::record::consumer::Writer;
use crate::record::headers::{Cause, because};
use crate::record::writer::RecordWriter;
use crate::timer::{TimerKey, TimerKind};
pub(crate) use describe::describe_unknown;
pub(crate) use heartbeat::validate;
use member::{Current, Member, Said};
pub(crate) use protocol::claims_partitions;
use regex::Resolved;
pub(crate) use regex::compile as compile_regex;

/// The state of a consumer group.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerGroup {
    id: Str,
    epoch: i32,
    /// Of the topics that the members read, as they were when the epoch began.
    metadata_hash: i64,
    assignment_epoch: i32,
    /// When targets were last made, or when the last member went.
    assigned_at_ms: i64,
    members: Members<Member>,
    /// Group instance id to member id.
    static_members: BTreeMap<Str, Str>,
    targets: BTreeMap<Str, Partitions>,
    owners: BTreeMap<(Uuid, i32), Str>,
    regexes: BTreeMap<Str, Resolved>,
    /// There is a record of topics such as brokers before 4.1 wrote.
    has_partitions_record: bool,

    /// How many members are subscribed to each topic by name, and to each regular expression.
    names: BTreeMap<Str, usize>,
    patterns: BTreeMap<Str, usize>,
    /// How many members speak the classic protocol.
    classic_members: usize,
    /// The image that the hash was last compared with, and the one that the expressions were resolved with, and when.
    seen_version: Option<u64>,
    resolved_version: Option<u64>,
    resolved_at_ms: i64,
}

impl ConsumerGroup {
    pub(crate) fn new(id: Str) -> ConsumerGroup {
        ConsumerGroup {
            id,
            // As Kafka counts: the first members begin epoch 2.
            epoch: 1,
            metadata_hash: 0,
            assignment_epoch: 0,
            assigned_at_ms: 0,
            members: Members::default(),
            static_members: BTreeMap::new(),
            targets: BTreeMap::new(),
            owners: BTreeMap::new(),
            regexes: BTreeMap::new(),
            has_partitions_record: false,
            names: BTreeMap::new(),
            patterns: BTreeMap::new(),
            classic_members: 0,
            seen_version: None,
            resolved_version: None,
            resolved_at_ms: i64::MIN,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether a member may be reading the topic.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        self.names.contains_key(topic) || self.regexes.values().any(|r| r.topics.contains(topic))
    }

    /// Since when nobody reads what is not subscribed to. A topic that was given up was given up before the targets were
    /// made anew; and when the last member goes, the moment is kept in the same place.
    pub(crate) fn expiry(&self) -> Expiry {
        Expiry::UnreadSince(self.assigned_at_ms)
    }

    fn writer<'a>(&'a self, out: &'a mut Output) -> Writer<'a> {
        let headers: Headers = because(Cause::Rebalance);
        Writer(RecordWriter {
            group_id: &self.id,
            headers,
            out,
        })
    }

    fn key(&self, kind: TimerKind) -> TimerKey {
        TimerKey {
            group_id: self.id.clone(),
            kind,
        }
    }

    /// Takes over what a member says of itself. The member must be there.
    fn put_said(&mut self, member_id: &str, said: Said) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        let before = std::mem::replace(&mut member.said, said);
        let (id, said) = (member.id.clone(), member.said.clone());
        self.uncount(&id, &before);
        self.count(&id, &said);
    }

    fn count(&mut self, member_id: &Str, said: &Said) {
        for name in &said.topics {
            *self.names.entry(name.clone()).or_default() += 1;
        }
        if !said.regex.is_empty() {
            *self.patterns.entry(said.regex.clone()).or_default() += 1;
        }
        if let Some(name) = &said.instance_id {
            self.static_members.insert(name.clone(), member_id.clone());
        }
        self.classic_members += usize::from(said.classic.is_some());
    }

    fn uncount(&mut self, member_id: &Str, said: &Said) {
        for name in &said.topics {
            decrement(&mut self.names, name);
        }
        if !said.regex.is_empty() {
            decrement(&mut self.patterns, &said.regex);
        }
        if let Some(name) = &said.instance_id
            && self.static_members.get(name) == Some(member_id)
        {
            self.static_members.remove(name);
        }
        self.classic_members -= usize::from(said.classic.is_some());
    }

    /// Takes over what a member has. The member must be there.
    fn put_current(&mut self, member_id: &str, current: Current) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        let before = std::mem::replace(&mut member.current, current);
        for partition in before.partitions() {
            if self.owners.get(&partition) == Some(&member.id) {
                self.owners.remove(&partition);
            }
        }
        for partition in member.current.partitions() {
            self.owners.insert(partition, member.id.clone());
        }
    }

    /// Takes a member out, with all that is counted of it.
    fn take_member(&mut self, member_id: &str) -> Option<Member> {
        self.put_current(member_id, Current::default());
        let member = self.members.remove(member_id)?;
        self.uncount(&member.id, &member.said);
        Some(member)
    }

    /// The topics that the members read, each once, in order.
    fn subscribed(&self) -> BTreeSet<&Str> {
        let by_regex = self.regexes.values().flat_map(|r| r.topics.iter());
        self.names.keys().chain(by_regex).collect()
    }

    /// Begins a new group epoch if `must`, or if topics have changed since the last.
    fn maybe_bump(&mut self, must: bool, image: &MetadataImage, out: &mut Output) {
        if !must && self.seen_version == Some(image.version()) {
            return;
        }
        self.seen_version = Some(image.version());
        let hash = image.hash_of(self.subscribed().into_iter());
        if must || hash != self.metadata_hash {
            self.epoch = self.epoch.saturating_add(1);
            self.metadata_hash = hash;
            self.write_group(out);
        }
        if std::mem::take(&mut self.has_partitions_record) {
            self.writer(out).no_partitions();
        }
    }

    fn write_group(&self, out: &mut Output) {
        let value = ConsumerGroupMetadataValue {
            epoch: self.epoch,
            metadata_hash: self.metadata_hash,
        };
        self.writer(out).group(Some(&value));
    }

    fn write_target_epoch(&self, out: &mut Output) {
        let value = ConsumerGroupTargetAssignmentMetadataValue {
            assignment_epoch: self.assignment_epoch,
            assignment_timestamp: self.assigned_at_ms,
        };
        self.writer(out).target_epoch(Some(&value));
    }

    /// Gives a member its session anew.
    fn restart_session(&mut self, member_id: &str, env: &Env<'_>, scope: &mut Scope<'_>) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        let classic = member.said.classic.as_ref();
        let timeout_ms = classic.map_or(env.settings.session_timeout_ms, |c| c.session_timeout_ms);
        let key = || TimerKey {
            group_id: self.id.clone(),
            kind: TimerKind::Session(member.id.clone()),
        };
        member.session.set(scope.after(timeout_ms), key, scope.out);
    }
}

fn decrement(counts: &mut BTreeMap<Str, usize>, of: &Str) {
    if let Some(count) = counts.get_mut(of) {
        *count -= 1;
        if *count == 0 {
            counts.remove(of);
        }
    }
}
