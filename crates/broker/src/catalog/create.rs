//! Topics that are created, and partitions that are added to them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use catchword_config::{ConfigError, TopicSettings};
use catchword_wire::records::{ConfigRecord, PartitionRecord, TopicRecord};
use catchword_wire::{ErrorCode, Str, Uuid};
use tracing::info;

use super::record::CatalogRecord;
use super::{Catalog, CatalogError, RESOURCE_TOPIC, Topic};
use crate::random;

/// Kafka refuses longer names, since each partition is a directory.
const MAX_NAME: usize = 249;
/// More partitions than anybody means; a typing error should not fill the disk with directories.
const MAX_PARTITIONS: i32 = 1_000_000;

/// A topic that somebody wants.
pub(crate) struct NewTopic {
    pub(crate) name: Str,
    pub(crate) partitions: i32,
    pub(crate) configs: BTreeMap<String, String>,
}

/// Asked, with a number of partitions, when all else is well and before anything is changed.
pub(crate) type Admit<'a> = &'a mut dyn FnMut(i32) -> Result<(), TopicError>;

/// Why a topic is not created or changed: Kafka's code and the words.
#[derive(Debug)]
pub(crate) struct TopicError {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl TopicError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> TopicError {
        TopicError {
            code,
            message: message.into(),
        }
    }
}

impl From<ConfigError> for TopicError {
    fn from(error: ConfigError) -> TopicError {
        TopicError::new(ErrorCode::InvalidConfig, error.to_string())
    }
}

impl From<CatalogError> for TopicError {
    fn from(error: CatalogError) -> TopicError {
        let code = match &error {
            CatalogError::Config(_) => ErrorCode::InvalidConfig,
            CatalogError::Log(_) => ErrorCode::KafkaStorageError,
            CatalogError::Corrupt { .. } => ErrorCode::UnknownServerError,
        };
        TopicError::new(code, error.to_string())
    }
}

/// Kafka's rules for names.
pub(crate) fn check_name(name: &str) -> Result<(), TopicError> {
    let invalid = |why: String| Err(TopicError::new(ErrorCode::InvalidTopicException, why));
    if name.is_empty() {
        return invalid("a topic needs a name".into());
    }
    if matches!(name, "." | "..") {
        return invalid(format!("a topic cannot be named {name:?}"));
    }
    if name.len() > MAX_NAME {
        return invalid(format!(
            "the name has {} characters, {MAX_NAME} are allowed",
            name.len()
        ));
    }
    if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    {
        return invalid(format!(
            "{name:?} has characters other than ASCII letters, digits, '.', '_' and '-'"
        ));
    }
    Ok(())
}

impl Catalog {
    /// Creates a topic and its logs; durable on return.
    pub(crate) fn create_topic(&self, new: &NewTopic) -> Result<Arc<Topic>, TopicError> {
        self.create_topic_if(new, false, &mut |_| Ok(()))
    }

    /// Creates a topic if it is admitted. With `validate_only` it only says whether it would.
    pub(crate) fn create_topic_if(
        &self,
        new: &NewTopic,
        validate_only: bool,
        admit: Admit<'_>,
    ) -> Result<Arc<Topic>, TopicError> {
        check_name(&new.name)?;
        if !(1..=MAX_PARTITIONS).contains(&new.partitions) {
            let why = format!(
                "{} partitions: a topic has 1 to {MAX_PARTITIONS}",
                new.partitions
            );
            return Err(TopicError::new(ErrorCode::InvalidPartitions, why));
        }
        let mut writer = self.writer();
        self.check_free(&new.name)?;
        let config = self.config();
        let settings = TopicSettings::resolve(&config, &new.configs)?;
        admit(new.partitions)?;
        let mut id = Uuid::from_random(random::bytes());
        while self.topic_by_id(id).is_some() {
            id = Uuid::from_random(random::bytes());
        }
        if validate_only {
            let (name, overrides) = (new.name.clone(), new.configs.clone());
            return Ok(Arc::new(Topic {
                name,
                id,
                partitions: Vec::new(),
                overrides,
                settings,
            }));
        }
        let mut records = vec![CatalogRecord::Topic(TopicRecord {
            name: new.name.clone(),
            topic_id: id,
        })];
        records.extend((0..new.partitions).map(|p| self.partition_record(id, p)));
        records.extend(new.configs.iter().map(|(key, value)| {
            CatalogRecord::Config(ConfigRecord {
                resource_type: RESOURCE_TOPIC,
                resource_name: new.name.clone(),
                name: Str::copy(key),
                value: Some(Str::copy(value)),
            })
        }));
        writer.append(&records, true)?;
        self.republish(&writer.state, &config, &new.name)?;
        info!(
            "topic {} created with {} partitions, id {id}",
            new.name, new.partitions
        );
        self.topic(&new.name).ok_or_else(|| {
            TopicError::new(ErrorCode::UnknownServerError, "the topic is gone again")
        })
    }

    /// Adds partitions until the topic has `total`, if they are admitted.
    pub(crate) fn add_partitions(
        &self,
        name: &str,
        total: i32,
        validate_only: bool,
        admit: Admit<'_>,
    ) -> Result<(), TopicError> {
        let mut writer = self.writer();
        let Some(topic) = self.topic(name) else {
            return Err(TopicError::new(
                ErrorCode::UnknownTopicOrPartition,
                format!("there is no topic {name}"),
            ));
        };
        let now = topic.partitions.len() as i32;
        if total <= now || total > MAX_PARTITIONS {
            let why = if total == now {
                format!("Topic already has {now} partition(s).")
            } else {
                format!(
                    "The topic {name} currently has {now} partition(s); {total} would not be an increase."
                )
            };
            return Err(TopicError::new(ErrorCode::InvalidPartitions, why));
        }
        admit(total - now)?;
        if validate_only {
            return Ok(());
        }
        let records: Vec<CatalogRecord> = (now..total)
            .map(|p| self.partition_record(topic.id, p))
            .collect();
        writer.append(&records, true)?;
        self.republish(&writer.state, &self.config(), name)?;
        info!("topic {name} now has {total} partitions");
        Ok(())
    }

    /// Kafka also refuses names that would collide in metrics, where '.' and '_' are the same.
    fn check_free(&self, name: &str) -> Result<(), TopicError> {
        let exists = |why: String| TopicError::new(ErrorCode::TopicAlreadyExists, why);
        if self.topic(name).is_some() {
            return Err(exists(format!("Topic '{name}' already exists.")));
        }
        if !name.contains(['.', '_']) {
            return Ok(());
        }
        let same = |other: &str| {
            other.len() == name.len() && other.replace('.', "_") == name.replace('.', "_")
        };
        let image = self.image.read().unwrap_or_else(PoisonError::into_inner);
        match image.topics.keys().find(|other| same(other)) {
            Some(other) => Err(TopicError::new(
                ErrorCode::InvalidTopicException,
                format!("Topic '{name}' collides with existing topic: {other}"),
            )),
            None => Ok(()),
        }
    }

    fn partition_record(&self, topic_id: Uuid, partition_id: i32) -> CatalogRecord {
        let node = self.base.node_id;
        CatalogRecord::Partition(PartitionRecord {
            partition_id,
            topic_id,
            replicas: vec![node],
            isr: vec![node],
            leader: node,
            ..PartitionRecord::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_kafkas_rules() {
        for good in ["a", "A.b-c_9", "__consumer_offsets", &"x".repeat(249)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "ä", &"x".repeat(250)] {
            let error = check_name(bad).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidTopicException, "{bad}");
        }
    }
}
