//! How members go: they leave, are sent away, or time runs out for them.

use catchword_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use catchword_wire::{ErrorCode, Str};

use super::member::{AWAY, Member};
use super::{ConsumerGroup, Env, Refused};
use crate::effect::Output;
use crate::group::Scope;
use crate::timer::{TimerKey, TimerKind};

impl ConsumerGroup {
    /// A member says that it leaves. Returns the answer, and the members to take out.
    pub(crate) fn leave(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
        out: &mut Output,
    ) -> Result<(ConsumerGroupHeartbeatResponse, Vec<Str>), Refused> {
        let id = self.validate(&request.member_id, request.instance_id.as_ref())?;
        let response = ConsumerGroupHeartbeatResponse {
            member_id: Some(id.clone()),
            member_epoch: request.member_epoch,
            ..ConsumerGroupHeartbeatResponse::default()
        };
        if request.instance_id.is_none() || request.member_epoch != AWAY {
            return Ok((response, vec![id]));
        }
        // A static member is expected back. Its partitions stay its own, from the beginning of time, since it comes back
        // under another id.
        let mut current = self.members[&id].current.clone();
        current.epoch = AWAY;
        current.revoking.clear();
        for epoch in current.assigned.values_mut().flat_map(|of| of.values_mut()) {
            *epoch = 0;
        }
        self.set_current(&id, current, out);
        Ok((response, Vec::new()))
    }

    /// Whether the caller is who it says it is; the member's id.
    pub(super) fn validate(
        &self,
        member_id: &str,
        instance_id: Option<&Str>,
    ) -> Result<Str, Refused> {
        let holder = match instance_id {
            None => self.members.get(member_id).map(|member| &member.id),
            Some(name) => self.static_members.get(name),
        };
        match holder {
            None => Err((ErrorCode::UnknownMemberId, "the group has no such member")),
            Some(id) if id != member_id => Err((
                ErrorCode::FencedInstanceId,
                "another member has taken the group instance id over",
            )),
            Some(id) => Ok(id.clone()),
        }
    }

    /// The members' ids.
    pub(crate) fn member_ids(&self) -> Vec<Str> {
        self.members.keys().cloned().collect()
    }

    /// The member with this member id or group instance id.
    pub(crate) fn member_named(&self, name: &Str) -> Option<Str> {
        let id = self.static_members.get(name).unwrap_or(name);
        self.members.get(id).map(|member| member.id.clone())
    }

    /// How long the slowest member may take to notice that it was sent away and to come back, ms.
    pub(crate) fn patience_ms(&self, session_timeout_ms: i32) -> i32 {
        let of = |m: &Member| {
            let classic = m.said.classic.as_ref();
            let session_ms = classic.map_or(session_timeout_ms, |c| c.session_timeout_ms);
            m.rebalance_timeout_ms().max(session_ms)
        };
        self.members.values().map(of).max().unwrap_or(0)
    }

    /// Takes members out; what they had is free. Only where the group stays a consumer group.
    pub(crate) fn remove_members(&mut self, ids: &[Str], env: &Env<'_>, scope: &mut Scope<'_>) {
        for id in ids {
            let Some(member) = self.members.get(id) else {
                continue;
            };
            let regex = member.said.regex.clone();
            self.remove_member(id, scope.out);
            self.forget_regex(&regex, scope.out);
        }
        self.maybe_bump(true, env.image, scope.out);
        if self.members.is_empty() {
            // There is nothing to assign; but when that began tells how long offsets are kept.
            self.assignment_epoch = self.epoch;
            self.assigned_at_ms = scope.now_ms;
            self.write_target_epoch(scope.out);
        }
    }

    /// Takes a member out, with its records and timers.
    pub(super) fn remove_member(&mut self, id: &Str, out: &mut Output) {
        if let Some(mut member) = self.take_member(id) {
            cancel_timers(&self.id, &mut member, out);
        }
        self.targets.remove(id);
        let mut writer = self.writer(out);
        writer.current(id, None);
        writer.target(id, None);
        writer.member(id, None);
    }

    /// A timer fired: the member to take out, if its time is really over.
    pub(crate) fn timer(&mut self, kind: &TimerKind, scope: &mut Scope<'_>) -> Option<Str> {
        let (TimerKind::Session(id)
        | TimerKind::Revocation(id)
        | TimerKind::MemberJoin(id)
        | TimerKind::MemberSync(id)) = kind
        else {
            return None;
        };
        let key = self.key(kind.clone());
        let member = self.members.get_mut(id)?;
        let deadline = match kind {
            TimerKind::Session(_) => &mut member.session,
            TimerKind::Revocation(_) => &mut member.revocation,
            TimerKind::MemberJoin(_) => &mut member.join,
            _ => &mut member.sync,
        };
        let is_over = deadline.fired(scope.now_ms, || key, scope.out);
        is_over.then(|| member.id.clone())
    }
}

/// Forgets all timers of a member that goes.
pub(super) fn cancel_timers(group_id: &Str, member: &mut Member, out: &mut Output) {
    let id = member.id.clone();
    let key = |kind: fn(Str) -> TimerKind| TimerKey {
        group_id: group_id.clone(),
        kind: kind(id.clone()),
    };
    member.session.cancel(|| key(TimerKind::Session), out);
    member.revocation.cancel(|| key(TimerKind::Revocation), out);
    member.join.cancel(|| key(TimerKind::MemberJoin), out);
    member.sync.cancel(|| key(TimerKind::MemberSync), out);
}
