//! SyncGroup: the leader brings the assignments, the others fetch theirs.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use catchword_wire::messages::{SyncGroupRequest, SyncGroupResponse};
use catchword_wire::{ErrorCode, Str};

use super::ClassicGroup;
use super::membership::refused_sync;
use crate::call::{Context, ReplyTo};
use crate::group::Scope;
use crate::group::state::ClassicState;
use crate::reply::Reply;
use crate::timer::TimerKind;

impl ClassicGroup {
    pub(crate) fn sync(
        &mut self,
        ctx: &Context<'_>,
        to: ReplyTo,
        request: &SyncGroupRequest,
        scope: &mut Scope<'_>,
    ) {
        if let Err(error) = self.validate_sync(ctx, request) {
            scope.out.reply(to, refused_sync(error));
            return;
        }
        let member_id = &request.member_id;
        match self.state {
            ClassicState::Empty => scope
                .out
                .reply(to, refused_sync(ErrorCode::UnknownMemberId)),
            ClassicState::PreparingRebalance => {
                scope
                    .out
                    .reply(to, refused_sync(ErrorCode::RebalanceInProgress));
            }
            ClassicState::CompletingRebalance => {
                self.wait_for_assignment(to, member_id, scope);
                if self.is_leader(member_id) {
                    self.assign(request, scope);
                }
            }
            ClassicState::Stable => {
                self.has_synced(member_id, scope);
                scope
                    .out
                    .reply(to, Reply::SyncGroup(self.assigned(member_id)));
            }
        }
    }

    fn validate_sync(
        &self,
        ctx: &Context<'_>,
        request: &SyncGroupRequest,
    ) -> Result<(), ErrorCode> {
        // KIP-559: from version 5 on a member says what it believes to be agreed on.
        let (kind, name) = (&request.protocol_type, &request.protocol_name);
        if ctx.api_version >= 5 && (kind.is_none() || name.is_none()) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        self.validate(&request.member_id, request.group_instance_id.as_ref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differ = |theirs: &Option<Str>, ours: &Option<Str>| {
            theirs.is_some() && ours.is_some() && theirs != ours
        };
        match differ(kind, &self.protocol_type) || differ(name, &self.protocol_name) {
            true => Err(ErrorCode::InconsistentGroupProtocol),
            false => Ok(()),
        }
    }

    fn wait_for_assignment(&mut self, to: ReplyTo, member_id: &Str, scope: &mut Scope<'_>) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        // It asked again, on another connection: the first call is not left without an answer.
        if let Some(earlier) = member.awaiting_sync.replace(to) {
            scope
                .out
                .reply(earlier, refused_sync(ErrorCode::RebalanceInProgress));
        }
        self.has_synced(member_id, scope);
    }

    /// One less to wait for.
    fn has_synced(&mut self, member_id: &Str, scope: &mut Scope<'_>) {
        self.pending_sync.remove(member_id);
        if self.pending_sync.is_empty() {
            // An emptied tree would keep a node with room for eleven.
            self.pending_sync = BTreeSet::new();
            let key = self.key(TimerKind::Sync);
            self.sync.cancel(|| key, scope.out);
        }
    }

    /// The leader's word. Whoever it forgot gets nothing.
    fn assign(&mut self, request: &SyncGroupRequest, scope: &mut Scope<'_>) {
        let given: BTreeMap<&Str, &Bytes> = request
            .assignments
            .iter()
            .map(|a| (&a.member_id, &a.assignment))
            .collect();
        for member in self.members.values_mut() {
            let assignment = given.get(&member.id).map_or(&[][..], |bytes| bytes);
            member.assignment = Bytes::copy_from_slice(assignment);
        }
        self.transition(ClassicState::Stable, scope.now_ms);
        self.record(scope);
        self.hand_out_assignments(scope);
    }

    /// What a member is told once the leader has decided.
    pub(super) fn assigned(&self, member_id: &str) -> SyncGroupResponse {
        let assignment = self.members.get(member_id).map(|m| m.assignment.clone());
        SyncGroupResponse {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment: assignment.unwrap_or_default(),
            ..SyncGroupResponse::default()
        }
    }
}
