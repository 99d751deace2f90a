//! The records of a share group.
//!
//! ```text
//! 10 group, member     what the member says of itself
//! 11 group             its epoch and the hash of its topics; the group exists as long as this record does
//! 12 group             the epoch of the target assignment, and when it was made
//! 13 group, member     what the member is to have
//! 14 group, member     what it has, and at which epoch
//! 15 group             the topics in which the group has a place; only read, since the places themselves say it, and
//!                      because Kafka makes a group by it whose places are set before anybody has joined
//! ```
//! All values have version 0.

use catchword_wire::records::{
    ShareGroupCurrentMemberAssignmentKey, ShareGroupCurrentMemberAssignmentValue,
    ShareGroupMemberMetadataKey, ShareGroupMemberMetadataValue, ShareGroupMetadataKey,
    ShareGroupMetadataValue, ShareGroupTargetAssignmentMemberKey,
    ShareGroupTargetAssignmentMemberValue, ShareGroupTargetAssignmentMetadataValue,
};
use catchword_wire::{Decoder, Message, Str};

use super::writer::RecordWriter;
use super::{ReplayError, versioned};

/// Key types. Persisted, and Kafka's: never reuse a number.
const MEMBER: i16 = 10;
const GROUP: i16 = 11;
const TARGET_EPOCH: i16 = 12;
const TARGET: i16 = 13;
const CURRENT: i16 = 14;
const PLACES: i16 = 15;

/// A record of a share group, understood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ShareGroupRecord {
    pub(crate) group_id: Str,
    pub(crate) change: Change,
}

/// What it says; `None` is a tombstone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Group(Option<ShareGroupMetadataValue>),
    Member(Str, Option<ShareGroupMemberMetadataValue>),
    TargetEpoch(Option<ShareGroupTargetAssignmentMetadataValue>),
    Target(Str, Option<ShareGroupTargetAssignmentMemberValue>),
    Current(Str, Option<ShareGroupCurrentMemberAssignmentValue>),
    /// Whether there are any. Nothing more of it is kept here.
    Places(bool),
}

impl Change {
    pub(crate) fn is_tombstone(&self) -> bool {
        matches!(
            self,
            Change::Group(None)
                | Change::Member(_, None)
                | Change::TargetEpoch(None)
                | Change::Target(_, None)
                | Change::Current(_, None)
                | Change::Places(false)
        )
    }
}

/// Reads the rest of a key of this type, and its value; `None` if the type is none of ours.
pub(super) fn decode(
    key_type: i16,
    fields: &mut Decoder,
    value: Option<&[u8]>,
) -> Option<Result<ShareGroupRecord, ReplayError>> {
    matches!(key_type, MEMBER..=PLACES).then(|| read(key_type, fields, value))
}

fn read(
    key_type: i16,
    fields: &mut Decoder,
    value: Option<&[u8]>,
) -> Result<ShareGroupRecord, ReplayError> {
    fn key<M: Message>(fields: &mut Decoder) -> Result<M, ReplayError> {
        M::decode(fields, 0).map_err(ReplayError::Key)
    }
    fn value_of<M: Message>(key_type: i16, value: Option<&[u8]>) -> Result<Option<M>, ReplayError> {
        value.map(|bytes| versioned(key_type, bytes)).transpose()
    }
    let (group_id, change) = match key_type {
        MEMBER => {
            let key: ShareGroupMemberMetadataKey = key(fields)?;
            let value = value_of(key_type, value)?;
            (key.group_id, Change::Member(key.member_id, value))
        }
        TARGET => {
            let key: ShareGroupTargetAssignmentMemberKey = key(fields)?;
            let value = value_of(key_type, value)?;
            (key.group_id, Change::Target(key.member_id, value))
        }
        CURRENT => {
            let key: ShareGroupCurrentMemberAssignmentKey = key(fields)?;
            let value = value_of(key_type, value)?;
            (key.group_id, Change::Current(key.member_id, value))
        }
        // The other keys are a group id and nothing else.
        _ => {
            let key: ShareGroupMetadataKey = key(fields)?;
            let change = match key_type {
                GROUP => Change::Group(value_of(key_type, value)?),
                TARGET_EPOCH => Change::TargetEpoch(value_of(key_type, value)?),
                _ => Change::Places(value.is_some()),
            };
            (key.group_id, change)
        }
    };
    Ok(ShareGroupRecord { group_id, change })
}

/// Writes the records of one group.
pub(crate) struct Writer<'a>(pub(crate) RecordWriter<'a>);

impl Writer<'_> {
    pub(crate) fn group(&mut self, value: Option<&ShareGroupMetadataValue>) {
        self.0.of_group(GROUP, value);
    }

    pub(crate) fn member(&mut self, id: &Str, value: Option<&ShareGroupMemberMetadataValue>) {
        self.0.of_member(MEMBER, id, value);
    }

    pub(crate) fn target_epoch(&mut self, value: Option<&ShareGroupTargetAssignmentMetadataValue>) {
        self.0.of_group(TARGET_EPOCH, value);
    }

    pub(crate) fn target(
        &mut self,
        id: &Str,
        value: Option<&ShareGroupTargetAssignmentMemberValue>,
    ) {
        self.0.of_member(TARGET, id, value);
    }

    pub(crate) fn current(
        &mut self,
        id: &Str,
        value: Option<&ShareGroupCurrentMemberAssignmentValue>,
    ) {
        self.0.of_member(CURRENT, id, value);
    }
}
