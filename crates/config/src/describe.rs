//! What DescribeConfigs answers: each key's value, where it comes from, and what stands behind it.
//!
//! This file must not know Kafka's messages; the handler turns [`Described`] into one.

use std::collections::BTreeMap;

use crate::broker::BrokerConfig;
use crate::broker_keys::BROKER_KEYS;
use crate::client_metrics::CLIENT_METRICS_KEYS;
use crate::group::GROUP_KEYS;
use crate::key::Key;
use crate::topic::{TOPIC_KEYS, inherited};

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set on the topic.
    DynamicTopic,
    /// Set on the running broker.
    DynamicBroker,
    /// Set on all running brokers.
    DynamicDefaultBroker,
    /// Given when the broker was started: by flag, environment or file.
    StaticBroker,
    /// Nobody set it.
    Default,
    /// Set on the subscription to clients' metrics.
    ClientMetrics,
    /// Set on the group.
    Group,
}

impl ConfigSource {
    /// Kafka's number for it.
    pub const fn code(self) -> i8 {
        match self {
            Self::DynamicTopic => 1,
            Self::DynamicBroker => 2,
            Self::DynamicDefaultBroker => 3,
            Self::StaticBroker => 4,
            Self::Default => 5,
            Self::ClientMetrics => 7,
            Self::Group => 8,
        }
    }
}

/// One value among those a key could take its own from, the one that counts first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synonym {
    /// The key it was set by.
    pub name: &'static str,
    /// Its text; `None` if it is not to be shown.
    pub value: Option<String>,
    /// Where it was set.
    pub source: ConfigSource,
}

/// One key as DescribeConfigs shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The key.
    pub key: &'static str,
    /// The value that counts; `None` if there is none or it is not to be shown.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether a running broker refuses to change it.
    pub read_only: bool,
    /// Whether the value is hidden.
    pub sensitive: bool,
    /// Kafka's number of the type (KIP-569).
    pub config_type: i8,
    /// The key's words, and why it has no effect if it has none.
    pub documentation: String,
    /// What stands behind the value.
    pub synonyms: Vec<Synonym>,
}

/// All keys of a broker.
pub fn describe_broker(config: &BrokerConfig) -> Vec<Described> {
    let described = BROKER_KEYS.iter().map(|key| {
        let value = config.value(key).render();
        described(key, value, broker_synonyms(config, key))
    });
    described.collect()
}

/// All keys of a topic on which `overrides` are set.
pub fn describe_topic(
    broker: &BrokerConfig,
    overrides: &BTreeMap<String, String>,
) -> Vec<Described> {
    describe_overrides(broker, overrides, TOPIC_KEYS, ConfigSource::DynamicTopic)
}

/// All keys of a group on which `overrides` are set.
pub fn describe_group(
    broker: &BrokerConfig,
    overrides: &BTreeMap<String, String>,
) -> Vec<Described> {
    describe_overrides(broker, overrides, GROUP_KEYS, ConfigSource::Group)
}

/// All keys of a subscription to clients' metrics on which `overrides` are set. Their defaults do not stand among the
/// synonyms, unlike those of topics and groups: so it is with Kafka.
pub fn describe_client_metrics(
    broker: &BrokerConfig,
    overrides: &BTreeMap<String, String>,
) -> Vec<Described> {
    let own = ConfigSource::ClientMetrics;
    let mut all = describe_overrides(broker, overrides, CLIENT_METRICS_KEYS, own);
    for described in &mut all {
        described.synonyms.retain(|synonym| synonym.source == own);
    }
    all
}

fn describe_overrides(
    broker: &BrokerConfig,
    overrides: &BTreeMap<String, String>,
    keys: &'static [Key],
    own: ConfigSource,
) -> Vec<Described> {
    let described = keys
        .iter()
        // Kafka keeps its test key out of sight until it is set.
        .filter(|key| key.name != "internal.segment.bytes" || overrides.contains_key(key.name))
        .map(|key| {
            let mut synonyms = Vec::new();
            let set = overrides.get(key.name).map(|text| match key.parse(text) {
                Ok(value) => value.to_string(),
                Err(_) => text.clone(),
            });
            if let Some(value) = &set {
                synonyms.push(Synonym {
                    name: key.name,
                    value: Some(value.clone()),
                    source: own,
                });
            }
            match key
                .stands
                .first()
                .and_then(|stand| BrokerConfig::key(stand.name))
            {
                Some(stand) => synonyms.extend(broker_synonyms(broker, stand)),
                None => synonyms.extend(default_synonym(key)),
            }
            described(
                key,
                set.or_else(|| inherited(broker, key).render()),
                synonyms,
            )
        });
    described.collect()
}

