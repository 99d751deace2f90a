//! The group coordinators of this broker: one shard for each partition of `__consumer_offsets`.
//!
//! Here asynchrony and storage meet the pure state machines of `catchword-coordinator`. What a shard decides is in
//! [`shard`], how it is read back in [`load`], when its timers fire in [`timers`].

mod load;
mod shard;
mod timers;
mod transactional;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use catchword_config::{BrokerConfig, Durability};
use catchword_coordinator::{Call as GroupCall, GroupConfig, Reply, partition_for};
use catchword_wire::{ErrorCode, Str, Uuid};
use tracing::info;

use crate::broker::Broker;
use crate::catalog::{Catalog, NewTopic, OFFSETS_TOPIC, Topic, TopicError};
use crate::dispatch::Call;
use crate::outcome::Outcome;
use shard::Shard;
pub(crate) use timers::Timers;

/// All shards, once the topic exists.
pub(crate) struct Groups {
    shards: RwLock<Arc<Vec<Arc<Shard>>>>,
    /// Held while shards are started, so that it happens once.
    starting: Mutex<()>,
    timers: Arc<Timers>,
}

impl Groups {
    pub(crate) fn new(timers: Arc<Timers>) -> Groups {
        Groups {
            shards: RwLock::default(),
            starting: Mutex::default(),
            timers,
        }
    }

    fn shards(&self) -> Arc<Vec<Arc<Shard>>> {
        self.shards
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Starts the shards if the topic is there already: at the broker's start.
    pub(crate) fn start_existing(&self, catalog: &Catalog) {
        if let Some(topic) = catalog.topic(OFFSETS_TOPIC) {
            self.start(catalog, &topic);
        }
    }

    /// Creates `__consumer_offsets` as Kafka does, when somebody first asks for a coordinator, and starts the shards.
    /// Blocks.
    pub(crate) fn ensure(&self, catalog: &Catalog) -> Result<(), TopicError> {
        if !self.shards().is_empty() {
            return Ok(());
        }
        let config = catalog.config();
        let new = NewTopic {
            name: OFFSETS_TOPIC.into(),
            partitions: config.offsets_topic_num_partitions,
            configs: offsets_topic_configs(&config),
        };
        let topic = match catalog.create_topic(&new, false) {
            Ok(topic) => topic,
            Err(error) if error.code == ErrorCode::TopicAlreadyExists => {
                catalog.topic(OFFSETS_TOPIC).ok_or(error)?
            }
            Err(error) => return Err(error),
        };
        self.start(catalog, &topic);
        Ok(())
    }

    fn start(&self, catalog: &Catalog, topic: &Topic) {
        let _once = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.shards().is_empty() {
            return;
        }
        let config = catalog.config();
        let durable = config.offsets_durability == Durability::Fsync;
        let group_config = group_config(&config);
        let make = |(index, partition): (usize, &Arc<crate::partition::Partition>)| {
            Shard::new(
                index,
                partition.clone(),
                group_config.clone(),
                durable,
                self.timers.clone(),
            )
        };
        let shards: Vec<Arc<Shard>> = topic.partitions.iter().enumerate().map(make).collect();
        let shards = Arc::new(shards);
        *self.shards.write().unwrap_or_else(PoisonError::into_inner) = shards.clone();
        self.timers.attach(shards.clone());
        // A shard without records is ready at once; the others are read in the background.
        let (empty, full): (Vec<_>, Vec<_>) = shards.iter().cloned().partition(|s| s.is_empty());
        empty.iter().for_each(Shard::load);
        if full.is_empty() {
            return;
        }
        std::thread::spawn(move || {
            let begun = std::time::Instant::now();
            full.iter().for_each(Shard::load);
            let counts: Vec<(usize, usize)> = full.iter().map(|s| s.counts()).collect();
            let (groups, offsets) = counts.iter().fold((0, 0), |(g, o), c| (g + c.0, o + c.1));
            info!(
                "{groups} groups with {offsets} committed offsets read in {} ms",
                begun.elapsed().as_millis()
            );
        });
    }

    /// The shard of a group.
    fn shard(&self, group_id: &str) -> Option<Arc<Shard>> {
        let shards = self.shards();
        let count = i32::try_from(shards.len()).ok().filter(|n| *n > 0)?;
        shards
            .get(usize::try_from(partition_for(group_id, count)).ok()?)
            .cloned()
    }

    /// Asks the shard of the call's group. `None` if the answer was lost with the shard.
    pub(crate) fn call(&self, call: &Call, request: GroupCall) -> Outcome<Option<Reply>> {
        let shard = request.group_id().and_then(|id| self.shard(id));
        match shard {
            Some(shard) => shard.call(call, request),
            // The client has not asked for the coordinator yet, or asked a broker of another life.
            None => Outcome::Now(Some(request.refuse(ErrorCode::NotCoordinator))),
        }
    }

    /// Asks every shard, for ListGroups.
    pub(crate) fn call_all(
        &self,
        call: &Call,
        request: impl Fn() -> GroupCall,
    ) -> Vec<Outcome<Option<Reply>>> {
        self.shards()
            .iter()
            .map(|shard| shard.call(call, request()))
            .collect()
    }

    /// Whether some shard is still being read.
    pub(crate) fn is_loading(&self) -> bool {
        self.shards().iter().any(|s| s.is_loading())
    }

    /// Removes the committed offsets of deleted topics (D6).
    pub(crate) fn topics_deleted(&self, topics: &[(Str, Uuid)]) {
        self.shards().iter().for_each(|s| s.topics_deleted(topics));
    }

    /// Removes what has expired (D3).
    pub(crate) fn expire(&self) {
        self.shards().iter().for_each(|s| s.expire());
    }

    /// Answers whoever waits, and takes no more.
    pub(crate) fn stop(&self) {
        self.shards().iter().for_each(|s| s.stop());
    }
}

/// S1: as Kafka makes the topic.
fn offsets_topic_configs(config: &BrokerConfig) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("cleanup.policy".to_owned(), "compact".to_owned()),
        ("compression.type".to_owned(), "producer".to_owned()),
        (
            "segment.bytes".to_owned(),
            config.offsets_topic_segment_bytes.to_string(),
        ),
    ])
}

fn group_config(config: &BrokerConfig) -> GroupConfig {
    GroupConfig {
        group_min_session_timeout_ms: config.group_min_session_timeout_ms,
        group_max_session_timeout_ms: config.group_max_session_timeout_ms,
        group_initial_rebalance_delay_ms: config.group_initial_rebalance_delay_ms,
        group_max_size: config.group_max_size,
        offset_metadata_max_bytes: usize::try_from(config.offset_metadata_max_bytes).unwrap_or(0),
        offsets_retention_ms: i64::from(config.offsets_retention_minutes) * 60_000,
        ..GroupConfig::default()
    }
}

/// Whether the broker can say who coordinates a group.
pub(crate) fn ensure(broker: &Broker) -> Result<(), TopicError> {
    broker.groups.ensure(&broker.catalog)
}
