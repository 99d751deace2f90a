//! Drives one shard: decide, append, and only then answer.
//!
//! Invariant: nobody hears of a decision before its records, and all before them, are durable. While one batch is being
//! synced, later decisions gather for the next. A record that cannot be stored leaves the machine ahead of its log: then
//! it is dropped and read anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catchword_coordinator::share::{ShareKey, ShareRecord, ShareShard};
use catchword_log::{AppendError, AppendOrigin, Offsets};
use catchword_wire::ErrorCode;
use catchword_wire::batch::{BatchBuilder, NewRecord, split};
use tokio::sync::oneshot;
use tracing::error;

use super::load;
use crate::clock;
use crate::partition::Partition;

/// Larger batches would make a reader of the topic take more than it wants at once.
const MAX_BATCH_BYTES: usize = 900_000;
/// So many records are written before the log is asked what of it is still needed.
const PRUNE_EVERY: i64 = 5_000;

/// A decision that is on its way to the disk.
pub(crate) struct Pending(Option<oneshot::Receiver<Result<(), ErrorCode>>>);

impl Pending {
    /// Waits until the decision is durable.
    pub(crate) async fn durable(self) -> Result<(), ErrorCode> {
        match self.0 {
            None => Ok(()),
            Some(waiting) => waiting
                .await
                .unwrap_or(Err(ErrorCode::CoordinatorNotAvailable)),
        }
    }
}

pub(crate) struct Shard {
    partition: Arc<Partition>,
    durable: bool,
    updates_per_snapshot: u32,
    state: Mutex<State>,
}

struct State {
    machine: ShareShard,
    /// Where the newest snapshot of each share partition stands in the log.
    snapshots: HashMap<ShareKey, i64>,
    pruned_at: i64,
    records: Vec<ShareRecord>,
    waiting: Vec<oneshot::Sender<Result<(), ErrorCode>>>,
    syncing: Option<Vec<oneshot::Sender<Result<(), ErrorCode>>>>,
    /// The log could not be read: nothing is served.
    broken: bool,
    /// Tells a sync of a machine that was dropped.
    term: u64,
}

