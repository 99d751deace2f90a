//! LeaveGroup: members go, or an administrator sends them away.

use catchword_wire::messages::leave_group_request::MemberIdentity;
use catchword_wire::messages::leave_group_response::MemberResponse;
use catchword_wire::{ErrorCode, Str};

use super::ClassicGroup;
use crate::group::Scope;
use crate::group::member::Member;
use crate::group::state::ClassicState;
use crate::notice::Leaving;

impl ClassicGroup {
    /// Lets each one go and says how it went.
    pub(crate) fn leave(
        &mut self,
        identities: Vec<MemberIdentity>,
        scope: &mut Scope<'_>,
    ) -> Vec<MemberResponse> {
        let mut any_left = false;
        let mut responses = Vec::with_capacity(identities.len());
        for identity in identities {
            let outcome = self.leave_one(&identity, scope);
            any_left |= outcome.is_ok();
            responses.push(MemberResponse {
                member_id: identity.member_id,
                group_instance_id: identity.group_instance_id,
                error_code: outcome.err().unwrap_or(ErrorCode::None).code(),
            });
        }
        if any_left && self.state != ClassicState::Empty {
            self.rebalance_or_complete(scope);
        }
        responses
    }

    /// Sends a member away, known by its member id or its group instance id. False if there is no such member.
    pub(crate) fn send_away(&mut self, member: &Str, scope: &mut Scope<'_>) -> bool {
        let id = self.static_members.get(member).unwrap_or(member).clone();
        if !self.members.contains_key(&id) {
            return false;
        }
        self.depart(&id, Leaving::SentAway, scope.out);
        self.rebalance_or_complete(scope);
        true
    }

    /// Sends everybody away, those who have not joined yet as well. The group is empty then.
    pub(crate) fn send_all_away(&mut self, scope: &mut Scope<'_>) {
        let ids: Vec<Str> = self
            .members
            .keys()
            .chain(self.pending_join.keys())
            .cloned()
            .collect();
        for id in ids {
            self.remove(&id, ErrorCode::UnknownMemberId, scope.out);
        }
        match self.state {
            ClassicState::Empty => {}
            ClassicState::PreparingRebalance => self.complete_join(scope),
            ClassicState::CompletingRebalance | ClassicState::Stable => {
                self.prepare_rebalance(scope)
            }
        }
    }

    /// How long the slowest member may take to notice that it was sent away and to come back, ms.
    pub(crate) fn patience_ms(&self) -> i32 {
        let of = |m: &Member| m.rebalance_timeout_ms.max(m.session_timeout_ms);
        self.members.values().map(of).max().unwrap_or(0)
    }

    fn leave_one(
        &mut self,
        identity: &MemberIdentity,
        scope: &mut Scope<'_>,
    ) -> Result<(), ErrorCode> {
        let MemberIdentity {
            member_id,
            group_instance_id,
            ..
        } = identity;
        let leaving: Str = if member_id.is_empty() {
            // An administrator knows a static member by its name alone.
            let holder = group_instance_id
                .as_ref()
                .and_then(|name| self.static_members.get(name));
            holder.ok_or(ErrorCode::UnknownMemberId)?.clone()
        } else {
            if !self.pending_join.contains_key(member_id) {
                self.validate(member_id, group_instance_id.as_ref())?;
            }
            member_id.clone()
        };
        // A consumer that is still there, and was sent away, tries again.
        self.depart(&leaving, Leaving::Left, scope.out);
        Ok(())
    }
}
