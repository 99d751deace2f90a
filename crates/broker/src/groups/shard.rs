//! Drives one coordinator shard, be it of groups or of transactions: step, append, and only then answer.
//!
//! Invariant: effects are performed in the order in which they were decided, each after every record decided before it
//! is durable. While one batch of records is being synced, later decisions gather for the next: so a sync's price is
//! shared by all who wait for it.
//!
//! A record that cannot be stored leaves the machine ahead of its log: then it is dropped and read anew from the log.
//! What only a transaction's state in the log forbids is refused before the machine hears of it (`shard/admit.rs`).

mod admit;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catchword_coordinator::{
    Client, Context, Expiring, GroupShard, Output, ReplyTo, RetentionRules, TimerKey,
};
use catchword_log::{AppendError, LogError, VerificationGuard};
use catchword_wire::{ErrorCode, Str, Uuid};
use tokio::sync::oneshot;
use tracing::{error, info};

pub(crate) use self::admit::InTransaction;
use super::load::{self, Amount, Loaded};
use super::machine::{Machine, Outside, Task};
use super::write::Writes;
use crate::broker::Broker;
use crate::clock;
use crate::dispatch::Call;
use crate::outcome::Outcome;
use crate::partition::Partition;
use crate::random;

pub(crate) struct Shard<M: Machine = GroupShard> {
    index: usize,
    pub(super) partition: Arc<Partition>,
    pub(super) config: M::Config,
    /// Whether answers wait for fdatasync: `offsets.durability`.
    durable: bool,
    outside: Arc<dyn Outside<M>>,
    /// Somebody has asked for it while it was being loaded.
    wanted: AtomicBool,
    kept: Mutex<Kept>,
    state: Mutex<State<M>>,
}

/// What is known of the shard's newest snapshot.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kept {
    /// It speaks of the log up to this offset.
    pub(super) end: i64,
    pub(super) amount: Amount,
    /// Bytes of the log when it was made.
    pub(super) log_bytes: u64,
    /// What the partition said of its appends when the shard was last looked at.
    pub(super) looked_at: Option<i64>,
    /// What the shard was loaded from.
    loaded: Loaded,
}

enum State<M: Machine> {
    Loading,
    Active(Box<Active<M>>),
    Stopped,
}

pub(crate) struct Active<M: Machine> {
    pub(crate) machine: M,
    pub(crate) out: Output<M::Effect>,
    /// Decided, not yet appended, and what waits for it.
    writes: Writes,
    /// The end of the log, where something was appended that no sync has been asked for yet.
    appended: Option<i64>,
    effects: Vec<M::Effect>,
    /// What waits for the batch that is being synced.
    syncing: Option<Vec<M::Effect>>,
    replies: HashMap<ReplyTo, oneshot::Sender<M::Reply>>,
    next_reply: u64,
    /// Differs from load to load, so that a sync that comes late finds nothing of its own.
    term: u64,
}

/// What has to happen after the lock is given back.
enum Then {
    Nothing,
    /// Sync up to this offset, for this term.
    Sync(i64, u64),
    /// Read the log anew.
    Reload,
}