impl Shard {
    pub(super) fn new(partition: Arc<Partition>, durable: bool, updates: u32) -> Arc<Shard> {
        Arc::new(Shard {
            partition,
            durable,
            updates_per_snapshot: updates,
            state: Mutex::new(State {
                machine: ShareShard::new(updates),
                snapshots: HashMap::new(),
                pruned_at: 0,
                records: Vec::new(),
                waiting: Vec::new(),
                syncing: None,
                broken: true,
                term: 0,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the log. Blocks.
    pub(super) fn load(&self) {
        self.load_into(&mut self.lock());
    }

    fn load_into(&self, state: &mut State) {
        state.term += 1;
        state.records.clear();
        match load::load(&*self.partition.log, self.updates_per_snapshot) {
            Ok((machine, snapshots)) => {
                state.machine = machine;
                state.snapshots = snapshots;
                state.broken = false;
            }
            Err(why) => {
                let tp = &self.partition.tp;
                error!(
                    "{tp}: its share groups cannot be served: {why}; `catchword doctor` tells more"
                );
                state.broken = true;
            }
        }
    }

    /// Compares the state with the logs that it speaks of, which may have lost their ends in a crash: to be called before
    /// anything can be appended to them.
    pub(super) fn compare(self: &Arc<Shard>, log: impl Fn(&ShareKey) -> Option<Offsets>) {
        let now = clock::now_ms();
        self.with(|machine, out| {
            for key in machine.keys().cloned().collect::<Vec<_>>() {
                if let Some(offsets) = log(&key) {
                    let (start, end) = (offsets.log_start, Some(offsets.log_end));
                    machine.log_is(&key, start, end, now, out);
                }
            }
        });
    }

    /// Whether its log could be read.
    pub(crate) fn is_broken(&self) -> bool {
        self.lock().broken
    }

    /// Looks at the state. Nothing may depend on it before it is durable.
    pub(crate) fn look<T>(&self, f: impl FnOnce(&ShareShard) -> T) -> T {
        f(&self.lock().machine)
    }

    pub(super) fn keys_of(&self, group_id: &str) -> Vec<ShareKey> {
        let of_group = |key: &&ShareKey| *key.group_id == *group_id;
        self.look(|machine| machine.keys().filter(of_group).cloned().collect())
    }

    pub(super) fn deadline(&self) -> Option<i64> {
        self.lock().machine.deadline()
    }

    /// Decides something. The second that is returned tells when it, and all that was decided before, is durable.
    pub(crate) fn with<T>(
        self: &Arc<Shard>,
        f: impl FnOnce(&mut ShareShard, &mut Vec<ShareRecord>) -> T,
    ) -> (T, Pending) {
        let mut state = self.lock();
        let State {
            machine, records, ..
        } = &mut *state;
        let answer = f(machine, records);
        if state.records.is_empty() && state.syncing.is_none() {
            return (answer, Pending(None));
        }
        let (tx, rx) = oneshot::channel();
        state.waiting.push(tx);
        let sync = match state.syncing {
            None => self.flush(&mut state),
            Some(_) => None,
        };
        drop(state);
        self.sync(sync);
        (answer, Pending(Some(rx)))
    }

    /// Appends what has gathered. Returns up to where the log is to be synced, and for which term.
    fn flush(&self, state: &mut State) -> Option<(i64, u64)> {
        let records = std::mem::take(&mut state.records);
        let waiting = std::mem::take(&mut state.waiting);
        if records.is_empty() {
            answer(waiting, Ok(()));
            return None;
        }
        match self.append(&records, state) {
            Ok(end) if self.durable => {
                state.syncing = Some(waiting);
                Some((end, state.term))
            }
            Ok(_) => {
                answer(waiting, Ok(()));
                None
            }
            Err(why) => {
                error!(
                    "{}: a share group's state cannot be stored: {why}",
                    self.partition.tp
                );
                answer(waiting, Err(ErrorCode::CoordinatorNotAvailable));
                self.load_into(state);
                None
            }
        }
    }

    fn append(&self, records: &[ShareRecord], state: &mut State) -> Result<i64, AppendError> {
        let invalid = |detail| AppendError::InvalidBatch {
            partition: self.partition.tp.clone(),
            detail,
        };
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
                    timestamp: clock::now_ms(),
                    key: Some(&record.key),
                    value: record.value.as_deref(),
                    headers: &[],
                };
                let pushed = builder.push(new);
                pushed.map_err(|_| invalid("a share group's record is too large"))?;
                taken += 1;
            }
            let bytes = builder.build();
            let bytes =
                bytes.map_err(|_| invalid("a batch of share groups' records is too large"))?;
            let batches: Result<Vec<_>, _> = split(bytes).collect();
            let batches =
                batches.map_err(|_| invalid("a batch that was just built cannot be read"))?;
            let appended = self
                .partition
                .append(&batches, None, AppendOrigin::Coordinator)?;
            end = appended.last_offset + 1;
            state.wrote(&rest[..taken], end - taken as i64);
            rest = &rest[taken..];
        }
        Ok(end)
    }

    /// Does what must not be done under the lock.
    fn sync(self: &Arc<Shard>, what: Option<(i64, u64)>) {
        let Some((end, term)) = what else {
            return;
        };
        let shard = self.clone();
        let done = move |result: Result<(), catchword_log::FlushError>| {
            shard.synced(end, term, result.map_err(|e| e.to_string()));
        };
        self.partition.log.flush_to(end, Box::new(done));
    }

    fn synced(self: &Arc<Shard>, end: i64, term: u64, result: Result<(), String>) {
        let mut state = self.lock();
        let waiting = state.syncing.take().unwrap_or_default();
        let next = match result {
            Ok(()) if state.term == term => {
                answer(waiting, Ok(()));
                self.prune(&mut state, end);
                self.flush(&mut state)
            }
            // What was dropped meanwhile did not count, whether it is durable or not.
            Ok(()) => {
                answer(waiting, Err(ErrorCode::CoordinatorNotAvailable));
                self.flush(&mut state)
            }
            Err(why) => {
                error!(
                    "{}: a share group's state did not become durable: {why}",
                    self.partition.tp
                );
                answer(waiting, Err(ErrorCode::CoordinatorNotAvailable));
                let waiting = std::mem::take(&mut state.waiting);
                answer(waiting, Err(ErrorCode::CoordinatorNotAvailable));
                self.load_into(&mut state);
                None
            }
        };
        drop(state);
        self.sync(next);
    }

    /// Deletes what stands before the oldest of the newest snapshots; now and then writes those anew that are in the way.
    fn prune(&self, state: &mut State, end: i64) {
        if end - state.pruned_at < PRUNE_EVERY {
            return;
        }
        state.pruned_at = end;
        let needed = state.snapshots.values().copied().min().unwrap_or(end);
        // A snapshot that has become older than this is repeated, so that the next time it is not in the way.
        let old = end - 2 * PRUNE_EVERY;
        let behind = state.snapshots.iter().filter(|(_, at)| **at < old);
        for key in behind.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            state
                .machine
                .snapshot(&key, clock::now_ms(), &mut state.records);
        }
        if let Err(why) = self.partition.log.truncate_prefix(needed) {
            error!("{}: old state cannot be deleted: {why}", self.partition.tp);
        }
    }
}

impl State {
    /// Remembers where snapshots stand.
    fn wrote(&mut self, records: &[ShareRecord], base: i64) {
        for (record, offset) in records.iter().zip(base..) {
            match record.snapshot_of() {
                Some(key) if record.value.is_some() => drop(self.snapshots.insert(key, offset)),
                Some(key) => drop(self.snapshots.remove(&key)),
                None => {}
            }
        }
    }
}

fn answer(waiting: Vec<oneshot::Sender<Result<(), ErrorCode>>>, with: Result<(), ErrorCode>) {
    for waiter in waiting {
        let _ = waiter.send(with);
    }
}
