//! Sending members away while they are reading: one of them, or all so that their bookmarks can be moved meanwhile.
//!
//! A member that is sent away hears that it is unknown. It gives up what it had, joins anew and asks where to go on, also
//! if it is a cooperative one, which a mere rebalance would leave with the positions that it has. What it read before it
//! heard of it, it can commit no more: its member id is nobody's. But a client that has lost its member id may commit as if
//! it had never had one, which an empty group would accept; so until the members had time to be back, it does not.
//!
//! A consumer that assigns itself its partitions is no member: it reads on from where it is, and nobody can tell it not to.

use catchword_wire::messages::JoinGroupRequest;
use catchword_wire::{ErrorCode, Str};

use super::GroupShard;
use crate::call::{Call, Context};
use crate::effect::Output;
use crate::group::consumer::claims_partitions;
use crate::group::{Group, GroupKind, Scope};
use crate::notice::Leaving;

impl GroupShard {
    /// Sends all members away, for good unless they come back. The group is empty then, and says so in the log before
    /// anything that the caller writes after this.
    ///
    /// Until the longest of their rebalance and session timeouts is over, nobody commits to the group who is no member. When
    /// that is, ms, is returned and belongs on the caller's records, so that a restart does not let them in earlier.
    pub(super) fn reseat(
        &mut self,
        ctx: &Context<'_>,
        group_id: &Str,
        out: &mut Output,
    ) -> Option<i64> {
        let settings = self.settings_of(group_id);
        let group = self.groups.get_mut(group_id)?;
        let patience_ms = match &mut group.kind {
            GroupKind::Simple | GroupKind::Share(_) => return None,
            GroupKind::Classic(classic) => {
                let patience_ms = classic.patience_ms();
                let mut scope = Scope {
                    now_ms: ctx.now_ms,
                    config: &self.config,
                    out,
                };
                classic.send_all_away(&mut scope);
                patience_ms
            }
            GroupKind::Consumer(consumer) => {
                let patience_ms = consumer.patience_ms(settings.session_timeout_ms);
                let all = consumer.member_ids();
                self.fence(group_id, &all, ctx.now_ms, out);
                patience_ms
            }
            GroupKind::Streams(streams) => {
                let patience_ms = streams.patience_ms(settings.streams.session_timeout_ms);
                let mut scope = Scope {
                    now_ms: ctx.now_ms,
                    config: &self.config,
                    out,
                };
                for member in streams.member_ids() {
                    streams.remove(&member, &mut scope);
                }
                patience_ms
            }
        };
        let until_ms = ctx.now_ms.saturating_add(i64::from(patience_ms));
        self.bar(group_id, until_ms);
        Some(until_ms)
    }

    /// Keeps out who is no member, as a move says that is being made or read back. When that is over it stays known, so that
    /// what was read back is what was there: of few groups, and none of them matters to others.
    pub(super) fn bar(&mut self, group_id: &str, until_ms: i64) {
        self.reseated.insert(Str::copy(group_id), until_ms);
    }

    /// Whether a member that was sent away wants to rejoin with the partitions and the positions that it had. franz-go does,
    /// if it hears from a commit that it is unknown before it hears it from a heartbeat. It is told an error upon which it
    /// gives all up and joins anew; one that does claims nothing.
    pub(super) fn holds_on(&self, now_ms: i64, request: &JoinGroupRequest) -> bool {
        request.member_id.is_empty()
            && self.is_reseated(now_ms, &request.group_id)
            && claims_partitions(request)
    }

    fn is_reseated(&self, now_ms: i64, group_id: &str) -> bool {
        let until_ms = self.reseated.get(group_id);
        until_ms.is_some_and(|until_ms| now_ms < *until_ms)
    }

    /// Whether a call has to wait because members that were sent away may still speak without their names.
    pub(super) fn is_reseating(&self, now_ms: i64, call: &Call) -> bool {
        let is_nobodys = |member_id: &Str, generation: i32| member_id.is_empty() || generation < 0;
        if self.reseated.is_empty() {
            return false;
        }
        let group_id = match call {
            Call::OffsetCommit(r) if is_nobodys(&r.member_id, r.generation_id_or_member_epoch) => {
                &r.group_id
            }
            Call::TxnOffsetCommit(call)
                if is_nobodys(&call.request.member_id, call.request.generation_id) =>
            {
                &call.request.group_id
            }
            _ => return false,
        };
        self.is_reseated(now_ms, group_id) && self.groups.get(group_id).is_some_and(Group::is_empty)
    }

    /// Sends one member away, by its member id or, if it is a static one, its group instance id. It may come back at once.
    pub(super) fn kick(
        &mut self,
        ctx: &Context<'_>,
        group_id: &Str,
        member: &Str,
        out: &mut Output,
    ) -> ErrorCode {
        let Some(group) = self.groups.get_mut(group_id) else {
            return ErrorCode::GroupIdNotFound;
        };
        match &mut group.kind {
            GroupKind::Simple => ErrorCode::UnknownMemberId,
            GroupKind::Classic(classic) => {
                let mut scope = Scope {
                    now_ms: ctx.now_ms,
                    config: &self.config,
                    out,
                };
                match classic.send_away(member, &mut scope) {
                    true => ErrorCode::None,
                    false => ErrorCode::UnknownMemberId,
                }
            }
            GroupKind::Consumer(consumer) => match consumer.member_named(member) {
                Some(id) => {
                    self.depart(group_id, &[id], Leaving::SentAway, ctx.now_ms, out);
                    ErrorCode::None
                }
                None => ErrorCode::UnknownMemberId,
            },
            GroupKind::Streams(streams) => {
                if !streams.member_ids().contains(member) {
                    return ErrorCode::UnknownMemberId;
                }
                let mut scope = Scope {
                    now_ms: ctx.now_ms,
                    config: &self.config,
                    out,
                };
                streams.remove(member, &mut scope);
                ErrorCode::None
            }
            GroupKind::Share(share) => {
                if !share.has_member(member) {
                    return ErrorCode::UnknownMemberId;
                }
                self.fence_share(group_id, member, ctx.now_ms, out);
                ErrorCode::None
            }
        }
    }
}
