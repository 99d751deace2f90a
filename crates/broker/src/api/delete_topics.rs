//! DeleteTopics (20): by name or, from version 6, by id. The committed offsets of a deleted topic go with it.

use catchword_wire::messages::delete_topics_request::DeleteTopicState;
use catchword_wire::messages::delete_topics_response::DeletableTopicResult;
use catchword_wire::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use catchword_wire::{ErrorCode, Uuid};

use crate::broker::Broker;
use crate::catalog::TopicError;
use crate::dispatch::Call;
use crate::outcome::{Outcome, blocking};
use crate::quota::Mutations;

/// The first version that refuses what is over a quota (KIP-599).
const STRICT_SINCE: i16 = 6;

pub(crate) fn handle(call: &Call, request: DeleteTopicsRequest) -> Outcome<DeleteTopicsResponse> {
    let broker = call.broker.clone();
    let by_name = |name| DeleteTopicState {
        name: Some(name),
        topic_id: Uuid::ZERO,
    };
    let mut topics = request.topics;
    topics.extend(request.topic_names.into_iter().map(by_name));
    let mut mutations = Mutations::of(call, Some(STRICT_SINCE));
    Outcome::later(async move {
        let delete_all = move || {
            let responses = topics
                .into_iter()
                .map(|topic| delete(&broker, &mut mutations, topic))
                .collect();
            (responses, mutations.hold_up())
        };
        let (responses, throttle_time_ms) = blocking(delete_all).await.unwrap_or_default();
        DeleteTopicsResponse {
            throttle_time_ms,
            responses,
        }
    })
}

fn delete(
    broker: &Broker,
    mutations: &mut Mutations,
    wanted: DeleteTopicState,
) -> DeletableTopicResult {
    let mut result = DeletableTopicResult {
        name: wanted.name.clone(),
        topic_id: wanted.topic_id,
        ..Default::default()
    };
    match try_delete(broker, mutations, &wanted) {
        Ok((name, id)) => {
            result.name = Some(name);
            result.topic_id = id;
        }
        Err(error) => {
            result.error_code = error.code.code();
            result.error_message = Some(error.message.into());
        }
    }
    result
}

fn try_delete(
    broker: &Broker,
    mutations: &mut Mutations,
    wanted: &DeleteTopicState,
) -> Result<(catchword_wire::Str, Uuid), TopicError> {
    if !broker.catalog.config().delete_topic_enable {
        return Err(TopicError::new(
            ErrorCode::TopicDeletionDisabled,
            "delete.topic.enable is false",
        ));
    }
    let topic = match (&wanted.name, wanted.topic_id) {
        (Some(name), id) if id.is_zero() => {
            let unknown = || {
                TopicError::new(
                    ErrorCode::UnknownTopicOrPartition,
                    "This server does not host this topic-partition.",
                )
            };
            broker.catalog.topic(name).ok_or_else(unknown)?
        }
        (None, id) if !id.is_zero() => {
            let unknown = || {
                TopicError::new(
                    ErrorCode::UnknownTopicId,
                    "This server does not host this topic ID.",
                )
            };
            broker.catalog.topic_by_id(id).ok_or_else(unknown)?
        }
        _ => {
            return Err(TopicError::new(
                ErrorCode::InvalidRequest,
                "a topic is named by its name or by its id, not both",
            ));
        }
    };
    if topic.is_internal() {
        let why = format!(
            "{} is the broker's own: its committed offsets would be lost",
            topic.name
        );
        return Err(TopicError::new(ErrorCode::InvalidTopicException, why));
    }
    mutations.charge(topic.partitions.len() as i32)?;
    broker.catalog.delete_topic(&topic.name)?;
    broker
        .groups
        .topics_deleted(&[(topic.name.clone(), topic.id)]);
    broker.shares.topics_deleted(&[topic.id].into());
    Ok((topic.name.clone(), topic.id))
}
