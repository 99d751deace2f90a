//! Groups as they are now: members, committed offsets, how far behind.
//!
//! Lag is records that the group will still be given (see [`catchword_log::Tally`]), from where the log still begins; what
//! that has lost before the group read it is told apart, or a group that stands still would seem to fall behind for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catchword_coordinator::ledger::{Key, Place};
use catchword_coordinator::{Call as GroupCall, GroupNow, Reply};
use catchword_log::Unread;
use catchword_wire::{Str, Uuid};

use super::error::PlaneError;
use super::now::{GroupList, GroupView, KeptView, MemberView, PartitionLag};
use super::{Asker, blocking, call, expiry, survey};
use crate::broker::Broker;
use crate::clock;
use crate::dispatch::Call;
use crate::outcome;

/// All groups, without their members.
pub(crate) async fn groups(broker: &Arc<Broker>, asker: &Asker) -> Result<GroupList, PlaneError> {
    if let Some(guardian) = broker.guardian.clone() {
        let found = outcome::blocking(move || guardian.groups()).await;
        return found.ok_or_else(PlaneError::stopping)?;
    }
    let found = survey::all(broker, asker).await;
    let groups = seen(broker, found).await?;
    Ok(GroupList { groups })
}

/// Those of some groups that exist, without their members.
pub(crate) async fn those(
    broker: &Arc<Broker>,
    asker: &Asker,
    wanted: impl Iterator<Item = &Str> + Clone,
) -> Result<Vec<GroupView>, PlaneError> {
    if broker.guardian.is_some() {
        let wanted: BTreeSet<&str> = wanted.map(Str::as_str).collect();
        let mut all = groups(broker, asker).await?.groups;
        all.retain(|group| wanted.contains(group.group.as_str()));
        return Ok(all);
    }
    let found = survey::those(broker, asker, wanted).await?;
    seen(broker, found).await
}

/// One group.
pub(crate) async fn group(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
) -> Result<GroupView, PlaneError> {
    if let Some(guardian) = broker.guardian.clone() {
        let group = group.clone();
        let found = outcome::blocking(move || guardian.group(&group)).await;
        return found.ok_or_else(PlaneError::stopping)?;
    }
    let call = call(broker, asker);
    let request = GroupCall::DescribeGroup(group.clone());
    let described = broker.groups.call(&call, request).get().await.flatten();
    let Some(Reply::DescribeGroup(described)) = described else {
        return Err(PlaneError::stopping());
    };
    let (state, kind, members) = if described.group_state == "Dead" {
        // Kafka's older description does not know the newer kinds.
        newer_group(broker, &call, group).await?
    } else {
        let kind = kind("classic", &described.protocol_type);
        let members = described.members.iter().map(|m| {
            let instance_id = m.group_instance_id.as_ref();
            MemberView::of(&m.member_id, instance_id, &m.client_id, &m.client_host)
        });
        (described.group_state.clone(), kind, members.collect())
    };
    let found = survey::one(broker, asker, group).await?;
    let found = seen(broker, found.into_iter().collect()).await?;
    let (partitions, kept) = found.into_iter().next().map_or_else(
        || (Vec::new(), KeptView::default()),
        |view| (view.partitions, view.kept),
    );
    Ok(GroupView::of(group, &state, kind, members, partitions).kept(kept))
}

/// State, kind and members of a group of one of the newer kinds.
async fn newer_group(
    broker: &Arc<Broker>,
    call: &Call,
    group: &Str,
) -> Result<(Str, &'static str, Vec<MemberView>), PlaneError> {
    let kinds = [
        GroupCall::ConsumerGroupDescribe,
        GroupCall::ShareGroupDescribe,
        GroupCall::StreamsGroupDescribe,
    ];
    for ask in kinds {
        let reply = broker.groups.call(call, ask(group.clone())).get().await;
        match reply.flatten() {
            Some(Reply::ConsumerGroupDescribe(found)) if found.error_code == 0 => {
                let members = found.members.into_iter().map(|m| {
                    MemberView::of(
                        &m.member_id,
                        m.instance_id.as_ref(),
                        &m.client_id,
                        &m.client_host,
                    )
                });
                return Ok((found.group_state, "consumer", members.collect()));
            }
            Some(Reply::ShareGroupDescribe(found)) if found.error_code == 0 => {
                let members = found.members.into_iter();
                let members = members
                    .map(|m| MemberView::of(&m.member_id, None, &m.client_id, &m.client_host));
                return Ok((found.group_state, "share", members.collect()));
            }
            Some(Reply::StreamsGroupDescribe(found)) if found.error_code == 0 => {
                let members = found.members.into_iter();
                let members = members
                    .map(|m| MemberView::of(&m.member_id, None, &m.client_id, &m.client_host));
                return Ok((found.group_state, "streams", members.collect()));
            }
            Some(_) => {}
            None => return Err(PlaneError::stopping()),
        }
    }
    Err(PlaneError::no_group(group))
}

