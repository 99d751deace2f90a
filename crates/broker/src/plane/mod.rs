//! The offset plane: what was done to the bookmarks, asked of the log, and put back through the groups' coordinators.
//!
//! A group's past lies in one partition of `__consumer_offsets`, of which compaction bounds the bytes; its blocks are
//! searched for the group's name and only those that have it are taken apart. So commits pay nothing, and what is told is
//! what the log says. What was more than reading on says itself what it replaced: the newest of it is kept (`marks.rs`),
//! and taken back without its group's past.
//!
//! Invariant: bookmarks are moved by [`catchword_coordinator::Call::MoveOffsets`] alone, which checks that they are still
//! where the plan saw them. This module must not know HTTP.

mod audit;
mod between;
mod carry;
mod error;
mod expiry;
mod history;
mod home;
mod lag;
mod marks;
mod now;
mod place;
mod scan;
mod settings;
mod survey;
mod tags;
pub(crate) mod transactional;
mod views;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use catchword_coordinator::ledger::{
    Change, ChangeId, Finished, Key, Ledger, Limits, Place, plan_restore, plan_undo,
};
use catchword_coordinator::partition_for;
use catchword_coordinator::record::headers::Cause;
use catchword_wire::{Str, Uuid};
use tokio::sync::Semaphore;

use crate::broker::Broker;
use crate::catalog::OFFSETS_TOPIC;
use crate::clock;
use crate::dispatch::{Call, Client};
use crate::outcome;
use crate::partition::Partition;
pub(crate) use audit::audit;
pub(crate) use between::{Span, between};
use carry::write;
pub(crate) use error::PlaneError;
pub(crate) use expiry::expiry;
pub(crate) use history::history;
pub(crate) use home::Home;
pub(crate) use lag::{group, groups, kind, those};
use marks::Bereft;
pub(crate) use marks::Marks;
pub(crate) use now::{
    AwaitedView, GroupList, GroupView, KeptView, MemberView, PartitionLag, PlaceView,
};
pub(crate) use place::{Put, kick, put};
pub(crate) use scan::records_from;
use scan::{Wanted, scan};
pub(crate) use settings::{NewSettings, set, settings};
pub(crate) use tags::{Then, restore_to, tag, tags, untag};
pub(crate) use views::{ChangeList, ChangeView, Done, GroupAt, Trash};

/// The most groups whose changes are gathered for a question about all groups.
const MAX_GROUPS: usize = 10_000;

/// Logs are read by so many at a time: each takes a core while it reads.
static READERS: Semaphore = Semaphore::const_new(2);

/// Runs work that reads logs, when its turn comes.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let _turn = READERS.acquire().await.ok()?;
    outcome::blocking(work).await
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) client_id: Str,
    pub(crate) ip: IpAddr,
}

impl Asker {
    /// As the records of bookmarks name who moved them.
    pub(crate) fn as_client(&self) -> catchword_coordinator::Client {
        catchword_coordinator::Client {
            client_id: self.client_id.clone(),
            client_host: Str::from(format!("/{}", self.ip)),
            principal: Str::EMPTY,
        }
    }
}

/// How a change is to be taken back.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct How {
    /// Do it, not only show it.
    pub(crate) apply: bool,
    /// Also where the bookmark has moved since.
    pub(crate) force: bool,
    /// Also while the group has members: they are sent away meanwhile, and rejoin.
    pub(crate) live: bool,
}

/// The partition of `__consumer_offsets` that a group lives in.
fn shard_of(broker: &Broker, group: &str) -> Result<Arc<Partition>, PlaneError> {
    let shards = shards(broker)?;
    let count = i32::try_from(shards.len()).unwrap_or(1).max(1);
    let index = partition_for(group, count);
    let shard = usize::try_from(index).ok().and_then(|i| shards.get(i));
    shard.cloned().ok_or_else(|| PlaneError::no_group(group))
}

fn shards(broker: &Broker) -> Result<Vec<Arc<Partition>>, PlaneError> {
    let topic = broker.catalog.topic(OFFSETS_TOPIC);
    Ok(topic.map_or_else(Vec::new, |topic| topic.partitions.clone()))
}

fn read(shard: &Partition, group: &str, limits: Limits) -> Result<Finished, PlaneError> {
    let mut ledger = Ledger::new(shard.tp.partition, Str::copy(group), limits);
    let wanted = Wanted::group(group);
    scan(&*shard.log, &wanted, |batch, record| {
        ledger.note(batch, record)
    })?;
    Ok(ledger.finish())
}

