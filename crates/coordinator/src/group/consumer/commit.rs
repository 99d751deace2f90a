//! Who may commit offsets of a consumer group, and who may ask for them.

use catchword_wire::messages::OffsetCommitRequest;
use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use catchword_wire::{ErrorCode, Str, Uuid};

use super::ConsumerGroup;
use super::member::Member;
use crate::group::MEMBER_EPOCH_IN_COMMIT;

impl ConsumerGroup {
    /// C9: a member at its epoch, or at an older one that is not older than when it was given the partition; anybody
    /// while the group is empty.
    pub(crate) fn accept_commit(
        &self,
        request: &OffsetCommitRequest,
        api_version: i16,
    ) -> Result<(), ErrorCode> {
        let epoch = request.generation_id_or_member_epoch;
        if epoch < 0 && self.is_empty() {
            return Ok(());
        }
        let member = self.members.get(&request.member_id);
        let member = member.ok_or(ErrorCode::UnknownMemberId)?;
        if !member.is_classic() && api_version < MEMBER_EPOCH_IN_COMMIT {
            return Err(ErrorCode::UnsupportedVersion);
        }
        let partitions = request.topics.iter().flat_map(|topic| {
            let all = topic.partitions.iter();
            all.map(|partition| (topic.topic_id, partition.partition_index))
        });
        accept_epoch(member, epoch, partitions)
    }

    /// T3: the same for what is committed in a transaction, where nobody need say which member it is.
    pub(crate) fn accept_commit_in_transaction(
        &self,
        (member_id, instance_id, epoch): (&str, Option<&Str>, i32),
        partitions: impl Iterator<Item = (Uuid, i32)>,
    ) -> Result<(), ErrorCode> {
        let says_nothing = epoch == -1 && member_id.is_empty() && instance_id.is_none();
        if says_nothing || (epoch < 0 && self.is_empty()) {
            return Ok(());
        }
        let member = self.members.get(member_id);
        let member = member.ok_or(ErrorCode::UnknownMemberId)?;
        // TxnOffsetCommit has no other word for an epoch that does not do.
        accept_epoch(member, epoch, partitions).map_err(|_| ErrorCode::IllegalGeneration)
    }

    /// F3: a member at its epoch, or somebody who says neither.
    pub(crate) fn accept_fetch(&self, request: &OffsetFetchRequestGroup) -> Result<(), ErrorCode> {
        let Some(member_id) = &request.member_id else {
            return match request.member_epoch < 0 {
                true => Ok(()),
                false => Err(ErrorCode::UnknownMemberId),
            };
        };
        let member = self.members.get(member_id);
        let member = member.ok_or(ErrorCode::UnknownMemberId)?;
        match request.member_epoch == member.current.epoch {
            true => Ok(()),
            false => Err(stale(member)),
        }
    }
}

/// Whether the epoch is the member's, or an older one that is not older than when it was given each partition.
fn accept_epoch(
    member: &Member,
    epoch: i32,
    mut partitions: impl Iterator<Item = (Uuid, i32)>,
) -> Result<(), ErrorCode> {
    let is_due = |(topic, partition): (Uuid, i32)| {
        let since = member.current.assigned_at(&topic, partition);
        since.is_some_and(|since| epoch >= since)
    };
    let current = member.current.epoch;
    match epoch == current || (epoch < current && partitions.all(is_due)) {
        true => Ok(()),
        false => Err(stale(member)),
    }
}

/// Each in the words of its protocol.
fn stale(member: &Member) -> ErrorCode {
    match member.is_classic() {
        true => ErrorCode::IllegalGeneration,
        false => ErrorCode::StaleMemberEpoch,
    }
}
