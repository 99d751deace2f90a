//! From configuration keys to what the log and the coordinators take.

use catchword_config::{BrokerConfig, TimestampType, TopicSettings};
use catchword_log::{CleanupPolicy, LogConfig, TimestampType as LogTimestampType};

/// What a topic's settings mean for its logs.
pub(crate) fn log_config(broker: &BrokerConfig, topic: &TopicSettings) -> LogConfig {
    LogConfig {
        segment_bytes: u64::try_from(topic.effective_segment_bytes()).unwrap_or(1),
        segment_ms: topic.segment_ms,
        segment_index_bytes: u64::try_from(topic.segment_index_bytes).unwrap_or(4),
        index_interval_bytes: u64::try_from(topic.index_interval_bytes).unwrap_or(0),
        retention_ms: topic.retention_ms,
        retention_bytes: topic.retention_bytes,
        cleanup_policy: match (
            topic.compacts() && broker.log_cleaner_enable,
            topic.deletes(),
        ) {
            (true, true) => CleanupPolicy::CompactAndDelete,
            (true, false) => CleanupPolicy::Compact,
            (false, true) => CleanupPolicy::Delete,
            (false, false) => CleanupPolicy::None,
        },
        delete_retention_ms: topic.delete_retention_ms,
        min_compaction_lag_ms: topic.min_compaction_lag_ms,
        max_compaction_lag_ms: topic.max_compaction_lag_ms,
        min_cleanable_dirty_ratio: topic.min_cleanable_dirty_ratio,
        file_delete_delay_ms: topic.file_delete_delay_ms,
        message_timestamp_type: match topic.message_timestamp_type {
            TimestampType::CreateTime => LogTimestampType::CreateTime,
            TimestampType::LogAppendTime => LogTimestampType::LogAppendTime,
        },
        producer_id_expiration_ms: i64::from(broker.producer_id_expiration_ms),
    }
}
