//! The topics of Kafka's coordinators: which groups, offsets and transactions are in them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use bytes::Bytes;
use catchword_log::{LogError, TopicPartition, read_stopped_log};
use catchword_wire::batch::{Batch, Record, records};
use catchword_wire::records::{TransactionLogKey, TransactionLogValue};
use catchword_wire::{Decoder, Message};

use crate::AdoptError;
use crate::remark::{Remarks, few, some};

/// What coordinators left.
#[derive(Debug, Default)]
pub(crate) struct Coordinators {
    /// Committed offsets that stand.
    pub(crate) offsets: usize,
    /// The groups that they are of.
    pub(crate) groups: usize,
}

/// Key types in `__consumer_offsets`.
mod key_type {
    pub(super) const OFFSET: i16 = 1;
    pub(super) const SHARE_GROUP: i16 = 11;
}

/// Reads the coordinators' topics and names what does not come along.
pub(crate) fn look(
    known: &BTreeMap<TopicPartition, PathBuf>,
    remarks: &mut Remarks,
) -> Result<Coordinators, AdoptError> {
    let mut found = Found::default();
    for (partition, dir) in known {
        let mut each: Box<dyn FnMut(&Record)> = match &*partition.topic {
            "__consumer_offsets" => Box::new(|record| found.group_record(record)),
            "__transaction_state" => Box::new(|record| found.transaction(record)),
            _ => continue,
        };
        let mut wrong = None;
        read_stopped_log(dir, &mut |batch| {
            if let Err(error) = each_record(batch, &mut *each) {
                wrong.get_or_insert(LogError::Corrupt {
                    path: dir.clone(),
                    detail: format!("offset {}: {error}", batch.header.base_offset),
                });
            }
        })?;
        if let Some(error) = wrong {
            return Err(error.into());
        }
    }
    found.tell(remarks);
    Ok(Coordinators {
        offsets: found.offsets.len(),
        groups: found.offsets.values().collect::<HashSet<_>>().len(),
    })
}

fn each_record(
    batch: &Batch,
    each: &mut dyn FnMut(&Record),
) -> Result<(), catchword_wire::batch::BatchError> {
    if !batch.header.is_control() {
        for record in records(batch)? {
            each(&record?);
        }
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Found {
    /// Hashes of group, topic and partition, with the group's: a million offsets should not need a million names.
    offsets: HashMap<u64, u64>,
    share: BTreeSet<String>,
    open: BTreeSet<String>,
}

impl Found {
    fn group_record(&mut self, record: &Record) {
        let Some((kind, rest)) = record.key.as_ref().and_then(typed) else {
            return;
        };
        let mut d = Decoder::new(rest.clone());
        let group = d.string(false).unwrap_or_default();
        let live = record.value.is_some();
        let set = match kind {
            0 | key_type::OFFSET => {
                let key = hash(&rest);
                match live {
                    true => self.offsets.insert(key, hash(group.as_str())),
                    false => self.offsets.remove(&key),
                };
                return;
            }
            key_type::SHARE_GROUP => &mut self.share,
            _ => return,
        };
        match live {
            true => set.insert(group.to_string()),
            false => set.remove(group.as_str()),
        };
    }

    fn transaction(&mut self, record: &Record) {
        const ONGOING: i8 = 1;
        const PREPARE_COMMIT: i8 = 2;
        const PREPARE_ABORT: i8 = 3;
        const PREPARE_EPOCH_FENCE: i8 = 7;
        let key = record.key.as_ref().and_then(typed);
        let Some(id) =
            key.and_then(|(_, rest)| TransactionLogKey::decode(&mut Decoder::new(rest), 0).ok())
        else {
            return;
        };
        let id = id.transactional_id.to_string();
        self.open.remove(&id);
        let Some((version, rest)) = record.value.as_ref().and_then(typed) else {
            return;
        };
        let value = TransactionLogValue::decode(&mut Decoder::new(rest), version);
        // One that cannot be understood is not taken for ended.
        let is_open = value.map_or(true, |value| {
            matches!(
                value.transaction_status,
                ONGOING | PREPARE_COMMIT | PREPARE_ABORT | PREPARE_EPOCH_FENCE
            )
        });
        if is_open {
            self.open.insert(id);
        }
    }

    fn tell(&self, remarks: &mut Remarks) {
        if !self.open.is_empty() {
            remarks.refuse(
                format!("{}: {}", some(self.open.len(), "transaction is open", "transactions are open"), few(&self.open)),
                "readers of committed records would wait at it for ever. Start Kafka again: it ends a transaction whose producer is gone after transaction.timeout.ms (by default a minute), or `kafka-transactions.sh abort` does",
            );
        }
        if !self.share.is_empty() {
            remarks.left(
                format!(
                    "{} of kind share: {}",
                    some(self.share.len(), "group", "groups"),
                    few(&self.share)
                ),
                "where it stands in its topics does not come along",
            );
        }
    }
}

/// The type or version that a key or value begins with, and the rest.
fn typed(bytes: &Bytes) -> Option<(i16, Bytes)> {
    let kind = bytes.get(..2)?;
    Some((i16::from_be_bytes([kind[0], kind[1]]), bytes.slice(2..)))
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
