//! Which log is compacted next: the dirtiest of those whose turn it is.
//!
//! Invariant: one compaction at a time, on the thread of whoever calls [`step`]; it may take long, so it is not the thread
//! of the housekeeping.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::engine::LocalEngine;
use super::log::LocalLog;
use super::maintain::{SWEEP, next_logs};
use super::names;
use super::pace::Pace;
use super::segment::lock;
use crate::LogError;
use crate::api::{PartitionLog, TopicPartition};
use crate::compaction::Plan;

/// Where the compactions are.
#[derive(Default)]
pub(crate) struct Cleaner {
    /// The log that the last look ended with.
    cursor: Option<TopicPartition>,
    /// When each log was compacted last by this process, ms.
    compacted_ms: BTreeMap<TopicPartition, i64>,
    /// The time of the first step, ms.
    first_step_ms: Option<i64>,
}

/// Looks at some logs in turn, from where the last look ended, and compacts the one that needs it most.
pub(crate) fn step(engine: &LocalEngine, now_ms: i64, bytes_per_second: f64) {
    let mut state = lock(&engine.cleaner);
    if engine.core.stopped().is_some() {
        return;
    }
    let Some((log, plan)) = dirtiest(engine, &mut state, now_ms) else {
        return;
    };
    state.compacted_ms.insert(log.partition.clone(), now_ms);
    match compact(engine, &log, plan, now_ms, Pace::new(bytes_per_second)) {
        Ok(()) | Err(LogError::Closed) => {}
        Err(error) => {
            tracing::warn!(partition = %log.partition, %error, "a compaction failed; the log is as it was, and it is tried again");
        }
    }
}

fn dirtiest(
    engine: &LocalEngine,
    state: &mut Cleaner,
    now_ms: i64,
) -> Option<(Arc<LocalLog>, Plan)> {
    let begun = Instant::now();
    let first_step_ms = *state.first_step_ms.get_or_insert(now_ms);
    let mut dirtiest: Option<(Arc<LocalLog>, Plan)> = None;
    for log in next_logs(engine, state.cursor.as_ref()) {
        state.cursor = Some(log.partition.clone());
        // A start is no reason to go through every log again.
        let last_pass_ms = state.compacted_ms.get(&log.partition).copied();
        let last_pass_ms = last_pass_ms.unwrap_or(first_step_ms);
        if let Some(plan) = plan_of(engine, &log, last_pass_ms, now_ms)
            && dirtiest
                .as_ref()
                .is_none_or(|(_, best)| plan.dirty_ratio > best.dirty_ratio)
        {
            dirtiest = Some((log, plan));
        }
        if begun.elapsed() > SWEEP {
            break;
        }
    }
    dirtiest
}

fn plan_of(engine: &LocalEngine, log: &LocalLog, last_pass_ms: i64, now_ms: i64) -> Option<Plan> {
    if !log.is_configured() || !log.current_config().cleanup_policy.compacts() {
        return None;
    }
    let policy = (engine.core.options.compaction_policy)(&log.partition.topic);
    let planned = log.plan_compaction(log.if_loaded()?, &*policy, last_pass_ms, now_ms);
    planned.unwrap_or_else(|error| {
        tracing::warn!(partition = %log.partition, %error, "a log cannot be examined for compaction");
        None
    })
}

/// Compacts the log, and stores how far.
fn compact(
    engine: &LocalEngine,
    log: &LocalLog,
    plan: Plan,
    now_ms: i64,
    mut pace: Pace,
) -> Result<(), LogError> {
    let core = &engine.core;
    let policy = (core.options.compaction_policy)(&log.partition.topic);
    let before = log.size_bytes();
    let end = log.compact(log.loaded()?, &*policy, plan, now_ms, &mut pace)?;
    tracing::info!(partition = %log.partition, from = plan.first_dirty, end, before,
        after = log.size_bytes(), "compacted a log");
    let mut offsets = lock(&core.cleaner_offsets);
    offsets.insert(log.partition.clone(), end);
    core.store_offsets(names::CLEANER_OFFSETS, &offsets)
}
