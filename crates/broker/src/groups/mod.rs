//! The group coordinators of this broker: one shard for each partition of `__consumer_offsets`.
//!
//! Here asynchrony and storage meet the pure state machines of `catchword-coordinator`. What a shard decides is in
//! driven by [`crate::shards`]. Here is what only groups need: how long their log remembers in [`history`], when their timers
//! fire in [`timers`].

pub(crate) mod audit;
mod consumers;
mod expiring;
mod history;
pub(crate) mod holds;
mod machine;
mod timers;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use catchword_config::{BrokerConfig, Durability};
use catchword_coordinator::ledger::{Key, Place};
use catchword_coordinator::{
    Call as GroupCall, Client, Effect, GroupConfig, GroupShard, Marker, MetadataImage, Notice,
    Noticed, Reply, RetentionRules, partition_for,
};
use catchword_log::VerificationGuard;
use catchword_wire::{ErrorCode, Str, Uuid};

use crate::broker::Broker;
use crate::catalog::{Catalog, NewTopic, OFFSETS_TOPIC, Topic, TopicError};
use crate::clock;
use crate::dispatch::Call;
use crate::outcome::Outcome;
use crate::partition::Partition;
use crate::readings::Readings;
use crate::shards::{self, Keeper, Outside};
use audit::Audit;
use expiring::Warned;
pub use history::compaction_policy;
pub(crate) use timers::Timers;

/// How long a start waits for shards to be read: where there is little to read no client meets one that is not.
const START_PATIENCE: Duration = Duration::from_millis(25);
/// The same for a topic that was just made, whose shards are empty.
const NEW_PATIENCE: Duration = Duration::from_secs(2);

type Shard = shards::Shard<GroupShard>;

/// All shards, once the topic exists.
pub(crate) struct Groups {
    shards: RwLock<Arc<Vec<Arc<Shard>>>>,
    /// Held while shards are started, so that it happens once. Keeps their snapshots from then on.
    keeper: Mutex<Option<Keeper<GroupShard>>>,
    timers: Arc<Timers>,
    audit: Arc<Audit>,
    /// What members were handed.
    readings: Arc<Readings>,
    /// What expires soon, as of the last sweep.
    warned: Warned,
    /// The topics, as the shards were last told.
    metadata: Mutex<Arc<MetadataImage>>,
}

/// Who performs what the shards decide and is no answer.
struct Outward {
    timers: Arc<Timers>,
    audit: Arc<Audit>,
    readings: Arc<Readings>,
}

impl Outside<GroupShard> for Outward {
    fn perform(&self, shard: usize, effect: Effect) {
        match effect {
            Effect::Notice(mut notice) => {
                if self.is_worth_telling(&mut notice) {
                    self.audit.note(*notice);
                }
            }
            other => self.timers.perform(shard, other),
        }
    }
}

impl Outward {
    /// That a member is gone is told if it was handed what it should have committed.
    fn is_worth_telling(&self, notice: &mut Notice) -> bool {
        let (client_id, host) = (&notice.client_id, &notice.client_host);
        let Noticed::Gone { how, places } = &mut notice.what else {
            return true;
        };
        for place in &mut *places {
            let (topic_id, partition) = (place.topic_id, place.partition);
            place.handed = self.readings.handed(client_id, host, topic_id, partition);
        }
        places.retain(|place| place.is_remarkable(*how));
        !places.is_empty()
    }
}

impl Groups {
    pub(crate) fn new(timers: Arc<Timers>, readings: Arc<Readings>) -> Groups {
        Groups {
            shards: RwLock::default(),
            keeper: Mutex::default(),
            timers,
            audit: Arc::default(),
            readings,
            warned: Warned::default(),
            metadata: Mutex::default(),
        }
    }

