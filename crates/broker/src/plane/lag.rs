//! Groups as they are now: members, committed offsets, how far behind.
//!
//! Lag is records that the group will still be given (see [`catchword_log::Tally`]), from where the log still begins; what
//! that has lost before the group read it is told apart, or a group that stands still would seem to fall behind for ever.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchword_coordinator::ledger::{Key, Place};
use catchword_coordinator::{Call as GroupCall, OffsetFetchCall, Reply};
use catchword_wire::messages::list_groups_response::ListedGroup;
use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use catchword_wire::messages::offset_fetch_response::OffsetFetchResponseGroup;
use catchword_wire::{Str, Uuid};

use super::error::PlaneError;
use super::views::{GroupList, GroupView, KeptView, MemberView, PartitionLag};
use super::{Asker, blocking, call, expiry};
use crate::broker::Broker;
use crate::clock;
use crate::dispatch::Call;
use crate::outcome;

/// All groups, with their members only if asked for.
pub(crate) async fn groups(broker: &Arc<Broker>, asker: &Asker) -> Result<GroupList, PlaneError> {
    if let Some(guardian) = broker.guardian.clone() {
        let found = outcome::blocking(move || guardian.groups()).await;
        return found.ok_or_else(PlaneError::stopping)?;
    }
    let call = call(broker, asker);
    let list = || GroupCall::ListGroups {
        states: Vec::new(),
        types: Vec::new(),
    };
    let mut listed = Vec::new();
    for reply in broker.groups.call_all(&call, list) {
        if let Some(Some(Reply::ListGroups(some))) = reply.get().await {
            listed.extend(some);
        }
    }
    listed.sort_by(|a, b| a.group_id.cmp(&b.group_id));
    let mut found = Vec::with_capacity(listed.len());
    for one in listed {
        let fetched = committed(broker, asker, &one.group_id).await?;
        let kept = expiry::kept(broker, asker, &one.group_id).await?;
        found.push((one, fetched, kept));
    }
    let broker = broker.clone();
    let work = move || {
        let view = |(one, fetched, kept): (ListedGroup, OffsetFetchResponseGroup, KeptView)| {
            let kind = kind(&one.group_type, &one.protocol_type);
            let partitions = partitions(&broker, &fetched);
            let (group, state) = (&one.group_id, &one.group_state);
            GroupView::of(group, state, kind, Vec::new(), partitions).kept(kept)
        };
        found.into_iter().map(view).collect()
    };
    let groups = blocking(work).await.ok_or_else(PlaneError::stopping)?;
    Ok(GroupList { groups })
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
    let fetched = committed(broker, asker, group).await?;
    let kept = expiry::kept(broker, asker, group).await?;
    let broker = broker.clone();
    let partitions = blocking(move || partitions(&broker, &fetched)).await;
    let partitions = partitions.ok_or_else(PlaneError::stopping)?;
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

/// The committed offsets of a group, as its coordinator has them.
async fn committed(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
) -> Result<OffsetFetchResponseGroup, PlaneError> {
    let request = GroupCall::OffsetFetch(OffsetFetchCall {
        group: OffsetFetchRequestGroup {
            group_id: group.clone(),
            topics: None,
            ..OffsetFetchRequestGroup::default()
        },
        require_stable: false,
    });
    let call = call(broker, asker);
    match broker.groups.call(&call, request).get().await.flatten() {
        Some(Reply::OffsetFetch(fetched)) => Ok(fetched),
        _ => Err(PlaneError::stopping()),
    }
}

/// When a group last committed in each partition, ms since 1970; nothing where its coordinator cannot be asked.
pub(crate) async fn last_commits(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
) -> BTreeMap<(String, i32), i64> {
    if let Some(guardian) = &broker.guardian {
        return guardian.last_commits(group);
    }
    let call = call(broker, asker);
    let request = GroupCall::LastCommits(group.clone());
    let commits = match broker.groups.call(&call, request).get().await.flatten() {
        Some(Reply::LastCommits(commits)) => commits,
        _ => Vec::new(),
    };
    let one = |(topic, partition, at_ms): (Str, i32, i64)| ((topic.to_string(), partition), at_ms);
    commits.into_iter().map(one).collect()
}

/// Where a group's bookmarks are. Of the topics' ids nothing is said.
pub(super) async fn places(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
) -> Result<BTreeMap<Key, Place>, PlaneError> {
    let mut places = BTreeMap::new();
    for topic in committed(broker, asker, group).await?.topics {
        for p in topic.partitions {
            let place = Place {
                offset: p.committed_offset,
                leader_epoch: p.committed_leader_epoch,
                metadata: p.metadata.unwrap_or_default(),
                topic_id: Uuid::ZERO,
            };
            places.insert((topic.name.clone(), p.partition_index), place);
        }
    }
    Ok(places)
}

/// What a group has before it in each partition where it has a bookmark. Reads logs, so it blocks.
fn partitions(broker: &Broker, fetched: &OffsetFetchResponseGroup) -> Vec<PartitionLag> {
    let holds = |topic: &Str, index| broker.holds.held_for(&fetched.group_id, topic, index);
    let now_ms = clock::now_ms();
    let mut all = Vec::new();
    for topic in &fetched.topics {
        let known = broker.catalog.topic(&topic.name);
        for p in &topic.partitions {
            let partition = known.as_ref().and_then(|t| t.partition(p.partition_index));
            let offsets = partition.map(|partition| partition.log.offsets());
            let (start, end) = (
                offsets.map(|o| o.log_start),
                offsets.map(|o| o.high_watermark),
            );
            let (index, committed) = (p.partition_index, p.committed_offset);
            let lag = PartitionLag {
                held_bytes: holds(&topic.name, index),
                ..PartitionLag::of(&topic.name, index, committed, start, end)
            };
            let unread = partition.and_then(|partition| partition.unread(committed));
            all.push(match unread {
                Some(unread) => lag.counted(unread, now_ms),
                None => lag,
            });
        }
    }
    all
}
