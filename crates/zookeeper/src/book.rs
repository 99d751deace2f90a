//! Two copies of the same bookmarks, ours and ZooKeeper's, and what makes them the same again.
//!
//! Pure: what moved on either side goes in, what has to be done comes out. Whatever has moved several times since it was last
//! asked is one step, the newest place of all.
//!
//! Invariant: a node that is a copy of an earlier bookmark of ours never takes ours back to it, whatever the clocks say: it
//! is overwritten. Only what others wrote is held against our own by the [`Rule`].

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use crate::batch;
use crate::path::Place;

/// Whose word counts where both sides have moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The later one, by the time of the commit and that of the node.
    Newest,
    /// The greater offset, as old Kafka's consumers did it with `dual.commit.enabled`.
    Max,
    /// ZooKeeper's.
    Zookeeper,
    /// Ours: nothing is ever taken over, and what others write is overwritten.
    Kafka,
}

impl Rule {
    /// As `zookeeper.conflict` spells it; what is none of them is the default.
    pub fn named(name: &str) -> Rule {
        match name {
            "max" => Rule::Max,
            "zookeeper" => Rule::Zookeeper,
            "kafka" => Rule::Kafka,
            _ => Rule::Newest,
        }
    }
}

/// A bookmark of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bookmark {
    /// The committed offset.
    pub offset: i64,
    /// When it was committed, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Where its record stands in its partition of `__consumer_offsets`.
    pub record: i64,
}

/// A node as it stands in ZooKeeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// The offset in it; `None` if that is not a number.
    pub offset: Option<i64>,
    /// When it was last written, in milliseconds since the epoch, by ZooKeeper's clock.
    pub at_ms: i64,
    /// How often it was written.
    pub version: i32,
    /// It holds an earlier bookmark of ours.
    pub is_copy: bool,
}

/// What has to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write into ZooKeeper; only if the node is still at this version (`None`: only if there is none).
    Write {
        /// Whose.
        place: Place,
        /// The offset.
        offset: i64,
        /// The node's version, as the book knows it.
        version: Option<i32>,
    },
    /// Take over what others wrote.
    Take {
        /// Whose.
        place: Place,
        /// The offset.
        offset: i64,
        /// When it was written, in milliseconds since the epoch.
        at_ms: i64,
    },
}

/// A [`Step`] without its place.
enum What {
    Write { offset: i64, version: Option<i32> },
    Take { offset: i64, at_ms: i64 },
}

impl What {
    fn at(self, place: Place) -> Step {
        match self {
            What::Write { offset, version } => Step::Write {
                place,
                offset,
                version,
            },
            What::Take { offset, at_ms } => Step::Take {
                place,
                offset,
                at_ms,
            },
        }
    }
}

#[derive(Debug, Default)]
struct Entry {
    ours: Option<Bookmark>,
    node: Option<Node>,
}

/// See the module.
#[derive(Debug)]
pub struct Book {
    rule: Rule,
    entries: HashMap<Place, Entry>,
    /// Where the two sides differ in a way that asks for a step.
    open: BTreeSet<Place>,
    /// Open as well, but tried in vain for now.
    held: BTreeSet<Place>,
    /// Those of the open and the held where others wrote what is to be taken over.
    news: BTreeSet<Place>,
    /// The last place that there was a step for: the next ones are for those behind it, so that each has its turn though those
    /// in front move on and on.
    last: Option<Place>,
    /// Groups that have moved: nothing is done about them.
    cut_over: HashSet<String>,
}

impl Book {
    /// An empty book.
    pub fn new(rule: Rule) -> Book {
        Book {
            rule,
            entries: HashMap::new(),
            open: BTreeSet::new(),
            held: BTreeSet::new(),
            news: BTreeSet::new(),
            last: None,
            cut_over: HashSet::new(),
        }
    }

    /// Our bookmark is there now, or gone. What comes from before a later record is left out (T2: a transaction that ends
    /// late does not take back what was committed meanwhile).
    pub fn moved(&mut self, place: Place, record: i64, bookmark: Option<Bookmark>) {
        let entry = self.entries.entry(place.clone()).or_default();
        if entry.ours.is_some_and(|ours| ours.record > record) {
            return;
        }
        entry.ours = bookmark;
        self.look(place);
    }

    /// The node was read. One that is as it was known is no news.
    pub fn seen(&mut self, place: Place, node: Option<Node>) {
        let entry = self.entries.entry(place.clone()).or_default();
        // One that was deleted and made anew may have the same version.
        let state = |node: Node| (node.version, node.offset);
        if node.is_none() || entry.node.map(state) != node.map(state) {
            entry.node = node;
        }
        self.look(place);
    }

