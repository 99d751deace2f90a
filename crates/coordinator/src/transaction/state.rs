//! One transactional id: its producer, its transaction, and the changes that either may go through.
//!
//! Every change is a whole new state, written as one record.

use std::collections::BTreeSet;

use catchword_wire::{ErrorCode, Str};

use super::call::EndOfTransaction;
use crate::effect::{Marker, ProducerEpoch};

/// The client adds partitions itself, and its epoch stays as it is from one transaction to the next.
pub const CLIENT_MANAGED: i16 = 0;
/// The broker adds partitions when they are written to, and the producer's epoch rises with each end (KIP-890).
pub const EPOCH_BUMP: i16 = 2;

/// The epoch of a producer that has none yet.
const NO_EPOCH: i16 = -1;
pub(super) const NO_ID: i64 = -1;
/// No client is given a larger epoch: one more is needed to fence it.
const LAST_EPOCH: i16 = i16::MAX - 1;
/// A transaction with this timeout never times out.
const NEVER_MS: i32 = i32::MAX;

/// From version 5 on EndTxn comes from a client whose epoch rises.
pub(super) fn version_of_end_txn(api_version: i16) -> i16 {
    if api_version >= 5 {
        EPOCH_BUMP
    } else {
        CLIENT_MANAGED
    }
}

/// Where a transaction stands. Kafka's numbers and names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Empty,
    Ongoing,
    PrepareCommit,
    PrepareAbort,
    CompleteCommit,
    CompleteAbort,
}

const ALL: [(Status, &str); 6] = [
    (Status::Empty, "Empty"),
    (Status::Ongoing, "Ongoing"),
    (Status::PrepareCommit, "PrepareCommit"),
    (Status::PrepareAbort, "PrepareAbort"),
    (Status::CompleteCommit, "CompleteCommit"),
    (Status::CompleteAbort, "CompleteAbort"),
];
/// Names of states that Kafka knows and that nothing is ever seen in.
const NEVER_SEEN: [&str; 2] = ["Dead", "PrepareEpochFence"];

impl Status {
    /// The number in the record.
    pub(super) fn id(self) -> i8 {
        self as i8
    }

    pub(super) fn from_id(id: i8) -> Option<Status> {
        let index = usize::try_from(id).ok()?;
        ALL.get(index).map(|(status, _)| *status)
    }

    pub(super) fn name(self) -> &'static str {
        ALL[self as usize].1
    }

    /// Whether a state has this name.
    pub(super) fn is_name(name: &str) -> bool {
        ALL.iter().any(|(_, known)| *known == name) || NEVER_SEEN.contains(&name)
    }

    /// Whether it is decided, and its markers are being written.
    pub(super) fn is_prepared(self) -> bool {
        matches!(self, Status::PrepareCommit | Status::PrepareAbort)
    }

    /// Whether nothing is going on: the transactional id may be forgotten in time.
    pub(super) fn is_at_rest(self) -> bool {
        matches!(
            self,
            Status::Empty | Status::CompleteCommit | Status::CompleteAbort
        )
    }
}

/// A transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transaction {
    pub(super) producer_id: i64,
    /// The producer id before the last change.
    pub(super) previous_producer_id: i64,
    /// The producer id from the end of this transaction on, where the epochs of this one are used up.
    pub(super) next_producer_id: i64,
    pub(super) epoch: i16,
    /// The epoch before, while a retry of what raised it must be known again. Not in the record, as in Kafka.
    pub(super) last_epoch: i16,
    pub(super) timeout_ms: i32,
    pub(super) status: Status,
    pub(super) partitions: BTreeSet<(Str, i32)>,
    /// -1 where there is no transaction.
    pub(super) start_ms: i64,
    pub(super) last_update_ms: i64,
    /// The transaction version that the last change was made by.
    pub(super) version: i16,
}

impl Transaction {
    /// Of a producer that has no epoch yet.
    pub(super) fn new(producer_id: i64, timeout_ms: i32) -> Transaction {
        Transaction {
            producer_id,
            previous_producer_id: NO_ID,
            next_producer_id: NO_ID,
            epoch: NO_EPOCH,
            last_epoch: NO_EPOCH,
            timeout_ms,
            status: Status::Empty,
            partitions: BTreeSet::new(),
            start_ms: -1,
            last_update_ms: -1,
            version: CLIENT_MANAGED,
        }
    }

    pub(super) fn is_exhausted(&self) -> bool {
        is_exhausted(self.epoch)
    }

    /// Whether the producer that asks for a new epoch may be the one that had the last.
    pub(super) fn knows(&self, expected: ProducerEpoch) -> bool {
        self.epoch == NO_EPOCH
            || expected.id == self.producer_id
            || (expected.id == self.previous_producer_id && is_exhausted(expected.epoch))
    }

