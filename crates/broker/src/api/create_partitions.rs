//! CreatePartitions (37): more partitions for a topic.

use catchword_wire::ErrorCode;
use catchword_wire::messages::create_partitions_request::CreatePartitionsTopic;
use catchword_wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use catchword_wire::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use crate::broker::Broker;
use crate::catalog::TopicError;
use crate::dispatch::Call;
use crate::outcome::{Outcome, blocking};
use crate::quota::Mutations;

/// The first version that refuses what is over a quota (KIP-599).
const STRICT_SINCE: i16 = 3;

pub(crate) fn handle(
    call: &Call,
    request: CreatePartitionsRequest,
) -> Outcome<CreatePartitionsResponse> {
    let broker = call.broker.clone();
    let mut mutations = Mutations::of(call, Some(STRICT_SINCE));
    Outcome::later(async move {
        let create_all = move || {
            let validate_only = request.validate_only;
            let results = request
                .topics
                .into_iter()
                .map(|topic| create(&broker, &mut mutations, topic, validate_only))
                .collect();
            (results, mutations.hold_up())
        };
        let (results, throttle_time_ms) = blocking(create_all).await.unwrap_or_default();
        CreatePartitionsResponse {
            throttle_time_ms,
            results,
        }
    })
}

fn create(
    broker: &Broker,
    mutations: &mut Mutations,
    wanted: CreatePartitionsTopic,
    validate_only: bool,
) -> CreatePartitionsTopicResult {
    let mut result = CreatePartitionsTopicResult {
        name: wanted.name.clone(),
        ..Default::default()
    };
    if let Err(error) = try_create(broker, mutations, &wanted, validate_only) {
        result.error_code = error.code.code();
        result.error_message = Some(error.message.into());
    }
    result
}

fn try_create(
    broker: &Broker,
    mutations: &mut Mutations,
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
    let mut admit = |partitions| mutations.charge(partitions);
    broker
        .catalog
        .add_partitions(&wanted.name, wanted.count, validate_only, &mut admit)
}
