//! Where the groups are that the plane tells of and moves: with this broker, or with the Kafka that it guards.
//!
//! A verb is written once; what differs by where its groups are is asked here, and answered in `own.rs` and `guarded.rs`.

mod guarded;
mod own;

use std::collections::BTreeSet;
use std::sync::Arc;

use catchword_coordinator::ledger::Key;
use catchword_coordinator::{MoveOffsets, Moved};
use catchword_wire::{Str, Uuid};

use super::Asker;
use super::error::PlaneError;
use super::expiry::ExpiryView;
use super::now::{GroupList, GroupView};
use crate::broker::Broker;
use guarded::Guarded;
use own::Own;

/// See the module.
#[derive(Clone)]
pub(crate) enum Home {
    /// This broker's own groups.
    Own(Own),
    /// Those of the Kafka that is guarded.
    Guarded(Guarded),
}

/// Has whichever home it is answer.
macro_rules! answer {
    ($home:expr, $verb:ident($($argument:expr),*)) => {
        match $home {
            Home::Own(home) => home.$verb($($argument),*),
            Home::Guarded(home) => home.$verb($($argument),*),
        }
    };
    ($home:expr, $verb:ident($($argument:expr),*).await) => {
        match $home {
            Home::Own(home) => home.$verb($($argument),*).await,
            Home::Guarded(home) => home.$verb($($argument),*).await,
        }
    };
}

impl Home {
    /// The home of the groups that this broker answers for.
    pub(crate) fn of(broker: &Arc<Broker>) -> Home {
        let broker = broker.clone();
        match broker.guardian.clone() {
            Some(guardian) => Home::Guarded(Guarded { broker, guardian }),
            None => Home::Own(Own { broker }),
        }
    }

    /// All groups, without their members.
    pub(super) async fn groups(&self, asker: &Asker) -> Result<GroupList, PlaneError> {
        answer!(self, groups(asker).await)
    }

    /// Those of some groups that exist, without their members and what those were handed.
    pub(super) async fn those(
        &self,
        asker: &Asker,
        wanted: impl Iterator<Item = &Str> + Clone,
    ) -> Result<Vec<GroupView>, PlaneError> {
        answer!(self, those(asker, wanted).await)
    }

    /// One group, with its members.
    pub(super) async fn group(&self, asker: &Asker, group: &Str) -> Result<GroupView, PlaneError> {
        answer!(self, group(asker, group).await)
    }

    /// How long a group's bookmarks are kept.
    pub(super) async fn expiry(
        &self,
        asker: &Asker,
        group: &Str,
    ) -> Result<ExpiryView, PlaneError> {
        answer!(self, expiry(asker, group).await)
    }

    /// Moves bookmarks, all or nothing, from where the plan saw them.
    pub(super) async fn move_offsets(
        &self,
        asker: &Asker,
        request: MoveOffsets,
    ) -> Result<Moved, PlaneError> {
        answer!(self, move_offsets(asker, request).await)
    }

    /// Names the places where a group is, or with `remove` forgets the name.
    pub(super) async fn tag(
        &self,
        asker: &Asker,
        group: &Str,
        name: &Str,
        remove: bool,
    ) -> Result<(), PlaneError> {
        answer!(self, tag(asker, group, name, remove).await)
    }

    /// Refuses to send members away where that cannot be done.
    pub(super) fn may_kick(&self) -> Result<(), PlaneError> {
        answer!(self, may_kick())
    }

    /// Refuses a setting of a group that would not be heeded.
    pub(super) fn may_set(&self, key: &str, value: Option<&str>) -> Result<(), PlaneError> {
        answer!(self, may_set(key, value))
    }

    /// Looks at the topics anew, where that takes a look; what is known stays if it fails.
    pub(super) async fn look_at_topics(&self) {
        answer!(self, look_at_topics().await);
    }

    /// A topic's id, as of the last look.
    pub(super) fn topic_id(&self, topic: &str) -> Option<Uuid> {
        answer!(self, topic_id(topic))
    }

    /// Whether there is such a partition, as of the last look.
    pub(super) fn has_partition(&self, topic: &str, partition: i32) -> bool {
        answer!(self, has_partition(topic, partition))
    }

    /// Whether records of what was more than reading on say themselves from where the bookmark went.
    pub(super) fn tells_origins(&self) -> bool {
        matches!(self, Home::Own(_))
    }

    /// Whether lag is counted in records; else there are only offsets.
    pub(crate) fn counts_records(&self) -> bool {
        matches!(self, Home::Own(_))
    }

    /// Where a group's oldest unread record has waited for longer than `age_ms`, as far as its lag does not tell that anyway.
    pub(crate) async fn waits_longer(
        &self,
        group: &Str,
        age_ms: i64,
        now_ms: i64,
    ) -> Result<BTreeSet<Key>, PlaneError> {
        answer!(self, waits_longer(group, age_ms, now_ms).await)
    }
}
