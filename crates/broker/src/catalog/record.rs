//! Records of the metadata log, in the framing of Kafka's own: frame version, record type, version, then the record,
//! the three numbers as unsigned varints.

use bytes::Bytes;
use catchword_wire::records::{
    ClientQuotaRecord, ConfigRecord, FeatureLevelRecord, PartitionRecord, ProducerIdsRecord,
    RegisterBrokerRecord, RemoveTopicRecord, TopicRecord,
};
use catchword_wire::{DecodeError, Decoder, EncodeError, Encoder, Message};

/// A change of the catalog.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CatalogRecord {
    RegisterBroker(RegisterBrokerRecord),
    Topic(TopicRecord),
    Partition(PartitionRecord),
    Config(ConfigRecord),
    RemoveTopic(RemoveTopicRecord),
    ProducerIds(ProducerIdsRecord),
    FeatureLevel(FeatureLevelRecord),
    ClientQuota(ClientQuotaRecord),
    /// A type that this version does not know; skipped on load.
    Unknown(u32),
}

const FRAME_VERSION: u32 = 1;

// Kafka's numbers; persisted, so never to be changed.
const REGISTER_BROKER: u32 = 0;
const TOPIC: u32 = 2;
const PARTITION: u32 = 3;
const CONFIG: u32 = 4;
const REMOVE_TOPIC: u32 = 9;
const FEATURE_LEVEL: u32 = 12;
const CLIENT_QUOTA: u32 = 14;
const PRODUCER_IDS: u32 = 15;

impl CatalogRecord {
    pub(crate) fn encode(&self) -> Result<Bytes, EncodeError> {
        match self {
            CatalogRecord::RegisterBroker(r) => framed(REGISTER_BROKER, 0, r),
            CatalogRecord::Topic(r) => framed(TOPIC, 0, r),
            CatalogRecord::Partition(r) => framed(PARTITION, 0, r),
            CatalogRecord::Config(r) => framed(CONFIG, 0, r),
            CatalogRecord::RemoveTopic(r) => framed(REMOVE_TOPIC, 0, r),
            CatalogRecord::ProducerIds(r) => framed(PRODUCER_IDS, 0, r),
            CatalogRecord::FeatureLevel(r) => framed(FEATURE_LEVEL, 0, r),
            CatalogRecord::ClientQuota(r) => framed(CLIENT_QUOTA, 0, r),
            CatalogRecord::Unknown(_) => Ok(Bytes::new()),
        }
    }

    pub(crate) fn decode(bytes: Bytes) -> Result<CatalogRecord, DecodeError> {
        let mut d = Decoder::new(bytes);
        let frame = d.uvarint()?;
        if frame != FRAME_VERSION {
            return Err(DecodeError::UnsupportedVersion {
                message: "metadata record frame",
                version: frame as i16,
            });
        }
        let kind = d.uvarint()?;
        let version = i16::try_from(d.uvarint()?).unwrap_or(i16::MAX);
        Ok(match kind {
            REGISTER_BROKER => CatalogRecord::RegisterBroker(Message::decode(&mut d, version)?),
            TOPIC => CatalogRecord::Topic(Message::decode(&mut d, version)?),
            PARTITION => CatalogRecord::Partition(Message::decode(&mut d, version)?),
            CONFIG => CatalogRecord::Config(Message::decode(&mut d, version)?),
            REMOVE_TOPIC => CatalogRecord::RemoveTopic(Message::decode(&mut d, version)?),
            PRODUCER_IDS => CatalogRecord::ProducerIds(Message::decode(&mut d, version)?),
            FEATURE_LEVEL => CatalogRecord::FeatureLevel(Message::decode(&mut d, version)?),
            CLIENT_QUOTA => CatalogRecord::ClientQuota(Message::decode(&mut d, version)?),
            other => CatalogRecord::Unknown(other),
        })
    }
}

fn framed<M: Message>(kind: u32, version: i16, record: &M) -> Result<Bytes, EncodeError> {
    let mut e = Encoder::with_capacity(64);
    e.uvarint(FRAME_VERSION);
    e.uvarint(kind);
    e.uvarint(version as u32);
    record.encode(&mut e, version)?;
    // Nothing in these records lies in a file, so reading cannot fail.
    Ok(e.into_bytes().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use catchword_wire::Uuid;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = CatalogRecord::Topic(TopicRecord {
            name: "t".into(),
            topic_id: Uuid([7; 16]),
        });
        let bytes = record.encode().unwrap();
        assert_eq!(bytes[..3], [1, 2, 0], "frame 1, TopicRecord, version 0");
        assert_eq!(CatalogRecord::decode(bytes).unwrap(), record);
    }

    #[test]
    fn a_type_of_a_newer_broker_is_not_an_error() {
        assert_eq!(
            CatalogRecord::decode(Bytes::from_static(&[1, 99, 0])).unwrap(),
            CatalogRecord::Unknown(99)
        );
    }
}
