//! What a machine has decided and the log does not hold yet, in the order of the decisions.

use std::sync::Arc;

use catchword_coordinator::record::headers::are_of_one_request;
use catchword_coordinator::{CoordinatorRecord, Marker, Output, ProducerEpoch, Transactional};
use catchword_log::{AppendError, AppendOrigin, TransactionMarker, VerificationGuard};
use catchword_wire::batch::{Batch, BatchBuilder, NewRecord, split};

use crate::clock;
use crate::partition::Partition;

/// Larger batches would make a reader of the topic take more than it wants at once.
const MAX_BATCH_BYTES: usize = 900_000;
/// But what one request did stays in one batch up to this size, so that a crash keeps all of it or nothing.
const MAX_CHANGE_BYTES: usize = 16 << 20;

/// Something to append.
pub(super) enum Write {
    Records(Vec<CoordinatorRecord>),
    InTransaction {
        producer: ProducerEpoch,
        records: Vec<CoordinatorRecord>,
        /// Stands for the coordinator's word that the transaction spans the partition; `None` where it has begun here.
        guard: Option<VerificationGuard>,
    },
}

/// Takes over what a step wants written.
pub(super) fn gather<E>(
    out: &mut Output<E>,
    guard: Option<VerificationGuard>,
    writes: &mut Vec<Write>,
) {
    if !out.records.is_empty() {
        match writes.last_mut() {
            Some(Write::Records(records)) => records.append(&mut out.records),
            _ => writes.push(Write::Records(std::mem::take(&mut out.records))),
        }
    }
    let transactional = out.transactional.drain(..);
    writes.extend(transactional.filter_map(|write| match write {
        Transactional::Records { producer, records } => Some(Write::InTransaction {
            producer,
            records,
            guard,
        }),
        // It stands in the log already: see `shard/admit.rs`.
        Transactional::Marker(_) => None,
    }));
}

/// Appends all. Returns the end of the log then.
pub(super) fn append(partition: &Partition, writes: &[Write]) -> Result<i64, AppendError> {
    let mut end = 0;
    for write in writes {
        end = match write {
            Write::Records(records) => {
                append_records(partition, records, None, AppendOrigin::Coordinator)?
            }
            Write::InTransaction {
                producer,
                records,
                guard,
            } => {
                let origin =
                    guard.map_or(AppendOrigin::Coordinator, AppendOrigin::CoordinatorVerified);
                append_records(partition, records, Some(*producer), origin)?
            }
        };
    }
    Ok(end)
}

/// The marker as the log takes it.
pub(crate) fn of_log(marker: &Marker, timestamp: i64) -> TransactionMarker {
    TransactionMarker {
        producer_id: marker.producer.id,
        producer_epoch: marker.producer.epoch,
        coordinator_epoch: marker.coordinator_epoch,
        commit: marker.commit,
        transaction_version: marker.transaction_version,
        timestamp,
    }
}

fn append_records(
    partition: &Partition,
    records: &[CoordinatorRecord],
    producer: Option<ProducerEpoch>,
    origin: AppendOrigin,
) -> Result<i64, AppendError> {
    let invalid = |detail| AppendError::InvalidBatch {
        partition: partition.tp.clone(),
        detail,
    };
    let now = clock::now_ms();
    let mut end = 0;
    let mut rest = records;
    while !rest.is_empty() {
        let mut builder = BatchBuilder::new(0);
        if let Some(ProducerEpoch { id, epoch }) = producer {
            builder = builder.producer(id, epoch, -1).transactional(true);
        }
        let mut taken = 0;
        for record in rest {
            let is_full = builder.uncompressed_len() > MAX_BATCH_BYTES;
            if taken > 0 && is_full && may_split(&rest[taken - 1], record, &builder) {
                break;
            }
            let new = NewRecord {
                timestamp: now,
                key: Some(&record.key),
                value: record.value.as_deref(),
                headers: &record.headers,
            };
            builder
                .push(new)
                .map_err(|_| invalid("a coordinator record is too large"))?;
            taken += 1;
        }
        rest = &rest[taken..];
        let bytes = builder
            .build()
            .map_err(|_| invalid("a batch of coordinator records is too large"))?;
        let batches: Result<Vec<Batch>, _> = split(bytes).collect();
        let batches = batches.map_err(|_| invalid("a batch that was just built cannot be read"))?;
        end = partition.append(&batches, None, origin)?.last_offset + 1;
    }
    Ok(end)
}

/// Whether a batch may end between two records: not within a change, whose records say the same of who and why.
fn may_split(last: &CoordinatorRecord, next: &CoordinatorRecord, builder: &BatchBuilder) -> bool {
    let is_one_change = Arc::ptr_eq(&last.headers, &next.headers)
        || are_of_one_request(&last.headers, &next.headers);
    !is_one_change || builder.uncompressed_len() > MAX_CHANGE_BYTES
}
