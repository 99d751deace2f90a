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
    /// `group.share.max.size`: the most members of one share group.
    pub share_max_size: usize,
    /// `group.streams.max.size`: the most members of one streams group.
    pub streams_max_size: usize,
    /// What holds for groups of KIP-848's protocol.
    pub consumer: ConsumerGroupConfig,
}

/// Settings of KIP-848's groups; the keys begin with `group.consumer.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupConfig {
    /// What can be set on a single group too, where it is not.
    pub defaults: GroupSettings,
    /// `max.size`: the most members of one group.
    pub max_size: usize,
    /// `assignors`: the names of those that members may ask for, the default first.
    pub assignors: Vec<catchword_wire::Str>,
    /// `migration.policy`.
    pub migration_policy: MigrationPolicy,
}

/// What can be set on one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSettings {
    /// `consumer.session.timeout.ms`: a member that is not heard of for so long is out.
    pub session_timeout_ms: i32,
    /// `consumer.heartbeat.interval.ms`: how often members are told to heartbeat.
    pub heartbeat_interval_ms: i32,
    /// `consumer.assignment.interval.ms`: how long at least between two target assignments.
    pub assignment_interval_ms: i32,
    /// `share.session.timeout.ms`, of a share group.
    pub share_session_timeout_ms: i32,
    /// `share.heartbeat.interval.ms`, of a share group.
    pub share_heartbeat_interval_ms: i32,
    /// What concerns a streams group alone.
    pub streams: StreamsSettings,
}

/// What can be set on one streams group; the keys begin with `streams.`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamsSettings {
    /// `session.timeout.ms`: a member that is not heard of for so long is out.
    pub session_timeout_ms: i32,
    /// `heartbeat.interval.ms`: how often members are told to heartbeat.
    pub heartbeat_interval_ms: i32,
    /// `assignment.interval.ms`: how long at least between two target assignments.
    pub assignment_interval_ms: i32,
    /// `initial.rebalance.delay.ms`: how long a group that was empty waits for more members.
    pub initial_rebalance_delay_ms: i32,
    /// `num.standby.replicas`: how many copies of a task's state there are.
    pub num_standby_replicas: i32,
}

/// What outsiders may not do to a group's offsets: see [`GroupShard::set_protection`](crate::GroupShard::set_protection).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Neither move them back nor delete them.
    ForwardOnly,
    /// Nothing at all.
    Frozen,
}

impl Protection {
    /// As the GROUP key `offsets.protect` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Protection::ForwardOnly => "forward-only",
            Protection::Frozen => "frozen",
        }
    }
}

/// Which groups with members may change their protocol: those whose last classic member goes become consumer groups as
/// soon as one of those joins (upgrade), and the other way round (downgrade).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MigrationPolicy {
    Disabled,
    Upgrade,
    Downgrade,
    Bidirectional,
}

impl MigrationPolicy {
    pub(crate) fn may_upgrade(self) -> bool {
        matches!(
            self,
            MigrationPolicy::Upgrade | MigrationPolicy::Bidirectional
        )
    }

    pub(crate) fn may_downgrade(self) -> bool {
        matches!(
            self,
            MigrationPolicy::Downgrade | MigrationPolicy::Bidirectional
        )
    }
}

impl Default for GroupSettings {
    fn default() -> GroupSettings {
        GroupSettings {
            session_timeout_ms: 45_000,
            heartbeat_interval_ms: 5_000,
            assignment_interval_ms: 1_000,
            share_session_timeout_ms: 45_000,
            share_heartbeat_interval_ms: 5_000,
            streams: StreamsSettings::default(),
        }
    }
}

impl Default for StreamsSettings {
    fn default() -> StreamsSettings {
        StreamsSettings {
            session_timeout_ms: 45_000,
            heartbeat_interval_ms: 5_000,
            assignment_interval_ms: 1_000,
            initial_rebalance_delay_ms: 3_000,
            num_standby_replicas: 0,
        }
    }
}

impl Default for ConsumerGroupConfig {
    fn default() -> ConsumerGroupConfig {
        ConsumerGroupConfig {
            defaults: GroupSettings::default(),
            max_size: usize::MAX,
            assignors: crate::assignor::NAMES.map(Into::into).to_vec(),
            migration_policy: MigrationPolicy::Bidirectional,
        }
    }
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
            share_max_size: 200,
            streams_max_size: usize::MAX,
            consumer: ConsumerGroupConfig::default(),
        }
    }
}
