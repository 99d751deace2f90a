//! DeleteRecords (21): everything below an offset goes (KIP-107).

use catchword_wire::messages::delete_records_request::DeleteRecordsPartition;
use catchword_wire::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use catchword_wire::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use catchword_wire::{ErrorCode, Uuid};

use super::error;
use crate::broker::Broker;
use crate::catalog::Topic;
use crate::dispatch::Call;
use crate::lookup;
use crate::outcome::{Outcome, blocking};

/// In place of an offset: the high watermark.
const HIGH_WATERMARK: i64 = -1;

pub(crate) fn handle(call: &Call, request: DeleteRecordsRequest) -> Outcome<DeleteRecordsResponse> {
    let broker = call.broker.clone();
    Outcome::later(async move {
        let topics = blocking(move || delete_all(&broker, request))
            .await
            .unwrap_or_default();
        DeleteRecordsResponse {
            topics,
            ..DeleteRecordsResponse::default()
        }
    })
}

fn delete_all(broker: &Broker, request: DeleteRecordsRequest) -> Vec<DeleteRecordsTopicResult> {
    let mut topics = Vec::with_capacity(request.topics.len());
    for wanted in request.topics {
        let topic = lookup::topic(&broker.catalog, &wanted.name, Uuid::ZERO);
        let one = |want: &DeleteRecordsPartition| {
            let done = topic
                .as_ref()
                .map_err(|e| *e)
                .and_then(|topic| delete(topic, want));
            DeleteRecordsPartitionResult {
                partition_index: want.partition_index,
                low_watermark: done.unwrap_or(-1),
                error_code: done.map_or_else(ErrorCode::code, |_| 0),
            }
        };
        let partitions = wanted.partitions.iter().map(one).collect();
        topics.push(DeleteRecordsTopicResult {
            name: wanted.name,
            partitions,
        });
    }
    topics
}

fn delete(topic: &Topic, want: &DeleteRecordsPartition) -> Result<i64, ErrorCode> {
    let partition = lookup::partition(topic, want.partition_index)?;
    if topic.is_internal() {
        return Err(ErrorCode::InvalidTopicException);
    }
    if !topic.settings.deletes() {
        return Err(ErrorCode::PolicyViolation);
    }
    let end = partition.log.offsets().high_watermark;
    let offset = if want.offset == HIGH_WATERMARK {
        end
    } else {
        want.offset
    };
    if offset < 0 || offset > end {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    partition
        .log
        .truncate_prefix(offset)
        .map_err(|e| error::read_error(&e))
}
