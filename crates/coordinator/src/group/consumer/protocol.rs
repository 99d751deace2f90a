//! What consumers of the classic protocol say to each other, read and written by the coordinator in their place.

use bytes::Bytes;
use catchword_wire::messages::consumer_group_heartbeat_request::TopicPartitions;
use catchword_wire::messages::consumer_protocol_assignment::TopicPartition;
use catchword_wire::messages::consumer_protocol_subscription;
use catchword_wire::messages::join_group_request::JoinGroupRequestProtocol;
use catchword_wire::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, JoinGroupRequest,
};
use catchword_wire::{Decoder, Encoder, Message, Uuid};

use crate::assignor::Partitions;
use crate::group::classic::CONSUMER_PROTOCOL_TYPE;
use crate::metadata::MetadataImage;

/// Reads a subscription; of a newer version the fields that are known. `None` if it is none.
pub(super) fn subscription(metadata: &Bytes) -> Option<ConsumerProtocolSubscription> {
    read(metadata)
}

/// Whether somebody who joins says that it has partitions already, under any of its protocols.
pub(crate) fn claims_partitions(request: &JoinGroupRequest) -> bool {
    let owns = |protocol: &JoinGroupRequestProtocol| {
        let said = subscription(&protocol.metadata);
        said.is_some_and(|said| !said.owned_partitions.is_empty())
    };
    request.protocol_type == CONSUMER_PROTOCOL_TYPE && request.protocols.iter().any(owns)
}

/// Reads what a leader assigned to a member. Nothing is nothing assigned. `None` if it cannot be read, or if a custom
/// assignor put data into it that would be lost.
pub(super) fn assignment(bytes: &Bytes, image: &MetadataImage) -> Option<Partitions> {
    if bytes.is_empty() {
        return Some(Partitions::new());
    }
    let assignment: ConsumerProtocolAssignment = read(bytes)?;
    if assignment.user_data.is_some_and(|data| !data.is_empty()) {
        return None;
    }
    let mut partitions = Partitions::new();
    for topic in &assignment.assigned_partitions {
        if let Some(known) = image.topic(&topic.topic) {
            let of = partitions.entry(known.id).or_default();
            of.extend(topic.partitions.iter().copied());
        }
    }
    partitions.retain(|_, of| !of.is_empty());
    Some(partitions)
}

/// Writes an assignment for a member whose subscription is `metadata`, in the version that it speaks. Topics that are gone
/// have no name to be written by.
pub(super) fn write_assignment(
    partitions: impl Iterator<Item = (Uuid, Vec<i32>)>,
    image: &MetadataImage,
    metadata: &Bytes,
) -> Bytes {
    let topics = partitions.filter_map(|(id, partitions)| {
        let topic = image.topic_by_id(&id)?.name.clone();
        Some(TopicPartition { topic, partitions })
    });
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: topics.collect(),
        user_data: None,
    };
    let version = version::<ConsumerProtocolAssignment>(metadata).unwrap_or(0);
    let mut encoder = Encoder::with_capacity(64);
    encoder.i16(version);
    assignment
        .encode(&mut encoder, version)
        .expect("names of topics fit");
    encoder
        .into_bytes()
        .expect("there are no records in a file in this message")
}

/// What a member says it has, by the ids of the topics.
pub(super) fn owned(
    owned: &[consumer_protocol_subscription::TopicPartition],
    image: &MetadataImage,
) -> Vec<TopicPartitions> {
    let topic = |of: &consumer_protocol_subscription::TopicPartition| {
        let topic_id = image.topic(&of.topic)?.id;
        let partitions = of.partitions.clone();
        Some(TopicPartitions {
            topic_id,
            partitions,
        })
    };
    owned.iter().filter_map(topic).collect()
}

fn version<M: Message>(bytes: &Bytes) -> Option<i16> {
    let version = Decoder::new(bytes.clone()).i16().ok()?;
    (version >= 0).then_some(version.min(M::VERSIONS.1))
}

fn read<M: Message>(bytes: &Bytes) -> Option<M> {
    let version = version::<M>(bytes)?;
    let mut fields = Decoder::new(bytes.clone());
    fields.i16().ok()?;
    M::decode(&mut fields, version).ok()
}
