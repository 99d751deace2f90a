//! The bytes of `__share_group_state`: Kafka's snapshots and updates of a share partition.
//!
//! ```text
//! 0  group, topic id, partition   a snapshot: all of its state; null where it is gone
//! 1  group, topic id, partition   an update: where it begins, and the states that changed
//! ```

use bytes::Bytes;
use catchword_wire::records::share_snapshot_value::StateBatch as SnapshotBatch;
use catchword_wire::records::share_update_value::StateBatch as UpdateBatch;
use catchword_wire::records::{
    ShareSnapshotKey, ShareSnapshotValue, ShareUpdateKey, ShareUpdateValue,
};
use catchword_wire::{Decoder, Message, Str, Uuid};

use super::partition::{RecordState, SharePartition, StateBatch};
use crate::record::{ReplayError, encode, versioned};

/// Key types. Persisted, and Kafka's: never reuse a number.
const SNAPSHOT: i16 = 0;
const UPDATE: i16 = 1;
/// Kafka's codes of states.
const AVAILABLE: i8 = 0;
const ACKNOWLEDGED: i8 = 2;
const ARCHIVED: i8 = 4;
/// "No leader epoch is known": there is one broker, which nobody has to be fenced against.
const NO_EPOCH: i32 = 0;

/// A group in a partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareKey {
    /// The group.
    pub group_id: Str,
    /// The topic's id: a topic that was deleted and created again is another one.
    pub topic_id: Uuid,
    /// The partition's number.
    pub partition: i32,
}

impl ShareKey {
    /// By what the partition of `__share_group_state` is found; see [`partition_for`](crate::partition_for).
    pub fn coordinator_key(&self) -> String {
        format!("{}:{}:{}", self.group_id, self.topic_id, self.partition)
    }
}

/// A record for `__share_group_state`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareRecord {
    /// Kafka's key.
    pub key: Bytes,
    /// Kafka's value. `None` is a tombstone.
    pub value: Option<Bytes>,
}

impl ShareRecord {
    /// The share partition, if this is a snapshot of it, or its tombstone.
    pub fn snapshot_of(&self) -> Option<ShareKey> {
        let mut fields = Decoder::new(self.key.clone());
        if fields.i16() != Ok(SNAPSHOT) {
            return None;
        }
        let key = ShareSnapshotKey::decode(&mut fields, 0).ok()?;
        Some(own(key.group_id, key.topic_id, key.partition))
    }
}

/// A record, understood.
pub(super) enum Change {
    /// The state, and the snapshot's number.
    Snapshot(Option<(SharePartition, i32)>),
    Update {
        start: i64,
        batches: Vec<StateBatch>,
    },
}

pub(super) fn decode(key: &[u8], value: Option<&[u8]>) -> Result<(ShareKey, Change), ReplayError> {
    let mut fields = Decoder::new(Bytes::copy_from_slice(key));
    match fields.i16().map_err(ReplayError::Key)? {
        SNAPSHOT => {
            let key = ShareSnapshotKey::decode(&mut fields, 0).map_err(ReplayError::Key)?;
            let value = value.map(|v| versioned(SNAPSHOT, v)).transpose()?;
            let state = value.map(|value: ShareSnapshotValue| {
                let mut partition = SharePartition::new(value.start_offset, value.state_epoch);
                let batches: Vec<StateBatch> = value
                    .state_batches
                    .iter()
                    .filter_map(from_snapshot)
                    .collect();
                partition.apply(value.start_offset, &batches);
                (partition, value.snapshot_epoch)
            });
            Ok((
                own(key.group_id, key.topic_id, key.partition),
                Change::Snapshot(state),
            ))
        }
        UPDATE => {
            let key = ShareUpdateKey::decode(&mut fields, 0).map_err(ReplayError::Key)?;
            let value = value.map(|v| versioned(UPDATE, v)).transpose()?;
            let value: ShareUpdateValue = value.unwrap_or_else(|| ShareUpdateValue {
                start_offset: -1,
                ..ShareUpdateValue::default()
            });
            let change = Change::Update {
                start: value.start_offset,
                batches: value.state_batches.iter().filter_map(from_update).collect(),
            };
            Ok((own(key.group_id, key.topic_id, key.partition), change))
        }
        other => Err(ReplayError::UnknownKeyType(other)),
    }
}

