//! What a directory holds and whether it can be adopted: every check, before anything is changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use catchword_broker::{Import, ImportedTopic, METADATA_DIR, MetaProperties, QUORUM_STATE};
use catchword_log::{StoppedDir, bytes_of_records};
use catchword_wire::Uuid;

use crate::directories::{self, Directories};
use crate::metadata::KafkaMetadata;
use crate::remark::{Remark, Remarks, Weight, few};
use crate::switch::KEPT_METADATA;
use crate::{AdoptError, KNOWN_KAFKA, groups, settings, source};

/// Kafka's features and the newest level of each that is known here: those of Kafka 4.3.
const FEATURES: &[(&str, i16)] = &[
    ("metadata.version", 30),
    ("kraft.version", 1),
    ("group.version", 1),
    ("share.version", 1),
    ("streams.version", 1),
    ("transaction.version", 2),
    ("eligible.leader.replicas.version", 1),
];

/// How far a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is Kafka's.
    Kafkas,
    /// Its adoption was begun and has to be finished.
    Interrupted,
    /// It is adopted, or was ours from the start.
    Ours,
}

impl State {
    /// Looks at the directory.
    ///
    /// # Errors
    /// [`AdoptError::NotThis`] if it is no data directory that could be adopted.
    pub fn of(dir: &Path) -> Result<State, AdoptError> {
        let not_this = |why: &str| Err(AdoptError::NotThis(format!("{}: {why}", dir.display())));
        if !dir.is_dir() {
            return not_this(
                "there is no such directory; name the one that log.dirs names in Kafka's server.properties",
            );
        }
        let properties =
            MetaProperties::read(dir).map_err(AdoptError::io("read meta.properties in", dir))?;
        let metadata = dir.join(METADATA_DIR);
        let kafkas = metadata.join(QUORUM_STATE).exists();
        if properties.is_adopted() {
            return Ok(match kafkas || !metadata.exists() {
                true => State::Interrupted,
                false => State::Ours,
            });
        }
        if properties.get("broker.id").is_some() {
            return not_this(
                "this Kafka keeps its metadata in ZooKeeper: migrate it to KRaft first (Kafka 3.9 does)",
            );
        }
        if properties.get("cluster.id").is_none() {
            return not_this(
                "there is no meta.properties with a cluster.id, so it is no data directory of Kafka's; name the one that log.dirs names in its server.properties",
            );
        }
        if !metadata.exists() {
            return not_this(
                "there is no __cluster_metadata-0 in it. If metadata.log.dir names another directory, or log.dirs several: only a Kafka with one directory for all can be adopted. Move the partitions and the metadata into one, start Kafka on it once, and stop it",
            );
        }
        if !kafkas {
            return Ok(State::Ours);
        }
        if dir.join(KEPT_METADATA).exists() {
            return not_this(&format!(
                "{KEPT_METADATA} is left in it from an earlier adoption, though the directory is Kafka's: move that aside first"
            ));
        }
        Ok(State::Kafkas)
    }
}

/// A topic that comes along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurveyedTopic {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: Uuid,
    /// How many partitions it has.
    pub partitions: i32,
    /// What is set on it and known here.
    pub configs: std::collections::BTreeMap<String, String>,
}

/// A stopped Kafka's directory, looked at. It stays locked as long as this lives.
#[derive(Debug)]
pub struct Survey {
    /// Where it is.
    pub dir: PathBuf,
    /// The cluster's id.
    pub cluster_id: String,
    /// The node's id: the broker has to have it as `node.id`.
    pub node_id: i32,
    /// Whether Kafka was stopped in order. If not, the first start checks what was written last.
    pub clean: bool,
    /// What comes along, by name.
    pub topics: Vec<SurveyedTopic>,
    /// Bytes of record batches in them.
    pub bytes: u64,
    /// Committed offsets.
    pub offsets: usize,
    /// Groups that have some.
    pub groups: usize,
    /// What else there is to say.
    pub remarks: Vec<Remark>,
    /// Keeps brokers off.
    _stopped: StoppedDir,
    pub(crate) import: Import,
    pub(crate) directories: Directories,
}

impl Survey {
    /// Looks at everything; changes nothing.
    ///
    /// # Errors
    /// [`AdoptError`] if the directory cannot be looked at as a whole. What is found in it and makes adopting it unsafe is
    /// among the remarks.
    pub fn of(dir: &Path) -> Result<Survey, AdoptError> {
        match State::of(dir)? {
            State::Kafkas => {}
            State::Ours => return Err(AdoptError::Already(dir.to_owned())),
            State::Interrupted => {
                return Err(AdoptError::NotThis(format!(
                    "the adoption of {} was interrupted and has to be finished",
                    dir.display()
                )));
            }
        }
        let stopped = StoppedDir::open(dir)?;
        let properties =
            MetaProperties::read(dir).map_err(AdoptError::io("read meta.properties in", dir))?;
        let metadata = source::read_metadata(&dir.join(METADATA_DIR))?;
        let mut remarks = Remarks::default();
        let node_id = properties.get("node.id").and_then(|id| id.parse().ok());
        let node_id: i32 = node_id.ok_or_else(|| {
            AdoptError::NotThis(format!("{}: meta.properties has no node.id", dir.display()))
        })?;
        check_features(&metadata, &mut remarks);
        check_nodes(&metadata, node_id, &mut remarks);
        name_security(&metadata, &mut remarks);
        let own_id = properties
            .get("directory.id")
            .and_then(|id| id.parse().ok());
        let directories = directories::look(&stopped, &metadata, own_id, &mut remarks)?;
        let coordinators = groups::look(&directories.known, &mut remarks)?;
        let import = import(&metadata, node_id, &mut remarks);
        let mut bytes = 0;
        for dir in directories.known.values() {
            bytes += bytes_of_records(dir)?;
        }
        remarks
            .0
            .sort_by_key(|remark| std::cmp::Reverse(remark.weight));
        Ok(Survey {
            dir: dir.to_owned(),
            cluster_id: properties.get("cluster.id").unwrap_or_default().to_owned(),
            node_id,
            clean: stopped.was_stopped_cleanly(),
            topics: import.topics.iter().map(surveyed).collect(),
            bytes,
            offsets: coordinators.offsets,
            groups: coordinators.groups,
            remarks: remarks.0,
            _stopped: stopped,
            import,
            directories,
        })
    }

