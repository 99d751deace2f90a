//! `uniform`: partitions are spread evenly over the members, and as many as possible stay where they were.
//!
//! Where all have the same subscription, members differ by one partition at most. Where subscriptions differ, each
//! topic's partitions go to the subscribers that have the least, and move while that makes the difference between two
//! subscribers of a topic smaller.

use std::collections::{BTreeMap, BTreeSet};

use catchword_wire::Uuid;

use super::{GroupSpec, Partitions};

pub(super) fn assign(group: &GroupSpec<'_>) -> Vec<Partitions> {
    if group.members.is_empty() {
        Vec::new()
    } else if group.is_homogeneous() {
        homogeneous(group)
    } else {
        heterogeneous(group)
    }
}

/// What a member keeps of what it had: topics that it reads, partitions that exist and that nobody before it kept.
fn kept(group: &GroupSpec<'_>, at: usize, taken: &mut BTreeSet<(Uuid, i32)>) -> Vec<(Uuid, i32)> {
    let member = &group.members[at];
    let mut kept = Vec::new();
    for (topic, partitions) in member.current {
        if !member.topics.contains(topic) {
            continue;
        }
        let exists = |p: &&i32| **p < group.count(topic);
        for partition in partitions.iter().filter(exists) {
            if taken.insert((*topic, *partition)) {
                kept.push((*topic, *partition));
            }
        }
    }
    kept
}

fn homogeneous(group: &GroupSpec<'_>) -> Vec<Partitions> {
    let members = group.members.len();
    let topics = &group.members[0].topics;
    let total: usize = topics
        .iter()
        .map(|topic| usize::try_from(group.count(topic)).unwrap_or(0))
        .sum();
    let (quota, mut extra) = (total / members, total % members);
    let mut taken = BTreeSet::new();
    let mut assigned = Vec::with_capacity(members);
    let mut room = Vec::with_capacity(members);
    for at in 0..members {
        let mut own = kept(group, at, &mut taken);
        // One more than the others is for those who have it already, as long as there are some.
        let mut limit = quota;
        if own.len() > quota && extra > 0 {
            extra -= 1;
            limit += 1;
        }
        for given_up in own.drain(limit.min(own.len())..) {
            taken.remove(&given_up);
        }
        room.push(limit - own.len());
        assigned.push(collect(own));
    }
    for (own, room) in assigned.iter().zip(&mut room) {
        let has_extra = count(own) + *room > quota;
        if extra > 0 && !has_extra {
            extra -= 1;
            *room += 1;
        }
    }
    let mut free = topics.iter().flat_map(|topic| {
        let all = (0..group.count(topic)).map(|p| (*topic, p));
        all.filter(|partition| !taken.contains(partition))
    });
    for (own, room) in assigned.iter_mut().zip(room) {
        for (topic, partition) in free.by_ref().take(room) {
            own.entry(topic).or_default().insert(partition);
        }
    }
    assigned
}

fn heterogeneous(group: &GroupSpec<'_>) -> Vec<Partitions> {
    let mut taken = BTreeSet::new();
    let mut spread = Spread::default();
    for at in 0..group.members.len() {
        let own = kept(group, at, &mut taken);
        spread.loads.push(own.len());
        spread.assigned.push(collect(own));
        for topic in group.members[at].topics.iter() {
            spread.subscribers.entry(*topic).or_default().push(at);
        }
    }
    // Topics that few can read come first: their readers will be loaded when the others are given out.
    let mut topics: Vec<Uuid> = spread.subscribers.keys().copied().collect();
    topics.sort_by_key(|topic| (spread.subscribers[topic].len(), *topic));
    for topic in &topics {
        for partition in 0..group.count(topic) {
            if !taken.contains(&(*topic, partition)) {
                let least = spread.least(topic);
                spread.give(least, *topic, partition);
            }
        }
    }
    // Each move makes the sum of the squares of the loads smaller, so this ends.
    let mut moved = true;
    while moved {
        moved = false;
        for topic in &topics {
            moved |= spread.balance(topic);
        }
    }
    spread.assigned
}

#[derive(Default)]
struct Spread {
    assigned: Vec<Partitions>,
    /// How many partitions each member has.
    loads: Vec<usize>,
    subscribers: BTreeMap<Uuid, Vec<usize>>,
}

