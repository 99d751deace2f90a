//! The housekeeping of an engine, a bounded step at a time.
//!
//! Invariant: a step takes a fraction of a second whatever there is to do. Logs take turns, so that each is looked at
//! however many there are. A log whose topic's configuration is not known yet loses nothing.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::engine::LocalEngine;
use super::log::LocalLog;
use super::names;
use super::segment::lock;
use crate::LogError;
use crate::api::TopicPartition;

/// How long one step may look at logs.
pub(super) const SWEEP: Duration = Duration::from_millis(50);
/// A log that was not used for so long has its active segment's file closed.
const IDLE_MS: i64 = 60_000;
/// The same while more files are open than should be.
const IDLE_MS_WHEN_MANY_ARE_OPEN: i64 = 2_000;

/// Where the housekeeping is.
#[derive(Default)]
pub(crate) struct Maintenance {
    last_checkpoint_ms: i64,
    /// The log that the last sweep ended with.
    cursor: Option<TopicPartition>,
    /// When retention was last applied to each log by this process, ms.
    retained_ms: BTreeMap<TopicPartition, i64>,
    /// The time of the first step, ms.
    first_step_ms: Option<i64>,
    /// Active segments found open, and logs looked at, since the last estimate.
    found_open: (usize, usize),
    many_are_open: bool,
}

impl Maintenance {
    /// Whether retention is due for a log, and notes that it is applied then: records past their time are readable until
    /// the next look, as in Kafka (`log.initial.task.delay.ms`, then every `log.retention.check.interval.ms`).
    fn retention_is_due(&mut self, engine: &LocalEngine, log: &LocalLog, now_ms: i64) -> bool {
        let options = &engine.core.options;
        let first_step_ms = *self.first_step_ms.get_or_insert(now_ms);
        let due_ms = match self.retained_ms.get(&log.partition) {
            Some(last_ms) => last_ms.saturating_add(options.retention_check_interval_ms),
            None => first_step_ms.saturating_add(options.initial_task_delay_ms),
        };
        if now_ms < due_ms {
            return false;
        }
        self.retained_ms.insert(log.partition.clone(), now_ms);
        true
    }

    /// Counts a log that was looked at; after a round over all of them it is known how many are open.
    fn count(&mut self, engine: &LocalEngine) {
        self.found_open.1 += 1;
        let all = engine
            .logs
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len();
        if self.found_open.1 >= all {
            self.many_are_open = self.found_open.0 > engine.core.options.open_files;
            self.found_open = (0, 0);
        }
    }
}

pub(crate) fn step(engine: &LocalEngine, now_ms: i64) {
    let mut state = lock(&engine.maintenance);
    engine.core.now_ms();
    if engine.core.stopped().is_some() {
        return;
    }
    if now_ms - state.last_checkpoint_ms >= engine.core.options.checkpoint_interval_ms {
        state.last_checkpoint_ms = now_ms;
        if let Err(error) = checkpoint(engine) {
            tracing::warn!(%error, "recovery points could not be stored; a restart after a crash takes longer");
        }
    }
    remove_one(engine);
    sweep(engine, &mut state, now_ms);
}

/// Stores how far each log is durable, and has the rest synced for the next time.
fn checkpoint(engine: &LocalEngine) -> Result<(), LogError> {
    let mut points = lock(&engine.core.recovery_points).clone();
    for log in engine.all_logs() {
        let Some(loaded) = log.if_loaded() else {
            continue;
        };
        let synced_end = loaded.synced_end.load(Ordering::Acquire);
        points.insert(log.partition.clone(), synced_end);
        if synced_end < lock(&loaded.view).log_end {
            log.enqueue_sync(loaded);
        }
        let mut writer = lock(&loaded.writer);
        if !writer.producers.is_empty() && writer.stopped.is_none() {
            log.snapshot_producers(loaded, &mut writer);
        }
    }
    let mut stored = lock(&engine.core.recovery_points);
    if *stored != points {
        engine.core.store_offsets(names::RECOVERY_POINTS, &points)?;
        *stored = points;
    }
    Ok(())
}

/// Removes the directory of one deleted log.
fn remove_one(engine: &LocalEngine) {
    let Some(path) = lock(&engine.removals).pop_front() else {
        return;
    };
    if let Err(error) = engine.core.disk.remove_dir(&path) {
        tracing::warn!(%error, "a deleted partition's directory could not be removed; the next start tries again");
    }
}

/// Looks at some logs in turn, from where the last sweep ended.
fn sweep(engine: &LocalEngine, state: &mut Maintenance, now_ms: i64) {
    let begun = Instant::now();
    for log in next_logs(engine, state.cursor.as_ref()) {
        let idle_ms = if state.many_are_open {
            IDLE_MS_WHEN_MANY_ARE_OPEN
        } else {
            IDLE_MS
        };
        let retain = state.retention_is_due(engine, &log, now_ms);
        match keep(&log, now_ms, idle_ms, retain) {
            Ok(is_open) => state.found_open.0 += usize::from(is_open),
            Err(error) => {
                tracing::warn!(partition = %log.partition, %error, "housekeeping of a log failed; it is tried again");
            }
        }
        state.count(engine);
        state.cursor = Some(log.partition.clone());
        if begun.elapsed() > SWEEP {
            break;
        }
    }
}

/// The logs whose turn it is: a part of them all, so that ten thousand idle ones cost next to nothing a second.
pub(super) fn next_logs(
    engine: &LocalEngine,
    cursor: Option<&TopicPartition>,
) -> Vec<Arc<LocalLog>> {
    let logs = engine.logs.read().unwrap_or_else(PoisonError::into_inner);
    let count = logs.len().min(64.max(logs.len() / 16));
    let from = cursor.map_or(Bound::Unbounded, Bound::Excluded);
    let rest = logs.range::<TopicPartition, _>((from, Bound::Unbounded));
    rest.chain(logs.iter())
        .take(count)
        .map(|(_, log)| log.clone())
        .collect()
}

/// What one log needs now. Says whether its active segment is open.
fn keep(log: &LocalLog, now_ms: i64, idle_ms: i64, retain: bool) -> Result<bool, LogError> {
    let unrecovered = !log.core.was_clean && !log.created && log.if_loaded().is_none();
    if unrecovered || log.needs_retention() {
        let loaded = log.loaded()?;
        if log.is_configured() {
            log.roll_by_time(loaded, now_ms)?;
            if retain {
                log.apply_retention(loaded, now_ms)?;
            }
        }
    }
    let Some(loaded) = log.if_loaded() else {
        return Ok(false);
    };
    let expiration_ms = log.current_config().producer_id_expiration_ms;
    {
        let mut writer = lock(&loaded.writer);
        writer.producers.expire(now_ms, expiration_ms);
        writer.verifications.expire(now_ms, expiration_ms);
    }
    Ok(log.close_files(loaded, idle_ms))
}
