//! The committed offsets of one group: the bookmarks.
//!
//! Small structs, since there may be millions: a bookmark without metadata takes 56 bytes. This folder must not know
//! how a group's members agree, only whether the group is empty and what it is subscribed to.

mod commit;
mod delete;
mod expire;
mod fetch;
pub(crate) mod history;
pub(crate) mod pending;

use catchword_wire::records::OffsetCommitValue;
use catchword_wire::{Str, Uuid};

pub(crate) use commit::{Committer, commit, given_up, metadata_fits, notice, refused_commit};
pub(crate) use delete::{delete_all, delete_offsets, delete_topic};
pub(crate) use expire::{Expiry, expire, expires_at};
pub(crate) use fetch::{fetch, hide_unstable};

use crate::record::headers::Reader;

/// The place in one partition from which a group will read on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bookmark {
    pub(crate) offset: i64,
    pub(crate) commit_timestamp_ms: i64,
    pub(crate) topic_id: Uuid,
    /// -1 where unknown.
    pub(crate) leader_epoch: i32,
    /// Who reads here without a group.
    pub(crate) reader: Reader,
    /// What few bookmarks have.
    extra: Option<Box<Extra>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Extra {
    metadata: Str,
    expire_timestamp_ms: Option<i64>,
}

impl Bookmark {
    pub(crate) fn new(
        offset: i64,
        leader_epoch: i32,
        commit_timestamp_ms: i64,
        topic_id: Uuid,
        metadata: Str,
        expire_timestamp_ms: Option<i64>,
    ) -> Bookmark {
        let extra = (!metadata.is_empty() || expire_timestamp_ms.is_some()).then(|| {
            Box::new(Extra {
                metadata: metadata.detached(),
                expire_timestamp_ms,
            })
        });
        Bookmark {
            offset,
            commit_timestamp_ms,
            topic_id,
            leader_epoch,
            reader: Reader::UNKNOWN,
            extra,
        }
    }

    pub(crate) fn read_by(self, reader: Reader) -> Bookmark {
        Bookmark { reader, ..self }
    }

    pub(crate) fn from_record(value: OffsetCommitValue) -> Bookmark {
        let expire_timestamp_ms = (value.expire_timestamp != -1).then_some(value.expire_timestamp);
        Bookmark::new(
            value.offset,
            value.leader_epoch,
            value.commit_timestamp,
            value.topic_id,
            value.metadata,
            expire_timestamp_ms,
        )
    }

    /// The client's own text, empty if there is none.
    pub(crate) fn metadata(&self) -> &Str {
        static EMPTY: Str = Str::EMPTY;
        self.extra.as_ref().map_or(&EMPTY, |extra| &extra.metadata)
    }

    /// When it expires, if the client said so itself (OffsetCommit 2 to 4).
    pub(crate) fn expire_timestamp_ms(&self) -> Option<i64> {
        self.extra
            .as_ref()
            .and_then(|extra| extra.expire_timestamp_ms)
    }
}

/// The bookmarks of one topic, partitions in ascending order.
pub(crate) type TopicOffsets = Vec<(i32, Bookmark)>;

/// All bookmarks of a group, by topic and partition.
///
/// Sorted vectors: most groups have few topics, and a tree's node for one entry would cost more than the entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Offsets {
    /// No topic without a bookmark.
    topics: Vec<(Str, TopicOffsets)>,
}

