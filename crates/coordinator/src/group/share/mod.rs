//! The membership of a share group (KIP-932): who may take records from which partitions.
//!
//! Epochs are those of a consumer group. But a partition may have many members, and nobody has to give one up before
//! another may have it: so a member that heartbeats is at its target at once. Which records it gets is not decided here
//! (see `crate::share`).
//!
//! A step stands here, targets are made in `assign`, `log` is the group's form in the log, `describe` how it looks.
//!
//! Invariant: nothing here fails once it has begun to change the group.

mod assign;
mod describe;
mod log;

use std::collections::{BTreeMap, BTreeSet};

use catchword_wire::messages::share_group_heartbeat_response::{Assignment, TopicPartitions};
use catchword_wire::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};
use catchword_wire::{ErrorCode, Str};

use super::{Env, Members, Refused, Scope, fits_record};
use crate::assignor::Partitions;
use crate::call::Context;
use crate::effect::Output;
use crate::metadata::MetadataImage;
use crate::timer::{Deadline, TimerKey, TimerKind};
pub(crate) use describe::describe_unknown;

/// The epoch of a member that leaves.
pub(crate) const LEFT: i32 = -1;

#[derive(Debug, Clone, Default)]
struct Member {
    rack_id: Option<Str>,
    client_id: Str,
    client_host: Str,
    topics: BTreeSet<Str>,
    epoch: i32,
    previous_epoch: i32,
    assigned: Partitions,
    session: Deadline,
}

/// The state of a share group.
#[derive(Debug, Clone)]
pub(crate) struct ShareGroup {
    id: Str,
    epoch: i32,
    /// Of the topics that the members read, as they were when the epoch began.
    metadata_hash: i64,
    assignment_epoch: i32,
    assigned_at_ms: i64,
    members: Members<Member>,
    targets: BTreeMap<Str, Partitions>,
    /// The image that the hash was last compared with.
    seen_version: Option<u64>,
}

/// What can be checked without the group.
pub(crate) fn validate(request: &ShareGroupHeartbeatRequest) -> Result<(), Refused> {
    let invalid = |why| Err((ErrorCode::InvalidRequest, why));
    if request.member_id.trim().is_empty() || request.group_id.trim().is_empty() {
        return invalid("the member id or the group id is missing");
    }
    if request
        .rack_id
        .as_ref()
        .is_some_and(|rack| rack.trim().is_empty())
    {
        return invalid("the rack id is blank");
    }
    let names = request
        .subscribed_topic_names
        .as_deref()
        .unwrap_or_default();
    if request.member_epoch == 0 && names.is_empty() {
        return invalid("who joins must say what it subscribes to");
    }
    if request.member_epoch < LEFT {
        return invalid("there is no such member epoch");
    }
    let texts = [&request.member_id, &request.group_id];
    if !texts
        .into_iter()
        .chain(&request.rack_id)
        .chain(names)
        .all(|text| fits_record(text))
    {
        return invalid("a text is too long");
    }
    Ok(())
}

impl ShareGroup {
    pub(crate) fn new(id: Str) -> ShareGroup {
        ShareGroup {
            id,
            epoch: 0,
            metadata_hash: 0,
            assignment_epoch: 0,
            assigned_at_ms: 0,
            members: Members::default(),
            targets: BTreeMap::new(),
            seen_version: None,
        }
    }

    pub(crate) fn has_member(&self, member_id: &str) -> bool {
        self.members.contains_key(member_id)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        self.members
            .values()
            .any(|member| member.topics.contains(topic))
    }

