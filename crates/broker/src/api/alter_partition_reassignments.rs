//! AlterPartitionReassignments (45): every partition is on this broker and can be nowhere else.

use catchword_wire::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use catchword_wire::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
};
use catchword_wire::{ErrorCode, Str};

use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(
    call: &Call,
    request: AlterPartitionReassignmentsRequest,
) -> Outcome<AlterPartitionReassignmentsResponse> {
    let node = call.broker.node_id;
    let responses = request.topics.into_iter().map(|asked| {
        let topic = call.broker.catalog.topic(&asked.name);
        let partitions = asked.partitions.iter().map(|part| {
            let known = topic
                .as_ref()
                .is_some_and(|t| t.partition(part.partition_index).is_some());
            let error = check(node, known, part.replicas.as_deref()).err();
            ReassignablePartitionResponse {
                partition_index: part.partition_index,
                error_code: error.as_ref().map_or(0, |(code, _)| code.code()),
                error_message: error.map(|(_, why)| Str::from(why)),
            }
        });
        ReassignableTopicResponse {
            partitions: partitions.collect(),
            name: asked.name.clone(),
        }
    });
    Outcome::Now(AlterPartitionReassignmentsResponse {
        responses: responses.collect(),
        allow_replication_factor_change: request.allow_replication_factor_change,
        ..AlterPartitionReassignmentsResponse::default()
    })
}

/// To where it is already a partition may be moved: that changes nothing.
fn check(node: i32, known: bool, replicas: Option<&[i32]>) -> Result<(), (ErrorCode, String)> {
    let invalid = |why: String| {
        let why = format!("The manual partition assignment includes {why}");
        Err((ErrorCode::InvalidReplicaAssignment, why))
    };
    if !known {
        let why = "Unable to find the partition.".to_owned();
        return Err((ErrorCode::UnknownTopicOrPartition, why));
    }
    let Some(replicas) = replicas else {
        let why = "No partition reassignment is in progress.".to_owned();
        return Err((ErrorCode::NoReassignmentInProgress, why));
    };
    match replicas.iter().find(|replica| **replica != node) {
        Some(other) => invalid(format!("broker {other}, but no such broker is registered.")),
        None if replicas.is_empty() => invalid("an empty replica list.".into()),
        None if replicas.len() > 1 => invalid(format!("the broker {node} more than once.")),
        None => Ok(()),
    }
}
