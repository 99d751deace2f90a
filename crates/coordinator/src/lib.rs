//! The group coordinator: calls and time in, records and effects out.
//!
//! One [`GroupShard`] is the state of all groups whose ids hash to one partition of `__consumer_offsets`. It is a pure
//! state machine: no IO, no clock, no locks, no randomness of its own; the same inputs give the same outputs, which
//! the simulation in `tests/` rests on.
//!
//! Its driver keeps this order, and nothing else keeps acknowledged commits safe:
//! 1. [`GroupShard::step`] (or [`timer`](GroupShard::timer) and its siblings) decides and applies: when it returns, the
//!    state already holds what the records say.
//! 2. The driver appends [`Output::records`] to the partition's log.
//! 3. Only when they are durable, and everything before them, it performs [`Output::effects`], in order.
//!
//! An append that fails leaves a state that is ahead of the log: the driver answers what waits
//! ([`GroupShard::unload`], [`Reply::into_error`]), drops the shard and replays the log into a new one.
//!
//! This crate knows Kafka's messages as plain data. It must not know connections or logs, and of topics only
//! what a [`MetadataImage`] says.

mod assignor;
mod call;
mod config;
mod effect;
mod group;
mod ids;
pub mod ledger;
mod metadata;
mod notice;
mod offsets;
mod partition;
mod pins;
pub mod record;
mod records;
mod reply;
mod retention;
mod shard;
pub mod share;
mod timer;
mod transaction;

pub use call::{
    Absent, BookmarkMove, Call, Client, Context, MoveOffsets, OffsetFetchCall, ReplyTo, TagCall,
    TxnOffsetCommitCall,
};
pub use config::{
    ConsumerGroupConfig, GroupConfig, GroupSettings, MigrationPolicy, Protection, StreamsSettings,
};
pub use effect::{Effect, Headers, Marker, Output, ProducerEpoch, Transactional};
pub use group::{Awaited, Awaits, Roster, RosterMember};
pub use metadata::{MetadataImage, TopicImage};
pub use notice::{Handed, Leaving, LeftAt, Notice, Noticed};
pub use offsets::history::{History, HistoryPass};
pub use partition::partition_for;
pub use pins::Pins;
pub use record::ReplayError;
pub use records::{CoordinatorRecord, RecordRef, Records};
pub use reply::{Moved, Reply};
pub use retention::{Retention, RetentionRule, RetentionRules, fits};
pub use shard::{BookmarkNow, Expiring, GroupNow, GroupShard, Survey, SurveyCall};
pub use timer::{TimerKey, TimerKind};
pub use transaction::{
    CLIENT_MANAGED, EPOCH_BUMP, EndOfTransaction, InitCall, PartitionsCall, TransactionCall,
    TransactionConfig, TransactionEffect, TransactionOutput, TransactionReply, TransactionShard,
};
