//! Finding records by their timestamps.
//!
//! Invariant: the answer is exact. The time index only says where to begin; the batch is opened to find the record.

use catchword_wire::batch::{Batch, records};

use super::log::{Loaded, LocalLog};
use super::segment::Segment;
use super::walk::Walk;
use crate::api::TimestampOffset;
use crate::{LogError, ReadError};

pub(crate) fn offset_for_timestamp(
    log: &LocalLog,
    loaded: &Loaded,
    timestamp: i64,
) -> Result<Option<TimestampOffset>, ReadError> {
    let (view, offsets) = log.snapshot(loaded);
    for segment in view.segments.iter().filter(|segment| segment.len() > 0) {
        if segment.max_time(&log.dir)?.timestamp < timestamp {
            continue;
        }
        let found = first_at_or_after(log, segment, timestamp, offsets.log_start)?;
        if let Some(found) = found.filter(|found| found.offset < offsets.high_watermark) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

pub(crate) fn max_timestamp(
    log: &LocalLog,
    loaded: &Loaded,
) -> Result<Option<TimestampOffset>, ReadError> {
    let (view, offsets) = log.snapshot(loaded);
    let mut best: Option<TimestampOffset> = None;
    for segment in view.segments.iter().filter(|segment| segment.len() > 0) {
        let largest = segment.max_time(&log.dir)?.timestamp;
        if best.is_some_and(|best| best.timestamp >= largest) {
            continue;
        }
        let found = if segment.base < offsets.log_start {
            // The largest may be below the log's start, so each batch counts.
            largest_by_scan(log, segment, offsets.log_start)?
        } else {
            first_at_or_after(log, segment, largest, offsets.log_start)?
        };
        if let Some(found) = found
            && best.is_none_or(|best| found.timestamp > best.timestamp)
        {
            best = Some(found);
        }
    }
    Ok(best)
}

/// The first record of the segment that is not older than `timestamp` and not below `log_start`.
fn first_at_or_after(
    log: &LocalLog,
    segment: &Segment,
    timestamp: i64,
    log_start: i64,
) -> Result<Option<TimestampOffset>, LogError> {
    let older =
        segment.with_indexes(&log.dir, |indexes| indexes.floor_time(&log.dir, timestamp))?;
    let from = older
        .ok()
        .flatten()
        .map_or(log_start, |older| older.offset.max(log_start));
    let Some(start) = segment.find_offset(&log.dir, from, segment.len())? else {
        return Ok(None);
    };
    let file = segment.file(&log.dir)?;
    let mut walk = Walk::new(&file, start.position, segment.len());
    while let Some(located) = walk
        .step()
        .map_err(|error| segment.walk_error(&log.dir, error))?
    {
        if located.header.max_timestamp < timestamp {
            continue;
        }
        let batch = segment.read_batch(&log.dir, &located)?;
        let fits = |at: &TimestampOffset| at.timestamp >= timestamp && at.offset >= log_start;
        if let Some(found) = places(log, segment, &batch)?.into_iter().find(fits) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn largest_by_scan(
    log: &LocalLog,
    segment: &Segment,
    log_start: i64,
) -> Result<Option<TimestampOffset>, LogError> {
    let mut best: Option<TimestampOffset> = None;
    let Some(start) = segment.find_offset(&log.dir, log_start, segment.len())? else {
        return Ok(None);
    };
    let file = segment.file(&log.dir)?;
    let mut walk = Walk::new(&file, start.position, segment.len());
    while let Some(located) = walk
        .step()
        .map_err(|error| segment.walk_error(&log.dir, error))?
    {
        if best.is_some_and(|best| best.timestamp >= located.header.max_timestamp) {
            continue;
        }
        let batch = segment.read_batch(&log.dir, &located)?;
        for at in places(log, segment, &batch)? {
            if at.offset >= log_start && best.is_none_or(|best| at.timestamp > best.timestamp) {
                best = Some(at);
            }
        }
    }
    Ok(best)
}

/// Offset and timestamp of each record of the batch.
fn places(
    log: &LocalLog,
    segment: &Segment,
    batch: &Batch,
) -> Result<Vec<TimestampOffset>, LogError> {
    let leader_epoch = batch.header.partition_leader_epoch;
    let damaged = |error: catchword_wire::batch::BatchError| {
        LogError::corrupt(
            &segment.path(&log.dir),
            format!("offset {}: {error}", batch.header.base_offset),
        )
    };
    records(batch)
        .map_err(damaged)?
        .map(|record| {
            let record = record.map_err(damaged)?;
            Ok(TimestampOffset {
                timestamp: record.timestamp,
                offset: record.offset,
                leader_epoch,
            })
        })
        .collect()
}
