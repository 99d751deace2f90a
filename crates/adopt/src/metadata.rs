//! What Kafka's metadata log says, replayed. Pure: records in, the image out.
//!
//! Invariant: records of a metadata transaction count when it ends, and not at all if it is aborted (KIP-866). A record of
//! a type or version that is not known here is an error: nothing is guessed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use catchword_wire::batch::{Batch, Record, records};
use catchword_wire::records::{
    AccessControlEntryRecord, ClientQuotaRecord, ConfigRecord, DelegationTokenRecord,
    FeatureLevelRecord, LeaderChangeMessage, PartitionChangeRecord, PartitionRecord,
    ProducerIdsRecord, RegisterBrokerRecord, RegisterControllerRecord,
    RemoveAccessControlEntryRecord, RemoveDelegationTokenRecord, RemoveTopicRecord,
    RemoveUserScramCredentialRecord, TopicRecord, UnregisterBrokerRecord,
    UserScramCredentialRecord, VotersRecord,
};
use catchword_wire::{Decoder, Message, Uuid};

/// Kafka's number for what a topic's settings are set on.
pub(crate) const RESOURCE_TOPIC: i8 = 2;

/// A partition as Kafka's controller has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KafkaPartition {
    pub(crate) replicas: Vec<i32>,
    pub(crate) leader_epoch: i32,
    pub(crate) directories: Vec<Uuid>,
}

/// A topic as Kafka's controller has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KafkaTopic {
    pub(crate) name: String,
    pub(crate) partitions: BTreeMap<i32, KafkaPartition>,
}

/// The cluster's metadata.
#[derive(Debug, Default)]
pub(crate) struct KafkaMetadata {
    pub(crate) topics: BTreeMap<Uuid, KafkaTopic>,
    /// By Kafka's number of the resource's type and its name.
    pub(crate) configs: BTreeMap<(i8, String), BTreeMap<String, String>>,
    pub(crate) features: BTreeMap<String, i16>,
    /// Brokers with their log directories.
    pub(crate) brokers: BTreeMap<i32, Vec<Uuid>>,
    pub(crate) controllers: BTreeSet<i32>,
    /// The controllers that vote, as the quorum noted last; empty if the log does not say.
    pub(crate) voters: BTreeSet<i32>,
    pub(crate) next_producer_id: i64,
    pub(crate) acls: BTreeSet<Uuid>,
    /// User and mechanism.
    pub(crate) scram: BTreeSet<(String, i8)>,
    /// What each quota is for, and its key.
    pub(crate) quotas: BTreeSet<(String, String)>,
    pub(crate) tokens: BTreeSet<String>,
    pending: Option<Vec<Bytes>>,
}

impl KafkaMetadata {
    /// Applies a batch of the log or of a snapshot, from the offset `from` on.
    pub(crate) fn apply_batch(&mut self, batch: &Batch, from: i64) -> Result<(), String> {
        for record in records(batch).map_err(|error| error.to_string())? {
            let record = record.map_err(|error| error.to_string())?;
            if record.offset < from {
                continue;
            }
            let applied = match batch.header.is_control() {
                true => self.control(&record),
                false => self.frame(record.value.clone().unwrap_or_default()),
            };
            applied.map_err(|error| format!("offset {}: {error}", record.offset))?;
        }
        Ok(())
    }

    /// Records of the quorum itself.
    fn control(&mut self, record: &Record) -> Result<(), String> {
        const LEADER_CHANGE: i16 = 2;
        const VOTERS: i16 = 6;
        let Some(kind) = record.key.as_deref().and_then(|key| key.get(2..4)) else {
            return Err("a control record without a type".into());
        };
        let value = record.value.clone().unwrap_or_default();
        match i16::from_be_bytes([kind[0], kind[1]]) {
            LEADER_CHANGE => {
                let change: LeaderChangeMessage = self_versioned(value)?;
                self.voters = change.voters.iter().map(|voter| voter.voter_id).collect();
            }
            VOTERS => {
                let record: VotersRecord = self_versioned(value)?;
                self.voters = record.voters.iter().map(|voter| voter.voter_id).collect();
            }
            // Where a snapshot begins and ends, and the quorum's protocol.
            _ => {}
        }
        Ok(())
    }

    /// A record of the controller: frame version, type, version, then the record.
    fn frame(&mut self, bytes: Bytes) -> Result<(), String> {
        const BEGIN_TRANSACTION: u32 = 23;
        const END_TRANSACTION: u32 = 24;
        const ABORT_TRANSACTION: u32 = 25;
        let mut d = Decoder::new(bytes.clone());
        let mut number = || d.uvarint().map_err(|error| error.to_string());
        let (frame, kind, version) = (number()?, number()?, number()?);
        if frame != 1 {
            return Err(format!("frame version {frame} is unknown"));
        }
        match kind {
            BEGIN_TRANSACTION => self.pending = Some(Vec::new()),
            ABORT_TRANSACTION => self.pending = None,
            END_TRANSACTION => {
                for bytes in self.pending.take().unwrap_or_default() {
                    self.frame(bytes)?;
                }
            }
            _ => match &mut self.pending {
                Some(pending) => pending.push(bytes),
                None => {
                    let version = i16::try_from(version).unwrap_or(i16::MAX);
                    self.apply(kind, version, &mut d)?;
                }
            },
        }
        Ok(())
    }

