//! DescribeGroups (15): state and members of groups.

use catchword_coordinator::Call as GroupCall;
use catchword_wire::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use super::described::described;
use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(
    call: &Call,
    request: DescribeGroupsRequest,
) -> Outcome<DescribeGroupsResponse> {
    let operations = request.include_authorized_operations;
    let ask = GroupCall::DescribeGroup;
    described(call, request.groups, ask, operations, |groups| {
        DescribeGroupsResponse {
            groups,
            ..DescribeGroupsResponse::default()
        }
    })
}
