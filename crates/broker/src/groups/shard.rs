//! Drives one group shard: step, append, and only then answer.
//!
//! Invariant: effects are performed in the order in which they were decided, each after every record decided before it
//! is durable. While one batch of records is being synced, later decisions gather for the next: so a sync's price is
//! shared by all who wait for it.
//!
//! A record that cannot be stored leaves the machine ahead of its log: then it is dropped and read anew from the log.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catchword_coordinator::{
    Call as GroupCall, Client, Context, CoordinatorRecord, Effect, GroupConfig, GroupSettings,
    GroupShard, Output, Reply, ReplyTo, TimerKey,
};
use catchword_log::{AppendError, AppendOrigin, LogError};
use catchword_wire::batch::{BatchBuilder, NewRecord, split};
use catchword_wire::{ErrorCode, Str, Uuid};
use tokio::sync::oneshot;
use tracing::{error, info};

use super::load::{self, Amount, Loaded};
use super::timers::Timers;
use crate::clock;
use crate::dispatch::Call;
use crate::outcome::Outcome;
use crate::partition::Partition;
use crate::random;

/// Larger batches would make a reader of `__consumer_offsets` take more than it wants at once.
const MAX_BATCH_BYTES: usize = 900_000;

pub(crate) struct Shard {
    index: usize,
    pub(super) partition: Arc<Partition>,
    pub(super) config: GroupConfig,
    /// What is set on single groups.
    settings: Arc<BTreeMap<Str, GroupSettings>>,
    /// Whether answers wait for fdatasync: `offsets.durability`.
    durable: bool,
    timers: Arc<Timers>,
    /// Somebody has asked for it while it was being loaded.
    wanted: AtomicBool,
    kept: Mutex<Kept>,
    state: Mutex<State>,
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

enum State {
    Loading,
    Active(Box<Active>),
    Stopped,
}

struct Active {
    machine: GroupShard,
    out: Output,
    /// Decided, not yet appended, and what waits for it.
    records: Vec<CoordinatorRecord>,
    effects: Vec<Effect>,
    /// What waits for the batch that is being synced.
    syncing: Option<Vec<Effect>>,
    replies: HashMap<ReplyTo, oneshot::Sender<Reply>>,
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

impl Shard {
    pub(super) fn new(
        index: usize,
        partition: Arc<Partition>,
        config: GroupConfig,
        settings: Arc<BTreeMap<Str, GroupSettings>>,
        durable: bool,
        timers: Arc<Timers>,
    ) -> Arc<Shard> {
        Arc::new(Shard {
            index,
            partition,
            config,
            settings,
            durable,
            timers,
            wanted: AtomicBool::new(false),
            kept: Mutex::default(),
            state: Mutex::new(State::Loading),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of its newest snapshot. Not to be held while anything else is locked.
    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the shard was loaded from.
    pub(super) fn loaded(&self) -> Loaded {
        self.kept().loaded
    }

    /// Whether somebody has asked for it while it was being loaded.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    pub(super) fn is_loading(&self) -> bool {
        matches!(*self.lock(), State::Loading)
    }

    pub(super) fn counts(&self) -> (usize, usize) {
        match &*self.lock() {
            State::Active(active) => active.machine.counts(),
            _ => (0, 0),
        }
    }

    /// Reads the log into a new machine. Blocks.
    pub(super) fn load(self: &Arc<Shard>) {
        let seed = u128::from_be_bytes(random::bytes());
        let new_machine = || GroupShard::new(self.config.clone(), seed);
        let log = &*self.partition.log;
        let (machine, loaded) = match load::load(&self.partition.tp, log, i64::MAX, new_machine) {
            Ok(found) => found,
            Err(why) => {
                error!(
                    "{}: its groups cannot be served: {why}; `catchword doctor` tells more",
                    self.partition.tp
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
            records: Vec::new(),
            effects: Vec::new(),
            syncing: None,
            replies: HashMap::new(),
            next_reply: 0,
            term: random::number(),
        };
        for (group_id, settings) in &*self.settings {
            active.machine.set_group_settings(group_id, Some(*settings));
        }
        active.machine.loaded(clock::now_ms(), &mut active.out);
        let then = {
            let mut state = self.lock();
            if matches!(*state, State::Stopped) {
                return;
            }
            let then = self.settle(&mut active);
            *state = State::Active(Box::new(active));
            then
        };
        self.after(then);
    }

    /// Asks the machine. The answer comes at once if it depends on nothing that is not yet durable.
    pub(super) fn call(
        self: &Arc<Shard>,
        call: &Call,
        request: GroupCall,
    ) -> Outcome<Option<Reply>> {
        let client = Client {
            client_id: call.client_id.clone(),
            client_host: call.client.host.clone(),
            principal: Str::EMPTY,
        };
        let (outcome, then) = {
            let mut state = self.lock();
            let active = match &mut *state {
                State::Active(active) => active,
                State::Loading => {
                    self.wanted.store(true, Ordering::Relaxed);
                    return Outcome::Now(Some(
                        request.refuse(ErrorCode::CoordinatorLoadInProgress),
                    ));
                }
                State::Stopped => {
                    return Outcome::Now(Some(request.refuse(ErrorCode::NotCoordinator)));
                }
            };
            let to = ReplyTo(active.next_reply);
            active.next_reply += 1;
            let ctx = Context {
                now_ms: clock::now_ms(),
                client: &client,
                api_version: call.version,
            };
            let catalog = &call.broker.catalog;
            if active.machine.metadata_version() != catalog.topics_version() {
                active
                    .machine
                    .set_metadata(call.broker.groups.metadata(catalog));
            }
            active.machine.step(&ctx, to, request, &mut active.out);
            match active.immediate(to) {
                Some(reply) => (Outcome::Now(Some(reply)), self.settle(active)),
                None => {
                    let (tx, rx) = oneshot::channel();
                    active.replies.insert(to, tx);
                    let answer = Outcome::later(async move { rx.await.ok() });
                    (answer, self.settle(active))
                }
            }
        };
        self.after(then);
        outcome
    }

    /// A timer fired.
    pub(super) fn fire(self: &Arc<Shard>, key: &TimerKey) {
        self.with(|active| active.machine.timer(clock::now_ms(), key, &mut active.out));
    }

    pub(super) fn topics_deleted(self: &Arc<Shard>, topics: &[(Str, Uuid)]) {
        self.with(|active| active.machine.topics_deleted(topics, &mut active.out));
    }

    pub(super) fn expire(self: &Arc<Shard>) {
        self.with(|active| {
            active
                .machine
                .expire_offsets(clock::now_ms(), &mut active.out)
        });
    }

    /// Sends everyone who waits to look for another coordinator, and takes no more calls.
    pub(super) fn stop(self: &Arc<Shard>) {
        let mut state = self.lock();
        if let State::Active(active) = &mut *state {
            active.refuse_all(ErrorCode::NotCoordinator);
        }
        *state = State::Stopped;
    }

    fn with(self: &Arc<Shard>, f: impl FnOnce(&mut Active)) {
        let then = match &mut *self.lock() {
            State::Active(active) => {
                f(active);
                self.settle(active)
            }
            _ => Then::Nothing,
        };
        self.after(then);
    }

    /// Takes what the machine put out: effects that depend on nothing happen now, the rest with its records.
    fn settle(&self, active: &mut Active) -> Then {
        if active.out.records.is_empty() && active.is_idle() {
            let effects = std::mem::take(&mut active.out.effects);
            self.perform(active, effects);
            return Then::Nothing;
        }
        let Active {
            out,
            records,
            effects,
            ..
        } = active;
        records.append(&mut out.records);
        effects.append(&mut out.effects);
        out.clear();
        if active.syncing.is_some() {
            Then::Nothing
        } else {
            self.flush(active)
        }
    }

    /// Appends what has gathered.
    fn flush(&self, active: &mut Active) -> Then {
        let records = std::mem::take(&mut active.records);
        if records.is_empty() {
            let effects = std::mem::take(&mut active.effects);
            self.perform(active, effects);
            return Then::Nothing;
        }
        match self.append(&records) {
            Ok(end) if self.durable => {
                active.syncing = Some(std::mem::take(&mut active.effects));
                Then::Sync(end, active.term)
            }
            Ok(_) => {
                let effects = std::mem::take(&mut active.effects);
                self.perform(active, effects);
                Then::Nothing
            }
            Err(why) => {
                let code = match &why {
                    AppendError::Storage(LogError::DiskFull { .. }) => {
                        ErrorCode::CoordinatorNotAvailable
                    }
                    AppendError::Storage(_) => ErrorCode::NotCoordinator,
                    _ => ErrorCode::UnknownServerError,
                };
                error!(
                    "{}: committed offsets cannot be stored: {why}",
                    self.partition.tp
                );
                active.refuse_all(code);
                Then::Reload
            }
        }
    }

    fn append(&self, records: &[CoordinatorRecord]) -> Result<i64, AppendError> {
        let invalid = |detail| AppendError::InvalidBatch {
            partition: self.partition.tp.clone(),
            detail,
        };
        let now = clock::now_ms();
        let mut end = 0;
        let mut rest = records;
        while !rest.is_empty() {
            let mut builder = BatchBuilder::new(0);
            let mut taken = 0;
            for record in rest {
                if taken > 0 && builder.uncompressed_len() > MAX_BATCH_BYTES {
                    break;
                }
                let new = NewRecord {
                    timestamp: now,
                    key: Some(&record.key),
                    value: record.value.as_deref(),
                    headers: &record.headers,
                };
                builder
                    .push(new)
                    .map_err(|_| invalid("a coordinator record is too large"))?;
                taken += 1;
            }
            rest = &rest[taken..];
            let bytes = builder
                .build()
                .map_err(|_| invalid("a batch of coordinator records is too large"))?;
            let batches: Result<Vec<_>, _> = split(bytes).collect();
            let batches =
                batches.map_err(|_| invalid("a batch that was just built cannot be read"))?;
            end = self
                .partition
                .append(&batches, None, AppendOrigin::Coordinator)?
                .last_offset
                + 1;
        }
        Ok(end)
    }

    /// Does what must not be done under the lock.
    fn after(self: &Arc<Shard>, then: Then) {
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
                    info!("{}: its groups are read anew", shard.partition.tp);
                    shard.load();
                });
            }
        }
    }

