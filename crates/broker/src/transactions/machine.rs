//! The transaction coordinator's machine, as the driver of all coordinators takes it.

use catchword_coordinator::{
    Context, ProducerEpoch, ReplayError, ReplyTo, TransactionCall, TransactionConfig,
    TransactionEffect, TransactionOutput, TransactionReply, TransactionShard,
};
use catchword_wire::ErrorCode;
use catchword_wire::batch::HeadersView;

use crate::shards::{Machine, Part, Task};

impl Machine for TransactionShard {
    type Config = TransactionConfig;
    type Call = TransactionCall;
    type Reply = TransactionReply;
    type Effect = TransactionEffect;
    const WHAT: &'static str = "transactions";
    const SNAPSHOT: &'static str = "transactions";

    fn new(config: &TransactionConfig, _seed: u128) -> TransactionShard {
        TransactionShard::new(config.clone())
    }

    fn replay(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        _headers: HeadersView<'_>,
    ) -> Result<(), ReplayError> {
        TransactionShard::replay(self, key, value)
    }

    /// Nobody writes to `__transaction_state` within a transaction; what stands there all the same says what it says.
    fn replay_in_transaction(
        &mut self,
        _producer: ProducerEpoch,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ReplayError> {
        TransactionShard::replay(self, key, value)
    }

    fn replay_end_of_transaction(&mut self, _producer_id: i64, _commit: bool) {}

    fn loaded(&mut self, _now_ms: i64, out: &mut TransactionOutput) {
        TransactionShard::loaded(self, out);
    }

    fn step(
        &mut self,
        ctx: &Context<'_>,
        to: ReplyTo,
        call: TransactionCall,
        out: &mut TransactionOutput,
    ) {
        TransactionShard::step(self, ctx, to, call, out);
    }

    /// Every call is decided in its own step.
    fn unload(&mut self, _error: ErrorCode, _out: &mut TransactionOutput) {}

    fn snapshot(&self) -> Vec<Part> {
        vec![(None, self.dump_records())]
    }

    fn counts(&self) -> (usize, usize) {
        TransactionShard::counts(self)
    }

    fn report(ids: usize, open: usize) -> String {
        format!("{ids} transactional ids with {open} open transactions")
    }

    fn refuse(call: TransactionCall, error: ErrorCode) -> TransactionReply {
        call.refuse(error)
    }

    fn into_error(reply: TransactionReply, error: ErrorCode) -> TransactionReply {
        reply.into_error(error)
    }

    fn answers(effect: &TransactionEffect) -> Option<ReplyTo> {
        match effect {
            TransactionEffect::Reply { to, .. } => Some(*to),
            _ => None,
        }
    }

    fn task(effect: TransactionEffect) -> Task<TransactionShard> {
        match effect {
            TransactionEffect::Reply { to, reply } => Task::Reply { to, reply },
            other => Task::Other(other),
        }
    }
}
