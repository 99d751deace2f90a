//! The engine `memory`: logs that live as long as the process, for tests. It keeps the same contract as the others.
//!
//! Invariant: batches are whole and stamped, in offset order. A flush is answered at once: nothing outlives the process
//! anyway, so everything is as durable as it can be.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use catchword_wire::batch::{
    Batch, ControlRecord, STAMP_LEN, TimestampType, records, stamped_header, stamped_prefix,
};
use catchword_wire::{Records, Segment as Piece, Uuid};

use crate::api::{
    Append, Appended, Engine, Fetched, FlushCallback, Offsets, PartitionLog, ProducerView, Read,
    ReadLimit, StorageInfo, TimestampOffset, TopicPartition,
};
use crate::epochs::LeaderEpochs;
use crate::producer_state::{Checked, Entering, Producers};
use crate::transactions::overlapping;
use crate::verification::Verifications;
use crate::{AbortedTransaction, AppendError, LogConfig, LogError, ReadError, Verification};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Logs in memory.
#[derive(Default)]
pub struct MemoryEngine {
    logs: Mutex<BTreeMap<TopicPartition, Arc<MemoryLog>>>,
}

impl MemoryEngine {
    /// An engine without logs.
    pub fn new() -> MemoryEngine {
        MemoryEngine::default()
    }
}

impl Engine for MemoryEngine {
    fn partitions(&self) -> Vec<(TopicPartition, Uuid)> {
        let logs = lock(&self.logs);
        logs.iter()
            .map(|(partition, log)| (partition.clone(), log.topic_id))
            .collect()
    }

    fn create(
        &self,
        partition: &TopicPartition,
        topic_id: Uuid,
        config: LogConfig,
    ) -> Result<Arc<dyn PartitionLog>, LogError> {
        let mut logs = lock(&self.logs);
        if let Some(log) = logs.get(partition) {
            if log.topic_id != topic_id {
                return Err(LogError::TopicIdMismatch {
                    partition: partition.clone(),
                    wanted: topic_id.to_string(),
                    found: log.topic_id.to_string(),
                });
            }
            log.set_config(config);
            return Ok(log.clone());
        }
        let state = State {
            config: Arc::new(config),
            ..State::default()
        };
        let state = Mutex::new(state);
        let log = Arc::new(MemoryLog {
            partition: partition.clone(),
            topic_id,
            state,
        });
        logs.insert(partition.clone(), log.clone());
        Ok(log)
    }

    fn get(&self, partition: &TopicPartition) -> Option<Arc<dyn PartitionLog>> {
        lock(&self.logs)
            .get(partition)
            .map(|log| log.clone() as Arc<dyn PartitionLog>)
    }

    fn delete(&self, partition: &TopicPartition) -> Result<(), LogError> {
        let gone = || LogError::NotFound {
            partition: partition.clone(),
        };
        let log = lock(&self.logs).remove(partition).ok_or_else(gone)?;
        lock(&log.state).gone = Some(gone());
        Ok(())
    }

    fn keep_house(&self, now_ms: i64) {
        for log in lock(&self.logs).values() {
            let mut state = lock(&log.state);
            let expiration_ms = state.config.producer_id_expiration_ms;
            state.producers.expire(now_ms, expiration_ms);
            state.verifications.expire(now_ms, expiration_ms);
        }
    }

    fn close(&self) -> Result<(), LogError> {
        for log in lock(&self.logs).values() {
            lock(&log.state).gone = Some(LogError::Closed);
        }
        Ok(())
    }

    fn describe(&self) -> StorageInfo {
        StorageInfo {
            directory: PathBuf::new(),
            total_bytes: -1,
            usable_bytes: -1,
        }
    }
}

struct MemoryLog {
    partition: TopicPartition,
    topic_id: Uuid,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    batches: Vec<Batch>,
    log_start: i64,
    log_end: i64,
    producers: Producers,
    verifications: Verifications,
    aborted: Vec<AbortedTransaction>,
    epochs: LeaderEpochs,
    config: Arc<LogConfig>,
    side_files: BTreeMap<(String, i64), Bytes>,
    gone: Option<LogError>,
}

impl State {
    fn offsets(&self) -> Offsets {
        Offsets {
            log_start: self.log_start,
            high_watermark: self.log_end,
            last_stable: self
                .producers
                .first_open_transaction()
                .map_or(self.log_end, |first| first.max(self.log_start)),
            log_end: self.log_end,
            durable_end: self.log_end,
        }
    }

    fn usable(&self) -> Result<(), LogError> {
        self.gone.clone().map_or(Ok(()), Err)
    }