impl Spread {
    fn least(&self, topic: &Uuid) -> usize {
        let least = self.subscribers[topic]
            .iter()
            .min_by_key(|at| self.loads[**at]);
        least.copied().unwrap_or(0)
    }

    fn give(&mut self, to: usize, topic: Uuid, partition: i32) {
        self.assigned[to]
            .entry(topic)
            .or_default()
            .insert(partition);
        self.loads[to] += 1;
    }

    /// Moves partitions of a topic from the subscriber with the most to that with the least. Whether any moved.
    fn balance(&mut self, topic: &Uuid) -> bool {
        let mut moved = false;
        loop {
            let least = self.least(topic);
            let subscribers = self.subscribers[topic].iter();
            let owners = subscribers.filter(|at| self.assigned[**at].contains_key(topic));
            let Some(most) = owners.max_by_key(|at| self.loads[**at]).copied() else {
                return moved;
            };
            if self.loads[most] < self.loads[least] + 2 {
                return moved;
            }
            let partitions = self.assigned[most].entry(*topic).or_default();
            let Some(partition) = partitions.pop_last() else {
                return moved;
            };
            if partitions.is_empty() {
                self.assigned[most].remove(topic);
            }
            self.loads[most] -= 1;
            self.give(least, *topic, partition);
            moved = true;
        }
    }
}

fn collect(partitions: Vec<(Uuid, i32)>) -> Partitions {
    let mut collected = Partitions::new();
    for (topic, partition) in partitions {
        collected.entry(topic).or_default().insert(partition);
    }
    collected
}

fn count(partitions: &Partitions) -> usize {
    partitions.values().map(BTreeSet::len).sum()
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::MemberSpec;
    use super::super::tests::{check, id, partitions};
    use super::*;

    fn run(current: &[Partitions], topics: &[&[u8]], counts: &[(u8, i32)]) -> Vec<Partitions> {
        let names: Vec<String> = (0..current.len()).map(|n| format!("m{n}")).collect();
        let mut members = Vec::new();
        for ((name, current), topics) in names.iter().zip(current).zip(topics) {
            members.push(MemberSpec {
                id: name,
                instance_id: None,
                topics: Rc::new(topics.iter().map(|t| id(*t)).collect()),
                current,
            });
        }
        let partitions = counts.iter().map(|(t, n)| (id(*t), *n)).collect();
        let group = GroupSpec {
            members,
            partitions,
        };
        let assigned = assign(&group);
        check(&group, &assigned);
        assigned
    }

    #[test]
    fn a_newcomer_takes_what_is_over_the_quota_and_nobody_else_moves() {
        let before = [
            partitions(&[(1, &[0, 1, 2])]),
            partitions(&[(1, &[3, 4])]),
            Partitions::new(),
        ];
        let after = run(&before, &[&[1], &[1], &[1]], &[(1, 5)]);
        assert_eq!(after[0], partitions(&[(1, &[0, 1])]));
        assert_eq!(after[1], partitions(&[(1, &[3, 4])]));
        assert_eq!(after[2], partitions(&[(1, &[2])]));
    }

    #[test]
    fn who_has_one_more_keeps_it_and_new_partitions_go_to_those_with_fewest() {
        let before = [partitions(&[(1, &[0])]), partitions(&[(1, &[1, 2])])];
        let same = run(&before, &[&[1], &[1]], &[(1, 3)]);
        assert_eq!(same, before);
        let grown = run(&before, &[&[1], &[1]], &[(1, 4)]);
        assert_eq!(grown[0], partitions(&[(1, &[0, 3])]));
    }

    #[test]
    fn the_same_input_twice_moves_nothing() {
        let none = vec![Partitions::new(); 4];
        let topics: [&[u8]; 4] = [&[1, 2], &[2], &[1, 3], &[1, 2, 3]];
        let counts = [(1, 7), (2, 5), (3, 6)];
        let first = run(&none, &topics, &counts);
        assert_eq!(run(&first, &topics, &counts), first);
    }

    #[test]
    fn where_subscriptions_differ_two_readers_of_a_topic_differ_by_one_at_most_as_long_as_a_move_would_help()
     {
        let none = vec![Partitions::new(); 2];
        let after = run(&none, &[&[1], &[1, 2]], &[(1, 4), (2, 2)]);
        assert_eq!(count(&after[0]), 3);
        assert_eq!(count(&after[1]), 3);
    }
}
