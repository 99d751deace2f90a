//! ShareGroupDescribe (77): state, members and assignments of share groups.

use catchword_coordinator::Call as GroupCall;
use catchword_wire::messages::{ShareGroupDescribeRequest, ShareGroupDescribeResponse};

use super::described::described;
use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(
    call: &Call,
    request: ShareGroupDescribeRequest,
) -> Outcome<ShareGroupDescribeResponse> {
    let operations = request.include_authorized_operations;
    let ask = GroupCall::ShareGroupDescribe;
    described(call, request.group_ids, ask, operations, |groups| {
        ShareGroupDescribeResponse {
            groups,
            ..ShareGroupDescribeResponse::default()
        }
    })
}
