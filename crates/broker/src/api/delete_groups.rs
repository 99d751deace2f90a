//! DeleteGroups (42): empty groups and their committed offsets are deleted (KIP-229).

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::ErrorCode;
use catchword_wire::messages::delete_groups_response::DeletableGroupResult;
use catchword_wire::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(call: &Call, request: DeleteGroupsRequest) -> Outcome<DeleteGroupsResponse> {
    let ask = |id: &catchword_wire::Str| {
        call.broker
            .groups
            .call(call, GroupCall::DeleteGroup(id.clone()))
    };
    let replies: Vec<_> = request.groups_names.iter().map(ask).collect();
    let broker = call.broker.clone();
    Outcome::later(async move {
        let mut results = Vec::with_capacity(replies.len());
        for (reply, group_id) in replies.into_iter().zip(request.groups_names) {
            results.push(match reply.get().await {
                Some(Some(Reply::DeleteGroup(mut result))) => {
                    if result.error_code == 0 {
                        for pending in broker.shares.delete_group(&group_id) {
                            if let Err(error) = pending.durable().await {
                                result.error_code = error.code();
                            }
                        }
                    }
                    result
                }
                _ => DeletableGroupResult {
                    group_id,
                    error_code: ErrorCode::CoordinatorNotAvailable.code(),
                },
            });
        }
        DeleteGroupsResponse {
            results,
            ..DeleteGroupsResponse::default()
        }
    })
}
