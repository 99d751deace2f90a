//! The catalog: topics, their partitions and settings, kept in the log `__cluster_metadata`.
//!
//! Invariant: a change is visible only once its records are durable, and on the way in the order log, disk, image: a
//! crash in between leaves nothing that the next start does not finish or undo.
//!
//! Reads take a short lock on the image. Changes go one at a time and block; call them off the connections' threads.

mod admin;
mod configs;
mod create;
mod import;
mod metadata;
mod record;
mod state;
mod writer;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use catchword_config::{BrokerConfig, ConfigError, TopicSettings};
use catchword_log::{Engine, LogError, TopicPartition};
use catchword_wire::records::{ProducerIdsRecord, RegisterBrokerRecord, RemoveTopicRecord};
use catchword_wire::{Str, Uuid};
use tracing::{info, warn};

use crate::partition::Partition;
use crate::settings::log_config;
pub(crate) use create::{NewTopic, TopicError, check_name};
pub use import::{Import, ImportedTopic, import_catalog};
use record::CatalogRecord;
use state::CatalogState;
pub(crate) use state::{RESOURCE_BROKER, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP, RESOURCE_TOPIC};
use writer::Writer;

/// The topic in which group coordinators keep their records.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// The topic of transaction coordinators; its name is reserved.
pub(crate) const TRANSACTIONS_TOPIC: &str = "__transaction_state";
/// The topic in which share groups' places are kept.
pub(crate) const SHARE_TOPIC: &str = "__share_group_state";
/// The topic of the metadata log; only its quorum is ever asked for by name.
pub(crate) const METADATA_TOPIC: &str = "__cluster_metadata";
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
