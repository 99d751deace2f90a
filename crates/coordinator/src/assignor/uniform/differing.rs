//! `uniform` where members read different topics.
//!
//! Partitions stay where they were, what nobody has goes to the reader of its topic that has the least, and then two
//! things are done until neither can be done any more: a partition moves to a reader that has at least two less, and a
//! partition that has moved goes back to who had it where that leaves the group no less balanced. The first makes the
//! sum of the squares of the loads smaller; the second makes that no larger and moves fewer: so it ends.
//!
//! Kafka gives up the first after 16 rounds and does not do the second.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use catchword_wire::Uuid;

use super::super::{GroupSpec, Partitions};

pub(super) fn assign(group: &GroupSpec<'_>) -> Vec<Partitions> {
    let mut spread = Spread::of(group);
    spread.give_out();
    loop {
        while spread.balance() {}
        if !spread.give_back() {
            return spread.into_partitions(group.members.len());
        }
    }
}

/// Where a partition is: its topic's place in [`Spread::topics`], and its number.
type Place = (usize, usize);

/// Members are numbered as the group has them.
struct Spread {
    /// How many partitions each member has.
    loads: Vec<usize>,
    /// Those with the most partitions for each reader first: the others even out what these leave uneven.
    topics: Vec<Topic>,
}

struct Topic {
    id: Uuid,
    readers: Vec<usize>,
    /// Who had each partition before and still reads it.
    before: Vec<Option<usize>>,
    /// Who has each partition now; without entries until it was given out.
    owners: Vec<usize>,
}

impl Spread {
    /// The members and topics of a group, and who had what.
    fn of(group: &GroupSpec<'_>) -> Spread {
        let mut readers: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
        for (at, member) in group.members.iter().enumerate() {
            for topic in member.topics.iter() {
                readers.entry(*topic).or_default().push(at);
            }
        }
        let mut loads = vec![0; group.members.len()];
        let topics = readers.into_iter().map(|(id, readers)| {
            let count = usize::try_from(group.count(&id)).unwrap_or(0);
            let mut before = vec![None; count];
            for at in &readers {
                for partition in group.members[*at].current.get(&id).into_iter().flatten() {
                    let slot = usize::try_from(*partition).ok();
                    // Else another has it already, or there is no such partition.
                    if let Some(owner @ None) = slot.and_then(|slot| before.get_mut(slot)) {
                        *owner = Some(*at);
                        loads[*at] += 1;
                    }
                }
            }
            Topic {
                id,
                readers,
                before,
                owners: Vec::new(),
            }
        });
        let mut topics: Vec<Topic> = topics.collect();
        // Compares partitions per reader without dividing.
        topics.sort_by(|a, b| {
            let (more, less) = (
                a.before.len() * b.readers.len(),
                b.before.len() * a.readers.len(),
            );
            let by_readers = a.readers.len().cmp(&b.readers.len());
            less.cmp(&more).then(by_readers).then(a.id.cmp(&b.id))
        });
        Spread { loads, topics }
    }

    /// Gives what nobody has to the reader with the least.
    fn give_out(&mut self) {
        for topic in &mut self.topics {
            let loads = &mut self.loads;
            let by_load = topic.readers.iter().map(|at| Reverse((loads[*at], *at)));
            let mut least: BinaryHeap<_> = by_load.collect();
            let owners = topic.before.iter().map(|before| {
                before.unwrap_or_else(|| {
                    let Some(Reverse((load, at))) = least.pop() else {
                        unreachable!("a topic is here because somebody reads it");
                    };
                    loads[at] += 1;
                    least.push(Reverse((load + 1, at)));
                    at
                })
            });
            topic.owners = owners.collect();
        }
    }

    /// Balances each topic for itself. Whether anything moved: then another may be out of balance.
    fn balance(&mut self) -> bool {
        let mut moved = false;
        for topic in &mut self.topics {
            moved |= topic.balance(&mut self.loads);
        }
        moved
    }

    /// Gives partitions that have moved back to who had them, where the group stays as balanced as it is. Whether any.
    fn give_back(&mut self) -> bool {
        let mut given = false;
        // What each member has got from each other.
        let mut moved: BTreeMap<(usize, usize), Vec<Place>> = BTreeMap::new();
        for at in 0..self.topics.len() {
            for partition in 0..self.topics[at].owners.len() {
                let place = (at, partition);
                let (Some(from), to) = (self.topics[at].before[partition], self.owner(place))
                else {
                    continue;
                };
                if from == to {
                    continue;
                }
                if self.loads[to] > self.loads[from] {
                    self.give(place, from);
                } else if let Some(other) = moved.get_mut(&(to, from)).and_then(Vec::pop) {
                    self.give(place, from);
                    self.give(other, to);
                } else {
                    moved.entry((from, to)).or_default().push(place);
                    continue;
                }
                given = true;
            }
        }
        given
    }

    fn owner(&self, (topic, partition): Place) -> usize {
        self.topics[topic].owners[partition]
    }

    fn give(&mut self, (topic, partition): Place, to: usize) {
        let owner = &mut self.topics[topic].owners[partition];
        self.loads[std::mem::replace(owner, to)] -= 1;
        self.loads[to] += 1;
    }

    fn into_partitions(self, members: usize) -> Vec<Partitions> {
        let mut assigned = vec![Partitions::new(); members];
        for topic in self.topics {
            for (partition, owner) in (0..).zip(topic.owners) {
                let own = assigned[owner].entry(topic.id).or_default();
                own.insert(partition);
            }
        }
        assigned
    }
}

impl Topic {
    /// Moves partitions from the owner with the most to the reader with the least, until they differ by one at most.
    /// Whether any moved.
    fn balance(&mut self, loads: &mut [usize]) -> bool {
        let least = self.readers.iter().map(|at| loads[*at]).min();
        let most = self.owners.iter().map(|at| loads[*at]).max();
        if most < least.map(|least| least + 2) {
            return false;
        }
        // Each owner's partitions; what it has not had before is given up first.
        let mut owned: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for was_here in [true, false] {
            for (partition, owner) in self.owners.iter().enumerate() {
                if (self.before[partition] == Some(*owner)) == was_here {
                    owned.entry(*owner).or_default().push(partition);
                }
            }
        }
        let with_load = |at: &usize| (loads[*at], *at);
        let mut readers: BTreeSet<(usize, usize)> = self.readers.iter().map(with_load).collect();
        let mut owners: BTreeSet<(usize, usize)> = owned.keys().map(with_load).collect();
        let mut moved = false;
        while let (Some(low), Some(high)) = (readers.first().copied(), owners.last().copied())
            && high.0 >= low.0 + 2
        {
            owners.remove(&high);
            let Some(partition) = owned.get_mut(&high.1).and_then(Vec::pop) else {
                continue;
            };
            self.owners[partition] = low.1;
            for ((load, at), now) in [(low, low.0 + 1), (high, high.0 - 1)] {
                loads[at] = now;
                readers.remove(&(load, at));
                readers.insert((now, at));
            }
            // Who was given one has less than the others had, and so need not give it up again.
            owners.insert((high.0 - 1, high.1));
            if owners.remove(&low) {
                owners.insert((low.0 + 1, low.1));
            }
            moved = true;
        }
        moved
    }
}