    fn apply(&mut self, kind: u32, version: i16, d: &mut Decoder) -> Result<(), String> {
        match kind {
            0 => {
                let r: RegisterBrokerRecord = read(d, version)?;
                self.brokers.insert(r.broker_id, r.log_dirs);
            }
            1 => {
                let r: UnregisterBrokerRecord = read(d, version)?;
                self.brokers.remove(&r.broker_id);
            }
            2 => {
                let r: TopicRecord = read(d, version)?;
                let (name, partitions) = (r.name.to_string(), BTreeMap::new());
                self.topics
                    .insert(r.topic_id, KafkaTopic { name, partitions });
            }
            3 => self.partition(read(d, version)?)?,
            5 => self.partition_change(read(d, version)?)?,
            4 => self.config(&read(d, version)?),
            9 => {
                let r: RemoveTopicRecord = read(d, version)?;
                if let Some(topic) = self.topics.remove(&r.topic_id) {
                    self.configs.remove(&(RESOURCE_TOPIC, topic.name));
                }
            }
            12 => {
                let r: FeatureLevelRecord = read(d, version)?;
                self.features.insert(r.name.to_string(), r.feature_level);
            }
            15 => {
                let r: ProducerIdsRecord = read(d, version)?;
                self.next_producer_id = self.next_producer_id.max(r.next_producer_id);
            }
            27 => {
                let r: RegisterControllerRecord = read(d, version)?;
                self.controllers.insert(r.controller_id);
            }
            10 | 11 | 14 | 18 | 19 | 22 | 26 => self.security(kind, version, d)?,
            // Whether brokers are fenced, which replicas are eligible, ticks of the clock.
            7 | 8 | 17 | 20 | 28 => {}
            21 => return Err("it is of a migration from ZooKeeper".into()),
            other => return Err(format!("record type {other} is unknown")),
        }
        Ok(())
    }

    fn partition(&mut self, r: PartitionRecord) -> Result<(), String> {
        let topic = self.topics.get_mut(&r.topic_id);
        let topic =
            topic.ok_or_else(|| format!("a partition of the unknown topic {}", r.topic_id))?;
        let partition = KafkaPartition {
            replicas: r.replicas,
            leader_epoch: r.leader_epoch,
            directories: r.directories,
        };
        topic.partitions.insert(r.partition_id, partition);
        Ok(())
    }

    fn partition_change(&mut self, r: PartitionChangeRecord) -> Result<(), String> {
        const LEADER_UNCHANGED: i32 = -2;
        let topic = self.topics.get_mut(&r.topic_id);
        let partition = topic.and_then(|topic| topic.partitions.get_mut(&r.partition_id));
        let partition = partition.ok_or_else(|| {
            format!(
                "a change of the unknown partition {} of topic {}",
                r.partition_id, r.topic_id
            )
        })?;
        if r.leader != LEADER_UNCHANGED {
            partition.leader_epoch += 1;
        }
        if let Some(replicas) = r.replicas {
            partition.replicas = replicas;
        }
        if let Some(directories) = r.directories {
            partition.directories = directories;
        }
        Ok(())
    }

    fn config(&mut self, r: &ConfigRecord) {
        let of = (r.resource_type, r.resource_name.to_string());
        let set = self.configs.entry(of.clone()).or_default();
        match &r.value {
            Some(value) => set.insert(r.name.to_string(), value.to_string()),
            None => set.remove(r.name.as_str()),
        };
        if set.is_empty() {
            self.configs.remove(&of);
        }
    }

    fn security(&mut self, kind: u32, version: i16, d: &mut Decoder) -> Result<(), String> {
        match kind {
            10 => {
                let r: DelegationTokenRecord = read(d, version)?;
                self.tokens.insert(r.token_id.to_string());
            }
            26 => {
                let r: RemoveDelegationTokenRecord = read(d, version)?;
                self.tokens.remove(r.token_id.as_str());
            }
            11 => {
                let r: UserScramCredentialRecord = read(d, version)?;
                self.scram.insert((r.name.to_string(), r.mechanism));
            }
            22 => {
                let r: RemoveUserScramCredentialRecord = read(d, version)?;
                self.scram.remove(&(r.name.to_string(), r.mechanism));
            }
            14 => {
                let r: ClientQuotaRecord = read(d, version)?;
                let entity = r.entity.iter().map(|entity| {
                    let name = entity.entity_name.as_ref().map_or("(default)", |name| name);
                    format!("{} {name}", entity.entity_type)
                });
                let quota = (entity.collect::<Vec<_>>().join(", "), r.key.to_string());
                match r.remove {
                    true => self.quotas.remove(&quota),
                    false => self.quotas.insert(quota),
                };
            }
            18 => {
                let r: AccessControlEntryRecord = read(d, version)?;
                self.acls.insert(r.id);
            }
            _ => {
                let r: RemoveAccessControlEntryRecord = read(d, version)?;
                self.acls.remove(&r.id);
            }
        }
        Ok(())
    }
}

fn read<M: Message>(d: &mut Decoder, version: i16) -> Result<M, String> {
    M::decode(d, version).map_err(|error| error.to_string())
}

/// A message whose first field is the version that it is written in.
fn self_versioned<M: Message>(bytes: Bytes) -> Result<M, String> {
    let version = bytes.get(..2).ok_or("a control record is empty")?;
    let version = i16::from_be_bytes([version[0], version[1]]);
    read(&mut Decoder::new(bytes), version)
}
