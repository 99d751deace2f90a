//! Groups whose members heartbeat, and which are kept in records of their own: what the shard does alike with all kinds.

use catchword_wire::Str;

use super::{ConsumerGroup, Env, GroupKind, Scope, ShareGroup, StreamsGroup};
use crate::record::{consumer, share, streams};

/// Such a kind of group.
pub(crate) trait Kept: Sized {
    /// What a record of it says.
    type Change;

    /// A group of which nothing is known.
    fn new(id: Str) -> Self;
    fn of(kind: &GroupKind) -> Option<&Self>;
    fn of_mut(kind: &mut GroupKind) -> Option<&mut Self>;
    fn into_kind(self) -> GroupKind;
    /// Whether the record takes something away, so that no group comes to be by it.
    fn is_tombstone(change: &Self::Change) -> bool;
    /// Applies a record. False if the group is gone by it.
    fn replay(&mut self, change: Self::Change) -> bool;
    /// The log has been read: members are given their time, from now.
    fn loaded(&mut self, env: &Env<'_>, scope: &mut Scope<'_>);
}

macro_rules! kept {
    ($group:ident, $kind:ident, $change:ty) => {
        impl Kept for $group {
            type Change = $change;

            fn new(id: Str) -> Self {
                $group::new(id)
            }

            fn of(kind: &GroupKind) -> Option<&Self> {
                match kind {
                    GroupKind::$kind(group) => Some(group),
                    _ => None,
                }
            }

            fn of_mut(kind: &mut GroupKind) -> Option<&mut Self> {
                match kind {
                    GroupKind::$kind(group) => Some(group),
                    _ => None,
                }
            }

            fn into_kind(self) -> GroupKind {
                GroupKind::$kind(Box::new(self))
            }

            fn is_tombstone(change: &$change) -> bool {
                change.is_tombstone()
            }

            fn replay(&mut self, change: $change) -> bool {
                self.replay(change)
            }

            fn loaded(&mut self, env: &Env<'_>, scope: &mut Scope<'_>) {
                self.loaded(env, scope);
            }
        }
    };
}

kept!(ConsumerGroup, Consumer, consumer::Change);
kept!(ShareGroup, Share, share::Change);
kept!(StreamsGroup, Streams, streams::Change);
