//! How members go: they leave, or time runs out for them.

use catchword_wire::messages::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse};
use catchword_wire::{ErrorCode, Str};

use super::member::Member;
use super::{LEFT, Refused, StreamsGroup};
use crate::group::{Env, Scope};
use crate::timer::{TimerKey, TimerKind};

impl StreamsGroup {
    /// A member says that it leaves.
    pub(crate) fn leave(
        &mut self,
        request: &StreamsGroupHeartbeatRequest,
        scope: &mut Scope<'_>,
    ) -> Result<StreamsGroupHeartbeatResponse, Refused> {
        let id = &request.member_id;
        if request.shutdown_application {
            self.shut_down(id);
        }
        if !self.members.contains_key(id) {
            return Err((
                ErrorCode::UnknownMemberId,
                "the group has no such member".into(),
            ));
        }
        self.remove(id, scope);
        Ok(StreamsGroupHeartbeatResponse {
            member_id: id.clone(),
            member_epoch: LEFT,
            status: Some(Vec::new()),
            ..StreamsGroupHeartbeatResponse::default()
        })
    }

    /// A member wants the whole application to end; the first that does is told of.
    pub(super) fn shut_down(&mut self, member_id: &Str) {
        self.shutdown_by.get_or_insert_with(|| member_id.detached());
    }

    /// The members' ids.
    pub(crate) fn member_ids(&self) -> Vec<Str> {
        self.members.keys().cloned().collect()
    }

    /// How long the slowest member may take to notice that it was sent away and to come back, ms.
    pub(crate) fn patience_ms(&self, session_timeout_ms: i32) -> i32 {
        let of = |member: &Member| member.rebalance_timeout_ms().max(session_timeout_ms);
        self.members.values().map(of).max().unwrap_or(0)
    }

    /// Takes a member out; what it had is free. Targets are made anew by the next heartbeat.
    pub(crate) fn remove(&mut self, member_id: &str, scope: &mut Scope<'_>) {
        let Some((id, _)) = self.members.get_key_value(member_id) else {
            return;
        };
        let id = id.clone();
        let key = |kind: fn(Str) -> TimerKind| TimerKey {
            group_id: self.id.clone(),
            kind: kind(id.clone()),
        };
        let keys = (key(TimerKind::Session), key(TimerKind::Revocation));
        if let Some(mut member) = self.take_member(&id) {
            member.session.cancel(|| keys.0, scope.out);
            member.revocation.cancel(|| keys.1, scope.out);
        }
        self.write_removed(&id, scope.out);
        self.bump(scope.out);
        if self.members.is_empty() {
            // There is nothing to assign; but when that began tells how long offsets are kept.
            self.assignment_epoch = self.epoch;
            self.assigned_at_ms = scope.now_ms;
            self.write_target_epoch(scope.out);
        }
    }

    /// A timer fired: the member to take out, if its time is really over.
    pub(crate) fn timer(&mut self, kind: &TimerKind, scope: &mut Scope<'_>) -> Option<Str> {
        let (TimerKind::Session(id) | TimerKind::Revocation(id)) = kind else {
            return None;
        };
        let key = TimerKey {
            group_id: self.id.clone(),
            kind: kind.clone(),
        };
        let member = self.members.get_mut(id)?;
        let deadline = match kind {
            TimerKind::Session(_) => &mut member.session,
            _ => &mut member.revocation,
        };
        let is_over = deadline.fired(scope.now_ms, || key, scope.out);
        is_over.then(|| id.clone())
    }

    /// Gives a member its session anew.
    pub(super) fn restart_session(&mut self, id: &Str, env: &Env<'_>, scope: &mut Scope<'_>) {
        let key = || TimerKey {
            group_id: self.id.clone(),
            kind: TimerKind::Session(id.detached()),
        };
        let at_ms = scope.after(env.settings.streams.session_timeout_ms);
        if let Some(member) = self.members.get_mut(id) {
            member.session.set(at_ms, key, scope.out);
        }
    }

    /// The log has been read: members are given their time, from now.
    pub(crate) fn loaded(&mut self, env: &Env<'_>, scope: &mut Scope<'_>) {
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            self.restart_session(&id, env, scope);
            self.watch_revocation(&id, scope);
        }
    }
}
