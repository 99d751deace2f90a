//! What a partition knows of its producers: sequences, epochs, open transactions (KIP-98, KIP-360).
//!
//! Invariant: the state after an append is the state that replaying the log gives. A check changes nothing; its outcome
//! is applied once the batches are written. No IO, no clock.

use std::collections::{BTreeMap, HashMap};

use catchword_wire::batch::{
    BatchHeader, ControlRecord, NO_PRODUCER_EPOCH, NO_SEQUENCE, NO_TIMESTAMP,
};

use crate::verification::Verifications;
use crate::{
    AbortedTransaction, AppendError, AppendOrigin, ProducerView, TopicPartition, Verification,
};

/// How many of a producer's last batches are known again when they come twice; clients keep at most as many in flight.
const BATCHES_KEPT: usize = 5;

/// A batch that a producer wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct BatchPlace {
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: i64,
    pub(crate) offset_delta: i32,
    pub(crate) timestamp: i64,
}

impl BatchPlace {
    fn of(header: &BatchHeader, base_offset: i64) -> BatchPlace {
        BatchPlace {
            last_sequence: header.last_sequence(),
            last_offset: base_offset + i64::from(header.last_offset_delta),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        }
    }

    pub(crate) fn base_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }

    /// Sequences wrap from the largest to 0.
    fn first_sequence(&self) -> i32 {
        self.last_sequence.wrapping_sub(self.offset_delta) & i32::MAX
    }
}

/// What is known of one producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    pub(crate) coordinator_epoch: i32,
    pub(crate) last_timestamp: i64,
    pub(crate) txn_first_offset: Option<i64>,
    batches: [BatchPlace; BATCHES_KEPT],
    kept: u8,
}

impl Producer {
    pub(crate) const UNKNOWN: Producer = Producer {
        epoch: NO_PRODUCER_EPOCH,
        coordinator_epoch: -1,
        last_timestamp: NO_TIMESTAMP,
        txn_first_offset: None,
        batches: [BatchPlace {
            last_sequence: 0,
            last_offset: 0,
            offset_delta: 0,
            timestamp: 0,
        }; BATCHES_KEPT],
        kept: 0,
    };

    /// The batches that are still known, oldest first.
    pub(crate) fn batches(&self) -> &[BatchPlace] {
        &self.batches[..usize::from(self.kept)]
    }

    pub(crate) fn last_batch(&self) -> Option<&BatchPlace> {
        self.batches().last()
    }

    pub(crate) fn last_sequence(&self) -> i32 {
        self.last_batch()
            .map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    pub(crate) fn add_batch(&mut self, epoch: i16, batch: BatchPlace) {
        self.enter_epoch(epoch);
        if usize::from(self.kept) == BATCHES_KEPT {
            self.batches.rotate_left(1);
            self.kept -= 1;
        }
        self.batches[usize::from(self.kept)] = batch;
        self.kept += 1;
        self.last_timestamp = batch.timestamp;
    }

    fn enter_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.kept = 0;
            self.epoch = epoch;
        }
    }

    /// Whether a transaction of this epoch is open.
    fn is_in_transaction(&self, epoch: i16) -> bool {
        self.txn_first_offset.is_some() && self.epoch == epoch
    }

    fn find_duplicate(&self, header: &BatchHeader) -> Option<BatchPlace> {
        if header.producer_epoch != self.epoch {
            return None;
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        let same =
            |batch: &&BatchPlace| batch.first_sequence() == first && batch.last_sequence == last;
        self.batches().iter().find(same).copied()
    }

    /// Whether `sequence` with `epoch` may come next, else the sequence that should have.
    fn check_sequence(&self, epoch: i16, sequence: i32) -> Result<(), i32> {
        if self.epoch == NO_PRODUCER_EPOCH {
            // Nothing is known of the producer, perhaps because its records were deleted: any sequence will do.
            return Ok(());
        }
        let expected = if epoch == self.epoch {
            next_sequence(self.last_sequence())
        } else {
            0
        };
        if sequence == expected {
            Ok(())
        } else {
            Err(expected)
        }
    }
}

fn next_sequence(last: i32) -> i32 {
    last.wrapping_add(1) & i32::MAX
}

/// A batch that is checked or replayed: its header, where it is (or will be), and its marker if it is a control batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entering<'a> {
    pub(crate) header: &'a BatchHeader,
    pub(crate) base_offset: i64,
    pub(crate) marker: Option<ControlRecord>,
}

/// What a check found.
#[derive(Debug, PartialEq)]
pub(crate) enum Checked {
    /// The batch was written before, there.
    Duplicate(BatchPlace),
    /// The batches may be written; then this is what the producers have become.
    Accepted(Updates),
}

/// The producers of an append as they will be once it is written.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Updates {
    producers: Vec<(i64, Producer)>,
    /// What becomes of their transactions, in order.
    steps: Vec<Step>,
}

/// A transaction begins or ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Began {
        producer_id: i64,
        first: i64,
    },
    Ended {
        producer_id: i64,
        first: i64,
        last: i64,
        aborted: bool,
    },
}

