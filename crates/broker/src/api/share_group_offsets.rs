//! What the APIs that move share groups' places have in common.

use catchword_coordinator::{Absent, Call as GroupCall, Reply};
use catchword_wire::{ErrorCode, Str};

use crate::dispatch::Call;
use crate::outcome::{Outcome, blocking};

/// Whether this share group has no members: they would go on from where they were. Starts the shards of its places, too.
pub(super) fn empty_group(
    call: &Call,
    group_id: &Str,
    absent: Absent,
) -> impl Future<Output = Result<(), ErrorCode>> + Send + use<> {
    let asked = GroupCall::EmptyShareGroup {
        group_id: group_id.clone(),
        absent,
    };
    let found: Outcome<Option<Reply>> = call.broker.groups.call(call, asked);
    let broker = call.broker.clone();
    async move {
        match found.get().await {
            Some(Some(Reply::EmptyShareGroup(ErrorCode::None))) => {}
            Some(Some(Reply::EmptyShareGroup(error))) => return Err(error),
            _ => return Err(ErrorCode::CoordinatorNotAvailable),
        }
        match blocking(move || broker.shares.ensure(&broker.catalog)).await {
            Some(Ok(())) => Ok(()),
            _ => Err(ErrorCode::CoordinatorNotAvailable),
        }
    }
}
