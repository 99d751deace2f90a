//! What `uniform` promises, held against the lives of many groups.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use catchword_wire::Uuid;

use super::super::tests::{check, dice, id};
use super::super::{GroupSpec, MemberSpec, Partitions};
use super::{assign, count};

/// A member and what it is to have.
#[derive(Debug, Clone)]
struct Member {
    topics: BTreeSet<Uuid>,
    has: Partitions,
}

/// A group through its life. Members are known by number.
#[derive(Debug, Clone, Default)]
struct Group {
    members: BTreeMap<u32, Member>,
    counts: BTreeMap<Uuid, i32>,
}

impl Group {
    fn join(&mut self, member: u32, topics: impl IntoIterator<Item = Uuid>) {
        let topics = topics.into_iter().collect();
        let has = Partitions::new();
        self.members.insert(member, Member { topics, has });
    }

    /// Shares out anew, and holds every promise that can be held against any group.
    fn assign(&mut self) {
        let names: Vec<String> = self.members.keys().map(|n| format!("{n:08}")).collect();
        let members = names.iter().zip(self.members.values());
        let group = GroupSpec {
            members: members
                .map(|(id, member)| MemberSpec {
                    id,
                    instance_id: None,
                    topics: Rc::new(member.topics.clone()),
                    current: &member.has,
                })
                .collect(),
            partitions: self.counts.clone(),
        };
        let assigned = assign(&group);
        check(&group, &assigned);
        let before = self.clone();
        for (member, has) in self.members.values_mut().zip(assigned) {
            member.has = has;
        }
        self.check_balance();
        self.check_moves(&before);
    }

    fn load(&self, member: u32) -> usize {
        count(&self.members[&member].has)
    }

    /// No member could take a partition from another so that the two come closer.
    fn check_balance(&self) {
        for (owner, member) in &self.members {
            for topic in member.has.keys() {
                let readers = self
                    .members
                    .iter()
                    .filter(|(_, m)| m.topics.contains(topic));
                for (reader, _) in readers {
                    let (has, more) = (self.load(*reader), self.load(*owner));
                    assert!(more < has + 2, "{reader} has {has}, {owner} has {more}");
                }
            }
        }
    }

    /// Who has each partition.
    fn owners(&self) -> BTreeMap<(Uuid, i32), u32> {
        let mut owners = BTreeMap::new();
        for (number, member) in &self.members {
            for (topic, partitions) in &member.has {
                owners.extend(partitions.iter().map(|p| ((*topic, *p), *number)));
            }
        }
        owners
    }

    /// What moved since, though who had it is still here and reads it: from whom and to whom.
    fn moved_since(&self, before: &Group) -> Vec<(u32, u32)> {
        let had = before.owners();
        let now = self.owners().into_iter();
        let moved = now.filter_map(|(place, owner)| Some((*had.get(&place)?, owner, place.0)));
        moved
            .filter(|(from, to, topic)| {
                let still = self.members.get(from);
                from != to && still.is_some_and(|member| member.topics.contains(topic))
            })
            .map(|(from, to, _)| (from, to))
            .collect()
    }

    /// No move could be taken back without leaving the group worse balanced.
    fn check_moves(&self, before: &Group) {
        let moved: BTreeSet<(u32, u32)> = self.moved_since(before).into_iter().collect();
        for (from, to) in &moved {
            let (left, got) = (self.load(*from), self.load(*to));
            assert!(got <= left, "{from} gave to {to} and has {left}, it {got}");
            assert!(!moved.contains(&(*to, *from)), "{from} and {to} exchanged");
        }
    }
}

#[test]
fn through_any_life_a_group_is_balanced_and_no_move_is_in_vain() {
    for seed in 0..30 {
        let mut dice = dice(seed);
        let topics = 1 + dice(8) as u8;
        let mut group = Group::default();
        for topic in 0..topics {
            group.counts.insert(id(topic), 1 + dice(30) as i32);
        }
        for step in 0..25 {
            let some = |dice: &mut dyn FnMut(u32) -> u32| {
                let topics: Vec<Uuid> = (0..topics).filter(|_| dice(2) > 0).map(id).collect();
                topics
            };
            let known: Vec<u32> = group.members.keys().copied().collect();
            match dice(6) {
                0 if known.len() > 1 => {
                    group
                        .members
                        .remove(&known[dice(known.len() as u32) as usize]);
                }
                1 if !known.is_empty() => {
                    let member = known[dice(known.len() as u32) as usize];
                    let topics = some(&mut dice).into_iter().collect();
                    group.members.get_mut(&member).unwrap().topics = topics;
                }
                2 => {
                    *group
                        .counts
                        .get_mut(&id(dice(topics.into()) as u8))
                        .unwrap() += 5
                }
                // Numbers that are not in the order in which they came.
                _ => group.join(dice(1000) * 100 + step, some(&mut dice)),
            }
            group.assign();
            let same = group.clone();
            group.assign();
            assert_eq!(
                group.owners(),
                same.owners(),
                "seed {seed}: nothing had changed"
            );
        }
    }
}

/// Two teams in one group, that have no topic in common, and each of which reads the same.
fn two_teams(dice: &mut dyn FnMut(u32) -> u32) -> Group {
    let mut group = Group {
        counts: (0..4).map(|t| (id(t), 1 + dice(40) as i32)).collect(),
        ..Group::default()
    };
    for member in 0..2 + dice(6) {
        group.join(2 * member, [id(0), id(1)]);
    }
    for member in 0..2 + dice(6) {
        group.join(2 * member + 1, [id(2), id(3)]);
    }
    group.assign();
    group
}

#[test]
fn a_newcomer_is_given_its_share_and_nothing_else_moves() {
    for seed in 0..100 {
        let mut dice = dice(seed);
        let before = two_teams(&mut dice);
        let mut after = before.clone();
        let new = 2 * dice(50) + 100;
        after.join(new, [id(0), id(1)]);
        after.assign();
        let team = after.members.keys().filter(|n| **n % 2 == 0).count();
        let all = (before.counts[&id(0)] + before.counts[&id(1)]) as usize;
        assert_eq!(after.load(new), all / team, "its share, and no more");
        let moved = after.moved_since(&before);
        assert_eq!(moved.len(), after.load(new), "seed {seed}");
        assert!(moved.iter().all(|(_, to)| *to == new), "seed {seed}");
    }
}

#[test]
fn when_a_member_leaves_the_others_keep_what_they_have() {
    for seed in 0..100 {
        let mut dice = dice(seed);
        let before = two_teams(&mut dice);
        let mut after = before.clone();
        let known: Vec<u32> = after.members.keys().copied().collect();
        after
            .members
            .remove(&known[dice(known.len() as u32) as usize]);
        after.assign();
        assert_eq!(after.moved_since(&before), [], "seed {seed}");
    }
}

#[test]
fn who_reads_what_only_it_reads_gets_less_of_what_others_read_too() {
    let mut group = Group {
        counts: BTreeMap::from([(id(1), 4), (id(2), 2)]),
        ..Group::default()
    };
    group.join(1, [id(1)]);
    group.join(2, [id(1), id(2)]);
    group.assign();
    assert_eq!((group.load(1), group.load(2)), (3, 3));
}
