//! The catalog: topics, their partitions and settings, kept in the log `__cluster_metadata`.
//!
//! Invariant: a change is visible only once its records are durable, and on the way in the order log, disk, image: a
//! crash in between leaves nothing that the next start does not finish or undo.
//!
//! Reads take a short lock on the image. Changes go one at a time and block; call them off the connections' threads.

mod admin;
mod create;
mod import;
mod metadata;
mod record;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, mpsc};

use bytes::Bytes;
use catchword_config::{BrokerConfig, ConfigError, DynamicConfigs, TopicSettings};
use catchword_log::{
    AppendOrigin, Engine, LogConfig, LogError, PartitionLog, Read, ReadError, ReadLimit,
    TopicPartition,
};
use catchword_wire::batch::{BatchBuilder, NewRecord, records, split};
use catchword_wire::records::{
    ConfigRecord, ProducerIdsRecord, RegisterBrokerRecord, RemoveTopicRecord,
};
use catchword_wire::{Str, Uuid};
use tracing::{info, warn};

use crate::clock;
use crate::partition::Partition;
use crate::settings::log_config;
pub(crate) use create::{NewTopic, TopicError, check_name};
pub use import::{Import, ImportedTopic, import_catalog};
use record::CatalogRecord;
use state::CatalogState;
pub(crate) use state::{RESOURCE_BROKER, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP, RESOURCE_TOPIC};

/// The topic in which group coordinators keep their records.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// The topic of transaction coordinators; its name is reserved.
pub(crate) const TRANSACTIONS_TOPIC: &str = "__transaction_state";
/// The topic in which share groups' places are kept.
pub(crate) const SHARE_TOPIC: &str = "__share_group_state";
/// The topic of the metadata log; only its quorum is ever asked for by name.
pub(crate) const METADATA_TOPIC: &str = "__cluster_metadata";
/// Kafka's fixed id of the metadata topic.
const METADATA_TOPIC_ID: Uuid = Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
/// Nobody else ever led the metadata log, or will.
pub(crate) const METADATA_EPOCH: i32 = 0;
/// Producer ids are handed out from blocks of so many, so that a crash skips a block rather than repeats an id.
const PRODUCER_ID_BLOCK: i64 = 1000;

/// A topic as the broker serves it.
pub(crate) struct Topic {
    pub(crate) name: Str,
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<Arc<Partition>>,
    /// What was set on it.
    pub(crate) overrides: BTreeMap<String, String>,
    /// What follows from that and from the broker's defaults.
    pub(crate) settings: TopicSettings,
}

impl Topic {
    /// Whether clients may not write to it nor delete it.
    pub(crate) fn is_internal(&self) -> bool {
        is_internal(&self.name)
    }

    /// The partition with this number.
    pub(crate) fn partition(&self, index: i32) -> Option<&Arc<Partition>> {
        usize::try_from(index)
            .ok()
            .and_then(|i| self.partitions.get(i))
    }
}

/// Whether a topic could have this name.
pub(crate) fn is_valid_name(name: &str) -> bool {
    check_name(name).is_ok()
}

/// Whether a topic is one of the broker's own.
pub(crate) fn is_internal(name: &str) -> bool {
    matches!(name, OFFSETS_TOPIC | TRANSACTIONS_TOPIC | SHARE_TOPIC)
}

struct Image {
    topics: BTreeMap<Str, Arc<Topic>>,
    names: HashMap<Uuid, Str>,
    config: Arc<BrokerConfig>,
    /// What hangs on no topic.
    admin: admin::AdminImage,
}

struct Writer {
    state: CatalogState,
    log: Arc<dyn PartitionLog>,
    /// Producer ids from here to the end of the block are free.
    next_producer_id: i64,
}

/// See the module.
pub(crate) struct Catalog {
    engine: Arc<dyn Engine>,
    /// As the broker was started, without what was set while it ran.
    base: BrokerConfig,
    image: RwLock<Image>,
    /// How often topics have changed; written with the image locked.
    topics_version: AtomicU64,
    writer: Mutex<Writer>,
}

