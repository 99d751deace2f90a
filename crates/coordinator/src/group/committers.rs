//! Who may commit offsets of a group whose members have epochs, and who may ask for them.

use catchword_wire::messages::OffsetCommitRequest;
use catchword_wire::messages::offset_commit_request::OffsetCommitRequestTopic;
use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use catchword_wire::{ErrorCode, Str};

use super::MEMBER_EPOCH_IN_COMMIT;

/// A member, as commits and fetches see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    pub(crate) epoch: i32,
    /// It speaks the classic protocol, which has its own words for the same.
    pub(crate) is_classic: bool,
}

/// Such a group.
pub(crate) trait Committers {
    /// What its members know a topic by.
    type Topic;

    fn is_empty(&self) -> bool;
    fn seat(&self, member_id: &str) -> Option<Seat>;
    /// The epoch at which a member was given a partition that it has still.
    fn given_at(&self, member_id: &str, topic: &Self::Topic, partition: i32) -> Option<i32>;
    fn topic_of(topic: &OffsetCommitRequestTopic) -> &Self::Topic;

    /// C9: a member at its epoch, or at an older one that is not older than when it was given each partition; anybody
    /// while the group is empty.
    fn accept_commit(
        &self,
        request: &OffsetCommitRequest,
        api_version: i16,
    ) -> Result<(), ErrorCode> {
        let epoch = request.generation_id_or_member_epoch;
        if epoch < 0 && self.is_empty() {
            return Ok(());
        }
        let seat = self.seat(&request.member_id);
        let seat = seat.ok_or(ErrorCode::UnknownMemberId)?;
        if !seat.is_classic && api_version < MEMBER_EPOCH_IN_COMMIT {
            return Err(ErrorCode::UnsupportedVersion);
        }
        let partitions = request.topics.iter().flat_map(|topic| {
            let all = topic.partitions.iter();
            all.map(|partition| (Self::topic_of(topic), partition.partition_index))
        });
        self.accept_epoch(&request.member_id, seat, epoch, partitions)
    }

    /// T3: the same for what is committed in a transaction, where nobody need say which member it is.
    fn accept_commit_in_transaction<'a>(
        &self,
        (member_id, instance_id, epoch): (&str, Option<&Str>, i32),
        partitions: impl Iterator<Item = (&'a Self::Topic, i32)>,
    ) -> Result<(), ErrorCode>
    where
        Self::Topic: 'a,
    {
        let says_nothing = epoch == -1 && member_id.is_empty() && instance_id.is_none();
        if says_nothing || (epoch < 0 && self.is_empty()) {
            return Ok(());
        }
        let seat = self.seat(member_id);
        let seat = seat.ok_or(ErrorCode::UnknownMemberId)?;
        // TxnOffsetCommit has no other word for an epoch that does not do.
        let accepted = self.accept_epoch(member_id, seat, epoch, partitions);
        accepted.map_err(|_| ErrorCode::IllegalGeneration)
    }

    /// F3: a member at its epoch, or somebody who says neither.
    fn accept_fetch(&self, request: &OffsetFetchRequestGroup) -> Result<(), ErrorCode> {
        let Some(member_id) = &request.member_id else {
            return match request.member_epoch < 0 {
                true => Ok(()),
                false => Err(ErrorCode::UnknownMemberId),
            };
        };
        let seat = self.seat(member_id);
        let seat = seat.ok_or(ErrorCode::UnknownMemberId)?;
        match request.member_epoch == seat.epoch {
            true => Ok(()),
            false => Err(seat.stale()),
        }
    }

    fn accept_epoch<'a>(
        &self,
        member_id: &str,
        seat: Seat,
        epoch: i32,
        mut partitions: impl Iterator<Item = (&'a Self::Topic, i32)>,
    ) -> Result<(), ErrorCode>
    where
        Self::Topic: 'a,
    {
        let is_its_own = |(topic, partition): (&Self::Topic, i32)| {
            let given_at = self.given_at(member_id, topic, partition);
            given_at.is_some_and(|given_at| epoch >= given_at)
        };
        match epoch == seat.epoch || (epoch < seat.epoch && partitions.all(is_its_own)) {
            true => Ok(()),
            false => Err(seat.stale()),
        }
    }
}

impl Seat {
    fn stale(self) -> ErrorCode {
        match self.is_classic {
            true => ErrorCode::IllegalGeneration,
            false => ErrorCode::StaleMemberEpoch,
        }
    }
}
