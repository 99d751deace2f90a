//! What can be said of a StreamsGroupHeartbeat without the group.

use catchword_wire::messages::StreamsGroupHeartbeatRequest;
use catchword_wire::{ErrorCode, Str};

use super::Refused;
use crate::group::fits_record;

/// The epoch of a member that leaves.
pub(crate) const LEFT: i32 = -1;

/// Checks what Kafka checks first.
pub(crate) fn validate(request: &StreamsGroupHeartbeatRequest) -> Result<(), Refused> {
    match objection(request) {
        None => Ok(()),
        Some(why) => Err((ErrorCode::InvalidRequest, why.into())),
    }
}

fn objection(request: &StreamsGroupHeartbeatRequest) -> Option<&'static str> {
    unsupported(request).or_else(|| malformed(request))
}

/// What the protocol has words for, and no broker an answer yet.
fn unsupported(request: &StreamsGroupHeartbeatRequest) -> Option<&'static str> {
    let has_tasks = |tasks: &Option<Vec<_>>| tasks.as_ref().is_some_and(|tasks| !tasks.is_empty());
    let topology = request.topology.iter();
    let mut subtopologies = topology.flat_map(|topology| &topology.subtopologies);
    if request.instance_id.is_some() {
        Some("streams groups have no static members: leave group.instance.id away")
    } else if request.task_offsets.is_some() || request.task_end_offsets.is_some() {
        Some("offsets of tasks are not understood")
    } else if has_tasks(&request.warmup_tasks) {
        Some("there are no warm-up tasks, so nobody has any")
    } else if subtopologies.any(|s| !s.source_topic_regex.is_empty()) {
        Some(
            "streams groups cannot read topics by a regular expression: name the topics, or use group.protocol=classic",
        )
    } else {
        None
    }
}

fn malformed(request: &StreamsGroupHeartbeatRequest) -> Option<&'static str> {
    let is_blank = |text: &Str| text.trim().is_empty();
    let epoch = request.member_epoch;
    let tasks = [
        &request.active_tasks,
        &request.standby_tasks,
        &request.warmup_tasks,
    ];
    let told = tasks.iter().filter(|tasks| tasks.is_some()).count();
    if is_blank(&request.member_id) || is_blank(&request.group_id) {
        return Some("the member id or the group id is missing");
    }
    if request.rack_id.as_ref().is_some_and(is_blank) {
        return Some("the rack id is blank");
    }
    if epoch == 0 {
        if request.rebalance_timeout_ms == -1 {
            return Some("who joins must give a rebalance timeout");
        }
        if tasks
            .iter()
            .any(|tasks| tasks.as_ref().is_none_or(|tasks| !tasks.is_empty()))
        {
            return Some("who joins must have no tasks, and say so");
        }
        if request.topology.is_none() {
            return Some("who joins must bring its topology");
        }
    } else if epoch < LEFT {
        return Some("there is no such member epoch");
    } else if request.topology.is_some() {
        return Some("the topology is for those who join");
    }
    if !matches!(told, 0 | 3) {
        return Some("who tells its tasks must tell those of all three kinds");
    }
    let ids = [&request.member_id, &request.group_id];
    (!ids.into_iter().all(|id| fits_record(id))).then_some("an id is too long")
}
