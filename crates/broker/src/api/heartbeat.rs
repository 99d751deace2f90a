//! Heartbeat (12): a member is alive.

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::ErrorCode;
use catchword_wire::messages::{HeartbeatRequest, HeartbeatResponse};

use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(call: &Call, request: HeartbeatRequest) -> Outcome<HeartbeatResponse> {
    call.is_members();
    let reply = call.broker.groups.call(call, GroupCall::Heartbeat(request));
    reply.map(|reply| match reply {
        Some(Reply::Heartbeat(response)) => response,
        _ => HeartbeatResponse {
            error_code: ErrorCode::CoordinatorNotAvailable.code(),
            ..Default::default()
        },
    })
}
