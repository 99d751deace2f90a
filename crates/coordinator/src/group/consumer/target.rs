//! Who is to have what: the target assignment of a group epoch.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use catchword_wire::{Str, Uuid};

use super::load::target_value;
use super::{ConsumerGroup, Env};
use crate::assignor::{self, GroupSpec, MemberSpec, Partitions};
use crate::group::Scope;
use crate::metadata::MetadataImage;

impl ConsumerGroup {
    /// Makes targets for the present epoch, unless there are, or the last were made a moment ago: where many members
    /// come at once they are shared out once for all.
    pub(super) fn maybe_assign(&mut self, env: &Env<'_>, scope: &mut Scope<'_>) {
        if self.assignment_epoch >= self.epoch {
            return;
        }
        let interval_ms = i64::from(env.settings.assignment_interval_ms);
        let is_first = self.targets.is_empty();
        if !is_first
            && interval_ms != 0
            && scope.now_ms < self.assigned_at_ms.saturating_add(interval_ms)
        {
            return;
        }
        let next = self.assign(
            env.image,
            &self.preferred_assignor(&scope.config.consumer.assignors),
        );
        for (member_id, target) in next {
            if self.targets.get(&member_id) != Some(&target) {
                self.writer(scope.out)
                    .target(&member_id, Some(&target_value(&target)));
                self.targets.insert(member_id, target);
            }
        }
        self.assignment_epoch = self.epoch;
        self.assigned_at_ms = scope.now_ms;
        self.write_target_epoch(scope.out);
    }

    /// The assignor that most members ask for; of equals the first by name, which Kafka leaves to chance.
    pub(super) fn preferred_assignor(&self, offered: &[Str]) -> Str {
        let mut votes: BTreeMap<&Str, usize> = BTreeMap::new();
        for name in self
            .members
            .values()
            .filter_map(|m| m.said.assignor.as_ref())
        {
            *votes.entry(name).or_default() += 1;
        }
        let most = votes.values().copied().max();
        let won = votes.into_iter().find(|(_, count)| Some(*count) == most);
        match won {
            Some((name, _)) => name.clone(),
            None => offered.first().cloned().unwrap_or_default(),
        }
    }

    fn assign(&self, image: &MetadataImage, assignor: &str) -> Vec<(Str, Partitions)> {
        let none = Partitions::new();
        let mut partitions = BTreeMap::new();
        // Most members of a group read the same: their subscription is worked out once.
        let mut known: BTreeMap<(&BTreeSet<Str>, &Str), Rc<BTreeSet<Uuid>>> = BTreeMap::new();
        let mut members = Vec::with_capacity(self.members.len());
        for member in self.members.values() {
            let said = &member.said;
            let topics = known.entry((&said.topics, &said.regex)).or_insert_with(|| {
                let by_regex = self.regexes.get(&said.regex).map(|r| &r.topics);
                let names = said.topics.iter().chain(by_regex.into_iter().flatten());
                let mut topics = BTreeSet::new();
                for topic in names.filter_map(|name| image.topic(name)) {
                    partitions.insert(topic.id, topic.partitions);
                    topics.insert(topic.id);
                }
                Rc::new(topics)
            });
            members.push(MemberSpec {
                id: &member.id,
                instance_id: said.instance_id.as_deref(),
                topics: topics.clone(),
                current: self.targets.get(&member.id).unwrap_or(&none),
            });
        }
        let group = GroupSpec {
            members,
            partitions,
        };
        let assigned = assignor::assign(assignor, &group);
        self.members.keys().cloned().zip(assigned).collect()
    }
}
