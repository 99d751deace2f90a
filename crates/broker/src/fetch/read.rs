//! One pass over the partitions of a fetch: what each has, within the limits.

use catchword_coordinator::Handed;
use catchword_log::{Fetched, Read, ReadError, ReadLimit};
use catchword_wire::messages::fetch_response::{EpochEndOffset, PartitionData};
use catchword_wire::{ErrorCode, Records, Uuid};

use super::session::TopicKey;
use crate::catalog::{Catalog, Topic};
use crate::lookup;
use crate::partition::Partition;
use std::sync::Arc;

/// A partition that is asked for, and from where.
#[derive(Debug, Clone)]
pub(crate) struct Want {
    pub(crate) topic: TopicKey,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) max_bytes: i32,
    pub(crate) current_leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
}

impl Want {
    /// The same in memory of its own, to outlive the request.
    pub(super) fn detached(&self) -> Want {
        let topic = match &self.topic {
            TopicKey::Name(name) => TopicKey::Name(name.detached()),
            TopicKey::Id(id) => TopicKey::Id(*id),
        };
        Want {
            topic,
            ..self.clone()
        }
    }

    fn find(&self, catalog: &Catalog) -> Result<Arc<Topic>, ErrorCode> {
        match &self.topic {
            TopicKey::Name(name) => catalog
                .topic(name)
                .ok_or(ErrorCode::UnknownTopicOrPartition),
            TopicKey::Id(id) => catalog.topic_by_id(*id).ok_or(ErrorCode::UnknownTopicId),
        }
    }
}

/// How much a fetch may bring, and which records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// For all partitions together. One batch comes even if it is larger (KIP-74).
    pub(crate) max_bytes: usize,
    pub(crate) upto: ReadLimit,
}

/// The result of a pass.
pub(crate) struct Pass {
    pub(crate) results: Vec<PartitionData>,
    pub(crate) bytes: usize,
    /// An error, or a place that was truncated: no use in waiting.
    pub(crate) urgent: bool,
    /// What was read of each partition that brings records: its topic's id, its number, and from where to where.
    pub(crate) handed: Vec<(Uuid, i32, Handed)>,
    /// The partitions that may still bring records.
    pub(crate) partitions: Vec<Arc<Partition>>,
}

/// Reads every partition once.
pub(crate) async fn read_all(catalog: &Catalog, wants: &[Want], limits: Limits) -> Pass {
    let mut pass = Pass {
        results: Vec::with_capacity(wants.len()),
        bytes: 0,
        urgent: false,
        handed: Vec::new(),
        partitions: Vec::new(),
    };
    let mut last: Option<(TopicKey, Result<Arc<Topic>, ErrorCode>)> = None;
    for want in wants {
        let topic = match &last {
            Some((key, topic)) if *key == want.topic => topic.clone(),
            _ => {
                let topic = want.find(catalog);
                last = Some((want.topic.clone(), topic.clone()));
                topic
            }
        };
        let left = limits.max_bytes.saturating_sub(pass.bytes);
        let data = match topic {
            Ok(topic) => read_one(&topic, want, left, limits.upto, &mut pass).await,
            Err(code) => failed(want, code),
        };
        pass.bytes += data.records.as_ref().map_or(0, Records::len);
        pass.urgent |= data.error_code != 0 || data.diverging_epoch.end_offset >= 0;
        pass.results.push(data);
    }
    pass
}

async fn read_one(
    topic: &Topic,
    want: &Want,
    left: usize,
    upto: ReadLimit,
    pass: &mut Pass,
) -> PartitionData {
    // Unlike other requests, a fetch says nothing by any negative epoch, in Kafka as here.
    let epoch = want.current_leader_epoch.max(-1);
    let served = lookup::partition(topic, want.partition)
        .and_then(|p| lookup::check_epoch(p, epoch).map(|()| p));
    let partition = match served {
        Ok(partition) => partition,
        Err(code) => return failed(want, code),
    };
    if let Some(diverged) = diverging(partition, want) {
        return diverged;
    }
    let max_bytes = left.min(usize::try_from(want.max_bytes).unwrap_or(0));
    let is_first = pass.bytes == 0;
    let read = match partition.log.read(want.offset, max_bytes, upto, is_first) {
        Read::Now(read) => read,
        Read::Later(future) => future.await,
    };
    match read {
        Ok(fetched) => {
            pass.partitions.push(partition.clone());
            if !fetched.data.is_empty() {
                let (from, to) = (want.offset, fetched.end);
                pass.handed
                    .push((topic.id, want.partition, Handed { from, to }));
            }
            found(want, fetched, upto)
        }
        Err(ReadError::OutOfRange { .. }) => {
            let offsets = partition.log.offsets();
            PartitionData {
                high_watermark: offsets.high_watermark,
                last_stable_offset: offsets.last_stable,
                log_start_offset: offsets.log_start,
                ..failed(want, ErrorCode::OffsetOutOfRange)
            }
        }
        Err(ReadError::Storage(error)) => {
            tracing::error!("{}: a read failed: {error}", partition.tp);
            failed(want, ErrorCode::KafkaStorageError)
        }
    }
}

/// If the client's last epoch ended before its place, its records were truncated (KIP-595 for followers, taken from
/// anybody who sends the epoch).
fn diverging(partition: &Partition, want: &Want) -> Option<PartitionData> {
    if want.last_fetched_epoch < 0 {
        return None;
    }
    let (epoch, end_offset) = lookup::end_of_epoch(partition, want.last_fetched_epoch);
    if epoch < 0 {
        return Some(failed(want, ErrorCode::OffsetOutOfRange));
    }
    (epoch < want.last_fetched_epoch || end_offset < want.offset).then(|| {
        let offsets = partition.log.offsets();
        PartitionData {
            partition_index: want.partition,
            diverging_epoch: EpochEndOffset { epoch, end_offset },
            high_watermark: offsets.high_watermark,
            last_stable_offset: offsets.last_stable,
            log_start_offset: offsets.log_start,
            records: Some(Records::EMPTY),
            ..PartitionData::default()
        }
    })
}

fn found(want: &Want, fetched: Fetched, upto: ReadLimit) -> PartitionData {
    use catchword_wire::messages::fetch_response::AbortedTransaction;
    let aborted = |(producer_id, first_offset): (i64, i64)| AbortedTransaction {
        producer_id,
        first_offset,
    };
    PartitionData {
        partition_index: want.partition,
        high_watermark: fetched.offsets.high_watermark,
        last_stable_offset: fetched.offsets.last_stable,
        log_start_offset: fetched.offsets.log_start,
        aborted_transactions: match upto {
            ReadLimit::LastStable => Some(fetched.aborted.into_iter().map(aborted).collect()),
            _ => None,
        },
        preferred_read_replica: -1,
        records: Some(fetched.data),
        ..PartitionData::default()
    }
}

fn failed(want: &Want, code: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index: want.partition,
        error_code: code.code(),
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        aborted_transactions: None,
        preferred_read_replica: -1,
        records: Some(Records::EMPTY),
        ..PartitionData::default()
    }
}