    /// The batches from the one that holds `offset` on.
    fn batches_from(&self, offset: i64) -> &[Batch] {
        let first = self
            .batches
            .partition_point(|batch| batch.header.last_offset() < offset);
        &self.batches[first..]
    }

    fn places(&self) -> impl Iterator<Item = TimestampOffset> + '_ {
        let all = self.batches.iter().flat_map(|batch| {
            let leader_epoch = batch.header.partition_leader_epoch;
            let readable = records(batch).into_iter().flatten().flatten();
            readable.map(move |record| TimestampOffset {
                timestamp: record.timestamp,
                offset: record.offset,
                leader_epoch,
            })
        });
        all.filter(|place| place.offset >= self.log_start)
    }
}

fn stamped(batch: &Batch, base_offset: i64, how: &Append) -> Option<Batch> {
    let mut bytes = BytesMut::with_capacity(batch.bytes.len());
    match how.append_time {
        Some(now) => {
            let kind = TimestampType::LogAppendTime;
            let front = stamped_header(batch, base_offset, how.leader_epoch, kind, now);
            bytes.extend_from_slice(&front);
            bytes.extend_from_slice(&batch.bytes[front.len()..]);
        }
        None => {
            bytes.extend_from_slice(&stamped_prefix(batch, base_offset, how.leader_epoch));
            bytes.extend_from_slice(&batch.bytes[STAMP_LEN..]);
        }
    }
    Batch::parse(&Bytes::from(bytes)).ok()
}

fn entering(batch: &Batch) -> Entering<'_> {
    let first = || records(batch).ok()?.next()?.ok();
    let is_control = batch.header.is_control();
    let marker = is_control
        .then(first)
        .flatten()
        .as_ref()
        .and_then(ControlRecord::parse);
    Entering {
        header: &batch.header,
        base_offset: batch.header.base_offset,
        marker,
    }
}

impl PartitionLog for MemoryLog {
    fn append(&self, batches: &[Batch], how: Append) -> Result<Appended, AppendError> {
        let mut state = lock(&self.state);
        state.usable()?;
        let invalid = |detail| AppendError::InvalidBatch {
            partition: self.partition.clone(),
            detail,
        };
        let mut next = state.log_end;
        let mut placed = Vec::with_capacity(batches.len());
        for batch in batches {
            if batch.header.last_offset_delta < 0 || batch.header.records_count < 1 {
                return Err(invalid("a batch without records cannot be appended"));
            }
            let batch = stamped(batch, next, &how);
            let batch =
                batch.ok_or_else(|| invalid("a batch's length is not that of its bytes"))?;
            next = batch.header.next_offset();
            placed.push(batch);
        }
        let Some(first) = placed.first() else {
            return Err(invalid("there is no batch to append"));
        };
        let size: u64 = placed.iter().map(|batch| batch.bytes.len() as u64).sum();
        if size > state.config.segment_bytes {
            let segment_bytes = state.config.segment_bytes;
            return Err(AppendError::RecordTooLargeForSegment {
                size,
                segment_bytes,
            });
        }
        let base_offset = first.header.base_offset;
        let entering = placed.iter().map(entering);
        let log_start_offset = state.log_start;
        match state
            .producers
            .check(&self.partition, entering, how.origin, &state.verifications)?
        {
            Checked::Duplicate(original) => Ok(Appended {
                base_offset: original.base_offset(),
                last_offset: original.last_offset,
                log_append_time: how.append_time.map_or(-1, |_| original.timestamp),
                log_start_offset,
                duplicate: true,
            }),
            Checked::Accepted(updates) => {
                for batch in &placed {
                    state.verifications.written(&batch.header);
                }
                let aborted = state.producers.apply(updates);
                state.aborted.extend(aborted);
                state.epochs.assign(how.leader_epoch, base_offset);
                state.log_end = next;
                state.batches.append(&mut placed);
                let log_append_time = how.append_time.unwrap_or(-1);
                let (last_offset, duplicate) = (next - 1, false);
                Ok(Appended {
                    base_offset,
                    last_offset,
                    log_append_time,
                    log_start_offset,
                    duplicate,
                })
            }
        }
    }

    fn verify(
        &self,
        producer_id: i64,
        epoch: i16,
        sequence: i32,
        bumps_epoch: bool,
    ) -> Result<Verification, AppendError> {
        let state = &mut *lock(&self.state);
        state.usable()?;
        let open = &mut state.verifications;
        let producer = (producer_id, epoch);
        state
            .producers
            .verify(&self.partition, producer, sequence, bumps_epoch, open)
    }

    fn aborted_transactions(&self, from: i64, upto: i64) -> Result<Vec<(i64, i64)>, ReadError> {
        let state = lock(&self.state);
        state.usable()?;
        let mut found = Vec::new();
        overlapping(&state.aborted, from, upto, &mut found);
        Ok(found)
    }

