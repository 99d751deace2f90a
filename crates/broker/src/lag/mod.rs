//! Honest lag: how far groups are behind, how fast they read, when they will have read all, and whether retention comes first.
//!
//! What a group has before it is counted by [`crate::plane`]; here it is looked at again and again. Commits pay nothing:
//! a speed is made of looks, by whoever takes them (`/v1/lag`, a scrape of the metrics), of which [`Paces`] keeps the sum.
//! Groups that have an objective are looked at by the broker itself (`watch.rs`).
//!
//! `pace.rs`, `edge.rs` and `objective.rs` are pure. This module must not know HTTP's requests.

mod edge;
mod objective;
mod pace;
mod views;
mod watch;
mod webhook;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use catchword_wire::Str;

use crate::broker::Broker;
use crate::clock;
use crate::outcome;
use crate::plane::{self, Asker, GroupView, Home, PartitionLag, PlaneError};
use edge::{Before, Keep};
use pace::{Look, Pace};
pub(crate) use views::{GroupLag, LagList, PartitionPace};
pub(crate) use watch::{Objectives, run};

/// Partitions of groups of which a pace is kept, about 150 bytes each. Of others there is no speed.
const MAX_PACES: usize = 200_000;

/// How fast groups have been seen to read.
#[derive(Debug, Default)]
pub(crate) struct Paces(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Of each group by topic and partition.
    groups: BTreeMap<String, Vec<(Str, i32, Pace)>>,
    partitions: usize,
}

impl Paces {
    /// Takes a look at a group's partitions, which are in order, and tells the pace of each. What the group no longer reads
    /// is forgotten.
    fn look(&self, group: &GroupView, now_ms: u64) -> Vec<Option<Pace>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.groups.get_mut(&group.group).map(std::mem::take);
        let before = before.unwrap_or_default();
        known.partitions -= before.len();
        let mut before = before.into_iter().peekable();
        let mut own = Vec::with_capacity(group.partitions.len());
        let look = |lag: &PartitionLag| {
            let look = Look {
                at_ms: now_ms,
                committed: lag.committed,
                end: lag.end?,
                behind: lag.lag?,
            };
            let here = (&lag.topic, lag.partition);
            while before.next_if(|(topic, p, _)| (topic, *p) < here).is_some() {}
            let was = before.next_if(|(topic, p, _)| (topic, *p) == here);
            let mut pace = was.map_or_else(|| Pace::new(look), |(.., pace)| pace);
            pace.note(look);
            own.push((lag.topic.clone(), lag.partition, pace));
            Some(pace)
        };
        let paces = group.partitions.iter().map(look).collect();
        if known.partitions + own.len() <= MAX_PACES {
            known.partitions += own.len();
            match known.groups.get_mut(&group.group) {
                Some(known) => *known = own,
                None => drop(known.groups.insert(group.group.clone(), own)),
            }
        } else {
            known.groups.remove(&group.group);
        }
        paces
    }

    /// Forgets all groups but these.
    fn keep_only(&self, groups: &[GroupView]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = std::mem::take(&mut known.groups);
        for group in groups {
            if let Some(own) = gone.remove(&group.group) {
                known.groups.insert(group.group.clone(), own);
            }
        }
        known.partitions -= gone.values().map(Vec::len).sum::<usize>();
    }
}

/// One group.
pub(crate) async fn group(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
) -> Result<LagList, PlaneError> {
    let group = plane::group(broker, asker, group).await?;
    Ok(list(broker, vec![looked_at(broker, group)]))
}

/// All groups.
pub(crate) async fn groups(broker: &Arc<Broker>, asker: &Asker) -> Result<LagList, PlaneError> {
    let groups = plane::groups(broker, asker).await?.groups;
    let broker = broker.clone();
    // Of many groups it takes longer than connections should wait.
    let work = move || {
        broker.paces.keep_only(&groups);
        let groups = groups.into_iter().map(|group| looked_at(&broker, group));
        list(&broker, groups.collect())
    };
    let looked = outcome::blocking(work).await;
    looked.ok_or_else(PlaneError::stopping)
}

fn list(broker: &Arc<Broker>, groups: Vec<GroupLag>) -> LagList {
    LagList {
        at_ms: clock::now_ms(),
        counted: Home::of(broker).counts_records(),
        groups,
    }
}

/// With how fast it reads, and what that leads to.
fn looked_at(broker: &Broker, mut group: GroupView) -> GroupLag {
    let paces = broker.paces.look(&group, clock::steady_ms());
    let partitions = std::mem::take(&mut group.partitions).into_iter();
    let partitions = partitions.zip(&paces).map(|(lag, pace)| {
        let retention_in_ms = retention_in_ms(broker, &lag, pace.as_ref());
        PartitionPace::of(lag, pace.as_ref(), retention_in_ms)
    });
    let partitions = partitions.collect();
    let objective = broker.objectives.of(&group.group);
    GroupLag::of(group, partitions, objective)
}

/// When retention reaches the bookmark, where the log is ours and forgets by retention.
fn retention_in_ms(broker: &Broker, lag: &PartitionLag, pace: Option<&Pace>) -> Option<i64> {
    let before = Before {
        records: lag.lag?,
        bytes: lag.bytes?,
        age_ms: lag.age_ms?,
        written: pace.and_then(Pace::rates).map(|rates| rates.written),
    };
    let topic = broker.catalog.topic(&lag.topic)?;
    let config = topic.partition(lag.partition)?.log.config();
    let keep = Keep {
        ms: config.retention_ms,
        bytes: config.retention_bytes,
    };
    config
        .cleanup_policy
        .deletes()
        .then(|| keep.reaches_in_ms(before))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str, places: &[(i32, i64)]) -> GroupView {
        let lags = places.iter().map(|(p, committed)| {
            PartitionLag::of(&"t".into(), *p, *committed, Some(0), Some(1000))
        });
        GroupView::of(name, "Stable", "classic", Vec::new(), lags.collect())
    }

    #[test]
    fn a_second_look_tells_the_speed() {
        let paces = Paces::default();
        let first = paces.look(&seen("g", &[(0, 10)]), 1000);
        assert_eq!(first[0].unwrap().rates(), None);
        let second = paces.look(&seen("g", &[(0, 60)]), 6000);
        assert_eq!(second[0].unwrap().rates().unwrap().read, 10.0);
    }

    #[test]
    fn of_groups_and_partitions_that_are_gone_nothing_is_kept() {
        let paces = Paces::default();
        paces.look(&seen("g", &[(0, 10), (1, 10)]), 1000);
        paces.look(&seen("h", &[(0, 10)]), 1000);
        paces.look(&seen("g", &[(1, 10)]), 2000);
        assert_eq!(paces.0.lock().unwrap().partitions, 2);
        paces.keep_only(&[seen("h", &[])]);
        let known = paces.0.lock().unwrap();
        assert_eq!((known.partitions, known.groups.len()), (1, 1));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let paces = Paces::default();
        let places: Vec<(i32, i64)> = (0..MAX_PACES as i32).map(|p| (p, 0)).collect();
        paces.look(&seen("g", &places), 1000);
        paces.look(&seen("h", &[(0, 0)]), 1000);
        assert_eq!(paces.0.lock().unwrap().partitions, MAX_PACES);
    }
}
