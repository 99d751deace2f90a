//! CreateTopics (19).

use std::collections::{BTreeMap, BTreeSet};

use catchword_config::{TOPIC_KEYS, describe_topic};
use catchword_wire::messages::create_topics_request::CreatableTopic;
use catchword_wire::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use catchword_wire::messages::{CreateTopicsRequest, CreateTopicsResponse};
use catchword_wire::{ErrorCode, Str, Uuid};

use crate::broker::Broker;
use crate::catalog::{NewTopic, TopicError};
use crate::dispatch::Call;
use crate::outcome::{Outcome, blocking};
use crate::quota::Mutations;

/// The first version that refuses what is over a quota (KIP-599).
const STRICT_SINCE: i16 = 5;

pub(crate) fn handle(call: &Call, request: CreateTopicsRequest) -> Outcome<CreateTopicsResponse> {
    let broker = call.broker.clone();
    let mut mutations = Mutations::of(call, Some(STRICT_SINCE));
    Outcome::later(async move {
        let create_all = move || {
            let topics = create_all(&broker, &mut mutations, request);
            (topics, mutations.hold_up())
        };
        let (topics, throttle_time_ms) = blocking(create_all).await.unwrap_or_default();
        CreateTopicsResponse {
            throttle_time_ms,
            topics,
        }
    })
}

fn create_all(
    broker: &Broker,
    mutations: &mut Mutations,
    request: CreateTopicsRequest,
) -> Vec<CreatableTopicResult> {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<Str> = request
        .topics
        .iter()
        .filter(|t| !seen.insert(t.name.clone()))
        .map(|t| t.name.clone())
        .collect();
    let mut answered = BTreeSet::new();
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let name = topic.name.clone();
        if !answered.insert(name.clone()) {
            continue;
        }
        let done = if twice.contains(&name) {
            Err(TopicError::new(
                ErrorCode::InvalidRequest,
                "Duplicate topic name.",
            ))
        } else {
            create(broker, mutations, topic, request.validate_only)
        };
        results.push(done.unwrap_or_else(|error| CreatableTopicResult {
            name,
            error_code: error.code.code(),
            error_message: Some(error.message.into()),
            num_partitions: -1,
            replication_factor: -1,
            configs: None,
            ..CreatableTopicResult::default()
        }));
    }
    results
}

/// Makes one topic, or only checks whether it could be made. Blocks.
///
/// # Errors
/// Kafka's code, and why.
pub(super) fn create(
    broker: &Broker,
    mutations: &mut Mutations,
    wanted: CreatableTopic,
    validate_only: bool,
) -> Result<CreatableTopicResult, TopicError> {
    let config = broker.catalog.config();
    let partitions = partition_count(broker, &wanted, config.num_partitions)?;
    let mut configs = BTreeMap::new();
    for set in &wanted.configs {
        let Some(value) = &set.value else {
            let why = format!("Null value not supported for topic configs: {}", set.name);
            return Err(TopicError::new(ErrorCode::InvalidConfig, why));
        };
        configs.insert(set.name.to_string(), value.to_string());
    }
    let new = NewTopic {
        name: wanted.name.detached(),
        partitions,
        configs,
    };
    let mut admit = |partitions| mutations.charge(partitions);
    let topic = broker
        .catalog
        .create_topic_if(&new, validate_only, &mut admit)?;
    // Kafka's own clients take every key here for one of Kafka's: ours are left to DescribeConfigs.
    let is_ours = |name: &str| TOPIC_KEYS.iter().any(|key| key.ours && key.name == name);
    let described = describe_topic(&config, &topic.overrides)
        .into_iter()
        .filter(|d| !is_ours(d.key))
        .map(|d| CreatableTopicConfigs {
            name: d.key.into(),
            value: d.value.map(Str::from),
            read_only: d.read_only,
            config_source: d.source.code(),
            is_sensitive: d.sensitive,
        });
    Ok(CreatableTopicResult {
        name: wanted.name,
        topic_id: if validate_only { Uuid::ZERO } else { topic.id },
        num_partitions: partitions,
        replication_factor: 1,
        configs: Some(described.collect()),
        ..CreatableTopicResult::default()
    })
}

/// How many partitions are meant: a count, the default, or one for each manual assignment.
fn partition_count(
    broker: &Broker,
    wanted: &CreatableTopic,
    default: i32,
) -> Result<i32, TopicError> {
    if wanted.assignments.is_empty() {
        if !matches!(wanted.replication_factor, -1 | 1) {
            let why = format!(
                "Replication factor: {} larger than available brokers: 1.",
                wanted.replication_factor
            );
            return Err(TopicError::new(ErrorCode::InvalidReplicationFactor, why));
        }
        return match wanted.num_partitions {
            -1 => Ok(default),
            n if n >= 1 => Ok(n),
            _ => Err(TopicError::new(
                ErrorCode::InvalidPartitions,
                "Number of partitions was set to an invalid non-positive value.",
            )),
        };
    }
    if wanted.num_partitions != -1 || wanted.replication_factor != -1 {
        let why = "A manual partition assignment was specified, but numPartitions or replicationFactor was not set to -1.";
        return Err(TopicError::new(ErrorCode::InvalidRequest, why));
    }
    let mut indexes: Vec<i32> = wanted
        .assignments
        .iter()
        .map(|a| a.partition_index)
        .collect();
    indexes.sort_unstable();
    let consecutive = indexes
        .iter()
        .enumerate()
        .all(|(at, index)| at as i32 == *index);
    let here = wanted
        .assignments
        .iter()
        .all(|a| a.broker_ids == [broker.node_id]);
    if !consecutive || !here {
        let why = format!(
            "partitions must be numbered from 0 and assigned to the one broker there is, {}",
            broker.node_id
        );
        return Err(TopicError::new(ErrorCode::InvalidReplicaAssignment, why));
    }
    Ok(indexes.len() as i32)
}
