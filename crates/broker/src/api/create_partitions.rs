//! CreatePartitions (37): more partitions for a topic.

use catchword_wire::ErrorCode;
use catchword_wire::messages::create_partitions_request::CreatePartitionsTopic;
use catchword_wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use catchword_wire::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use crate::broker::Broker;
use crate::catalog::TopicError;
use crate::dispatch::Call;
use crate::outcome::{Outcome, blocking};

pub(crate) fn handle(
    call: &Call,
    request: CreatePartitionsRequest,
) -> Outcome<CreatePartitionsResponse> {
    let broker = call.broker.clone();
    Outcome::later(async move {
        let create_all = move || {
            let validate_only = request.validate_only;
            request
                .topics
                .into_iter()
                .map(|topic| create(&broker, topic, validate_only))
                .collect()
        };
        CreatePartitionsResponse {
            results: blocking(create_all).await.unwrap_or_default(),
            ..CreatePartitionsResponse::default()
        }
    })
}

fn create(
    broker: &Broker,
    wanted: CreatePartitionsTopic,
    validate_only: bool,
) -> CreatePartitionsTopicResult {
    let mut result = CreatePartitionsTopicResult {
        name: wanted.name.clone(),
        ..Default::default()
    };
    if let Err(error) = try_create(broker, &wanted, validate_only) {
        result.error_code = error.code.code();
        result.error_message = Some(error.message.into());
    }
    result
}

fn try_create(
    broker: &Broker,
    wanted: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), TopicError> {
    if let Some(assignments) = &wanted.assignments {
        let now = broker
            .catalog
            .topic(&wanted.name)
            .map_or(0, |t| t.partitions.len() as i32);
        if assignments.len() as i32 != wanted.count - now {
            let why = format!(
                "{} assignments for {} new partitions",
                assignments.len(),
                wanted.count - now
            );
            return Err(TopicError::new(ErrorCode::InvalidReplicaAssignment, why));
        }
        if assignments.iter().any(|a| a.broker_ids != [broker.node_id]) {
            let why = format!("there is one broker, {}", broker.node_id);
            return Err(TopicError::new(ErrorCode::InvalidReplicaAssignment, why));
        }
    }
    broker
        .catalog
        .add_partitions(&wanted.name, wanted.count, validate_only)
}
