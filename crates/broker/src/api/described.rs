//! What the four APIs that describe groups have in common: each group is asked of its coordinator once.

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::messages::{
    consumer_group_describe_response, describe_groups_response, share_group_describe_response,
    streams_group_describe_response,
};
use catchword_wire::{ErrorCode, Str};

use super::distinct::distinct;
use crate::dispatch::Call;
use crate::outcome::Outcome;

/// READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS: all that a group has. Kafka's bits.
const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;
/// "Not asked for".
const NO_OPERATIONS: i32 = i32::MIN;

/// The description of a group of some kind.
pub(super) trait Description: Sized + Send + 'static {
    /// `None` if the reply is to another question.
    fn of(reply: Reply) -> Option<Self>;
    /// Of a group whose coordinator gave no answer.
    fn unavailable(group_id: Str) -> Self;
    /// Says what the client may do with the group, as Kafka's bits.
    fn set_operations(&mut self, operations: i32);
}

macro_rules! description {
    ($response:ident, $reply:ident) => {
        impl Description for $response::DescribedGroup {
            fn of(reply: Reply) -> Option<Self> {
                match reply {
                    Reply::$reply(group) => Some(group),
                    _ => None,
                }
            }

            fn unavailable(group_id: Str) -> Self {
                Self {
                    group_id,
                    error_code: ErrorCode::CoordinatorNotAvailable.code(),
                    ..Self::default()
                }
            }

            fn set_operations(&mut self, operations: i32) {
                self.authorized_operations = operations;
            }
        }
    };
}

description!(describe_groups_response, DescribeGroup);
description!(consumer_group_describe_response, ConsumerGroupDescribe);
description!(share_group_describe_response, ShareGroupDescribe);
description!(streams_group_describe_response, StreamsGroupDescribe);

/// Asks each group's coordinator, and makes a response of the descriptions. The order is that of the request.
pub(super) fn described<D: Description, R: Send + 'static>(
    call: &Call,
    mut group_ids: Vec<Str>,
    ask: fn(Str) -> GroupCall,
    include_authorized_operations: bool,
    respond: fn(Vec<D>) -> R,
) -> Outcome<R> {
    distinct(&mut group_ids, Clone::clone);
    let groups = &call.broker.groups;
    let replies = group_ids
        .iter()
        .map(|id| groups.call(call, ask(id.clone())));
    let replies: Vec<_> = replies.collect();
    let operations = match include_authorized_operations {
        true => GROUP_OPERATIONS,
        false => NO_OPERATIONS,
    };
    Outcome::later(async move {
        let mut all = Vec::with_capacity(replies.len());
        for (reply, group_id) in replies.into_iter().zip(group_ids) {
            let description = reply.get().await.flatten().and_then(D::of);
            let mut description = description.unwrap_or_else(|| D::unavailable(group_id));
            description.set_operations(operations);
            all.push(description);
        }
        respond(all)
    })
}