    /// The batch that was being synced is durable, or will never be known to be.
    fn synced(self: &Arc<Shard>, term: u64, result: Result<(), String>) {
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
                        "{}: committed offsets did not become durable: {why}",
                        self.partition.tp
                    );
                    active.effects.splice(0..0, effects);
                    active.refuse_all(ErrorCode::NotCoordinator);
                    Then::Reload
                }
            }
        };
        self.after(then);
    }

    fn perform(&self, active: &mut Active, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { to, reply } => {
                    if let Some(waiter) = active.replies.remove(&to) {
                        let _ = waiter.send(reply);
                    }
                }
                Effect::SetTimer { key, at_ms } => self.timers.set(self.index, key, at_ms),
                // A timer that fires for nothing does no harm.
                Effect::CancelTimer { .. } => {}
            }
        }
    }
}

impl Active {
    /// Whether nothing is on its way to the disk.
    fn is_idle(&self) -> bool {
        self.syncing.is_none() && self.records.is_empty()
    }

    /// The reply to the call just made, if it waits for nothing: spares the common case a channel.
    fn immediate(&mut self, to: ReplyTo) -> Option<Reply> {
        if !self.out.records.is_empty() || !self.is_idle() {
            return None;
        }
        let at = self
            .out
            .effects
            .iter()
            .position(|e| matches!(e, Effect::Reply { to: t, .. } if *t == to))?;
        match self.out.effects.remove(at) {
            Effect::Reply { reply, .. } => Some(reply),
            _ => None,
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
            if let Effect::Reply { to, reply } = effect
                && let Some(waiter) = self.replies.remove(&to)
            {
                let _ = waiter.send(if was_decided {
                    reply.into_error(code)
                } else {
                    reply
                });
            }
        }
    }
}
