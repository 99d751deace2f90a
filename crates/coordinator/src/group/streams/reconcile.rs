//! How a member comes from the tasks that it has to those that it is to have: first it gives up, then it is given.

use catchword_wire::Str;

use super::StreamsGroup;
use super::member::{Current, MemberState};
use super::task::{Held, Role, Task, Tasks};
use crate::group::Scope;
use crate::timer::{TimerKey, TimerKind};

/// What decides a member's next step.
struct Step<'a, T> {
    target_epoch: i32,
    target: &'a Tasks,
    /// Whether a task is still where the member could not have it beside.
    is_taken: T,
    /// The tasks that the member says it has; `None` if it does not say.
    owned: Option<&'a Tasks>,
}

impl<T: Fn(&Task) -> bool> Step<'_, T> {
    /// What the member has afterwards; `None` if nothing changes.
    fn take(&self, current: &Current) -> Option<Current> {
        let next = match current.state {
            MemberState::Stable if current.epoch == self.target_epoch => return None,
            MemberState::Unrevoked if self.still_has(&current.revoking) => return None,
            // It gave up all that kept it in its epoch.
            MemberState::Unrevoked => self.advance(current, current.epoch.saturating_add(1)),
            _ => self.advance(current, current.epoch),
        };
        (next != *current).then_some(next)
    }

    /// Who does not say what it has may have anything still.
    fn still_has(&self, tasks: &Held) -> bool {
        let owned = self.owned;
        owned.is_none_or(|owned| tasks.keys().any(|task| owned.contains(task)))
    }

    fn advance(&self, current: &Current, epoch: i32) -> Current {
        let tasks = current.assigned.clone().into_iter();
        let (mut assigned, revoking): (Held, Held) =
            tasks.partition(|(task, _)| self.target.contains(task));
        if !revoking.is_empty() && self.still_has(&revoking) {
            return Current {
                epoch,
                previous_epoch: current.epoch,
                state: MemberState::Unrevoked,
                assigned,
                revoking,
            };
        }
        let mut waits = false;
        for task in self.target {
            if assigned.contains_key(task) {
                continue;
            }
            if (self.is_taken)(task) {
                waits = true;
                continue;
            }
            let at_epoch = match task.role {
                Role::Active => self.target_epoch,
                Role::Standby | Role::Warmup => 0,
            };
            assigned.insert(task.clone(), at_epoch);
        }
        Current {
            epoch: self.target_epoch,
            previous_epoch: current.epoch,
            state: match waits {
                true => MemberState::Unreleased,
                false => MemberState::Stable,
            },
            assigned,
            revoking: Held::new(),
        }
    }
}

impl StreamsGroup {
    /// Leads a member a step towards its target. Whether its assigned tasks changed.
    pub(super) fn reconcile(
        &mut self,
        member_id: &Str,
        owned: Option<&Tasks>,
        scope: &mut Scope<'_>,
    ) -> bool {
        let Some(member) = self.members.get(member_id) else {
            return false;
        };
        if member.is_reconciled_to(self.assignment_epoch) {
            return false;
        }
        let none = Tasks::new();
        let is_waiting = self.is_waiting(scope.now_ms);
        let target = self.targets.get(member_id).filter(|_| !is_waiting);
        let step = Step {
            target_epoch: self.assignment_epoch,
            target: target.unwrap_or(&none),
            is_taken: |task: &Task| self.is_taken(task, member_id),
            owned,
        };
        let Some(next) = step.take(&member.current) else {
            return false;
        };
        let changed = next.assigned != member.current.assigned;
        self.set_current(member_id, next, scope.out);
        self.watch_revocation(member_id, scope);
        changed
    }

    /// Whether somebody else has the task so that the member cannot: an active task is one member's, and a process has a
    /// task once, in whichever role.
    fn is_taken(&self, task: &Task, member_id: &Str) -> bool {
        let place = (task.subtopology.clone(), task.partition);
        let process = |id: &Str| self.members.get(id).map(|member| &member.said.process_id);
        let mut holders = self.holders.get(&place).into_iter().flatten();
        holders.any(|(holder, role)| {
            let both_active = task.role == Role::Active && *role == Role::Active;
            holder != member_id && (both_active || process(holder) == process(member_id))
        })
    }

    /// A member that has to give something up is given its rebalance timeout for it.
    pub(super) fn watch_revocation(&mut self, member_id: &str, scope: &mut Scope<'_>) {
        let Some((id, _)) = self.members.get_key_value(member_id) else {
            return;
        };
        let key = TimerKey {
            group_id: self.id.clone(),
            kind: TimerKind::Revocation(id.clone()),
        };
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        if member.current.state == MemberState::Unrevoked {
            let at_ms = scope.after(member.rebalance_timeout_ms());
            member.revocation.set(at_ms, || key, scope.out);
        } else {
            member.revocation.cancel(|| key, scope.out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(partition: i32) -> Task {
        Task {
            role: Role::Active,
            subtopology: "0".into(),
            partition,
        }
    }

    fn tasks(partitions: &[i32]) -> Tasks {
        partitions.iter().copied().map(active).collect()
    }

    fn at(epoch: i32, partitions: &[i32]) -> Current {
        Current {
            epoch,
            previous_epoch: epoch,
            assigned: partitions.iter().map(|p| (active(*p), epoch)).collect(),
            ..Current::default()
        }
    }

    fn step<'a>(
        target: &'a Tasks,
        taken: &'a [i32],
        owned: Option<&'a Tasks>,
    ) -> Step<'a, impl Fn(&Task) -> bool> {
        Step {
            target_epoch: 9,
            target,
            is_taken: |task: &Task| taken.contains(&task.partition),
            owned,
        }
    }

    #[test]
    fn what_is_to_go_keeps_the_member_in_its_epoch_until_it_says_that_it_is_gone() {
        let (target, all) = (tasks(&[1, 2]), tasks(&[0, 1]));
        let first = step(&target, &[], Some(&all))
            .take(&at(5, &[0, 1]))
            .unwrap();
        assert_eq!((first.epoch, first.state), (5, MemberState::Unrevoked));
        assert_eq!(
            first.assigned.keys().cloned().collect::<Tasks>(),
            tasks(&[1])
        );
        // It says nothing, and then still the same.
        assert_eq!(step(&target, &[], None).take(&first), None);
        assert_eq!(step(&target, &[], Some(&all)).take(&first), None);
        let rest = tasks(&[1]);
        let last = step(&target, &[], Some(&rest)).take(&first).unwrap();
        assert_eq!((last.epoch, last.state), (9, MemberState::Stable));
        // What it had it was given at 5, what is new at 9.
        assert_eq!(last.assigned, Held::from([(active(1), 5), (active(2), 9)]));
    }

    #[test]
    fn what_others_have_is_waited_for_in_the_new_epoch() {
        let target = tasks(&[0, 1]);
        let waits = step(&target, &[1], None).take(&at(5, &[0])).unwrap();
        assert_eq!((waits.epoch, waits.state), (9, MemberState::Unreleased));
        assert_eq!(
            step(&target, &[1], None).take(&waits).map(|c| c.state),
            Some(MemberState::Unreleased)
        );
        let has = step(&target, &[], None).take(&waits).unwrap();
        assert_eq!(has.state, MemberState::Stable);
    }
}
