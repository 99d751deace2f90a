//! When the shards' timers fire: one heap and one task for all.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use catchword_coordinator::{Effect, TimerKey};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Shard;
use crate::clock;

type Entry = Reverse<(Instant, usize, TimerKey)>;

#[derive(Default)]
pub(crate) struct Timers {
    heap: Mutex<BinaryHeap<Entry>>,
    /// The earliest timer changed.
    changed: Notify,
    shards: RwLock<Arc<Vec<Arc<Shard>>>>,
}

impl Timers {
    /// Performs what is about a timer.
    pub(super) fn perform(&self, shard: usize, effect: Effect) {
        match effect {
            Effect::SetTimer { key, at_ms } => self.set(shard, key, at_ms),
            // A timer that fires for nothing does no harm; an answer is the shard's to give.
            Effect::CancelTimer { .. } | Effect::Reply { .. } | Effect::Notice(_) => {}
        }
    }

    pub(super) fn attach(&self, shards: Arc<Vec<Arc<Shard>>>) {
        *self.shards.write().unwrap_or_else(PoisonError::into_inner) = shards;
    }

    /// Fires at a time of the wall clock, in milliseconds. What counts is how far ahead it is now: a clock that is set
    /// while the timer runs changes nothing.
    pub(super) fn set(&self, shard: usize, key: TimerKey, at_ms: i64) {
        let ahead = u64::try_from(at_ms - clock::now_ms()).unwrap_or(0);
        let at = Instant::now() + Duration::from_millis(ahead);
        let mut heap = self.heap.lock().unwrap_or_else(PoisonError::into_inner);
        let first = heap
            .peek()
            .is_none_or(|Reverse((earliest, ..))| at < *earliest);
        heap.push(Reverse((at, shard, key)));
        if first {
            self.changed.notify_one();
        }
    }

    /// Fires timers for ever.
    pub(crate) async fn run(self: Arc<Timers>) {
        loop {
            let next = self
                .heap
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .peek()
                .map(|Reverse((at, ..))| *at);
            match next {
                Some(at) => {
                    tokio::select! {
                        () = sleep_until(at) => self.fire_due(),
                        () = self.changed.notified() => {}
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }

    fn fire_due(&self) {
        let now = Instant::now();
        let shards = self
            .shards
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        loop {
            let due = {
                let mut heap = self.heap.lock().unwrap_or_else(PoisonError::into_inner);
                match heap.peek() {
                    Some(Reverse((at, ..))) if *at <= now => heap.pop(),
                    _ => None,
                }
            };
            let Some(Reverse((_, shard, key))) = due else {
                return;
            };
            if let Some(shard) = shards.get(shard) {
                shard.fire(&key);
            }
        }
    }
}