impl<M: Machine> Shard<M> {
    pub(crate) fn new(
        index: usize,
        partition: Arc<Partition>,
        config: M::Config,
        durable: bool,
        outside: Arc<dyn Outside<M>>,
    ) -> Arc<Shard<M>> {
        Arc::new(Shard {
            index,
            partition,
            config,
            durable,
            outside,
            wanted: AtomicBool::new(false),
            kept: Mutex::default(),
            state: Mutex::new(State::Loading),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of its newest snapshot. Not to be held while anything else is locked.
    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The partition that it is the state of.
    pub(crate) fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }

    /// What the shard was loaded from.
    pub(super) fn loaded(&self) -> Loaded {
        self.kept().loaded
    }

    /// Whether somebody has asked for it while it was being loaded.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    pub(crate) fn is_loading(&self) -> bool {
        matches!(*self.lock(), State::Loading)
    }

    pub(super) fn counts(&self) -> (usize, usize) {
        match &*self.lock() {
            State::Active(active) => active.machine.counts(),
            _ => (0, 0),
        }
    }

    /// Reads the log into a new machine. Blocks.
    pub(super) fn load(self: &Arc<Self>) {
        let seed = u128::from_be_bytes(random::bytes());
        let new_machine = || M::new(&self.config, seed);
        let log = &*self.partition.log;
        let (machine, loaded) = match load::load(&self.partition.tp, log, i64::MAX, new_machine) {
            Ok(found) => found,
            Err(why) => {
                error!(
                    "{}: its {} cannot be served: {why}; `catchword doctor` tells more",
                    self.partition.tp,
                    M::WHAT
                );
                return;
            }
        };
        *self.kept() = Kept {
            end: loaded.snapshot_end,
            amount: loaded.snapshot,
            log_bytes: log.size_bytes().saturating_sub(loaded.tail.bytes),
            looked_at: None,
            loaded,
        };
        let mut active = Active {
            machine,
            out: Output::default(),
            writes: Writes::default(),
            appended: None,
            effects: Vec::new(),
            syncing: None,
            replies: HashMap::new(),
            next_reply: 0,
            term: random::number(),
        };
        active.machine.loaded(clock::now_ms(), &mut active.out);
        let then = {
            let mut state = self.lock();
            if matches!(*state, State::Stopped) {
                return;
            }
            let then = self.settle(&mut active, None);
            *state = State::Active(Box::new(active));
            then
        };
        self.after(then);
    }

    /// Asks the machine. The answer comes at once if it depends on nothing that is not yet durable.
    pub(crate) fn call(
        self: &Arc<Self>,
        call: &Call,
        request: M::Call,
    ) -> Outcome<Option<M::Reply>> {
        self.call_guarded(call, request, None)
    }

    /// As [`call`](Shard::call), for what is to be written in a transaction that is not known to have begun in this
    /// partition.
    pub(crate) fn call_guarded(
        self: &Arc<Self>,
        call: &Call,
        request: M::Call,
        guard: Option<VerificationGuard>,
    ) -> Outcome<Option<M::Reply>> {
        let client = Client {
            client_id: call.client_id.clone(),
            client_host: call.client.host.clone(),
            principal: Str::EMPTY,
        };
        self.ask(Some(&call.broker), &client, call.version, request, guard)
    }

    /// Asks the machine on behalf of anybody. Without a broker it knows of the topics what it was told before.
    pub(crate) fn ask(
        self: &Arc<Self>,
        broker: Option<&Broker>,
        client: &Client,
        api_version: i16,
        request: M::Call,
        guard: Option<VerificationGuard>,
    ) -> Outcome<Option<M::Reply>> {
        let (outcome, then) = {
            let mut state = self.lock();
            let active = match &mut *state {
                State::Active(active) => active,
                State::Loading => {
                    self.wanted.store(true, Ordering::Relaxed);
                    return Outcome::Now(Some(M::refuse(
                        request,
                        ErrorCode::CoordinatorLoadInProgress,
                    )));
                }
                State::Stopped => {
                    return Outcome::Now(Some(M::refuse(request, ErrorCode::NotCoordinator)));
                }
            };
            if let Some(doing) = M::in_transaction(&request)
                && let Err((code, then)) = self.admit(active, &doing, api_version, guard)
            {
                drop(state);
                self.after(then);
                return Outcome::Now(Some(M::refuse(request, code)));
            }
            let to = ReplyTo(active.next_reply);
            active.next_reply += 1;
            let ctx = Context {
                now_ms: clock::now_ms(),
                client,
                api_version,
            };
            if let Some(broker) = broker {
                active.machine.look_around(broker, &request);
            }
            active.machine.step(&ctx, to, request, &mut active.out);
            match active.immediate(to) {
                Some(reply) => (Outcome::Now(Some(reply)), self.settle(active, guard)),
                None => {
                    let (tx, rx) = oneshot::channel();
                    active.replies.insert(to, tx);
                    let answer = Outcome::later(async move { rx.await.ok() });
                    (answer, self.settle(active, guard))
                }
            }
        };
        self.after(then);
        outcome
    }

    /// Sends everyone who waits to look for another coordinator, and takes no more calls.
    pub(crate) fn stop(self: &Arc<Self>) {
        let mut state = self.lock();
        if let State::Active(active) = &mut *state {
            active.refuse_all(ErrorCode::NotCoordinator);
        }
        *state = State::Stopped;
    }

    /// Has the machine do something that nobody waits for. Nothing happens while it is being loaded.
    pub(crate) fn with(self: &Arc<Self>, f: impl FnOnce(&mut Active<M>)) {
        let then = match &mut *self.lock() {
            State::Active(active) => {
                f(active);
                self.settle(active, None)
            }
            _ => Then::Nothing,
        };
        self.after(then);
    }

    /// Takes what the machine put out: effects that depend on nothing happen now, the rest with its records.
    fn settle(&self, active: &mut Active<M>, guard: Option<VerificationGuard>) -> Then {
        if active.out.writes_nothing() && active.is_idle() {
            let effects = std::mem::take(&mut active.out.effects);
            self.perform(active, effects);
            return Then::Nothing;
        }
        let Active {
            out,
            writes,
            effects,
            ..
        } = active;
        writes.gather(out, guard);
        effects.append(&mut out.effects);
        out.clear();
        if active.syncing.is_some() {
            Then::Nothing
        } else {
            self.flush(active)
        }
    }

    /// Appends what has gathered, and has it synced.
    fn flush(&self, active: &mut Active<M>) -> Then {
        if let Err(then) = self.append_gathered(active) {
            return then;
        }
        match active.appended.take() {
            Some(end) if self.durable => {
                active.syncing = Some(std::mem::take(&mut active.effects));
                Then::Sync(end, active.term)
            }
            _ => {
                let effects = std::mem::take(&mut active.effects);
                self.perform(active, effects);
                Then::Nothing
            }
        }
    }

    /// Appends what has gathered, while the sync before may still be under way.
    fn append_gathered(&self, active: &mut Active<M>) -> Result<(), Then> {
        match active.writes.append(&self.partition) {
            Ok(end) => {
                active.appended = end.or(active.appended);
                Ok(())
            }
            Err(why) => Err(self.not_stored(active, &why)),
        }
    }

    /// The machine is ahead of its log: refuses everybody who waits.
    fn not_stored(&self, active: &mut Active<M>, why: &AppendError) -> Then {
        let code = match why {
            AppendError::Storage(LogError::DiskFull { .. }) => ErrorCode::CoordinatorNotAvailable,
            // Whoever waits asks again.
            AppendError::Storage(_)
            | AppendError::InvalidProducerEpoch { .. }
            | AppendError::InvalidTxnState { .. }
            | AppendError::TransactionCoordinatorFenced { .. } => ErrorCode::NotCoordinator,
            _ => ErrorCode::UnknownServerError,
        };
        error!(
            "{}: what was decided of its {} cannot be stored: {why}",
            self.partition.tp,
            M::WHAT
        );
        active.refuse_all(code);
        Then::Reload
    }

    /// Does what must not be done under the lock.
    fn after(self: &Arc<Self>, then: Then) {
        match then {
            Then::Nothing => {}
            Then::Sync(end, term) => {
                let shard = self.clone();
                let done = move |result: Result<(), catchword_log::FlushError>| {
                    shard.synced(term, result.map_err(|e| e.to_string()));
                };
                self.partition.log.flush_to(end, Box::new(done));
            }
            Then::Reload => {
                *self.lock() = State::Loading;
                let shard = self.clone();
                std::thread::spawn(move || {
                    info!("{}: its {} are read anew", shard.partition.tp, M::WHAT);
                    shard.load();
                });
            }
        }
    }

    /// The batch that was being synced is durable, or will never be known to be.
    fn synced(self: &Arc<Self>, term: u64, result: Result<(), String>) {
        let then = {
            let mut state = self.lock();
            let State::Active(active) = &mut *state else {
                return;
            };
            if active.term != term {
                return;
            }
            let effects = active.syncing.take().unwrap_or_default();
            match result {
                Ok(()) => {
                    self.perform(active, effects);
                    self.flush(active)
                }
                Err(why) => {
                    error!(
                        "{}: what was decided of its {} did not become durable: {why}",
                        self.partition.tp,
                        M::WHAT
                    );
                    active.effects.splice(0..0, effects);
                    active.refuse_all(ErrorCode::NotCoordinator);
                    Then::Reload
                }
            }
        };
        self.after(then);
    }

    fn perform(&self, active: &mut Active<M>, effects: Vec<M::Effect>) {
        for effect in effects {
            match M::task(effect) {
                Task::Reply { to, reply } => {
                    if let Some(waiter) = active.replies.remove(&to) {
                        let _ = waiter.send(reply);
                    }
                }
                Task::Other(effect) => self.outside.perform(self.index, effect),
            }
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

impl<M: Machine> Active<M> {
    /// Whether nothing is on its way to the disk.
    fn is_idle(&self) -> bool {
        self.syncing.is_none() && self.writes.is_empty() && self.appended.is_none()
    }

    /// The reply to the call just made, if it waits for nothing: spares the common case a channel.
    fn immediate(&mut self, to: ReplyTo) -> Option<M::Reply> {
        if !self.out.writes_nothing() || !self.is_idle() {
            return None;
        }
        let effects = self.out.effects.iter();
        let at = effects.map(M::answers).position(|at| at == Some(to))?;
        match M::task(self.out.effects.remove(at)) {
            Task::Reply { reply, .. } => Some(reply),
            Task::Other(_) => None,
        }
    }

    /// Answers everyone who waits with an error.
    fn refuse_all(&mut self, code: ErrorCode) {
        self.out.clear();
        self.machine.unload(code, &mut self.out);
        let decided = self.syncing.take().unwrap_or_default();
        let decided = decided.into_iter().chain(std::mem::take(&mut self.effects));
        // What had been decided was not stored; what had not been decided is refused by the machine.
        let decided = decided.map(|effect| (effect, true)).collect::<Vec<_>>();
        let undecided = std::mem::take(&mut self.out.effects)
            .into_iter()
            .map(|effect| (effect, false));
        for (effect, was_decided) in decided.into_iter().chain(undecided) {
            if let Task::Reply { to, reply } = M::task(effect)
                && let Some(waiter) = self.replies.remove(&to)
            {
                let _ = waiter.send(if was_decided {
                    M::into_error(reply, code)
                } else {
                    reply
                });
            }
        }
    }
}
