//! ConsumerGroupDescribe (69): state, members and assignments of KIP-848 groups.

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::messages::consumer_group_describe_response::DescribedGroup;
use catchword_wire::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};

use super::describe_groups::{each, operations};
use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(
    call: &Call,
    request: ConsumerGroupDescribeRequest,
) -> Outcome<ConsumerGroupDescribeResponse> {
    let authorized_operations = operations(request.include_authorized_operations);
    let take = |reply| match reply {
        Reply::ConsumerGroupDescribe(group) => Some(group),
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
        GroupCall::ConsumerGroupDescribe,
        take,
        unavailable,
    );
    Outcome::later(async move {
        let mut groups = groups.await;
        for group in &mut groups {
            group.authorized_operations = authorized_operations;
        }
        ConsumerGroupDescribeResponse {
            groups,
            ..ConsumerGroupDescribeResponse::default()
        }
    })
}
