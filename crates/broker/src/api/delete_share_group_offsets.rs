//! DeleteShareGroupOffsets (92): an empty share group forgets where it was in topics.

use catchword_coordinator::Absent;
use catchword_wire::messages::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic;
use catchword_wire::messages::{DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse};
use catchword_wire::{ErrorCode, Str, Uuid};

use super::share_group_offsets::empty_group;
use crate::broker::Broker;
use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(
    call: &Call,
    request: DeleteShareGroupOffsetsRequest,
) -> Outcome<DeleteShareGroupOffsetsResponse> {
    let allowed = empty_group(call, &request.group_id, Absent::Refused);
    let broker = call.broker.clone();
    Outcome::later(async move {
        if let Err(error) = allowed.await {
            return DeleteShareGroupOffsetsResponse {
                error_code: error.code(),
                error_message: Some(Str::from(error.to_string())),
                ..DeleteShareGroupOffsetsResponse::default()
            };
        }
        let mut responses = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let topic_id = broker
                .catalog
                .topic(&topic.topic_name)
                .map(|topic| topic.id);
            let error = match topic_id {
                Some(id) => delete(&broker, &request.group_id, id).await.err(),
                None => Some(ErrorCode::UnknownTopicOrPartition),
            };
            responses.push(DeleteShareGroupOffsetsResponseTopic {
                topic_name: topic.topic_name,
                topic_id: topic_id.unwrap_or(Uuid::ZERO),
                error_code: error.unwrap_or(ErrorCode::None).code(),
                error_message: error.map(|error| error.to_string().into()),
            });
        }
        DeleteShareGroupOffsetsResponse {
            responses,
            ..DeleteShareGroupOffsetsResponse::default()
        }
    })
}

async fn delete(broker: &Broker, group_id: &str, topic_id: Uuid) -> Result<(), ErrorCode> {
    let mut keys = broker.shares.keys_of(group_id);
    keys.retain(|key| key.topic_id == topic_id);
    let deleted: Vec<_> = keys
        .iter()
        .filter_map(|key| broker.shares.delete(key))
        .collect();
    for pending in deleted {
        pending.durable().await?;
    }
    Ok(())
}
