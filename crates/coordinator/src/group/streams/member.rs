//! A member of a streams group: one thread of one instance of the application.
//!
//! A member outlives the request that made it, so nothing in it shares a request's buffer.

use std::collections::BTreeMap;

use catchword_wire::Str;
use catchword_wire::messages::StreamsGroupHeartbeatRequest;

use super::task::{Held, Task};
use crate::call::Context;
use crate::group::progress;
pub(super) use crate::group::progress::MemberState;
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

/// The number of the first [`MemberState`] in the records, which is not that of consumer groups.
pub(super) const FIRST_STATE: i8 = 1;

/// What a member has, and at which epoch.
pub(super) type Current = progress::Current<Held>;

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
        self.current.is_reconciled_to(epoch)
    }

    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        self.said.rebalance_timeout_ms.max(0)
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
