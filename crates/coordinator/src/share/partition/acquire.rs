//! Taking records.

use catchword_wire::Str;

use super::{RecordState, SharePartition, ShareSettings, StateBatch};

/// What a member asks for, and what was read for it.
#[derive(Debug, Clone)]
pub struct Acquire<'a> {
    /// Who asks.
    pub member: &'a Str,
    /// The time, in milliseconds since 1970.
    pub now_ms: i64,
    /// What the group is set to.
    pub settings: ShareSettings,
    /// From which offset the log was read: what [`SharePartition::next_offset`] said.
    pub from: i64,
    /// The first and the last offset of each batch of records that was read, in order.
    pub batches: &'a [(i64, i64)],
    /// Where reading ended: between `from` and here there are no records but those of the batches.
    pub upto: i64,
    /// So many records are enough.
    pub max_records: i64,
    /// Whether not one more may come; else a record batch that has begun is taken whole.
    pub strict: bool,
}

/// Records that a member has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcquiredRange {
    /// The first offset.
    pub first: i64,
    /// The last offset, included.
    pub last: i64,
    /// How often they were delivered, this time included.
    pub deliveries: i16,
}

impl SharePartition {
    /// Where the log is to be read for somebody who wants records; `None` if there may be none: too many are in flight.
    pub fn next_offset(&self, settings: &ShareSettings) -> Option<i64> {
        let free = self
            .runs
            .iter()
            .find(|(_, run)| run.state == RecordState::Available);
        match free {
            Some((first, _)) => Some(*first),
            None => (self.end - self.start < settings.max_in_flight).then_some(self.end),
        }
    }

    /// Gives a member what is available of the records that were read. Returns what it got, and what has to be recorded:
    /// offsets at which there are no records are archived.
    pub fn acquire(&mut self, ask: &Acquire<'_>) -> (Vec<AcquiredRange>, Vec<StateBatch>) {
        let mut acquired: Vec<AcquiredRange> = Vec::new();
        let mut archived = Vec::new();
        let mut left = ask.max_records;
        let mut at = ask.from.max(self.start);
        let mut batches = ask.batches.iter().copied().peekable();
        while at < ask.upto && at <= self.end {
            while batches.next_if(|(_, last)| *last < at).is_some() {}
            let base = batches.peek().map_or(ask.upto, |(base, _)| *base);
            if at < base {
                self.archive_hole(at, base - 1, &mut archived);
                at = base;
                continue;
            }
            let Some(&(_, last)) = batches.peek() else {
                break;
            };
            if left <= 0 {
                break;
            }
            // A batch that has begun is taken whole, unless that is not wanted.
            let mut last = if ask.strict {
                last.min(at + left - 1)
            } else {
                last
            };
            if at == self.end {
                let room = ask.settings.max_in_flight - (self.end - self.start);
                if room <= 0 {
                    break;
                }
                if ask.strict {
                    last = last.min(at + room - 1);
                }
                self.push(last, RecordState::Available, 0);
            }
            let Some((run_last, deliveries)) = self.available_at(at) else {
                at = self.run_end(at) + 1;
                continue;
            };
            let last = last.min(run_last);
            if deliveries >= ask.settings.max_deliveries {
                // The limit was higher when it was released.
                self.set(at, last, RecordState::Archived, deliveries);
                let spent = StateBatch::new(at, last, RecordState::Archived, deliveries);
                archived.push(spent);
            } else {
                let held = RecordState::Acquired {
                    member: ask.member.clone(),
                    until_ms: ask.now_ms + ask.settings.lock_ms,
                };
                self.set(at, last, held, deliveries + 1);
                left -= last - at + 1;
                add(&mut acquired, at, last, deliveries + 1);
            }
            at = last + 1;
        }
        self.settle();
        (acquired, archived)
    }

    /// If the record can be had: the end of its run, and how often it was delivered.
    fn available_at(&self, at: i64) -> Option<(i64, i16)> {
        let (_, run) = self.runs.range(..=at).next_back()?;
        (run.state == RecordState::Available).then_some((run.last, run.deliveries))
    }

    /// Where the run ends that a record is in.
    fn run_end(&self, at: i64) -> i64 {
        let run = self.runs.range(..=at).next_back();
        run.map_or(at, |(_, run)| run.last.max(at))
    }

    fn set(&mut self, first: i64, last: i64, state: RecordState, deliveries: i16) {
        for first in self.cut(first, last) {
            if let Some(run) = self.runs.get_mut(&first) {
                run.state = state.clone();
                run.deliveries = deliveries;
            }
        }
    }

    /// Between these offsets there is no record: it was compacted away, or says something of transactions.
    fn archive_hole(&mut self, first: i64, last: i64, archived: &mut Vec<StateBatch>) {
        if last >= self.end {
            self.push(last, RecordState::Available, 0);
        }
        for first in self.cut(first, last) {
            if let Some(run) = self.runs.get_mut(&first)
                && run.state == RecordState::Available
            {
                run.state = RecordState::Archived;
                let batch = StateBatch::new(first, run.last, RecordState::Archived, run.deliveries);
                archived.push(batch);
            }
        }
    }
}

/// Adds a range, to the one before it if they are alike.
fn add(acquired: &mut Vec<AcquiredRange>, first: i64, last: i64, deliveries: i16) {
    match acquired.last_mut() {
        Some(before) if before.last + 1 == first && before.deliveries == deliveries => {
            before.last = last;
        }
        _ => acquired.push(AcquiredRange {
            first,
            last,
            deliveries,
        }),
    }
}
