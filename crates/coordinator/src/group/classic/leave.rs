//! LeaveGroup: members go, or an administrator sends them away.

use catchword_wire::messages::leave_group_request::MemberIdentity;
use catchword_wire::messages::leave_group_response::MemberResponse;
use catchword_wire::{ErrorCode, Str};

use super::ClassicGroup;
use crate::group::Scope;
use crate::group::state::ClassicState;

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
        self.remove(&leaving, ErrorCode::UnknownMemberId, scope.out);
        Ok(())
    }
}
