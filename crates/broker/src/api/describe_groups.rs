//! DescribeGroups (15): state and members of groups.

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::ErrorCode;
use catchword_wire::messages::describe_groups_response::DescribedGroup;
use catchword_wire::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use super::distinct::distinct;
use crate::dispatch::Call;
use crate::outcome::Outcome;

/// READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS: all that a group has. Kafka's bits.
pub(super) const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;
/// "Not asked for".
const NO_OPERATIONS: i32 = i32::MIN;

pub(crate) fn handle(
    call: &Call,
    mut request: DescribeGroupsRequest,
) -> Outcome<DescribeGroupsResponse> {
    let operations = if request.include_authorized_operations {
        GROUP_OPERATIONS
    } else {
        NO_OPERATIONS
    };
    distinct(&mut request.groups, Clone::clone);
    let ask = |id: &catchword_wire::Str| {
        call.broker
            .groups
            .call(call, GroupCall::DescribeGroup(id.clone()))
    };
    let replies: Vec<_> = request.groups.iter().map(ask).collect();
    Outcome::later(async move {
        let mut groups = Vec::with_capacity(replies.len());
        for (reply, group_id) in replies.into_iter().zip(request.groups) {
            let mut group = match reply.get().await {
                Some(Some(Reply::DescribeGroup(group))) => group,
                _ => DescribedGroup {
                    group_id,
                    error_code: ErrorCode::CoordinatorNotAvailable.code(),
                    ..DescribedGroup::default()
                },
            };
            group.authorized_operations = operations;
            groups.push(group);
        }
        DescribeGroupsResponse {
            groups,
            ..DescribeGroupsResponse::default()
        }
    })
}
