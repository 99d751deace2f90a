//! The records of a streams group (KIP-1071).
//!
//! ```text
//! 17 group             its epoch, the hash of its topics, which topology was found good, what it was assigned by;
//!                      the group exists as long as this record does
//! 19 group, member     what the member says of itself
//! 20 group             the epoch of the target assignment, and when it was made
//! 21 group, member     what the member is to have
//! 22 group, member     what it has, and at which epoch
//! 23 group             the topology
//! ```
//! All values have version 0.

use catchword_wire::records::{
    StreamsGroupCurrentMemberAssignmentKey, StreamsGroupCurrentMemberAssignmentValue,
    StreamsGroupMemberMetadataValue, StreamsGroupMetadataKey, StreamsGroupMetadataValue,
    StreamsGroupTargetAssignmentMemberValue, StreamsGroupTargetAssignmentMetadataValue,
    StreamsGroupTopologyValue,
};
use catchword_wire::{Decoder, Message, Str};

use super::writer::RecordWriter;
use super::{ReplayError, versioned};

/// Key types. Persisted, and Kafka's: never reuse a number.
const GROUP: i16 = 17;
const MEMBER: i16 = 19;
const TARGET_EPOCH: i16 = 20;
const TARGET: i16 = 21;
const CURRENT: i16 = 22;
const TOPOLOGY: i16 = 23;

/// A record of a streams group, understood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StreamsRecord {
    pub(crate) group_id: Str,
    pub(crate) change: Change,
}

/// What it says; `None` is a tombstone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Group(Option<StreamsGroupMetadataValue>),
    Topology(Option<StreamsGroupTopologyValue>),
    Member(Str, Option<StreamsGroupMemberMetadataValue>),
    TargetEpoch(Option<StreamsGroupTargetAssignmentMetadataValue>),
    Target(Str, Option<StreamsGroupTargetAssignmentMemberValue>),
    Current(Str, Option<StreamsGroupCurrentMemberAssignmentValue>),
}

impl Change {
    pub(crate) fn is_tombstone(&self) -> bool {
        matches!(
            self,
            Change::Group(None)
                | Change::Topology(None)
                | Change::Member(_, None)
                | Change::TargetEpoch(None)
                | Change::Target(_, None)
                | Change::Current(_, None)
        )
    }

    pub(crate) fn write(&self, writer: &mut RecordWriter<'_>) {
        match self {
            Change::Group(value) => writer.of_group(GROUP, value.as_ref()),
            Change::Topology(value) => writer.of_group(TOPOLOGY, value.as_ref()),
            Change::Member(id, value) => writer.of_member(MEMBER, id, value.as_ref()),
            Change::TargetEpoch(value) => writer.of_group(TARGET_EPOCH, value.as_ref()),
            Change::Target(id, value) => writer.of_member(TARGET, id, value.as_ref()),
            Change::Current(id, value) => writer.of_member(CURRENT, id, value.as_ref()),
        }
    }
}

/// Reads the rest of a key of this type, and its value; `None` if the type is none of ours.
pub(super) fn decode(
    key_type: i16,
    fields: &mut Decoder,
    value: Option<&[u8]>,
) -> Option<Result<StreamsRecord, ReplayError>> {
    matches!(key_type, GROUP | MEMBER..=TOPOLOGY).then(|| read(key_type, fields, value))
}

fn read(
    key_type: i16,
    fields: &mut Decoder,
    value: Option<&[u8]>,
) -> Result<StreamsRecord, ReplayError> {
    fn value_of<M: Message>(key_type: i16, value: Option<&[u8]>) -> Result<Option<M>, ReplayError> {
        value.map(|bytes| versioned(key_type, bytes)).transpose()
    }
    let (group_id, change) = match key_type {
        MEMBER | TARGET | CURRENT => {
            let key = StreamsGroupCurrentMemberAssignmentKey::decode(fields, 0);
            let key = key.map_err(ReplayError::Key)?;
            let id = key.member_id;
            let change = match key_type {
                MEMBER => Change::Member(id, value_of(key_type, value)?),
                TARGET => Change::Target(id, value_of(key_type, value)?),
                _ => Change::Current(id, value_of(key_type, value)?),
            };
            (key.group_id, change)
        }
        _ => {
            let key = StreamsGroupMetadataKey::decode(fields, 0).map_err(ReplayError::Key)?;
            let change = match key_type {
                GROUP => Change::Group(value_of(key_type, value)?),
                TARGET_EPOCH => Change::TargetEpoch(value_of(key_type, value)?),
                _ => Change::Topology(value_of(key_type, value)?),
            };
            (key.group_id, change)
        }
    };
    Ok(StreamsRecord { group_id, change })
}
