//! ShareGroupHeartbeat (76): a member of a share group is alive, says what it reads, and hears from which partitions.

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::ErrorCode;
use catchword_wire::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};

use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(
    call: &Call,
    request: ShareGroupHeartbeatRequest,
) -> Outcome<ShareGroupHeartbeatResponse> {
    let reply = call
        .broker
        .groups
        .call(call, GroupCall::ShareGroupHeartbeat(request));
    reply.map(|reply| match reply {
        Some(Reply::ShareGroupHeartbeat(response)) => response,
        _ => ShareGroupHeartbeatResponse {
            error_code: ErrorCode::CoordinatorNotAvailable.code(),
            ..Default::default()
        },
    })
}