/// The producers of a partition.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Producers {
    known: HashMap<i64, Producer>,
    /// First offset of each open transaction, and its producer.
    open_transactions: BTreeMap<i64, i64>,
}

impl Producers {
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.known.iter().map(|(id, producer)| (*id, producer))
    }

    /// Sets what is known of a producer, as a snapshot says it.
    pub(crate) fn insert(&mut self, producer_id: i64, producer: Producer) {
        if let Some(old) = self.known.insert(producer_id, producer)
            && let Some(first) = old.txn_first_offset
        {
            self.open_transactions.remove(&first);
        }
        if let Some(first) = producer.txn_first_offset {
            self.open_transactions.insert(first, producer_id);
        }
    }

    /// The first offset of the oldest open transaction.
    pub(crate) fn first_open_transaction(&self) -> Option<i64> {
        self.open_transactions
            .first_key_value()
            .map(|(first, _)| *first)
    }

    /// Takes for ended what was open before an offset.
    pub(crate) fn forget_transactions_before(&mut self, offset: i64) {
        let later = self.open_transactions.split_off(&offset);
        for id in std::mem::replace(&mut self.open_transactions, later).into_values() {
            if let Some(producer) = self.known.get_mut(&id) {
                producer.txn_first_offset = None;
            }
        }
    }

    /// Whether these batches may be appended, in this order.
    pub(crate) fn check<'a>(
        &self,
        partition: &TopicPartition,
        entering: impl Iterator<Item = Entering<'a>>,
        origin: AppendOrigin,
        verifications: &Verifications,
    ) -> Result<Checked, AppendError> {
        let mut updates = Updates::default();
        for batch in entering.filter(|batch| batch.header.has_producer_id()) {
            let id = batch.header.producer_id;
            let known = self.known.get(&id);
            if origin.is_client()
                && let Some(duplicate) = known.and_then(|known| known.find_duplicate(batch.header))
            {
                return Ok(Checked::Duplicate(duplicate));
            }
            let staged = &mut updates.producers;
            let at = staged
                .iter()
                .position(|(staged, _)| *staged == id)
                .unwrap_or_else(|| {
                    staged.push((id, known.copied().unwrap_or(Producer::UNKNOWN)));
                    staged.len() - 1
                });
            let producer = &mut staged[at].1;
            check_one(partition, producer, &batch, origin, verifications)?;
            updates.steps.extend(enter(producer, &batch));
        }
        Ok(Checked::Accepted(updates))
    }

    /// Whether the producer's transaction has begun here, or its coordinator has to be asked.
    pub(crate) fn verify(
        &self,
        partition: &TopicPartition,
        (producer_id, epoch): (i64, i16),
        sequence: i32,
        bumps_epoch: bool,
        verifications: &mut Verifications,
    ) -> Result<Verification, AppendError> {
        let known = self.known.get(&producer_id);
        match known {
            Some(known) if epoch < known.epoch => Err(AppendError::InvalidProducerEpoch {
                partition: partition.clone(),
                producer_id,
                epoch,
                current: known.epoch,
            }),
            Some(known) if known.is_in_transaction(epoch) => Ok(Verification::Ongoing),
            _ => {
                let guard = verifications.ask(producer_id, epoch, sequence, bumps_epoch);
                Ok(Verification::Ask(guard))
            }
        }
    }

    /// Takes over the outcome of a check whose batches were written. Returns the transactions that were aborted by them.
    pub(crate) fn apply(&mut self, updates: Updates) -> Vec<AbortedTransaction> {
        self.known.extend(updates.producers);
        let steps = updates.steps.into_iter();
        steps.filter_map(|step| self.take_step(step)).collect()
    }

    /// Takes over a batch that is in the log, without a check. Returns the transaction that it aborted.
    pub(crate) fn replay(&mut self, batch: &Entering<'_>) -> Option<AbortedTransaction> {
        if !batch.header.has_producer_id() {
            return None;
        }
        let id = batch.header.producer_id;
        let producer = self.known.entry(id).or_insert(Producer::UNKNOWN);
        let step = enter(producer, batch)?;
        self.take_step(step)
    }

    fn take_step(&mut self, step: Step) -> Option<AbortedTransaction> {
        let (producer_id, first_offset, last_offset, aborted) = match step {
            Step::Began { producer_id, first } => {
                self.open_transactions.insert(first, producer_id);
                return None;
            }
            Step::Ended {
                producer_id,
                first,
                last,
                aborted,
            } => (producer_id, first, last, aborted),
        };
        self.open_transactions.remove(&first_offset);
        aborted.then(|| AbortedTransaction {
            producer_id,
            first_offset,
            last_offset,
            last_stable_offset: self.first_open_transaction().unwrap_or(last_offset + 1),
        })
    }

    /// Forgets producers that have written nothing for `expiration_ms`, unless a transaction of theirs is open. Returns
    /// how many.
    pub(crate) fn expire(&mut self, now_ms: i64, expiration_ms: i64) -> usize {
        let before = self.known.len();
        self.known.retain(|_, producer| {
            producer.txn_first_offset.is_some()
                || now_ms.saturating_sub(producer.last_timestamp) < expiration_ms
        });
        before - self.known.len()
    }

    /// The producers as DescribeProducers shows them, by id.
    pub(crate) fn view(&self) -> Vec<ProducerView> {
        let mut views: Vec<ProducerView> = self
            .iter()
            .map(|(producer_id, producer)| ProducerView {
                producer_id,
                epoch: producer.epoch,
                last_sequence: producer.last_sequence(),
                last_timestamp: producer.last_timestamp,
                coordinator_epoch: producer.coordinator_epoch,
                current_txn_start_offset: producer.txn_first_offset.unwrap_or(-1),
            })
            .collect();
        views.sort_unstable_by_key(|view| view.producer_id);
        views
    }
}

