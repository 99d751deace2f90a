//! The newest changes that were more than reading on, of all groups in a partition of `__consumer_offsets`.
//!
//! Each of their records says where the bookmark was (`cw.from`), so they can be told without the commits between them, of
//! which there may be tens of millions. A log is read for them once, when somebody first asks; from then on only what it
//! has gained; what compaction has taken out of it since is forgotten. Records that do not say it, as Apache Kafka and
//! older versions wrote them, make their group be read whole. What is gone is known by the same records: the last one of each
//! bookmark that removes it says where it was. A group of which the bound has taken some of those is read whole as well.
//!
//! Bound: [`MAX_RECORDS`] records of a partition, or one batch of them, and six times [`MAX_GROUPS`] names.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use catchword_coordinator::ledger::{Finished, Ledger, Limits, group_of, is_marked, tells_origin};
use catchword_wire::Str;
use catchword_wire::batch::Record;

use super::MAX_GROUPS;
use super::error::PlaneError;
use super::scan::{self, Wanted, scan, scan_from};
use crate::partition::Partition;

/// The newest records that are kept of one partition.
const MAX_RECORDS: usize = 2000;
const LIMITS: Limits = Limits {
    commits: 0,
    meant_moves: 10_000,
    until_ms: i64::MAX,
};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    shards: Mutex<BTreeMap<i32, Arc<Mutex<Marked>>>>,
}

/// Of one partition.
#[derive(Debug, Default)]
struct Marked {
    /// The log has been read up to here.
    upto: i64,
    /// With the base offset of their batch, oldest first.
    records: VecDeque<(i64, Record)>,
    /// Groups with records that do not tell their origin, and the offset of the last.
    untold: Newest,
    /// Groups of which bookmarks were removed, and the offset of the last such record.
    bereft: Newest,
    /// Groups of which the record of a removal is no longer among `records`, and the offset of the last such.
    dropped: Newest,
    /// [`PartitionLog::rewrites`](catchword_log::PartitionLog::rewrites) as of the last look.
    rewrites: u64,
}

impl Marks {
    /// The newest changes of the groups in a partition. Blocks.
    pub(super) fn changes(&self, shard: &Partition) -> Result<Vec<(Str, Finished)>, PlaneError> {
        self.with(shard, |marked| {
            let is_told = |group: &str| !marked.untold.0.contains_key(group);
            let mut all = marked.ledgers(shard.tp.partition, is_told);
            let untold: BTreeSet<&Str> = marked.untold.0.keys().collect();
            all.append(&mut whole(shard, &untold, LIMITS)?);
            Ok(all)
        })
    }

    /// The groups in a partition that lost bookmarks, with those that are gone. Blocks.
    pub(super) fn bereft(&self, shard: &Partition) -> Result<Vec<Bereft>, PlaneError> {
        let limits = Limits {
            commits: 0,
            meant_moves: 0,
            ..LIMITS
        };
        self.with(shard, |marked| {
            let Marked {
                untold,
                bereft,
                dropped,
                ..
            } = &*marked;
            let is_read_whole =
                |group: &str| untold.0.contains_key(group) || dropped.0.contains_key(group);
            let is_told = |group: &str| bereft.0.contains_key(group) && !is_read_whole(group);
            let told = marked.ledgers(shard.tp.partition, is_told).into_iter();
            let told = told.map(|(group, found)| Bereft::Told(group, found));
            let others = bereft.0.keys().filter(|group| is_read_whole(group));
            let read = whole(shard, &others.collect(), limits)?.into_iter();
            let read = read.map(|(group, found)| Bereft::Read(group, found));
            Ok(told.chain(read).collect())
        })
    }

    /// What is known of a partition, once it is known up to the log's end. Blocks.
    fn with<T>(
        &self,
        shard: &Partition,
        tell: impl FnOnce(&mut Marked) -> Result<T, PlaneError>,
    ) -> Result<T, PlaneError> {
        let index = shard.tp.partition;
        let marked = {
            let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
            shards.entry(index).or_default().clone()
        };
        let mut marked = marked.lock().unwrap_or_else(PoisonError::into_inner);
        marked.read_on(shard)?;
        tell(&mut marked)
    }
}

/// A group that lost bookmarks.
pub(super) enum Bereft {
    /// As its marks tell: what has come back since by a plain commit is among what is gone.
    Told(Str, Finished),
    /// As its whole past tells.
    Read(Str, Finished),
}

/// Groups and the offset of the last record that concerns them; of too many the newest, [`MAX_GROUPS`] or more.
#[derive(Debug, Default)]
struct Newest(BTreeMap<Str, i64>);

impl Newest {
    fn note(&mut self, group: &str, offset: i64) {
        match self.0.get_mut(group) {
            Some(known) => *known = offset,
            None => drop(self.0.insert(Str::copy(group), offset)),
        }
        // Half of them at once: to look for the oldest each time would cost more than to read the log.
        if self.0.len() >= 2 * MAX_GROUPS {
            let mut offsets: Vec<i64> = self.0.values().copied().collect();
            let (_, middle, _) = offsets.select_nth_unstable(MAX_GROUPS);
            let middle = *middle;
            self.0.retain(|_, offset| *offset >= middle);
        }
    }

