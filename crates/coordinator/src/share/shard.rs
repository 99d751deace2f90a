//! All share partitions of one partition of `__share_group_state`.
//!
//! Every call that changes what has to survive adds a record. The first of a share partition is a snapshot, then come
//! updates, and after so many of them a snapshot again, so that what stands before the oldest newest snapshot of all can
//! be deleted.

use std::collections::{BTreeMap, BTreeSet};

use catchword_wire::Uuid;

use super::partition::{
    AckBatch, AckError, Acquire, AcquiredRange, SharePartition, ShareSettings, StateBatch,
};
use super::record::{self, Change, ShareKey, ShareRecord};
use crate::record::ReplayError;

/// See the module.
#[derive(Debug, Clone)]
pub struct ShareShard {
    partitions: BTreeMap<ShareKey, Entry>,
    updates_per_snapshot: u32,
}

#[derive(Debug, Clone)]
struct Entry {
    partition: SharePartition,
    snapshot_epoch: i32,
    updates: u32,
}

impl ShareShard {
    /// A shard without partitions. After `updates_per_snapshot` updates of a partition comes a snapshot of it.
    pub fn new(updates_per_snapshot: u32) -> ShareShard {
        ShareShard {
            partitions: BTreeMap::new(),
            updates_per_snapshot,
        }
    }

