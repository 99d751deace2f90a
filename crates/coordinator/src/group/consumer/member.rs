//! A member of a consumer group: what it says of itself, and what it has.
//!
//! A member outlives the request that made it, so nothing in it shares a request's buffer.

use std::collections::{BTreeMap, BTreeSet};

use catchword_wire::{Str, Uuid};

use crate::assignor::Partitions;
use crate::group::member::Protocol;
use crate::group::progress;
pub(super) use crate::group::progress::MemberState;
use crate::timer::Deadline;

/// The epoch of a static member that is away for a while.
pub(super) const AWAY: i32 = -2;
/// The epoch with which a member says that it leaves.
pub(super) const LEFT: i32 = -1;

/// A member and what is waited for.
#[derive(Debug, Clone, Default)]
pub(super) struct Member {
    pub(super) id: Str,
    pub(super) said: Said,
    pub(super) current: Current,
    pub(super) session: Deadline,
    /// Until when it must have given up what it is to give up.
    pub(super) revocation: Deadline,
    /// Until when it must have rejoined, and fetched its assignment, if it speaks the classic protocol.
    pub(super) join: Deadline,
    pub(super) sync: Deadline,
}

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) instance_id: Option<Str>,
    pub(super) rack_id: Option<Str>,
    pub(super) client_id: Str,
    pub(super) client_host: Str,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) topics: BTreeSet<Str>,
    /// Empty for none.
    pub(super) regex: Str,
    pub(super) assignor: Option<Str>,
    /// Only of a member that speaks the classic protocol.
    pub(super) classic: Option<ClassicSide>,
}

/// What a member says in the classic protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClassicSide {
    pub(super) session_timeout_ms: i32,
    pub(super) protocols: Vec<Protocol>,
}

/// Partitions, each with the epoch at which the member was given it.
pub(super) type Assigned = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// The number of the first [`MemberState`] in the records.
pub(super) const FIRST_STATE: i8 = 0;

/// What a member has, and at which epoch.
pub(super) type Current = progress::Current<Assigned>;

impl Default for Said {
    fn default() -> Said {
        Said {
            instance_id: None,
            rack_id: None,
            client_id: Str::EMPTY,
            client_host: Str::EMPTY,
            rebalance_timeout_ms: -1,
            topics: BTreeSet::new(),
            regex: Str::EMPTY,
            assignor: None,
            classic: None,
        }
    }
}

impl Member {
    pub(super) fn new(id: &str) -> Member {
        Member {
            id: Str::copy(id),
            ..Member::default()
        }
    }

    pub(super) fn is_classic(&self) -> bool {
        self.said.classic.is_some()
    }

    pub(super) fn is_reconciled_to(&self, epoch: i32) -> bool {
        self.current.is_reconciled_to(epoch)
    }

    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        self.said.rebalance_timeout_ms.max(0)
    }
}

impl Current {
    /// All partitions that are the member's still.
    pub(super) fn partitions(&self) -> impl Iterator<Item = (Uuid, i32)> {
        let both = self.assigned.iter().chain(&self.revoking);
        both.flat_map(|(topic, of)| of.keys().map(|partition| (*topic, *partition)))
    }

    /// The epoch at which it was given a partition that it has still.
    pub(super) fn assigned_at(&self, topic: &Uuid, partition: i32) -> Option<i32> {
        let of = |in_: &Assigned| in_.get(topic).and_then(|of| of.get(&partition).copied());
        of(&self.assigned).or_else(|| of(&self.revoking))
    }
}

/// Every partition at the same epoch.
pub(super) fn at_epoch(partitions: &Partitions, epoch: i32) -> Assigned {
    let with = |of: &BTreeSet<i32>| of.iter().map(|partition| (*partition, epoch)).collect();
    partitions
        .iter()
        .map(|(topic, of)| (*topic, with(of)))
        .collect()
}
