//! A member of a streams group: one thread of one instance of the application.
//!
//! A member outlives the request that made it, so nothing in it shares a request's buffer.

use std::collections::BTreeMap;

use catchword_wire::Str;
use catchword_wire::messages::StreamsGroupHeartbeatRequest;

use super::task::{Held, Task};
use crate::effect::Context;
use crate::timer::Deadline;

/// A member and what is waited for.
#[derive(Debug, Clone, Default)]
pub(super) struct Member {
    pub(super) said: Said,
    pub(super) current: Current,
    pub(super) session: Deadline,
    /// Until when it must have given up what it is to give up.
    pub(super) revocation: Deadline,
}

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) instance_id: Option<Str>,
    pub(super) rack_id: Option<Str>,
    pub(super) client_id: Str,
    pub(super) client_host: Str,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) topology_epoch: i32,
    /// Members of one process share its disk.
    pub(super) process_id: Str,
    /// Where the application answers queries.
    pub(super) endpoint: Option<(Str, u16)>,
    pub(super) tags: BTreeMap<Str, Str>,
}

/// Where a member is on its way to its target. Persisted as numbers, which are not those of consumer groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum MemberState {
    /// It has all that the target of its epoch gives it.
    #[default]
    Stable = 1,
    /// It has to give up tasks, and has not said yet that it did.
    Unrevoked = 2,
    /// It waits for tasks that others have not given up.
    Unreleased = 3,
    /// Written by a version that knows more.
    Unknown = 127,
}

/// What a member has, and at which epoch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Current {
    pub(super) epoch: i32,
    /// The epoch before: the member may not have heard of the change.
    pub(super) previous_epoch: i32,
    pub(super) state: MemberState,
    pub(super) assigned: Held,
    /// No longer assigned, but not given up yet.
    pub(super) revoking: Held,
}

impl Default for Said {
    fn default() -> Said {
        Said {
            instance_id: None,
            rack_id: None,
            client_id: Str::EMPTY,
            client_host: Str::EMPTY,
            rebalance_timeout_ms: -1,
            topology_epoch: -1,
            process_id: Str::EMPTY,
            endpoint: None,
            tags: BTreeMap::new(),
        }
    }
}

impl Said {
    /// Whether a request says nothing new of its member, which still calls from the same place.
    pub(super) fn is_unchanged_by(
        &self,
        ctx: &Context<'_>,
        request: &StreamsGroupHeartbeatRequest,
    ) -> bool {
        let tasks = [
            &request.active_tasks,
            &request.standby_tasks,
            &request.warmup_tasks,
        ];
        tasks.into_iter().all(Option::is_none)
            && request.topology.is_none()
            && request.rack_id.is_none()
            && request.rebalance_timeout_ms == -1
            && request.process_id.is_none()
            && request.user_endpoint.is_none()
            && request.client_tags.is_none()
            && !request.shutdown_application
            && self.client_id == ctx.client.client_id
            && self.client_host == ctx.client.client_host
    }

    /// With what a request says; what it leaves out stays.
    pub(super) fn updated(
        &self,
        ctx: &Context<'_>,
        request: &StreamsGroupHeartbeatRequest,
    ) -> Said {
        let mut said = Said {
            client_id: ctx.client.client_id.detached(),
            client_host: ctx.client.client_host.detached(),
            ..self.clone()
        };
        if let Some(rack_id) = &request.rack_id {
            said.rack_id = Some(rack_id.detached());
        }
        if request.rebalance_timeout_ms != -1 {
            said.rebalance_timeout_ms = request.rebalance_timeout_ms;
        }
        if let Some(topology) = &request.topology {
            said.topology_epoch = topology.epoch;
        }
        if let Some(process_id) = &request.process_id {
            said.process_id = process_id.detached();
        }
        if let Some(endpoint) = &request.user_endpoint {
            said.endpoint = Some((endpoint.host.detached(), endpoint.port));
        }
        if let Some(tags) = &request.client_tags {
            let tags = tags.iter();
            said.tags = tags
                .map(|t| (t.key.detached(), t.value.detached()))
                .collect();
        }
        said
    }
}

impl Member {
    pub(super) fn is_reconciled_to(&self, epoch: i32) -> bool {
        self.current.state == MemberState::Stable && self.current.epoch == epoch
    }

    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        self.said.rebalance_timeout_ms.max(0)
    }
}

impl MemberState {
    pub(super) fn from_code(code: i8) -> MemberState {
        match code {
            1 => MemberState::Stable,
            2 => MemberState::Unrevoked,
            3 => MemberState::Unreleased,
            _ => MemberState::Unknown,
        }
    }
}

impl Current {
    /// All tasks that are the member's still.
    pub(super) fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.assigned.keys().chain(self.revoking.keys())
    }

    /// The epoch at which it was given a task that it has still.
    pub(super) fn assigned_at(&self, task: &Task) -> Option<i32> {
        let assigned = self.assigned.get(task);
        assigned.or_else(|| self.revoking.get(task)).copied()
    }
}
