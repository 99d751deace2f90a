//! Commits that were part of a transaction, in the log of a partition of `__consumer_offsets`: they count from the marker that ends the
//! transaction, and not at all if it was aborted (KIP-98).

use std::collections::HashMap;

use catchword_wire::batch::{Batch, BatchError, ControlRecord, records};

/// Batches of transactions whose end has not come by yet, by producer.
#[derive(Debug, Default)]
pub(crate) struct Transactional {
    open: HashMap<i64, Vec<Batch>>,
}

impl Transactional {
    /// The batches that count now that this one has come by, in order.
    pub(crate) fn pass(&mut self, batch: Batch) -> Result<Vec<Batch>, BatchError> {
        let producer = batch.header.producer_id;
        if batch.header.is_control() {
            let batches = self.open.remove(&producer).unwrap_or_default();
            let marker = records(&batch)?.next().transpose()?;
            return Ok(match marker.as_ref().and_then(ControlRecord::parse) {
                Some(ControlRecord::Commit { .. }) => batches,
                _ => Vec::new(),
            });
        }
        if batch.header.is_transactional() {
            self.open.entry(producer).or_default().push(batch);
            return Ok(Vec::new());
        }
        Ok(vec![batch])
    }

    /// The first offset whose end has not come by yet: whoever begins there anew misses nothing.
    pub(crate) fn first_open(&self) -> Option<i64> {
        let batches = self.open.values().filter_map(|batches| batches.first());
        batches.map(|batch| batch.header.base_offset).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catchword_wire::batch::{BatchBuilder, NewRecord, end_transaction_marker};

    fn data(offset: i64, producer: Option<i64>) -> Batch {
        let mut builder = BatchBuilder::new(offset);
        if let Some(producer) = producer {
            builder = builder.producer(producer, 0, 0).transactional(true);
        }
        builder.push(NewRecord::default()).unwrap();
        Batch::parse(&builder.build().unwrap()).unwrap()
    }

    fn marker(producer: i64, commit: bool) -> Batch {
        let bytes = end_transaction_marker(9, 0, producer, 0, commit, 0).unwrap();
        Batch::parse(&bytes).unwrap()
    }

    fn passed(batches: Vec<Batch>) -> (Vec<i64>, Vec<i64>) {
        let mut transactional = Transactional::default();
        let mut offsets = Vec::new();
        for batch in batches {
            let counted = transactional.pass(batch).unwrap();
            offsets.extend(counted.iter().map(|batch| batch.header.base_offset));
        }
        (offsets, transactional.open.into_keys().collect())
    }

    #[test]
    fn a_commit_within_a_transaction_counts_when_it_is_committed_and_never_if_it_is_aborted() {
        let (counted, unfinished) = passed(vec![
            data(0, None),
            data(1, Some(7)),
            data(2, Some(8)),
            data(3, None),
            marker(8, false),
            marker(7, true),
            data(6, Some(8)),
        ]);
        assert_eq!(counted, [0, 3, 1]);
        assert_eq!(unfinished, [8]);
    }
}
