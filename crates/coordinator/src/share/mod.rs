//! Share groups' places (KIP-932): which records of a partition a group has been given, by whom they are held, and what
//! became of them.
//!
//! [`SharePartition`] is the state of one group in one partition, [`ShareShard`] all of those whose keys hash to one
//! partition of `__share_group_state`. Both are pure: calls and time in, records out, under the same order as the groups:
//! the records are durable before anybody hears of what they say. Who is a member is decided elsewhere (`group/share`);
//! here a member is a name that holds records. This module must not know the records' bytes, sessions or topics' names.

mod partition;
mod record;
mod shard;

pub use partition::{
    AckBatch, AckError, AckType, Acquire, AcquiredRange, RecordState, SharePartition,
    ShareSettings, StateBatch,
};
pub use record::{ShareKey, ShareRecord};
pub use shard::ShareShard;
