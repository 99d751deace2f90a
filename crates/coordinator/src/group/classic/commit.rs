//! Who may commit offsets of a classic group, and who may delete them.

use catchword_wire::messages::OffsetCommitRequest;
use catchword_wire::{ErrorCode, Str};

use super::ClassicGroup;
use crate::group::Scope;
use crate::group::state::ClassicState;

impl ClassicGroup {
    /// C5, C6: members of the present generation, and anybody while the group is empty.
    pub(crate) fn accept_commit(
        &mut self,
        request: &OffsetCommitRequest,
        scope: &mut Scope<'_>,
    ) -> Result<(), ErrorCode> {
        let generation = request.generation_id_or_member_epoch;
        // An administrator, or a consumer that does not use the group to share out partitions.
        if generation < 0 && self.state == ClassicState::Empty {
            return Ok(());
        }
        let instance_id = request.group_instance_id.as_ref();
        if generation < 0 && request.member_id.is_empty() && instance_id.is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.validate(&request.member_id, instance_id)?;
        if generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        match self.state {
            // It has its generation but not its assignment: it can't have read anything in this generation.
            ClassicState::CompletingRebalance => Err(ErrorCode::RebalanceInProgress),
            // C7: who commits is alive. The last commit before a member rejoins is accepted.
            ClassicState::Stable | ClassicState::PreparingRebalance => {
                self.restart_session(&request.member_id, scope);
                Ok(())
            }
            ClassicState::Empty => unreachable!("an empty group has no members to be valid"),
        }
    }

    /// T3: a member that is named must be one of the present generation; the group may be doing what it will.
    pub(crate) fn accept_commit_in_transaction(
        &self,
        member_id: &str,
        instance_id: Option<&Str>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        let names_nobody = generation < 0 && member_id.is_empty() && instance_id.is_none();
        if names_nobody || (generation < 0 && self.state == ClassicState::Empty) {
            return Ok(());
        }
        self.validate(member_id, instance_id)?;
        match generation == self.generation {
            true => Ok(()),
            false => Err(ErrorCode::IllegalGeneration),
        }
    }

    /// D1: offsets of a group in use can be deleted only where we know what is being read.
    pub(crate) fn accept_offset_delete(&self) -> Result<(), ErrorCode> {
        match self.is_empty() || self.uses_consumer_protocol() {
            true => Ok(()),
            false => Err(ErrorCode::NonEmptyGroup),
        }
    }
}
