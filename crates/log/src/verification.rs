//! Who may begin a transaction in a partition (KIP-890): a producer whose coordinator was asked since its last one ended.
//!
//! Invariant: a [`VerificationGuard`] is good for one transaction. The marker that ends a transaction takes the guards that were given
//! out before it, so an answer of the coordinator that is older than the marker begins nothing. No IO, no clock.

use std::collections::HashMap;

use catchword_wire::batch::BatchHeader;

/// Stands for a question to the transaction coordinator. It is given back with the batches that the answer lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerificationGuard(u64);

/// Whether a producer may write a batch of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// Its transaction has begun here already: the coordinator knows of it.
    Ongoing,
    /// The coordinator is to be asked whether the partition is part of the transaction; if it is, the batch is appended
    /// with this.
    Ask(VerificationGuard),
}

/// A question that is open.
#[derive(Debug, Clone, Copy)]
struct Entry {
    guard: VerificationGuard,
    epoch: i16,
    lowest_sequence: i32,
    bumps_epoch: bool,
    /// When housekeeping saw it first, ms.
    seen_ms: Option<i64>,
}

/// The open questions of a partition.
#[derive(Debug, Default)]
pub(crate) struct Verifications {
    open: HashMap<i64, Entry>,
    last: u64,
}

impl Verifications {
    /// Opens a question, or joins the one that is open for the producer.
    pub(crate) fn ask(
        &mut self,
        producer_id: i64,
        epoch: i16,
        sequence: i32,
        bumps_epoch: bool,
    ) -> VerificationGuard {
        let last = &mut self.last;
        let entry = self.open.entry(producer_id).or_insert_with(|| {
            *last += 1;
            Entry {
                guard: VerificationGuard(*last),
                epoch,
                lowest_sequence: sequence,
                bumps_epoch,
                seen_ms: None,
            }
        });
        if epoch > entry.epoch {
            entry.epoch = epoch;
            entry.lowest_sequence = sequence;
        } else if epoch == entry.epoch {
            entry.lowest_sequence = entry.lowest_sequence.min(sequence);
        }
        entry.guard
    }

    /// Whether this is the guard of the question that is open for the producer.
    pub(crate) fn is_good(&self, producer_id: i64, guard: Option<VerificationGuard>) -> bool {
        let open = self.open.get(&producer_id).map(|entry| entry.guard);
        guard.is_some() && open == guard
    }

    /// The sequence that has to come first if not this one: the lowest that was asked for, or 0 for a producer that bumps its
    /// epoch with every transaction and is unknown here.
    pub(crate) fn other_first_sequence(
        &self,
        producer_id: i64,
        sequence: i32,
        is_unknown: bool,
    ) -> Option<i32> {
        let entry = self.open.get(&producer_id)?;
        if entry.bumps_epoch && is_unknown && sequence != 0 {
            return Some(0);
        }
        (sequence > entry.lowest_sequence).then_some(entry.lowest_sequence)
    }

    /// A batch of a transaction, or a marker, was written: the question is answered, or too old.
    pub(crate) fn written(&mut self, header: &BatchHeader) {
        if !header.is_transactional() || self.open.is_empty() {
            return;
        }
        // Where each end bumps the epoch, a marker of the question's own epoch ended the transaction before.
        let next_has_begun = self.open.get(&header.producer_id).is_some_and(|entry| {
            entry.bumps_epoch && header.is_control() && header.producer_epoch == entry.epoch
        });
        if !next_has_begun {
            self.open.remove(&header.producer_id);
        }
    }

    /// Forgets questions that nobody came back to for `expiration_ms`.
    pub(crate) fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.open.retain(|_, entry| {
            let seen_ms = *entry.seen_ms.get_or_insert(now_ms);
            now_ms.saturating_sub(seen_ms) < expiration_ms
        });
    }
}

#[cfg(test)]
mod tests {
    use catchword_wire::batch::{BatchBuilder, NewRecord, end_transaction_marker};

    use super::*;

    fn data(producer_id: i64, epoch: i16) -> BatchHeader {
        let mut builder = BatchBuilder::new(0)
            .producer(producer_id, epoch, 0)
            .transactional(true);
        builder.push(NewRecord::default()).unwrap();
        BatchHeader::parse(&builder.build().unwrap()).unwrap()
    }

    fn marker(producer_id: i64, epoch: i16) -> BatchHeader {
        let bytes = end_transaction_marker(0, 0, producer_id, epoch, false, 0).unwrap();
        BatchHeader::parse(&bytes).unwrap()
    }

    #[test]
    fn a_guard_is_good_until_a_batch_or_a_marker_of_its_producer_is_written() {
        for written in [data(7, 0), marker(7, 0)] {
            let mut open = Verifications::default();
            let guard = open.ask(7, 0, 0, false);
            assert_eq!(open.ask(7, 0, 0, false), guard, "one question at a time");
            assert!(open.is_good(7, Some(guard)));
            assert!(!open.is_good(7, None) && !open.is_good(8, Some(guard)));
            open.written(&data(8, 0));
            assert!(open.is_good(7, Some(guard)));
            open.written(&written);
            assert!(!open.is_good(7, Some(guard)));
            assert_ne!(open.ask(7, 0, 0, false), guard, "the next has its own");
        }
    }

    #[test]
    fn the_marker_of_the_epoch_that_was_asked_for_ended_the_transaction_before() {
        let mut open = Verifications::default();
        let guard = open.ask(7, 1, 0, true);
        open.written(&marker(7, 1));
        assert!(open.is_good(7, Some(guard)));
        open.written(&marker(7, 2));
        assert!(!open.is_good(7, Some(guard)));
    }

    #[test]
    fn the_lowest_sequence_that_was_asked_for_comes_first() {
        let mut open = Verifications::default();
        open.ask(7, 0, 5, false);
        open.ask(7, 0, 3, false);
        assert_eq!(open.other_first_sequence(7, 5, true), Some(3));
        assert_eq!(open.other_first_sequence(7, 3, true), None);
        open.ask(8, 0, 4, true);
        assert_eq!(open.other_first_sequence(8, 4, true), Some(0));
        assert_eq!(open.other_first_sequence(8, 4, false), None);
    }

    #[test]
    fn old_questions_are_forgotten() {
        let mut open = Verifications::default();
        let guard = open.ask(7, 0, 0, false);
        open.expire(5000, 1000);
        open.expire(5999, 1000);
        assert!(open.is_good(7, Some(guard)));
        open.expire(6000, 1000);
        assert!(!open.is_good(7, Some(guard)));
    }
}
