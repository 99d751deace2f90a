//! Writes the records of a group of which each thing that may change has a record of its own (KIP-848 and its kin).
//!
//! Their keys are alike whatever the kind: a type, the group's id, and mostly a member's id.

use catchword_wire::records::{ConsumerGroupMemberMetadataKey, ConsumerGroupMetadataKey};
use catchword_wire::{Message, Str};

use super::group_metadata::encode;
use crate::effect::{Headers, Output};
use crate::records::RecordRef;

/// Writes the records of one group, all values in version 0.
pub(crate) struct RecordWriter<'a> {
    pub(crate) group_id: &'a Str,
    pub(crate) headers: Headers,
    pub(crate) out: &'a mut Output,
}

impl RecordWriter<'_> {
    /// What is kept once for the group; `None` is a tombstone.
    pub(crate) fn of_group<V: Message>(&mut self, key_type: i16, value: Option<&V>) {
        let group_id = self.group_id.clone();
        self.put(key_type, &ConsumerGroupMetadataKey { group_id }, value);
    }

    /// What is kept for a member; `None` is a tombstone.
    pub(crate) fn of_member<V: Message>(&mut self, key_type: i16, id: &Str, value: Option<&V>) {
        let key = ConsumerGroupMemberMetadataKey {
            group_id: self.group_id.clone(),
            member_id: id.clone(),
        };
        self.put(key_type, &key, value);
    }

    fn put<V: Message>(&mut self, key_type: i16, key: &impl Message, value: Option<&V>) {
        self.out.records.push(RecordRef {
            key: &encode(key_type, 0, key),
            value: value.map(|value| encode(0, 0, value)).as_deref(),
            headers: &self.headers,
        });
    }
}
