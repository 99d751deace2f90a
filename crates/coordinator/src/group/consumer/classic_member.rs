//! Members of a consumer group that speak the classic protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.
//!
//! To such a member the group looks like a classic one whose leader is somebody else: its generation is its member epoch,
//! each join is a step of its reconciliation, each sync fetches what it has. A heartbeat tells it to rejoin.

use catchword_wire::messages::leave_group_request::MemberIdentity;
use catchword_wire::messages::leave_group_response::MemberResponse;
use catchword_wire::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use catchword_wire::{ErrorCode, Str};

use super::member::{ClassicSide, Member, MemberState, Said};
use super::subscribe::Newcomer;
use super::{ConsumerGroup, Env, protocol};
use crate::call::Context;
use crate::group::Scope;
use crate::group::classic::CONSUMER_PROTOCOL_TYPE;
use crate::group::member::{Protocol, detach};
use crate::timer::{TimerKey, TimerKind};

/// What a join led to.
pub(crate) struct Joined {
    pub(crate) response: JoinGroupResponse,
    /// The last member of the new protocol has just been replaced, so the group may become a classic one.
    pub(crate) all_classic: bool,
}

impl ConsumerGroup {
    /// A join of a member with an id, or of a static one. The group has members.
    pub(crate) fn join(
        &mut self,
        ctx: &Context<'_>,
        request: &JoinGroupRequest,
        member_id: &Str,
        env: &Env<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<Joined, ErrorCode> {
        let protocols = detach(&request.protocols);
        let first = protocols
            .first()
            .ok_or(ErrorCode::InconsistentGroupProtocol)?;
        let subscription = protocol::subscription(&first.metadata);
        let subscription = subscription.ok_or(ErrorCode::InconsistentGroupProtocol)?;
        let protocol_name = first.name.clone();
        let was_mixed = self.classic_members < self.members.len();
        let who = Newcomer {
            id: member_id,
            instance_id: request.group_instance_id.as_ref(),
            // A static member that has an id must be the one that is known.
            may_create: request.group_instance_id.is_none() || request.member_id.is_empty(),
            is_classic: true,
            epoch: 0,
            owned: None,
        };
        let is_new = self
            .subscribe(&who, scope.out)
            .map_err(|refused| refused.0)?;
        let before = &self.members[member_id].said;
        let detached = |text: &Option<Str>| text.as_ref().map(Str::detached);
        let rack_id = subscription.rack_id.clone().filter(|rack| !rack.is_empty());
        let said = Said {
            instance_id: detached(&request.group_instance_id).or(before.instance_id.clone()),
            rack_id: detached(&rack_id).or(before.rack_id.clone()),
            client_id: ctx.client.client_id.detached(),
            client_host: ctx.client.client_host.detached(),
            rebalance_timeout_ms: match ctx.api_version {
                0 => request.session_timeout_ms,
                _ => request.rebalance_timeout_ms,
            },
            topics: subscription.topics.iter().map(Str::detached).collect(),
            regex: Str::EMPTY,
            assignor: before.assignor.clone(),
            classic: Some(ClassicSide {
                session_timeout_ms: request.session_timeout_ms,
                protocols,
            }),
        };
        let changed = self.listen(member_id, said, is_new, env, scope);
        let all_classic = was_mixed && self.classic_members == self.members.len();
        // A group that becomes a classic one has its targets worked out by a member.
        if !all_classic {
            self.maybe_assign(env, scope);
        }
        let owned = protocol::owned(&subscription.owned_partitions, env.image);
        self.reconcile(member_id, changed, Some(&owned), env, scope);
        self.expect_sync(member_id, env, scope);
        Ok(Joined {
            response: JoinGroupResponse {
                member_id: member_id.clone(),
                generation_id: self.members[member_id].current.epoch,
                protocol_type: Some(CONSUMER_PROTOCOL_TYPE.into()),
                protocol_name: Some(protocol_name),
                ..JoinGroupResponse::default()
            },
            all_classic,
        })
    }

    /// What can be said of a join before it is known who it is.
    pub(crate) fn check_join(
        &self,
        request: &JoinGroupRequest,
        member_id: &str,
        scope: &Scope<'_>,
    ) -> Result<(), ErrorCode> {
        self.check_room(member_id, scope)
            .map_err(|refused| refused.0)?;
        let offered_by_all = |name: &Str| {
            let sides = self
                .members
                .values()
                .filter_map(|m| m.said.classic.as_ref());
            let offers = |side: &ClassicSide| side.protocols.iter().any(|p| p.name == *name);
            sides.into_iter().all(offers)
        };
        let is_consumer = request.protocol_type == CONSUMER_PROTOCOL_TYPE;
        match is_consumer && request.protocols.iter().any(|p| offered_by_all(&p.name)) {
            true => Ok(()),
            false => Err(ErrorCode::InconsistentGroupProtocol),
        }
    }

    /// It has joined, and is to fetch its assignment.
    fn expect_sync(&mut self, member_id: &Str, env: &Env<'_>, scope: &mut Scope<'_>) {
        self.restart_session(member_id, env, scope);
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        let key = |kind: fn(Str) -> TimerKind| TimerKey {
            group_id: self.id.clone(),
            kind: kind(member.id.clone()),
        };
        let at_ms = scope.after(member.rebalance_timeout_ms());
        member.join.cancel(|| key(TimerKind::MemberJoin), scope.out);
        member
            .sync
            .set(at_ms, || key(TimerKind::MemberSync), scope.out);
    }

    pub(crate) fn sync(
        &mut self,
        request: &SyncGroupRequest,
        env: &Env<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<SyncGroupResponse, ErrorCode> {
        let id = self.classic_caller(
            &request.member_id,
            request.group_instance_id.as_ref(),
            request.generation_id,
        )?;
        let member = &self.members[&id];
        let first = first_protocol(member).ok_or(ErrorCode::InconsistentGroupProtocol)?;
        let differs =
            |theirs: &Option<Str>, ours: &str| theirs.as_ref().is_some_and(|t| *t != ours);
        if differs(&request.protocol_type, CONSUMER_PROTOCOL_TYPE)
            || differs(&request.protocol_name, &first.name)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        // Who is to give something up has rejoined already, and does so again when it has.
        if self.assignment_epoch > member.current.epoch
            && member.current.state != MemberState::Unrevoked
        {
            self.expect_join(&id, scope);
            return Err(ErrorCode::RebalanceInProgress);
        }
        let assigned = member.current.assigned.iter();
        let partitions = assigned.map(|(topic, of)| (*topic, of.keys().copied().collect()));
        let assignment = protocol::write_assignment(partitions, env.image, &first.metadata);
        if let Some(member) = self.members.get_mut(&id) {
            let key = || TimerKey {
                group_id: self.id.clone(),
                kind: TimerKind::MemberSync(id.clone()),
            };
            member.sync.cancel(key, scope.out);
        }
        self.restart_session(&id, env, scope);
        Ok(SyncGroupResponse {
            protocol_type: request.protocol_type.clone(),
            protocol_name: request.protocol_name.clone(),
            assignment,
            ..SyncGroupResponse::default()
        })
    }

    /// The error to answer with, or none.
    pub(crate) fn classic_heartbeat(
        &mut self,
        request: &HeartbeatRequest,
        env: &Env<'_>,
        scope: &mut Scope<'_>,
    ) -> ErrorCode {
        let instance_id = request.group_instance_id.as_ref();
        let caller = self.classic_caller(&request.member_id, instance_id, request.generation_id);
        let id = match caller {
            Ok(id) => id,
            Err(error) => return error,
        };
        self.restart_session(&id, env, scope);
        let current = &self.members[&id].current;
        let must_rejoin = current.epoch < self.assignment_epoch
            || current.state == MemberState::Unrevoked
            || (current.state == MemberState::Unreleased && !self.waits_for_others(&id));
        if !must_rejoin {
            return ErrorCode::None;
        }
        self.expect_join(&id, scope);
        ErrorCode::RebalanceInProgress
    }

    /// Whether something that the member is to have is still somebody else's.
    fn waits_for_others(&self, member_id: &Str) -> bool {
        let target = self.targets.get(member_id).into_iter().flatten();
        let mut partitions = target.flat_map(|(topic, of)| of.iter().map(|p| (*topic, *p)));
        let is_taken = |partition| {
            let owner = self.owners.get(&partition);
            owner.is_some_and(|owner| owner != member_id)
        };
        partitions.any(is_taken)
    }

    /// It is told to rejoin, and has its rebalance timeout for it, from the first time it is told.
    fn expect_join(&mut self, member_id: &Str, scope: &mut Scope<'_>) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        if member.join.is_set() {
            return;
        }
        let key = || TimerKey {
            group_id: self.id.clone(),
            kind: TimerKind::MemberJoin(member_id.clone()),
        };
        let at_ms = scope.after(member.rebalance_timeout_ms());
        member.join.set(at_ms, key, scope.out);
    }

    /// The member that calls, if it is one of the classic protocol and of this generation.
    fn classic_caller(
        &self,
        member_id: &str,
        instance_id: Option<&Str>,
        generation: i32,
    ) -> Result<Str, ErrorCode> {
        let id = self
            .validate(member_id, instance_id)
            .map_err(|refused| refused.0)?;
        let member = &self.members[&id];
        if !member.is_classic() {
            Err(ErrorCode::UnknownMemberId)
        } else if member.current.epoch != generation {
            Err(ErrorCode::IllegalGeneration)
        } else {
            Ok(id)
        }
    }

    /// Who of these is a member: the answers, and the members to take out. An administrator may send away whomever.
    pub(crate) fn leaving(
        &self,
        identities: Vec<MemberIdentity>,
    ) -> (Vec<MemberResponse>, Vec<Str>) {
        let mut leaving: Vec<Str> = Vec::new();
        let mut responses = Vec::with_capacity(identities.len());
        for identity in identities {
            let instance_id = identity.group_instance_id.as_ref();
            let found = match instance_id.filter(|_| identity.member_id.is_empty()) {
                Some(name) => {
                    let holder = self.static_members.get(name).cloned();
                    holder.ok_or(ErrorCode::UnknownMemberId)
                }
                None => {
                    let found = self.validate(&identity.member_id, instance_id);
                    found.map_err(|refused| refused.0)
                }
            };
            let error = found.as_ref().err().copied().unwrap_or(ErrorCode::None);
            leaving.extend(found.ok());
            responses.push(MemberResponse {
                member_id: identity.member_id,
                group_instance_id: identity.group_instance_id,
                error_code: error.code(),
            });
        }
        leaving.sort();
        leaving.dedup();
        (responses, leaving)
    }
}

/// The protocol that a member likes best, which is what it is answered in.
pub(super) fn first_protocol(member: &Member) -> Option<&Protocol> {
    member.said.classic.as_ref()?.protocols.first()
}