    /// Whether nothing stands against adopting the directory.
    pub fn is_adoptable(&self) -> bool {
        self.remarks
            .iter()
            .all(|remark| remark.weight != Weight::Refusal)
    }
}

fn surveyed(topic: &ImportedTopic) -> SurveyedTopic {
    SurveyedTopic {
        name: topic.name.clone(),
        id: topic.id,
        partitions: topic.partitions,
        configs: topic.configs.clone(),
    }
}

fn check_features(metadata: &KafkaMetadata, remarks: &mut Remarks) {
    for (name, level) in &metadata.features {
        let known = FEATURES
            .iter()
            .find(|(known, _)| known == name)
            .map_or(0, |(_, level)| *level);
        if *level > known {
            remarks.refuse(
                format!("the cluster uses the feature {name} at level {level}"),
                format!("directories of Kafka up to {KNOWN_KAFKA} are understood, which has it at {known}: a newer Catchword may know it"),
            );
        }
    }
}

fn check_nodes(metadata: &KafkaMetadata, node: i32, remarks: &mut Remarks) {
    let others = |nodes: &mut dyn Iterator<Item = i32>| {
        nodes.filter(|id| *id != node).collect::<BTreeSet<i32>>()
    };
    let brokers = others(&mut metadata.brokers.keys().copied());
    if !brokers.is_empty() {
        remarks.refuse(
            format!("the cluster has other brokers: {}", few(&brokers)),
            "a cluster of one node is adopted. Move all partitions to this node (kafka-reassign-partitions), unregister the others (kafka-cluster unregister), then stop it",
        );
    }
    let controllers = others(&mut metadata.controllers.iter().chain(&metadata.voters).copied());
    if !controllers.is_empty() {
        remarks.refuse(
            format!("the cluster has other controllers: {}", few(&controllers)),
            "a node that is broker and controller in one is adopted (process.roles=broker,controller), whose copy of the metadata is known to be the last",
        );
    }
    if metadata
        .brokers
        .get(&node)
        .is_some_and(|dirs| dirs.len() > 1)
    {
        remarks.refuse(
            "the broker has several log directories",
            "one is adopted: move all partitions into it (kafka-reassign-partitions), take the others out of log.dirs, start Kafka once, and stop it",
        );
    }
    let elsewhere = metadata
        .topics
        .values()
        .filter(|topic| topic.partitions.values().any(|p| p.replicas != [node]));
    let elsewhere: Vec<&str> = elsewhere.map(|topic| topic.name.as_str()).collect();
    if !elsewhere.is_empty() {
        remarks.refuse(
            format!("topics with replicas on other nodes: {}", few(&elsewhere)),
            "make this node their only replica (kafka-reassign-partitions)",
        );
    }
}

fn name_security(metadata: &KafkaMetadata, remarks: &mut Remarks) {
    let mut left = |count: usize, one: &str, many: &str, advice: &str| {
        if count > 0 {
            remarks.left(crate::remark::some(count, one, many), advice);
        }
    };
    left(
        metadata.acls.len(),
        "access rule (ACL)",
        "access rules (ACLs)",
        "there are none here yet: whoever reaches the port may do everything",
    );
    left(
        metadata.scram.len(),
        "SCRAM credential",
        "SCRAM credentials",
        "there is no authentication here yet: whoever reaches the port may do everything",
    );
    left(
        metadata.tokens.len(),
        "delegation token",
        "delegation tokens",
        "there is no authentication here yet",
    );
    let quotas: Vec<String> = metadata
        .quotas
        .iter()
        .map(|(entity, key)| format!("{key} of {entity}"))
        .collect();
    if !quotas.is_empty() {
        remarks.left(
            format!(
                "{}: {}",
                crate::remark::some(quotas.len(), "quota", "quotas"),
                few(&quotas)
            ),
            "they are not carried over yet: set them again",
        );
    }
}

fn import(metadata: &KafkaMetadata, node_id: i32, remarks: &mut Remarks) -> Import {
    let mut carried = settings::carry(metadata, remarks);
    let mut topics = Vec::new();
    for (id, topic) in &metadata.topics {
        let numbers: Vec<i32> = topic.partitions.keys().copied().collect();
        let partitions = numbers.len() as i32;
        if numbers != (0..partitions).collect::<Vec<_>>() {
            remarks.refuse(
                format!(
                    "topic {} has partitions with gaps between their numbers",
                    topic.name
                ),
                "Kafka never makes such a topic: its metadata are damaged",
            );
        }
        topics.push(ImportedTopic {
            name: topic.name.clone(),
            id: *id,
            partitions,
            leader_epoch: topic
                .partitions
                .values()
                .map(|p| p.leader_epoch)
                .max()
                .unwrap_or(0),
            configs: carried.topics.remove(&topic.name).unwrap_or_default(),
        });
    }
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    for name in carried.topics.keys() {
        remarks.note(
            format!("settings of a topic {name} that does not exist"),
            "they are of no use and left behind",
        );
    }
    Import {
        node_id,
        topics,
        configs: carried.others,
        next_producer_id: metadata.next_producer_id,
    }
}
