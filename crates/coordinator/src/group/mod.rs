//! A group: its bookmarks, and how its members agree.
//!
//! Kinds of groups differ in the second part only. What a caller asks of any group stands here; how one kind does it
//! stands in its own folder. KIP-848 and share groups will be further kinds.

pub(crate) mod classic;
mod describe;
mod member;
mod state;

use catchword_wire::messages::OffsetCommitRequest;
use catchword_wire::{ErrorCode, Str};

use crate::config::GroupConfig;
use crate::effect::Output;
use crate::offsets::{Expiry, Offsets};
use crate::timer::TimerKind;

pub(crate) use classic::ClassicGroup;
pub(crate) use describe::{describe_unknown, passes};
pub(crate) use member::fits_record;

/// One group of the shard.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) id: Str,
    pub(crate) offsets: Offsets,
    pub(crate) kind: GroupKind,
    /// When the driver last said that a reader outside of the membership protocol is alive.
    touched_ms: i64,
}

/// How the members of a group agree.
#[derive(Debug, Clone)]
pub(crate) enum GroupKind {
    /// By JoinGroup and SyncGroup; also the group of a consumer that only commits.
    Classic(Box<ClassicGroup>),
}

/// What a step needs besides the group itself.
pub(crate) struct Scope<'a> {
    pub(crate) now_ms: i64,
    pub(crate) config: &'a GroupConfig,
    pub(crate) out: &'a mut Output,
}

impl GroupKind {
    /// Whether a member may be reading the topic.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        let GroupKind::Classic(classic) = self;
        classic.is_subscribed_to(topic)
    }
}

impl Scope<'_> {
    /// The moment `ms` milliseconds from now; what is negative counts as zero.
    pub(crate) fn after(&self, ms: i32) -> i64 {
        self.now_ms + i64::from(ms.max(0))
    }
}

impl Group {
    /// An empty classic group without a protocol: what a first commit or a first join finds.
    pub(crate) fn new(id: &str, now_ms: i64) -> Group {
        let id = Str::copy(id);
        let classic = Box::new(ClassicGroup::new(id.clone(), now_ms));
        Group::with_kind(id, GroupKind::Classic(classic))
    }

    pub(crate) fn with_kind(id: Str, kind: GroupKind) -> Group {
        Group {
            id,
            offsets: Offsets::default(),
            kind,
            touched_ms: i64::MIN,
        }
    }

    pub(crate) fn classic_mut(&mut self) -> &mut ClassicGroup {
        let GroupKind::Classic(classic) = &mut self.kind;
        classic
    }

    pub(crate) fn classic(&self) -> &ClassicGroup {
        let GroupKind::Classic(classic) = &self.kind;
        classic
    }

    /// A reader that is not a member, `assign()` in Kafka's words, is alive.
    pub(crate) fn touch(&mut self, now_ms: i64) {
        self.touched_ms = self.touched_ms.max(now_ms);
    }

    /// Whether the caller may commit; if so, it counts as a sign of life.
    pub(crate) fn accept_commit(
        &mut self,
        request: &OffsetCommitRequest,
        scope: &mut Scope<'_>,
    ) -> Result<(), ErrorCode> {
        self.classic_mut().accept_commit(request, scope)
    }

    /// Whether nobody is a member, nor about to be.
    pub(crate) fn is_vacant(&self) -> bool {
        self.classic().is_vacant()
    }

    /// Whether nobody is a member.
    pub(crate) fn is_empty(&self) -> bool {
        self.classic().is_empty()
    }

    /// Since when nobody reads, as far as it is known.
    pub(crate) fn expiry(&self) -> Expiry {
        match self.classic().expiry() {
            Expiry::UnreadSince(since_ms) => Expiry::UnreadSince(since_ms.max(self.touched_ms)),
            Expiry::Never => Expiry::Never,
        }
    }

    /// A timer of this group fired.
    pub(crate) fn timer(&mut self, kind: &TimerKind, scope: &mut Scope<'_>) {
        self.classic_mut().timer(kind, scope);
    }
}
