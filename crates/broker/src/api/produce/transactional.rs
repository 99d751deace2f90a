//! Batches of transactions: whether they may be appended (KIP-890).
//!
//! Invariant: a transaction begins in a partition only if its coordinator knows of the partition. What the log has of a transaction
//! already needs no question.

use catchword_log::{AppendOrigin, Verification};
use catchword_wire::ErrorCode;
use catchword_wire::batch::BatchHeader;

use super::{Refused, refused};
use crate::partition::Partition;

/// From this version on a producer leaves it to the broker to add the partition to the transaction, and its epoch rises with
/// each (TV2).
const ADDS_PARTITIONS: i16 = 12;

/// How the batch is to be appended.
pub(super) fn admit(
    partition: &Partition,
    header: &BatchHeader,
    version: i16,
) -> Result<AppendOrigin, Refused> {
    let (id, epoch) = (header.producer_id, header.producer_epoch);
    let (sequence, bumps_epoch) = (header.base_sequence, version >= ADDS_PARTITIONS);
    match partition.log.verify(id, epoch, sequence, bumps_epoch) {
        Ok(Verification::Ongoing) => Ok(AppendOrigin::Client),
        // There is no coordinator yet that could be asked.
        Ok(Verification::Ask(_)) => Err(Refused::new(
            ErrorCode::InvalidTxnState,
            "transactions are not served yet",
        )),
        Err(error) => Err(refused(partition, &error)),
    }
}
