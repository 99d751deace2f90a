//! OffsetForLeaderEpoch (23): where a leader epoch ends, so that a consumer sees whether its place was truncated
//! (KIP-320).

use catchword_wire::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use catchword_wire::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use catchword_wire::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use catchword_wire::{ErrorCode, Uuid};

use crate::dispatch::Call;
use crate::lookup;
use crate::outcome::Outcome;

pub(crate) fn handle(
    call: &Call,
    request: OffsetForLeaderEpochRequest,
) -> Outcome<OffsetForLeaderEpochResponse> {
    let mut topics = Vec::with_capacity(request.topics.len());
    for wanted in request.topics {
        let topic = lookup::topic(&call.broker.catalog, &wanted.topic, Uuid::ZERO);
        let one = |want: &OffsetForLeaderPartition| {
            let found = topic.as_ref().map_err(|e| *e).and_then(|topic| {
                let partition = lookup::partition(topic, want.partition)?;
                lookup::check_epoch(partition, want.current_leader_epoch)?;
                Ok(lookup::end_of_epoch(partition, want.leader_epoch))
            });
            let error_code = found.map_or_else(ErrorCode::code, |_| 0);
            let (leader_epoch, end_offset) = found.unwrap_or((-1, -1));
            EpochEndOffset {
                error_code,
                partition: want.partition,
                leader_epoch,
                end_offset,
            }
        };
        let partitions = wanted.partitions.iter().map(one).collect();
        topics.push(OffsetForLeaderTopicResult {
            topic: wanted.topic,
            partitions,
        });
    }
    Outcome::Now(OffsetForLeaderEpochResponse {
        topics,
        ..OffsetForLeaderEpochResponse::default()
    })
}