/// Why the catalog could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The storage failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A record of the metadata log cannot be understood.
    #[error(
        "the metadata log cannot be read at offset {offset}: {why}; `catchword doctor` tells more"
    )]
    Corrupt {
        /// Where.
        offset: i64,
        /// What is wrong.
        why: String,
    },
    /// A setting in the log does not do any more.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Catalog {
    /// Reads the metadata log and opens every partition that it names.
    pub(crate) fn open(
        engine: Arc<dyn Engine>,
        base: BrokerConfig,
    ) -> Result<Catalog, CatalogError> {
        let mut writer = Writer::open(&*engine)?;
        let start = RegisterBrokerRecord {
            broker_id: base.node_id,
            broker_epoch: i64::from(writer.state.starts()) + 1,
            ..RegisterBrokerRecord::default()
        };
        writer.append(&[CatalogRecord::RegisterBroker(start)], false)?;
        let config = Arc::new(base.clone());
        let image = Image {
            topics: BTreeMap::new(),
            names: HashMap::new(),
            config,
            admin: admin::AdminImage::default(),
        };
        let catalog = Catalog {
            engine,
            base,
            image: RwLock::new(image),
            topics_version: AtomicU64::new(0),
            writer: Mutex::new(writer),
        };
        catalog.publish_all()?;
        catalog.tidy_directories();
        Ok(catalog)
    }

    fn publish_all(&self) -> Result<(), CatalogError> {
        let writer = self.writer();
        let config = Arc::new(self.resolve_broker(&writer.state)?);
        let mut image = Image {
            topics: BTreeMap::new(),
            names: HashMap::new(),
            admin: admin::AdminImage::of(&writer.state, &config, &Default::default()),
            config: config.clone(),
        };
        for (name, _) in writer.state.topics() {
            let topic = Arc::new(self.materialize(&writer.state, &config, name, None)?);
            image.names.insert(topic.id, name.clone());
            image.topics.insert(name.clone(), topic);
        }
        *self.image.write().unwrap_or_else(PoisonError::into_inner) = image;
        self.topics_version.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// A topic of the state with its logs, created where they are missing. `old` lends the partitions it has.
    fn materialize(
        &self,
        state: &CatalogState,
        config: &BrokerConfig,
        name: &Str,
        old: Option<&Topic>,
    ) -> Result<Topic, CatalogError> {
        let topic = state.topic(name).ok_or_else(|| LogError::NotFound {
            partition: TopicPartition::new(name.as_str(), 0),
        })?;
        let overrides = state.configs(RESOURCE_TOPIC, name);
        let settings = match TopicSettings::resolve(config, &overrides) {
            Ok(settings) => settings,
            Err(error) => {
                warn!("topic {name}: {error}; the topic runs with the broker's defaults");
                catchword_config::topic_defaults(config)
            }
        };
        let log_settings = log_config(config, &settings);
        let leader_epoch = state.leader_epoch(topic);
        let shared: Arc<str> = name.as_str().into();
        let mut partitions = Vec::with_capacity(topic.partitions.max(0) as usize);
        for index in 0..topic.partitions {
            if let Some(partition) = old.and_then(|t| t.partition(index)) {
                partition.log.set_config(log_settings.clone());
                partitions.push(partition.clone());
                continue;
            }
            let tp = TopicPartition::new(shared.clone(), index);
            let log = self.engine.create(&tp, topic.id, log_settings.clone())?;
            partitions.push(Arc::new(Partition::new(tp, log, leader_epoch)));
        }
        Ok(Topic {
            name: name.clone(),
            id: topic.id,
            partitions,
            overrides,
            settings,
        })
    }

    fn resolve_broker(&self, state: &CatalogState) -> Result<BrokerConfig, ConfigError> {
        let dynamic = DynamicConfigs {
            broker: state.configs(RESOURCE_BROKER, &self.base.node_id.to_string()),
            cluster: state.configs(RESOURCE_BROKER, ""),
        };
        self.base.with_dynamic(&dynamic)
    }

    /// Deletes what a crash left of deleted topics, and names what nobody knows.
    fn tidy_directories(&self) {
        let writer = self.writer();
        for (tp, id) in self.engine.partitions() {
            let known = &*tp.topic == METADATA_TOPIC
                || writer
                    .state
                    .topic(&tp.topic)
                    .is_some_and(|t| t.id == id && tp.partition < t.partitions);
            if known {
                continue;
            }
            if writer.state.was_removed(id) {
                match self.engine.delete(&tp) {
                    Ok(()) => info!("{tp}: deleted, as its topic was before the broker stopped"),
                    Err(error) => warn!("{tp}: {error}"),
                }
            } else {
                warn!(
                    "{tp} with topic id {id} is in the data directory but not in the catalog: left alone and not served"
                );
            }
        }
    }

    fn writer(&self) -> std::sync::MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, f: impl FnOnce(&Image) -> T) -> T {
        f(&self.image.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The broker's configuration in force.
    pub(crate) fn config(&self) -> Arc<BrokerConfig> {
        self.read(|image| image.config.clone())
    }

    /// The topic of that name.
    pub(crate) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.read(|image| image.topics.get(name).cloned())
    }

    /// The topic with that id.
    pub(crate) fn topic_by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.read(|image| image.topics.get(image.names.get(&id)?).cloned())
    }

    /// All topics by name.
    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        self.read(|image| image.topics.values().cloned().collect())
    }

    /// Where the metadata log ends: the offset of its next record.
    pub(crate) fn metadata_end(&self) -> i64 {
        self.writer().log.offsets().log_end
    }

    /// What is set on a resource.
    pub(crate) fn overrides(&self, resource_type: i8, name: &str) -> BTreeMap<String, String> {
        self.writer().state.configs(resource_type, name)
    }

    /// Deletes a topic. Returns it as it was.
    pub(crate) fn delete_topic(&self, name: &str) -> Result<Option<Arc<Topic>>, CatalogError> {
        let mut writer = self.writer();
        let Some(topic) = self.topic(name) else {
            return Ok(None);
        };
        let remove = RemoveTopicRecord { topic_id: topic.id };
        writer.append(&[CatalogRecord::RemoveTopic(remove)], true)?;
        {
            let mut image = self.image.write().unwrap_or_else(PoisonError::into_inner);
            image.topics.remove(name);
            image.names.remove(&topic.id);
            self.topics_version.fetch_add(1, Ordering::Release);
        }
        for partition in &topic.partitions {
            partition.mark_deleted();
            if let Err(error) = self.engine.delete(&partition.tp) {
                warn!("{}: {error}; it is deleted at the next start", partition.tp);
            }
        }
        info!("topic {name} deleted");
        Ok(Some(topic))
    }

    /// Replaces what is set on a topic or on the broker. `changes` has `None` for what is taken back. With
    /// `validate_only` nothing changes.
    pub(crate) fn alter_configs(
        &self,
        resource_type: i8,
        name: &str,
        changes: &[(String, Option<String>)],
        validate_only: bool,
    ) -> Result<(), CatalogError> {
        let mut writer = self.writer();
        let mut overrides = writer.state.configs(resource_type, name);
        for (key, value) in changes {
            match value {
                Some(value) => overrides.insert(key.clone(), value.clone()),
                None => overrides.remove(key),
            };
        }
        let config = self.config();
        match resource_type {
            RESOURCE_TOPIC => drop(TopicSettings::resolve(&config, &overrides)?),
            RESOURCE_GROUP => catchword_config::validate_group_configs(&config, &overrides)?,
            RESOURCE_CLIENT_METRICS => drop(catchword_config::Subscription::resolve(&overrides)?),
            _ => {
                let node = self.base.node_id.to_string();
                let of = |resource: &str| match resource == name {
                    true => overrides.clone(),
                    false => writer.state.configs(RESOURCE_BROKER, resource),
                };
                self.base.with_dynamic(&DynamicConfigs {
                    broker: of(&node),
                    cluster: of(""),
                })?;
            }
        }
        if validate_only || changes.is_empty() {
            return Ok(());
        }
        let records: Vec<CatalogRecord> = changes
            .iter()
            .map(|(key, value)| {
                CatalogRecord::Config(ConfigRecord {
                    resource_type,
                    resource_name: Str::copy(name),
                    name: Str::copy(key),
                    value: value.as_deref().map(Str::copy),
                })
            })
            .collect();
        writer.append(&records, true)?;
        match resource_type {
            RESOURCE_TOPIC => self.republish(&writer.state, &config, name),
            RESOURCE_GROUP | RESOURCE_CLIENT_METRICS => {
                self.republish_admin(&writer.state);
                Ok(())
            }
            _ => self.republish_all(&writer.state),
        }
    }

    /// Puts the broker's settings and every topic, which may follow them, into the image anew.
    fn republish_all(&self, state: &CatalogState) -> Result<(), CatalogError> {
        let config = Arc::new(self.resolve_broker(state)?);
        self.image
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .config = config.clone();
        self.republish_admin(state);
        for topic in self.topics() {
            self.republish(state, &config, &topic.name)?;
        }
        Ok(())
    }

    /// Puts a topic of the state into the image anew.
    fn republish(
        &self,
        state: &CatalogState,
        config: &BrokerConfig,
        name: &str,
    ) -> Result<(), CatalogError> {
        let old = self.topic(name);
        let topic = self.materialize(state, config, &Str::copy(name), old.as_deref())?;
        let mut image = self.image.write().unwrap_or_else(PoisonError::into_inner);
        let looks = |topic: &Topic| (topic.id, topic.partitions.len());
        let before = image.topics.get(&topic.name).map(|topic| looks(topic));
        if before != Some(looks(&topic)) {
            self.topics_version.fetch_add(1, Ordering::Release);
        }
        image.names.insert(topic.id, topic.name.clone());
        image.topics.insert(topic.name.clone(), Arc::new(topic));
        Ok(())
    }

    /// A producer id that was never given out before.
    pub(crate) fn next_producer_id(&self) -> Result<i64, CatalogError> {
        let mut writer = self.writer();
        if writer.next_producer_id >= writer.state.next_producer_id() {
            let next = writer.next_producer_id + PRODUCER_ID_BLOCK;
            let block = ProducerIdsRecord {
                broker_id: self.base.node_id,
                next_producer_id: next,
                ..Default::default()
            };
            writer.append(&[CatalogRecord::ProducerIds(block)], true)?;
        }
        let id = writer.next_producer_id;
        writer.next_producer_id += 1;
        Ok(id)
    }
}

