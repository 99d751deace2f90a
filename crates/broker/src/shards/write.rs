//! What a machine has decided and the log does not hold yet, in the order of the decisions.

use std::sync::Arc;

use catchword_coordinator::record::headers::are_of_one_request;
use catchword_coordinator::{Headers, Marker, Output, ProducerEpoch, Records, Transactional};
use catchword_log::{AppendError, AppendOrigin, TransactionMarker, VerificationGuard};
use catchword_wire::batch::{Batch, BatchBuilder, EncodedHeaders, NewRecord, split};

use crate::clock;
use crate::partition::Partition;

/// Larger batches would make a reader of the topic take more than it wants at once.
const MAX_BATCH_BYTES: usize = 900_000;
/// But what one request did stays in one batch up to this size, so that a crash keeps all of it or nothing.
const MAX_CHANGE_BYTES: usize = 16 << 20;
/// What a record commonly takes beside its key and value: its headers, lengths and numbers.
const RECORD_BYTES: usize = 72;

/// Decided, not yet appended.
#[derive(Default)]
pub(super) struct Writes {
    waiting: Vec<Write>,
    /// Empty, with the memory of what was appended last.
    spare: Records,
}

/// Something to append.
enum Write {
    Records(Records),
    InTransaction {
        producer: ProducerEpoch,
        records: Records,
        /// Stands for the coordinator's word that the transaction spans the partition; `None` where it has begun here.
        guard: Option<VerificationGuard>,
    },
}

impl Writes {
    /// Whether all is appended.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes over what a step wants written.
    pub(super) fn gather<E>(&mut self, out: &mut Output<E>, guard: Option<VerificationGuard>) {
        if !out.records.is_empty() {
            match self.waiting.last_mut() {
                Some(Write::Records(records)) => records.append(&mut out.records),
                _ => {
                    let mut records = std::mem::take(&mut self.spare);
                    records.append(&mut out.records);
                    self.waiting.push(Write::Records(records));
                }
            }
        }
        let transactional = out.transactional.drain(..);
        let writes = transactional.filter_map(|write| match write {
            Transactional::Records { producer, records } => Some(Write::InTransaction {
                producer,
                records,
                guard,
            }),
            // It stands in the log already: see `shard/admit.rs`.
            Transactional::Marker(_) => None,
        });
        self.waiting.extend(writes);
    }

    /// Appends all, and gives up what could not be. Returns the end of the log then; `None` if there was nothing.
    pub(super) fn append(&mut self, partition: &Partition) -> Result<Option<i64>, AppendError> {
        let mut end = None;
        for write in std::mem::take(&mut self.waiting) {
            match write {
                Write::Records(mut records) => {
                    let origin = AppendOrigin::Coordinator;
                    end = Some(append(partition, &records, None, origin)?);
                    records.clear();
                    self.spare = records;
                }
                Write::InTransaction {
                    producer,
                    records,
                    guard,
                } => {
                    let origin =
                        guard.map_or(AppendOrigin::Coordinator, AppendOrigin::CoordinatorVerified);
                    end = Some(append(partition, &records, Some(producer), origin)?);
                }
            }
        }
        Ok(end)
    }
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

fn append(
    partition: &Partition,
    records: &Records,
    producer: Option<ProducerEpoch>,
    origin: AppendOrigin,
) -> Result<i64, AppendError> {
    let invalid = |detail| AppendError::InvalidBatch {
        partition: partition.tp.clone(),
        detail,
    };
    let now = clock::now_ms();
    let mut end = 0;
    let mut encoder = HeadersEncoder::default();
    let mut rest = records.iter().peekable();
    while rest.peek().is_some() {
        let mut builder = BatchBuilder::new(0);
        builder.reserve(records.bytes().min(MAX_BATCH_BYTES) + RECORD_BYTES * rest.len());
        if let Some(ProducerEpoch { id, epoch }) = producer {
            builder = builder.producer(id, epoch, -1).transactional(true);
        }
        let mut last = None;
        while let Some(record) = rest.next_if(|next| fits(last, next.headers, &builder)) {
            let new = NewRecord {
                timestamp: now,
                key: Some(record.key),
                value: record.value,
                headers: &[],
            };
            builder
                .push_with(new, encoder.encode(record.headers))
                .map_err(|_| invalid("a coordinator record is too large"))?;
            last = Some(record.headers);
        }
        let bytes = builder
            .build()
            .map_err(|_| invalid("a batch of coordinator records is too large"))?;
        let batches: Result<Vec<Batch>, _> = split(bytes).collect();
        let batches = batches.map_err(|_| invalid("a batch that was just built cannot be read"))?;
        end = partition.append(&batches, None, origin)?.last_offset + 1;
    }
    Ok(end)
}

/// Encodes headers once for all the records in a row that carry them.
#[derive(Default)]
struct HeadersEncoder<'a> {
    last: Option<&'a Headers>,
    encoded: EncodedHeaders,
}

impl<'a> HeadersEncoder<'a> {
    fn encode(&mut self, headers: &'a Headers) -> &EncodedHeaders {
        if !self.last.is_some_and(|last| Arc::ptr_eq(last, headers)) {
            self.last = Some(headers);
            self.encoded = EncodedHeaders::new(headers);
        }
        &self.encoded
    }
}

/// Whether a record with the headers `next` goes into a batch whose last record has `last`. A batch does not end within a
/// change, whose records say the same of who and why.
fn fits(last: Option<&Headers>, next: &Headers, builder: &BatchBuilder) -> bool {
    let bytes = builder.uncompressed_len();
    let Some(last) = last.filter(|_| bytes > MAX_BATCH_BYTES) else {
        return true;
    };
    let is_one_change = Arc::ptr_eq(last, next) || are_of_one_request(last, next);
    is_one_change && bytes <= MAX_CHANGE_BYTES
}
