//! Who is to have which task: the target assignment of a group epoch.

use std::collections::BTreeMap;

use catchword_wire::Str;

use super::status::{Status, StatusCode};
use super::task::{Role, Task, Tasks, of_lists};
use super::{STANDBYS, StreamsGroup};
use crate::assignor::sticky::{self, Subtopology, TaskMember, TaskSet};
use crate::group::{Env, Scope};

impl StreamsGroup {
    /// Whether the group was empty a moment ago, so that it waits for more members.
    pub(super) fn is_waiting(&self, now_ms: i64) -> bool {
        now_ms < self.assign_from_ms
    }

    /// Makes targets for the present epoch, unless there are, or it is too early. What a member is told of the delay.
    pub(super) fn maybe_assign(&mut self, env: &Env<'_>, scope: &mut Scope<'_>) -> Option<Status> {
        let delayed = |why: &'static str| Some(Status::new(StatusCode::AssignmentDelayed, why));
        if self.is_waiting(scope.now_ms) {
            return delayed("Assignment delayed due to the configured initial rebalance delay.");
        }
        if self.assignment_epoch >= self.epoch {
            return None;
        }
        let interval_ms = i64::from(env.settings.streams.assignment_interval_ms);
        let next_ms = self.assigned_at_ms.saturating_add(interval_ms);
        if !self.targets.is_empty() && interval_ms != 0 && scope.now_ms < next_ms {
            return delayed("Assignment delayed due to the configured assignment interval.");
        }
        for (id, target) in self.make_targets() {
            if self.targets.get(&id) != Some(&target) {
                self.write_target(&id, &target, scope.out);
                self.targets.insert(id, target);
            }
        }
        self.assignment_epoch = self.epoch;
        self.assigned_at_ms = scope.now_ms;
        self.write_target_epoch(scope.out);
        None
    }

    /// Nobody is to have anything while topics are missing.
    fn make_targets(&self) -> Vec<(Str, Tasks)> {
        let ids = self.members.keys().cloned();
        let configured = self.configured.as_ref().filter(|c| c.is_ready());
        let (Some(configured), Some(topology)) = (configured, &self.topology) else {
            return ids.map(|id| (id, Tasks::new())).collect();
        };
        let subtopologies = topology.subtopologies().iter();
        let subtopologies: Vec<Subtopology<'_>> = subtopologies
            .map(|subtopology| Subtopology {
                id: &subtopology.subtopology_id,
                tasks: configured
                    .tasks
                    .get(&subtopology.subtopology_id)
                    .copied()
                    .unwrap_or(0),
                is_stateful: !subtopology.state_changelog_topics.is_empty(),
            })
            .collect();
        let had: Vec<(TaskSet, TaskSet)> = self
            .members
            .keys()
            .map(|id| (self.had(id, Role::Active), self.had(id, Role::Standby)))
            .collect();
        let members: Vec<TaskMember<'_>> = self
            .members
            .values()
            .zip(&had)
            .map(|(member, (active, standby))| TaskMember {
                process_id: &member.said.process_id,
                active,
                standby,
            })
            .collect();
        let shares = sticky::assign(&members, &subtopologies, self.standbys());
        let targets = shares.into_iter().map(|share| {
            let of = |set: &TaskSet, role| -> Vec<Task> {
                let lists = set
                    .iter()
                    .map(|(id, of)| (id, Vec::from_iter(of.iter().copied())));
                let lists: Vec<(&Str, Vec<i32>)> = lists.collect();
                of_lists(lists.iter().map(|(id, of)| (*id, of.as_slice())), role).collect()
            };
            let active = of(&share.active, Role::Active);
            active
                .into_iter()
                .chain(of(&share.standby, Role::Standby))
                .collect()
        });
        ids.zip(targets).collect()
    }

    fn had(&self, member_id: &Str, role: Role) -> TaskSet {
        let mut set = TaskSet::new();
        let target = self.targets.get(member_id).into_iter().flatten();
        for task in target.filter(|task| task.role == role) {
            let of = set.entry(task.subtopology.clone()).or_default();
            of.insert(task.partition);
        }
        set
    }

    /// Whether an epoch that began now would be assigned by the same as the present one.
    pub(super) fn is_assigned_by(&self, env: &Env<'_>) -> bool {
        let said = self.assigned_by.get(STANDBYS);
        said.and_then(|count| count.parse().ok()) == Some(env.settings.streams.num_standby_replicas)
    }

    /// How many copies of a stateful task the present epoch has.
    fn standbys(&self) -> usize {
        let said = self.assigned_by.get(STANDBYS);
        said.and_then(|count| count.parse().ok()).unwrap_or(0)
    }
}

/// What an epoch that begins now is assigned by.
pub(super) fn assigned_by(env: &Env<'_>) -> BTreeMap<Str, Str> {
    let count = env.settings.streams.num_standby_replicas.to_string();
    BTreeMap::from([(STANDBYS.into(), count.into())])
}