    fn flush_to(&self, _end_offset: i64, done: FlushCallback) {
        done(Ok(()));
    }

    fn read(&self, from: i64, max_bytes: usize, upto: ReadLimit, min_one_batch: bool) -> Read {
        let state = lock(&self.state);
        if let Err(error) = state.usable() {
            return Read::Now(Err(error.into()));
        }
        let offsets = state.offsets();
        let limit = offsets.limit(upto);
        let log_start = offsets.log_start;
        if from < log_start || from > offsets.log_end {
            return Read::Now(Err(ReadError::OutOfRange {
                offset: from,
                log_start,
                limit,
            }));
        }
        let mut pieces: Vec<Piece> = Vec::new();
        let (mut size, mut end) = (0, from);
        for batch in state.batches_from(from) {
            let len = batch.bytes.len();
            let fits = size + len <= max_bytes || (min_one_batch && pieces.is_empty());
            if batch.header.base_offset >= limit || from >= limit || !fits {
                break;
            }
            size += len;
            end = batch.header.next_offset();
            pieces.push(Piece::Bytes(batch.bytes.clone()));
        }
        let data = Records::from_segments(pieces);
        let mut aborted = Vec::new();
        if upto == ReadLimit::LastStable && end > from {
            overlapping(&state.aborted, from, end, &mut aborted);
        }
        Read::Now(Ok(Fetched {
            data,
            end,
            offsets,
            aborted,
        }))
    }

    fn ready(&self) -> Result<(), LogError> {
        lock(&self.state).usable()
    }

    fn offsets(&self) -> Offsets {
        lock(&self.state).offsets()
    }

    fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<TimestampOffset>, ReadError> {
        let state = lock(&self.state);
        Ok(state.places().find(|place| place.timestamp >= timestamp))
    }

    fn max_timestamp(&self) -> Result<Option<TimestampOffset>, ReadError> {
        let state = lock(&self.state);
        let larger = |best: TimestampOffset, place: TimestampOffset| {
            if place.timestamp > best.timestamp {
                place
            } else {
                best
            }
        };
        Ok(state.places().reduce(larger))
    }

    fn truncate_prefix(&self, new_start: i64) -> Result<i64, ReadError> {
        let mut state = lock(&self.state);
        state.usable()?;
        if new_start > state.log_end {
            let (log_start, limit) = (state.log_start, state.log_end);
            return Err(ReadError::OutOfRange {
                offset: new_start,
                log_start,
                limit,
            });
        }
        let log_start = state.log_start.max(new_start);
        state.log_start = log_start;
        state
            .batches
            .retain(|batch| batch.header.last_offset() >= log_start);
        state
            .aborted
            .retain(|aborted| aborted.last_offset >= log_start);
        state.epochs.truncate_start(log_start);
        Ok(log_start)
    }

    fn end_offset_for_epoch(&self, epoch: i32) -> (i32, i64) {
        let state = lock(&self.state);
        state.epochs.end_offset_for(epoch, state.log_end)
    }

    fn latest_epoch(&self) -> i32 {
        lock(&self.state).epochs.latest()
    }

    fn put_side_file(&self, name: &str, offset: i64, content: &[u8]) -> Result<(), LogError> {
        let mut state = lock(&self.state);
        state.usable()?;
        state.side_files.retain(|(own, _), _| own != name);
        let key = (name.to_owned(), offset);
        state
            .side_files
            .insert(key, Bytes::copy_from_slice(content));
        Ok(())
    }

    fn side_files(&self, name: &str) -> Result<Vec<i64>, LogError> {
        let state = lock(&self.state);
        let own = state.side_files.keys().rev().filter(|(own, _)| own == name);
        Ok(own.map(|(_, offset)| *offset).collect())
    }

    fn read_side_file(&self, name: &str, offset: i64) -> Result<Bytes, LogError> {
        let state = lock(&self.state);
        let found = state.side_files.get(&(name.to_owned(), offset)).cloned();
        found.ok_or_else(|| LogError::NotFound {
            partition: self.partition.clone(),
        })
    }

    fn producers(&self) -> Vec<ProducerView> {
        lock(&self.state).producers.view()
    }

    fn size_bytes(&self) -> u64 {
        lock(&self.state)
            .batches
            .iter()
            .map(|batch| batch.bytes.len() as u64)
            .sum()
    }

    fn set_config(&self, config: LogConfig) {
        lock(&self.state).config = Arc::new(config);
    }

    fn config(&self) -> Arc<LogConfig> {
        lock(&self.state).config.clone()
    }

    fn topic_id(&self) -> Uuid {
        self.topic_id
    }
}
