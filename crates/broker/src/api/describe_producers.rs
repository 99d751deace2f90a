//! DescribeProducers (61): the idempotent producers that a partition remembers (KIP-664).

use catchword_wire::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use catchword_wire::messages::{DescribeProducersRequest, DescribeProducersResponse};
use catchword_wire::{ErrorCode, Uuid};

use super::distinct::distinct;
use crate::dispatch::Call;
use crate::lookup;
use crate::outcome::Outcome;

pub(crate) fn handle(
    call: &Call,
    mut request: DescribeProducersRequest,
) -> Outcome<DescribeProducersResponse> {
    let mut topics = Vec::with_capacity(request.topics.len());
    distinct(&mut request.topics, |t| t.name.clone());
    for mut wanted in request.topics {
        distinct(&mut wanted.partition_indexes, |index| *index);
        let topic = lookup::topic(&call.broker.catalog, &wanted.name, Uuid::ZERO);
        let one = |index: &i32| {
            let found = topic
                .as_ref()
                .map_err(|e| *e)
                .and_then(|topic| lookup::partition(topic, *index));
            let view = |p: catchword_log::ProducerView| ProducerState {
                producer_id: p.producer_id,
                producer_epoch: i32::from(p.epoch),
                last_sequence: p.last_sequence,
                last_timestamp: p.last_timestamp,
                coordinator_epoch: p.coordinator_epoch,
                current_txn_start_offset: p.current_txn_start_offset,
            };
            PartitionResponse {
                partition_index: *index,
                error_code: found.map_or_else(ErrorCode::code, |_| 0),
                active_producers: found.map_or_else(
                    |_| Vec::new(),
                    |p| p.log.producers().into_iter().map(view).collect(),
                ),
                ..PartitionResponse::default()
            }
        };
        let partitions = wanted.partition_indexes.iter().map(one).collect();
        topics.push(TopicResponse {
            name: wanted.name,
            partitions,
        });
    }
    Outcome::Now(DescribeProducersResponse {
        topics,
        ..DescribeProducersResponse::default()
    })
}
