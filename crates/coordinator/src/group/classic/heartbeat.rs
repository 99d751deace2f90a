//! Heartbeat: a member is alive, and hears whether it must rejoin.

use catchword_wire::ErrorCode;
use catchword_wire::messages::HeartbeatRequest;

use super::ClassicGroup;
use crate::group::Scope;
use crate::group::state::ClassicState;

impl ClassicGroup {
    /// G6. The error to answer with, or none.
    pub(crate) fn heartbeat(
        &mut self,
        request: &HeartbeatRequest,
        scope: &mut Scope<'_>,
    ) -> ErrorCode {
        if let Err(error) = self.validate(&request.member_id, request.group_instance_id.as_ref()) {
            return error;
        }
        if request.generation_id != self.generation {
            return ErrorCode::IllegalGeneration;
        }
        self.restart_session(&request.member_id, scope);
        match self.state {
            ClassicState::Empty => ErrorCode::UnknownMemberId,
            ClassicState::PreparingRebalance => ErrorCode::RebalanceInProgress,
            // Clients begin to heartbeat as soon as they have joined.
            ClassicState::CompletingRebalance | ClassicState::Stable => ErrorCode::None,
        }
    }
}
