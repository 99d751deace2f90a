//! A catalog that comes from elsewhere, written into a metadata log that holds nothing yet.

use std::collections::BTreeMap;

use catchword_log::Engine;
use catchword_wire::records::{ConfigRecord, PartitionRecord, ProducerIdsRecord, TopicRecord};
use catchword_wire::{Str, Uuid};

use super::record::CatalogRecord;
use super::{CatalogError, RESOURCE_TOPIC, Writer};

/// Records to a batch: a catalog may be larger than a batch can be.
const AT_A_TIME: usize = 1000;

/// A topic as it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedTopic {
    /// Its name.
    pub name: String,
    /// Its id, which it keeps.
    pub id: Uuid,
    /// How many partitions it has.
    pub partitions: i32,
    /// The highest leader epoch of its partitions so far: it goes on above that.
    pub leader_epoch: i32,
    /// What is set on it; keys and values must be ones that the broker knows.
    pub configs: BTreeMap<String, String>,
}

/// All of a catalog.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Import {
    /// The node that has all partitions.
    pub node_id: i32,
    /// The topics.
    pub topics: Vec<ImportedTopic>,
    /// What is set on brokers and groups, by Kafka's number of the resource's type and its name.
    pub configs: BTreeMap<(i8, String), BTreeMap<String, String>>,
    /// Producer ids below this were given out already.
    pub next_producer_id: i64,
}

/// Writes the catalog; durable on return.
///
/// # Errors
/// [`CatalogError::Corrupt`] if the engine's metadata log holds topics already; otherwise what the storage says.
pub fn import_catalog(engine: &dyn Engine, import: &Import) -> Result<(), CatalogError> {
    let mut writer = Writer::open(engine)?;
    if writer.state.topics().next().is_some() {
        return Err(CatalogError::Corrupt {
            offset: 0,
            why: "there are topics in it already".into(),
        });
    }
    let node = import.node_id;
    let mut records = vec![CatalogRecord::ProducerIds(ProducerIdsRecord {
        broker_id: node,
        next_producer_id: import.next_producer_id,
        ..ProducerIdsRecord::default()
    })];
    for topic in &import.topics {
        records.push(CatalogRecord::Topic(TopicRecord {
            name: Str::copy(&topic.name),
            topic_id: topic.id,
        }));
        records.extend((0..topic.partitions).map(|partition_id| {
            CatalogRecord::Partition(PartitionRecord {
                partition_id,
                topic_id: topic.id,
                replicas: vec![node],
                isr: vec![node],
                leader: node,
                leader_epoch: topic.leader_epoch,
                ..PartitionRecord::default()
            })
        }));
        records.extend(configs(RESOURCE_TOPIC, &topic.name, &topic.configs));
    }
    for ((resource_type, name), set) in &import.configs {
        records.extend(configs(*resource_type, name, set));
    }
    for chunk in records.chunks(AT_A_TIME) {
        writer.append(chunk, true)?;
    }
    Ok(())
}

fn configs<'a>(
    resource_type: i8,
    resource: &'a str,
    set: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = CatalogRecord> + 'a {
    set.iter().map(move |(key, value)| {
        CatalogRecord::Config(ConfigRecord {
            resource_type,
            resource_name: Str::copy(resource),
            name: Str::copy(key),
            value: Some(Str::copy(value)),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use catchword_log::MemoryEngine;

    #[test]
    fn a_catalog_larger_than_a_batch_reads_as_it_was_written() {
        let engine = MemoryEngine::default();
        let topic = |n: u8, partitions| ImportedTopic {
            name: format!("t{n}"),
            id: Uuid([n; 16]),
            partitions,
            leader_epoch: i32::from(n),
            configs: BTreeMap::from([("retention.ms".to_owned(), n.to_string())]),
        };
        let import = Import {
            node_id: 5,
            topics: vec![topic(1, 3), topic(2, 2500)],
            configs: BTreeMap::from([(
                (32, "g".to_owned()),
                BTreeMap::from([("consumer.session.timeout.ms".to_owned(), "50000".to_owned())]),
            )]),
            next_producer_id: 4000,
        };
        import_catalog(&engine, &import).unwrap();
        let state = Writer::open(&engine).unwrap().state;
        for topic in &import.topics {
            let found = state.topic(&topic.name).unwrap();
            assert_eq!((found.id, found.partitions), (topic.id, topic.partitions));
            assert_eq!(state.leader_epoch(found), topic.leader_epoch);
            assert_eq!(state.configs(RESOURCE_TOPIC, &topic.name), topic.configs);
        }
        assert_eq!(
            state.configs(32, "g"),
            import.configs[&(32, "g".to_owned())]
        );
        assert_eq!(state.next_producer_id(), 4000);
        assert!(
            import_catalog(&engine, &import).is_err(),
            "it is not empty any more"
        );
    }
}
