//! Share groups' places (KIP-932): one [`ShareShard`](catchword_coordinator::share::ShareShard) for each partition of
//! `__share_group_state`, and what members do with them.
//!
//! How a shard's decisions become durable is in [`shard`], how it is read back in [`load`], who may fetch what in
//! [`sessions`], taking records in [`fetch`], acknowledging them in [`acknowledge`]. Membership is the group
//! coordinator's affair.

mod acknowledge;
mod fetch;
mod load;
mod sessions;
mod settings;
mod shard;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use catchword_config::{BrokerConfig, Durability};
use catchword_coordinator::partition_for;
use catchword_coordinator::share::ShareKey;
use catchword_wire::{ErrorCode, Str, Uuid};
use tokio::sync::Notify;
use tokio::time::{Duration, sleep};

use crate::broker::Broker;
use crate::catalog::{Catalog, NewTopic, SHARE_TOPIC, Topic, TopicError};
use crate::clock;
use crate::partition::Partition;
pub(crate) use acknowledge::{Acked, acknowledge, read_batches};
pub(crate) use fetch::{Got, Wanted, fetch};
pub(crate) use sessions::ShareSessions;
pub(crate) use settings::settings;
pub(crate) use shard::{Pending, Shard};

/// All shards, once the topic exists.
#[derive(Default)]
pub(crate) struct Shares {
    shards: RwLock<Arc<Vec<Arc<Shard>>>>,
    /// Held while shards are started, so that it happens once.
    starting: Mutex<()>,
    /// A lock may end earlier than was known.
    changed: Notify,
}

impl Shares {
    fn shards(&self) -> Arc<Vec<Arc<Shard>>> {
        self.shards
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads the shards if the topic is there already: at the broker's start, before anybody can append. Blocks.
    pub(crate) fn start_existing(&self, catalog: &Catalog) {
        if let Some(topic) = catalog.topic(SHARE_TOPIC) {
            self.start(catalog, &topic);
        }
    }

    /// Creates `__share_group_state` as Kafka does, when it is first needed, and starts the shards. Blocks.
    pub(crate) fn ensure(&self, catalog: &Catalog) -> Result<(), TopicError> {
        if self.is_started() {
            return Ok(());
        }
        let config = catalog.config();
        let new = NewTopic {
            name: SHARE_TOPIC.into(),
            partitions: config.share_state_topic_num_partitions,
            configs: topic_configs(&config),
        };
        let topic = match catalog.create_topic(&new) {
            Ok(topic) => topic,
            Err(error) if error.code == ErrorCode::TopicAlreadyExists => {
                catalog.topic(SHARE_TOPIC).ok_or(error)?
            }
            Err(error) => return Err(error),
        };
        self.start(catalog, &topic);
        Ok(())
    }

    /// Whether there are shards to ask.
    pub(crate) fn is_started(&self) -> bool {
        !self.shards().is_empty()
    }

    fn start(&self, catalog: &Catalog, topic: &Topic) {
        let _once = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_started() {
            return;
        }
        let config = catalog.config();
        let durable = config.offsets_durability == Durability::Fsync;
        let updates = u32::try_from(config.share_snapshot_update_records).unwrap_or(0);
        let partitions = topic.partitions.iter();
        let shards: Vec<Arc<Shard>> = partitions
            .map(|partition| Shard::new(partition.clone(), durable, updates))
            .collect();
        for shard in &shards {
            shard.load();
        }
        for shard in &shards {
            shard.compare(|key| Some(partition_of(catalog, key)?.log.offsets()));
        }
        *self.shards.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shards);
    }

    /// The shard of a group in a partition. `None` before the topic exists.
    pub(crate) fn shard(&self, key: &ShareKey) -> Option<Arc<Shard>> {
        let shards = self.shards();
        let count = i32::try_from(shards.len()).ok().filter(|n| *n > 0)?;
        let index = partition_for(&key.coordinator_key(), count);
        shards.get(usize::try_from(index).ok()?).cloned()
    }

    /// The partitions in which a group has a place.
    pub(crate) fn keys_of(&self, group_id: &str) -> Vec<ShareKey> {
        let shards = self.shards();
        let mut keys: Vec<ShareKey> = shards.iter().flat_map(|s| s.keys_of(group_id)).collect();
        keys.sort_unstable();
        keys
    }

