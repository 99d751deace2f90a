//! Who may read what: Kafka's assignor of the name `simple`.
//!
//! Every partition has a member, every member has a partition of each topic that it reads, loads differ by one at most
//! within a topic, and what a member has it keeps as far as that allows.

use std::collections::{BTreeMap, BTreeSet};

use catchword_wire::{Str, Uuid};

use super::ShareGroup;
use crate::assignor::Partitions;
use crate::group::Scope;
use crate::metadata::{MetadataImage, TopicImage};

impl ShareGroup {
    /// Makes targets for the present epoch, and writes those that changed.
    pub(super) fn assign(&mut self, image: &MetadataImage, scope: &mut Scope<'_>) {
        let targets = self.make_targets(image);
        let before = std::mem::replace(&mut self.targets, targets);
        for (id, target) in &self.targets {
            if before.get(id) != Some(target) {
                self.write_target(id, target, scope.out);
            }
        }
        self.assignment_epoch = self.epoch;
        self.assigned_at_ms = scope.now_ms;
        self.write_target_epoch(scope.out);
    }

    fn make_targets(&self, image: &MetadataImage) -> BTreeMap<Str, Partitions> {
        let mut targets: BTreeMap<Str, Partitions> = self
            .members
            .keys()
            .map(|id| (id.clone(), Partitions::new()))
            .collect();
        let names: BTreeSet<&Str> = self.members.values().flat_map(|m| &m.topics).collect();
        for topic in names.into_iter().filter_map(|name| image.topic(name)) {
            let readers = self.members.iter();
            let readers = readers.filter(|(_, member)| member.topics.contains(&topic.name));
            let readers: Vec<&Str> = readers.map(|(id, _)| id).collect();
            for (id, partition) in self.share_out(topic, &readers) {
                let target = targets.entry(id.clone()).or_default();
                target.entry(topic.id).or_default().insert(partition);
            }
        }
        targets
    }

    /// Shares the partitions of one topic out among its readers, of whom there is one at least.
    fn share_out<'a>(&self, topic: &TopicImage, readers: &[&'a Str]) -> BTreeSet<(&'a Str, i32)> {
        let partitions = usize::try_from(topic.partitions).unwrap_or(0);
        let mut given: BTreeSet<(&Str, i32)> = BTreeSet::new();
        if partitions == 0 {
            return given;
        }
        let per_reader = partitions.div_ceil(readers.len());
        let per_partition = readers.len().div_ceil(partitions);
        let mut of_reader: BTreeMap<&Str, usize> = readers.iter().map(|id| (*id, 0)).collect();
        let mut of_partition = vec![0; partitions];
        // Those that get one more than others are as few as there must be.
        let mut larger_readers = spare(partitions, readers.len());
        let mut larger_partitions = spare(readers.len(), partitions);
        for id in readers {
            for partition in self.had(id, &topic.id) {
                let Some(taken) = usize::try_from(partition)
                    .ok()
                    .and_then(|p| of_partition.get_mut(p))
                else {
                    continue;
                };
                let Some(has) = of_reader.get_mut(id) else {
                    continue;
                };
                let fits = |count: usize, most: usize, larger: usize| {
                    count + 1 < most || (count + 1 == most && larger > 0)
                };
                if fits(*has, per_reader, larger_readers)
                    && fits(*taken, per_partition, larger_partitions)
                {
                    *has += 1;
                    *taken += 1;
                    larger_readers -= usize::from(*has == per_reader);
                    larger_partitions -= usize::from(*taken == per_partition);
                    given.insert((id, partition));
                }
            }
        }
        // Then partitions that have nobody, then readers who have nothing.
        for (partition, taken) in (0..topic.partitions).zip(&mut of_partition) {
            if *taken > 0 {
                continue;
            }
            let Some((id, has)) = of_reader.iter_mut().min_by_key(|(_, has)| **has) else {
                break;
            };
            *has += 1;
            *taken += 1;
            given.insert((id, partition));
        }
        for (id, _) in of_reader.iter().filter(|(_, has)| **has == 0) {
            let least = (0..topic.partitions).zip(&mut of_partition);
            if let Some((partition, taken)) = least.min_by_key(|(_, taken)| **taken) {
                *taken += 1;
                given.insert((id, partition));
            }
        }
        given
    }

    fn had(&self, member_id: &Str, topic: &Uuid) -> Vec<i32> {
        let target = self.targets.get(member_id);
        let partitions = target.and_then(|target| target.get(topic));
        partitions.into_iter().flatten().copied().collect()
    }
}

/// Of `things` that are dealt to `hands`: how many hands have the larger number.
fn spare(things: usize, hands: usize) -> usize {
    match things % hands {
        0 => hands,
        rest => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::share::Member;

    fn group(readers: &[&str]) -> ShareGroup {
        let mut group = ShareGroup::new("g".into());
        for id in readers {
            let member = Member {
                topics: BTreeSet::from(["t".into()]),
                ..Member::default()
            };
            group.members.insert(Str::copy(id), member);
        }
        group
    }

    fn image(partitions: i32) -> MetadataImage {
        let topic = TopicImage {
            name: "t".into(),
            id: Uuid([1; 16]),
            partitions,
        };
        MetadataImage::new(1, [topic])
    }

    fn loads(targets: &BTreeMap<Str, Partitions>) -> Vec<usize> {
        let load = |target: &Partitions| target.values().map(BTreeSet::len).sum();
        targets.values().map(load).collect()
    }

    #[test]
    fn each_partition_has_a_reader_and_each_reader_a_partition_and_loads_are_even() {
        for readers in 1..8 {
            for partitions in 1..8 {
                let names: Vec<String> = (0..readers).map(|n| format!("m{n}")).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let mut group = group(&names[..1]);
                group.targets = group.make_targets(&image(partitions));
                let all = self::group(&names);
                group.members = all.members;
                let targets = group.make_targets(&image(partitions));
                let covered: BTreeSet<i32> = targets
                    .values()
                    .flat_map(|t| t.values().flatten().copied())
                    .collect();
                assert_eq!(covered.len(), partitions as usize, "{readers} {partitions}");
                let loads = loads(&targets);
                let (least, most) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
                assert!(*least >= 1 && most - least <= 1, "{targets:?}");
            }
        }
    }

    #[test]
    fn who_had_a_partition_keeps_it_when_another_comes() {
        let mut group = group(&["b"]);
        group.targets = group.make_targets(&image(4));
        let before = group.targets[&Str::copy("b")].clone();
        group.members = self::group(&["a", "b"]).members;
        let after = group.make_targets(&image(4))[&Str::copy("b")].clone();
        let kept = &after[&Uuid([1; 16])];
        assert_eq!(kept.len(), 2);
        assert!(kept.is_subset(&before[&Uuid([1; 16])]));
    }
}
