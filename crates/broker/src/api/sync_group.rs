//! SyncGroup (14): a member learns what it was assigned; the leader brings the assignment.

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::ErrorCode;
use catchword_wire::messages::{SyncGroupRequest, SyncGroupResponse};

use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(call: &Call, request: SyncGroupRequest) -> Outcome<SyncGroupResponse> {
    let reply = call.broker.groups.call(call, GroupCall::SyncGroup(request));
    reply.map(|reply| match reply {
        Some(Reply::SyncGroup(response)) => response,
        _ => SyncGroupResponse {
            error_code: ErrorCode::CoordinatorNotAvailable.code(),
            ..Default::default()
        },
    })
}
