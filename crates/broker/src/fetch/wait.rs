//! The long poll: a fetch that has too little waits for appends, up to its time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::read::{Limits, Pass, Want, read_all};
use crate::broker::Broker;
use crate::partition::Partition;

/// Takes a place among a partition's waiters for as long as it lives.
pub(crate) struct Watching {
    notify: Arc<Notify>,
    partitions: Vec<Arc<Partition>>,
}

impl Watching {
    pub(crate) fn new(partitions: Vec<Arc<Partition>>) -> Watching {
        Watching {
            notify: Arc::new(Notify::new()),
            partitions,
        }
    }

    /// An append takes its waiters off the list, so each wait begins with this.
    pub(crate) fn renew(&self) {
        self.partitions.iter().for_each(|p| p.watch(&self.notify));
    }

    /// Ends when one of them was appended to since the last [`renew`](Watching::renew).
    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.partitions.iter().for_each(|p| p.unwatch(&self.notify));
    }
}

/// Reads again after each append until there are `min_bytes`, something urgent, or `max_wait` is over.
pub(crate) async fn wait_for_records(
    broker: &Broker,
    wants: &[Want],
    limits: Limits,
    min_bytes: usize,
    max_wait: Duration,
    first: Pass,
) -> Pass {
    let deadline = Instant::now() + max_wait;
    let mut stopping = broker.stopping();
    let watching = Watching::new(first.partitions);
    loop {
        // What was appended between the last read and this would wake nobody, so look again first.
        watching.renew();
        let pass = read_all(&broker.catalog, wants, limits).await;
        if is_enough(&pass, min_bytes) {
            return pass;
        }
        tokio::select! {
            woken = timeout_at(deadline, watching.woken()) => if woken.is_err() { return pass },
            _ = stopping.changed() => return pass,
        }
    }
}

/// Whether an answer should go out now.
pub(crate) fn is_enough(pass: &Pass, min_bytes: usize) -> bool {
    pass.bytes >= min_bytes || pass.urgent
}
