//! LeaveGroup (13): members leave their group.

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::ErrorCode;
use catchword_wire::messages::{LeaveGroupRequest, LeaveGroupResponse};

use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(call: &Call, request: LeaveGroupRequest) -> Outcome<LeaveGroupResponse> {
    let reply = call
        .broker
        .groups
        .call(call, GroupCall::LeaveGroup(request));
    reply.map(|reply| match reply {
        Some(Reply::LeaveGroup(response)) => response,
        _ => LeaveGroupResponse {
            error_code: ErrorCode::CoordinatorNotAvailable.code(),
            ..Default::default()
        },
    })
}
