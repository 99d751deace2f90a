//! Members come, go and are counted. Nothing here begins a generation.

use std::collections::BTreeMap;

use catchword_wire::messages::JoinGroupResponse;
use catchword_wire::messages::SyncGroupResponse;
use catchword_wire::messages::join_group_request::JoinGroupRequestProtocol;
use catchword_wire::{ErrorCode, Str};

use super::{ClassicGroup, session_key};
use crate::call::ReplyTo;
use crate::effect::{Effect, Output};
use crate::group::Scope;
use crate::group::member::Member;
use crate::group::state::ClassicState;
use crate::notice::Leaving;
use crate::reply::Reply;
use crate::timer::Deadline;

impl ClassicGroup {
    /// Adds a member that waits for its join to be answered, if `to` says so.
    pub(super) fn add(&mut self, member: Member, protocol_type: &Str) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.detached());
        }
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        if let Some(instance_id) = &member.instance_id {
            let other = self
                .static_members
                .insert(instance_id.clone(), member.id.clone());
            assert!(
                other.is_none(),
                "group {}: {instance_id} is a member already",
                self.id
            );
        }
        self.count_protocols(&member, 1);
        self.awaiting_join += usize::from(member.awaiting_join.is_some());
        self.members.insert(member.id.clone(), member);
    }

    /// Takes a member or a pending member id out; whatever it waits for is answered with `error`.
    pub(super) fn remove(&mut self, member_id: &Str, error: ErrorCode, out: &mut Output) {
        if let Some(mut pending) = self.take_pending(member_id) {
            pending.cancel(|| session_key(&self.id, member_id), out);
        }
        self.pending_sync.remove(member_id);
        if let Some(mut member) = self.members.remove(member_id) {
            self.count_protocols(&member, -1);
            self.awaiting_join -= usize::from(member.awaiting_join.is_some());
            if let Some(instance_id) = &member.instance_id {
                self.static_members.remove(instance_id);
            }
            refuse_waiting(&mut member, Str::EMPTY, error, out);
            member
                .session
                .cancel(|| session_key(&self.id, member_id), out);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    /// Forgets that an id was given out and not used. An emptied tree would keep a node with room for eleven.
    pub(super) fn take_pending(&mut self, member_id: &str) -> Option<Deadline> {
        let pending = self.pending_join.remove(member_id);
        if self.pending_join.is_empty() {
            self.pending_join = BTreeMap::new();
        }
        pending
    }

    /// Takes out a member that is gone for good, and tells of it.
    pub(super) fn depart(&mut self, member_id: &Str, how: Leaving, out: &mut Output) {
        let member = self.members.get(member_id);
        let gone = member.and_then(|member| self.on_roster(member).gone(&self.id, how));
        out.effects
            .extend(gone.map(|notice| Effect::Notice(Box::new(notice))));
        self.remove(member_id, ErrorCode::UnknownMemberId, out);
    }

    fn count_protocols(&mut self, member: &Member, by: isize) {
        for name in member.protocol_names() {
            let at = self.supported.iter().position(|(other, _)| other == name);
            let at = at.unwrap_or_else(|| {
                self.supported.push((name.clone(), 0));
                self.supported.len() - 1
            });
            let (_, count) = &mut self.supported[at];
            *count = count
                .checked_add_signed(by)
                .expect("what was counted in is counted out");
            if *count == 0 {
                self.supported.swap_remove(at);
            }
        }
    }

    /// Whether every member offers the protocol.
    pub(super) fn all_offer(&self, protocol: &str) -> bool {
        let mut offered = self.supported.iter();
        let count = offered.find(|(name, _)| name == protocol).map(|(_, n)| *n);
        count.unwrap_or(0) == self.members.len()
    }

    /// Takes over what a joining member says of itself, and that it waits.
    pub(super) fn update_member(
        &mut self,
        member_id: &Str,
        update: MemberUpdate,
        to: ReplyTo,
        out: &mut Output,
    ) {
        let Some(mut member) = self.members.remove(member_id) else {
            return;
        };
        self.count_protocols(&member, -1);
        member.protocols = update.protocols;
        member.rebalance_timeout_ms = update.rebalance_timeout_ms;
        member.session_timeout_ms = update.session_timeout_ms;
        self.count_protocols(&member, 1);
        match member.awaiting_join.replace(to) {
            // It asked again, on another connection: the first call is not left without an answer.
            Some(earlier) => {
                let error = ErrorCode::RebalanceInProgress;
                out.reply(earlier, refused_join(member_id.clone(), error));
            }
            None => self.awaiting_join += 1,
        }
        self.members.insert(member.id.clone(), member);
    }

    pub(super) fn answer_join(
        &mut self,
        member_id: &str,
        response: JoinGroupResponse,
        out: &mut Output,
    ) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        if let Some(to) = member.awaiting_join.take() {
            self.awaiting_join -= 1;
            out.reply(to, Reply::JoinGroup(response));
        }
    }

    /// Gives a member its session anew.
    pub(super) fn restart_session(&mut self, member_id: &str, scope: &mut Scope<'_>) {
        let Some(member) = self.members.get(member_id) else {
            return;
        };
        let at_ms = scope.after(member.session_timeout_ms);
        self.expect_life(member_id, at_ms, scope);
    }

    /// Expects a sign of life of a member until `at_ms`.
    pub(super) fn expect_life(&mut self, member_id: &str, at_ms: i64, scope: &mut Scope<'_>) {
        if let Some(member) = self.members.get_mut(member_id) {
            member
                .session
                .set(at_ms, || session_key(&self.id, &member.id), scope.out);
        }
    }

    pub(super) fn has_all_joined(&self) -> bool {
        self.awaiting_join == self.members.len() && self.pending_join.is_empty()
    }

    /// The longest rebalance timeout of the members: all get the time that one asks for.
    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        self.members
            .values()
            .map(|m| m.rebalance_timeout_ms)
            .max()
            .unwrap_or(0)
            .max(0)
    }

    /// Whether someone with this protocol type and these protocols can be a member.
    pub(super) fn supports(&self, kind: &str, protocols: &[JoinGroupRequestProtocol]) -> bool {
        if self.state == ClassicState::Empty {
            return !kind.is_empty() && !protocols.is_empty();
        }
        let by_all = |p: &JoinGroupRequestProtocol| self.all_offer(&p.name);
        self.protocol_type.as_ref().is_some_and(|own| own == kind) && protocols.iter().any(by_all)
    }

    /// Whether the caller is who it says it is.
    pub(super) fn validate(
        &self,
        member_id: &str,
        instance_id: Option<&Str>,
    ) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                // KIP-345: somebody else has taken the name over.
                Some(holder) if holder != member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        match self.members.contains_key(member_id) {
            true => Ok(()),
            false => Err(ErrorCode::UnknownMemberId),
        }
    }

    /// Answers everybody who waits, because this shard is going away.
    pub(crate) fn refuse_everyone(&mut self, error: ErrorCode, out: &mut Output) {
        for member in self.members.values_mut() {
            self.awaiting_join -= usize::from(member.awaiting_join.is_some());
            refuse_waiting(member, member.id.clone(), error, out);
        }
    }
}

/// What a join says of the member.
pub(super) struct MemberUpdate {
    pub(super) protocols: Vec<crate::group::member::Protocol>,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) session_timeout_ms: i32,
}

/// Answers whatever a member waits for with an error. The caller counts the waiting ones.
pub(super) fn refuse_waiting(
    member: &mut Member,
    member_id: Str,
    error: ErrorCode,
    out: &mut Output,
) {
    if let Some(to) = member.awaiting_join.take() {
        out.reply(to, refused_join(member_id, error));
    }
    if let Some(to) = member.awaiting_sync.take() {
        out.reply(to, refused_sync(error));
    }
}

pub(super) fn refused_join(member_id: Str, error: ErrorCode) -> Reply {
    let error_code = error.code();
    Reply::JoinGroup(JoinGroupResponse {
        error_code,
        member_id,
        ..JoinGroupResponse::default()
    })
}

pub(super) fn refused_sync(error: ErrorCode) -> Reply {
    Reply::SyncGroup(SyncGroupResponse {
        error_code: error.code(),
        ..SyncGroupResponse::default()
    })
}
