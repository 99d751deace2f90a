//! What a driver needs of a coordinator's state machine: the same for groups and for transactions.
//!
//! A machine decides and knows nothing of logs; [`Shard`](super::shard::Shard) makes what it decided durable and then
//! performs it. What is not an answer to a caller goes to [`Outside`].

use catchword_coordinator::record::headers::Told;
use catchword_coordinator::{
    Call, Context, Effect, GroupConfig, GroupShard, Output, ProducerEpoch, Records, ReplayError,
    Reply, ReplyTo,
};
use catchword_wire::ErrorCode;
use catchword_wire::batch::HeadersView;

use super::consumers;
use super::shard::InTransaction;
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

impl Machine for GroupShard {
    type Config = GroupConfig;
    type Call = Call;
    type Reply = Reply;
    type Effect = Effect;
    const WHAT: &'static str = "groups";
    const SNAPSHOT: &'static str = "groups";

    fn new(config: &GroupConfig, seed: u128) -> GroupShard {
        GroupShard::new(config.clone(), seed)
    }

    fn replay(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        headers: HeadersView<'_>,
    ) -> Result<(), ReplayError> {
        let told = Told::by(|name| headers.get(name));
        GroupShard::replay_told(self, key, value, told)
    }

    fn replay_in_transaction(
        &mut self,
        producer: ProducerEpoch,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ReplayError> {
        GroupShard::replay_in_transaction(self, producer, key, value)
    }

    fn replay_end_of_transaction(&mut self, producer_id: i64, commit: bool) {
        GroupShard::replay_end_of_transaction(self, producer_id, commit);
    }

    fn loaded(&mut self, now_ms: i64, out: &mut Output) {
        GroupShard::loaded(self, now_ms, out);
    }

    fn look_around(&mut self, broker: &Broker, call: &Call) {
        consumers::look_around(self, broker, call);
    }

    fn in_transaction(call: &Call) -> Option<InTransaction> {
        match call {
            Call::TxnOffsetCommit(commit) => Some(InTransaction::Write(ProducerEpoch {
                id: commit.request.producer_id,
                epoch: commit.request.producer_epoch,
            })),
            Call::EndTransaction(marker) => Some(InTransaction::End(*marker)),
            _ => None,
        }
    }

    fn step(&mut self, ctx: &Context<'_>, to: ReplyTo, call: Call, out: &mut Output) {
        GroupShard::step(self, ctx, to, call, out);
    }

    fn unload(&mut self, error: ErrorCode, out: &mut Output) {
        GroupShard::unload(self, error, out);
    }

    /// Offsets of transactions that have not ended are in it too. Those that something later has passed by stand before
    /// the rest of the state, so that a reader finds them passed by again.
    fn snapshot(&self) -> Vec<Part> {
        let waiting = |overtaken| {
            let all = self.dump_pending(overtaken).into_iter();
            all.map(|(producer, record)| (Some(producer), Records::from_iter([record])))
        };
        let state = std::iter::once((None, self.snapshot_records()));
        waiting(true).chain(state).chain(waiting(false)).collect()
    }

    fn counts(&self) -> (usize, usize) {
        GroupShard::counts(self)
    }

    fn report(groups: usize, offsets: usize) -> String {
        format!("{groups} groups with {offsets} committed offsets")
    }

    fn refuse(call: Call, error: ErrorCode) -> Reply {
        call.refuse(error)
    }

    fn into_error(reply: Reply, error: ErrorCode) -> Reply {
        reply.into_error(error)
    }

    fn answers(effect: &Effect) -> Option<ReplyTo> {
        match effect {
            Effect::Reply { to, .. } => Some(*to),
            _ => None,
        }
    }

    fn task(effect: Effect) -> Task<GroupShard> {
        match effect {
            Effect::Reply { to, reply } => Task::Reply { to, reply },
            other => Task::Other(other),
        }
    }
}
