//! Reads a shard's log into a new machine, and finds out what of the log is still needed.

use std::collections::HashMap;

use catchword_coordinator::ReplayError;
use catchword_coordinator::share::{ShareKey, ShareShard};
use catchword_log::{PartitionLog, Read, ReadLimit};
use catchword_wire::batch::{BatchError, RecordView, split, view_records};
use tracing::warn;

/// Bytes that are read at a time.
const CHUNK: usize = 4 << 20;

/// What ends a batch before its end.
struct Broken(String);

impl From<BatchError> for Broken {
    fn from(error: BatchError) -> Broken {
        Broken(error.to_string())
    }
}

/// The state that the log tells, and at which offset the newest snapshot of each share partition stands.
pub(super) fn load(
    log: &dyn PartitionLog,
    updates_per_snapshot: u32,
) -> Result<(ShareShard, HashMap<ShareKey, i64>), String> {
    let mut machine = ShareShard::new(updates_per_snapshot);
    let mut snapshots = HashMap::new();
    let mut offset = log.offsets().log_start;
    while offset < log.offsets().log_end {
        let Read::Now(read) = log.read(offset, CHUNK, ReadLimit::LogEnd, true) else {
            return Err("the log cannot be read at once".into());
        };
        let data = read.map_err(|e| e.to_string())?.data;
        let bytes = data.read().map_err(|e| e.to_string())?;
        if bytes.is_empty() {
            return Err(format!(
                "no records at offset {offset}, below the log's end"
            ));
        }
        for batch in split(bytes) {
            let batch = batch.map_err(|e| format!("offset {offset}: {e}"))?;
            let from = offset;
            offset = batch.header.next_offset();
            if batch.header.is_control() {
                continue;
            }
            let one = |record: RecordView<'_>| {
                let Some(key) = record.key.filter(|_| record.offset >= from) else {
                    return Ok(());
                };
                match machine.replay(key, record.value) {
                    Ok(None) => {}
                    Ok(Some(key)) if record.value.is_none() => drop(snapshots.remove(&key)),
                    Ok(Some(key)) => drop(snapshots.insert(key, record.offset)),
                    Err(error @ ReplayError::UnknownKeyType(_)) => {
                        warn!("offset {}: {error}: skipped", record.offset);
                    }
                    Err(error) => return Err(Broken(format!("offset {}: {error}", record.offset))),
                }
                Ok(())
            };
            view_records(&batch, one).map_err(|Broken(why)| why)?;
        }
    }
    Ok((machine, snapshots))
}
