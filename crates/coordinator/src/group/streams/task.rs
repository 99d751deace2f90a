//! Tasks: a subtopology and one partition of what it reads, and what a member does with them.

use std::collections::{BTreeMap, BTreeSet};

use catchword_wire::Str;
use catchword_wire::messages::streams_group_heartbeat_request::{
    StreamsGroupHeartbeatRequest, TaskIds,
};

/// What a member does with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// It runs it; nobody else does.
    Active,
    /// It keeps a copy of its state.
    Standby,
    /// It gets a copy of its state, so as to run it then. Kafka has assigned none so far.
    Warmup,
}

/// A task in a role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Task {
    pub(super) role: Role,
    pub(super) subtopology: Str,
    pub(super) partition: i32,
}

/// What a member is to have.
pub(super) type Tasks = BTreeSet<Task>;

/// What a member has; active tasks with the epoch at which it was given them, others with 0.
pub(super) type Held = BTreeMap<Task, i32>;

/// The tasks of one role as Kafka's messages list them: by subtopology, the partitions in order.
pub(super) fn lists<'a, T>(
    tasks: impl Iterator<Item = &'a Task>,
    role: Role,
    make: impl Fn(Str, Vec<i32>) -> T,
) -> Vec<T> {
    let mut partitions: BTreeMap<&Str, Vec<i32>> = BTreeMap::new();
    for task in tasks.filter(|task| task.role == role) {
        let of = partitions.entry(&task.subtopology).or_default();
        of.push(task.partition);
    }
    let lists = partitions.into_iter();
    lists.map(|(id, of)| make(id.clone(), of)).collect()
}

/// The tasks of a list of one role.
pub(super) fn of_lists<'a>(
    lists: impl Iterator<Item = (&'a Str, &'a [i32])>,
    role: Role,
) -> impl Iterator<Item = Task> {
    lists.flat_map(move |(subtopology, partitions)| {
        partitions.iter().map(move |partition| Task {
            role,
            subtopology: subtopology.detached(),
            partition: *partition,
        })
    })
}

/// What a member says that it has; `None` if it does not say all of it.
pub(super) fn owned(request: &StreamsGroupHeartbeatRequest) -> Option<Tasks> {
    let of = |lists: &Option<Vec<TaskIds>>, role| {
        let lists = lists.as_ref()?.iter();
        let lists = lists.map(|l| (&l.subtopology_id, l.partitions.as_slice()));
        Some(of_lists(lists, role).collect::<Tasks>())
    };
    let mut tasks = of(&request.active_tasks, Role::Active)?;
    tasks.append(&mut of(&request.standby_tasks, Role::Standby)?);
    tasks.append(&mut of(&request.warmup_tasks, Role::Warmup)?);
    Some(tasks)
}
