//! ConsumerGroupHeartbeat (68): a member of a KIP-848 group is alive, says what is new, and hears what it is to read.

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::ErrorCode;
use catchword_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(
    call: &Call,
    request: ConsumerGroupHeartbeatRequest,
) -> Outcome<ConsumerGroupHeartbeatResponse> {
    call.is_members();
    let reply = call
        .broker
        .groups
        .call(call, GroupCall::ConsumerGroupHeartbeat(request));
    reply.map(|reply| match reply {
        Some(Reply::ConsumerGroupHeartbeat(response)) => response,
        _ => ConsumerGroupHeartbeatResponse {
            error_code: ErrorCode::CoordinatorNotAvailable.code(),
            ..Default::default()
        },
    })
}
