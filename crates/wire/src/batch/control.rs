//! Control records: the markers that end a transaction in a partition (KIP-98).
//!
//! Invariant: what [`end_transaction_marker`] makes, [`ControlRecord::parse`] and every Kafka client
//! read. Types unknown here are kept as numbers, for clients must skip what they do not know.
//!
//! Layout: key = version (i16, 0), type (i16); value of a marker = version (i16, 0), coordinator
//! epoch (i32).

use bytes::{Buf, Bytes};

use super::builder::{BatchBuilder, BuildError, NewRecord};
use super::header::NO_SEQUENCE;
use super::iter::Record;

const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// A record of a control batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlRecord {
    /// The producer's transaction is aborted.
    Abort {
        /// Epoch of the coordinator that wrote the marker.
        coordinator_epoch: i32,
    },
    /// The producer's transaction is committed.
    Commit {
        /// Epoch of the coordinator that wrote the marker.
        coordinator_epoch: i32,
    },
    /// Another type; not of a transaction.
    Other(i16),
}

impl ControlRecord {
    /// Reads a record of a control batch; `None` if it is none.
    pub fn parse(record: &Record) -> Option<Self> {
        let mut key: &[u8] = record.key.as_deref()?;
        if key.try_get_i16().ok()? < 0 {
            return None;
        }
        let kind = key.try_get_i16().ok()?;
        if kind != ABORT && kind != COMMIT {
            return Some(Self::Other(kind));
        }
        let mut value: &[u8] = record.value.as_deref()?;
        if value.try_get_i16().ok()? < 0 {
            return None;
        }
        let coordinator_epoch = value.try_get_i32().ok()?;
        Some(match kind {
            ABORT => Self::Abort { coordinator_epoch },
            _ => Self::Commit { coordinator_epoch },
        })
    }
}

/// The batch of one marker that ends a producer's transaction.
///
/// # Errors
/// As [`BatchBuilder::build`]; for so small a batch none is known.
pub fn end_transaction_marker(
    base_offset: i64,
    timestamp: i64,
    producer_id: i64,
    producer_epoch: i16,
    commit: bool,
    coordinator_epoch: i32,
) -> Result<Bytes, BuildError> {
    let kind = if commit { COMMIT } else { ABORT };
    let [high, low] = kind.to_be_bytes();
    let mut value = [0; 6];
    value[2..].copy_from_slice(&coordinator_epoch.to_be_bytes());
    let mut builder = BatchBuilder::new(base_offset)
        .producer(producer_id, producer_epoch, NO_SEQUENCE)
        .transactional(true)
        .control(true);
    let key = [0, 0, high, low];
    builder.push(NewRecord {
        timestamp,
        key: Some(&key),
        value: Some(&value),
        headers: &[],
    })?;
    builder.build()
}