/// Kafka's clients tell a simple group, whose consumers assign themselves their partitions, by its having no protocol.
pub(crate) fn kind<'a>(group_type: &'a str, protocol_type: &str) -> &'a str {
    match (group_type, protocol_type.is_empty()) {
        ("classic", true) => "simple",
        (kind, _) => kind,
    }
}

/// Where a group's bookmarks are. Of the topics' ids nothing is said.
pub(super) async fn places(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
) -> Result<BTreeMap<Key, Place>, PlaneError> {
    let found = survey::one(broker, asker, group).await?.into_iter();
    let bookmarks = found.flat_map(|group| group.bookmarks);
    let places = bookmarks.map(|b| {
        let place = Place {
            topic_id: Uuid::ZERO,
            ..b.place
        };
        ((b.topic, b.partition), place)
    });
    Ok(places.collect())
}

/// Groups with what they have before them, their members left out.
async fn seen(broker: &Arc<Broker>, found: Vec<GroupNow>) -> Result<Vec<GroupView>, PlaneError> {
    let broker = broker.clone();
    let work = move || {
        let lags = lags(&broker, &found).into_iter();
        let view = |(group, partitions): (&GroupNow, Vec<PartitionLag>)| {
            let listed = &group.listed;
            let kind = kind(&listed.group_type, &listed.protocol_type);
            let (id, state) = (&listed.group_id, &listed.group_state);
            let view = GroupView::of(id, state, kind, Vec::new(), partitions);
            view.kept(expiry::kept(&broker, group))
        };
        found.iter().zip(lags).map(view).collect()
    };
    blocking(work).await.ok_or_else(PlaneError::stopping)
}

/// What groups have before them in each partition where they have a bookmark. A partition is asked once for all of them.
/// Reads logs, so it blocks.
fn lags(broker: &Broker, groups: &[GroupNow]) -> Vec<Vec<PartitionLag>> {
    let bookmarks = || groups.iter().flat_map(|group| &group.bookmarks);
    let mut readers: BTreeMap<(&Str, i32), Vec<(i64, usize)>> = BTreeMap::new();
    for (at, bookmark) in bookmarks().enumerate() {
        let own = readers.entry((&bookmark.topic, bookmark.partition));
        own.or_default().push((bookmark.place.offset, at));
    }
    let mut before = vec![Before::default(); bookmarks().count()];
    for ((topic, index), mut readers) in readers {
        let topic = broker.catalog.topic(topic);
        let Some(partition) = topic.as_ref().and_then(|topic| topic.partition(index)) else {
            continue;
        };
        readers.sort_unstable();
        let offsets = partition.log.offsets();
        let from: Vec<i64> = readers.iter().map(|(offset, _)| *offset).collect();
        let unread = partition.unread(&from).unwrap_or_default();
        for (n, (_, at)) in readers.iter().enumerate() {
            before[*at] = Before {
                start: Some(offsets.log_start),
                end: Some(offsets.high_watermark),
                unread: unread.get(n).copied(),
            };
        }
    }
    let now_ms = clock::now_ms();
    let mut before = before.into_iter();
    let of_group = |group: &GroupNow| {
        let id = &group.listed.group_id;
        let own = group.bookmarks.iter().zip(before.by_ref());
        own.map(|(b, Before { start, end, unread })| {
            let lag = PartitionLag {
                committed_ms: Some(b.committed_ms),
                held_bytes: broker.holds.held_for(id, &b.topic, b.partition),
                ..PartitionLag::of(&b.topic, b.partition, b.place.offset, start, end)
            };
            match unread {
                Some(unread) => lag.counted(unread, now_ms),
                None => lag,
            }
        })
        .collect()
    };
    groups.iter().map(of_group).collect()
}

/// What is before a bookmark. All of it is absent where its partition is gone.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    start: Option<i64>,
    end: Option<i64>,
    unread: Option<Unread>,
}
