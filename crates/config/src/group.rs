//! The groups' keys (KIP-1043's resource GROUP): Kafka 4.3's names for consumer groups.
//!
//! Classic groups have no keys of their own in Kafka. The keys of share and streams groups come with those protocols.

use std::collections::BTreeMap;

use crate::broker::BrokerConfig;
use crate::error::{ConfigError, nearest};
use crate::key::{Key, Scope, key_table, same};
use crate::value::Value;

const LATER: &str = "what is set on a group is not heeded yet, the key of the broker is";

key_table! {
    /// Every key that is set on a group.
    GROUP_KEYS;
    /// The group keys' values for one group.
    GroupSettings;
    Scope::Group;

    consumer_assignment_interval_ms: i32 = Key::int("consumer.assignment.interval.ms", "1000").at_least(0).stands(&[same("group.consumer.assignment.interval.ms")])
        .doc("How long at least between two assignments of a KIP-848 group, in milliseconds.").accepted(LATER);
    consumer_heartbeat_interval_ms: i32 = Key::int("consumer.heartbeat.interval.ms", "5000").at_least(1).stands(&[same("group.consumer.heartbeat.interval.ms")])
        .doc("Heartbeat interval of the group's members, in milliseconds.").accepted(LATER);
    consumer_session_timeout_ms: i32 = Key::int("consumer.session.timeout.ms", "45000").at_least(1).stands(&[same("group.consumer.session.timeout.ms")])
        .doc("Session timeout of the group's members, in milliseconds.").accepted(LATER);
}

impl GroupSettings {
    /// The settings of a group on which `overrides` are set.
    pub fn resolve(
        broker: &BrokerConfig,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        for name in overrides.keys() {
            known_key(name)?;
        }
        let mut values = Vec::with_capacity(GROUP_KEYS.len());
        for key in GROUP_KEYS {
            values.push(match overrides.get(key.name) {
                Some(text) => key.parse(text)?,
                None => crate::topic::inherited(broker, key),
            });
        }
        Self::from_values(&values)
    }
}

/// The group key of that name, or an error that names the nearest.
pub fn known_key(name: &str) -> Result<&'static Key, ConfigError> {
    GROUP_KEYS
        .iter()
        .find(|key| key.name == name)
        .ok_or_else(|| ConfigError::Unknown {
            name: name.to_owned(),
            scope: Scope::Group,
            nearest: nearest(name, GROUP_KEYS.iter().map(|key| key.name)),
        })
}

/// Checks one key of a group by itself.
pub fn validate_group_config(name: &str, value: &str) -> Result<Value, ConfigError> {
    known_key(name)?.parse(value)
}

/// Checks all that is to be set on a group.
pub fn validate_group_configs(
    broker: &BrokerConfig,
    overrides: &BTreeMap<String, String>,
) -> Result<(), ConfigError> {
    GroupSettings::resolve(broker, overrides).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_follows_its_broker_until_it_is_told_otherwise() {
        let pairs = [("group.consumer.session.timeout.ms", "50000")];
        let broker = BrokerConfig::from_pairs(&pairs).unwrap();
        let none = GroupSettings::resolve(&broker, &BTreeMap::new()).unwrap();
        assert_eq!(none.consumer_session_timeout_ms, 50_000);
        assert_eq!(none.consumer_heartbeat_interval_ms, 5000);
        assert!(validate_group_config("consumer.session.timeout", "1").is_err());
    }
}
