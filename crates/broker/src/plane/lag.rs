//! Groups as they are now: members, committed offsets, how far behind.
//!
//! Lag counts from where the log still begins; what it has lost before the group read it is told apart, or a group that
//! stands still would seem to fall behind for ever.

use std::sync::Arc;

use catchword_coordinator::{Call as GroupCall, OffsetFetchCall, Reply};
use catchword_wire::Str;
use catchword_wire::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;

use super::error::PlaneError;
use super::views::{GroupList, GroupView, MemberView, PartitionLag};
use super::{Asker, call};
use crate::broker::Broker;
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
    let mut groups = Vec::with_capacity(listed.len());
    for one in listed {
        let partitions = partitions(broker, asker, &one.group_id).await?;
        groups.push(GroupView::of(
            &one.group_id,
            &one.group_state,
            kind(&one.group_type, &one.protocol_type),
            Vec::new(),
            partitions,
        ));
    }
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
        (described.group_state.clone(), kind, members(described))
    };
    let partitions = partitions(broker, asker, group).await?;
    Ok(GroupView::of(group, &state, kind, members, partitions))
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
                    member(
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
                let members =
                    members.map(|m| member(&m.member_id, None, &m.client_id, &m.client_host));
                return Ok((found.group_state, "share", members.collect()));
            }
            Some(Reply::StreamsGroupDescribe(found)) if found.error_code == 0 => {
                let members = found.members.into_iter();
                let members =
                    members.map(|m| member(&m.member_id, None, &m.client_id, &m.client_host));
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

fn member(id: &str, instance_id: Option<&Str>, client_id: &str, host: &str) -> MemberView {
    MemberView {
        member_id: id.to_owned(),
        instance_id: instance_id.map(Str::to_string),
        client_id: client_id.to_owned(),
        host: host.trim_start_matches('/').to_owned(),
    }
}

fn members(described: DescribedGroup) -> Vec<MemberView> {
    let members = described.members.into_iter();
    let view = |m: DescribedGroupMember| {
        let instance_id = m.group_instance_id.as_ref();
        member(&m.member_id, instance_id, &m.client_id, &m.client_host)
    };
    members.map(view).collect()
}

async fn partitions(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
) -> Result<Vec<PartitionLag>, PlaneError> {
    let request = GroupCall::OffsetFetch(OffsetFetchCall {
        group: OffsetFetchRequestGroup {
            group_id: group.clone(),
            topics: None,
            ..OffsetFetchRequestGroup::default()
        },
        require_stable: false,
    });
    let call = call(broker, asker);
    let fetched = broker.groups.call(&call, request).get().await.flatten();
    let Some(Reply::OffsetFetch(fetched)) = fetched else {
        return Err(PlaneError::stopping());
    };
    let mut all = Vec::new();
    for topic in fetched.topics {
        let known = broker.catalog.topic(&topic.name);
        for p in topic.partitions {
            let partition = known.as_ref().and_then(|t| t.partition(p.partition_index));
            let offsets = partition.map(|partition| partition.log.offsets());
            let (start, end) = (
                offsets.map(|o| o.log_start),
                offsets.map(|o| o.high_watermark),
            );
            all.push(PartitionLag::of(
                &topic.name,
                p.partition_index,
                p.committed_offset,
                start,
                end,
            ));
        }
    }
    Ok(all)
}
