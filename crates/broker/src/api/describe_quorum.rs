//! DescribeQuorum (55): who keeps the metadata log (KIP-595, KIP-836, KIP-853). That is this node alone.

use catchword_wire::messages::describe_quorum_request as request;
use catchword_wire::messages::describe_quorum_response::{
    Node, PartitionData, ReplicaState, TopicData,
};
use catchword_wire::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use catchword_wire::{ErrorCode, Str};

use crate::catalog::{METADATA_EPOCH, METADATA_TOPIC};
use crate::clock;
use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(
    call: &Call,
    request: DescribeQuorumRequest,
) -> Outcome<DescribeQuorumResponse> {
    Outcome::Now(if asks_for_the_metadata_log(&request) {
        described(call)
    } else {
        unknown(&request)
    })
}

/// As Kafka has it: the one partition that has a quorum, and nothing beside it.
fn asks_for_the_metadata_log(request: &DescribeQuorumRequest) -> bool {
    let [topic] = &request.topics[..] else {
        return false;
    };
    let [partition] = &topic.partitions[..] else {
        return false;
    };
    topic.topic_name == METADATA_TOPIC && partition.partition_index == 0
}

fn described(call: &Call) -> DescribeQuorumResponse {
    let broker = &call.broker;
    let end = broker.catalog.metadata_end();
    // A leader is always up to date with itself.
    let now_ms = clock::now_ms();
    let voter = ReplicaState {
        replica_id: broker.node_id,
        log_end_offset: end,
        last_fetch_timestamp: now_ms,
        last_caught_up_timestamp: now_ms,
        ..ReplicaState::default()
    };
    DescribeQuorumResponse {
        topics: vec![TopicData {
            topic_name: METADATA_TOPIC.into(),
            partitions: vec![PartitionData {
                leader_id: broker.node_id,
                leader_epoch: METADATA_EPOCH,
                high_watermark: end,
                current_voters: vec![voter],
                ..PartitionData::default()
            }],
        }],
        // Nothing listens for other voters.
        nodes: vec![Node {
            node_id: broker.node_id,
            ..Node::default()
        }],
        ..DescribeQuorumResponse::default()
    }
}

fn unknown(request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
    let partition = |partition: &request::PartitionData| PartitionData {
        partition_index: partition.partition_index,
        error_code: ErrorCode::UnknownTopicOrPartition.code(),
        error_message: Some(Str::from(format!(
            "only {METADATA_TOPIC}-0 has a quorum; ask for it alone"
        ))),
        ..PartitionData::default()
    };
    let topics = request.topics.iter().map(|topic| TopicData {
        topic_name: topic.topic_name.clone(),
        partitions: topic.partitions.iter().map(partition).collect(),
    });
    DescribeQuorumResponse {
        topics: topics.collect(),
        ..DescribeQuorumResponse::default()
    }
}