    /// A write of ours was done: the node holds this offset and has this version.
    pub fn wrote(&mut self, place: Place, offset: i64, version: i32) {
        let entry = self.entries.entry(place.clone()).or_default();
        entry.node = Some(Node {
            offset: Some(offset),
            at_ms: 0,
            version,
            is_copy: true,
        });
        self.look(place);
    }

    /// What the node says is where our bookmark is: nothing has to be done until one of them moves.
    pub fn agreed(&mut self, place: Place) {
        if let Some(node) = self.entries.entry(place.clone()).or_default().node.as_mut() {
            node.is_copy = true;
        }
        self.look(place);
    }

    /// A step could not be done; nothing is tried there until [`release`](Book::release).
    pub fn hold(&mut self, place: Place) {
        if self.open.remove(&place) {
            self.held.insert(place);
        }
    }

    /// What was held is tried again.
    pub fn release(&mut self) {
        self.open.append(&mut self.held);
    }

    /// A group has moved, or has come back.
    pub fn cut_over(&mut self, group: &str, is_cut_over: bool) {
        if is_cut_over {
            self.cut_over.insert(group.to_owned());
            let others = |place: &Place| place.group != group;
            self.open.retain(others);
            self.held.retain(others);
            self.news.retain(others);
        } else if self.cut_over.remove(group) {
            let of_group = |place: &&Place| place.group == group;
            let places: Vec<Place> = self.entries.keys().filter(of_group).cloned().collect();
            places.into_iter().for_each(|place| self.look(place));
        }
    }

    /// The next steps, of other places each, as many as go into one transaction there.
    pub fn steps(&mut self) -> Vec<Step> {
        let (behind, front) = match &self.last {
            Some(last) => (
                self.open
                    .range::<Place, _>((Bound::Excluded(last), Bound::Unbounded)),
                Some(self.open.range(..=last)),
            ),
            None => (self.open.range::<Place, _>(..), None),
        };
        let places = behind.chain(front.into_iter().flatten());
        let fitting = batch::fitting(places.clone().map(Place::node_len));
        let steps = places
            .take(fitting)
            .filter_map(|place| Some((place, self.what(place)?.at(place.clone()))));
        let (places, steps): (Vec<&Place>, Vec<Step>) = steps.unzip();
        self.last = places.last().map(|place| (*place).clone());
        steps
    }

    /// Whether a move of ours is still to be written there. What others wrote, if their word counts, is no such debt.
    pub fn owes(&self, place: &Place) -> bool {
        matches!(self.what(place), Some(What::Write { .. }))
    }

    /// How many bookmarks differ.
    pub fn behind(&self) -> usize {
        self.open.len() + self.held.len()
    }

    /// How many of them are [held](Book::hold).
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// What others wrote that is still to be taken over.
    pub fn news(&self) -> &BTreeSet<Place> {
        &self.news
    }

    /// Whether any of our own moves is [held](Book::hold).
    pub fn holds_writes(&self) -> bool {
        self.held.iter().any(|place| self.owes(place))
    }

    fn look(&mut self, place: Place) {
        if let Some(Entry {
            ours: Some(ours),
            node: Some(node),
        }) = self.entries.get_mut(&place)
            && node.offset == Some(ours.offset)
        {
            node.is_copy = true;
        }
        let what = self.what(&place);
        if !matches!(what, Some(What::Take { .. })) {
            self.news.remove(&place);
        } else if !self.news.contains(&place) {
            self.news.insert(place.clone());
        }
        if what.is_none() {
            self.open.remove(&place);
            self.held.remove(&place);
        } else if !self.held.contains(&place) {
            self.open.insert(place);
        }
    }

    fn what(&self, place: &Place) -> Option<What> {
        if self.cut_over.contains(&place.group) {
            return None;
        }
        let Entry { ours, node } = self.entries.get(place)?;
        let write = |offset, version| What::Write { offset, version };
        match (ours, node) {
            (None, None) => None,
            (Some(ours), None) => Some(write(ours.offset, None)),
            (Some(ours), Some(node)) if node.offset == Some(ours.offset) => None,
            (Some(ours), Some(node)) if node.is_copy || self.is_ours(ours, node) => {
                Some(write(ours.offset, Some(node.version)))
            }
            (None, Some(node)) if node.is_copy || self.rule == Rule::Kafka => None,
            (_, Some(node)) => Some(What::Take {
                offset: node.offset?,
                at_ms: node.at_ms,
            }),
        }
    }

    /// Whether our word counts against that of others.
    fn is_ours(&self, ours: &Bookmark, node: &Node) -> bool {
        match self.rule {
            Rule::Newest => ours.at_ms >= node.at_ms,
            Rule::Max => node.offset.is_some_and(|offset| ours.offset >= offset),
            Rule::Zookeeper => false,
            Rule::Kafka => true,
        }
    }
}

#[cfg(test)]
mod tests;
