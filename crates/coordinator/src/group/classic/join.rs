//! JoinGroup: someone wants to be a member of the next generation.
//!
//! The answer comes when the generation begins, often many steps later.

use bytes::Bytes;
use catchword_wire::messages::JoinGroupRequest;
use catchword_wire::{ErrorCode, Str};

use super::membership::{MemberUpdate, refused_join};
use super::{ClassicGroup, session_key};
use crate::call::{Context, ReplyTo};
use crate::group::Scope;
use crate::group::member::{Member, detach};
use crate::group::state::ClassicState;
use crate::ids::IdSource;
use crate::timer::Deadline;

impl ClassicGroup {
    /// A join that passed the checks that need no group.
    pub(crate) fn join(
        &mut self,
        ctx: &Context<'_>,
        to: ReplyTo,
        request: &JoinGroupRequest,
        ids: &mut IdSource,
        scope: &mut Scope<'_>,
    ) {
        if !self.has_room_for(&request.member_id, scope) {
            self.remove(
                &request.member_id,
                ErrorCode::GroupMaxSizeReached,
                scope.out,
            );
            scope
                .out
                .reply(to, refused_join(Str::EMPTY, ErrorCode::GroupMaxSizeReached));
            // Whoever had to go may have been the last one that was waited for.
            self.maybe_complete_join(scope);
        } else if !self.supports(&request.protocol_type, &request.protocols) {
            let error = ErrorCode::InconsistentGroupProtocol;
            scope
                .out
                .reply(to, refused_join(request.member_id.clone(), error));
        } else if request.member_id.is_empty() {
            self.join_unknown(ctx, to, request, ids, scope);
        } else {
            self.join_known(ctx, to, request, scope);
        }
    }

    /// `group.max.size`, counted so that a group that is over it loses those who rejoin last.
    fn has_room_for(&self, member_id: &str, scope: &Scope<'_>) -> bool {
        let max = usize::try_from(scope.config.group_max_size).unwrap_or(0);
        match self.state {
            ClassicState::Empty => true,
            ClassicState::PreparingRebalance => {
                let waits = |m: &Member| m.awaiting_join.is_some();
                self.members.get(member_id).is_some_and(waits) || self.awaiting_join < max
            }
            ClassicState::CompletingRebalance | ClassicState::Stable => {
                self.members.contains_key(member_id) || self.members.len() < max
            }
        }
    }

    /// Someone without a member id.
    fn join_unknown(
        &mut self,
        ctx: &Context<'_>,
        to: ReplyTo,
        request: &JoinGroupRequest,
        ids: &mut IdSource,
        scope: &mut Scope<'_>,
    ) {
        let prefix = request
            .group_instance_id
            .as_ref()
            .unwrap_or(&ctx.client.client_id);
        let new_id = ids.member_id(prefix);
        match &request.group_instance_id {
            Some(instance_id) => match self.static_members.get(instance_id).cloned() {
                Some(old_id) => self.replace_static(ctx, to, request, (&old_id, new_id), scope),
                None => self.admit(ctx, to, request, new_id, scope),
            },
            // KIP-394: a client that is told its id first leaves nothing behind if it never comes back.
            None if ctx.api_version >= 4 => {
                let mut session = Deadline::default();
                let at_ms = scope.after(request.session_timeout_ms);
                session.set(at_ms, || session_key(&self.id, &new_id), scope.out);
                self.pending_join.insert(new_id.clone(), session);
                scope
                    .out
                    .reply(to, refused_join(new_id, ErrorCode::MemberIdRequired));
            }
            None => self.admit(ctx, to, request, new_id, scope),
        }
    }

    /// Someone with a member id: given out before, or a member.
    fn join_known(
        &mut self,
        ctx: &Context<'_>,
        to: ReplyTo,
        request: &JoinGroupRequest,
        scope: &mut Scope<'_>,
    ) {
        let member_id = &request.member_id;
        if self.pending_join.contains_key(member_id) {
            if request.group_instance_id.is_some() {
                // Static members are never told to come back with an id.
                let error = ErrorCode::UnknownServerError;
                scope.out.reply(to, refused_join(member_id.clone(), error));
            } else {
                self.admit(ctx, to, request, member_id.detached(), scope);
            }
            return;
        }
        if let Err(error) = self.validate(member_id, request.group_instance_id.as_ref()) {
            scope.out.reply(to, refused_join(member_id.clone(), error));
            return;
        }
        let unchanged = self
            .members
            .get(member_id)
            .is_some_and(|m| m.offers(&request.protocols));
        match self.state {
            // It missed the answer, or asks for nothing new: the generation stands. Only a leader may want a new
            // one for reasons of its own, such as a topic's new partitions.
            ClassicState::CompletingRebalance if unchanged => {
                self.tell_generation(to, member_id, scope)
            }
            ClassicState::Stable if unchanged && !self.is_leader(member_id) => {
                self.tell_generation(to, member_id, scope);
            }
            ClassicState::PreparingRebalance
            | ClassicState::CompletingRebalance
            | ClassicState::Stable => {
                self.update_member(member_id, MemberUpdate::of(ctx, request), to, scope.out);
                self.rebalance_or_complete(scope);
            }
            ClassicState::Empty => unreachable!("an empty group has no members to be valid"),
        }
    }

    /// A new member. Its first join is bounded in time, whatever its session timeout: it can't heartbeat while it
    /// waits, and a client that gave up and tries again would leave many members behind.
    fn admit(
        &mut self,
        ctx: &Context<'_>,
        to: ReplyTo,
        request: &JoinGroupRequest,
        member_id: Str,
        scope: &mut Scope<'_>,
    ) {
        let update = MemberUpdate::of(ctx, request);
        // The pending id's timer goes on as the member's own.
        let session = self.take_pending(&member_id).unwrap_or_default();
        if self.state == ClassicState::PreparingRebalance
            && self.previous_state == ClassicState::Empty
        {
            self.initial_delay.member_added = true;
        }
        let member = Member {
            id: member_id.clone(),
            instance_id: request.group_instance_id.as_ref().map(Str::detached),
            client_id: ctx.client.client_id.detached(),
            client_host: ctx.client.client_host.detached(),
            rebalance_timeout_ms: update.rebalance_timeout_ms,
            session_timeout_ms: update.session_timeout_ms,
            protocols: update.protocols,
            assignment: Bytes::new(),
            awaiting_join: Some(to),
            awaiting_sync: None,
            is_new: true,
            session,
        };
        self.add(member, &request.protocol_type);
        let at_ms = scope.after(scope.config.group_new_member_join_timeout_ms);
        self.expect_life(&member_id, at_ms, scope);
        self.rebalance_or_complete(scope);
    }

    /// Answers with the generation as it is.
    fn tell_generation(&mut self, to: ReplyTo, member_id: &Str, scope: &mut Scope<'_>) {
        let mut response = self.joined(member_id);
        // Only while the leader still has to decide does it need to know the others.
        if self.state == ClassicState::Stable {
            response.members.clear();
        }
        scope
            .out
            .reply(to, crate::reply::Reply::JoinGroup(response));
    }
}

impl MemberUpdate {
    pub(super) fn of(ctx: &Context<'_>, request: &JoinGroupRequest) -> MemberUpdate {
        // Version 0 had one timeout for both.
        let has_own = ctx.api_version >= 1;
        let own = request.rebalance_timeout_ms;
        MemberUpdate {
            protocols: detach(&request.protocols),
            rebalance_timeout_ms: if has_own {
                own
            } else {
                request.session_timeout_ms
            },
            session_timeout_ms: request.session_timeout_ms,
        }
    }
}