    /// A member is alive, joins, or says what it reads now.
    pub(crate) fn heartbeat(
        &mut self,
        ctx: &Context<'_>,
        request: &ShareGroupHeartbeatRequest,
        env: &Env<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<ShareGroupHeartbeatResponse, Refused> {
        self.check_epoch(request, scope)?;
        let id = request.member_id.detached();
        let is_new = !self.members.contains_key(&id);
        let member = self.members.or_default(id.clone());
        let said = (
            member.rack_id.clone(),
            member.client_id.clone(),
            member.client_host.clone(),
        );
        let before = member.topics.clone();
        if let Some(rack_id) = &request.rack_id {
            member.rack_id = Some(rack_id.detached());
        }
        if let Some(names) = &request.subscribed_topic_names {
            member.topics = names.iter().map(Str::detached).collect();
        }
        member.client_id = ctx.client.client_id.detached();
        member.client_host = ctx.client.client_host.detached();
        let resubscribed = is_new || member.topics != before;
        let now = (
            member.rack_id.clone(),
            member.client_id.clone(),
            member.client_host.clone(),
        );
        if resubscribed || said != now {
            self.write_member(&id, scope.out);
        }
        self.maybe_bump(resubscribed, env.image, scope.out);
        if self.epoch > self.assignment_epoch {
            self.assign(env.image, scope);
        }
        let moved = self.reconcile(&id, scope.out);
        self.restart_session(&id, env, scope);
        let full = request.member_epoch == 0 || request.subscribed_topic_names.is_some();
        let member = &self.members[&id];
        Ok(ShareGroupHeartbeatResponse {
            member_id: Some(id.clone()),
            member_epoch: member.epoch,
            heartbeat_interval_ms: env.settings.share_heartbeat_interval_ms,
            assignment: (full || moved).then(|| assignment(&member.assigned)),
            ..ShareGroupHeartbeatResponse::default()
        })
    }

    fn check_epoch(
        &self,
        request: &ShareGroupHeartbeatRequest,
        scope: &Scope<'_>,
    ) -> Result<(), Refused> {
        let Some(member) = self.members.get(&request.member_id) else {
            if request.member_epoch != 0 {
                return Err((ErrorCode::UnknownMemberId, "the group has no such member"));
            }
            if self.members.len() >= scope.config.share_max_size {
                return Err((ErrorCode::GroupMaxSizeReached, "the group is full"));
            }
            return Ok(());
        };
        // 0 joins anew; the epoch before is that of a member to whom an answer was lost.
        let known = [0, member.epoch, member.previous_epoch];
        if known.contains(&request.member_epoch) {
            return Ok(());
        }
        Err((
            ErrorCode::FencedMemberEpoch,
            "the member epoch is not the one that the group knows",
        ))
    }

    /// A member says that it leaves.
    pub(crate) fn leave(
        &mut self,
        member_id: &Str,
        env: &Env<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<ShareGroupHeartbeatResponse, Refused> {
        if !self.members.contains_key(member_id) {
            return Err((ErrorCode::UnknownMemberId, "the group has no such member"));
        }
        self.remove(member_id, env, scope);
        Ok(ShareGroupHeartbeatResponse {
            member_id: Some(member_id.clone()),
            member_epoch: LEFT,
            ..ShareGroupHeartbeatResponse::default()
        })
    }

    /// Takes a member out.
    pub(crate) fn remove(&mut self, member_id: &str, env: &Env<'_>, scope: &mut Scope<'_>) {
        let Some((id, mut member)) = self.members.remove_entry(member_id) else {
            return;
        };
        let key = self.session_key(&id);
        member.session.cancel(|| key, scope.out);
        self.targets.remove(&id);
        self.write_removed(&id, scope.out);
        self.maybe_bump(true, env.image, scope.out);
    }

    /// A timer fired: the member to take out, if its time is really over.
    pub(crate) fn timer(&mut self, kind: &TimerKind, scope: &mut Scope<'_>) -> Option<Str> {
        let TimerKind::Session(id) = kind else {
            return None;
        };
        let key = self.session_key(id);
        let member = self.members.get_mut(id)?;
        let is_over = member.session.fired(scope.now_ms, || key, scope.out);
        is_over.then(|| id.clone())
    }

    /// The log has been read: members are given their time, from now.
    pub(crate) fn loaded(&mut self, env: &Env<'_>, scope: &mut Scope<'_>) {
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            self.restart_session(&id, env, scope);
        }
    }

    /// Begins a new group epoch if `must`, or if topics have changed since the last.
    fn maybe_bump(&mut self, must: bool, image: &MetadataImage, out: &mut Output) {
        if !must && self.seen_version == Some(image.version()) {
            return;
        }
        self.seen_version = Some(image.version());
        let topics = self.members.values().flat_map(|member| &member.topics);
        let topics: BTreeSet<&Str> = topics.collect();
        let hash = image.hash_of(topics.into_iter());
        if must || hash != self.metadata_hash {
            self.epoch = self.epoch.saturating_add(1);
            self.metadata_hash = hash;
            self.write_group(out);
        }
    }

    /// Leads a member to its target. Whether that changed what it has.
    fn reconcile(&mut self, id: &Str, out: &mut Output) -> bool {
        let target = self.targets.get(id).cloned().unwrap_or_default();
        let Some(member) = self.members.get_mut(id) else {
            return false;
        };
        if member.epoch == self.assignment_epoch {
            return false;
        }
        member.previous_epoch = member.epoch;
        member.epoch = self.assignment_epoch;
        let moved = member.assigned != target;
        member.assigned = target;
        self.write_current(id, out);
        moved
    }

    fn session_key(&self, member_id: &Str) -> TimerKey {
        TimerKey {
            group_id: self.id.clone(),
            kind: TimerKind::Session(member_id.clone()),
        }
    }

    fn restart_session(&mut self, id: &Str, env: &Env<'_>, scope: &mut Scope<'_>) {
        let key = self.session_key(id);
        let at_ms = scope.after(env.settings.share_session_timeout_ms);
        if let Some(member) = self.members.get_mut(id) {
            member.session.set(at_ms, || key, scope.out);
        }
    }
}

fn assignment(assigned: &Partitions) -> Assignment {
    let topics = assigned
        .iter()
        .map(|(topic_id, partitions)| TopicPartitions {
            topic_id: *topic_id,
            partitions: partitions.iter().copied().collect(),
        });
    Assignment {
        topic_partitions: topics.collect(),
    }
}
