//! ShareGroupDescribe (77): state, members and assignments of share groups.

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::messages::share_group_describe_response::DescribedGroup;
use catchword_wire::messages::{ShareGroupDescribeRequest, ShareGroupDescribeResponse};

use super::describe_groups::{each, operations};
use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(
    call: &Call,
    request: ShareGroupDescribeRequest,
) -> Outcome<ShareGroupDescribeResponse> {
    let authorized_operations = operations(request.include_authorized_operations);
    let take = |reply| match reply {
        Reply::ShareGroupDescribe(group) => Some(group),
        _ => None,
    };
    let unavailable = |group_id, error_code| DescribedGroup {
        group_id,
        error_code,
        ..DescribedGroup::default()
    };
    let groups = each(
        call,
        request.group_ids,
        GroupCall::ShareGroupDescribe,
        take,
        unavailable,
    );
    Outcome::later(async move {
        let mut groups = groups.await;
        for group in &mut groups {
            group.authorized_operations = authorized_operations;
        }
        ShareGroupDescribeResponse {
            groups,
            ..ShareGroupDescribeResponse::default()
        }
    })
}
