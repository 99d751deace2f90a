//! `zookeeper.commit.required`: commits that are answered only once ZooKeeper has them as well.
//!
//! A commit waits after it is durable, so what it waits for is in the log, and the mirror comes to it like to any other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catchword_config::BrokerConfig;
use catchword_coordinator::Reply;
use catchword_wire::Str;
use catchword_wire::messages::OffsetCommitRequest;
use catchword_zookeeper::Place;
use tokio::sync::{Notify, oneshot};

use super::groups;
use crate::broker::Broker;

/// Who waits.
#[derive(Debug, Default)]
pub(super) struct Required {
    waiting: Mutex<Vec<Waiter>>,
    asked: Notify,
}

/// A commit that is durable.
#[derive(Debug)]
pub(super) struct Waiter {
    /// The partition of `__consumer_offsets` that it is in.
    pub(super) shard: i32,
    /// It is below this offset there.
    pub(super) end: i64,
    /// What was committed.
    pub(super) places: Vec<Place>,
    done: oneshot::Sender<()>,
}

impl Required {
    /// Ends the wait of those of whom `has` says that ZooKeeper has them.
    pub(super) fn settle(&self, has: impl Fn(&Waiter) -> bool) {
        let mut waiting = self.waiting();
        for waiter in std::mem::take(&mut *waiting) {
            if waiter.done.is_closed() {
                continue;
            }
            match has(&waiter) {
                // Whoever gave up meanwhile has its answer.
                true => drop(waiter.done.send(())),
                false => waiting.push(waiter),
            }
        }
    }

    /// Whether anybody waits still.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.waiting().is_empty()
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiter>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody waits who has not been looked at.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }
}

/// A commit that ZooKeeper is to have.
pub(crate) struct Owed {
    broker: Arc<Broker>,
    group: Str,
    places: Vec<Place>,
}

impl Owed {
    /// `None` if nobody waits for it.
    pub(crate) fn of(
        broker: &Arc<Broker>,
        config: &BrokerConfig,
        request: &OffsetCommitRequest,
    ) -> Option<Owed> {
        let group = &request.group_id;
        let is_owed = config.zookeeper_commit_required && groups::names(config, group);
        let place = |topic: &Str, partition| Place {
            group: group.to_string(),
            topic: topic.to_string(),
            partition,
        };
        is_owed.then(|| Owed {
            broker: broker.clone(),
            group: group.detached(),
            places: request
                .topics
                .iter()
                .flat_map(|t| {
                    t.partitions
                        .iter()
                        .map(|p| place(&t.name, p.partition_index))
                })
                // What can have no node stands where it always does.
                .filter(|place| place.node().is_some())
                .collect(),
        })
    }

    /// Waits, however long it takes, if any of it was stored. Gives the coordinator's reply back.
    pub(crate) async fn paid(self, reply: Option<Reply>) -> Option<Reply> {
        let Some(Reply::OffsetCommit(response)) = &reply else {
            return reply;
        };
        let mut partitions = response.topics.iter().flat_map(|t| &t.partitions);
        let is_stored = partitions.any(|p| p.error_code == 0);
        let shard = self.broker.groups.partition(&self.group);
        if let Some(shard) = shard.filter(|_| is_stored && !self.places.is_empty()) {
            let (done, wait) = oneshot::channel();
            let required = &self.broker.zookeeper.required;
            required.waiting().push(Waiter {
                shard: shard.tp.partition,
                end: shard.log.offsets().log_end,
                places: self.places,
                done,
            });
            required.asked.notify_one();
            if wait.await.is_err() {
                return None;
            }
        }
        reply
    }
}
