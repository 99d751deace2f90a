//! Who of a group reads which partition: Kafka's two server-side assignors, `uniform` and `range`.
//!
//! Pure: subscriptions and what everyone was to have before go in, what everyone is to have comes out. Members come
//! sorted by id, so the same input gives the same output. No file here knows of epochs or records.

mod range;
pub(crate) mod sticky;
mod uniform;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use catchword_wire::Uuid;

/// Partitions by topic. A topic without partitions is not in it.
pub(crate) type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;

/// The names of the assignors, the default first.
pub(crate) const NAMES: [&str; 2] = ["uniform", "range"];

/// A member as an assignor sees it.
#[derive(Debug, Clone)]
pub(crate) struct MemberSpec<'a> {
    pub(crate) id: &'a str,
    pub(crate) instance_id: Option<&'a str>,
    /// The topics that it is subscribed to and that exist. Members with the same subscription may share it.
    pub(crate) topics: Rc<BTreeSet<Uuid>>,
    /// What it was to have so far.
    pub(crate) current: &'a Partitions,
}

/// A group as an assignor sees it.
#[derive(Debug)]
pub(crate) struct GroupSpec<'a> {
    /// In the order of their ids.
    pub(crate) members: Vec<MemberSpec<'a>>,
    /// How many partitions each topic has to which anybody is subscribed.
    pub(crate) partitions: BTreeMap<Uuid, i32>,
}

impl GroupSpec<'_> {
    /// Whether all are subscribed to the same topics.
    fn is_homogeneous(&self) -> bool {
        let mut pairs = self.members.windows(2);
        pairs.all(|pair| {
            Rc::ptr_eq(&pair[0].topics, &pair[1].topics) || pair[0].topics == pair[1].topics
        })
    }

    fn count(&self, topic: &Uuid) -> i32 {
        self.partitions.get(topic).copied().unwrap_or(0)
    }
}

/// Gives each member its partitions, in the order of the members. An unknown name is taken for the default.
pub(crate) fn assign(assignor: &str, group: &GroupSpec<'_>) -> Vec<Partitions> {
    match assignor {
        "range" => range::assign(group),
        _ => uniform::assign(group),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn id(n: u8) -> Uuid {
        Uuid([n; 16])
    }

    pub(crate) fn partitions(of: &[(u8, &[i32])]) -> Partitions {
        let topic = |(n, p): &(u8, &[i32])| (id(*n), p.iter().copied().collect());
        of.iter().map(topic).collect()
    }

    /// Every partition of a topic that somebody reads has exactly one owner, who is subscribed to it.
    pub(crate) fn check(group: &GroupSpec<'_>, assigned: &[Partitions]) {
        let mut owned = BTreeSet::new();
        for (member, own) in group.members.iter().zip(assigned) {
            for (topic, partitions) in own {
                assert!(member.topics.contains(topic), "not subscribed");
                assert!(!partitions.is_empty());
                for partition in partitions {
                    assert!(owned.insert((*topic, *partition)), "two owners");
                }
            }
        }
        let mut wanted = BTreeSet::new();
        for topic in group.members.iter().flat_map(|m| m.topics.iter()) {
            wanted.extend((0..group.count(topic)).map(|p| (*topic, p)));
        }
        assert_eq!(owned, wanted);
    }

    /// Throws dice: the same throws for the same seed.
    pub(crate) fn dice(mut seed: u32) -> impl FnMut(u32) -> u32 {
        move |sides| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % sides
        }
    }

    #[test]
    fn both_assignors_give_each_partition_to_one_subscriber_whatever_the_subscriptions() {
        let mut dice = dice(7);
        for _ in 0..300 {
            let topics = 1 + dice(4) as u8;
            let counts: BTreeMap<Uuid, i32> =
                (0..topics).map(|t| (id(t), 1 + dice(9) as i32)).collect();
            let names: Vec<String> = (0..1 + dice(6)).map(|n| format!("m{n}")).collect();
            for assignor in NAMES {
                let mut current = vec![Partitions::new(); names.len()];
                for _round in 0..3 {
                    let mut members = Vec::new();
                    for (name, current) in names.iter().zip(&current) {
                        let topics = (0..topics).filter(|_| dice(3) > 0).map(id).collect();
                        members.push(MemberSpec {
                            id: name,
                            instance_id: None,
                            topics: Rc::new(topics),
                            current,
                        });
                    }
                    let group = GroupSpec {
                        members,
                        partitions: counts.clone(),
                    };
                    let assigned = assign(assignor, &group);
                    check(&group, &assigned);
                    current = assigned;
                }
            }
        }
    }
}
