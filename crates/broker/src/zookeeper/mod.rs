//! `offsets.storage=zookeeper`: bookmarks stand in ZooKeeper as well, behind `__consumer_offsets`.
//!
//! The mirror follows the log of `__consumer_offsets` as any reader could ([`follow`]), so commits pay nothing for it and
//! what is mirrored is what was acknowledged. While ZooKeeper is away nothing is kept in memory: the log waits. How far the
//! mirror is stands in ZooKeeper beside what was written, in the same transaction, so a broker that starts anew goes on from
//! there. What has to be written and what is taken over is decided by [`catchword_zookeeper::Book`]; [`mirror`] does the first
//! and [`take`] the second.

mod follow;
mod mirror;
mod take;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::task::JoinHandle;

use crate::broker::Broker;

/// How the mirror is doing, for the metrics.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    connected: AtomicBool,
    /// Bookmarks that differ, as of the last look.
    behind: AtomicU64,
    /// Some of them that were tried in vain.
    held: AtomicU64,
    written: AtomicU64,
    taken: AtomicU64,
    /// Records of `__consumer_offsets` that the mirror has not come to, as of the last look.
    unread: AtomicU64,
}

/// Starts the mirror, if there is to be one.
pub(crate) fn start(broker: &Arc<Broker>) -> Option<JoinHandle<()>> {
    let wanted = is_on(broker);
    wanted.then(|| tokio::spawn(mirror::run(broker.clone())))
}

/// Whether `offsets.storage` is ZooKeeper.
pub(crate) fn is_on(broker: &Broker) -> bool {
    broker.catalog.config().offsets_storage == "zookeeper"
}

/// Names, explanations and values; none where nothing is mirrored.
pub(crate) fn metrics(broker: &Broker) -> Vec<(&'static str, &'static str, i64)> {
    if !is_on(broker) {
        return Vec::new();
    }
    let gauges = &broker.zookeeper;
    let count = |n: &AtomicU64| i64::try_from(n.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
    vec![
        (
            "catchword_zookeeper_connected",
            "1 while the broker has a session with ZooKeeper.",
            i64::from(gauges.connected.load(Ordering::Relaxed)),
        ),
        (
            "catchword_zookeeper_behind",
            "Committed offsets that differ from ZooKeeper's.",
            count(&gauges.behind),
        ),
        (
            "catchword_zookeeper_held",
            "Committed offsets that ZooKeeper or a live group refused for now.",
            count(&gauges.held),
        ),
        (
            "catchword_zookeeper_unread",
            "Records of __consumer_offsets that the mirror has not come to.",
            count(&gauges.unread),
        ),
        (
            "catchword_zookeeper_written",
            "Committed offsets written into ZooKeeper since the start.",
            count(&gauges.written),
        ),
        (
            "catchword_zookeeper_taken",
            "Committed offsets taken over from ZooKeeper since the start.",
            count(&gauges.taken),
        ),
    ]
}
