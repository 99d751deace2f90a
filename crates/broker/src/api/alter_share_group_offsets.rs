//! AlterShareGroupOffsets (91): an empty share group is told to go on elsewhere. One that is not there is made, so that a
//! group's places can be set before anybody joins it.

use catchword_coordinator::Absent;
use catchword_coordinator::share::ShareKey;
use catchword_wire::messages::alter_share_group_offsets_request::AlterShareGroupOffsetsRequestTopic;
use catchword_wire::messages::alter_share_group_offsets_response::{
    AlterShareGroupOffsetsResponsePartition, AlterShareGroupOffsetsResponseTopic,
};
use catchword_wire::messages::{AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse};
use catchword_wire::{ErrorCode, Str, Uuid};

use super::share_group_offsets::empty_group;
use crate::broker::Broker;
use crate::clock;
use crate::dispatch::Call;
use crate::outcome::Outcome;
use crate::share::partition_of;

pub(crate) fn handle(
    call: &Call,
    request: AlterShareGroupOffsetsRequest,
) -> Outcome<AlterShareGroupOffsetsResponse> {
    let broker = &call.broker;
    // As in Kafka, a group is not made for the sake of topics that are not there.
    let has_topic = |topic: &AlterShareGroupOffsetsRequestTopic| {
        broker.catalog.topic(&topic.topic_name).is_some()
    };
    let absent = match request.topics.iter().any(has_topic) {
        true => Absent::Made,
        false => Absent::Allowed,
    };
    let allowed = empty_group(call, &request.group_id, absent);
    let broker = call.broker.clone();
    Outcome::later(async move {
        if let Err(error) = allowed.await {
            return AlterShareGroupOffsetsResponse {
                error_code: error.code(),
                error_message: Some(Str::from(error.to_string())),
                ..AlterShareGroupOffsetsResponse::default()
            };
        }
        let mut responses = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let topic_id = broker
                .catalog
                .topic(&topic.topic_name)
                .map_or(Uuid::ZERO, |t| t.id);
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in topic.partitions {
                let key = ShareKey {
                    group_id: request.group_id.detached(),
                    topic_id,
                    partition: partition.partition_index,
                };
                let altered = alter(&broker, &key, partition.start_offset).await;
                let error = altered.err();
                partitions.push(AlterShareGroupOffsetsResponsePartition {
                    partition_index: partition.partition_index,
                    error_code: error.unwrap_or(ErrorCode::None).code(),
                    error_message: error.map(|error| error.to_string().into()),
                });
            }
            responses.push(AlterShareGroupOffsetsResponseTopic {
                topic_name: topic.topic_name,
                topic_id,
                partitions,
            });
        }
        AlterShareGroupOffsetsResponse {
            responses,
            ..AlterShareGroupOffsetsResponse::default()
        }
    })
}

/// As in Kafka any place is taken: -1 means that the group has not begun there, and from one below the log's start it reads
/// from that.
async fn alter(broker: &Broker, key: &ShareKey, start: i64) -> Result<(), ErrorCode> {
    partition_of(&broker.catalog, key).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let shard = broker
        .shares
        .shard(key)
        .ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let (_, pending) = shard.with(|state, out| state.set_start(key, start, clock::now_ms(), out));
    pending.durable().await
}
