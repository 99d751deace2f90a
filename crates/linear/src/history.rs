//! What was asked and what was answered, in the order in which it happened.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug};

use crate::search::{self, Action, Event};

/// An operation that was begun; to be given back with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(usize);

#[derive(Debug, Clone)]
struct Operation<K, V> {
    key: K,
    /// `None` for a read that has not been answered.
    action: Option<Action<V>>,
}

/// Operations on registers that are named by `K` and hold a `V`; all begin as `V::default()`.
///
/// Time is the order of the calls: an operation is to be begun before its request leaves, and answered after its answer
/// has come.
#[derive(Debug)]
pub struct History<K, V> {
    operations: Vec<Operation<K, V>>,
    open: BTreeSet<Ticket>,
    events: Vec<Event>,
}

impl<K, V> Default for History<K, V> {
    fn default() -> Self {
        Self {
            operations: Vec::new(),
            open: BTreeSet::new(),
            events: Vec::new(),
        }
    }
}

impl<K: Clone + Ord, V: Clone + Default + Ord> History<K, V> {
    /// Somebody is about to write.
    pub fn write(&mut self, key: K, value: V) -> Ticket {
        self.begin(key, Some(Action::Write(value)))
    }

    /// Somebody is about to read.
    pub fn read(&mut self, key: K) -> Ticket {
        self.begin(key, None)
    }

    fn begin(&mut self, key: K, action: Option<Action<V>>) -> Ticket {
        let ticket = Ticket(self.operations.len());
        self.operations.push(Operation { key, action });
        self.open.insert(ticket);
        self.events.push(Event::Begins(ticket.0));
        ticket
    }

    /// The write was acknowledged: it has happened.
    pub fn written(&mut self, ticket: Ticket) {
        if self.open.remove(&ticket) {
            self.events.push(Event::Happened(ticket.0));
        }
    }

    /// The read was answered with this.
    pub fn found(&mut self, ticket: Ticket, value: V) {
        if self.open.remove(&ticket) {
            self.operations[ticket.0].action = Some(Action::Read(value));
            self.events.push(Event::Happened(ticket.0));
        }
    }

    /// The operation was refused: it never happens.
    pub fn refused(&mut self, ticket: Ticket) {
        if self.open.remove(&ticket) {
            self.events.push(Event::Refused(ticket.0));
        }
    }

    /// The server is gone: whatever waits for an answer has happened before now, or never will.
    pub fn crashed(&mut self) {
        let open = std::mem::take(&mut self.open);
        self.events
            .extend(open.into_iter().map(|ticket| Event::GivenUp(ticket.0)));
    }

    /// How many operations were answered.
    pub fn answered(&self) -> usize {
        let answered = |event: &&Event| matches!(event, Event::Happened(_));
        self.events.iter().filter(answered).count()
    }

    /// Finds an order in which it all could have happened.
    ///
    /// # Errors
    /// If there is none for one of the registers.
    pub fn check(&self) -> Result<(), Broken<K, V>> {
        let mut by_key: BTreeMap<&K, Vec<Event>> = BTreeMap::new();
        for event in &self.events {
            let key = &self.operations[event.operation()].key;
            by_key.entry(key).or_default().push(*event);
        }
        let action = |operation: usize| self.operations[operation].action.as_ref();
        for (key, events) in by_key {
            if let Err(stuck) = search::order(&events, &action) {
                return Err(Broken {
                    key: key.clone(),
                    events: events[..=stuck.at]
                        .iter()
                        .map(|event| (*event, action(event.operation()).cloned()))
                        .collect(),
                    possible: stuck.possible.into_iter().collect(),
                });
            }
        }
        Ok(())
    }
}

/// A register that no single copy of it could have behaved like.
#[derive(Debug)]
pub struct Broken<K, V> {
    /// The register.
    pub key: K,
    /// What happened to it until the first answer that cannot be.
    events: Vec<(Event, Option<Action<V>>)>,
    /// What it may have held then.
    possible: Vec<V>,
}

impl<K: Debug, V: Debug> fmt::Display for Broken<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            events,
            possible,
        } = self;
        writeln!(
            f,
            "{key:?} is not linearizable: nothing explains its last answer, before which it held one of {possible:?}"
        )?;
        for (event, action) in &events[events.len().saturating_sub(30)..] {
            match action {
                Some(action) => writeln!(f, "    {event:?} {action:?}")?,
                None => writeln!(f, "    {event:?} Read, never answered")?,
            }
        }
        Ok(())
    }
}
