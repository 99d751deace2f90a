//! Who of a streams group runs which task: Kafka's sticky task assignor.
//!
//! An active task stays where it was as long as that member has no more than its share; else it goes where its state is
//! kept already, as a standby; else to the process that has the least to do, counted by its members. Standbys are dealt
//! likewise, never into a process that has the task. Where several would do, Kafka leaves it to the order of its hash
//! tables; here the first by id is taken. Who has the least to do is known at any time ([`loads`]): the time taken is that of
//! sorting members and tasks.

mod loads;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use catchword_wire::Str;

use self::loads::Loads;

/// Tasks by subtopology: the partitions. A subtopology without tasks is not in it.
pub(crate) type TaskSet = BTreeMap<Str, BTreeSet<i32>>;

/// A part of a topology that runs on its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subtopology<'a> {
    pub(crate) id: &'a Str,
    /// Its tasks are numbered from 0.
    pub(crate) tasks: i32,
    /// Whether its tasks have state that a standby can keep a copy of.
    pub(crate) is_stateful: bool,
}

/// A member as the assignor sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaskMember<'a> {
    /// Members of one process share its disk.
    pub(crate) process_id: &'a Str,
    /// What it was to have so far.
    pub(crate) active: &'a TaskSet,
    pub(crate) standby: &'a TaskSet,
}

/// What a member is to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) active: TaskSet,
    pub(crate) standby: TaskSet,
}

/// Gives each member its tasks, in the order of the members; each stateful task has `standbys` copies if there are
/// processes for them.
pub(crate) fn assign(
    members: &[TaskMember<'_>],
    subtopologies: &[Subtopology<'_>],
    standbys: usize,
) -> Vec<Share> {
    let mut deal = Deal::new(members, subtopologies, standbys);
    if !members.is_empty() {
        deal.active(tasks_of(subtopologies, |_| true));
        deal.standbys(tasks_of(subtopologies, |s| s.is_stateful), standbys);
    }
    deal.shares
}

type Task<'a> = (&'a Str, i32);

fn tasks_of<'a>(
    subtopologies: &[Subtopology<'a>],
    which: impl Fn(&Subtopology<'a>) -> bool,
) -> Vec<Task<'a>> {
    let chosen = subtopologies.iter().filter(|s| which(s));
    chosen
        .flat_map(|s| (0..s.tasks).map(|partition| (s.id, partition)))
        .collect()
}

/// How many tasks a member may keep, so that there are enough for those that have not got theirs.
struct Quota {
    each: usize,
    members: usize,
    tasks: usize,
}

impl Quota {
    fn new(tasks: usize, members: usize) -> Quota {
        let each = if members == 0 {
            0
        } else {
            tasks.div_ceil(members)
        };
        Quota {
            each,
            members,
            tasks,
        }
    }

    /// A member has `count` tasks now: if that is its share, the rest is for the others.
    fn reached(&mut self, count: usize) {
        if count == self.each {
            let (tasks, members) = (self.tasks.saturating_sub(count), self.members);
            *self = Quota::new(tasks, members.saturating_sub(1));
        }
    }
}

struct Deal<'a> {
    shares: Vec<Share>,
    loads: Loads,
    /// What each process has.
    tasks: Vec<BTreeSet<Task<'a>>>,
    active_before: BTreeMap<Task<'a>, usize>,
    standby_before: BTreeMap<Task<'a>, Vec<usize>>,
    active_quota: Quota,
    total_quota: Quota,
}

