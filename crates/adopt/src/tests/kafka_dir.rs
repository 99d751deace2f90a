//! A data directory of Kafka's, made by hand.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use catchword_wire::batch::{BatchBuilder, NewRecord};
use catchword_wire::records::{
    ConfigRecord, FeatureLevelRecord, PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord,
    RegisterControllerRecord, TopicRecord,
};
use catchword_wire::{Encoder, Message, Str, Uuid};

pub(super) const OWN_DIRECTORY: Uuid = Uuid([0xd1; 16]);
pub(super) const ORDERS: Uuid = Uuid([1; 16]);
pub(super) const OFFSETS: Uuid = Uuid([2; 16]);

/// The bytes of a metadata record.
pub(super) fn frame<M: Message>(kind: u32, version: i16, record: &M) -> Vec<u8> {
    let mut e = Encoder::with_capacity(64);
    e.uvarint(1);
    e.uvarint(kind);
    e.uvarint(version as u32);
    record.encode(&mut e, version).unwrap();
    e.into_bytes().unwrap().to_vec()
}

pub(super) fn topic(name: &str, id: Uuid) -> Vec<u8> {
    frame(
        2,
        0,
        &TopicRecord {
            name: Str::copy(name),
            topic_id: id,
        },
    )
}

pub(super) fn partition(id: Uuid, number: i32, leader_epoch: i32) -> PartitionRecord {
    PartitionRecord {
        partition_id: number,
        topic_id: id,
        replicas: vec![1],
        isr: vec![1],
        leader: 1,
        leader_epoch,
        directories: vec![OWN_DIRECTORY],
        ..PartitionRecord::default()
    }
}

pub(super) fn config(kind: i8, of: &str, key: &str, value: &str) -> Vec<u8> {
    let record = ConfigRecord {
        resource_type: kind,
        resource_name: Str::copy(of),
        name: Str::copy(key),
        value: Some(Str::copy(value)),
    };
    frame(4, 0, &record)
}

pub(super) fn feature(name: &str, level: i16) -> Vec<u8> {
    let record = FeatureLevelRecord {
        name: Str::copy(name),
        feature_level: level,
    };
    frame(12, 0, &record)
}

pub(super) fn broker(id: i32, directories: &[Uuid]) -> Vec<u8> {
    let record = RegisterBrokerRecord {
        broker_id: id,
        log_dirs: directories.to_vec(),
        ..RegisterBrokerRecord::default()
    };
    frame(0, 3, &record)
}

pub(super) fn controller(id: i32) -> Vec<u8> {
    let record = RegisterControllerRecord {
        controller_id: id,
        ..RegisterControllerRecord::default()
    };
    frame(27, 0, &record)
}

/// A record's key and value.
pub(super) type Pair<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// A batch of these records.
pub(super) fn batch(base: i64, records: &[Pair<'_>]) -> Bytes {
    let mut builder = BatchBuilder::new(base);
    for (key, value) in records {
        let record = NewRecord {
            timestamp: 1000,
            key: *key,
            value: *value,
            headers: &[],
        };
        builder.push(record).unwrap();
    }
    builder.build().unwrap()
}

/// A batch of metadata records.
pub(super) fn metadata_batch(base: i64, records: &[Vec<u8>]) -> Bytes {
    let records: Vec<_> = records
        .iter()
        .map(|value| (None, Some(value.as_slice())))
        .collect();
    batch(base, &records)
}

pub(super) struct KafkaDir {
    pub(super) dir: tempfile::TempDir,
    /// What the metadata log says.
    pub(super) records: Vec<Vec<u8>>,
}

impl KafkaDir {
    /// A node with the topic `orders` of two partitions and one committed offset.
    pub(super) fn new() -> KafkaDir {
        let dir = tempfile::tempdir().unwrap();
        let properties = format!(
            "#\n#Tue Nov 24 18:51:06 UTC 2026\nnode.id=1\ndirectory.id={OWN_DIRECTORY}\nversion=1\ncluster.id=AAAAAAAAQACAAAAAAAAAAQ\n"
        );
        fs::write(dir.path().join("meta.properties"), properties).unwrap();
        fs::write(
            dir.path().join(".kafka_cleanshutdown"),
            "{\"version\":0,\"brokerEpoch\":11}",
        )
        .unwrap();
        let producer_ids = ProducerIdsRecord {
            next_producer_id: 3000,
            ..ProducerIdsRecord::default()
        };
        let records = vec![
            feature("metadata.version", 30),
            controller(1),
            broker(1, &[OWN_DIRECTORY]),
            topic("orders", ORDERS),
            frame(3, 1, &partition(ORDERS, 0, 4)),
            frame(3, 1, &partition(ORDERS, 1, 2)),
            config(2, "orders", "retention.ms", "86400000"),
            topic("__consumer_offsets", OFFSETS),
            frame(3, 1, &partition(OFFSETS, 0, 0)),
            frame(15, 0, &producer_ids),
        ];
        let made = KafkaDir { dir, records };
        made.write_metadata();
        made.write_log("orders-0", ORDERS, &batch(0, &[(Some(b"k"), Some(b"v"))]));
        made.write_log("orders-1", ORDERS, b"");
        made.write_log(
            "__consumer_offsets-0",
            OFFSETS,
            &batch(0, &[(Some(&offset_key("g", "orders", 0)), Some(b"\0\x01"))]),
        );
        made
    }

    /// As [`KafkaDir::new`], with more metadata records.
    pub(super) fn with(records: Vec<Vec<u8>>) -> KafkaDir {
        let mut dir = KafkaDir::new();
        dir.records.extend(records);
        dir.write_metadata();
        dir
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn metadata(&self) -> PathBuf {
        self.path().join("__cluster_metadata-0")
    }

    pub(super) fn write_metadata(&self) {
        fs::create_dir_all(self.metadata()).unwrap();
        fs::write(self.metadata().join("quorum-state"), "{}").unwrap();
        fs::write(
            self.metadata().join("00000000000000000000.log"),
            metadata_batch(0, &self.records),
        )
        .unwrap();
    }

    pub(super) fn write_log(&self, name: &str, id: Uuid, bytes: &[u8]) {
        let dir = self.path().join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(
            dir.join("partition.metadata"),
            format!("version: 0\ntopic_id: {id}"),
        )
        .unwrap();
        fs::write(dir.join("00000000000000000000.log"), bytes).unwrap();
    }
}

/// The key of a committed offset.
pub(super) fn offset_key(group: &str, topic: &str, partition: i32) -> Vec<u8> {
    let mut key = group_key(1, group);
    key.extend((topic.len() as i16).to_be_bytes());
    key.extend(topic.as_bytes());
    key.extend(partition.to_be_bytes());
    key
}

/// A key of a group's: its type and the group's name.
pub(super) fn group_key(kind: i16, group: &str) -> Vec<u8> {
    let mut key = kind.to_be_bytes().to_vec();
    key.extend((group.len() as i16).to_be_bytes());
    key.extend(group.as_bytes());
    key
}

/// Everything below a directory but lock files, by path, with its bytes.
pub(super) fn tree(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(tree(&path));
        } else if path.file_name().unwrap() != ".lock" {
            all.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    all.sort();
    all
}
