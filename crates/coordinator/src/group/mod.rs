//! A group: its bookmarks, and how its members agree.
//!
//! Kinds of groups differ in the second part only. What a caller asks of any group stands here; how one kind does it
//! stands in its own folder.

mod awaited;
pub(crate) mod classic;
mod committers;
pub(crate) mod consumer;
mod describe;
mod kept;
mod member;
mod members;
mod progress;
mod roster;
pub(crate) mod share;
mod state;
pub(crate) mod streams;

use bytes::Bytes;
use catchword_wire::messages::OffsetCommitRequest;
use catchword_wire::messages::describe_groups_response::DescribedGroup;
use catchword_wire::messages::list_groups_response::ListedGroup;
use catchword_wire::{ErrorCode, Str, Uuid};

use crate::config::{GroupConfig, GroupSettings};
use crate::effect::Output;
use crate::metadata::MetadataImage;
use crate::offsets::{Expiry, Offsets};
use crate::timer::TimerKind;

pub use awaited::{Awaited, Awaits};
pub(crate) use classic::ClassicGroup;
pub(crate) use committers::Committers;
pub(crate) use consumer::ConsumerGroup;
pub(crate) use describe::{describe_unknown, passes};
pub(crate) use kept::Kept;
pub(crate) use member::fits_record;
pub(crate) use members::Members;
pub use roster::{Roster, RosterMember};
pub(crate) use share::ShareGroup;
pub(crate) use streams::StreamsGroup;

/// First version of OffsetCommit whose generation may be a member epoch.
const MEMBER_EPOCH_IN_COMMIT: i16 = 9;

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
    /// Not at all: nobody has joined, offsets were committed from outside. There may be very many of these.
    Simple,
    /// By JoinGroup and SyncGroup.
    Classic(Box<ClassicGroup>),
    /// By ConsumerGroupHeartbeat (KIP-848).
    Consumer(Box<ConsumerGroup>),
    /// By ShareGroupHeartbeat (KIP-932). Its places are not offsets; see `crate::share`.
    Share(Box<ShareGroup>),
    /// By StreamsGroupHeartbeat (KIP-1071).
    Streams(Box<StreamsGroup>),
}

/// What a step needs besides the group itself.
pub(crate) struct Scope<'a> {
    pub(crate) now_ms: i64,
    pub(crate) config: &'a GroupConfig,
    pub(crate) out: &'a mut Output,
}

/// What a step of a group that shares something out needs to know from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Env<'a> {
    pub(crate) image: &'a MetadataImage,
    pub(crate) settings: GroupSettings,
}

/// Why a call is refused: Kafka's error and words for people.
pub(crate) type Refused = (ErrorCode, &'static str);

impl GroupKind {
    fn classic(&self) -> Option<&ClassicGroup> {
        match self {
            GroupKind::Classic(classic) => Some(classic),
            _ => None,
        }
    }

    /// Whether a member may be reading the topic.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match self {
            GroupKind::Simple => false,
            GroupKind::Classic(classic) => classic.is_subscribed_to(topic),
            GroupKind::Consumer(consumer) => consumer.is_subscribed_to(topic),
            GroupKind::Share(share) => share.is_subscribed_to(topic),
            GroupKind::Streams(streams) => streams.is_subscribed_to(topic),
        }
    }
}

impl Scope<'_> {
    /// The moment `ms` milliseconds from now; what is negative counts as zero.
    pub(crate) fn after(&self, ms: i32) -> i64 {
        self.now_ms + i64::from(ms.max(0))
    }
}

impl Group {
    /// A group without members and offsets.
    pub(crate) fn new(id: &str) -> Group {
        Group {
            id: Str::copy(id),
            offsets: Offsets::default(),
            kind: GroupKind::Simple,
            touched_ms: i64::MIN,
        }
    }

    /// The classic group that this is. `None` for a simple group, of which nobody can be a member.
    pub(crate) fn classic_mut(&mut self) -> Option<&mut ClassicGroup> {
        match &mut self.kind {
            GroupKind::Classic(classic) => Some(classic),
            _ => None,
        }
    }

    /// The consumer group that this is.
    pub(crate) fn consumer(&self) -> Option<&ConsumerGroup> {
        ConsumerGroup::of(&self.kind)
    }

    /// The share group that this is.
    pub(crate) fn share(&self) -> Option<&ShareGroup> {
        ShareGroup::of(&self.kind)
    }

    /// The streams group that this is.
    pub(crate) fn streams(&self) -> Option<&StreamsGroup> {
        StreamsGroup::of(&self.kind)
    }

    /// Somebody wants to join: a simple group becomes a classic one. A consumer group must have been ended before.
    pub(crate) fn make_classic(&mut self, now_ms: i64) -> &mut ClassicGroup {
        if !matches!(self.kind, GroupKind::Classic(_)) {
            let classic = ClassicGroup::new(self.id.clone(), now_ms);
            self.kind = GroupKind::Classic(Box::new(classic));
        }
        self.classic_mut().expect("it was made above")
    }

    /// A reader that is not a member, `assign()` in Kafka's words, is alive.
    pub(crate) fn touch(&mut self, now_ms: i64) {
        self.touched_ms = self.touched_ms.max(now_ms);
    }

    /// Whether the caller may commit; if so, it counts as a sign of life.
    pub(crate) fn accept_commit(
        &mut self,
        request: &OffsetCommitRequest,
        api_version: i16,
        scope: &mut Scope<'_>,
    ) -> Result<(), ErrorCode> {
        match &mut self.kind {
            GroupKind::Classic(classic) => classic.accept_commit(request, scope),
            GroupKind::Consumer(consumer) => consumer.accept_commit(request, api_version),
            GroupKind::Streams(streams) => streams.accept_commit(request, api_version),
            // It has no such offsets.
            GroupKind::Share(_) => Err(ErrorCode::GroupIdNotFound),
            GroupKind::Simple if request.generation_id_or_member_epoch < 0 => Ok(()),
            GroupKind::Simple => Err(ErrorCode::UnknownMemberId),
        }
    }

