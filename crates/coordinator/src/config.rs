//! What an operator can set of the coordinator's behaviour.
//!
//! Every field is named as Kafka's configuration key is. This file must not know where values come from.

/// Settings of a [`GroupShard`](crate::GroupShard). The default is Kafka's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`: the shortest session timeout that a classic member may ask for.
    pub group_min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`: the longest one.
    pub group_max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members before its first rebalance.
    pub group_initial_rebalance_delay_ms: i32,
    /// `group.max.size`: the most members of one group.
    pub group_max_size: i32,
    /// How long a new member may wait for its first join to be answered, whatever its session timeout (Kafka's constant).
    pub group_new_member_join_timeout_ms: i32,
    /// `offset.metadata.max.bytes`: the longest text beside an offset, in UTF-16 code units as Kafka counts it.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`, in milliseconds: how long the offsets of a group without readers are kept.
    pub offsets_retention_ms: i64,
}

impl Default for GroupConfig {
    fn default() -> GroupConfig {
        GroupConfig {
            group_min_session_timeout_ms: 6_000,
            group_max_session_timeout_ms: 1_800_000,
            group_initial_rebalance_delay_ms: 3_000,
            group_max_size: i32::MAX,
            group_new_member_join_timeout_ms: 5 * 60 * 1000,
            offset_metadata_max_bytes: 4096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1000,
        }
    }
}
