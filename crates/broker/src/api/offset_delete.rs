//! OffsetDelete (47): committed offsets of a group are deleted (KIP-496).

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::ErrorCode;
use catchword_wire::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(call: &Call, request: OffsetDeleteRequest) -> Outcome<OffsetDeleteResponse> {
    let reply = call
        .broker
        .groups
        .call(call, GroupCall::OffsetDelete(request));
    reply.map(|reply| match reply {
        Some(Reply::OffsetDelete(response)) => response,
        _ => OffsetDeleteResponse {
            error_code: ErrorCode::CoordinatorNotAvailable.code(),
            ..Default::default()
        },
    })
}
