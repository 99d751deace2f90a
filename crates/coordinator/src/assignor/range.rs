//! `range`: each topic's partitions are cut into ranges of neighbours, one for each subscriber.
//!
//! The members' order is the same for every topic, static members first by their names, so that partitions of the same
//! number go to the same member where topics have the same count and subscribers, and a static member that comes back
//! under another id gets its range again.

use std::collections::BTreeMap;

use catchword_wire::Uuid;

use super::{GroupSpec, MemberSpec, Partitions};

pub(super) fn assign(group: &GroupSpec<'_>) -> Vec<Partitions> {
    let mut order: Vec<usize> = (0..group.members.len()).collect();
    order.sort_by_key(|at| sort_key(&group.members[*at]));
    let mut cuts: BTreeMap<Uuid, Cut> = BTreeMap::new();
    for topic in group.members.iter().flat_map(|member| member.topics.iter()) {
        cuts.entry(*topic).or_default().members += 1;
    }
    for (topic, cut) in &mut cuts {
        let count = group.count(topic);
        cut.quota = count / cut.members;
        cut.extra = count % cut.members;
    }
    let mut assigned = vec![Partitions::new(); group.members.len()];
    for at in order {
        for topic in group.members[at].topics.iter() {
            let range = cuts.get_mut(topic).map(Cut::take).unwrap_or(0..0);
            if !range.is_empty() {
                assigned[at].insert(*topic, range.collect());
            }
        }
    }
    assigned
}

fn sort_key<'a>(member: &MemberSpec<'a>) -> (bool, &'a str) {
    match member.instance_id {
        Some(name) => (false, name),
        None => (true, member.id),
    }
}

/// How a topic is cut.
#[derive(Default)]
struct Cut {
    members: i32,
    quota: i32,
    /// So many members get one more.
    extra: i32,
    next: i32,
}

impl Cut {
    fn take(&mut self) -> std::ops::Range<i32> {
        let start = self.next;
        self.next += self.quota;
        if self.extra > 0 {
            self.extra -= 1;
            self.next += 1;
        }
        start..self.next
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::tests::{id, partitions};
    use super::*;

    fn member<'a>(
        id_: &'a str,
        instance_id: Option<&'a str>,
        topics: &[u8],
        none: &'a Partitions,
    ) -> MemberSpec<'a> {
        MemberSpec {
            id: id_,
            instance_id,
            topics: Rc::new(topics.iter().map(|t| id(*t)).collect()),
            current: none,
        }
    }

    #[test]
    fn neighbours_go_to_one_member_and_the_first_get_one_more() {
        let none = Partitions::new();
        let group = GroupSpec {
            members: vec![
                member("a", None, &[1, 2], &none),
                member("b", None, &[1], &none),
                member("c", None, &[1, 2], &none),
            ],
            partitions: BTreeMap::from([(id(1), 7), (id(2), 3)]),
        };
        assert_eq!(
            assign(&group),
            [
                partitions(&[(1, &[0, 1, 2]), (2, &[0, 1])]),
                partitions(&[(1, &[3, 4])]),
                partitions(&[(1, &[5, 6]), (2, &[2])]),
            ]
        );
    }

    #[test]
    fn a_static_member_gets_its_range_whatever_its_id_is_now() {
        let none = Partitions::new();
        let of = |first: &str, second: &str| {
            let group = GroupSpec {
                members: vec![
                    member(first, Some("x"), &[1], &none),
                    member(second, Some("y"), &[1], &none),
                ],
                partitions: BTreeMap::from([(id(1), 2)]),
            };
            assign(&group)
        };
        assert_eq!(of("1", "2"), of("9", "2"));
    }
}
