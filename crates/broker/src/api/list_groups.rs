//! ListGroups (16): every group of this broker, by state and type if asked for (KIP-518, KIP-848).

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::ErrorCode;
use catchword_wire::messages::{ListGroupsRequest, ListGroupsResponse};

use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(call: &Call, request: ListGroupsRequest) -> Outcome<ListGroupsResponse> {
    if call.broker.groups.is_loading() {
        let error_code = ErrorCode::CoordinatorLoadInProgress.code();
        return Outcome::Now(ListGroupsResponse {
            error_code,
            ..ListGroupsResponse::default()
        });
    }
    let ask = || GroupCall::ListGroups {
        states: request.states_filter.clone(),
        types: request.types_filter.clone(),
    };
    let replies = call.broker.groups.call_all(call, ask);
    Outcome::later(async move {
        let mut response = ListGroupsResponse::default();
        for reply in replies {
            match reply.get().await {
                Some(Some(Reply::ListGroups(groups))) => response.groups.extend(groups),
                _ => response.error_code = ErrorCode::CoordinatorNotAvailable.code(),
            }
        }
        response
    })
}