    /// Forgets a group that was deleted. What is to be waited for.
    pub(crate) fn delete_group(&self, group_id: &str) -> Vec<Pending> {
        let keys = self.keys_of(group_id);
        keys.iter().filter_map(|key| self.delete(key)).collect()
    }

    /// Forgets a group in a partition.
    pub(crate) fn delete(&self, key: &ShareKey) -> Option<Pending> {
        let (existed, pending) = self.shard(key)?.with(|state, out| state.delete(key, out));
        existed.then_some(pending)
    }

    /// Forgets the groups in topics that were deleted.
    pub(crate) fn topics_deleted(&self, topics: &BTreeSet<Uuid>) {
        for shard in self.shards().iter() {
            shard.with(|state, out| state.topics_deleted(topics, out));
        }
    }

    /// A lock was given, which may be the first to end.
    pub(crate) fn locked(&self) {
        self.changed.notify_one();
    }

    /// Lets others have what a member holds, and wakes them.
    pub(crate) fn release(&self, catalog: &Catalog, group_id: &Str, member: &str) {
        let settings = settings(catalog, group_id);
        for key in self.keys_of(group_id) {
            let Some(shard) = self.shard(&key) else {
                continue;
            };
            let now = clock::now_ms();
            let (freed, _) =
                shard.with(|state, out| state.release(&key, member, now, &settings, out));
            if freed {
                wake(catalog, &key);
            }
        }
    }

    fn expire(&self, catalog: &Catalog) {
        let now = clock::now_ms();
        for shard in self.shards().iter() {
            let settings = |key: &ShareKey| settings(catalog, &key.group_id);
            let (freed, _) = shard.with(|state, out| match state.deadline() {
                Some(at) if at <= now => state.expire(now, settings, out),
                _ => Vec::new(),
            });
            freed.iter().for_each(|key| wake(catalog, key));
        }
    }

    fn deadline(&self) -> Option<i64> {
        self.shards().iter().filter_map(|s| s.deadline()).min()
    }
}

/// Ends locks when their time is over, for ever.
pub(crate) async fn run(broker: Arc<Broker>) {
    /// Locks are given often, and none ends earlier than a second from then.
    const REST: Duration = Duration::from_millis(20);
    loop {
        match broker.shares.deadline() {
            Some(at) => {
                let ms = u64::try_from(at - clock::now_ms()).unwrap_or(0);
                tokio::select! {
                    () = sleep(Duration::from_millis(ms)) => broker.shares.expire(&broker.catalog),
                    () = broker.shares.changed.notified() => {}
                }
            }
            None => broker.shares.changed.notified().await,
        }
        sleep(REST).await;
    }
}

/// The partition that a key means.
pub(crate) fn partition_of(catalog: &Catalog, key: &ShareKey) -> Option<Arc<Partition>> {
    let topic = catalog.topic_by_id(key.topic_id)?;
    topic.partition(key.partition).cloned()
}

/// There is something to be had again: whoever waits for records looks.
pub(crate) fn wake(catalog: &Catalog, key: &ShareKey) {
    if let Some(partition) = partition_of(catalog, key) {
        partition.wake();
    }
}

/// The least that `segment.bytes` of a topic may be (KIP-1030).
const SMALLEST_SEGMENT_BYTES: i32 = 1 << 20;

/// As Kafka makes the topic: nothing is deleted but what its coordinator has no more use for.
fn topic_configs(config: &BrokerConfig) -> BTreeMap<String, String> {
    let segment_bytes = match config.share_state_topic_segment_bytes {
        bytes if bytes < SMALLEST_SEGMENT_BYTES => "internal.segment.bytes",
        _ => "segment.bytes",
    };
    BTreeMap::from([
        ("cleanup.policy".to_owned(), "delete".to_owned()),
        ("retention.ms".to_owned(), "-1".to_owned()),
        ("compression.type".to_owned(), "producer".to_owned()),
        (
            segment_bytes.to_owned(),
            config.share_state_topic_segment_bytes.to_string(),
        ),
    ])
}