    /// A new epoch for whoever begins now; the same again for a producer that asks a second time.
    pub(super) fn with_next_epoch(
        &self,
        timeout_ms: i32,
        expected: Option<i16>,
        now_ms: i64,
    ) -> Result<Transaction, ErrorCode> {
        let next = self.epoch.checked_add(1).ok_or(ErrorCode::ProducerFenced)?;
        let (epoch, last_epoch) = match expected {
            None => (next, NO_EPOCH),
            Some(expected) if self.epoch == NO_EPOCH || expected == self.epoch => {
                (next, self.epoch)
            }
            Some(expected) if expected == self.last_epoch => (self.epoch, self.last_epoch),
            Some(_) => return Err(ErrorCode::ProducerFenced),
        };
        Ok(self.idle(self.producer_id, epoch, last_epoch, timeout_ms, now_ms))
    }

    /// A new producer id for one whose epochs are used up.
    pub(super) fn with_new_id(
        &self,
        producer_id: i64,
        timeout_ms: i32,
        keeps_last_epoch: bool,
        now_ms: i64,
    ) -> Transaction {
        let last_epoch = if keeps_last_epoch {
            self.epoch
        } else {
            NO_EPOCH
        };
        self.idle(producer_id, 0, last_epoch, timeout_ms, now_ms)
    }

    fn idle(
        &self,
        producer_id: i64,
        epoch: i16,
        last_epoch: i16,
        timeout_ms: i32,
        now_ms: i64,
    ) -> Transaction {
        Transaction {
            producer_id,
            previous_producer_id: self.producer_id,
            epoch,
            last_epoch,
            timeout_ms,
            status: Status::Empty,
            partitions: BTreeSet::new(),
            start_ms: -1,
            last_update_ms: now_ms,
            ..self.clone()
        }
    }

    /// The transaction goes on in more partitions, or begins.
    pub(super) fn with_partitions(
        &self,
        partitions: Vec<(Str, i32)>,
        version: i16,
        now_ms: i64,
    ) -> Transaction {
        let mut all = self.partitions.clone();
        all.extend(
            partitions
                .into_iter()
                .map(|(topic, partition)| (topic.detached(), partition)),
        );
        let begins = self.status != Status::Ongoing;
        Transaction {
            previous_producer_id: self.producer_id,
            status: Status::Ongoing,
            partitions: all,
            start_ms: if begins { now_ms } else { self.start_ms },
            last_update_ms: now_ms,
            version,
            ..self.clone()
        }
    }

    /// The transaction is decided. `next_producer_id` is given where the epochs are used up.
    pub(super) fn decided(
        &self,
        commit: bool,
        version: i16,
        next_producer_id: i64,
        now_ms: i64,
    ) -> Transaction {
        let bumps = version >= EPOCH_BUMP;
        let (epoch, last_epoch) = if bumps {
            // At the very last epoch there is nothing to rise to: the end must be possible all the same.
            (self.epoch.saturating_add(1), self.epoch)
        } else {
            (self.epoch, self.last_epoch)
        };
        Transaction {
            previous_producer_id: self.producer_id,
            next_producer_id,
            epoch,
            last_epoch,
            status: if commit {
                Status::PrepareCommit
            } else {
                Status::PrepareAbort
            },
            // An abort of nothing has no beginning but its end.
            start_ms: if self.status == Status::Ongoing {
                self.start_ms
            } else {
                now_ms
            },
            last_update_ms: now_ms,
            version,
            ..self.clone()
        }
    }

    /// All markers are written.
    pub(super) fn completed(&self, now_ms: i64) -> Transaction {
        let producer = self.after_end();
        Transaction {
            producer_id: producer.id,
            previous_producer_id: self.producer_id,
            next_producer_id: NO_ID,
            epoch: producer.epoch,
            status: match self.status {
                Status::PrepareCommit => Status::CompleteCommit,
                _ => Status::CompleteAbort,
            },
            partitions: BTreeSet::new(),
            last_update_ms: now_ms,
            ..self.clone()
        }
    }

    /// What the producer is called once the transaction that was decided is over.
    pub(super) fn after_end(&self) -> ProducerEpoch {
        if self.version >= EPOCH_BUMP && self.next_producer_id != NO_ID {
            ProducerEpoch {
                id: self.next_producer_id,
                epoch: 0,
            }
        } else {
            self.producer()
        }
    }

    pub(super) fn producer(&self) -> ProducerEpoch {
        ProducerEpoch {
            id: self.producer_id,
            epoch: self.epoch,
        }
    }

    /// Whether the transaction has gone on for longer than its producer said it would.
    pub(super) fn is_overdue(&self, now_ms: i64) -> bool {
        self.status == Status::Ongoing
            && self.timeout_ms != NEVER_MS
            && self.start_ms.saturating_add(i64::from(self.timeout_ms)) < now_ms
    }

    /// What has to be written into the partitions of a transaction that was decided.
    pub(super) fn end(&self, transactional_id: &Str) -> EndOfTransaction {
        EndOfTransaction {
            transactional_id: transactional_id.clone(),
            marker: Marker {
                producer: self.producer(),
                commit: self.status == Status::PrepareCommit,
                coordinator_epoch: 0,
                transaction_version: self.version,
            },
            partitions: self.partitions.iter().cloned().collect(),
        }
    }
}

fn is_exhausted(epoch: i16) -> bool {
    epoch >= LAST_EPOCH
}
