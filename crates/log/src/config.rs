//! What a topic's configuration says about its logs, with Kafka's names and defaults.
//!
//! Values arrive checked by whoever parsed them; this module must not know where they come from.

/// What happens to old records: `cleanup.policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CleanupPolicy {
    /// Segments are deleted when they are too old or the log is too large.
    Delete,
    /// The last value of each key is kept.
    Compact,
    /// Both.
    CompactAndDelete,
    /// Neither: an empty list of policies keeps everything (KIP-1161).
    None,
}

impl CleanupPolicy {
    /// Whether the log is compacted by key.
    pub fn compacts(self) -> bool {
        matches!(
            self,
            CleanupPolicy::Compact | CleanupPolicy::CompactAndDelete
        )
    }

    /// Whether retention by time and size deletes segments.
    pub fn deletes(self) -> bool {
        matches!(
            self,
            CleanupPolicy::Delete | CleanupPolicy::CompactAndDelete
        )
    }
}

/// Whose clock a record's timestamp is: `message.timestamp.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's, at the append.
    LogAppendTime,
}

/// A partition's configuration. Each field is Kafka's topic config of the same name, with Kafka's default.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment file is not let grow past this.
    pub segment_bytes: u64,
    /// `segment.ms`: a segment older than this is closed and a new one begun.
    pub segment_ms: i64,
    /// `segment.index.bytes`: the largest offset or time index file.
    pub segment_index_bytes: u64,
    /// `index.interval.bytes`: how many bytes of log lie between two index entries.
    pub index_interval_bytes: u64,
    /// `retention.ms`: segments whose newest record is older are deleted; -1 keeps them for ever.
    pub retention_ms: i64,
    /// `retention.bytes`: the oldest segments are deleted while the log is larger; -1 is no limit.
    pub retention_bytes: i64,
    /// `cleanup.policy`.
    pub cleanup_policy: CleanupPolicy,
    /// `delete.retention.ms`: how long a tombstone stays after its first compaction.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`: records younger than this are not compacted.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: records older than this are compacted whatever the dirty ratio.
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`: compaction begins when this share of the log's bytes is not yet compacted.
    pub min_cleanable_dirty_ratio: f64,
    /// `file.delete.delay.ms`. Kept for DescribeConfigs: readers hold their files open, so files go at once.
    pub file_delete_delay_ms: i64,
    /// `message.timestamp.type`.
    pub message_timestamp_type: TimestampType,
    /// `producer.id.expiration.ms`: an idle producer's sequence is forgotten after this.
    pub producer_id_expiration_ms: i64,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        LogConfig {
            segment_bytes: 1024 * 1024 * 1024,
            segment_ms: 7 * DAY_MS,
            segment_index_bytes: 10 * 1024 * 1024,
            index_interval_bytes: 4096,
            retention_ms: 7 * DAY_MS,
            retention_bytes: -1,
            cleanup_policy: CleanupPolicy::Delete,
            delete_retention_ms: DAY_MS,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            file_delete_delay_ms: 60_000,
            message_timestamp_type: TimestampType::CreateTime,
            producer_id_expiration_ms: DAY_MS,
        }
    }
}
