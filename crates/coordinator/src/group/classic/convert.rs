//! A classic group that comes from a consumer group of KIP-848, or becomes one.

use catchword_wire::{ErrorCode, Str};

use super::{CONSUMER_PROTOCOL_TYPE, ClassicGroup};
use crate::effect::Output;
use crate::group::Scope;
use crate::group::member::Member;
use crate::group::state::ClassicState;

impl ClassicGroup {
    /// A stable group of these members, with the assignments that they bring; written, and their sessions begun.
    pub(crate) fn from_consumer(
        id: Str,
        generation: i32,
        members: Vec<Member>,
        scope: &mut Scope<'_>,
    ) -> ClassicGroup {
        let mut group = ClassicGroup::new(id, scope.now_ms);
        group.generation = generation;
        group.state = ClassicState::Stable;
        group.previous_state = ClassicState::CompletingRebalance;
        for member in members {
            group.add(member, &CONSUMER_PROTOCOL_TYPE.into());
        }
        group.protocol_name = group.select_protocol();
        group.compute_subscription();
        group.record(scope);
        group.loaded(scope);
        group
    }

    /// Calls the members together, because targets changed that nobody has worked out.
    pub(crate) fn call_together(&mut self, scope: &mut Scope<'_>) {
        if self.state == ClassicState::Stable {
            self.prepare_rebalance(scope);
        }
    }

    /// The group goes on as another kind: whoever waits is told to rejoin. Sessions' timers are the other kind's.
    pub(crate) fn end(&mut self, out: &mut Output) {
        self.refuse_everyone(ErrorCode::RebalanceInProgress, out);
        self.cancel_timers(out);
    }

    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }
}
