//! DescribeGroups (15): state and members of groups.

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::messages::describe_groups_response::DescribedGroup;
use catchword_wire::messages::{DescribeGroupsRequest, DescribeGroupsResponse};
use catchword_wire::{ErrorCode, Str};

use super::distinct::distinct;
use crate::dispatch::Call;
use crate::outcome::Outcome;

/// READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS: all that a group has. Kafka's bits.
const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;
/// "Not asked for".
const NO_OPERATIONS: i32 = i32::MIN;

/// What is told of the operations that the client may do on a group.
pub(super) fn operations(asked_for: bool) -> i32 {
    if asked_for {
        GROUP_OPERATIONS
    } else {
        NO_OPERATIONS
    }
}

/// Asks each group's coordinator for a description of some kind, once. The order is that of the request.
pub(super) fn each<G: Send + 'static>(
    call: &Call,
    mut group_ids: Vec<Str>,
    ask: fn(Str) -> GroupCall,
    take: fn(Reply) -> Option<G>,
    unavailable: fn(Str, i16) -> G,
) -> impl Future<Output = Vec<G>> + Send + 'static {
    distinct(&mut group_ids, Clone::clone);
    let groups = &call.broker.groups;
    let replies = group_ids
        .iter()
        .map(|id| groups.call(call, ask(id.clone())));
    let replies: Vec<_> = replies.collect();
    async move {
        let mut described = Vec::with_capacity(replies.len());
        for (reply, group_id) in replies.into_iter().zip(group_ids) {
            let group = reply.get().await.flatten().and_then(take);
            let code = ErrorCode::CoordinatorNotAvailable.code();
            described.push(group.unwrap_or_else(|| unavailable(group_id, code)));
        }
        described
    }
}

pub(crate) fn handle(
    call: &Call,
    request: DescribeGroupsRequest,
) -> Outcome<DescribeGroupsResponse> {
    let authorized_operations = operations(request.include_authorized_operations);
    let take = |reply| match reply {
        Reply::DescribeGroup(group) => Some(group),
        _ => None,
    };
    let unavailable = |group_id, error_code| DescribedGroup {
        group_id,
        error_code,
        ..DescribedGroup::default()
    };
    let groups = each(
        call,
        request.groups,
        GroupCall::DescribeGroup,
        take,
        unavailable,
    );
    Outcome::later(async move {
        let mut groups = groups.await;
        for group in &mut groups {
            group.authorized_operations = authorized_operations;
        }
        DescribeGroupsResponse {
            groups,
            ..DescribeGroupsResponse::default()
        }
    })
}
