//! One share group in one partition.
//!
//! Offsets below `start` are done with; those from `end` on have not been offered to anybody. Between the two stand
//! *runs* of offsets in the same state. A record is available until a member acquires it; the member says what became of
//! it, or loses it when its time is over. What is accepted is acknowledged, what was rejected or delivered too often is
//! archived: both are terminal.
//!
//! Invariants: runs tile `start..end` without gap or overlap; the first run is not terminal, so `start` moves over nothing
//! but what is; nothing is acquired by two members, nor more often than the limit says.
//!
//! Taking records is in `acquire`, giving them back in `acknowledge`, the form in the log in `persist`.

mod acknowledge;
mod acquire;
mod persist;

use std::collections::BTreeMap;

use catchword_wire::Str;

pub use acknowledge::{AckBatch, AckError, AckType};
pub use acquire::{Acquire, AcquiredRange};
pub use persist::StateBatch;

/// The start of a group that has not been told where to begin.
const UNINITIALIZED: i64 = -1;

/// What holds for the group; its keys begin with `share.`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareSettings {
    /// `record.lock.duration.ms`: how long a member may keep a record.
    pub lock_ms: i64,
    /// `delivery.count.limit`: how often a record is delivered before it is given up.
    pub max_deliveries: i16,
    /// `partition.max.record.locks`: how far the group may be ahead of its start, in offsets.
    pub max_in_flight: i64,
    /// `renew.acknowledge.enable`: whether members may ask for more time.
    pub may_renew: bool,
}

impl Default for ShareSettings {
    fn default() -> ShareSettings {
        ShareSettings {
            lock_ms: 30_000,
            max_deliveries: 5,
            max_in_flight: 2_000,
            may_renew: true,
        }
    }
}

/// Where a record is. Kafka's codes, which stand in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordState {
    /// Nobody has it.
    Available,
    /// A member has it, until this time in milliseconds.
    #[allow(missing_docs)]
    Acquired { member: Str, until_ms: i64 },
    /// It was processed.
    Acknowledged,
    /// It was given up.
    Archived,
}

impl RecordState {
    /// Whether nothing will happen to the record any more.
    pub fn is_terminal(&self) -> bool {
        matches!(self, RecordState::Acknowledged | RecordState::Archived)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    last: i64,
    state: RecordState,
    /// How often it was delivered.
    deliveries: i16,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharePartition {
    start: i64,
    end: i64,
    state_epoch: i32,
    runs: BTreeMap<i64, Run>,
    /// No lock ends before this.
    earliest_ms: Option<i64>,
}

impl SharePartition {
    /// A partition in which the group begins at an offset; -1 if that is not known yet.
    pub fn new(start: i64, state_epoch: i32) -> SharePartition {
        SharePartition {
            start,
            end: start,
            state_epoch,
            runs: BTreeMap::new(),
            earliest_ms: None,
        }
    }

    /// Whether it is known where the group begins.
    pub fn is_initialized(&self) -> bool {
        self.start != UNINITIALIZED
    }

    /// Where the group is: everything below is done with. -1 if it has not begun.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The first offset that nobody was offered.
    pub fn end(&self) -> i64 {
        self.end
    }

    /// Counts how often the group's place was set from outside.
    pub fn state_epoch(&self) -> i32 {
        self.state_epoch
    }

    /// How many records from the start on are done with.
    pub fn completed(&self) -> i64 {
        let done = self.runs.iter().filter(|(_, run)| run.state.is_terminal());
        done.map(|(first, run)| run.last - first + 1).sum()
    }

    /// The state of a record and how often it was delivered. `None` outside of `start..end`.
    pub fn record(&self, offset: i64) -> Option<(&RecordState, i16)> {
        let (_, run) = self.runs.range(..=offset).next_back()?;
        (offset <= run.last).then_some((&run.state, run.deliveries))
    }

    /// When the first lock ends, or earlier; `None` if there is none.
    pub fn deadline(&self) -> Option<i64> {
        self.earliest_ms
    }

    /// Makes `offset` the first of a run, if it is inside of one.
    fn split(&mut self, offset: i64) {
        let Some((_, run)) = self.runs.range_mut(..offset).next_back() else {
            return;
        };
        if run.last >= offset {
            let tail = run.clone();
            run.last = offset - 1;
            self.runs.insert(offset, tail);
        }
    }

    /// The first offsets of the runs between two offsets, both of which begin and end runs then.
    fn cut(&mut self, first: i64, last: i64) -> Vec<i64> {
        self.split(first);
        self.split(last + 1);
        self.runs
            .range(first..=last)
            .map(|(first, _)| *first)
            .collect()
    }

    /// Adds a run at the end.
    fn push(&mut self, last: i64, state: RecordState, deliveries: i16) {
        let run = Run {
            last,
            state,
            deliveries,
        };
        self.runs.insert(self.end, run);
        self.end = last + 1;
    }

    /// Lets the start move over what is done with, and joins neighbours that nobody holds and that are alike.
    fn settle(&mut self) {
        while let Some(first) = self.runs.first_entry() {
            if !first.get().state.is_terminal() {
                break;
            }
            self.start = first.remove().last + 1;
        }
        let mut joined: Vec<(i64, Run)> = Vec::with_capacity(self.runs.len());
        for (first, run) in std::mem::take(&mut self.runs) {
            match joined.last_mut() {
                Some((_, before))
                    if before.state == run.state && before.deliveries == run.deliveries =>
                {
                    before.last = run.last;
                }
                _ => joined.push((first, run)),
            }
        }
        self.runs.extend(joined);
        let until = self.runs.values().filter_map(|run| match &run.state {
            RecordState::Acquired { until_ms, .. } => Some(*until_ms),
            _ => None,
        });
        self.earliest_ms = until.min();
    }

    /// The log now begins later: what is gone is done with, whoever had it.
    pub fn log_starts_at(&mut self, log_start: i64) -> bool {
        if !self.is_initialized() || log_start <= self.start {
            return false;
        }
        self.split(log_start);
        self.runs = self.runs.split_off(&log_start);
        self.start = log_start;
        self.end = self.end.max(log_start);
        self.settle();
        true
    }

    /// The log ends earlier than the group had come, since a crash took records: others will stand in their places.
    pub fn log_ends_at(&mut self, log_end: i64) -> bool {
        if !self.is_initialized() || log_end >= self.end {
            return false;
        }
        self.split(log_end);
        drop(self.runs.split_off(&log_end));
        self.end = log_end;
        self.start = self.start.min(log_end);
        self.settle();
        true
    }

    /// Checks the invariants; for tests.
    #[doc(hidden)]
    pub fn check(&self) {
        let mut at = self.start;
        for (first, run) in &self.runs {
            assert_eq!(*first, at, "runs tile: {self:?}");
            assert!(run.last >= *first, "runs are not empty: {self:?}");
            at = run.last + 1;
        }
        assert_eq!(at, self.end, "runs reach the end: {self:?}");
        if let Some(run) = self.runs.values().next() {
            assert!(!run.state.is_terminal(), "the start is not done: {self:?}");
        }
    }
}