    /// T3: whether offsets may be committed as part of a transaction. A caller that names a member must be it.
    /// Partitions are told by their topic's name and id.
    pub(crate) fn accept_commit_in_transaction<'a>(
        &self,
        member_id: &str,
        instance_id: Option<&Str>,
        generation: i32,
        partitions: impl Iterator<Item = (&'a Str, &'a Uuid, i32)>,
    ) -> Result<(), ErrorCode> {
        match &self.kind {
            GroupKind::Simple if generation < 0 => Ok(()),
            GroupKind::Simple => Err(ErrorCode::UnknownMemberId),
            GroupKind::Classic(classic) => {
                classic.accept_commit_in_transaction(member_id, instance_id, generation)
            }
            GroupKind::Consumer(consumer) => {
                let caller = (member_id, instance_id, generation);
                let partitions = partitions.map(|(_, topic_id, index)| (topic_id, index));
                consumer.accept_commit_in_transaction(caller, partitions)
            }
            GroupKind::Streams(streams) => {
                let caller = (member_id, instance_id, generation);
                let partitions = partitions.map(|(topic, _, index)| (topic, index));
                streams.accept_commit_in_transaction(caller, partitions)
            }
            GroupKind::Share(_) => Err(ErrorCode::GroupIdNotFound),
        }
    }

    /// Whether offsets may be deleted one by one.
    pub(crate) fn accept_offset_delete(&self) -> Result<(), ErrorCode> {
        match &self.kind {
            GroupKind::Classic(classic) => classic.accept_offset_delete(),
            GroupKind::Simple | GroupKind::Consumer(_) | GroupKind::Streams(_) => Ok(()),
            GroupKind::Share(_) => Err(ErrorCode::GroupIdNotFound),
        }
    }

    /// Whether nobody is a member, nor about to be.
    pub(crate) fn is_vacant(&self) -> bool {
        match &self.kind {
            GroupKind::Simple => true,
            GroupKind::Classic(classic) => classic.is_vacant(),
            GroupKind::Consumer(consumer) => consumer.is_empty(),
            GroupKind::Streams(streams) => streams.is_empty(),
            // It goes when somebody deletes it, since its places do not expire.
            GroupKind::Share(_) => false,
        }
    }

    /// Whether nobody is a member.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.kind {
            GroupKind::Simple => true,
            GroupKind::Classic(classic) => classic.is_empty(),
            GroupKind::Consumer(consumer) => consumer.is_empty(),
            GroupKind::Share(share) => share.is_empty(),
            GroupKind::Streams(streams) => streams.is_empty(),
        }
    }

    /// Since when nobody reads, as far as it is known.
    pub(crate) fn expiry(&self) -> Expiry {
        let expiry = match &self.kind {
            GroupKind::Classic(classic) => classic.expiry(),
            GroupKind::Consumer(consumer) => consumer.expiry(),
            GroupKind::Streams(streams) => streams.expiry(),
            // Only commits tell.
            GroupKind::Simple | GroupKind::Share(_) => Expiry::UnreadSince(i64::MIN),
        };
        match expiry {
            Expiry::Never => Expiry::Never,
            Expiry::UnreadSince(since_ms) => Expiry::UnreadSince(since_ms.max(self.touched_ms)),
        }
    }

    /// A timer of this group fired. Returns the member that has to go for it, if the group is not a classic one.
    pub(crate) fn timer(&mut self, kind: &TimerKind, scope: &mut Scope<'_>) -> Option<Str> {
        match &mut self.kind {
            GroupKind::Simple => {}
            GroupKind::Classic(classic) => classic.timer(kind, scope),
            GroupKind::Consumer(consumer) => return consumer.timer(kind, scope),
            GroupKind::Share(share) => return share.timer(kind, scope),
            GroupKind::Streams(streams) => return streams.timer(kind, scope),
        }
        None
    }

    /// What the group looks like from outside, to those who know classic groups only. Kafka calls a simple group an empty
    /// classic one, and says of groups of other kinds that there are none.
    pub(crate) fn describe(&self, api_version: i16) -> DescribedGroup {
        match &self.kind {
            GroupKind::Simple => ClassicGroup::new(self.id.clone(), 0).describe(),
            GroupKind::Classic(classic) => classic.describe(),
            GroupKind::Consumer(_) | GroupKind::Share(_) | GroupKind::Streams(_) => {
                DescribedGroup {
                    error_message: (api_version >= 6)
                        .then(|| Str::from(format!("Group {} is not a classic group.", self.id))),
                    ..describe_unknown(self.id.clone(), api_version)
                }
            }
        }
    }

    pub(crate) fn list(&self) -> ListedGroup {
        match &self.kind {
            GroupKind::Simple => ClassicGroup::new(self.id.clone(), 0).list(),
            GroupKind::Classic(classic) => classic.list(),
            GroupKind::Consumer(consumer) => consumer.list(),
            GroupKind::Share(share) => share.list(),
            GroupKind::Streams(streams) => streams.list(),
        }
    }

    /// Whether the log says that there is such a group, by more than its offsets.
    pub(crate) fn is_recorded(&self) -> bool {
        !matches!(self.kind, GroupKind::Simple | GroupKind::Classic(_)) || self.recorded().is_some()
    }

    /// The last record that was written of a classic group, if any.
    pub(crate) fn recorded(&self) -> Option<&Bytes> {
        self.kind.classic().and_then(ClassicGroup::recorded)
    }
}
