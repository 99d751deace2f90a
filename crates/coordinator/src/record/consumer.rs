//! The records of a KIP-848 group.
//!
//! ```text
//! 3  group             its epoch and the hash of its topics; the group exists as long as this record does
//! 4  group             topics and partition counts as brokers before 4.1 kept them; only read
//! 5  group, member     what the member says of itself
//! 6  group             the epoch of the target assignment, and when it was made
//! 7  group, member     what the member is to have
//! 8  group, member     what it has, and at which epoch
//! 16 group, regex      the topics that a regular expression stands for
//! ```
//! All values have version 0.

use catchword_wire::records::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue, ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataValue,
};
use catchword_wire::{Decoder, Message, Str};

use super::writer::RecordWriter;
use super::{ReplayError, versioned};

/// Key types. Persisted, and Kafka's: never reuse a number.
const GROUP: i16 = 3;
const PARTITIONS: i16 = 4;
const MEMBER: i16 = 5;
const TARGET_EPOCH: i16 = 6;
const TARGET: i16 = 7;
const CURRENT: i16 = 8;
const REGEX: i16 = 16;

/// A record of a KIP-848 group, understood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ConsumerRecord {
    pub(crate) group_id: Str,
    pub(crate) change: Change,
}

/// What it says; `None` is a tombstone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Group(Option<ConsumerGroupMetadataValue>),
    /// Whether the group has such a record.
    Partitions(bool),
    Member(Str, Option<ConsumerGroupMemberMetadataValue>),
    TargetEpoch(Option<ConsumerGroupTargetAssignmentMetadataValue>),
    Target(Str, Option<ConsumerGroupTargetAssignmentMemberValue>),
    Current(Str, Option<ConsumerGroupCurrentMemberAssignmentValue>),
    Regex(Str, Option<ConsumerGroupRegularExpressionValue>),
}

impl Change {
    /// Whether it is nothing that a group comes to be by.
    pub(crate) fn is_tombstone(&self) -> bool {
        matches!(
            self,
            Change::Group(None)
                | Change::Partitions(_)
                | Change::Member(_, None)
                | Change::TargetEpoch(None)
                | Change::Target(_, None)
                | Change::Current(_, None)
                | Change::Regex(_, None)
        )
    }
}

/// Reads the rest of a key of this type, and its value; `None` if the type is none of ours.
pub(super) fn decode(
    key_type: i16,
    fields: &mut Decoder,
    value: Option<&[u8]>,
) -> Option<Result<ConsumerRecord, ReplayError>> {
    matches!(key_type, GROUP..=CURRENT | REGEX).then(|| read(key_type, fields, value))
}

fn read(
    key_type: i16,
    fields: &mut Decoder,
    value: Option<&[u8]>,
) -> Result<ConsumerRecord, ReplayError> {
    fn value_of<M: Message>(key_type: i16, value: Option<&[u8]>) -> Result<Option<M>, ReplayError> {
        value.map(|bytes| versioned(key_type, bytes)).transpose()
    }
    let (group_id, change) = match key_type {
        MEMBER => {
            let key = key::<ConsumerGroupMemberMetadataKey>(fields)?;
            (
                key.group_id,
                Change::Member(key.member_id, value_of(key_type, value)?),
            )
        }
        TARGET => {
            let key = key::<ConsumerGroupTargetAssignmentMemberKey>(fields)?;
            (
                key.group_id,
                Change::Target(key.member_id, value_of(key_type, value)?),
            )
        }
        CURRENT => {
            let key = key::<ConsumerGroupCurrentMemberAssignmentKey>(fields)?;
            (
                key.group_id,
                Change::Current(key.member_id, value_of(key_type, value)?),
            )
        }
        REGEX => {
            let key = key::<ConsumerGroupRegularExpressionKey>(fields)?;
            (
                key.group_id,
                Change::Regex(key.regular_expression, value_of(key_type, value)?),
            )
        }
        // The other keys are a group id and nothing else.
        _ => {
            let key = key::<ConsumerGroupMetadataKey>(fields)?;
            let change = match key_type {
                TARGET_EPOCH => Change::TargetEpoch(value_of(key_type, value)?),
                PARTITIONS => Change::Partitions(value.is_some()),
                _ => Change::Group(value_of(key_type, value)?),
            };
            (key.group_id, change)
        }
    };
    Ok(ConsumerRecord { group_id, change })
}

fn key<M: Message>(fields: &mut Decoder) -> Result<M, ReplayError> {
    M::decode(fields, 0).map_err(ReplayError::Key)
}

/// Writes the records of one group.
pub(crate) struct Writer<'a>(pub(crate) RecordWriter<'a>);

impl Writer<'_> {
    pub(crate) fn group(&mut self, value: Option<&ConsumerGroupMetadataValue>) {
        self.0.of_group(GROUP, value);
    }

    /// Takes away the record of brokers before 4.1.
    pub(crate) fn no_partitions(&mut self) {
        self.0
            .of_group::<ConsumerGroupMetadataValue>(PARTITIONS, None);
    }

    pub(crate) fn member(&mut self, id: &Str, value: Option<&ConsumerGroupMemberMetadataValue>) {
        self.0.of_member(MEMBER, id, value);
    }

    pub(crate) fn target_epoch(
        &mut self,
        value: Option<&ConsumerGroupTargetAssignmentMetadataValue>,
    ) {
        self.0.of_group(TARGET_EPOCH, value);
    }

    pub(crate) fn target(
        &mut self,
        id: &Str,
        value: Option<&ConsumerGroupTargetAssignmentMemberValue>,
    ) {
        self.0.of_member(TARGET, id, value);
    }

    pub(crate) fn current(
        &mut self,
        id: &Str,
        value: Option<&ConsumerGroupCurrentMemberAssignmentValue>,
    ) {
        self.0.of_member(CURRENT, id, value);
    }

    /// Its key has the expression where others have a member's id.
    pub(crate) fn regex(
        &mut self,
        regex: &Str,
        value: Option<&ConsumerGroupRegularExpressionValue>,
    ) {
        self.0.of_member(REGEX, regex, value);
    }
}