impl Offsets {
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.topics
            .iter()
            .map(|(_, partitions)| partitions.len())
            .sum()
    }

    fn index(&self, topic: &str) -> Result<usize, usize> {
        self.topics
            .binary_search_by(|(own, _)| own.as_str().cmp(topic))
    }

    pub(crate) fn partitions(&self, topic: &str) -> &[(i32, Bookmark)] {
        self.index(topic).map_or(&[], |index| &self.topics[index].1)
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = (&Str, &[(i32, Bookmark)])> {
        self.topics
            .iter()
            .map(|(topic, partitions)| (topic, partitions.as_slice()))
    }

    /// The bookmarks of one topic, for several changes without looking it up again. The caller puts one in at least.
    pub(crate) fn topic_mut(&mut self, topic: &str) -> &mut TopicOffsets {
        let index = self.index(topic).unwrap_or_else(|index| {
            if self.topics.is_empty() {
                self.topics.reserve_exact(1);
            }
            // Not the request's own text: that would keep its whole frame in memory.
            self.topics
                .insert(index, (Str::copy(topic), Vec::with_capacity(1)));
            index
        });
        &mut self.topics[index].1
    }

    pub(crate) fn put(&mut self, topic: &str, partition: i32, bookmark: Bookmark) {
        put(self.topic_mut(topic), partition, bookmark);
    }

    pub(crate) fn remove(&mut self, topic: &str, partition: i32) -> Option<Bookmark> {
        let topic = self.index(topic).ok()?;
        let partitions = &mut self.topics[topic].1;
        let index = partitions
            .binary_search_by_key(&partition, |(p, _)| *p)
            .ok()?;
        let (_, removed) = partitions.remove(index);
        if partitions.is_empty() {
            self.topics.remove(topic);
        }
        Some(removed)
    }
}

/// Puts a bookmark into a topic's.
pub(crate) fn put(partitions: &mut TopicOffsets, partition: i32, bookmark: Bookmark) {
    let place = Walk::default().find(partitions, partition);
    put_at(place, partitions, partition, bookmark);
}

/// Puts a bookmark where [`Walk::find`] has said that it is or belongs.
pub(crate) fn put_at(
    place: Result<usize, usize>,
    partitions: &mut TopicOffsets,
    partition: i32,
    bookmark: Bookmark,
) {
    match place {
        Ok(index) => partitions[index].1 = bookmark,
        Err(index) => partitions.insert(index, (partition, bookmark)),
    }
}

/// Finds a bookmark among a topic's.
pub(crate) fn find(partitions: &[(i32, Bookmark)], partition: i32) -> Option<&Bookmark> {
    let index = Walk::default().find(partitions, partition).ok()?;
    Some(&partitions[index].1)
}

/// Looks up one partition of a topic after the other. Requests mostly name them in ascending order and all of them, so the
/// next one stands behind the last.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Walk {
    next: usize,
}

impl Walk {
    /// The index of the partition's bookmark, or else the index where it belongs.
    pub(crate) fn find(
        &mut self,
        partitions: &[(i32, Bookmark)],
        partition: i32,
    ) -> Result<usize, usize> {
        let place = match partitions.get(self.next) {
            Some((here, _)) if *here == partition => Ok(self.next),
            _ => partitions.binary_search_by_key(&partition, |(p, _)| *p),
        };
        let (Ok(index) | Err(index)) = place;
        self.next = index + 1;
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bookmark_is_small() {
        assert!(size_of::<(i32, Bookmark)>() <= 56);
    }

    #[test]
    fn a_walk_finds_what_a_search_finds_in_whatever_order() {
        let at = |offset| Bookmark::new(offset, -1, 0, Uuid::ZERO, Str::EMPTY, None);
        let partitions: TopicOffsets = [1, 2, 5, 9].map(|p| (p, at(i64::from(p)))).into();
        for order in [
            vec![1, 2, 5, 9],
            vec![9, 5, 2, 1],
            vec![0, 1, 3, 5, 6, 9, 10, 1],
        ] {
            let mut walk = Walk::default();
            for partition in order {
                let searched = partitions.binary_search_by_key(&partition, |(p, _)| *p);
                assert_eq!(walk.find(&partitions, partition), searched, "{partition}");
            }
        }
    }

    #[test]
    fn offsets_are_kept_in_order_and_an_emptied_topic_is_gone() {
        let mut offsets = Offsets::default();
        let at = |offset| Bookmark::new(offset, -1, 0, Uuid::ZERO, Str::EMPTY, None);
        for partition in [3, 1, 2] {
            offsets.put("t", partition, at(i64::from(partition)));
        }
        offsets.put("t", 2, at(20));
        let order: Vec<i64> = offsets
            .partitions("t")
            .iter()
            .map(|(_, b)| b.offset)
            .collect();
        assert_eq!(order, [1, 20, 3]);
        assert_eq!(offsets.len(), 3);
        assert_eq!(offsets.remove("t", 4), None);
        for partition in 1..=3 {
            assert!(offsets.remove("t", partition).is_some());
        }
        assert!(offsets.is_empty());
    }
}
