//! Reads a shard's log from its start to its end.

use catchword_coordinator::{GroupShard, ReplayError};
use catchword_log::{LogError, PartitionLog, Read, ReadLimit};
use catchword_wire::batch::{records, split};
use tracing::warn;

use super::transactional::Transactional;

/// Bytes read at once.
const CHUNK: usize = 4 << 20;

/// Applies every record of the log. The error says what is wrong and where.
pub(super) fn replay(log: &dyn PartitionLog, machine: &mut GroupShard) -> Result<(), String> {
    match log.ready() {
        // What is there can still be read, and groups told where they stand.
        Ok(()) | Err(LogError::Poisoned { .. }) => {}
        Err(error) => return Err(error.to_string()),
    }
    let mut offset = log.offsets().log_start;
    let mut transactional = Transactional::default();
    while offset < log.offsets().log_end {
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
            offset = batch.header.next_offset();
            let counted = transactional.pass(batch);
            for batch in counted.map_err(|e| format!("below offset {offset}: {e}"))? {
                apply(&batch, machine)?;
            }
        }
    }
    if transactional.unfinished() > 0 {
        let count = transactional.unfinished();
        warn!("commits of {count} transactions that never ended are skipped");
    }
    Ok(())
}

fn apply(batch: &catchword_wire::batch::Batch, machine: &mut GroupShard) -> Result<(), String> {
    let at = batch.header.base_offset;
    for record in records(batch).map_err(|e| format!("offset {at}: {e}"))? {
        let record = record.map_err(|e| format!("batch at offset {at}: {e}"))?;
        let Some(key) = &record.key else {
            warn!(
                "offset {}: a record without a key is skipped",
                record.offset
            );
            continue;
        };
        // Headers tell who moved a bookmark, which is history: no state comes of them yet.
        match machine.replay(record.timestamp, key, record.value.as_deref(), &[]) {
            Ok(()) => {}
            Err(error @ ReplayError::UnknownKeyType(_)) => {
                warn!("offset {}: {error}: skipped", record.offset);
            }
            Err(error) => return Err(format!("offset {}: {error}", record.offset)),
        }
    }
    Ok(())
}
