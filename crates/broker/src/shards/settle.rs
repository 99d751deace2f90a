//! From what a machine has decided to what happens: append, sync, and only then perform.
//!
//! Invariant: effects are performed in the order in which they were decided, each after every record decided before it
//! is durable. While one batch of records is being synced, later decisions gather for the next: so a sync's price is
//! shared by all who wait for it.

use std::sync::Arc;

use catchword_coordinator::ReplyTo;
use catchword_log::{AppendError, LogError, VerificationGuard};
use catchword_wire::ErrorCode;
use tracing::{error, info};

use super::machine::{Machine, Task};
use super::shard::{Active, Shard, State};

/// What has to happen after the lock is given back.
pub(super) enum Then {
    Nothing,
    /// Sync up to this offset, for this term.
    Sync(i64, u64),
    /// Read the log anew.
    Reload,
}

impl<M: Machine> Shard<M> {
    /// Takes what the machine put out: effects that depend on nothing happen now, the rest with its records.
    pub(super) fn settle(&self, active: &mut Active<M>, guard: Option<VerificationGuard>) -> Then {
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
    pub(super) fn flush(&self, active: &mut Active<M>) -> Then {
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
    pub(super) fn append_gathered(&self, active: &mut Active<M>) -> Result<(), Then> {
        match active.writes.append(&self.partition) {
            Ok(end) => {
                active.appended = end.or(active.appended);
                Ok(())
            }
            Err(why) => Err(self.not_stored(active, &why)),
        }
    }

    /// The machine is ahead of its log: refuses everybody who waits.
    pub(super) fn not_stored(&self, active: &mut Active<M>, why: &AppendError) -> Then {
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
    pub(super) fn after(self: &Arc<Self>, then: Then) {
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
    pub(super) fn synced(self: &Arc<Self>, term: u64, result: Result<(), String>) {
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

    pub(super) fn perform(&self, active: &mut Active<M>, effects: Vec<M::Effect>) {
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

impl<M: Machine> Active<M> {
    /// Whether nothing is on its way to the disk.
    pub(super) fn is_idle(&self) -> bool {
        self.syncing.is_none() && self.writes.is_empty() && self.appended.is_none()
    }

    /// The reply to the call just made, if it waits for nothing: spares the common case a channel.
    pub(super) fn immediate(&mut self, to: ReplyTo) -> Option<M::Reply> {
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
    pub(super) fn refuse_all(&mut self, code: ErrorCode) {
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
