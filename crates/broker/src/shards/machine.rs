//! What a driver needs of a coordinator's state machine: the same for groups and for transactions.
//!
//! A machine decides and knows nothing of logs; [`Shard`](super::shard::Shard) makes what it decided durable and then
//! performs it. What is not an answer to a caller goes to [`Outside`].

use catchword_coordinator::{Context, Output, ProducerEpoch, ReplayError, ReplyTo};
use catchword_wire::ErrorCode;
use catchword_wire::batch::HeadersView;

use super::admit::InTransaction;
use super::snapshot::Part;
use crate::broker::Broker;

/// A pure state machine whose records are those of one partition.
pub(crate) trait Machine: Sized + Send + 'static {
    type Config: Clone + Send + Sync;
    type Call;
    type Reply: Send + 'static;
    type Effect: Send;
    /// What is in it, for the log.
    const WHAT: &'static str;
    /// What its snapshots are called beside the log.
    const SNAPSHOT: &'static str;

    /// A machine without state. `seed` differs from run to run of a broker.
    fn new(config: &Self::Config, seed: u128) -> Self;
    /// Applies a record of the log.
    fn replay(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        headers: HeadersView<'_>,
    ) -> Result<(), ReplayError>;
    /// Applies a record that is part of a producer's transaction.
    fn replay_in_transaction(
        &mut self,
        producer: ProducerEpoch,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ReplayError>;
    /// Applies the end of a producer's transaction.
    fn replay_end_of_transaction(&mut self, producer_id: i64, commit: bool);
    /// The log has been read to its end.
    fn loaded(&mut self, now_ms: i64, out: &mut Output<Self::Effect>);
    /// Takes from the broker what it must know for the call that comes.
    fn look_around(&mut self, _broker: &Broker, _call: &Self::Call) {}
    /// What the call does in a transaction, of which the log has to be asked before.
    fn in_transaction(_call: &Self::Call) -> Option<InTransaction> {
        None
    }
    fn step(
        &mut self,
        ctx: &Context<'_>,
        to: ReplyTo,
        call: Self::Call,
        out: &mut Output<Self::Effect>,
    );
    /// Answers whoever waits undecided.
    fn unload(&mut self, error: ErrorCode, out: &mut Output<Self::Effect>);
    /// The records that make its state and nothing that they replace, in the order in which a reader has to take them.
    fn snapshot(&self) -> Vec<Part>;
    /// How much there is, as the start tells it.
    fn counts(&self) -> (usize, usize);

    /// The counts in words.
    fn report(first: usize, second: usize) -> String;
    fn refuse(call: Self::Call, error: ErrorCode) -> Self::Reply;
    fn into_error(reply: Self::Reply, error: ErrorCode) -> Self::Reply;
    /// Whom the effect answers.
    fn answers(effect: &Self::Effect) -> Option<ReplyTo>;
    fn task(effect: Self::Effect) -> Task<Self>;
}

/// An effect, by who performs it.
pub(crate) enum Task<M: Machine> {
    Reply { to: ReplyTo, reply: M::Reply },
    Other(M::Effect),
}

/// Performs what is not an answer.
pub(crate) trait Outside<M: Machine>: Send + Sync {
    /// Must not call the shard back before it returns.
    fn perform(&self, shard: usize, effect: M::Effect);
}
