//! StreamsGroupDescribe (89): state, topology, members and tasks of streams groups.

use catchword_coordinator::Call as GroupCall;
use catchword_wire::messages::{StreamsGroupDescribeRequest, StreamsGroupDescribeResponse};

use super::described::described;
use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(
    call: &Call,
    request: StreamsGroupDescribeRequest,
) -> Outcome<StreamsGroupDescribeResponse> {
    let operations = request.include_authorized_operations;
    let ask = GroupCall::StreamsGroupDescribe;
    described(call, request.group_ids, ask, operations, |groups| {
        StreamsGroupDescribeResponse {
            groups,
            ..StreamsGroupDescribeResponse::default()
        }
    })
}
