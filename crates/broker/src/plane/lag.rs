//! Groups as they are now: members, committed offsets, how far behind.
//!
//! Lag counts from where the log still begins; what it has lost before the group read it is told apart, or a group that
//! stands still would seem to fall behind for ever.

use std::sync::Arc;

use catchword_coordinator::{Call as GroupCall, OffsetFetchCall, Reply};
use catchword_wire::Str;
use catchword_wire::messages::describe_groups_response::DescribedGroup;
use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use catchword_wire::messages::{consumer_group_describe_response, share_group_describe_response};

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
        // Kafka's older description does not know the newer kind.
        let request = GroupCall::ConsumerGroupDescribe(group.clone());
        match broker.groups.call(&call, request).get().await.flatten() {
            Some(Reply::ConsumerGroupDescribe(found)) if found.error_code == 0 => (
                found.group_state,
                "consumer",
                found.members.into_iter().map(member).collect(),
            ),
            Some(_) => share_group(broker, &call, group).await?,
            None => return Err(PlaneError::stopping()),
        }
    } else {
        let kind = kind("classic", &described.protocol_type);
        (described.group_state.clone(), kind, members(described))
    };
    let partitions = partitions(broker, asker, group).await?;
    Ok(GroupView::of(group, &state, kind, members, partitions))
}

/// What neither older description knows may be a share group.
async fn share_group(
    broker: &Arc<Broker>,
    call: &Call,
    group: &Str,
) -> Result<(Str, &'static str, Vec<MemberView>), PlaneError> {
    let request = GroupCall::ShareGroupDescribe(group.clone());
    match broker.groups.call(call, request).get().await.flatten() {
        Some(Reply::ShareGroupDescribe(found)) if found.error_code == 0 => {
            let member = |m: share_group_describe_response::Member| MemberView {
                member_id: m.member_id.to_string(),
                instance_id: None,
                client_id: m.client_id.to_string(),
                host: m.client_host.trim_start_matches('/').to_owned(),
            };
            let members = found.members.into_iter().map(member).collect();
            Ok((found.group_state, "share", members))
        }
        Some(_) => Err(PlaneError::no_group(group)),
        None => Err(PlaneError::stopping()),
    }
}

/// Kafka's clients tell a simple group, whose consumers assign themselves their partitions, by its having no protocol.
pub(crate) fn kind<'a>(group_type: &'a str, protocol_type: &str) -> &'a str {
    match (group_type, protocol_type.is_empty()) {
        ("classic", true) => "simple",
        (kind, _) => kind,
    }
}

fn member(member: consumer_group_describe_response::Member) -> MemberView {
    MemberView {
        member_id: member.member_id.to_string(),
        instance_id: member.instance_id.map(|id| id.to_string()),
        client_id: member.client_id.to_string(),
        host: member.client_host.trim_start_matches('/').to_owned(),
    }
}

fn members(described: DescribedGroup) -> Vec<MemberView> {
    let member =
        |m: catchword_wire::messages::describe_groups_response::DescribedGroupMember| MemberView {
            member_id: m.member_id.to_string(),
            instance_id: m.group_instance_id.map(|id| id.to_string()),
            client_id: m.client_id.to_string(),
            host: m.client_host.trim_start_matches('/').to_owned(),
        };
    described.members.into_iter().map(member).collect()
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
