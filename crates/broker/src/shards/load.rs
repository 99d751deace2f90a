//! Reads a shard's state: its newest snapshot that fits the log, and what the log holds since.
//!
//! Invariant: the state is that of the log's records up to where it was read. A snapshot that cannot be used costs
//! time and a log line, nothing else.

use catchword_coordinator::{ProducerEpoch, ReplayError};
use catchword_log::{LogError, PartitionLog, Read, ReadLimit, TopicPartition};
use catchword_wire::batch::{
    Batch, BatchError, ControlRecord, RecordView, records, split, view_records,
};
use tracing::warn;

use super::machine::Machine;
use super::snapshot::{self, Of, Snapshot};

/// Bytes read at once: little enough to stay in the processor's cache.
const CHUNK: usize = 1 << 20;

/// Where a state came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Loaded {
    /// The state is that of all records below this offset.
    pub(super) end: i64,
    /// The leader epoch of the last of them, -1 if there are none.
    pub(super) leader_epoch: i32,
    /// The snapshot's end, 0 if there was none.
    pub(super) snapshot_end: i64,
    /// What the snapshot holds.
    pub(super) snapshot: Amount,
    /// What the log holds since.
    pub(super) tail: Amount,
}

/// How much was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) records: u64,
    pub(super) bytes: u64,
}

/// Makes the state of all batches that end at or below `upto`. The error says what is wrong and where.
pub(super) fn load<M: Machine>(
    tp: &TopicPartition,
    log: &dyn PartitionLog,
    upto: i64,
    new_machine: impl Fn() -> M,
) -> Result<(M, Loaded), String> {
    match log.ready() {
        // What is there can still be read, and groups told where they stand.
        Ok(()) | Err(LogError::Poisoned { .. }) => {}
        Err(error) => return Err(error.to_string()),
    }
    let (mut machine, mut loaded) =
        newest_snapshot(tp, log, upto, &new_machine).unwrap_or_else(|| {
            let loaded = Loaded {
                end: log.offsets().log_start,
                leader_epoch: -1,
                ..Loaded::default()
            };
            (new_machine(), loaded)
        });
    replay_log(log, upto, &mut machine, &mut loaded)?;
    Ok((machine, loaded))
}

/// The state of the newest snapshot that fits.
fn newest_snapshot<M: Machine>(
    tp: &TopicPartition,
    log: &dyn PartitionLog,
    upto: i64,
    new_machine: &impl Fn() -> M,
) -> Option<(M, Loaded)> {
    let offsets = log.side_files(M::SNAPSHOT).unwrap_or_else(|error| {
        warn!("{tp}: snapshots cannot be listed, the log is read instead: {error}");
        Vec::new()
    });
    for offset in offsets.into_iter().filter(|offset| *offset <= upto) {
        match read_snapshot(log, offset, new_machine) {
            Ok(found) => return Some(found),
            Err(why) => warn!(
                "{tp}: the snapshot at offset {offset} is not used, an older one or the log is read instead: {why}"
            ),
        }
    }
    None
}

fn read_snapshot<M: Machine>(
    log: &dyn PartitionLog,
    offset: i64,
    new_machine: &impl Fn() -> M,
) -> Result<(M, Loaded), String> {
    let bytes = log.read_side_file(M::SNAPSHOT, offset);
    let bytes = bytes.map_err(|error| error.to_string())?;
    let amount = bytes.len() as u64;
    let Snapshot {
        of,
        records,
        batches,
    } = snapshot::decode(bytes)?;
    if of.end != offset {
        return Err(format!("it speaks of offset {}", of.end));
    }
    fits(log, of)?;
    let mut machine = new_machine();
    let mut found = 0;
    for batch in split(batches) {
        let batch = batch.map_err(|error| error.to_string())?;
        found += batch.header.records_count.unsigned_abs() as u64;
        apply(&batch, i64::MIN, &mut machine)?;
    }
    if found != records {
        return Err(format!("it holds {found} records, not {records}"));
    }
    let loaded = Loaded {
        end: of.end,
        leader_epoch: of.leader_epoch,
        snapshot_end: of.end,
        snapshot: Amount {
            records,
            bytes: amount,
        },
        tail: Amount::default(),
    };
    Ok((machine, loaded))
}

