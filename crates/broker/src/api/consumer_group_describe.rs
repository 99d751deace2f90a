//! ConsumerGroupDescribe (69): state, members and assignments of KIP-848 groups.

use catchword_coordinator::Call as GroupCall;
use catchword_wire::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};

use super::described::described;
use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(
    call: &Call,
    request: ConsumerGroupDescribeRequest,
) -> Outcome<ConsumerGroupDescribeResponse> {
    let operations = request.include_authorized_operations;
    let ask = GroupCall::ConsumerGroupDescribe;
    described(call, request.group_ids, ask, operations, |groups| {
        ConsumerGroupDescribeResponse {
            groups,
            ..ConsumerGroupDescribeResponse::default()
        }
    })
}
