//! StreamsGroupDescribe (89): state, topology, members and tasks of streams groups.

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::ErrorCode;
use catchword_wire::messages::streams_group_describe_response::DescribedGroup;
use catchword_wire::messages::{StreamsGroupDescribeRequest, StreamsGroupDescribeResponse};

use super::describe_groups::GROUP_OPERATIONS;
use super::distinct::distinct;
use crate::dispatch::Call;
use crate::outcome::Outcome;

/// "Not asked for".
const NO_OPERATIONS: i32 = i32::MIN;

pub(crate) fn handle(
    call: &Call,
    mut request: StreamsGroupDescribeRequest,
) -> Outcome<StreamsGroupDescribeResponse> {
    let operations = if request.include_authorized_operations {
        GROUP_OPERATIONS
    } else {
        NO_OPERATIONS
    };
    distinct(&mut request.group_ids, Clone::clone);
    let ask = |id: &catchword_wire::Str| {
        call.broker
            .groups
            .call(call, GroupCall::StreamsGroupDescribe(id.clone()))
    };
    let replies: Vec<_> = request.group_ids.iter().map(ask).collect();
    Outcome::later(async move {
        let mut groups = Vec::with_capacity(replies.len());
        for (reply, group_id) in replies.into_iter().zip(request.group_ids) {
            let mut group = match reply.get().await {
                Some(Some(Reply::StreamsGroupDescribe(group))) => group,
                _ => DescribedGroup {
                    group_id,
                    error_code: ErrorCode::CoordinatorNotAvailable.code(),
                    ..DescribedGroup::default()
                },
            };
            group.authorized_operations = operations;
            groups.push(group);
        }
        StreamsGroupDescribeResponse {
            groups,
            ..StreamsGroupDescribeResponse::default()
        }
    })
}
