//! OffsetDelete (47): committed offsets of a group are deleted (KIP-496).

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::ErrorCode;
use catchword_wire::messages::offset_delete_request::OffsetDeleteRequestTopic;
use catchword_wire::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use catchword_wire::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use crate::catalog::Catalog;
use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(
    call: &Call,
    mut request: OffsetDeleteRequest,
) -> Outcome<OffsetDeleteResponse> {
    let catalog = &call.broker.catalog;
    let mut refused = Vec::new();
    request.topics.retain_mut(|topic| {
        refused.extend(take_unknown(catalog, topic));
        !topic.partitions.is_empty()
    });
    let reply = call
        .broker
        .groups
        .call(call, GroupCall::OffsetDelete(request));
    reply.map(|reply| match reply {
        Some(Reply::OffsetDelete(mut response)) => {
            // A group that cannot be changed is an answer to the whole request.
            if response.error_code == ErrorCode::None.code() {
                merge(&mut response.topics, refused);
            }
            response
        }
        _ => OffsetDeleteResponse {
            error_code: ErrorCode::CoordinatorNotAvailable.code(),
            ..Default::default()
        },
    })
}

/// Takes partitions that do not exist out of the topic, and says so in an answer for them.
fn take_unknown(
    catalog: &Catalog,
    topic: &mut OffsetDeleteRequestTopic,
) -> Option<OffsetDeleteResponseTopic> {
    let found = catalog.topic(&topic.name);
    let mut partitions = Vec::new();
    topic.partitions.retain(|p| {
        let exists = found
            .as_ref()
            .is_some_and(|found| found.partition(p.partition_index).is_some());
        if !exists {
            partitions.push(OffsetDeleteResponsePartition {
                partition_index: p.partition_index,
                error_code: ErrorCode::UnknownTopicOrPartition.code(),
            });
        }
        exists
    });
    (!partitions.is_empty()).then(|| OffsetDeleteResponseTopic {
        name: topic.name.clone(),
        partitions,
    })
}

/// Puts the refused partitions beside the others of their topic.
fn merge(topics: &mut Vec<OffsetDeleteResponseTopic>, refused: Vec<OffsetDeleteResponseTopic>) {
    for topic in refused {
        match topics.iter_mut().find(|t| t.name == topic.name) {
            Some(present) => present.partitions.extend(topic.partitions),
            None => topics.push(topic),
        }
    }
}