    /// What was noticed about members' commits.
    pub(crate) fn audit(&self) -> &Audit {
        &self.audit
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
            self.start(catalog, &topic, START_PATIENCE);
        }
    }

    /// Creates `__consumer_offsets` as Kafka does, when somebody first asks for a coordinator, and starts the shards.
    /// Blocks.
    pub(crate) fn ensure(&self, catalog: &Catalog) -> Result<(), TopicError> {
        if !self.shards().is_empty() {
            return Ok(());
        }
        let partitions = catalog.config().offsets_topic_num_partitions;
        let topic = match create_topic(catalog, partitions) {
            Ok(topic) => topic,
            Err(error) if error.code == ErrorCode::TopicAlreadyExists => {
                catalog.topic(OFFSETS_TOPIC).ok_or(error)?
            }
            Err(error) => return Err(error),
        };
        self.start(catalog, &topic, NEW_PATIENCE);
        Ok(())
    }

    fn start(&self, catalog: &Catalog, topic: &Topic, patience: Duration) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.shards().is_empty() {
            return;
        }
        let config = catalog.config();
        let durable = config.offsets_durability == Durability::Fsync;
        let group_config = group_config(&config);
        let outward = Arc::new(Outward {
            timers: self.timers.clone(),
            audit: self.audit.clone(),
            readings: self.readings.clone(),
        });
        let make = |(index, partition): (usize, &Arc<Partition>)| {
            Shard::new(
                index,
                partition.clone(),
                group_config.clone(),
                durable,
                outward.clone(),
            )
        };
        let shards: Vec<Arc<Shard>> = topic.partitions.iter().enumerate().map(make).collect();
        let shards = Arc::new(shards);
        *self.shards.write().unwrap_or_else(PoisonError::into_inner) = shards.clone();
        self.timers.attach(shards.clone());
        shards::load_all(&shards, patience);
        *keeper = Some(Keeper::start(shards));
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

    /// Asks the shard of a TxnOffsetCommit's group, for a transaction that is not known to have begun in its partition.
    pub(crate) fn call_guarded(
        &self,
        call: &Call,
        request: GroupCall,
        guard: Option<VerificationGuard>,
    ) -> Outcome<Option<Reply>> {
        match request.group_id().and_then(|id| self.shard(id)) {
            Some(shard) => shard.call_guarded(call, request, guard),
            None => Outcome::Now(Some(request.refuse(ErrorCode::NotCoordinator))),
        }
    }

    /// Asks the shard of the call's group on behalf of somebody who has no connection.
    pub(crate) fn ask(
        &self,
        broker: &Broker,
        client: &Client,
        api_version: i16,
        request: GroupCall,
    ) -> Outcome<Option<Reply>> {
        match request.group_id().and_then(|id| self.shard(id)) {
            Some(shard) => shard.ask(Some(broker), client, api_version, request, None),
            None => Outcome::Now(Some(request.refuse(ErrorCode::NotCoordinator))),
        }
    }

    /// The partition of `__consumer_offsets` that a group lives in, if the topic exists.
    pub(crate) fn partition(&self, group_id: &str) -> Option<Arc<Partition>> {
        self.shard(group_id).map(|shard| shard.partition().clone())
    }

    /// Ends a transaction in a partition of `__consumer_offsets`; the error once that is durable, or why it is not.
    pub(crate) async fn end_transaction(&self, partition: i32, marker: Marker) -> ErrorCode {
        let shard = usize::try_from(partition)
            .ok()
            .and_then(|index| self.shards().get(index).cloned());
        let Some(shard) = shard else {
            return ErrorCode::NotCoordinator;
        };
        let asked = shard.ask(
            None,
            &Client::default(),
            0,
            GroupCall::EndTransaction(marker),
            None,
        );
        match asked.get().await {
            Some(Some(Reply::EndTransaction(error))) => error,
            _ => ErrorCode::NotCoordinator,
        }
    }

    /// How many shards there are; 0 before the topic exists.
    pub(crate) fn shard_count(&self) -> usize {
        self.shards().len()
    }

    /// Asks one shard for what is not about one group.
    pub(crate) fn call_shard(
        &self,
        shard: usize,
        call: &Call,
        request: GroupCall,
    ) -> Outcome<Option<Reply>> {
        match self.shards().get(shard) {
            Some(shard) => shard.call(call, request),
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

    /// Waits until all groups are read, but for `at_most` only. What is not read yet looks to whoever asks for it as if it
    /// were not there.
    pub(crate) async fn are_read(&self, at_most: Duration) {
        const NAP: Duration = Duration::from_millis(10);
        let read = async {
            while self.is_loading() {
                tokio::time::sleep(NAP).await;
            }
        };
        let _ = tokio::time::timeout(at_most, read).await;
    }

    /// Removes the committed offsets of deleted topics (D6).
    pub(crate) fn topics_deleted(&self, topics: &[(Str, Uuid)]) {
        self.shards().iter().for_each(|s| s.topics_deleted(topics));
    }

    /// Where a group's bookmarks are; `None` while nobody can say.
    pub(crate) fn places(&self, group_id: &str) -> Option<Vec<(Key, Place)>> {
        // Without the topic of committed offsets there are none.
        let Some(shard) = self.shard(group_id) else {
            return Some(Vec::new());
        };
        let mut places = None;
        shard.with(|active| places = Some(active.machine.places(group_id)));
        places
    }

    /// Removes what has expired (D3), and says what will within `lead_ms`.
    pub(crate) fn expire(&self, rules: &Arc<RetentionRules>, lead_ms: i64) {
        let shards = self.shards();
        let soon = shards.iter().flat_map(|s| s.expire(rules, lead_ms));
        self.warned.take(clock::now_ms(), soon.collect());
    }

    /// The groups of which something expires soon.
    pub(crate) fn warned(&self) -> &Warned {
        &self.warned
    }

    /// Answers whoever waits, and takes no more.
    pub(crate) fn stop(&self) {
        self.shards().iter().for_each(|s| s.stop());
    }

    /// After a [`stop`](Groups::stop): makes snapshots, so that the next start has little to read. Blocks for a few
    /// seconds at most.
    pub(crate) fn keep_snapshots(&self) {
        Keeper::finish(&self.keeper);
    }
}

/// The least that `segment.bytes` of a topic may be (KIP-1030).
const SMALLEST_SEGMENT_BYTES: i32 = 1 << 20;

/// Creates `__consumer_offsets`, without anybody who serves it. Blocks.
pub(crate) fn create_topic(catalog: &Catalog, partitions: i32) -> Result<Arc<Topic>, TopicError> {
    catalog.create_topic(&NewTopic {
        name: OFFSETS_TOPIC.into(),
        partitions,
        configs: offsets_topic_configs(&catalog.config()),
    })
}

/// S1: as Kafka makes the topic.
fn offsets_topic_configs(config: &BrokerConfig) -> BTreeMap<String, String> {
    // The broker's own key may be smaller than a topic's.
    let segment_bytes = if config.offsets_topic_segment_bytes < SMALLEST_SEGMENT_BYTES {
        "internal.segment.bytes"
    } else {
        "segment.bytes"
    };
    BTreeMap::from([
        ("cleanup.policy".to_owned(), "compact".to_owned()),
        ("compression.type".to_owned(), "producer".to_owned()),
        (
            segment_bytes.to_owned(),
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
        share_max_size: usize::try_from(config.group_share_max_size).unwrap_or(0),
        streams_max_size: usize::try_from(config.group_streams_max_size).unwrap_or(0),
        consumer: consumers::consumer_config(config),
        ..GroupConfig::default()
    }
}

/// Whether the broker can say who coordinates a group.
pub(crate) fn ensure(broker: &Broker) -> Result<(), TopicError> {
    broker.groups.ensure(&broker.catalog)
}
