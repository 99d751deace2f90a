//! The partition directories, held against what Kafka's metadata say should be there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use catchword_log::{
    Checkpoint, StoppedDir, StoppedPartition, TopicPartition, oldest_message_format,
};
use catchword_wire::Uuid;

use crate::AdoptError;
use crate::metadata::KafkaMetadata;
use crate::remark::{Remarks, few, some};

/// What is in the directory.
#[derive(Debug, Default)]
pub(crate) struct Directories {
    /// The directories of the topics' partitions.
    pub(crate) known: BTreeMap<TopicPartition, PathBuf>,
    /// Directories of topics that are deleted: they are set aside, as Kafka does.
    pub(crate) strays: Vec<PathBuf>,
}

/// Looks at every directory.
pub(crate) fn look(
    stopped: &StoppedDir,
    metadata: &KafkaMetadata,
    own_id: Option<Uuid>,
    remarks: &mut Remarks,
) -> Result<Directories, AdoptError> {
    let mut directories = Directories::default();
    let (found, others) = stopped.partitions()?;
    let mut old_formats = Vec::new();
    let by_name: BTreeMap<&str, &Uuid> = metadata
        .topics
        .iter()
        .map(|(id, topic)| (topic.name.as_str(), id))
        .collect();
    for StoppedPartition {
        partition,
        topic_id,
        dir,
    } in found
    {
        if &*partition.topic == "__cluster_metadata" {
            continue;
        }
        let id = by_name
            .get(&*partition.topic)
            .filter(|id| topic_id.is_zero() || ***id == topic_id);
        let topic = id.and_then(|id| metadata.topics.get(id));
        if topic.is_none_or(|topic| !topic.partitions.contains_key(&partition.partition)) {
            directories.strays.push(dir);
            continue;
        }
        if oldest_message_format(&dir)?.is_some_and(|magic| magic < 2) {
            old_formats.push(partition.clone());
        }
        directories.known.insert(partition, dir);
    }
    if !old_formats.is_empty() {
        remarks.refuse(
            format!(
                "{} records in the message format of Kafka before 0.11: {}",
                if old_formats.len() == 1 { "a partition has" } else { "partitions have" },
                few(&old_formats)
            ),
            "that format cannot be read here: copy the topic with a consumer and a producer, and delete the old one",
        );
    }
    if !directories.strays.is_empty() {
        let names = directories
            .strays
            .iter()
            .filter_map(|dir| dir.file_name())
            .map(|name| name.to_string_lossy());
        remarks.note(
            format!("{} of deleted topics: {}", some(directories.strays.len(), "directory", "directories"), few(names)),
            "renamed to end with -stray, as Kafka does at its next start; remove them if you miss nothing",
        );
    }
    missing(stopped, metadata, own_id, &directories, remarks)?;
    let moving = others
        .iter()
        .filter(|name| name.ends_with("-future"))
        .count();
    if moving > 0 {
        remarks.refuse(
            format!(
                "{} being moved between log directories",
                some(moving, "partition is", "partitions are")
            ),
            "start Kafka and let it finish, with one log directory in the end",
        );
    }
    Ok(directories)
}

/// Partitions that should have a directory here and have none.
fn missing(
    stopped: &StoppedDir,
    metadata: &KafkaMetadata,
    own_id: Option<Uuid>,
    directories: &Directories,
    remarks: &mut Remarks,
) -> Result<(), AdoptError> {
    let ends = stopped
        .checkpoint(Checkpoint::HighWatermarks)
        .unwrap_or_default();
    // Where a deleted topic's directory has the name, the end was that one's.
    let strays: Vec<_> = directories
        .strays
        .iter()
        .filter_map(|dir| Some(dir.file_name()?.to_string_lossy()))
        .collect();
    let (mut elsewhere, mut lost, mut unmade) = (Vec::new(), Vec::new(), Vec::new());
    for topic in metadata.topics.values() {
        for (index, partition) in &topic.partitions {
            let name = TopicPartition::new(topic.name.as_str(), *index);
            if directories.known.contains_key(&name) {
                continue;
            }
            // Ids below 100 stand for "not assigned yet" and the like.
            let reserved = |id: &Uuid| u128::from_be_bytes(id.0) < 100;
            let other = |id: &Uuid| !reserved(id) && own_id.is_some_and(|own| own != *id);
            if partition.directories.iter().any(other) {
                elsewhere.push(name);
            } else if ends.get(&name).is_some_and(|end| *end > 0)
                && !strays.iter().any(|stray| **stray == *name.to_string())
            {
                lost.push(name);
            } else {
                unmade.push(name);
            }
        }
    }
    if !elsewhere.is_empty() {
        remarks.refuse(
            format!("{} in another log directory: {}", some(elsewhere.len(), "partition is", "partitions are"), few(&elsewhere)),
            "one log directory is adopted: move the partitions here in Kafka (kafka-reassign-partitions), then stop it",
        );
    }
    if !lost.is_empty() {
        remarks.refuse(
            format!(
                "the directories of {} that held records are missing: {}",
                some(lost.len(), "partition", "partitions"),
                few(&lost)
            ),
            "restore them, or delete the topics in Kafka",
        );
    }
    if !unmade.is_empty() {
        remarks.note(
            format!(
                "{} no directory yet: {}",
                some(unmade.len(), "partition has", "partitions have"),
                few(&unmade)
            ),
            "Kafka stopped before it made them; they begin empty",
        );
    }
    Ok(())
}
