//! Drives one coordinator shard, be it of groups or of transactions: step, append, and only then answer.
//!
//! A record that cannot be stored leaves the machine ahead of its log: then it is dropped and read anew from the log.
//! What only a transaction's state in the log forbids is refused before the machine hears of it ([`admit`](super::admit)).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catchword_coordinator::{Client, Context, Output, ReplyTo};
use catchword_log::VerificationGuard;
use catchword_wire::{ErrorCode, Str};
use tokio::sync::oneshot;
use tracing::error;

use super::load::{self, Amount, Loaded};
use super::machine::{Machine, Outside};
use super::settle::Then;
use super::write::Writes;
use crate::broker::Broker;
use crate::clock;
use crate::dispatch::Call;
use crate::outcome::Outcome;
use crate::partition::Partition;
use crate::random;

pub(crate) struct Shard<M: Machine> {
    pub(super) index: usize,
    pub(super) partition: Arc<Partition>,
    pub(super) config: M::Config,
    /// Whether answers wait for fdatasync: `offsets.durability`.
    pub(super) durable: bool,
    pub(super) outside: Arc<dyn Outside<M>>,
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

pub(super) enum State<M: Machine> {
    Loading,
    Active(Box<Active<M>>),
    Stopped,
}

pub(crate) struct Active<M: Machine> {
    pub(crate) machine: M,
    pub(crate) out: Output<M::Effect>,
    /// Decided, not yet appended, and what waits for it.
    pub(super) writes: Writes,
    /// The end of the log, where something was appended that no sync has been asked for yet.
    pub(super) appended: Option<i64>,
    pub(super) effects: Vec<M::Effect>,
    /// What waits for the batch that is being synced.
    pub(super) syncing: Option<Vec<M::Effect>>,
    pub(super) replies: HashMap<ReplyTo, oneshot::Sender<M::Reply>>,
    next_reply: u64,
    /// Differs from load to load, so that a sync that comes late finds nothing of its own.
    pub(super) term: u64,
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

    pub(super) fn lock(&self) -> MutexGuard<'_, State<M>> {
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
}
