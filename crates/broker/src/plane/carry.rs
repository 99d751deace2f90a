//! Carries a plan out where the groups are, and says why it was refused.

use std::sync::Arc;

use catchword_coordinator::ledger::{ChangeId, Key, Obstacle, Plan};
use catchword_coordinator::record::headers::Cause;
use catchword_coordinator::{BookmarkMove, MoveOffsets, Moved};
use catchword_wire::{ErrorCode, Str};

use super::error::PlaneError;
use super::home::Home;
use super::views::Done;
use super::{Asker, How, blocking, scan, shard_of};
use crate::broker::Broker;

/// Carries a plan out that puts bookmarks back: all of it or nothing. Returns `done` with the change that came of it.
pub(super) async fn write(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
    (cause, of): (Cause, Option<ChangeId>),
    plan: Plan,
    how: How,
    done: Done,
) -> Result<Done, PlaneError> {
    let moved_on = plan.count(Obstacle::MovedOn);
    if moved_on > 0 && !how.force {
        return Err(PlaneError::moved_on(group, moved_on));
    }
    let moves: Vec<BookmarkMove> = plan
        .writes(how.force)
        .map(|step| BookmarkMove {
            topic: step.topic.clone(),
            partition: step.partition,
            expected: step.now.as_ref().map(|place| place.offset),
            then: step.then.clone(),
        })
        .collect();
    if moves.is_empty() {
        return Err(PlaneError::nothing_to_do(group, &plan));
    }
    let request = MoveOffsets {
        group_id: group.clone(),
        cause,
        of: of.map(|of| of.to_string()),
        live: how.live,
        moves,
    };
    let pinned = pinned(broker, group, &request.moves);
    let shard = shard_of(broker, group)?;
    let before = shard.log.offsets().log_end;
    match Home::of(broker).move_offsets(asker, request).await? {
        Moved::Done => {}
        Moved::Elsewhere(_) => return Err(PlaneError::overtaken(group)),
        Moved::Refused(ErrorCode::NonEmptyGroup) => return Err(PlaneError::active(group)),
        Moved::Refused(ErrorCode::PolicyViolation) => {
            return Err(match (pinned, broker.catalog.protection(group)) {
                (Some((topic, partition)), _) => PlaneError::pinned(group, &topic, partition),
                (None, Some(protection)) => PlaneError::protected(group, protection),
                // What held was lifted at this very moment.
                (None, None) => PlaneError::overtaken(group),
            });
        }
        Moved::Refused(error) => return Err(PlaneError::refused(error)),
    }
    let group = group.clone();
    let own = blocking(move || scan::changes_since(&shard, &group, before)).await;
    let own = own.ok_or_else(PlaneError::stopping)??;
    let own = own.iter().rev().find(|c| c.kind.name() == cause.name());
    Ok(done.applied(own.map(|change| change.id)))
}

/// The first of the bookmarks that would be removed although it is pinned.
fn pinned(broker: &Broker, group: &str, moves: &[BookmarkMove]) -> Option<Key> {
    let rules = broker.catalog.retention_rules();
    let removed = moves.iter().filter(|m| m.then.is_none());
    let mut pinned = removed.filter(|m| rules.is_pinned(group, &m.topic, m.partition));
    pinned.next().map(|m| (m.topic.clone(), m.partition))
}
