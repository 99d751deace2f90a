//! What groups of KIP-848's protocol are told from outside: the topics, and what is set on a group.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use catchword_config::BrokerConfig;
use catchword_coordinator::{ConsumerGroupConfig, GroupSettings, MetadataImage, MigrationPolicy};
use catchword_wire::Str;

use super::Groups;
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
    }
}

/// What is set on single groups, in place of the broker's settings. Each shard is handed it when it is loaded.
pub(super) fn group_settings(_catalog: &Catalog) -> BTreeMap<Str, GroupSettings> {
    // Nothing can be set on a group yet.
    BTreeMap::new()
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
