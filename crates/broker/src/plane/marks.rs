//! The newest changes that were more than reading on, of all groups in a partition of `__consumer_offsets`.
//!
//! Each of their records says where the bookmark was (`cw.from`), so they can be told without the commits between them, of
//! which there may be tens of millions. A log is read for them once, when somebody first asks; from then on only what it
//! has gained. Records that do not say it, as Apache Kafka and older versions wrote them, make their group be read whole.
//!
//! Bound: [`MAX_RECORDS`] records of a partition, or one batch of them, and [`MAX_GROUPS`] names.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use catchword_coordinator::ledger::{Finished, Ledger, Limits, group_of, is_marked, tells_origin};
use catchword_wire::Str;
use catchword_wire::batch::Record;

use super::MAX_GROUPS;
use super::error::PlaneError;
use super::scan::{Wanted, scan, scan_from};
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
    untold: BTreeMap<Str, i64>,
}

impl Marks {
    /// The newest changes of the groups in a partition. Blocks.
    pub(super) fn changes(&self, shard: &Partition) -> Result<Vec<(Str, Finished)>, PlaneError> {
        let index = shard.tp.partition;
        let marked = {
            let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
            shards.entry(index).or_default().clone()
        };
        let mut marked = marked.lock().unwrap_or_else(PoisonError::into_inner);
        marked.read_on(shard)?;
        let mut ledgers: BTreeMap<Str, Ledger> = BTreeMap::new();
        let mut last = None;
        for (batch, record) in &marked.records {
            // A group's own tombstone stands behind those of its bookmarks, and is part of their change.
            let Some(group) = group_of(record).or(last) else {
                continue;
            };
            last = Some(group);
            if marked.untold.contains_key(group) {
                continue;
            }
            if !ledgers.contains_key(group) {
                let group = Str::copy(group);
                ledgers.insert(group.clone(), Ledger::sparse(index, group, LIMITS));
            }
            if let Some(ledger) = ledgers.get_mut(group) {
                ledger.note(*batch, record);
            }
        }
        let mut all: Vec<(Str, Finished)> = ledgers
            .into_iter()
            .map(|(group, ledger)| (group, ledger.finish()))
            .collect();
        let untold: BTreeSet<&Str> = marked.untold.keys().collect();
        all.append(&mut whole(shard, &untold, LIMITS)?);
        Ok(all)
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
        let offsets = shard.log.offsets();
        let from = self.upto.max(offsets.log_start);
        scan_from(&*shard.log, from, &Wanted::marked(), |batch, record| {
            if record.offset >= from && is_marked(record) {
                self.note(batch, record);
            }
        })?;
        self.upto = offsets.log_end.max(self.upto);
        Ok(())
    }

    fn note(&mut self, batch: i64, record: &Record) {
        let group = group_of(record);
        if group.is_none() && record.value.is_some() {
            return;
        }
        if let Some(group) = group
            && !tells_origin(record)
        {
            self.untold.insert(Str::copy(group), record.offset);
            if self.untold.len() > MAX_GROUPS {
                let oldest = self.untold.iter().min_by_key(|(_, offset)| **offset);
                let oldest = oldest.map(|(group, _)| group.clone());
                oldest.and_then(|group| self.untold.remove(&group));
            }
            return;
        }
        self.records.push_back((batch, detached(record)));
        // Whole batches go: the rest of a change would look like another.
        while self.records.len() > MAX_RECORDS
            && let Some(oldest) = self.records.front().map(|(of, _)| *of)
            && oldest != batch
        {
            while self.records.front().is_some_and(|(of, _)| *of == oldest) {
                self.records.pop_front();
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
