//! The form of a share partition in the log: a snapshot, and changes on top of it.
//!
//! That a record is held is not kept: after a restart it is available again, as often delivered as was recorded.

use super::{RecordState, Run, SharePartition};

/// A state that was recorded of some offsets; never [`RecordState::Acquired`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateBatch {
    /// The first offset.
    pub first: i64,
    /// The last offset, included.
    pub last: i64,
    /// Where the records are.
    pub state: RecordState,
    /// How often they were delivered.
    pub deliveries: i16,
}

impl StateBatch {
    pub(super) fn new(first: i64, last: i64, state: RecordState, deliveries: i16) -> StateBatch {
        StateBatch {
            first,
            last,
            state,
            deliveries,
        }
    }
}

impl SharePartition {
    /// What a snapshot says. What is held counts as it was before it was acquired.
    pub fn batches(&self) -> Vec<StateBatch> {
        let mut batches = Vec::with_capacity(self.runs.len());
        for (first, run) in &self.runs {
            let (state, deliveries) = match &run.state {
                RecordState::Acquired { .. } => (RecordState::Available, run.deliveries - 1),
                state => (state.clone(), run.deliveries),
            };
            // What was never delivered before is what stands where nothing is said.
            if deliveries > 0 || state.is_terminal() {
                batches.push(StateBatch::new(*first, run.last, state, deliveries));
            }
        }
        batches
    }

    /// Takes over what was recorded of some offsets, and where the group begins if that is said (not -1).
    pub fn apply(&mut self, start: i64, batches: &[StateBatch]) {
        if start >= 0 && !self.is_initialized() {
            self.start = start;
            self.end = start;
        }
        for batch in batches {
            let first = batch.first.max(self.start);
            if first > batch.last {
                continue;
            }
            if first > self.end {
                self.push(first - 1, RecordState::Available, 0);
            }
            if batch.last >= self.end {
                self.push(batch.last, RecordState::Available, 0);
            }
            for first in self.cut(first, batch.last) {
                if let Some(Run {
                    state, deliveries, ..
                }) = self.runs.get_mut(&first)
                {
                    *state = batch.state.clone();
                    *deliveries = batch.deliveries;
                }
            }
        }
        self.settle();
        if start > self.start {
            self.log_starts_at(start);
        }
    }
}
