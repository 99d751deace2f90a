//! How far the mirror is, as it stands in a node beside what it has written: so that a broker that starts anew knows which
//! nodes are copies of its own bookmarks and which were changed by others.

use std::collections::{BTreeMap, BTreeSet};

use crate::path::Place;

/// Which groups are mirrored: patterns of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// These.
    pub include: Vec<String>,
    /// But not those.
    pub exclude: Vec<String>,
}

/// All.
impl Default for Groups {
    fn default() -> Groups {
        Groups {
            include: vec!["*".into()],
            exclude: Vec::new(),
        }
    }
}

/// See the module. Written as text, so that people can read it: a line `seen ZXID`, lines `include PATTERN` and
/// `exclude PATTERN`, lines `PARTITION OFFSET`, then the nodes of the news, a line each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// What others changed up to this transaction of ZooKeeper's is known: taken over, or among the news. All nodes up to it
    /// that are no news are copies of ours.
    pub seen: i64,
    /// Of which groups all this holds.
    pub groups: Groups,
    /// Up to where each partition of `__consumer_offsets` is mirrored: the next offset.
    pub positions: BTreeMap<i32, i64>,
    /// What others wrote that could not be taken over yet: the topic does not exist, the group has members.
    pub news: BTreeSet<Place>,
}

impl Progress {
    /// As it is kept.
    pub fn to_text(&self) -> String {
        let mut text = format!("seen {}\n", self.seen);
        // That all are mirrored needs no word.
        if self.groups != Groups::default() {
            for pattern in &self.groups.include {
                text += &format!("include {pattern}\n");
            }
            for pattern in &self.groups.exclude {
                text += &format!("exclude {pattern}\n");
            }
        }
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
        let (mut include, mut exclude) = (Vec::new(), Vec::new());
        for line in lines {
            if line.starts_with('/') {
                news.insert(Place::of_node(line)?);
                continue;
            }
            match line.split_once(' ')? {
                ("include", pattern) => include.push(pattern.to_owned()),
                ("exclude", pattern) => exclude.push(pattern.to_owned()),
                (partition, offset) => {
                    positions.insert(partition.parse().ok()?, offset.parse().ok()?);
                }
            }
        }
        let groups = match include.is_empty() && exclude.is_empty() {
            true => Groups::default(),
            false => Groups { include, exclude },
        };
        Some(Progress {
            seen,
            groups,
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
        let place = Place {
            group: "a group".into(),
            topic: "t".into(),
            partition: 3,
        };
        let mut progress = Progress {
            seen: 0x1_0000_0007,
            groups: Groups::default(),
            positions: BTreeMap::from([(0, 12), (49, 7)]),
            news: BTreeSet::from([place]),
        };
        let text = "seen 4294967303\n0 12\n49 7\n/consumers/a group/offsets/t/3\n";
        assert_eq!(progress.to_text(), text);
        assert_eq!(Progress::from_text(text), Some(progress.clone()));
        progress.groups = Groups {
            include: vec!["billing-*".into(), "a group".into()],
            exclude: vec!["*-test".into()],
        };
        let text = "seen 4294967303\ninclude billing-*\ninclude a group\nexclude *-test\n0 12\n49 7\n/consumers/a group/offsets/t/3\n";
        assert_eq!(progress.to_text(), text);
        assert_eq!(Progress::from_text(text), Some(progress));
        for text in ["", "x", "seen x", "seen 1\n0", "seen 1\n0 x", "seen 1\n/x"] {
            assert_eq!(Progress::from_text(text), None, "{text:?}");
        }
    }
}