    /// Applies a record of the log, on load. Says whose snapshot or tombstone it was.
    ///
    /// # Errors
    /// When the record is not understood. [`ReplayError::UnknownKeyType`] is to be logged and skipped.
    pub fn replay(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<Option<ShareKey>, ReplayError> {
        let (key, change) = record::decode(key, value)?;
        match change {
            Change::Snapshot(None) => drop(self.partitions.remove(&key)),
            Change::Snapshot(Some((partition, snapshot_epoch))) => {
                let entry = Entry {
                    partition,
                    snapshot_epoch,
                    updates: 0,
                };
                self.partitions.insert(key.clone(), entry);
            }
            Change::Update { start, batches } => {
                let entry = self.partitions.entry(key).or_insert_with(|| Entry {
                    partition: SharePartition::new(-1, 0),
                    snapshot_epoch: 0,
                    updates: 0,
                });
                entry.partition.apply(start, &batches);
                entry.updates += 1;
                return Ok(None);
            }
        }
        Ok(Some(key))
    }

    /// The state of a group in a partition.
    pub fn get(&self, key: &ShareKey) -> Option<&SharePartition> {
        self.partitions.get(key).map(|entry| &entry.partition)
    }

    /// Which share partitions there are, in order.
    pub fn keys(&self) -> impl Iterator<Item = &ShareKey> {
        self.partitions.keys()
    }

    /// Sets where a group begins, whatever was before. Members that hold records hold them no more.
    pub fn set_start(
        &mut self,
        key: &ShareKey,
        start: i64,
        now_ms: i64,
        out: &mut Vec<ShareRecord>,
    ) {
        let (state_epoch, snapshot_epoch) = match self.partitions.get(key) {
            Some(entry) => (entry.partition.state_epoch() + 1, entry.snapshot_epoch),
            None => (0, -1),
        };
        let entry = Entry {
            partition: SharePartition::new(start, state_epoch),
            snapshot_epoch,
            updates: 0,
        };
        self.partitions.insert(key.clone(), entry);
        self.snapshot(key, now_ms, out);
    }

    /// Gives a member records; see [`SharePartition::acquire`].
    pub fn acquire(
        &mut self,
        key: &ShareKey,
        ask: &Acquire<'_>,
        out: &mut Vec<ShareRecord>,
    ) -> Vec<AcquiredRange> {
        let Some(entry) = self.partitions.get_mut(key) else {
            return Vec::new();
        };
        let (acquired, archived) = entry.partition.acquire(ask);
        if !archived.is_empty() {
            self.changed(key, &archived, ask.now_ms, out);
        }
        acquired
    }

    /// Takes what a member says of records; see [`SharePartition::acknowledge`].
    ///
    /// # Errors
    /// [`AckError`]; then nothing has changed.
    pub fn acknowledge(
        &mut self,
        key: &ShareKey,
        member: &str,
        batches: &[AckBatch],
        now_ms: i64,
        settings: &ShareSettings,
        out: &mut Vec<ShareRecord>,
    ) -> Result<(), AckError> {
        let entry = self.partitions.get_mut(key).ok_or(AckError::NeverRead)?;
        let changed = entry
            .partition
            .acknowledge(member, batches, now_ms, settings)?;
        if !changed.is_empty() {
            self.changed(key, &changed, now_ms, out);
        }
        Ok(())
    }

    /// Lets others have what a member holds in a partition. Whether it held anything.
    pub fn release(
        &mut self,
        key: &ShareKey,
        member: &str,
        now_ms: i64,
        settings: &ShareSettings,
        out: &mut Vec<ShareRecord>,
    ) -> bool {
        let Some(entry) = self.partitions.get_mut(key) else {
            return false;
        };
        let changed = entry.partition.release(member, settings);
        if !changed.is_empty() {
            self.changed(key, &changed, now_ms, out);
        }
        !changed.is_empty()
    }

    /// When the first lock ends, or earlier.
    pub fn deadline(&self) -> Option<i64> {
        let deadlines = self
            .partitions
            .values()
            .filter_map(|e| e.partition.deadline());
        deadlines.min()
    }

    /// Lets others have what was held for too long. Says where there is something to be had again.
    pub fn expire(
        &mut self,
        now_ms: i64,
        settings: impl Fn(&ShareKey) -> ShareSettings,
        out: &mut Vec<ShareRecord>,
    ) -> Vec<ShareKey> {
        let is_due = |entry: &Entry| entry.partition.deadline().is_some_and(|at| at <= now_ms);
        let due = self.partitions.iter().filter(|(_, entry)| is_due(entry));
        let due: Vec<ShareKey> = due.map(|(key, _)| key.clone()).collect();
        let mut freed = Vec::new();
        for key in due {
            let Some(entry) = self.partitions.get_mut(&key) else {
                continue;
            };
            let changed = entry.partition.expire(now_ms, &settings(&key));
            if !changed.is_empty() {
                self.changed(&key, &changed, now_ms, out);
                freed.push(key);
            }
        }
        freed
    }

    /// The log of a partition begins and ends here; see [`SharePartition::log_starts_at`] and its sibling.
    pub fn log_is(
        &mut self,
        key: &ShareKey,
        log_start: i64,
        log_end: Option<i64>,
        now_ms: i64,
        out: &mut Vec<ShareRecord>,
    ) {
        let Some(entry) = self.partitions.get_mut(key) else {
            return;
        };
        let ended = log_end.is_some_and(|end| entry.partition.log_ends_at(end));
        let started = entry.partition.log_starts_at(log_start);
        if ended {
            // What is gone cannot be said by an update.
            self.snapshot(key, now_ms, out);
        } else if started {
            self.changed(key, &[], now_ms, out);
        }
    }

    /// Forgets a group in a partition. Whether it was there.
    pub fn delete(&mut self, key: &ShareKey, out: &mut Vec<ShareRecord>) -> bool {
        let existed = self.partitions.remove(key).is_some();
        if existed {
            out.push(record::tombstone(key));
        }
        existed
    }

    /// Forgets the groups in topics that are gone.
    pub fn topics_deleted(&mut self, topics: &BTreeSet<Uuid>, out: &mut Vec<ShareRecord>) {
        let gone = self
            .partitions
            .keys()
            .filter(|k| topics.contains(&k.topic_id));
        for key in gone.cloned().collect::<Vec<_>>() {
            self.delete(&key, out);
        }
    }

    /// Writes a snapshot of a partition.
    pub fn snapshot(&mut self, key: &ShareKey, now_ms: i64, out: &mut Vec<ShareRecord>) {
        if let Some(entry) = self.partitions.get_mut(key) {
            entry.snapshot_epoch += 1;
            entry.updates = 0;
            let epoch = entry.snapshot_epoch;
            out.push(record::snapshot(key, &entry.partition, epoch, now_ms));
        }
    }

    fn changed(
        &mut self,
        key: &ShareKey,
        changed: &[StateBatch],
        now_ms: i64,
        out: &mut Vec<ShareRecord>,
    ) {
        let Some(entry) = self.partitions.get_mut(key) else {
            return;
        };
        if entry.updates >= self.updates_per_snapshot {
            return self.snapshot(key, now_ms, out);
        }
        entry.updates += 1;
        let epoch = entry.snapshot_epoch;
        out.push(record::update(key, &entry.partition, epoch, changed));
    }
}
