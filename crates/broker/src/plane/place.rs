//! Putting a group where somebody says, its members sent away meanwhile if there are any; and sending one member away.
//!
//! Kafka's own way, an OffsetCommit by nobody, is refused while a group has members. This one is the broker's: see
//! `catchword_coordinator::MoveOffsets::live`.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchword_coordinator::ledger::{Limits, Place, plan_set};
use catchword_coordinator::record::headers::Cause;
use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::{ErrorCode, Str, Uuid};
use serde::{Deserialize, Serialize};

use super::error::PlaneError;
use super::home::Home;
use super::lag;
use super::now::MemberView;
use super::views::Done;
use super::{Asker, How, call, ledger, write};
use crate::broker::Broker;

/// Where one bookmark is to be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Put {
    topic: String,
    partition: i32,
    offset: i64,
    #[serde(default)]
    metadata: String,
}

/// The member that goes, or went.
#[derive(Debug, Serialize)]
pub(crate) struct Kicked {
    group: String,
    applied: bool,
    member: MemberView,
}

/// Puts bookmarks where they are asked to be, or shows what that would do. Others stay.
pub(crate) async fn put(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
    places: Vec<Put>,
    how: How,
) -> Result<Done, PlaneError> {
    let home = Home::of(broker);
    home.look_at_topics().await;
    let mut then = BTreeMap::new();
    for Put {
        topic,
        partition,
        offset,
        metadata,
    } in places
    {
        if !home.has_partition(&topic, partition) || offset < 0 {
            return Err(PlaneError::new(
                400,
                "no-such-place",
                format!("there is no offset {offset} in {topic}:{partition}; nothing was changed"),
                "name partitions that exist and offsets from 0 on",
            ));
        }
        let place = Place {
            offset,
            leader_epoch: -1,
            metadata: Str::from(metadata),
            topic_id: home.topic_id(&topic).unwrap_or(Uuid::ZERO),
        };
        then.insert((Str::from(topic), partition), place);
    }
    let mut now = ledger(broker, group, Limits::default()).await?;
    now.places.retain(|key, _| then.contains_key(key));
    let plan = plan_set(&then, &now, |topic| home.topic_id(topic));
    let done = Done::of(group, None, &plan, how.force);
    if how.apply {
        let why = (Cause::Reset, None);
        return write(broker, asker, group, why, plan, how, done).await;
    }
    Ok(done)
}

/// Sends a member away, known by its member id or group instance id; or only tells who that is.
pub(crate) async fn kick(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
    member: &Str,
    apply: bool,
) -> Result<Kicked, PlaneError> {
    let unknown = || {
        PlaneError::new(
            404,
            "unknown-member",
            format!("group {group:?} has no member {member:?}; nothing was changed"),
            format!("`catchword show {group}` lists its members"),
        )
    };
    Home::of(broker).may_kick()?;
    let view = lag::group(broker, asker, group).await?;
    let found = view.members.into_iter().find(|m| m.is_named(member));
    let kicked = Kicked {
        group: group.to_string(),
        applied: apply,
        member: found.ok_or_else(unknown)?,
    };
    if !apply {
        return Ok(kicked);
    }
    let request = GroupCall::Kick {
        group_id: group.clone(),
        member: member.clone(),
    };
    let call = call(broker, asker);
    match broker.groups.call(&call, request).get().await.flatten() {
        Some(Reply::Kick(ErrorCode::None)) => Ok(kicked),
        Some(Reply::Kick(ErrorCode::UnknownMemberId | ErrorCode::GroupIdNotFound)) => {
            Err(unknown())
        }
        Some(Reply::Kick(error)) => Err(PlaneError::refused(error)),
        _ => Err(PlaneError::stopping()),
    }
}
