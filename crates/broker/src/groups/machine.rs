//! The machine of a groups' shard, as its driver sees it.

use std::sync::Arc;

use catchword_coordinator::record::headers::Told;
use catchword_coordinator::{
    Call, Context, Effect, Expiring, GroupConfig, GroupShard, Output, ProducerEpoch, Records,
    ReplayError, Reply, ReplyTo, RetentionRules, TimerKey,
};
use catchword_wire::batch::HeadersView;
use catchword_wire::{ErrorCode, Str, Uuid};

use super::consumers;
use crate::broker::Broker;
use crate::clock;
use crate::shards::{InTransaction, Machine, Part, Shard, Task};

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

impl Shard<GroupShard> {
    /// A timer fired.
    pub(super) fn fire(self: &Arc<Self>, key: &TimerKey) {
        self.with(|active| active.machine.timer(clock::now_ms(), key, &mut active.out));
    }

    pub(super) fn topics_deleted(self: &Arc<Self>, topics: &[(Str, Uuid)]) {
        self.with(|active| active.machine.topics_deleted(topics, &mut active.out));
    }

    /// Removes what has expired. Returns the groups of which something expires within `lead_ms`.
    pub(super) fn expire(
        self: &Arc<Self>,
        rules: &Arc<RetentionRules>,
        lead_ms: i64,
    ) -> Vec<Expiring> {
        let mut soon = Vec::new();
        self.with(|active| {
            let now_ms = clock::now_ms();
            active.machine.set_retention_rules(rules.clone());
            active.machine.expire_offsets(now_ms, &mut active.out);
            if lead_ms > 0 {
                soon = active.machine.expiring(now_ms, lead_ms);
            }
        });
        soon
    }
}
