//! What the coordinators know of topics: an image that their driver makes and hands in.
//!
//! Groups whose coordinator assigns partitions (KIP-848 and its kin) need names, ids and partition counts. An image never
//! changes; when topics do, the driver hands in another with a higher version. One machine has one rack, and Kafka's
//! assignors look at none, so there are none here. This file must not know groups.

use std::collections::BTreeMap;

use catchword_wire::{Str, Uuid};

/// A topic as an assignor sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    /// Its name.
    pub name: Str,
    /// Its id: a topic that was deleted and created again is another one.
    pub id: Uuid,
    /// How many partitions it has; they are numbered from 0.
    pub partitions: i32,
}

/// All topics at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataImage {
    version: u64,
    topics: BTreeMap<Str, TopicImage>,
    names: BTreeMap<Uuid, Str>,
}

impl MetadataImage {
    /// An image of these topics. Where they differ from those of an earlier image, `version` must be higher.
    pub fn new(version: u64, topics: impl IntoIterator<Item = TopicImage>) -> MetadataImage {
        let topics: BTreeMap<Str, TopicImage> = topics
            .into_iter()
            .map(|topic| (topic.name.clone(), topic))
            .collect();
        let names = topics.values().map(|t| (t.id, t.name.clone())).collect();
        MetadataImage {
            version,
            topics,
            names,
        }
    }

    /// Tells this image from those before it.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<&TopicImage> {
        self.topics.get(name)
    }

    /// The topic with this id.
    pub fn topic_by_id(&self, id: &Uuid) -> Option<&TopicImage> {
        self.names.get(id).and_then(|name| self.topics.get(name))
    }

    /// The names of all topics, in order.
    pub fn names(&self) -> impl Iterator<Item = &Str> {
        self.topics.keys()
    }

    /// A number that changes when one of these topics does: comes, goes, or gets partitions. 0 if none of them exists.
    /// It is kept in records; Kafka computes another one, which costs a group that moves between the two one rebalance.
    pub(crate) fn hash_of<'a>(&self, sorted_names: impl Iterator<Item = &'a Str>) -> i64 {
        let mut hash = Fnv::default();
        let mut any = false;
        for topic in sorted_names.filter_map(|name| self.topic(name)) {
            any = true;
            hash.write(&topic.id.0);
            hash.write(topic.name.as_bytes());
            hash.write(&topic.partitions.to_be_bytes());
        }
        // Reserved for "nothing".
        if any { hash.0.max(1) as i64 } else { 0 }
    }
}

/// FNV-1a, 64 bits. Persisted in what it makes: must not change.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &'static str, id: u8, partitions: i32) -> TopicImage {
        TopicImage {
            name: name.into(),
            id: Uuid([id; 16]),
            partitions,
        }
    }

    #[test]
    fn the_hash_changes_with_the_topics_it_is_of_and_with_nothing_else() {
        let names: [Str; 2] = ["a".into(), "b".into()];
        let hash = |topics: Vec<TopicImage>| MetadataImage::new(1, topics).hash_of(names.iter());
        let before = hash(vec![topic("a", 1, 3)]);
        assert_eq!(hash(vec![topic("a", 1, 3), topic("c", 9, 1)]), before);
        assert_eq!(hash(vec![]), 0);
        let others = [
            hash(vec![topic("a", 1, 4)]),
            hash(vec![topic("a", 2, 3)]),
            hash(vec![topic("a", 1, 3), topic("b", 3, 1)]),
        ];
        assert!(others.iter().all(|other| *other != before && *other != 0));
    }
}
