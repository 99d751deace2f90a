//! `offsets.storage=zookeeper` or `dual.commit.enabled`: bookmarks stand in ZooKeeper as well, behind `__consumer_offsets`.
//!
//! The mirror follows the log of `__consumer_offsets` as any reader could ([`follow`]), so commits pay nothing for it and
//! what is mirrored is what was acknowledged. While ZooKeeper is away nothing is kept in memory: the log waits. How far the
//! mirror is stands in ZooKeeper beside what was written, in the same transaction, so a broker that starts anew goes on from
//! there. What has to be written and what is taken over is decided by [`catchword_zookeeper::Book`]; [`mirror`] does the first
//! and [`take`] the second, at the [`pace`] that commits leave it; [`groups`] says of which groups. Who is answered only when ZooKeeper has it waits in [`required`].

mod follow;
mod groups;
mod mirror;
mod pace;
mod required;
mod take;

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::broker::Broker;
use crate::gauge::{Gauge, Shown};

pub(crate) use required::Owed;

/// What the rest of the broker shares with the mirror: how it is doing, and who waits for it.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    required: required::Required,
    connected: Gauge,
    /// Bookmarks that differ, as of the last look.
    behind: Gauge,
    /// Some of them that were tried in vain.
    held: Gauge,
    written: Gauge,
    taken: Gauge,
    /// Records of `__consumer_offsets` that the mirror has not come to, as of the last look.
    unread: Gauge,
}

/// Starts the mirror, if there is to be one.
pub(crate) fn start(broker: &Arc<Broker>) -> Option<JoinHandle<()>> {
    is_mirrored(broker).then(|| tokio::spawn(mirror::run(broker.clone())))
}

fn is_mirrored(broker: &Broker) -> bool {
    broker.catalog.config().writes_to_zookeeper()
}

/// Whether requests of the age of ZooKeeper are served: `offsets.storage` is ZooKeeper.
pub(crate) fn serves_old_requests(broker: &Broker) -> bool {
    broker.catalog.config().offsets_storage == "zookeeper"
}

/// Names, explanations and values; none where nothing is mirrored.
pub(crate) fn metrics(broker: &Broker) -> Vec<Shown> {
    if !is_mirrored(broker) {
        return Vec::new();
    }
    let gauges = &broker.zookeeper;
    vec![
        (
            "catchword_zookeeper_connected",
            "1 while the broker has a session with ZooKeeper.",
            gauges.connected.get(),
        ),
        (
            "catchword_zookeeper_behind",
            "Committed offsets that differ from ZooKeeper's.",
            gauges.behind.get(),
        ),
        (
            "catchword_zookeeper_held",
            "Committed offsets that ZooKeeper or a live group refused for now.",
            gauges.held.get(),
        ),
        (
            "catchword_zookeeper_unread",
            "Records of __consumer_offsets that the mirror has not come to.",
            gauges.unread.get(),
        ),
        (
            "catchword_zookeeper_written",
            "Committed offsets written into ZooKeeper since the start.",
            gauges.written.get(),
        ),
        (
            "catchword_zookeeper_taken",
            "Committed offsets taken over from ZooKeeper since the start.",
            gauges.taken.get(),
        ),
    ]
}