fn own(group_id: Str, topic_id: Uuid, partition: i32) -> ShareKey {
    ShareKey {
        group_id: group_id.detached(),
        topic_id,
        partition,
    }
}

pub(super) fn snapshot(
    key: &ShareKey,
    partition: &SharePartition,
    snapshot_epoch: i32,
    now_ms: i64,
) -> ShareRecord {
    let batch = |batch: StateBatch| SnapshotBatch {
        first_offset: batch.first,
        last_offset: batch.last,
        delivery_state: code(&batch.state),
        delivery_count: batch.deliveries,
    };
    let value = ShareSnapshotValue {
        snapshot_epoch,
        state_epoch: partition.state_epoch(),
        leader_epoch: NO_EPOCH,
        start_offset: partition.start(),
        delivery_complete_count: count(partition),
        create_timestamp: now_ms,
        write_timestamp: now_ms,
        state_batches: partition.batches().into_iter().map(batch).collect(),
    };
    ShareRecord {
        key: snapshot_key(key),
        value: Some(encode(0, 0, &value)),
    }
}

pub(super) fn update(
    key: &ShareKey,
    partition: &SharePartition,
    snapshot_epoch: i32,
    changed: &[StateBatch],
) -> ShareRecord {
    let batch = |batch: &StateBatch| UpdateBatch {
        first_offset: batch.first,
        last_offset: batch.last,
        delivery_state: code(&batch.state),
        delivery_count: batch.deliveries,
    };
    let value = ShareUpdateValue {
        snapshot_epoch,
        leader_epoch: NO_EPOCH,
        start_offset: partition.start(),
        delivery_complete_count: count(partition),
        state_batches: changed.iter().map(batch).collect(),
    };
    let key = ShareUpdateKey {
        group_id: key.group_id.clone(),
        topic_id: key.topic_id,
        partition: key.partition,
    };
    ShareRecord {
        key: encode(UPDATE, 0, &key),
        value: Some(encode(0, 0, &value)),
    }
}

pub(super) fn tombstone(key: &ShareKey) -> ShareRecord {
    ShareRecord {
        key: snapshot_key(key),
        value: None,
    }
}

fn snapshot_key(key: &ShareKey) -> Bytes {
    let key = ShareSnapshotKey {
        group_id: key.group_id.clone(),
        topic_id: key.topic_id,
        partition: key.partition,
    };
    encode(SNAPSHOT, 0, &key)
}

fn count(partition: &SharePartition) -> i32 {
    i32::try_from(partition.completed()).unwrap_or(i32::MAX)
}

fn code(state: &RecordState) -> i8 {
    match state {
        RecordState::Available | RecordState::Acquired { .. } => AVAILABLE,
        RecordState::Acknowledged => ACKNOWLEDGED,
        RecordState::Archived => ARCHIVED,
    }
}

fn from_snapshot(batch: &SnapshotBatch) -> Option<StateBatch> {
    read(
        batch.first_offset,
        batch.last_offset,
        batch.delivery_state,
        batch.delivery_count,
    )
}

fn from_update(batch: &UpdateBatch) -> Option<StateBatch> {
    read(
        batch.first_offset,
        batch.last_offset,
        batch.delivery_state,
        batch.delivery_count,
    )
}

/// A state that is not known here is none that would take the record away.
fn read(first: i64, last: i64, state: i8, deliveries: i16) -> Option<StateBatch> {
    let state = match state {
        ACKNOWLEDGED => RecordState::Acknowledged,
        ARCHIVED => RecordState::Archived,
        _ => RecordState::Available,
    };
    (first >= 0 && first <= last && last < i64::MAX).then_some(StateBatch {
        first,
        last,
        state,
        deliveries: deliveries.max(0),
    })
}