impl Writer {
    /// Opens the metadata log, made if it is not there, and reads it.
    fn open(engine: &dyn Engine) -> Result<Writer, CatalogError> {
        let tp = TopicPartition::new(METADATA_TOPIC, 0);
        let keep_all = LogConfig {
            retention_ms: -1,
            retention_bytes: -1,
            ..LogConfig::default()
        };
        let log = engine.create(&tp, METADATA_TOPIC_ID, keep_all)?;
        let mut state = CatalogState::default();
        replay(&*log, &mut state)?;
        Ok(Writer {
            next_producer_id: state.next_producer_id(),
            state,
            log,
        })
    }

    /// Appends records in one batch and applies them; waits until they are durable if asked to.
    fn append(&mut self, records: &[CatalogRecord], durable: bool) -> Result<(), CatalogError> {
        let corrupt = |why: String| CatalogError::Corrupt { offset: -1, why };
        let now = clock::now_ms();
        let mut builder = BatchBuilder::new(0);
        for record in records {
            let value = record.encode().map_err(|e| corrupt(e.to_string()))?;
            let record = NewRecord {
                timestamp: now,
                value: Some(&value),
                ..NewRecord::default()
            };
            builder.push(record).map_err(|e| corrupt(e.to_string()))?;
        }
        let batch = builder.build().map_err(|e| corrupt(e.to_string()))?;
        let batches: Vec<_> = split(batch)
            .collect::<Result<_, _>>()
            .map_err(|e| corrupt(e.to_string()))?;
        let how = catchword_log::Append {
            leader_epoch: METADATA_EPOCH,
            append_time: None,
            origin: AppendOrigin::Coordinator,
        };
        let appended = self
            .log
            .append(&batches, how)
            .map_err(|error| match error {
                catchword_log::AppendError::Storage(error) => CatalogError::Log(error),
                other => corrupt(other.to_string()),
            })?;
        if durable {
            let (tx, rx) = mpsc::channel();
            self.log.flush_to(
                appended.last_offset + 1,
                Box::new(move |done| drop(tx.send(done))),
            );
            rx.recv()
                .map_err(|_| LogError::Closed)?
                .map_err(|e| CatalogError::Log(e.0))?;
        }
        records.iter().for_each(|r| self.state.apply(r));
        Ok(())
    }
}

