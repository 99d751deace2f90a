//! ListOffsets (2): the offset at a place in time, or at one of the log's ends.

use std::collections::HashSet;

use catchword_log::{LogError, Offsets, Read, ReadLimit};
use catchword_wire::batch::BatchHeader;
use catchword_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use catchword_wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use catchword_wire::messages::{ListOffsetsRequest, ListOffsetsResponse};
use catchword_wire::{ErrorCode, Str, Uuid};

use super::error;
use crate::dispatch::Call;
use crate::lookup;
use crate::outcome::Outcome;
use crate::partition::Partition;

/// Kafka's numbers in place of a timestamp.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

const READ_COMMITTED: i8 = 1;

pub(crate) fn handle(call: &Call, request: ListOffsetsRequest) -> Outcome<ListOffsetsResponse> {
    let limit = if request.isolation_level == READ_COMMITTED {
        ReadLimit::LastStable
    } else {
        ReadLimit::HighWatermark
    };
    let repeated = repeated(&request.topics);
    let mut topics = Vec::with_capacity(request.topics.len());
    for wanted in request.topics {
        let topic = lookup::topic(&call.broker.catalog, &wanted.name, Uuid::ZERO);
        let one = |want: &ListOffsetsPartition| {
            let found = topic.as_ref().map_err(|e| *e).and_then(|topic| {
                if repeated.contains(&(wanted.name.clone(), want.partition_index)) {
                    return Err(ErrorCode::InvalidRequest);
                }
                let partition = lookup::partition(topic, want.partition_index)?;
                lookup::check_epoch(partition, want.current_leader_epoch)?;
                find(partition, want.timestamp, limit, call.version)
            });
            answer(want.partition_index, found)
        };
        let partitions = wanted.partitions.iter().map(one).collect();
        topics.push(ListOffsetsTopicResponse {
            name: wanted.name,
            partitions,
        });
    }
    Outcome::Now(ListOffsetsResponse {
        topics,
        ..ListOffsetsResponse::default()
    })
}

/// The partitions that the request names more than once: of those nothing is told, in Kafka as here.
fn repeated(topics: &[ListOffsetsTopic]) -> HashSet<(Str, i32)> {
    let mut seen = HashSet::new();
    let named = |topic: &ListOffsetsTopic| {
        let name = topic.name.clone();
        let partitions = topic.partitions.iter().map(|p| p.partition_index);
        partitions
            .map(move |index| (name.clone(), index))
            .collect::<Vec<_>>()
    };
    let all = topics.iter().flat_map(named);
    all.filter(|place| !seen.insert(place.clone())).collect()
}

/// Timestamp, offset, leader epoch; each -1 where there is none.
type Place = (i64, i64, i32);
const NOWHERE: Place = (-1, -1, -1);

fn answer(partition_index: i32, found: Result<Place, ErrorCode>) -> ListOffsetsPartitionResponse {
    let error_code = found.map_or_else(ErrorCode::code, |_| 0);
    let (timestamp, offset, leader_epoch) = found.unwrap_or(NOWHERE);
    ListOffsetsPartitionResponse {
        partition_index,
        error_code,
        timestamp,
        offset,
        leader_epoch,
    }
}

fn find(
    partition: &Partition,
    timestamp: i64,
    limit: ReadLimit,
    version: i16,
) -> Result<Place, ErrorCode> {
    let log = &partition.log;
    // A log that cannot be loaded has no offsets, which is not the same as an empty log.
    log.ready().or_else(|e| readable(&e))?;
    let offsets = log.offsets();
    let visible = |place: Option<catchword_log::TimestampOffset>| match place {
        Some(p) if p.offset < offsets.limit(limit) => (p.timestamp, p.offset, p.leader_epoch),
        _ => NOWHERE,
    };
    match timestamp {
        LATEST => Ok((-1, offsets.limit(limit), partition.leader_epoch)),
        EARLIEST => Ok((-1, offsets.log_start, first_epoch(partition, &offsets))),
        EARLIEST_LOCAL if version >= 8 => {
            Ok((-1, offsets.log_start, first_epoch(partition, &offsets)))
        }
        MAX_TIMESTAMP if version >= 7 => log
            .max_timestamp()
            .map(visible)
            .map_err(|e| error::read_error(&e)),
        // Nothing is tiered.
        LATEST_TIERED if version >= 9 => Ok(NOWHERE),
        EARLIEST_PENDING_UPLOAD if version >= 11 => Ok(NOWHERE),
        t if t < 0 => Err(ErrorCode::UnsupportedVersion),
        t => log
            .offset_for_timestamp(t)
            .map(visible)
            .map_err(|e| error::read_error(&e)),
    }
}

/// A log that takes no more appends can still be read.
fn readable(error: &LogError) -> Result<(), ErrorCode> {
    match error {
        LogError::Poisoned { .. } => Ok(()),
        other => Err(error::log_error(other)),
    }
}

/// The leader epoch of the first record; of the partition if there is none.
fn first_epoch(partition: &Partition, offsets: &Offsets) -> i32 {
    let Read::Now(Ok(fetched)) = partition
        .log
        .read(offsets.log_start, 1, ReadLimit::LogEnd, true)
    else {
        return -1;
    };
    let front = fetched
        .data
        .segments()
        .first()
        .and_then(|segment| segment.front(catchword_wire::batch::HEADER_LEN).ok());
    match front.as_deref().map(BatchHeader::parse) {
        Some(Ok(header)) => header.partition_leader_epoch,
        _ => partition.leader_epoch,
    }
}
