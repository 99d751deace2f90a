//! Offsets that were committed as part of transactions which have not ended: they count for nobody yet.
//!
//! Invariant: whatever the order in which transactions end, the bookmark of a partition is the one whose record stands
//! last in the log among those that count (T2). So a pending one that something later has passed by, a commit or a
//! transaction that was committed before it, never becomes the bookmark.
//!
//! There are few of these at any time, so nothing here is made to be small.

use std::collections::{BTreeMap, BTreeSet};

use catchword_wire::Str;

use super::Bookmark;
use crate::effect::ProducerEpoch;

/// A group, a topic, a partition.
pub(crate) type Key = (Str, Str, i32);

/// One offset that waits for its transaction.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) producer: ProducerEpoch,
    pub(crate) bookmark: Bookmark,
    /// Where its record stands among those of the others.
    order: u64,
    /// Something later counts already.
    overtaken: bool,
}

/// All of a shard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pending {
    by_key: BTreeMap<Key, Vec<Waiting>>,
    by_producer: BTreeMap<i64, BTreeSet<Key>>,
    last_order: u64,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// T1: an offset is committed within a transaction. The last of a transaction counts.
    pub(crate) fn put(&mut self, producer: ProducerEpoch, key: Key, bookmark: Bookmark) {
        self.last_order += 1;
        let waiting = self.by_key.entry(key.clone()).or_default();
        waiting.retain(|other| other.producer.id != producer.id);
        waiting.push(Waiting {
            producer,
            bookmark,
            order: self.last_order,
            overtaken: false,
        });
        self.by_producer.entry(producer.id).or_default().insert(key);
    }

    /// Whether a transaction may still change the bookmark (T4).
    pub(crate) fn has(&self, group_id: &str, topic: &str, partition: i32) -> bool {
        !self.is_empty()
            && self
                .by_key
                .contains_key(&(Str::copy(group_id), Str::copy(topic), partition))
    }

    /// Whether a transaction may still change a bookmark of the group (T5).
    pub(crate) fn has_group(&self, group_id: &str) -> bool {
        self.of_group(group_id).next().is_some()
    }

    /// What waits in a group, by topic and partition.
    pub(crate) fn of_group<'a>(&'a self, group_id: &'a str) -> impl Iterator<Item = &'a Key> + 'a {
        let first = (Str::copy(group_id), Str::EMPTY, i32::MIN);
        let all = self.by_key.range(first..).map(|(key, _)| key);
        all.take_while(move |key| *key.0 == *group_id)
    }

    /// T2: an offset was committed outside of a transaction, after what waits here.
    pub(crate) fn overtake(&mut self, key: &Key) {
        let waiting = self.by_key.get_mut(key).into_iter().flatten();
        waiting.for_each(|waiting| waiting.overtaken = true);
    }

    /// T5: the offset was deleted, and with it what would have replaced it.
    pub(crate) fn forget(&mut self, key: &Key) {
        for waiting in self.by_key.remove(key).unwrap_or_default() {
            self.release(waiting.producer.id, key);
        }
    }

    /// T1: the producer's transaction ended. Returns the bookmarks that count now.
    pub(crate) fn end(&mut self, producer_id: i64, commit: bool) -> Vec<(Key, Bookmark)> {
        let mut counted = Vec::new();
        for key in self.by_producer.remove(&producer_id).unwrap_or_default() {
            let Some(waiting) = self.by_key.get_mut(&key) else {
                continue;
            };
            let at = waiting.iter().position(|w| w.producer.id == producer_id);
            let Some(ended) = at.map(|at| waiting.remove(at)) else {
                continue;
            };
            if commit {
                for earlier in waiting.iter_mut().filter(|w| w.order < ended.order) {
                    earlier.overtaken = true;
                }
            }
            if waiting.is_empty() {
                self.by_key.remove(&key);
            }
            if commit && !ended.overtaken {
                counted.push((key, ended.bookmark));
            }
        }
        counted
    }

    fn release(&mut self, producer_id: i64, key: &Key) {
        if let Some(keys) = self.by_producer.get_mut(&producer_id) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_producer.remove(&producer_id);
            }
        }
    }

    /// All that waits, in the order of their records; those that something later has passed by, or the others.
    pub(crate) fn in_order(&self, overtaken: bool) -> Vec<(&Key, &Waiting)> {
        let all = self.by_key.iter();
        let mut all: Vec<_> = all
            .flat_map(|(key, waiting)| waiting.iter().map(move |waiting| (key, waiting)))
            .filter(|(_, waiting)| waiting.overtaken == overtaken)
            .collect();
        all.sort_by_key(|(_, waiting)| waiting.order);
        all
    }
}