/// A group's past; an error if the log knows no such group.
async fn ledger(broker: &Arc<Broker>, group: &Str, limits: Limits) -> Result<Finished, PlaneError> {
    let shard = shard_of(broker, group)?;
    let name = group.clone();
    let found = blocking(move || read(&shard, &name, limits)).await;
    let found = found.ok_or_else(PlaneError::stopping)??;
    if found.first_ms.is_none() && limits.until_ms == i64::MAX {
        return Err(PlaneError::no_group(group));
    }
    Ok(found)
}

/// The newest changes of a group first; plain commits only if asked for.
pub(crate) async fn log(
    broker: &Arc<Broker>,
    group: &Str,
    limit: usize,
    commits: bool,
) -> Result<ChangeList, PlaneError> {
    let limits = Limits {
        commits: if commits { limit } else { 0 },
        ..Limits::default()
    };
    let found = ledger(broker, group, limits).await?;
    let mut changes: Vec<_> = found.meant.into_iter().chain(found.commits).collect();
    changes.sort_by_key(|change| std::cmp::Reverse(change.id.offset));
    changes.truncate(limit);
    Ok(ChangeList {
        changes: changes.iter().map(|c| ChangeView::of(group, c)).collect(),
    })
}

/// Where a group was.
pub(crate) async fn at(
    broker: &Arc<Broker>,
    group: &Str,
    time_ms: i64,
) -> Result<GroupAt, PlaneError> {
    let limits = Limits {
        commits: 0,
        until_ms: time_ms,
        ..Limits::default()
    };
    let found = ledger(broker, group, limits).await?;
    let now = ledger(broker, group, Limits::default()).await?;
    let exact_to = exact_to(broker, time_ms);
    Ok(GroupAt::of(group, time_ms, exact_to, &found, &now))
}

/// How finely a time is remembered.
fn exact_to(broker: &Broker, time_ms: i64) -> &'static str {
    let config = broker.catalog.config();
    let age_ms = clock::now_ms().saturating_sub(time_ms);
    if age_ms < config.offsets_history_all_ms {
        "move"
    } else if age_ms < config.offsets_history_minutely_ms {
        "minute"
    } else {
        "hour"
    }
}

/// The newest meant changes of all groups. A member's own step back is told by its group's [`log`] only.
pub(crate) async fn changes(broker: &Arc<Broker>, limit: usize) -> Result<ChangeList, PlaneError> {
    let shards = shards(broker)?;
    let marks = broker.marks.clone();
    let work = move || {
        let mut all = Vec::new();
        for shard in shards {
            all.append(&mut marks.changes(&shard)?);
        }
        Ok(all)
    };
    let all: Result<Vec<(Str, Finished)>, PlaneError> =
        blocking(work).await.ok_or_else(PlaneError::stopping)?;
    let all = all?;
    let mut changes: Vec<ChangeView> = Vec::new();
    for (group, found) in all {
        let newest = found.meant.iter().rev().take(limit);
        changes.extend(newest.map(|change| ChangeView::of(&group, change)));
    }
    changes.sort_by_key(|change| std::cmp::Reverse(change.at_ms));
    changes.truncate(limit);
    Ok(ChangeList { changes })
}

/// What is gone and can be put back.
pub(crate) async fn trash(broker: &Arc<Broker>, asker: &Asker) -> Result<Trash, PlaneError> {
    let since_ms = trash_begins(broker);
    let all = bereft(broker, asker).await?;
    let topic_id = topic_ids(broker).await;
    Ok(Trash::of(all, since_ms, topic_id))
}

/// All groups that lost bookmarks, with what is gone of them.
async fn bereft(broker: &Arc<Broker>, asker: &Asker) -> Result<Vec<(Str, Finished)>, PlaneError> {
    let shards = shards(broker)?;
    let marks = broker.marks.clone();
    let work = move || {
        let mut all = Vec::new();
        for shard in shards {
            all.append(&mut marks.bereft(&shard)?);
        }
        Ok(all)
    };
    let found: Result<Vec<Bereft>, PlaneError> =
        blocking(work).await.ok_or_else(PlaneError::stopping)?;
    let mut all = Vec::new();
    for one in found? {
        let (group, mut found) = match one {
            Bereft::Read(group, found) => {
                all.push((group, found));
                continue;
            }
            Bereft::Told(group, found) => (group, found),
        };
        if !found.gone.is_empty() {
            found.places = lag::places(broker, asker, &group).await?;
            found.gone.retain(|key, _| !found.places.contains_key(key));
        }
        all.push((group, found));
    }
    Ok(all)
}

