//! A group changes its protocol while it has members: classic to consumer when the first consumer of the new protocol
//! joins, and back when the last one goes.

use bytes::Bytes;
use catchword_wire::{ErrorCode, Str};

use super::classic_member::first_protocol;
use super::fence::cancel_timers;
use super::member::{ClassicSide, Current, Member, Said, at_epoch};
use super::{ConsumerGroup, Env, Refused, protocol};
use crate::assignor::Partitions;
use crate::config::GroupConfig;
use crate::group::Scope;
use crate::group::classic::ClassicGroup;
use crate::group::member::Member as ClassicMember;
use crate::record::headers::{Cause, because};
use crate::record::writer::RecordWriter;
use crate::record::{consumer::Writer, group_metadata_tombstone};
use crate::timer::Deadline;

impl ConsumerGroup {
    /// The consumer group that a classic one with members becomes. Its members go on in the classic protocol, with what
    /// they have; those that wait for something are told to rejoin.
    pub(crate) fn from_classic(
        classic: &mut ClassicGroup,
        env: &Env<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<ConsumerGroup, Refused> {
        let refuse = |why| Err((ErrorCode::GroupIdNotFound, why));
        let config = &scope.config.consumer;
        if !config.migration_policy.may_upgrade() {
            return refuse(
                "the group is a classic one, and group.consumer.migration.policy does not let it change",
            );
        } else if !classic.uses_consumer_protocol() {
            return refuse("the group is a classic one, and not of consumers");
        } else if classic.members().count() > config.max_size {
            return refuse("the group has more members than group.consumer.max.size allows");
        }
        let mut group = ConsumerGroup::new(classic.id().clone());
        group.epoch = classic.generation();
        group.assignment_epoch = classic.generation();
        for member in classic.members() {
            let Some((said, target)) = read_member(member, classic.protocol_name(), env) else {
                return refuse(
                    "the group is a classic one of a custom assignor, whose data cannot be carried over",
                );
            };
            group.adopt(&member.id, said, target);
        }
        group.metadata_hash = env.image.hash_of(group.subscribed().into_iter());
        group.seen_version = Some(env.image.version());
        classic.end(scope.out);
        group_metadata_tombstone(&group.id, &because(Cause::Rebalance), scope.out);
        group.write(&mut group.writer(scope.out));
        group.loaded(env, scope);
        Ok(group)
    }

    fn adopt(&mut self, id: &Str, said: Said, mut target: Partitions) {
        // Kafka's leaders give no partition to two members; if one does, the first has it.
        for (topic, partitions) in &mut target {
            partitions.retain(|partition| !self.owners.contains_key(&(*topic, *partition)));
        }
        target.retain(|_, partitions| !partitions.is_empty());
        let current = Current {
            epoch: self.epoch,
            previous_epoch: self.epoch,
            assigned: at_epoch(&target, self.epoch),
            ..Current::default()
        };
        self.members.insert(id.clone(), Member::new(id));
        self.put_said(id, said);
        self.put_current(id, current);
        self.targets.insert(id.clone(), target);
    }

    /// Whether the group is to be a classic one once these members are gone.
    pub(crate) fn becomes_classic_without(&self, leaving: &[Str], config: &GroupConfig) -> bool {
        let left = self.members.len() - leaving.len();
        let is_leaving = |m: &&Member| leaving.contains(&m.id);
        let classic_leaving = self
            .members
            .values()
            .filter(is_leaving)
            .filter(|m| m.is_classic());
        let classic_left = self.classic_members - classic_leaving.count();
        left > 0 && classic_left == left && may_be_classic(left, config)
    }

    /// Whether the group is to be a classic one as it is.
    pub(crate) fn becomes_classic(&self, config: &GroupConfig) -> bool {
        may_be_classic(self.members.len(), config)
    }

    /// The classic group that this one becomes without the members that leave. `None` if a member's words cannot be read.
    pub(crate) fn make_classic(
        &mut self,
        leaving: &[Str],
        env: &Env<'_>,
        scope: &mut Scope<'_>,
    ) -> Option<ClassicGroup> {
        let mut members = Vec::with_capacity(self.members.len());
        for member in self.members.values().filter(|m| !leaving.contains(&m.id)) {
            let first = first_protocol(member)?;
            let side = member.said.classic.as_ref()?;
            let target = self.targets.get(&member.id).into_iter().flatten();
            let target = target.map(|(topic, of)| (*topic, of.iter().copied().collect()));
            members.push(ClassicMember {
                id: member.id.clone(),
                instance_id: member.said.instance_id.clone(),
                client_id: member.said.client_id.clone(),
                client_host: member.said.client_host.clone(),
                rebalance_timeout_ms: member.said.rebalance_timeout_ms,
                session_timeout_ms: side.session_timeout_ms,
                protocols: side.protocols.clone(),
                assignment: protocol::write_assignment(target, env.image, &first.metadata),
                awaiting_join: None,
                awaiting_sync: None,
                is_new: false,
                session: Deadline::default(),
            });
        }
        for member in self.members.values_mut() {
            cancel_timers(&self.id, member, scope.out);
        }
        self.write_tombstones(&mut self.writer(scope.out));
        Some(ClassicGroup::from_consumer(
            self.id.clone(),
            self.epoch,
            members,
            scope,
        ))
    }

    /// Whether targets are still to be made for the present epoch.
    pub(crate) fn is_assigning(&self) -> bool {
        self.assignment_epoch < self.epoch
    }

    /// Takes all records of the group away.
    pub(crate) fn end(
        &mut self,
        headers: &crate::effect::Headers,
        out: &mut crate::effect::Output,
    ) {
        for member in self.members.values_mut() {
            cancel_timers(&self.id, member, out);
        }
        let mut writer = Writer(RecordWriter {
            group_id: &self.id,
            headers: headers.clone(),
            out,
        });
        self.write_tombstones(&mut writer);
    }
}

fn may_be_classic(members: usize, config: &GroupConfig) -> bool {
    let max = usize::try_from(config.group_max_size).unwrap_or(0);
    config.consumer.migration_policy.may_downgrade() && members <= max
}

fn read_member(
    member: &ClassicMember,
    protocol_name: Option<&Str>,
    env: &Env<'_>,
) -> Option<(Said, Partitions)> {
    let chosen = protocol_name.and_then(|name| member.metadata(name));
    let first = || member.protocols.first().map(|protocol| &protocol.metadata);
    let metadata: &Bytes = chosen.or_else(first)?;
    let subscription = protocol::subscription(metadata)?;
    let said = Said {
        instance_id: member.instance_id.clone(),
        rack_id: subscription
            .rack_id
            .filter(|rack| !rack.is_empty())
            .map(|r| r.detached()),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        topics: subscription.topics.iter().map(Str::detached).collect(),
        regex: Str::EMPTY,
        assignor: None,
        classic: Some(ClassicSide {
            session_timeout_ms: member.session_timeout_ms,
            protocols: member.protocols.clone(),
        }),
    };
    Some((said, protocol::assignment(&member.assignment, env.image)?))
}
