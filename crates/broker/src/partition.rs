//! A partition that this broker leads: its log, and the fetches that wait for it to grow.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use catchword_log::{
    Append, AppendError, AppendOrigin, Appended, PartitionLog, Tally, TopicPartition,
    TransactionMarker, Unread,
};
use catchword_wire::batch::Batch;
use tokio::sync::Notify;

/// A partition and who waits for it.
pub(crate) struct Partition {
    pub(crate) tp: TopicPartition,
    pub(crate) log: Arc<dyn PartitionLog>,
    pub(crate) leader_epoch: i32,
    /// The end of the last append by this process, 0 before the first. To be asked where the log is to be left asleep.
    appended: AtomicI64,
    waiters: Mutex<Vec<Arc<Notify>>>,
    /// What readers have before them, counted since somebody asked.
    tally: Mutex<Tally>,
    deleted: AtomicBool,
}

impl Partition {
    pub(crate) fn new(
        tp: TopicPartition,
        log: Arc<dyn PartitionLog>,
        leader_epoch: i32,
    ) -> Partition {
        Partition {
            tp,
            log,
            leader_epoch,
            appended: AtomicI64::new(0),
            waiters: Mutex::default(),
            tally: Mutex::default(),
            deleted: AtomicBool::new(false),
        }
    }

    /// Appends, then wakes the fetches that wait for records. `append_time` is stamped where the topic says so.
    pub(crate) fn append(
        &self,
        batches: &[Batch],
        append_time: Option<i64>,
        origin: AppendOrigin,
    ) -> Result<Appended, AppendError> {
        let how = Append {
            leader_epoch: self.leader_epoch,
            append_time,
            origin,
        };
        let appended = self.log.append(batches, how)?;
        self.appended
            .store(appended.last_offset + 1, Ordering::Relaxed);
        self.wake();
        Ok(appended)
    }

    /// Ends a transaction, then wakes the fetches that wait: those of committed records may see further.
    pub(crate) fn append_marker(
        &self,
        marker: &TransactionMarker,
    ) -> Result<Appended, AppendError> {
        let appended = self.log.append_marker(marker, self.leader_epoch)?;
        self.appended
            .store(appended.last_offset + 1, Ordering::Relaxed);
        self.wake();
        Ok(appended)
    }

    /// What readers at these offsets have before them, in their order; `None` if the log cannot be read. Blocks.
    pub(crate) fn unread(&self, from: &[i64]) -> Option<Vec<Unread>> {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.unread_of(&*self.log, from).ok()
    }

    /// A number that changes with every append, without touching the log.
    pub(crate) fn appended(&self) -> i64 {
        self.appended.load(Ordering::Relaxed)
    }

    /// Has `waiter` notified at the next append, once.
    pub(crate) fn watch(&self, waiter: &Arc<Notify>) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiters.iter().any(|w| Arc::ptr_eq(w, waiter)) {
            waiters.push(waiter.clone());
        }
    }

    /// Whether a fetch waits here.
    pub(crate) fn is_watched(&self) -> bool {
        let waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        !waiters.is_empty()
    }

    /// Forgets `waiter`.
    pub(crate) fn unwatch(&self, waiter: &Arc<Notify>) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        waiters.retain(|w| !Arc::ptr_eq(w, waiter));
    }

    /// Wakes every fetch that waits here.
    pub(crate) fn wake(&self) {
        let waiters =
            std::mem::take(&mut *self.waiters.lock().unwrap_or_else(PoisonError::into_inner));
        waiters.iter().for_each(|w| w.notify_one());
    }

    /// The topic was deleted: what still holds this partition must not serve it any more.
    pub(crate) fn mark_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
        self.wake();
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use catchword_log::{Engine, LogConfig, MemoryEngine};
    use catchword_wire::Uuid;

    use super::*;

    #[test]
    fn a_marker_wakes_who_waits_for_committed_records() {
        let tp = TopicPartition::new("t", 0);
        let log = MemoryEngine::new()
            .create(&tp, Uuid([1; 16]), LogConfig::default())
            .unwrap();
        let partition = Partition::new(tp, log, 0);
        partition.watch(&Arc::new(Notify::new()));
        let marker = TransactionMarker {
            producer_id: 1,
            producer_epoch: 0,
            coordinator_epoch: 0,
            commit: true,
            transaction_version: 2,
            timestamp: 0,
        };
        partition.append_marker(&marker).unwrap();
        assert!(!partition.is_watched());
        assert_eq!(partition.appended(), 1);
    }
}
