//! The record of a transactional id, Kafka's own.
//!
//! ```text
//! key    int16 0 · int16-string transactional id
//! value  int16 1 · TransactionLogValue
//! ```
//! Versions 0 and 1 are read.

use bytes::Bytes;
use catchword_wire::records::transaction_log_value::PartitionsSchema;
use catchword_wire::records::{TransactionLogKey, TransactionLogValue};
use catchword_wire::{Encoder, Message, Str};

use super::state::{Status, Transaction};
use crate::effect::Headers;
use crate::record::{ReplayError, decoder, versioned};
use crate::records::CoordinatorRecord;

const KEY_TYPE: i16 = 0;
const VALUE_VERSION: i16 = 1;

/// Reads a key and its value; `None` is a tombstone.
pub(super) fn decode(
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<(Str, Option<Transaction>), ReplayError> {
    let mut fields = decoder(key);
    let key_type = fields.i16().map_err(ReplayError::Key)?;
    if key_type != KEY_TYPE {
        return Err(ReplayError::UnknownKeyType(key_type));
    }
    let key = TransactionLogKey::decode(&mut fields, 0).map_err(ReplayError::Key)?;
    let transactional_id = key.transactional_id.detached();
    let Some(value) = value else {
        return Ok((transactional_id, None));
    };
    let value: TransactionLogValue = versioned(KEY_TYPE, value)?;
    let status =
        Status::from_id(value.transaction_status).ok_or_else(|| ReplayError::UnknownStatus {
            transactional_id: transactional_id.clone(),
            status: value.transaction_status,
        })?;
    let partitions = value.transaction_partitions.unwrap_or_default();
    let transaction = Transaction {
        producer_id: value.producer_id,
        previous_producer_id: value.previous_producer_id,
        next_producer_id: value.next_producer_id,
        epoch: value.producer_epoch,
        last_epoch: -1,
        timeout_ms: value.transaction_timeout_ms,
        status,
        partitions: partitions
            .into_iter()
            .flat_map(|topic| {
                let name = topic.topic.detached();
                topic
                    .partition_ids
                    .into_iter()
                    .map(move |partition| (name.clone(), partition))
            })
            .collect(),
        start_ms: value.transaction_start_timestamp_ms,
        last_update_ms: value.transaction_last_update_timestamp_ms,
        version: value.client_transaction_version,
    };
    Ok((transactional_id, Some(transaction)))
}

/// The record of a state.
pub(super) fn encode(transactional_id: &Str, transaction: &Transaction) -> CoordinatorRecord {
    let mut topics: Vec<PartitionsSchema> = Vec::new();
    for (topic, partition) in &transaction.partitions {
        match topics.last_mut().filter(|last| last.topic == *topic) {
            Some(last) => last.partition_ids.push(*partition),
            None => topics.push(PartitionsSchema {
                topic: topic.clone(),
                partition_ids: vec![*partition],
            }),
        }
    }
    let value = TransactionLogValue {
        producer_id: transaction.producer_id,
        previous_producer_id: transaction.previous_producer_id,
        next_producer_id: transaction.next_producer_id,
        producer_epoch: transaction.epoch,
        transaction_timeout_ms: transaction.timeout_ms,
        transaction_status: transaction.status.id(),
        transaction_partitions: (transaction.status != Status::Empty).then_some(topics),
        transaction_last_update_timestamp_ms: transaction.last_update_ms,
        transaction_start_timestamp_ms: transaction.start_ms,
        client_transaction_version: transaction.version,
        ..TransactionLogValue::default()
    };
    CoordinatorRecord {
        key: key(transactional_id),
        value: Some(bytes(VALUE_VERSION, VALUE_VERSION, &value)),
        headers: Headers::default(),
    }
}

/// The record that a transactional id is forgotten.
pub(super) fn tombstone(transactional_id: &Str) -> CoordinatorRecord {
    CoordinatorRecord {
        key: key(transactional_id),
        value: None,
        headers: Headers::default(),
    }
}

fn key(transactional_id: &Str) -> Bytes {
    let key = TransactionLogKey {
        transactional_id: transactional_id.clone(),
    };
    bytes(KEY_TYPE, 0, &key)
}

fn bytes<M: Message>(prefix: i16, version: i16, message: &M) -> Bytes {
    let mut encoder = Encoder::with_capacity(128);
    encoder.i16(prefix);
    message
        .encode(&mut encoder, version)
        .expect("calls with longer texts are refused");
    encoder
        .into_bytes()
        .expect("there are no records in a file in this message")
}