    fn retain(&mut self, there: &BTreeSet<i64>) {
        self.0.retain(|_, offset| there.contains(offset));
    }
}

impl Marked {
    /// What the marks tell of groups.
    fn ledgers(&self, shard: i32, is_told: impl Fn(&str) -> bool) -> Vec<(Str, Finished)> {
        let mut ledgers: BTreeMap<Str, Ledger> = BTreeMap::new();
        let mut last = None;
        for (batch, record) in &self.records {
            // A group's own tombstone stands behind those of its bookmarks, and is part of their change.
            let Some(group) = group_of(record).or(last) else {
                continue;
            };
            last = Some(group);
            if !is_told(group) {
                continue;
            }
            if !ledgers.contains_key(group) {
                let group = Str::copy(group);
                ledgers.insert(group.clone(), Ledger::sparse(shard, group, LIMITS));
            }
            if let Some(ledger) = ledgers.get_mut(group) {
                ledger.note(*batch, record);
            }
        }
        let finished = ledgers.into_iter();
        finished
            .map(|(group, ledger)| (group, ledger.finish()))
            .collect()
    }
}

/// The whole past of some groups of a partition. Blocks.
pub(super) fn whole(
    shard: &Partition,
    groups: &BTreeSet<&Str>,
    limits: Limits,
) -> Result<Vec<(Str, Finished)>, PlaneError> {
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let new = |group: &Str| Ledger::new(shard.tp.partition, group.clone(), limits);
    let mut ledgers: BTreeMap<Str, Ledger> = groups
        .iter()
        .map(|group| ((*group).clone(), new(group)))
        .collect();
    scan(&*shard.log, &Wanted::groups(groups), |batch, record| {
        let group = group_of(record);
        if let Some(ledger) = group.and_then(|group| ledgers.get_mut(group)) {
            ledger.note(batch, record);
        }
    })?;
    let finished = ledgers.into_iter();
    Ok(finished.map(|(group, l)| (group, l.finish())).collect())
}

impl Marked {
    fn read_on(&mut self, shard: &Partition) -> Result<(), PlaneError> {
        let (rewrites, offsets) = (shard.log.rewrites(), shard.log.offsets());
        if rewrites != self.rewrites {
            self.forget_what_is_gone(shard)?;
            self.rewrites = rewrites;
        }
        let from = self.upto.max(offsets.log_start);
        scan_from(&*shard.log, from, &Wanted::marked(), |batch, record| {
            if record.offset >= from && is_marked(record) {
                self.note(batch, record);
            }
        })?;
        self.upto = offsets.log_end.max(self.upto);
        Ok(())
    }

    /// Undoing what history does not have any more would be promised and then refused.
    fn forget_what_is_gone(&mut self, shard: &Partition) -> Result<(), PlaneError> {
        let kept = self.records.iter().map(|(_, record)| record.offset);
        let groups = [&self.untold, &self.bereft, &self.dropped].into_iter();
        let groups = groups.flat_map(|groups| groups.0.values().copied());
        let asked: BTreeSet<i64> = kept.chain(groups).collect();
        let there = scan::those_there(&*shard.log, &asked)?;
        self.records
            .retain(|(_, record)| there.contains(&record.offset));
        for groups in [&mut self.untold, &mut self.bereft, &mut self.dropped] {
            groups.retain(&there);
        }
        Ok(())
    }

    fn note(&mut self, batch: i64, record: &Record) {
        let group = group_of(record);
        if group.is_none() && record.value.is_some() {
            return;
        }
        if let Some(group) = group {
            if record.value.is_none() {
                self.bereft.note(group, record.offset);
            }
            if !tells_origin(record) {
                return self.untold.note(group, record.offset);
            }
        }
        self.records.push_back((batch, detached(record)));
        // Whole batches go: the rest of a change would look like another.
        while self.records.len() > MAX_RECORDS
            && let Some(oldest) = self.records.front().map(|(of, _)| *of)
            && oldest != batch
        {
            while self.records.front().is_some_and(|(of, _)| *of == oldest)
                && let Some((_, record)) = self.records.pop_front()
            {
                if record.value.is_none()
                    && let Some(group) = group_of(&record)
                {
                    self.dropped.note(group, record.offset);
                }
            }
        }
    }
}

/// A copy that does not keep a whole block of the log in memory.
fn detached(record: &Record) -> Record {
    let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
    let header = |(name, value): &(_, Option<Bytes>)| (copy(name), value.as_ref().map(copy));
    Record {
        offset: record.offset,
        timestamp: record.timestamp,
        key: record.key.as_ref().map(copy),
        value: record.value.as_ref().map(copy),
        headers: record.headers.iter().map(header).collect(),
    }
}

#[cfg(test)]
mod tests;
