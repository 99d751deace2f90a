//! Metadata (3): brokers, topics and who leads their partitions; creates topics that are asked for if it may.

use std::sync::Arc;

use catchword_wire::messages::metadata_request::MetadataRequestTopic;
use catchword_wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use catchword_wire::messages::{MetadataRequest, MetadataResponse};
use catchword_wire::{ErrorCode, Str, Uuid};

use super::distinct::distinct;
use crate::broker::Broker;
use crate::catalog::Topic;
use crate::dispatch::Call;
use crate::outcome::{Outcome, blocking};

/// First version whose clients may name a topic by its id alone.
const ASKS_BY_ID: i16 = 12;
/// "Not asked for", in place of the operations a client may perform.
pub(super) const NO_OPERATIONS: i32 = i32::MIN;
/// READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS: all that a topic has. Kafka's bits.
pub(super) const TOPIC_OPERATIONS: i32 = 0b0000_1101_1111_1000;
/// CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE.
pub(super) const CLUSTER_OPERATIONS: i32 = 0b0001_1111_1010_0000;

pub(crate) fn handle(call: &Call, mut request: MetadataRequest) -> Outcome<MetadataResponse> {
    if let Some(topics) = &mut request.topics {
        // Java's consumer, which is assigned topics by id alone, sends an empty name along with the id.
        let by_id = topics.iter_mut().filter(|t| t.topic_id != Uuid::ZERO);
        if call.version >= ASKS_BY_ID {
            by_id.for_each(|topic| topic.name = None);
        }
        distinct(topics, |t| (t.name.clone(), t.topic_id));
    }
    let missing = missing_topics(call, &request);
    if missing.is_empty() {
        return Outcome::Now(answer(call, &request));
    }
    let call = call.clone();
    Outcome::later(async move {
        let broker = call.broker.clone();
        blocking(move || missing.iter().for_each(|name| auto_create(&broker, name))).await;
        answer(&call, &request)
    })
}

/// Topics that are asked for by name, do not exist and may be created.
fn missing_topics(call: &Call, request: &MetadataRequest) -> Vec<Str> {
    let may_create = call.version < 4 || request.allow_auto_topic_creation;
    if !may_create || !call.broker.catalog.config().auto_create_topics_enable {
        return Vec::new();
    }
    let names = request
        .topics
        .iter()
        .flatten()
        .filter_map(|t| t.name.as_ref());
    names
        .filter(|name| call.broker.catalog.topic(name).is_none())
        .cloned()
        .collect()
}

/// Creates a topic that a client merely mentioned; that it cannot be is told by its absence.
fn auto_create(broker: &Arc<Broker>, name: &Str) {
    if let Err(error) = broker.auto_create_topic(name) {
        tracing::debug!("topic {name} is not created by itself: {}", error.message);
    }
}

fn answer(call: &Call, request: &MetadataRequest) -> MetadataResponse {
    let broker = &call.broker;
    let operations = if request.include_topic_authorized_operations {
        TOPIC_OPERATIONS
    } else {
        NO_OPERATIONS
    };
    let topics = match &request.topics {
        None => broker
            .catalog
            .topics()
            .iter()
            .map(|t| described(broker, t, operations))
            .collect(),
        // Version 0 has no null and means all topics by an empty list.
        Some(names) if names.is_empty() && call.version == 0 => broker
            .catalog
            .topics()
            .iter()
            .map(|t| described(broker, t, operations))
            .collect(),
        Some(names) => names
            .iter()
            .map(|wanted| one(broker, wanted, operations))
            .collect(),
    };
    let endpoint = broker.endpoint(&call.client);
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: broker.node_id,
            host: endpoint.0,
            port: endpoint.1,
            rack: broker
                .catalog
                .config()
                .broker_rack
                .as_deref()
                .map(Str::copy),
        }],
        cluster_id: Some(broker.cluster_id.clone()),
        controller_id: broker.node_id,
        topics,
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            NO_OPERATIONS
        },
        ..MetadataResponse::default()
    }
}

fn one(broker: &Broker, wanted: &MetadataRequestTopic, operations: i32) -> MetadataResponseTopic {
    let (topic, error) = match &wanted.name {
        Some(name) if crate::catalog::is_valid_name(name) => (
            broker.catalog.topic(name),
            ErrorCode::UnknownTopicOrPartition,
        ),
        Some(_) => (None, ErrorCode::InvalidTopicException),
        None => (
            broker.catalog.topic_by_id(wanted.topic_id),
            ErrorCode::UnknownTopicId,
        ),
    };
    match topic {
        Some(topic) => described(broker, &topic, operations),
        None => MetadataResponseTopic {
            error_code: error.code(),
            name: wanted.name.clone(),
            topic_id: wanted.topic_id,
            topic_authorized_operations: NO_OPERATIONS,
            ..MetadataResponseTopic::default()
        },
    }
}

fn described(broker: &Broker, topic: &Topic, operations: i32) -> MetadataResponseTopic {
    let node = broker.node_id;
    let partition = |index: usize| MetadataResponsePartition {
        partition_index: index as i32,
        leader_id: node,
        leader_epoch: topic.partitions[index].leader_epoch,
        replica_nodes: vec![node],
        isr_nodes: vec![node],
        ..MetadataResponsePartition::default()
    };
    MetadataResponseTopic {
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: topic.is_internal(),
        partitions: (0..topic.partitions.len()).map(partition).collect(),
        topic_authorized_operations: operations,
        ..MetadataResponseTopic::default()
    }
}
