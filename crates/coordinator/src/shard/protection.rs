//! Groups whose bookmarks nobody may move from outside, or not back, and single bookmarks that nobody may remove. Kafka has
//! nothing like it.
//!
//! Members read on and commit as ever: this is a guard against a reset, a deletion, or a commit of somebody who is no
//! member, by whatever tool. What is refused is refused as a whole.

use catchword_wire::messages::OffsetCommitRequest;
use catchword_wire::{ErrorCode, Str};

use super::GroupShard;
use crate::call::{Call, MoveOffsets};
use crate::config::Protection;
use crate::offsets::find;

impl GroupShard {
    /// Takes a group's protection; `None` lifts it.
    pub fn set_protection(&mut self, group_id: &str, protection: Option<Protection>) {
        match protection {
            Some(protection) => self.protected.insert(Str::copy(group_id), protection),
            None => self.protected.remove(group_id),
        };
    }

    /// The error for a call that the group is protected from.
    pub(super) fn protects_from(&self, call: &Call) -> Option<ErrorCode> {
        if self.removes_pinned(call) {
            return Some(ErrorCode::PolicyViolation);
        }
        if self.protected.is_empty() {
            return None;
        }
        let is_refused = match call {
            Call::OffsetCommit(request) if is_of_an_outsider(request) => {
                self.is_protected(&request.group_id, || self.goes_back(request))
            }
            Call::MoveOffsets(call) => self.is_protected(&call.group_id, || self.moves_back(call)),
            Call::OffsetDelete(request) => self.is_protected(&request.group_id, || true),
            Call::DeleteGroup(group_id) => self.is_protected(group_id, || true),
            _ => false,
        };
        is_refused.then_some(ErrorCode::PolicyViolation)
    }

    /// Whether the call takes away a bookmark that is pinned.
    fn removes_pinned(&self, call: &Call) -> bool {
        if self.retention.pins.is_empty() {
            return false;
        }
        let is_pinned = |group_id: &Str, topic: &Str, partition| {
            self.retention.is_pinned(group_id, topic, partition)
                && self.offset_of(group_id, topic, partition).is_some()
        };
        match call {
            Call::MoveOffsets(call) => call
                .moves
                .iter()
                .any(|m| m.then.is_none() && is_pinned(&call.group_id, &m.topic, m.partition)),
            Call::OffsetDelete(request) => request.topics.iter().any(|topic| {
                let mut partitions = topic.partitions.iter();
                partitions.any(|p| is_pinned(&request.group_id, &topic.name, p.partition_index))
            }),
            Call::DeleteGroup(group_id) => self.groups.get(group_id).is_some_and(|group| {
                group.offsets.topics().any(|(topic, bookmarks)| {
                    let mut bookmarks = bookmarks.iter();
                    bookmarks.any(|(partition, _)| is_pinned(group_id, topic, *partition))
                })
            }),
            _ => false,
        }
    }

    fn is_protected(&self, group_id: &Str, goes_back: impl FnOnce() -> bool) -> bool {
        match self.protected.get(group_id) {
            None => false,
            Some(Protection::Frozen) => true,
            Some(Protection::ForwardOnly) => goes_back(),
        }
    }

    fn offset_of(&self, group_id: &Str, topic: &Str, partition: i32) -> Option<i64> {
        let bookmarks = self.groups.get(group_id)?.offsets.partitions(topic);
        find(bookmarks, partition).map(|bookmark| bookmark.offset)
    }

    fn goes_back(&self, request: &OffsetCommitRequest) -> bool {
        request.topics.iter().any(|topic| {
            topic.partitions.iter().any(|partition| {
                let now = self.offset_of(&request.group_id, &topic.name, partition.partition_index);
                now.is_some_and(|now| partition.committed_offset < now)
            })
        })
    }

    fn moves_back(&self, call: &MoveOffsets) -> bool {
        call.moves.iter().any(|m| {
            let now = self.offset_of(&call.group_id, &m.topic, m.partition);
            now.is_some_and(|now| m.then.as_ref().is_none_or(|then| then.offset < now))
        })
    }
}

/// Consumers that assign themselves their partitions are outsiders too: nothing tells them from a reset.
fn is_of_an_outsider(request: &OffsetCommitRequest) -> bool {
    request.generation_id_or_member_epoch < 0 && request.member_id.is_empty()
}
