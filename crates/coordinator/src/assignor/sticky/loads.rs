//! Who has how much to do: processes counted by their members, and the members of each process.
//!
//! Both are kept in order, so that finding the one with the least to do takes logarithmic time.

use std::cmp::Ordering;
use std::collections::BTreeSet;

/// What a process has to do.
#[derive(Debug, Clone, Copy)]
struct Load {
    tasks: usize,
    members: usize,
    process: usize,
}

impl Load {
    /// Compares what there is to do for each member.
    fn by_member(&self, other: &Load) -> Ordering {
        (self.tasks * other.members).cmp(&(other.tasks * self.members))
    }
}

impl Ord for Load {
    fn cmp(&self, other: &Load) -> Ordering {
        let first = self.process.cmp(&other.process);
        self.by_member(other).then(first)
    }
}

impl PartialOrd for Load {
    fn partial_cmp(&self, other: &Load) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Load {
    fn eq(&self, other: &Load) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Load {}

/// Members and processes are numbers; where several have as little to do, the first is taken.
#[derive(Debug)]
pub(super) struct Loads {
    /// How many tasks each member has.
    counts: Vec<usize>,
    /// The process of each member.
    process_of: Vec<usize>,
    processes: Vec<Load>,
    /// The processes that have members, the idlest first.
    idlest: BTreeSet<Load>,
    /// The members of each process with how many tasks they have, the idlest first.
    idlest_in: Vec<BTreeSet<(usize, usize)>>,
}

impl Loads {
    /// Nobody has anything to do yet. `process_of` says the process of each member, of so many processes.
    pub(super) fn new(process_of: Vec<usize>, processes: usize) -> Loads {
        let mut idlest_in = vec![BTreeSet::new(); processes];
        for (member, process) in process_of.iter().enumerate() {
            idlest_in[*process].insert((0, member));
        }
        let load = |(process, members): (usize, &BTreeSet<_>)| Load {
            tasks: 0,
            members: members.len(),
            process,
        };
        let processes: Vec<Load> = idlest_in.iter().enumerate().map(load).collect();
        let with_members = processes.iter().filter(|load| load.members > 0);
        Loads {
            counts: vec![0; process_of.len()],
            idlest: with_members.copied().collect(),
            process_of,
            processes,
            idlest_in,
        }
    }

    /// How many tasks a member has.
    pub(super) fn count(&self, member: usize) -> usize {
        self.counts[member]
    }

    pub(super) fn process_of(&self, member: usize) -> usize {
        self.process_of[member]
    }

    /// A member has one task more: how many it has now.
    pub(super) fn add(&mut self, member: usize) -> usize {
        let process = self.process_of[member];
        let members = &mut self.idlest_in[process];
        let count = &mut self.counts[member];
        members.remove(&(*count, member));
        *count += 1;
        members.insert((*count, member));
        let load = &mut self.processes[process];
        self.idlest.remove(load);
        load.tasks += 1;
        self.idlest.insert(*load);
        *count
    }

    /// Whether one member has less to do than another, by its process first.
    pub(super) fn compare(&self, one: usize, other: usize) -> Ordering {
        let load = |member: usize| &self.processes[self.process_of[member]];
        let by_process = load(one).by_member(load(other));
        by_process.then(self.counts[one].cmp(&self.counts[other]))
    }

    /// The member with the least to do in the process with the least to do that may have more. Asks about one process
    /// more than it has to pass over.
    pub(super) fn idlest(&self, may: impl Fn(usize) -> bool) -> Option<usize> {
        let load = self.idlest.iter().find(|load| may(load.process))?;
        let (_, member) = self.idlest_in[load.process].first()?;
        Some(*member)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::super::tests::dice;
    use super::Loads;

    #[test]
    fn the_idlest_is_who_a_look_at_everybody_would_find_without_that_look() {
        let mut dice = dice(7);
        for _ in 0..200 {
            let (members, processes) = (1 + dice(9) as usize, 1 + dice(4) as usize);
            let process_of: Vec<usize> = (0..members)
                .map(|_| dice(processes as u32) as usize)
                .collect();
            let mut loads = Loads::new(process_of.clone(), processes);
            let mut counts = vec![0; members];
            for _ in 0..40 {
                let barred = dice(processes as u32 + 1) as usize;
                let size = |of: usize| process_of.iter().filter(|p| **p == of).count();
                let tasks = |of: usize| -> usize {
                    let all = process_of.iter().zip(&counts);
                    all.filter(|(p, _)| **p == of).map(|(_, count)| count).sum()
                };
                let with_members = (0..processes).filter(|p| *p != barred && size(*p) > 0);
                let process =
                    with_members.min_by(|a, b| (tasks(*a) * size(*b)).cmp(&(tasks(*b) * size(*a))));
                let wanted = process.and_then(|process| {
                    let own = (0..members).filter(|member| process_of[*member] == process);
                    own.min_by_key(|member| counts[*member])
                });
                let asked = Cell::new(0);
                let may = |process| {
                    asked.set(asked.get() + 1);
                    process != barred
                };
                assert_eq!(loads.idlest(may), wanted);
                assert!(asked.get() <= 2, "it looks at all of them");
                let busy = dice(members as u32) as usize;
                counts[busy] += 1;
                assert_eq!(loads.add(busy), counts[busy]);
            }
        }
    }
}
