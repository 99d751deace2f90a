//! Who may commit offsets of a streams group, and who may ask for them.

use catchword_wire::messages::OffsetCommitRequest;
use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use catchword_wire::{ErrorCode, Str};

use super::StreamsGroup;
use super::member::Member;
use super::task::{Role, Task};
use crate::group::MEMBER_EPOCH_IN_COMMIT;

impl StreamsGroup {
    /// C9: a member at its epoch, or at an older one that is not older than when it was given the task that reads the
    /// partition; anybody while the group is empty.
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
        if api_version < MEMBER_EPOCH_IN_COMMIT {
            return Err(ErrorCode::UnsupportedVersion);
        }
        let partitions = request.topics.iter().flat_map(|topic| {
            let all = topic.partitions.iter();
            all.map(|partition| (&topic.name, partition.partition_index))
        });
        self.accept_epoch(member, epoch, partitions)
    }

    /// T3: the same for what is committed in a transaction, where nobody need say which member it is.
    pub(crate) fn accept_commit_in_transaction<'a>(
        &self,
        (member_id, instance_id, epoch): (&str, Option<&Str>, i32),
        partitions: impl Iterator<Item = (&'a Str, i32)>,
    ) -> Result<(), ErrorCode> {
        let says_nothing = epoch == -1 && member_id.is_empty() && instance_id.is_none();
        if says_nothing || (epoch < 0 && self.is_empty()) {
            return Ok(());
        }
        let member = self.members.get(member_id);
        let member = member.ok_or(ErrorCode::UnknownMemberId)?;
        // TxnOffsetCommit has no other word for an epoch that does not do.
        let accepted = self.accept_epoch(member, epoch, partitions);
        accepted.map_err(|_| ErrorCode::IllegalGeneration)
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
            false => Err(ErrorCode::StaleMemberEpoch),
        }
    }

    fn accept_epoch<'a>(
        &self,
        member: &Member,
        epoch: i32,
        mut partitions: impl Iterator<Item = (&'a Str, i32)>,
    ) -> Result<(), ErrorCode> {
        if epoch == member.current.epoch {
            return Ok(());
        }
        let given_at = |topic: &Str, partition: i32| {
            let task = Task {
                role: Role::Active,
                subtopology: self.topology.as_ref()?.reader_of(topic)?.clone(),
                partition,
            };
            member.current.assigned_at(&task)
        };
        let is_its_own = |(topic, partition): (&Str, i32)| {
            given_at(topic, partition).is_some_and(|given_at| epoch >= given_at)
        };
        match epoch < member.current.epoch && partitions.all(is_its_own) {
            true => Ok(()),
            false => Err(ErrorCode::StaleMemberEpoch),
        }
    }
}
