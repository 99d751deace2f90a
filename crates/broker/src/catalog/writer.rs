//! The metadata log, and what stands in it so far.

use std::sync::{Arc, mpsc};

use bytes::Bytes;
use catchword_log::{
    AppendOrigin, Engine, LogConfig, LogError, PartitionLog, Read, ReadError, ReadLimit,
    TopicPartition,
};
use catchword_wire::Uuid;
use catchword_wire::batch::{BatchBuilder, NewRecord, records, split};
use tracing::warn;

use super::record::CatalogRecord;
use super::state::CatalogState;
use super::{CatalogError, METADATA_EPOCH, METADATA_TOPIC};
use crate::clock;

/// Kafka's fixed id of the metadata topic.
const METADATA_TOPIC_ID: Uuid = Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/// Whoever holds it changes the catalog.
pub(super) struct Writer {
    pub(super) state: CatalogState,
    pub(super) log: Arc<dyn PartitionLog>,
    /// Producer ids from here to the end of the block are free.
    pub(super) next_producer_id: i64,
}

impl Writer {
    /// Opens the metadata log, made if it is not there, and reads it.
    pub(super) fn open(engine: &dyn Engine) -> Result<Writer, CatalogError> {
        let tp = TopicPartition::new(METADATA_TOPIC, 0);
        let keep_all = LogConfig {
            retention_ms: -1,
            retention_bytes: -1,
            ..LogConfig::default()
        };
        let log = engine.create(&tp, METADATA_TOPIC_ID, keep_all)?;
        let mut state = CatalogState::default();
        replay(&*log, &mut state)?;
        Ok(Writer {
            next_producer_id: state.next_producer_id(),
            state,
            log,
        })
    }

    /// Appends records in one batch and applies them; waits until they are durable if asked to.
    pub(super) fn append(
        &mut self,
        records: &[CatalogRecord],
        durable: bool,
    ) -> Result<(), CatalogError> {
        let corrupt = |why: String| CatalogError::Corrupt { offset: -1, why };
        let now = clock::now_ms();
        let mut builder = BatchBuilder::new(0);
        for record in records {
            let value = record.encode().map_err(|e| corrupt(e.to_string()))?;
            let record = NewRecord {
                timestamp: now,
                value: Some(&value),
                ..NewRecord::default()
            };
            builder.push(record).map_err(|e| corrupt(e.to_string()))?;
        }
        let batch = builder.build().map_err(|e| corrupt(e.to_string()))?;
        let batches: Vec<_> = split(batch)
            .collect::<Result<_, _>>()
            .map_err(|e| corrupt(e.to_string()))?;
        let how = catchword_log::Append {
            leader_epoch: METADATA_EPOCH,
            append_time: None,
            origin: AppendOrigin::Coordinator,
        };
        let appended = self
            .log
            .append(&batches, how)
            .map_err(|error| match error {
                catchword_log::AppendError::Storage(error) => CatalogError::Log(error),
                other => corrupt(other.to_string()),
            })?;
        if durable {
            let (tx, rx) = mpsc::channel();
            self.log.flush_to(
                appended.last_offset + 1,
                Box::new(move |done| drop(tx.send(done))),
            );
            rx.recv()
                .map_err(|_| LogError::Closed)?
                .map_err(|e| CatalogError::Log(e.0))?;
        }
        records.iter().for_each(|r| self.state.apply(r));
        Ok(())
    }
}

/// Applies everything in the metadata log.
fn replay(log: &dyn PartitionLog, state: &mut CatalogState) -> Result<(), CatalogError> {
    log.ready()?;
    let mut offset = log.offsets().log_start;
    while offset < log.offsets().log_end {
        let from = offset;
        let bytes = read_batches(log, from)?;
        let corrupt = |why: String| CatalogError::Corrupt { offset: from, why };
        for batch in split(bytes.clone()) {
            let batch = batch.map_err(|e| corrupt(e.to_string()))?;
            for record in records(&batch).map_err(|e| corrupt(e.to_string()))? {
                let record = record.map_err(|e| corrupt(e.to_string()))?;
                let value = record.value.unwrap_or_default();
                let decoded = CatalogRecord::decode(value).map_err(|e| corrupt(e.to_string()))?;
                if let CatalogRecord::Unknown(kind) = decoded {
                    warn!(
                        "metadata record of unknown type {kind} at offset {}: skipped",
                        record.offset
                    );
                }
                state.apply(&decoded);
            }
            offset = batch.header.next_offset();
        }
    }
    Ok(())
}

fn read_batches(log: &dyn PartitionLog, from: i64) -> Result<Bytes, CatalogError> {
    let corrupt = |why: String| CatalogError::Corrupt { offset: from, why };
    let read = match log.read(from, 1 << 20, ReadLimit::LogEnd, true) {
        Read::Now(read) => read,
        Read::Later(_) => return Err(corrupt("the metadata log has to be local".into())),
    };
    let fetched = read.map_err(|error| match error {
        ReadError::Storage(error) => CatalogError::Log(error),
        other => corrupt(other.to_string()),
    })?;
    let bytes = fetched.data.read().map_err(|e| corrupt(e.to_string()))?;
    if bytes.is_empty() {
        Err(corrupt("there are no records below the log's end".into()))
    } else {
        Ok(bytes)
    }
}
