//! Transactions during a compaction: which batches were aborted, and which markers are needed still.
//!
//! Invariant: a marker, and an entry of the aborted, is given up only after a pass that met no batch of its transaction any more:
//! whoever reads a batch of a transaction that was aborted is told so. Batches are shown oldest first. No IO, no clock.

use std::collections::{HashMap, HashSet};

use catchword_wire::batch::{Batch, BatchHeader, ControlRecord, records};

use crate::AbortedTransaction;

/// What a pass knows of the transactions in a log.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// First and last offset of each producer's aborted transactions, in order.
    aborted: HashMap<i64, Vec<(i64, i64)>>,
    /// Producers with a batch since their last marker.
    seen: HashSet<i64>,
    /// Offsets of the markers of transactions without a batch.
    empty: HashSet<i64>,
}

impl Transactions {
    /// Of a log in which these were aborted.
    pub(crate) fn new(all: impl IntoIterator<Item = AbortedTransaction>) -> Transactions {
        let mut transactions = Transactions::default();
        for one in all {
            let of_producer = transactions.aborted.entry(one.producer_id).or_default();
            of_producer.push((one.first_offset, one.last_offset));
        }
        transactions
    }

    /// Whether any transaction was aborted.
    pub(crate) fn has_aborted(&self) -> bool {
        !self.aborted.is_empty()
    }

    /// Whether the batch is part of a transaction that was aborted.
    pub(crate) fn is_aborted(&self, header: &BatchHeader) -> bool {
        if !header.is_transactional() || header.is_control() {
            return false;
        }
        let Some(of_producer) = self.aborted.get(&header.producer_id) else {
            return false;
        };
        let at = of_producer.partition_point(|(_, last)| *last < header.base_offset);
        of_producer
            .get(at)
            .is_some_and(|(first, _)| *first <= header.base_offset)
    }

    /// Takes note of a batch with records of a transaction.
    pub(crate) fn saw_data(&mut self, header: &BatchHeader) {
        if header.is_transactional() {
            self.seen.insert(header.producer_id);
        }
    }

    /// Takes note of a control batch; says whether it is needed no more, the time for readers to pass it aside.
    pub(crate) fn saw_marker(&mut self, batch: &Batch) -> bool {
        let first = records(batch).ok().and_then(|mut found| found.next()?.ok());
        let Some(record) = first else {
            return batch.header.records_count == 0;
        };
        match ControlRecord::parse(&record) {
            Some(ControlRecord::Abort { .. } | ControlRecord::Commit { .. }) => {}
            _ => return false,
        }
        let is_empty = !self.seen.remove(&batch.header.producer_id);
        if is_empty {
            self.empty.insert(batch.header.base_offset);
        }
        is_empty
    }

    /// Whether readers have to be told of it still.
    pub(crate) fn is_needed(&self, aborted: &AbortedTransaction) -> bool {
        !self.empty.contains(&aborted.last_offset)
    }
}
