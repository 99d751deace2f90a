//! What happens when time runs out: sessions, joining, syncing.

use catchword_wire::{ErrorCode, Str};

use super::{ClassicGroup, session_key};
use crate::effect::Output;
use crate::group::Scope;
use crate::group::state::ClassicState;
use crate::notice::Leaving;
use crate::timer::TimerKind;

impl ClassicGroup {
    /// A timer fired. It may be late, early, or for something that is long gone.
    pub(crate) fn timer(&mut self, kind: &TimerKind, scope: &mut Scope<'_>) {
        let (now_ms, key) = (scope.now_ms, self.key(kind.clone()));
        match kind {
            TimerKind::Session(member_id) => self.session_timer(member_id, scope),
            TimerKind::Join => {
                if self.join.fired(now_ms, || key, scope.out) {
                    self.join_time_over(scope);
                }
            }
            TimerKind::Sync => {
                if self.sync.fired(now_ms, || key, scope.out) {
                    self.sync_time_over(scope);
                }
            }
            // Of the KIP-848 group that it was before.
            TimerKind::Revocation(_) | TimerKind::MemberJoin(_) | TimerKind::MemberSync(_) => {}
        }
    }

    fn session_timer(&mut self, member_id: &Str, scope: &mut Scope<'_>) {
        let key = || session_key(&self.id, member_id);
        if let Some(pending) = self.pending_join.get_mut(member_id) {
            if pending.fired(scope.now_ms, key, scope.out) {
                self.remove(member_id, ErrorCode::UnknownMemberId, scope.out);
                // It may have been the last one that was waited for.
                if self.state == ClassicState::PreparingRebalance && self.has_all_joined() {
                    self.complete_join(scope);
                }
            }
            return;
        }
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        if member.session.fired(scope.now_ms, key, scope.out) && !member.has_satisfied_heartbeat() {
            self.depart(member_id, Leaving::TimedOut, scope.out);
            self.rebalance_without_member(scope);
        }
    }

    /// A member's session is over.
    fn rebalance_without_member(&mut self, scope: &mut Scope<'_>) {
        match self.state {
            ClassicState::Stable | ClassicState::CompletingRebalance => {
                self.prepare_rebalance(scope)
            }
            ClassicState::PreparingRebalance if self.has_all_joined() => self.complete_join(scope),
            ClassicState::PreparingRebalance | ClassicState::Empty => {}
        }
    }

    /// Members that joined but never asked for their assignment are gone.
    fn sync_time_over(&mut self, scope: &mut Scope<'_>) {
        let is_due = matches!(
            self.state,
            ClassicState::CompletingRebalance | ClassicState::Stable
        );
        if !is_due || self.pending_sync.is_empty() {
            return;
        }
        for member_id in std::mem::take(&mut self.pending_sync) {
            self.depart(&member_id, Leaving::TimedOut, scope.out);
        }
        self.prepare_rebalance(scope);
    }

    /// The group goes away, and with it everything that it waits for. It has no members.
    pub(crate) fn cancel_timers(&mut self, out: &mut Output) {
        for (member_id, pending) in &mut self.pending_join {
            pending.cancel(|| session_key(&self.id, member_id), out);
        }
        let key = self.key(TimerKind::Join);
        self.join.cancel(|| key, out);
        let key = self.key(TimerKind::Sync);
        self.sync.cancel(|| key, out);
    }
}
