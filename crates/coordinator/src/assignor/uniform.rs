//! `uniform`: partitions are spread evenly over the members, and as many as possible stay where they were.
//!
//! Where all have the same subscription, members differ by one partition at most. Where subscriptions differ
//! ([`differing`]), no member could take a partition from another so that the two come closer. Kafka's looks at no racks,
//! and neither does this.

mod differing;

use std::collections::BTreeSet;

use catchword_wire::Uuid;

use super::{GroupSpec, Partitions};

pub(super) fn assign(group: &GroupSpec<'_>) -> Vec<Partitions> {
    if group.members.is_empty() {
        Vec::new()
    } else if group.is_homogeneous() {
        homogeneous(group)
    } else {
        differing::assign(group)
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
mod promises;

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
}
