//! What has to be written to take a change back, and what stands in the way.
//!
//! Invariant: a bookmark is never put into another edition of its topic, whatever is asked. A plan names what it
//! expects to find; whoever carries it out must check that in the same step (see [`crate::Call::MoveOffsets`]).

use std::collections::{BTreeMap, BTreeSet};

use catchword_wire::{Str, Uuid};

use super::{Change, Finished, Key, Place};

/// Why a bookmark is not simply put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// It has moved since: putting it back would overwrite that. Can be forced.
    MovedOn,
    /// The topic was deleted and another of the same name created. Can't be forced.
    Recreated,
    /// The topic does not exist. Can't be forced.
    NoTopic,
    /// Nobody knows where the bookmark was: history did not reach so far, and the record does not say. Can't be forced,
    /// since the only thing to do would be to remove it.
    Forgotten,
    /// It had no place then that is known, and stays where it is.
    NoPlace,
}

/// What becomes of one bookmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The topic.
    pub topic: Str,
    /// The partition.
    pub partition: i32,
    /// Where the bookmark is now; `None` if it is nowhere.
    pub now: Option<Place>,
    /// Where it will be; `None` if it will be removed.
    pub then: Option<Place>,
    /// What stands in the way.
    pub obstacle: Option<Obstacle>,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// One for each bookmark, in the order of topics and partitions.
    pub steps: Vec<Step>,
}

impl Plan {
    /// What is to be written, given whether what moved on may be overwritten. What is there already is left out.
    pub fn writes(&self, force: bool) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |step| {
            let may = match step.obstacle {
                None => true,
                Some(Obstacle::MovedOn) => force,
                Some(
                    Obstacle::Recreated
                    | Obstacle::NoTopic
                    | Obstacle::NoPlace
                    | Obstacle::Forgotten,
                ) => false,
            };
            may && !same_place(&step.now, &step.then)
        })
    }

    /// How many bookmarks have this in their way.
    pub fn count(&self, obstacle: Obstacle) -> usize {
        let has = |step: &&Step| step.obstacle == Some(obstacle);
        self.steps.iter().filter(has).count()
    }

    fn sorted(mut self) -> Plan {
        let by = |a: &Step, b: &Step| (&*a.topic, a.partition).cmp(&(&*b.topic, b.partition));
        self.steps.sort_by(by);
        self
    }
}

/// How to take `change` back, given where the group's bookmarks are now. `topic_id` gives the id of a topic that exists.
pub fn plan_undo(
    change: &Change,
    now: &BTreeMap<Key, Place>,
    topic_id: impl Fn(&str) -> Option<Uuid>,
) -> Plan {
    let step = |moved: &super::Move| {
        let key = (moved.topic.clone(), moved.partition);
        let current = now.get(&key).cloned();
        let forgotten = (!moved.knows_from).then_some(Obstacle::Forgotten);
        let edition = edition(moved.from.as_ref(), &moved.topic, &topic_id);
        let moved_on = !same_place(&current, &moved.to) && !same_place(&current, &moved.from);
        Step {
            topic: moved.topic.clone(),
            partition: moved.partition,
            now: current,
            then: moved.from.clone(),
            obstacle: forgotten
                .or(edition)
                .or(moved_on.then_some(Obstacle::MovedOn)),
        }
    };
    Plan {
        steps: change.moves.iter().map(step).collect(),
    }
    .sorted()
}

/// How to put back what is gone since `since_ms`.
pub fn plan_restore(
    now: &Finished,
    since_ms: i64,
    topic_id: impl Fn(&str) -> Option<Uuid>,
) -> Plan {
    let recent = now.gone.iter().filter(|(_, gone)| gone.at_ms >= since_ms);
    let steps = recent.map(|((topic, partition), gone)| Step {
        topic: topic.clone(),
        partition: *partition,
        now: None,
        then: Some(gone.place.clone()),
        obstacle: edition(Some(&gone.place), topic, &topic_id),
    });
    Plan {
        steps: steps.collect(),
    }
    .sorted()
}

/// How to put a group where it was. Bookmarks that it had none of then stay: they may be of topics it has read since.
pub fn plan_set(
    then: &BTreeMap<Key, Place>,
    now: &Finished,
    topic_id: impl Fn(&str) -> Option<Uuid>,
) -> Plan {
    let keys: BTreeSet<&Key> = then.keys().chain(now.places.keys()).collect();
    let step = |key: &Key| {
        let place = then.get(key);
        let obstacle = match place {
            Some(place) => edition(Some(place), &key.0, &topic_id),
            None => Some(Obstacle::NoPlace),
        };
        Step {
            topic: key.0.clone(),
            partition: key.1,
            now: now.places.get(key).cloned(),
            then: place.cloned(),
            obstacle,
        }
    };
    Plan {
        steps: keys.into_iter().map(step).collect(),
    }
}

/// Whether the topic is still the one that the place was in. A place that does not tell its topic's id is taken for one
/// of the topic of that name.
fn edition(
    place: Option<&Place>,
    topic: &str,
    topic_id: impl Fn(&str) -> Option<Uuid>,
) -> Option<Obstacle> {
    let place = place?;
    match topic_id(topic) {
        None => Some(Obstacle::NoTopic),
        Some(id) if !place.topic_id.is_zero() && id != place.topic_id => Some(Obstacle::Recreated),
        Some(_) => None,
    }
}

/// Whether two places are the same to a reader. The same offset in another edition is another place.
fn same_place(a: &Option<Place>, b: &Option<Place>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => {
            let one_unknown = a.topic_id.is_zero() || b.topic_id.is_zero();
            a.offset == b.offset && (one_unknown || a.topic_id == b.topic_id)
        }
        _ => false,
    }
}
