//! WriteTxnMarkers (27): ends transactions in partitions, whatever their coordinator says. Brokers of Kafka's send it to each
//! other; here it is how an administrator ends one that hangs.

use std::sync::Arc;

use catchword_coordinator::{Marker, ProducerEpoch};
use catchword_wire::messages::write_txn_markers_request::WritableTxnMarker;
use catchword_wire::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use catchword_wire::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use catchword_wire::{ErrorCode, Str};

use super::error::append_error;
use crate::broker::Broker;
use crate::catalog::OFFSETS_TOPIC;
use crate::clock;
use crate::dispatch::Call;
use crate::flush::FlushAll;
use crate::outcome::Outcome;
use crate::shards::of_log;

pub(crate) fn handle(
    call: &Call,
    request: WriteTxnMarkersRequest,
) -> Outcome<WriteTxnMarkersResponse> {
    let broker = call.broker.clone();
    Outcome::later(async move {
        let mut response = WriteTxnMarkersResponse::default();
        for marker in request.markers {
            response.markers.push(write(&broker, marker).await);
        }
        response
    })
}

async fn write(broker: &Arc<Broker>, asked: WritableTxnMarker) -> WritableTxnMarkerResult {
    let marker = Marker {
        producer: ProducerEpoch {
            id: asked.producer_id,
            epoch: asked.producer_epoch,
        },
        commit: asked.transaction_result,
        coordinator_epoch: asked.coordinator_epoch,
        transaction_version: i16::from(asked.transaction_version),
    };
    let mut topics = Vec::with_capacity(asked.topics.len());
    for topic in asked.topics {
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for partition_index in topic.partition_indexes {
            let error = write_one(broker, &topic.name, partition_index, marker).await;
            partitions.push(WritableTxnMarkerPartitionResult {
                partition_index,
                error_code: error.code(),
            });
        }
        topics.push(WritableTxnMarkerTopicResult {
            name: topic.name,
            partitions,
        });
    }
    WritableTxnMarkerResult {
        producer_id: asked.producer_id,
        topics,
    }
}

async fn write_one(broker: &Arc<Broker>, topic: &Str, index: i32, marker: Marker) -> ErrorCode {
    let found = broker.catalog.topic(topic);
    let Some(partition) = found.and_then(|found| found.partition(index).cloned()) else {
        return ErrorCode::UnknownTopicOrPartition;
    };
    if *topic == OFFSETS_TOPIC {
        return match broker.groups.end_transaction(index, marker).await {
            // What a coordinator of transactions waits for is a partition that is ready.
            ErrorCode::NotCoordinator
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable => ErrorCode::NotLeaderOrFollower,
            other => other,
        };
    }
    match partition.append_marker(&of_log(&marker, clock::now_ms())) {
        Ok(appended) => {
            let mut flush = FlushAll::default();
            flush.add(partition, appended.last_offset + 1);
            match flush.start().await.is_empty() {
                true => ErrorCode::None,
                false => ErrorCode::KafkaStorageError,
            }
        }
        Err(refused) => append_error(&refused),
    }
}
