//! JoinGroup (11): a member enters its group, or answers the call to a rebalance.

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::ErrorCode;
use catchword_wire::messages::{JoinGroupRequest, JoinGroupResponse};

use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(call: &Call, request: JoinGroupRequest) -> Outcome<JoinGroupResponse> {
    call.is_members();
    let reply = call.broker.groups.call(call, GroupCall::JoinGroup(request));
    reply.map(|reply| match reply {
        Some(Reply::JoinGroup(response)) => response,
        _ => JoinGroupResponse {
            error_code: ErrorCode::CoordinatorNotAvailable.code(),
            ..Default::default()
        },
    })
}