/// Whether the log is the one that the snapshot was taken of, and still holds all that came since.
fn fits(log: &dyn PartitionLog, of: Of) -> Result<(), String> {
    let offsets = log.offsets();
    if of.topic_id != log.topic_id() {
        return Err("it is of another topic of this name".into());
    }
    if of.end > offsets.log_end {
        return Err(format!("the log ends before it, at {}", offsets.log_end));
    }
    if of.end < offsets.log_start {
        return Err(format!("the log begins after it, at {}", offsets.log_start));
    }
    // A log that lost its end and grew again has other records there, of a later epoch.
    let (epoch, epoch_end) = log.end_offset_for_epoch(of.leader_epoch);
    let (_, epoch_start) = log.end_offset_for_epoch(of.leader_epoch - 1);
    let begins_before = epoch_start < of.end || of.end == offsets.log_start;
    if epoch != of.leader_epoch || epoch_end < of.end || !begins_before {
        return Err("the log has other records there: it lost some and grew again".into());
    }
    Ok(())
}

/// Applies the log's records from where `loaded` ends.
fn replay_log<M: Machine>(
    log: &dyn PartitionLog,
    upto: i64,
    machine: &mut M,
    loaded: &mut Loaded,
) -> Result<(), String> {
    let mut offset = loaded.end;
    while offset < log.offsets().log_end.min(upto) {
        let Read::Now(read) = log.read(offset, CHUNK, ReadLimit::LogEnd, true) else {
            return Err("the log cannot be read at once".into());
        };
        let bytes = read
            .map_err(|e| e.to_string())?
            .data
            .read()
            .map_err(|e| e.to_string())?;
        if bytes.is_empty() {
            return Err(format!(
                "no records at offset {offset}, below the log's end"
            ));
        }
        for batch in split(bytes) {
            let batch = batch.map_err(|e| format!("offset {offset}: {e}"))?;
            let (from, next) = (offset, batch.header.next_offset());
            if next > upto {
                return Ok(());
            }
            offset = next;
            loaded.end = next;
            loaded.leader_epoch = batch.header.partition_leader_epoch;
            loaded.tail.records += batch.header.records_count.unsigned_abs() as u64;
            loaded.tail.bytes += batch.bytes.len() as u64;
            apply(&batch, from, machine)?;
        }
    }
    Ok(())
}

/// What ends a batch before its end.
struct Broken(String);

impl From<BatchError> for Broken {
    fn from(error: BatchError) -> Broken {
        Broken(error.to_string())
    }
}

/// Applies a batch's records from an offset on.
fn apply<M: Machine>(batch: &Batch, from: i64, machine: &mut M) -> Result<(), String> {
    let at = batch.header.base_offset;
    if batch.header.is_control() {
        return end(batch, machine).map_err(|why| format!("batch at offset {at}: {why}"));
    }
    let producer = ProducerEpoch {
        id: batch.header.producer_id,
        epoch: batch.header.producer_epoch,
    };
    let in_transaction = batch.header.is_transactional();
    let one = |record: RecordView<'_>| {
        if record.offset < from {
            return Ok(());
        }
        let Some(key) = record.key else {
            warn!(
                "offset {}: a record without a key is skipped",
                record.offset
            );
            return Ok(());
        };
        let replayed = match in_transaction {
            true => machine.replay_in_transaction(producer, key, record.value),
            false => machine.replay(key, record.value, record.headers),
        };
        match replayed {
            Ok(()) => Ok(()),
            Err(error @ ReplayError::UnknownKeyType(_)) => {
                warn!("offset {}: {error}: skipped", record.offset);
                Ok(())
            }
            Err(error) => Err(Broken(format!("offset {}: {error}", record.offset))),
        }
    };
    view_records(batch, one).map_err(|Broken(why)| format!("batch at offset {at}: {why}"))
}

/// A marker ends a producer's transaction, in a log of ours as in one that Apache Kafka wrote.
fn end<M: Machine>(batch: &Batch, machine: &mut M) -> Result<(), BatchError> {
    let marker = records(batch)?.next().transpose()?;
    let commit = match marker.as_ref().and_then(ControlRecord::parse) {
        Some(ControlRecord::Commit { .. }) => true,
        Some(ControlRecord::Abort { .. }) => false,
        // What compaction left of a marker says nothing any more.
        _ => return Ok(()),
    };
    machine.replay_end_of_transaction(batch.header.producer_id, commit);
    Ok(())
}
