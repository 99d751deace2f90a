//! The transaction coordinator: which partitions a producer's transaction has touched, and whether it ends well.
//!
//! One [`TransactionShard`] is the state of all transactional ids that hash to one partition of `__transaction_state`,
//! a pure state machine like [`GroupShard`](crate::GroupShard) with the same order kept by its driver: decide, append,
//! and only when that is durable perform the effects.
//!
//! Invariant: a transaction is decided once, by the record that says so (PrepareCommit or PrepareAbort). Markers are
//! written only afterwards, and again after each load until all were; nothing else happens to the transactional id
//! before. So a crash in whatever state leaves a transaction that is either undecided or will be ended as decided.
//!
//! This module must not know who writes markers, nor what is in the partitions.

mod add;
mod call;
mod config;
mod end;
mod init;
mod log;
mod record;
mod state;
mod sweep;
mod views;

use std::collections::BTreeMap;

use catchword_wire::{ErrorCode, Str};

use crate::call::{Context, ReplyTo};
use crate::effect::Output;
pub use call::{
    EndOfTransaction, InitCall, PartitionsCall, TransactionCall, TransactionEffect,
    TransactionReply,
};
pub use config::TransactionConfig;
pub use state::{CLIENT_MANAGED, EPOCH_BUMP};
use state::{Status, Transaction};

/// What a step of this machine puts out.
pub type TransactionOutput = Output<TransactionEffect>;

/// No more ids are kept in reserve.
const MAX_SPARE: usize = 4;

/// The state of one partition of `__transaction_state`.
#[derive(Debug)]
pub struct TransactionShard {
    config: TransactionConfig,
    transactions: BTreeMap<Str, Transaction>,
    /// Producer ids that nobody has: for a producer whose epochs are used up.
    spare_ids: Vec<i64>,
}

impl TransactionShard {
    /// A shard without transactional ids.
    pub fn new(config: TransactionConfig) -> TransactionShard {
        TransactionShard {
            config,
            transactions: BTreeMap::new(),
            spare_ids: Vec::new(),
        }
    }

    /// Decides a call and applies what it decides. Its records and effects are added to `out`.
    ///
    /// Each call is answered exactly once, by this step.
    pub fn step(
        &mut self,
        ctx: &Context<'_>,
        to: ReplyTo,
        call: TransactionCall,
        out: &mut TransactionOutput,
    ) {
        let now_ms = ctx.now_ms;
        let reply = match call {
            TransactionCall::InitProducerId(call) => {
                TransactionReply::InitProducerId(self.init_producer_id(now_ms, call, out))
            }
            TransactionCall::AddPartitions(call) => {
                TransactionReply::Partitions(self.add_partitions(now_ms, call, out))
            }
            TransactionCall::VerifyPartitions(call) => {
                TransactionReply::Partitions(self.verify_partitions(&call))
            }
            TransactionCall::EndTxn(request) => {
                let version = state::version_of_end_txn(ctx.api_version);
                TransactionReply::EndTxn(self.end_txn(now_ms, version, &request, out))
            }
            TransactionCall::Describe(transactional_id) => {
                TransactionReply::Describe(self.describe(transactional_id))
            }
            TransactionCall::List(request) => TransactionReply::List(self.list(now_ms, &request)),
        };
        out.effects.push(TransactionEffect::Reply { to, reply });
    }

    /// Takes a producer id that was never given out, for when one is needed at once.
    pub fn give_producer_id(&mut self, producer_id: i64) {
        if self.spare_ids.len() < MAX_SPARE {
            self.spare_ids.push(producer_id);
        }
    }

    /// A producer id, or the error that makes the client try again once there is one.
    fn take_producer_id(&mut self, out: &mut TransactionOutput) -> Result<i64, ErrorCode> {
        self.spare_ids.pop().ok_or_else(|| {
            out.effects.push(TransactionEffect::WantProducerId);
            ErrorCode::ConcurrentTransactions
        })
    }

    /// How many transactional ids there are, and how many have a transaction that has not ended.
    pub fn counts(&self) -> (usize, usize) {
        let open = |t: &&Transaction| t.status == Status::Ongoing || t.status.is_prepared();
        (
            self.transactions.len(),
            self.transactions.values().filter(open).count(),
        )
    }
}