fn check_one(
    partition: &TopicPartition,
    producer: &Producer,
    batch: &Entering<'_>,
    origin: AppendOrigin,
    verifications: &Verifications,
) -> Result<(), AppendError> {
    let header = batch.header;
    let partition = || partition.clone();
    let producer_id = header.producer_id;
    if header.producer_epoch < producer.epoch || is_stale_marker(producer, header, origin) {
        let (epoch, current) = (header.producer_epoch, producer.epoch);
        return Err(AppendError::InvalidProducerEpoch {
            partition: partition(),
            producer_id,
            epoch,
            current,
        });
    }
    if let Some(epoch) = coordinator_epoch(batch.marker) {
        let current = producer.coordinator_epoch;
        if epoch < current {
            return Err(AppendError::TransactionCoordinatorFenced {
                partition: partition(),
                producer_id,
                epoch,
                current,
            });
        }
        return Ok(());
    }
    let invalid = |why| AppendError::InvalidTxnState {
        partition: partition(),
        producer_id,
        why,
    };
    if header.is_transactional()
        && !header.is_control()
        && !producer.is_in_transaction(header.producer_epoch)
        && !verifications.is_good(producer_id, origin.guard())
    {
        return Err(invalid(
            "is not part of an ongoing transaction that its coordinator has confirmed",
        ));
    }
    if origin.is_client() {
        let sequence = header.base_sequence;
        let is_unknown = producer.epoch == NO_PRODUCER_EPOCH;
        let expected = match header.is_transactional() {
            true => verifications.other_first_sequence(producer_id, sequence, is_unknown),
            false => None,
        };
        let expected = expected.or_else(|| {
            producer
                .check_sequence(header.producer_epoch, sequence)
                .err()
        });
        if let Some(expected) = expected {
            return Err(AppendError::OutOfOrderSequence {
                partition: partition(),
                producer_id,
                sequence,
                expected,
            });
        }
    }
    if producer.txn_first_offset.is_some() && !header.is_transactional() {
        return Err(invalid(
            "is not transactional, but a transaction of the producer is open",
        ));
    }
    Ok(())
}

/// Since transaction version 2 a marker's epoch is larger than that of the transaction it ends: one that is not ended
/// another. The marker of a transaction that has ended may come again, and at the largest epoch nothing is larger.
fn is_stale_marker(producer: &Producer, header: &BatchHeader, origin: AppendOrigin) -> bool {
    header.is_control()
        && origin.transaction_version() >= 2
        && header.producer_epoch == producer.epoch
        && producer.txn_first_offset.is_some()
        && producer.epoch != i16::MAX
}

fn coordinator_epoch(marker: Option<ControlRecord>) -> Option<i32> {
    match marker? {
        ControlRecord::Abort { coordinator_epoch }
        | ControlRecord::Commit { coordinator_epoch } => Some(coordinator_epoch),
        ControlRecord::Other(_) => None,
    }
}

/// Makes the producer what it is after the batch; says what becomes of its transaction.
fn enter(producer: &mut Producer, batch: &Entering<'_>) -> Option<Step> {
    let header = batch.header;
    let producer_id = header.producer_id;
    if header.is_control() {
        // A control batch without records is what compaction left of one: it says nothing any more.
        let epoch = coordinator_epoch(batch.marker)?;
        producer.enter_epoch(header.producer_epoch);
        producer.coordinator_epoch = epoch;
        producer.last_timestamp = header.max_timestamp;
        return producer.txn_first_offset.take().map(|first| Step::Ended {
            producer_id,
            first,
            last: batch.base_offset,
            aborted: matches!(batch.marker, Some(ControlRecord::Abort { .. })),
        });
    }
    producer.add_batch(
        header.producer_epoch,
        BatchPlace::of(header, batch.base_offset),
    );
    if !header.is_transactional() || producer.txn_first_offset.is_some() {
        return None;
    }
    let first = batch.base_offset;
    producer.txn_first_offset = Some(first);
    Some(Step::Began { producer_id, first })
}

#[cfg(test)]
mod tests;
