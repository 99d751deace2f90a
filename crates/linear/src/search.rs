//! The search for an order of one register's operations (Wing and Gong's, one answer at a time as Lowe has it).
//!
//! At every moment it knows all that may be: what the register holds, and which of the operations under way have
//! happened already. An answer leaves what agrees with it; if nothing does, there is no order.

use std::collections::BTreeSet;

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action<V> {
    Write(V),
    Read(V),
}

/// Something that happens to an operation, which is named by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Begins(usize),
    /// Its answer has come.
    Happened(usize),
    /// It has not happened.
    Refused(usize),
    /// It has happened before, or never will.
    GivenUp(usize),
}

impl Event {
    pub(crate) fn operation(self) -> usize {
        match self {
            Self::Begins(n) | Self::Happened(n) | Self::Refused(n) | Self::GivenUp(n) => n,
        }
    }
}

/// The first answer that no order explains.
#[derive(Debug)]
pub(crate) struct Stuck<V> {
    /// The event's place.
    pub(crate) at: usize,
    /// What the register may have held before it.
    pub(crate) possible: BTreeSet<V>,
}

/// One way in which it may be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct World<V> {
    held: V,
    /// The operations under way that have happened.
    done: BTreeSet<usize>,
}

/// Looks for an order; `action` tells what an operation does, if that is known.
pub(crate) fn order<'a, V: Clone + Default + Ord + 'a>(
    events: &[Event],
    action: &impl Fn(usize) -> Option<&'a Action<V>>,
) -> Result<(), Stuck<V>> {
    let ignored = no_part(events, action);
    let mut under_way: BTreeSet<usize> = BTreeSet::new();
    let mut worlds = BTreeSet::from([World {
        held: V::default(),
        done: BTreeSet::new(),
    }]);
    for (at, event) in events.iter().enumerate() {
        let operation = event.operation();
        if ignored.contains(&operation) {
            continue;
        }
        match event {
            Event::Begins(_) => {
                under_way.insert(operation);
                continue;
            }
            Event::Happened(_) => {
                let before = worlds;
                worlds = BTreeSet::new();
                for world in &before {
                    explain(world, operation, &under_way, action, &mut worlds);
                }
                if worlds.is_empty() {
                    let possible = before.into_iter().map(|world| world.held).collect();
                    return Err(Stuck { at, possible });
                }
            }
            // Either it has happened by now, or it has no part in what comes.
            Event::GivenUp(_) => {
                for world in worlds.clone() {
                    explain(&world, operation, &under_way, action, &mut worlds);
                }
            }
            Event::Refused(_) => {}
        }
        under_way.remove(&operation);
        worlds = worlds
            .into_iter()
            .map(|mut world| {
                world.done.remove(&operation);
                world
            })
            .collect();
    }
    Ok(())
}

/// Operations that need no place in the order: what was refused, reads that were not answered, and writes that nobody
/// knows of and nobody saw.
fn no_part<'a, V: Ord + 'a>(
    events: &[Event],
    action: &impl Fn(usize) -> Option<&'a Action<V>>,
) -> BTreeSet<usize> {
    let mut seen: BTreeSet<&V> = BTreeSet::new();
    let mut answered: BTreeSet<usize> = BTreeSet::new();
    let mut refused: BTreeSet<usize> = BTreeSet::new();
    for event in events {
        match event {
            Event::Happened(operation) => {
                answered.insert(*operation);
                if let Some(Action::Read(value)) = action(*operation) {
                    seen.insert(value);
                }
            }
            Event::Refused(operation) => {
                refused.insert(*operation);
            }
            Event::Begins(_) | Event::GivenUp(_) => {}
        }
    }
    let is_unseen = |operation: usize| match action(operation) {
        Some(Action::Write(value)) => !seen.contains(value),
        _ => true,
    };
    let all = events.iter().map(|event| event.operation());
    all.filter(|operation| {
        refused.contains(operation) || (!answered.contains(operation) && is_unseen(*operation))
    })
    .collect()
}

/// Finds every way on from a world in which an operation has happened, by way of whichever others are under way.
fn explain<'a, V: Clone + Ord + 'a>(
    world: &World<V>,
    operation: usize,
    under_way: &BTreeSet<usize>,
    action: &impl Fn(usize) -> Option<&'a Action<V>>,
    found: &mut BTreeSet<World<V>>,
) {
    let mut visited = BTreeSet::new();
    let mut ahead = vec![world.clone()];
    while let Some(world) = ahead.pop() {
        if world.done.contains(&operation) {
            found.insert(world);
            continue;
        }
        for next in under_way.difference(&world.done) {
            let held = match action(*next) {
                Some(Action::Write(value)) => value.clone(),
                Some(Action::Read(value)) if *value == world.held => value.clone(),
                _ => continue,
            };
            let mut done = world.done.clone();
            done.insert(*next);
            let world = World { held, done };
            if visited.insert(world.clone()) {
                ahead.push(world);
            }
        }
    }
}
