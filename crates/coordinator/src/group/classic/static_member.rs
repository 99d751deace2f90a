//! KIP-345: a static member comes back under its old name with a new member id.

use catchword_wire::messages::{JoinGroupRequest, JoinGroupResponse};
use catchword_wire::{ErrorCode, Str};

use super::membership::{MemberUpdate, refuse_waiting};
use super::{ClassicGroup, session_key};
use crate::call::{Context, ReplyTo};
use crate::group::Scope;
use crate::group::state::ClassicState;
use crate::timer::Deadline;

impl ClassicGroup {
    /// Gives the place of `old_id` to `new_id`. In a stable group nobody else notices.
    pub(super) fn replace_static(
        &mut self,
        ctx: &Context<'_>,
        to: ReplyTo,
        request: &JoinGroupRequest,
        (old_id, new_id): (&Str, Str),
        scope: &mut Scope<'_>,
    ) {
        let old_leader = self.leader.clone().unwrap_or_default();
        self.rename(ctx, old_id, &new_id, scope);
        // The session that it had counts until it is heard of again.
        self.restart_session(&new_id, scope);
        self.update_member(&new_id, MemberUpdate::of(ctx, request), to, scope.out);
        match self.state {
            ClassicState::Stable if self.protocol_name == self.select_protocol() => {
                self.record(scope);
                let response = self.welcome_back(ctx, &new_id, old_leader);
                self.answer_join(&new_id, response, scope.out);
            }
            // The protocol would change; or the leader is assigning to the old id just now.
            ClassicState::Stable | ClassicState::CompletingRebalance => {
                self.prepare_rebalance(scope);
            }
            ClassicState::PreparingRebalance => self.maybe_complete_join(scope),
            ClassicState::Empty => unreachable!("an empty group has no static members"),
        }
    }

    fn rename(&mut self, ctx: &Context<'_>, old_id: &Str, new_id: &Str, scope: &mut Scope<'_>) {
        let mut member = self
            .members
            .remove(old_id)
            .expect("static names lead to members");
        self.awaiting_join -= usize::from(member.awaiting_join.is_some());
        refuse_waiting(
            &mut member,
            old_id.clone(),
            ErrorCode::FencedInstanceId,
            scope.out,
        );
        member
            .session
            .cancel(|| session_key(&self.id, old_id), scope.out);
        member.session = Deadline::default();
        member.id = new_id.clone();
        member.is_new = false;
        member.client_id = ctx.client.client_id.detached();
        member.client_host = ctx.client.client_host.detached();
        if let Some(instance_id) = &member.instance_id {
            self.static_members
                .insert(instance_id.clone(), new_id.clone());
        }
        if self.pending_sync.remove(old_id) {
            self.pending_sync.insert(new_id.clone());
        }
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        self.members.insert(new_id.clone(), member);
    }

    /// KIP-814: from version 9 on a leader can be told not to assign again. An older one is told that the leader is
    /// someone else, its former self, so that it takes the assignment as it is.
    fn welcome_back(
        &self,
        ctx: &Context<'_>,
        member_id: &Str,
        old_leader: Str,
    ) -> JoinGroupResponse {
        let mut response = self.joined(member_id);
        if ctx.api_version >= 9 {
            response.skip_assignment = self.is_leader(member_id);
        } else {
            response.leader = old_leader;
            response.members.clear();
        }
        response
    }
}
