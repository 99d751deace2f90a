//! How far the mirror is, as it stands in a node beside what it has written: so that a broker that starts anew knows which
//! nodes are copies of its own bookmarks and which were changed by others.

use std::collections::{BTreeMap, BTreeSet};

use crate::path::Place;

/// See the module. Written as text, so that people can read it: a line `seen ZXID`, then
/// lines `PARTITION OFFSET`, then the nodes of the news, a line each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// What others changed up to this transaction of ZooKeeper's is known: taken over, or among the news. All nodes up to it
    /// that are no news are copies of ours.
    pub seen: i64,
    /// Up to where each partition of `__consumer_offsets` is mirrored: the next offset.
    pub positions: BTreeMap<i32, i64>,
    /// What others wrote that could not be taken over yet: the topic does not exist, the group has members.
    pub news: BTreeSet<Place>,
}

impl Progress {
    /// As it is kept.
    pub fn to_text(&self) -> String {
        let mut text = format!("seen {}\n", self.seen);
        for (partition, offset) in &self.positions {
            text += &format!("{partition} {offset}\n");
        }
        for node in self.news.iter().filter_map(Place::node) {
            text += &format!("{node}\n");
        }
        text
    }

    /// `None` if it is not what [`to_text`](Progress::to_text) writes.
    pub fn from_text(text: &str) -> Option<Progress> {
        let mut lines = text.lines();
        let seen = lines.next()?.strip_prefix("seen ")?.parse().ok()?;
        let mut positions = BTreeMap::new();
        let mut news = BTreeSet::new();
        for line in lines {
            if line.starts_with('/') {
                news.insert(Place::of_node(line)?);
                continue;
            }
            let (partition, offset) = line.split_once(' ')?;
            positions.insert(partition.parse().ok()?, offset.parse().ok()?);
        }
        Some(Progress {
            seen,
            positions,
            news,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_as_it_was_written() {
        let progress = Progress {
            seen: 0x1_0000_0007,
            positions: BTreeMap::from([(0, 12), (49, 7)]),
            news: BTreeSet::from([Place {
                group: "a group".into(),
                topic: "t".into(),
                partition: 3,
            }]),
        };
        let text = "seen 4294967303\n0 12\n49 7\n/consumers/a group/offsets/t/3\n";
        assert_eq!(progress.to_text(), text);
        assert_eq!(Progress::from_text(&progress.to_text()), Some(progress));
        for text in ["", "x", "seen x", "seen 1\n0", "seen 1\n0 x", "seen 1\n/x"] {
            assert_eq!(Progress::from_text(text), None, "{text:?}");
        }
    }
}
