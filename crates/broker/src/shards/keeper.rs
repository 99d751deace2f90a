//! Keeps snapshots of the shards beside their logs, so that a start reads what is alive and not all that was written.
//!
//! A snapshot is made without the shard that serves: the one before and the log since are read into a machine of its own,
//! which is exact, since the log is all that a shard's state comes from. So commits never wait for it.
//!
//! Invariant: only what is on stable storage is in a snapshot: after a loss of power the state is never ahead of the log.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use catchword_log::{PartitionLog, TopicPartition};
use tracing::{debug, warn};

use super::load::{self, Amount};
use super::machine::Machine;
use super::shard::Shard;
use super::snapshot::{self, Of};

/// How often shards are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A tail of less than this is not worth a snapshot: about a hundredth of a second to read.
const TAIL: Amount = Amount {
    records: 64 * 1024,
    bytes: 8 << 20,
};
/// The same at a shutdown, which is to spare the next start its work.
const LAST_TAIL: Amount = Amount {
    records: 1000,
    bytes: 1 << 20,
};
/// How long a shutdown may take over snapshots. What is not made is read from the log.
const LAST_WITHIN: Duration = Duration::from_secs(5);

/// The thread that does it.
pub(crate) struct Keeper<M: Machine> {
    shards: Arc<Vec<Arc<Shard<M>>>>,
    /// Dropped to end the thread.
    running: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl<M: Machine> Keeper<M> {
    /// Begins to look after the shards.
    pub(crate) fn start(shards: Arc<Vec<Arc<Shard<M>>>>) -> Keeper<M> {
        let (stop, stopped) = mpsc::channel();
        let theirs = shards.clone();
        let watch = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LOOK_EVERY) {
                // One at a time: there is no hurry, and each takes memory.
                let due = theirs
                    .iter()
                    .filter(|shard| has_changed(shard) && is_due(shard, TAIL));
                for shard in due.collect::<Vec<_>>() {
                    keep(shard);
                    if let Err(mpsc::TryRecvError::Disconnected) = stopped.try_recv() {
                        return;
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("snapshots".into());
        let running = match thread.spawn(watch) {
            Ok(handle) => Some((stop, handle)),
            Err(error) => {
                warn!(
                    "no thread for snapshots of {}: {error}; the next start reads more",
                    M::WHAT
                );
                None
            }
        };
        Keeper { shards, running }
    }

    /// Ends a keeper if there is one; see [`Keeper::end`].
    pub(crate) fn finish(kept: &Mutex<Option<Keeper<M>>>) {
        let keeper = kept.lock().map(|mut keeper| keeper.take());
        if let Ok(Some(keeper)) = keeper {
            keeper.end();
        }
    }

    /// Ends the thread and makes the last snapshots, as far as time allows. Blocks.
    fn end(self) {
        if let Some((stop, handle)) = self.running {
            drop(stop);
            let _ = handle.join();
        }
        let until = Instant::now() + LAST_WITHIN;
        self.shards.iter().for_each(|shard| make_durable(shard));
        let mut due: Vec<_> = self.shards.iter().collect();
        due.retain(|shard| is_due(shard, LAST_TAIL));
        due.sort_by_key(|shard| tail(shard).records);
        let due = Mutex::new(due);
        let next = || due.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let work = || {
            while Instant::now() < until
                && let Some(shard) = next()
            {
                keep(shard);
            }
        };
        std::thread::scope(|scope| {
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            work();
        });
    }
}

/// Whether there were appends since this was last asked. A log that is not written to is left asleep, its files closed.
fn has_changed<M: Machine>(shard: &Shard<M>) -> bool {
    let now = Some(shard.partition.appended());
    !shard.is_loading() && std::mem::replace(&mut shard.kept().looked_at, now) != now
}

/// What the log holds since the last snapshot, at least.
fn tail<M: Machine>(shard: &Shard<M>) -> Amount {
    let log = &shard.partition.log;
    let (durable_end, size) = (log.offsets().durable_end, log.size_bytes());
    let mut kept = shard.kept();
    // A compaction made the log smaller: what grows from here on is tail.
    kept.log_bytes = kept.log_bytes.min(size);
    Amount {
        records: u64::try_from(durable_end - kept.end).unwrap_or(0),
        bytes: size - kept.log_bytes,
    }
}

/// Whether the tail is larger than `least` and than what the snapshot holds: so making snapshots costs, all in all, no
/// more than a fixed multiple of what was written.
fn is_due<M: Machine>(shard: &Shard<M>, least: Amount) -> bool {
    if shard.is_loading() {
        return false;
    }
    let tail = tail(shard);
    let Amount { records, bytes } = shard.kept().amount;
    let is_last = least == LAST_TAIL;
    let (records, bytes) = if is_last { (0, 0) } else { (records, bytes) };
    tail.records > 0
        && (tail.records >= least.records.max(records) || tail.bytes >= least.bytes.max(bytes))
}

/// Makes the shard's snapshot, or says why not.
fn keep<M: Machine>(shard: &Shard<M>) {
    let begun = Instant::now();
    let log = &shard.partition.log;
    let (durable_end, log_bytes) = (log.offsets().durable_end, log.size_bytes());
    let taken = take::<M>(&shard.partition.tp, &**log, &shard.config, durable_end);
    let mut kept = shard.kept();
    // After a failure it is tried again when as much has come again.
    kept.end = durable_end;
    kept.log_bytes = log_bytes;
    match taken {
        Ok(amount) => {
            kept.amount = amount;
            debug!(
                "{}: a snapshot of {} records made in {} ms",
                shard.partition.tp,
                amount.records,
                begun.elapsed().as_millis()
            );
        }
        Err(why) => warn!(
            "{}: no snapshot of its {} could be made, the next start reads more: {why}",
            shard.partition.tp,
            M::WHAT
        ),
    }
}

/// Makes a snapshot of what is durable, and puts it beside the log.
fn take<M: Machine>(
    tp: &TopicPartition,
    log: &dyn PartitionLog,
    config: &M::Config,
    durable_end: i64,
) -> Result<Amount, String> {
    let (machine, loaded) = load::load(tp, log, durable_end, || M::new(config, 0))?;
    let parts = machine.snapshot();
    drop(machine);
    let of = Of {
        topic_id: log.topic_id(),
        end: loaded.end,
        leader_epoch: loaded.leader_epoch,
    };
    let bytes = snapshot::encode(of, &parts).map_err(|error| error.to_string())?;
    let amount = Amount {
        records: snapshot::count(&parts) as u64,
        bytes: bytes.len() as u64,
    };
    // What was read is not in memory any more while the disk writes.
    drop(parts);
    log.put_side_file(M::SNAPSHOT, of.end, &bytes)
        .map_err(|error| error.to_string())?;
    Ok(amount)
}

/// What nobody waited for becomes durable too, so that a last snapshot may speak of it.
fn make_durable<M: Machine>(shard: &Shard<M>) {
    let log = &shard.partition.log;
    let offsets = log.offsets();
    if offsets.durable_end < offsets.log_end {
        let (done, synced) = mpsc::channel();
        log.flush_to(
            offsets.log_end,
            Box::new(move |result| drop(done.send(result))),
        );
        let _ = synced.recv_timeout(LAST_WITHIN);
    }
}

#[cfg(test)]
mod tests;