/// A change, and what has to be known to take it back.
pub(crate) struct Found {
    pub(crate) group: Str,
    pub(crate) change: Change,
    /// Where the group is now.
    places: BTreeMap<Key, Place>,
}

/// One change and its group. Where its records say themselves what they replaced, nothing else is read.
pub(crate) async fn change(
    broker: &Arc<Broker>,
    asker: &Asker,
    id: ChangeId,
) -> Result<Found, PlaneError> {
    let shards = shards(broker)?;
    let shard = usize::try_from(id.shard).ok().and_then(|i| shards.get(i));
    let shard = shard.cloned().ok_or_else(|| PlaneError::no_change(id))?;
    let tells_origins = Home::of(broker).tells_origins();
    let work = move || {
        let group = scan::group_at(&*shard.log, id.offset)?;
        let group = group.ok_or_else(|| PlaneError::no_change(id))?;
        if tells_origins && let Some(change) = scan::change_at(&shard, &group, id)? {
            return Ok((group, change, None));
        }
        let found = read(&shard, &group, Limits::default())?;
        let change = found.change(id).ok_or_else(|| PlaneError::no_change(id))?;
        Ok((group, change.clone(), Some(found.places)))
    };
    let (group, change, places) = blocking(work).await.ok_or_else(PlaneError::stopping)??;
    let places = match places {
        Some(places) => places,
        None => lag::places(broker, asker, &group).await?,
    };
    Ok(Found {
        group,
        change,
        places,
    })
}

/// Takes a change back, or shows what that would do.
pub(crate) async fn undo(
    broker: &Arc<Broker>,
    asker: &Asker,
    id: ChangeId,
    how: How,
) -> Result<Done, PlaneError> {
    let Found {
        group,
        change,
        places,
    } = change(broker, asker, id).await?;
    let plan = plan_undo(&change, &places, topic_ids(broker).await);
    let view = ChangeView::of(&group, &change);
    let done = Done::of(&group, Some(view), &plan, how.force);
    if how.apply {
        let why = (Cause::Undo, Some(id));
        return write(broker, asker, &group, why, plan, how, done).await;
    }
    Ok(done)
}

/// Puts back what a group lost, or shows what that would do.
pub(crate) async fn restore(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
    how: How,
) -> Result<Done, PlaneError> {
    let found = ledger(broker, group, Limits::default()).await?;
    let plan = plan_restore(&found, trash_begins(broker), topic_ids(broker).await);
    if plan.steps.is_empty() {
        return Err(PlaneError::nothing_gone(group));
    }
    let done = Done::of(group, None, &plan, how.force);
    if how.apply {
        let why = (Cause::Restore, None);
        return write(broker, asker, group, why, plan, how, done).await;
    }
    Ok(done)
}

/// Puts back what a group lost of the bookmarks that `only` names, or with `apply` false only looks.
pub(crate) async fn restore_only(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
    apply: bool,
    only: impl Fn(&Str, i32) -> bool,
) -> Result<Done, PlaneError> {
    let found = ledger(broker, group, Limits::default()).await?;
    let mut plan = plan_restore(&found, trash_begins(broker), topic_ids(broker).await);
    plan.steps.retain(|step| only(&step.topic, step.partition));
    if plan.steps.is_empty() {
        return Err(PlaneError::nothing_gone(group));
    }
    let how = How {
        apply,
        ..How::default()
    };
    let done = Done::of(group, None, &plan, false);
    if apply {
        let why = (Cause::Restore, None);
        return write(broker, asker, group, why, plan, how, done).await;
    }
    Ok(done)
}

/// A call as a connection would make it.
fn call(broker: &Arc<Broker>, asker: &Asker) -> Call {
    Call {
        broker: broker.clone(),
        client: Arc::new(Client::new((asker.ip, 0).into(), 0)),
        client_id: asker.client_id.clone(),
        version: 9,
        size: 0,
    }
}

fn trash_begins(broker: &Broker) -> i64 {
    let keep_ms = broker.catalog.config().offsets_trash_retention_ms;
    clock::now_ms().saturating_sub(keep_ms)
}

/// The ids of the topics that the bookmarks are in, as they are now.
async fn topic_ids(broker: &Arc<Broker>) -> impl Fn(&str) -> Option<Uuid> + use<> {
    let home = Home::of(broker);
    home.look_at_topics().await;
    move |topic| home.topic_id(topic)
}