impl<'a> Deal<'a> {
    fn new(
        members: &[TaskMember<'a>],
        subtopologies: &[Subtopology<'_>],
        standbys: usize,
    ) -> Deal<'a> {
        let count = |s: &Subtopology<'_>| usize::try_from(s.tasks).unwrap_or(0);
        let active: usize = subtopologies.iter().map(count).sum();
        let stateful = subtopologies.iter().filter(|s| s.is_stateful);
        let copies: usize = stateful.map(count).sum::<usize>() * standbys;
        let mut ids: BTreeMap<&Str, usize> = BTreeMap::new();
        for member in members {
            ids.insert(member.process_id, 0);
        }
        for (at, index) in ids.values_mut().enumerate() {
            *index = at;
        }
        let mut deal = Deal {
            shares: vec![Share::default(); members.len()],
            loads: Loads::new(
                members.iter().map(|m| ids[m.process_id]).collect(),
                ids.len(),
            ),
            tasks: vec![BTreeSet::new(); ids.len()],
            active_before: BTreeMap::new(),
            standby_before: BTreeMap::new(),
            active_quota: Quota::new(active, members.len()),
            total_quota: Quota::new(active + copies, members.len()),
        };
        for (index, member) in members.iter().enumerate() {
            for task in each(member.active) {
                deal.active_before.insert(task, index);
            }
            for task in each(member.standby) {
                deal.standby_before.entry(task).or_default().push(index);
            }
        }
        deal
    }

    fn give(&mut self, member: usize, task: Task<'a>, is_active: bool) {
        let share = &mut self.shares[member];
        let set = match is_active {
            true => &mut share.active,
            false => &mut share.standby,
        };
        set.entry(task.0.clone()).or_default().insert(task.1);
        self.tasks[self.loads.process_of(member)].insert(task);
        let count = self.loads.add(member);
        if is_active {
            self.active_quota.reached(count);
        }
        self.total_quota.reached(count);
    }

    fn has(&self, member: usize, task: &Task<'a>) -> bool {
        self.tasks[self.loads.process_of(member)].contains(task)
    }

    /// Of those that kept a copy of the task, the one with the least to do whose process has not got the task.
    fn former_standby(&self, task: &Task<'a>) -> Option<usize> {
        let members = self.standby_before.get(task)?.iter().copied();
        members
            .filter(|member| !self.has(*member, task))
            .min_by(|a, b| self.loads.compare(*a, *b))
    }

    /// The member with the least to do, in the process with the least to do that has not got the task.
    fn least_loaded(&self, task: &Task<'a>) -> Option<usize> {
        self.loads
            .idlest(|process| !self.tasks[process].contains(task))
    }

    fn active(&mut self, mut tasks: Vec<Task<'a>>) {
        // Same partitions go together.
        tasks.sort_by_key(|(subtopology, partition)| (*partition, *subtopology));
        tasks.retain(|task| {
            let before = self.active_before.get(task).copied();
            let stays = before.filter(|member| self.loads.count(*member) < self.active_quota.each);
            stays.is_none_or(|member| {
                self.give(member, *task, true);
                false
            })
        });
        tasks.retain(|task| {
            let member = self.former_standby(task);
            let moves = member.filter(|member| self.loads.count(*member) < self.active_quota.each);
            moves.is_none_or(|member| {
                self.give(member, *task, true);
                false
            })
        });
        tasks.sort();
        for task in tasks {
            if let Some(member) = self.least_loaded(&task) {
                self.give(member, task, true);
            }
        }
    }

    fn standbys(&mut self, mut tasks: Vec<Task<'a>>, copies: usize) {
        let mut left: Vec<(Task<'a>, usize)> = Vec::new();
        tasks.sort_by_key(|(subtopology, partition)| Reverse((*partition, *subtopology)));
        for task in tasks {
            for copy in 0..copies {
                let active = self.active_before.get(&task).copied();
                let active = active.filter(|member| !self.has(*member, &task));
                let has_room = |member: &usize| self.loads.count(*member) < self.total_quota.each;
                let known = active.filter(has_room);
                let known = known.or_else(|| self.former_standby(&task).filter(has_room));
                let Some(member) = known else {
                    left.push((task, copies - copy));
                    break;
                };
                self.give(member, task, false);
            }
        }
        left.sort_by_key(|(task, _)| Reverse(*task));
        for (task, copies) in left {
            for _ in 0..copies {
                let Some(member) = self.least_loaded(&task) else {
                    break;
                };
                self.give(member, task, false);
            }
        }
    }
}

fn each(tasks: &TaskSet) -> impl Iterator<Item = Task<'_>> {
    let all = tasks.iter();
    all.flat_map(|(subtopology, of)| of.iter().map(move |partition| (subtopology, *partition)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::dice;
    use super::*;

    /// Members by name, each in a process of the letter it begins with, and what they have.
    struct Group {
        names: Vec<Str>,
        processes: Vec<Str>,
        shares: Vec<Share>,
    }

    impl Group {
        fn new(names: &[&str]) -> Group {
            Group {
                names: names.iter().map(|name| Str::copy(name)).collect(),
                processes: names.iter().map(|name| Str::copy(&name[..1])).collect(),
                shares: vec![Share::default(); names.len()],
            }
        }

        /// The same group with other members; who stays has what it had.
        fn then(&self, names: &[&str]) -> Group {
            let mut next = Group::new(names);
            for (name, share) in next.names.iter().zip(&mut next.shares) {
                if let Some(at) = self.names.iter().position(|known| known == name) {
                    *share = self.shares[at].clone();
                }
            }
            next
        }

        fn assign(mut self, subtopologies: &[(&str, i32, bool)], standbys: usize) -> Group {
            let ids: Vec<Str> = subtopologies.iter().map(|s| Str::copy(s.0)).collect();
            let with_ids = subtopologies.iter().zip(&ids);
            let subtopologies: Vec<Subtopology<'_>> = with_ids
                .map(|((_, tasks, is_stateful), id)| Subtopology {
                    id,
                    tasks: *tasks,
                    is_stateful: *is_stateful,
                })
                .collect();
            let all = self.processes.iter().zip(&self.shares);
            let members: Vec<TaskMember<'_>> = all
                .map(|(process_id, share)| TaskMember {
                    process_id,
                    active: &share.active,
                    standby: &share.standby,
                })
                .collect();
            let shares = assign(&members, &subtopologies, standbys);
            self.shares = shares;
            self.check(&subtopologies, standbys);
            self
        }

        /// Each task runs once; a process has a task once, whatever for; there are as many copies as can be.
        fn check(&self, subtopologies: &[Subtopology<'_>], standbys: usize) {
            let processes: BTreeSet<&Str> = self.processes.iter().collect();
            let mut active: Vec<Task<'_>> = Vec::new();
            let mut copies: BTreeMap<Task<'_>, usize> = BTreeMap::new();
            let mut homes: BTreeSet<(&Str, Task<'_>)> = BTreeSet::new();
            for (process, share) in self.processes.iter().zip(&self.shares) {
                active.extend(each(&share.active));
                for task in each(&share.active).chain(each(&share.standby)) {
                    assert!(homes.insert((process, task)), "{task:?} twice in {process}");
                }
                for task in each(&share.standby) {
                    *copies.entry(task).or_default() += 1;
                }
            }
            active.sort();
            assert_eq!(active, tasks_of(subtopologies, |_| true));
            for task in tasks_of(subtopologies, |s| s.is_stateful) {
                let copies = copies.get(&task).copied().unwrap_or(0);
                assert_eq!(copies, standbys.min(processes.len() - 1), "{task:?}");
            }
        }

        fn loads(&self) -> Vec<usize> {
            let load = |share: &Share| each(&share.active).count();
            self.shares.iter().map(load).collect()
        }
    }

    #[test]
    fn whatever_joins_and_leaves_each_task_runs_once_and_has_its_copies_elsewhere() {
        let mut dice = dice(5);
        let all = ["a1", "a2", "a3", "b1", "b2", "c1", "d1"];
        for _ in 0..300 {
            let subtopologies = [
                ("0", 1 + dice(7) as i32, dice(2) > 0),
                ("1", 1 + dice(7) as i32, dice(2) > 0),
            ];
            let standbys = dice(3) as usize;
            let mut group = Group::new(&["a1"]);
            for _round in 0..5 {
                let mut names: Vec<&str> = all.into_iter().filter(|_| dice(2) > 0).collect();
                if names.is_empty() {
                    names.push("b1");
                }
                group = group.then(&names).assign(&subtopologies, standbys);
            }
        }
    }

    #[test]
    fn loads_are_even_and_stay_so_when_a_member_joins_who_takes_only_what_is_its_share() {
        let two = Group::new(&["a1", "b1"]).assign(&[("0", 6, true)], 0);
        assert_eq!(two.loads(), [3, 3]);
        let three = two.then(&["a1", "b1", "c1"]).assign(&[("0", 6, true)], 0);
        assert_eq!(three.loads(), [2, 2, 2]);
        for (before, after) in two.shares.iter().zip(&three.shares) {
            assert!(after.active["0"].is_subset(&before.active["0"]));
        }
    }

    #[test]
    fn nobody_moves_when_nothing_changed() {
        let one = Group::new(&["a1", "a2", "b1"]).assign(&[("0", 7, true), ("1", 3, false)], 1);
        let again = one
            .then(&["a1", "a2", "b1"])
            .assign(&[("0", 7, true), ("1", 3, false)], 1);
        assert_eq!(one.shares, again.shares);
    }

    #[test]
    fn a_task_whose_member_is_gone_goes_where_its_copy_is_unless_that_has_its_share() {
        let before = Group::new(&["a1", "b1", "c1"]).assign(&[("0", 6, true)], 1);
        let after = before.then(&["a1", "b1"]).assign(&[("0", 6, true)], 1);
        let lost = &before.shares[2].active;
        let mut moved = 0;
        for (had, has) in before.shares.iter().zip(&after.shares) {
            for task in each(&had.standby).filter(|task| lost[task.0].contains(&task.1)) {
                let is_there = has.active[task.0].contains(&task.1);
                assert!(is_there || each(&has.active).count() == 3, "{task:?}");
                moved += usize::from(is_there);
            }
        }
        assert!(moved > 0, "no copy was of use");
    }
}
