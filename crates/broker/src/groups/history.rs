//! Compaction of `__consumer_offsets`: by age, so that the log is the history of the bookmarks.
//!
//! Only glue: what stays is decided in `catchword-coordinator`, what a compaction is in `catchword-log`.

use std::sync::Arc;

use catchword_config::BrokerConfig;
use catchword_coordinator::{History, HistoryPass};
use catchword_log::{CompactionPass, CompactionPolicy, LatestValue, PolicyOfTopic};
use catchword_wire::batch::Record;

use crate::catalog::OFFSETS_TOPIC;

/// A log is thinned at least so often, ms, though nothing is written to it.
const MAX_INTERVAL_MS: i64 = 60 * 60 * 1000;
/// And no more often, however short history is.
const MIN_INTERVAL_MS: i64 = 60 * 1000;

/// How the topics of a broker with this configuration are compacted: committed offsets by age, all others to the last
/// value of each key, as Kafka does.
pub fn compaction_policy(config: &BrokerConfig) -> PolicyOfTopic {
    let history = History {
        all_ms: config.offsets_history_all_ms,
        minutely_ms: config.offsets_history_minutely_ms,
        hourly_ms: config.offsets_history_hourly_ms,
        max_bytes: u64::try_from(config.offsets_history_max_bytes).unwrap_or(0),
    };
    Arc::new(move |topic| {
        if topic == OFFSETS_TOPIC {
            Arc::new(KeepsHistory(history))
        } else {
            Arc::new(LatestValue)
        }
    })
}

struct KeepsHistory(History);

impl CompactionPolicy for KeepsHistory {
    fn begin(&self, now_ms: i64, memory_bytes: usize) -> Box<dyn CompactionPass> {
        Box::new(Pass(HistoryPass::new(self.0, now_ms, memory_bytes)))
    }

    /// Whether a move stays depends on the one before it, and moves that stayed are judged again when they are older.
    fn needs_whole_log(&self) -> bool {
        true
    }

    fn interval_ms(&self) -> Option<i64> {
        let all_ms = self.0.all_ms;
        Some(all_ms.clamp(MIN_INTERVAL_MS, MAX_INTERVAL_MS))
    }
}

struct Pass(HistoryPass);

impl CompactionPass for Pass {
    fn note(&mut self, record: &Record) -> bool {
        self.0.note(record)
    }

    fn may_drop(&mut self) -> bool {
        self.0.drops_any()
    }

    /// `delete.retention.ms` does not matter: a tombstone stays as long as history reaches, and a day at least.
    fn keep(&mut self, record: &Record, _tombstone_due: bool) -> bool {
        self.0.keeps(record.offset)
    }
}