/// What was set for a broker key and for those that stand in for it, then the defaults: Kafka's order.
fn broker_synonyms(config: &BrokerConfig, key: &'static Key) -> Vec<Synonym> {
    let stands = key
        .stands
        .iter()
        .filter_map(|stand| BrokerConfig::key(stand.name));
    let keys: Vec<&'static Key> = std::iter::once(key).chain(stands).collect();
    let mut set: Vec<Synonym> = Vec::new();
    for key in &keys {
        set.extend(config.set_values(key).into_iter().map(|set| Synonym {
            name: key.name,
            value: if key.sensitive() {
                None
            } else {
                set.value.render()
            },
            source: set.source,
        }));
    }
    let rank = |source| match source {
        ConfigSource::DynamicBroker => 0,
        ConfigSource::DynamicDefaultBroker => 1,
        _ => 2,
    };
    set.sort_by_key(|synonym| rank(synonym.source));
    set.extend(keys.into_iter().filter_map(default_synonym));
    set
}

fn default_synonym(key: &'static Key) -> Option<Synonym> {
    let value = key.default_value().render()?;
    Some(Synonym {
        name: key.name,
        value: Some(value),
        source: ConfigSource::Default,
    })
}

fn described(key: &'static Key, value: Option<String>, synonyms: Vec<Synonym>) -> Described {
    Described {
        key: key.name,
        value: value.filter(|_| !key.sensitive()),
        source: synonyms
            .first()
            .map_or(ConfigSource::Default, |synonym| synonym.source),
        read_only: !key.dynamic,
        sensitive: key.sensitive(),
        config_type: key.ty.code(),
        documentation: crate::docs::words(key),
        synonyms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(all: &[Described], name: &str) -> Described {
        all.iter().find(|d| d.key == name).cloned().unwrap()
    }

    #[test]
    fn a_default_says_that_it_is_one() {
        let all = describe_topic(&BrokerConfig::defaults(), &BTreeMap::new());
        let retention = find(&all, "retention.ms");
        assert_eq!(retention.value.as_deref(), Some("604800000"));
        assert_eq!(retention.source, ConfigSource::Default);
        assert!(!retention.read_only);
        assert_eq!(retention.config_type, 5);
        assert!(all.iter().all(|d| d.key != "internal.segment.bytes"));
    }

    #[test]
    fn what_was_set_is_shown_before_what_stands_behind_it() {
        let broker = BrokerConfig::from_pairs(&[("log.retention.hours", "2")]).unwrap();
        let set = BTreeMap::from([("retention.ms".to_owned(), "5".to_owned())]);
        let described = find(&describe_topic(&broker, &set), "retention.ms");
        assert_eq!(described.value.as_deref(), Some("5"));
        assert_eq!(described.source, ConfigSource::DynamicTopic);
        let chain: Vec<_> = described
            .synonyms
            .iter()
            .map(|s| (s.name, s.value.as_deref(), s.source))
            .collect();
        assert_eq!(
            chain,
            [
                ("retention.ms", Some("5"), ConfigSource::DynamicTopic),
                ("log.retention.hours", Some("2"), ConfigSource::StaticBroker),
                ("log.retention.hours", Some("168"), ConfigSource::Default),
            ]
        );
        let inherited = find(&describe_topic(&broker, &BTreeMap::new()), "retention.ms");
        assert_eq!(inherited.value.as_deref(), Some("7200000"));
        assert_eq!(inherited.source, ConfigSource::StaticBroker);
    }

    #[test]
    fn a_broker_says_what_cannot_be_changed_while_it_runs() {
        let all = describe_broker(&BrokerConfig::defaults());
        assert!(find(&all, "num.partitions").read_only);
        assert!(!find(&all, "message.max.bytes").read_only);
    }

    #[test]
    fn a_subscription_to_metrics_has_what_was_set_for_the_only_synonym() {
        let set = BTreeMap::from([("metrics".to_owned(), "org.apache".to_owned())]);
        let all = describe_client_metrics(&BrokerConfig::defaults(), &set);
        let metrics = find(&all, "metrics");
        assert_eq!(metrics.source, ConfigSource::ClientMetrics);
        assert_eq!(metrics.synonyms.len(), 1, "{:?}", metrics.synonyms);
        let interval = find(&all, "interval.ms");
        assert_eq!(interval.source, ConfigSource::Default);
        assert!(interval.synonyms.is_empty(), "{:?}", interval.synonyms);
    }
}