/// Applies everything in the metadata log.
fn replay(log: &dyn PartitionLog, state: &mut CatalogState) -> Result<(), CatalogError> {
    log.ready()?;
    let mut offset = log.offsets().log_start;
    while offset < log.offsets().log_end {
        let from = offset;
        let bytes = read_batches(log, from)?;
        let corrupt = |why: String| CatalogError::Corrupt { offset: from, why };
        for batch in split(bytes.clone()) {
            let batch = batch.map_err(|e| corrupt(e.to_string()))?;
            for record in records(&batch).map_err(|e| corrupt(e.to_string()))? {
                let record = record.map_err(|e| corrupt(e.to_string()))?;
                let value = record.value.unwrap_or_default();
                let decoded = CatalogRecord::decode(value).map_err(|e| corrupt(e.to_string()))?;
                if let CatalogRecord::Unknown(kind) = decoded {
                    warn!(
                        "metadata record of unknown type {kind} at offset {}: skipped",
                        record.offset
                    );
                }
                state.apply(&decoded);
            }
            offset = batch.header.next_offset();
        }
    }
    Ok(())
}

fn read_batches(log: &dyn PartitionLog, from: i64) -> Result<Bytes, CatalogError> {
    let corrupt = |why: String| CatalogError::Corrupt { offset: from, why };
    let read = match log.read(from, 1 << 20, ReadLimit::LogEnd, true) {
        Read::Now(read) => read,
        Read::Later(_) => return Err(corrupt("the metadata log has to be local".into())),
    };
    let fetched = read.map_err(|error| match error {
        ReadError::Storage(error) => CatalogError::Log(error),
        other => corrupt(other.to_string()),
    })?;
    let bytes = fetched.data.read().map_err(|e| corrupt(e.to_string()))?;
    if bytes.is_empty() {
        Err(corrupt("there are no records below the log's end".into()))
    } else {
        Ok(bytes)
    }
}
