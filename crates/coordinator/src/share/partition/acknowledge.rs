//! Giving records back: what became of them, or nothing, because time is over or the member has gone.

use catchword_wire::Str;

use super::{RecordState, SharePartition, ShareSettings, StateBatch};

/// What a member says of a record. Kafka's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum AckType {
    /// There was no record at this offset.
    Gap = 0,
    /// It is processed.
    Accept = 1,
    /// Somebody else may have it.
    Release = 2,
    /// Nobody can process it.
    Reject = 3,
    /// It takes longer.
    Renew = 4,
}

impl AckType {
    /// The type with this code.
    pub fn from_code(code: i8) -> Option<AckType> {
        Some(match code {
            0 => AckType::Gap,
            1 => AckType::Accept,
            2 => AckType::Release,
            3 => AckType::Reject,
            4 => AckType::Renew,
            _ => return None,
        })
    }
}

/// What a member says of some records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckBatch {
    /// The first offset.
    pub first: i64,
    /// The last offset, included.
    pub last: i64,
    /// One for all, or one for each.
    pub types: Vec<AckType>,
}

/// Why nothing of an acknowledgement counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// It speaks of records that nobody was given, or contradicts itself.
    #[error("the acknowledgement names offsets that were not delivered")]
    Invalid,
    /// The member does not hold the record: its time is over, or it was acknowledged before.
    #[error("the member does not hold the record any more")]
    NotHeld,
    /// The group has not read from the partition yet.
    #[error("the group has not read from the partition yet")]
    NeverRead,
}

impl SharePartition {
    /// Takes what a member says of records that it holds: all of it, or none. Returns what has to be recorded.
    ///
    /// # Errors
    /// [`AckError`]; then nothing has changed.
    pub fn acknowledge(
        &mut self,
        member: &str,
        batches: &[AckBatch],
        now_ms: i64,
        settings: &ShareSettings,
    ) -> Result<Vec<StateBatch>, AckError> {
        let mut after = i64::MIN;
        for batch in batches {
            self.check_batch(member, batch, settings)?;
            if batch.first <= after {
                return Err(AckError::Invalid);
            }
            after = batch.last;
        }
        let mut changed = Vec::new();
        for batch in batches {
            if let [of_all] = batch.types[..] {
                let first = batch.first.max(self.start);
                self.give_back(first, batch.last, of_all, now_ms, settings, &mut changed);
                continue;
            }
            // One type for each: those that are alike go together.
            let mut at = batch.first;
            for alike in batch.types.chunk_by(|a, b| a == b) {
                let last = at + alike.len() as i64 - 1;
                let first = at.max(self.start);
                self.give_back(first, last, alike[0], now_ms, settings, &mut changed);
                at = last + 1;
            }
        }
        self.settle();
        Ok(changed)
    }

    /// Whether a batch can be taken. What is below the start has gone with the log; who held it cannot know.
    fn check_batch(
        &self,
        member: &str,
        batch: &AckBatch,
        settings: &ShareSettings,
    ) -> Result<(), AckError> {
        let count = batch.last.saturating_sub(batch.first).saturating_add(1);
        let types = batch.types.len() as i64;
        if count < 1 || (types != 1 && types != count) || batch.first < 0 {
            return Err(AckError::Invalid);
        }
        if batch.last < self.start {
            return Ok(());
        }
        if batch.last >= self.end {
            return Err(AckError::Invalid);
        }
        if batch.types.contains(&AckType::Renew) && !settings.may_renew {
            return Err(AckError::NotHeld);
        }
        let mut at = batch.first.max(self.start);
        while at <= batch.last {
            let Some((_, run)) = self.runs.range(..=at).next_back() else {
                return Err(AckError::NotHeld);
            };
            match &run.state {
                RecordState::Acquired { member: holder, .. } if *holder == *member => {}
                _ => return Err(AckError::NotHeld),
            }
            at = run.last + 1;
        }
        Ok(())
    }

    fn give_back(
        &mut self,
        first: i64,
        last: i64,
        how: AckType,
        now_ms: i64,
        settings: &ShareSettings,
        changed: &mut Vec<StateBatch>,
    ) {
        if first > last {
            return;
        }
        for first in self.cut(first, last) {
            let Some(run) = self.runs.get_mut(&first) else {
                continue;
            };
            run.state = match how {
                AckType::Accept => RecordState::Acknowledged,
                AckType::Gap | AckType::Reject => RecordState::Archived,
                AckType::Release if run.deliveries >= settings.max_deliveries => {
                    RecordState::Archived
                }
                AckType::Release => RecordState::Available,
                AckType::Renew => {
                    if let RecordState::Acquired { until_ms, .. } = &mut run.state {
                        *until_ms = now_ms + settings.lock_ms;
                    }
                    continue;
                }
            };
            let batch = StateBatch::new(first, run.last, run.state.clone(), run.deliveries);
            changed.push(batch);
        }
    }

    /// The member has gone: others may have what it held. Returns what has to be recorded.
    pub fn release(&mut self, member: &str, settings: &ShareSettings) -> Vec<StateBatch> {
        self.take_back(settings, |holder, _| *holder == *member)
    }

    /// Others may have what was held for too long. Returns what has to be recorded.
    pub fn expire(&mut self, now_ms: i64, settings: &ShareSettings) -> Vec<StateBatch> {
        self.take_back(settings, |_, until_ms| until_ms <= now_ms)
    }

    fn take_back(
        &mut self,
        settings: &ShareSettings,
        which: impl Fn(&Str, i64) -> bool,
    ) -> Vec<StateBatch> {
        let held = self.runs.iter().filter(|(_, run)| match &run.state {
            RecordState::Acquired { member, until_ms } => which(member, *until_ms),
            _ => false,
        });
        let held: Vec<(i64, i64)> = held.map(|(first, run)| (*first, run.last)).collect();
        let mut changed = Vec::new();
        for (first, last) in held {
            self.give_back(first, last, AckType::Release, 0, settings, &mut changed);
        }
        self.settle();
        changed
    }
}
