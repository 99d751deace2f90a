//! What groups of KIP-848's protocol are told from outside: the topics, and what is set on a group.

use std::sync::{Arc, PoisonError};

use catchword_config::BrokerConfig;
use catchword_coordinator::{
    Call, ConsumerGroupConfig, GroupSettings, GroupShard, MetadataImage, MigrationPolicy,
    StreamsSettings,
};
use catchword_wire::Str;

use super::Groups;
use crate::broker::Broker;
use crate::catalog::Catalog;

/// What holds for consumer groups on a broker with this configuration.
pub(super) fn consumer_config(config: &BrokerConfig) -> ConsumerGroupConfig {
    ConsumerGroupConfig {
        defaults: settings_of(config),
        max_size: usize::try_from(config.group_consumer_max_size).unwrap_or(0),
        assignors: config
            .group_consumer_assignors
            .iter()
            .map(|name| Str::copy(name))
            .collect(),
        migration_policy: match config.group_consumer_migration_policy.as_str() {
            "disabled" => MigrationPolicy::Disabled,
            "upgrade" => MigrationPolicy::Upgrade,
            "downgrade" => MigrationPolicy::Downgrade,
            _ => MigrationPolicy::Bidirectional,
        },
    }
}

/// The settings of a group on which nothing is set: the broker's, kept within the broker's bounds.
fn settings_of(config: &BrokerConfig) -> GroupSettings {
    let within = |value: i32, min: i32, max: i32| value.max(min).min(max.max(min));
    GroupSettings {
        session_timeout_ms: within(
            config.group_consumer_session_timeout_ms,
            config.group_consumer_min_session_timeout_ms,
            config.group_consumer_max_session_timeout_ms,
        ),
        heartbeat_interval_ms: within(
            config.group_consumer_heartbeat_interval_ms,
            config.group_consumer_min_heartbeat_interval_ms,
            config.group_consumer_max_heartbeat_interval_ms,
        ),
        assignment_interval_ms: config.group_consumer_assignment_interval_ms,
        share_session_timeout_ms: config.group_share_session_timeout_ms,
        share_heartbeat_interval_ms: config.group_share_heartbeat_interval_ms,
        streams: StreamsSettings {
            session_timeout_ms: within(
                config.group_streams_session_timeout_ms,
                config.group_streams_min_session_timeout_ms,
                config.group_streams_max_session_timeout_ms,
            ),
            heartbeat_interval_ms: within(
                config.group_streams_heartbeat_interval_ms,
                config.group_streams_min_heartbeat_interval_ms,
                config.group_streams_max_heartbeat_interval_ms,
            ),
            assignment_interval_ms: within(
                config.group_streams_assignment_interval_ms,
                config.group_streams_min_assignment_interval_ms,
                config.group_streams_max_assignment_interval_ms,
            ),
            initial_rebalance_delay_ms: config.group_streams_initial_rebalance_delay_ms,
            num_standby_replicas: config
                .group_streams_num_standby_replicas
                .min(config.group_streams_max_standby_replicas),
        },
    }
}

/// Tells a shard what it must know for a call: the topics as they are, and what is set on the group.
pub(super) fn look_around(machine: &mut GroupShard, broker: &Broker, call: &Call) {
    let catalog = &broker.catalog;
    if machine.metadata_version() != catalog.topics_version() {
        machine.set_metadata(broker.groups.metadata(catalog));
    }
    if let Some(group_id) = may_be_protected(call) {
        machine.set_protection(group_id, catalog.protection(group_id));
        if !matches!(call, Call::OffsetCommit(_)) {
            machine.set_retention_rules(catalog.retention_rules());
        }
        return;
    }
    let beats = match call {
        Call::ConsumerGroupHeartbeat(request) => &request.group_id,
        Call::ShareGroupHeartbeat(request) => &request.group_id,
        Call::StreamsGroupHeartbeat(request) => &request.group_id,
        Call::Survey(_) => return machine.set_retention_rules(catalog.retention_rules()),
        _ => return,
    };
    let own = catalog.group_configs(beats);
    machine.set_group_settings(beats, own.map(|own| set_on_group(&own)));
}

/// The group whose offsets the call moves, if its sender need not be a member.
fn may_be_protected(call: &Call) -> Option<&Str> {
    match call {
        Call::OffsetCommit(request) if request.generation_id_or_member_epoch < 0 => {
            Some(&request.group_id)
        }
        Call::OffsetDelete(request) => Some(&request.group_id),
        Call::DeleteGroup(group_id) => Some(group_id),
        Call::MoveOffsets(call) => Some(&call.group_id),
        _ => None,
    }
}

fn set_on_group(own: &catchword_config::GroupSettings) -> GroupSettings {
    GroupSettings {
        session_timeout_ms: own.consumer_session_timeout_ms,
        heartbeat_interval_ms: own.consumer_heartbeat_interval_ms,
        assignment_interval_ms: own.consumer_assignment_interval_ms,
        share_session_timeout_ms: own.share_session_timeout_ms,
        share_heartbeat_interval_ms: own.share_heartbeat_interval_ms,
        streams: StreamsSettings {
            session_timeout_ms: own.streams_session_timeout_ms,
            heartbeat_interval_ms: own.streams_heartbeat_interval_ms,
            assignment_interval_ms: own.streams_assignment_interval_ms,
            initial_rebalance_delay_ms: own.streams_initial_rebalance_delay_ms,
            num_standby_replicas: own.streams_num_standby_replicas,
        },
    }
}

impl Groups {
    /// The topics as they are now; made once for all shards.
    pub(super) fn metadata(&self, catalog: &Catalog) -> Arc<MetadataImage> {
        let mut known = self.metadata.lock().unwrap_or_else(PoisonError::into_inner);
        if known.version() != catalog.topics_version() {
            *known = Arc::new(catalog.metadata_image());
        }
        known.clone()
    }
}
