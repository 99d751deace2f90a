//! What the three APIs about share groups' places have in common.

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::{ErrorCode, Str};

use crate::dispatch::Call;
use crate::outcome::{Outcome, blocking};

/// Whether there is such a share group without members: others would go on from where they were. Starts the shards of
/// its places, too.
pub(super) fn empty_group(
    call: &Call,
    group_id: &Str,
) -> impl Future<Output = Result<(), ErrorCode>> + Send + use<> {
    let asked = GroupCall::ShareGroupDescribe(group_id.clone());
    let described: Outcome<Option<Reply>> = call.broker.groups.call(call, asked);
    let broker = call.broker.clone();
    async move {
        let Some(Some(Reply::ShareGroupDescribe(group))) = described.get().await else {
            return Err(ErrorCode::CoordinatorNotAvailable);
        };
        match ErrorCode::from_code(group.error_code) {
            ErrorCode::None if !group.members.is_empty() => Err(ErrorCode::NonEmptyGroup),
            ErrorCode::None => {
                match blocking(move || broker.shares.ensure(&broker.catalog)).await {
                    Some(Ok(())) => Ok(()),
                    _ => Err(ErrorCode::CoordinatorNotAvailable),
                }
            }
            error => Err(error),
        }
    }
}
