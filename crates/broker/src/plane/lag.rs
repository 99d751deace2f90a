//! Groups as they are now: members, committed offsets, how far behind.
//!
//! Lag is records that the group will still be given (see [`catchword_log::Tally`]), from where the log still begins; what
//! that has lost before the group read it is told apart, or a group that stands still would seem to fall behind for ever.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchword_coordinator::ledger::{Key, Place};
use catchword_coordinator::{GroupNow, Roster, RosterMember};
use catchword_log::Unread;
use catchword_wire::{Str, Uuid};

use super::error::PlaneError;
use super::home::Home;
use super::now::{GroupList, GroupView, PartitionLag};
use super::{Asker, blocking, expiry, survey};
use crate::broker::Broker;
use crate::clock;

/// All groups, without their members.
pub(crate) async fn groups(broker: &Arc<Broker>, asker: &Asker) -> Result<GroupList, PlaneError> {
    Home::of(broker).groups(asker).await
}

/// Those of some groups that exist, without their members and what those were handed.
pub(crate) async fn those(
    broker: &Arc<Broker>,
    asker: &Asker,
    wanted: impl Iterator<Item = &Str> + Clone,
) -> Result<Vec<GroupView>, PlaneError> {
    Home::of(broker).those(asker, wanted).await
}

/// One group.
pub(crate) async fn group(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
) -> Result<GroupView, PlaneError> {
    Home::of(broker).group(asker, group).await
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
pub(super) async fn seen(
    broker: &Arc<Broker>,
    found: Vec<GroupNow>,
) -> Result<Vec<GroupView>, PlaneError> {
    let broker = broker.clone();
    let work = move || {
        let lags = lags(&broker, &found).into_iter();
        let view = |(group, partitions): (&GroupNow, Vec<PartitionLag>)| {
            let listed = &group.listed;
            let kind = kind(&listed.group_type, &listed.protocol_type);
            let (id, state) = (&listed.group_id, &listed.group_state);
            let view = GroupView::of(id, state, kind, Vec::new(), partitions);
            let awaited = group.roster.as_deref();
            let awaited = awaited.map_or(&[][..], |roster| &roster.awaited);
            let expiries = group.bookmarks.iter().filter_map(|b| b.expires_ms);
            let kept = expiry::kept(&broker, id, expiries.min());
            view.awaiting(awaited).kept(kept)
        };
        found.iter().zip(lags).map(view).collect()
    };
    blocking(work).await.ok_or_else(PlaneError::stopping)
}

/// What groups have before them in each partition where they have a bookmark, and what their members were handed, as far as
/// their rosters are known. A partition is asked once for all of them. Reads logs, so it blocks.
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
                topic_id: topic.as_ref().map(|topic| topic.id),
                start: Some(offsets.log_start),
                end: Some(offsets.high_watermark),
                unread: unread.get(n).copied(),
            };
        }
    }
    let now_ms = clock::now_ms();
    let mut before = before.into_iter();
    let of_group = |group: &GroupNow| {
        let has = group.roster.as_deref().map(holders).unwrap_or_default();
        let id = &group.listed.group_id;
        let own = group.bookmarks.iter().zip(before.by_ref());
        own.map(|(b, before)| {
            let Before {
                start, end, unread, ..
            } = before;
            let handed = before.topic_id.and_then(|topic_id| {
                let reader = has.get(&(&b.topic, b.partition))?;
                let (client_id, host) = (&reader.client_id, &reader.client_host);
                broker
                    .readings
                    .handed(client_id, host, topic_id, b.partition)
            });
            let lag = PartitionLag {
                committed_ms: Some(b.committed_ms),
                held_bytes: broker.holds.held_for(id, &b.topic, b.partition),
                ..PartitionLag::of(&b.topic, b.partition, b.place.offset, start, end)
            };
            let lag = match unread {
                Some(unread) => lag.counted(unread, now_ms),
                None => lag,
            };
            lag.fetched(handed.map(|handed| handed.to))
        })
        .collect()
    };
    groups.iter().map(of_group).collect()
}

/// Who has each partition.
fn holders(roster: &Roster) -> BTreeMap<(&Str, i32), &RosterMember> {
    let members = roster.members.iter();
    members
        .flat_map(|member| {
            let own = member.partitions.iter();
            own.map(move |(topic, index)| ((topic, *index), member))
        })
        .collect()
}

/// What is before a bookmark. All of it is absent where its partition is gone.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    topic_id: Option<Uuid>,
    start: Option<i64>,
    end: Option<i64>,
    unread: Option<Unread>,
}
