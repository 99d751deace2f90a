//! The settings of a running broker.
//!
//! Invariant: a [`BrokerConfig`] is consistent in itself; whoever holds one need not check it again.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;

use crate::broker_keys::{BROKER_KEYS, BrokerSettings};
use crate::describe::ConfigSource;
use crate::error::{ConfigError, nearest};
use crate::key::{Key, Scope};
use crate::listener::{self, Listener};
use crate::value::Value;

/// Values that were changed while the broker ran, as Kafka keeps them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DynamicConfigs {
    /// For this broker (resource BROKER with its id).
    pub broker: BTreeMap<String, String>,
    /// For all brokers (resource BROKER with an empty name).
    pub cluster: BTreeMap<String, String>,
}

/// One value that somebody set.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Set {
    pub(crate) source: ConfigSource,
    pub(crate) value: Value,
}

/// The settings of a broker: every key's value, where it came from, and what follows from them together.
/// `config.num_partitions` and so on by way of [`BrokerSettings`].
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerConfig {
    settings: BrokerSettings,
    /// Where the broker listens; at least one.
    pub listeners: Vec<Listener>,
    /// What clients are told, one for each of `listeners` in the same order. An empty host means that nobody said:
    /// the broker puts the host's name or the bound address there. Port 0 means the port that was bound.
    pub advertised: Vec<Listener>,
    /// The data directory.
    pub data_dir: PathBuf,
    /// What the properties, flags, ... said, by key.
    pub(crate) statics: BTreeMap<&'static str, Value>,
    pub(crate) dynamic: BTreeMap<&'static str, Vec<Set>>,
}

impl Deref for BrokerConfig {
    type Target = BrokerSettings;

    fn deref(&self) -> &BrokerSettings {
        &self.settings
    }
}

impl BrokerConfig {
    /// The key of that name.
    pub fn key(name: &str) -> Option<&'static Key> {
        BROKER_KEYS.iter().find(|key| key.name == name)
    }

    /// The key of that name, or an error that names the nearest.
    pub fn known_key(name: &str) -> Result<&'static Key, ConfigError> {
        Self::key(name).ok_or_else(|| ConfigError::Unknown {
            name: name.to_owned(),
            scope: Scope::Broker,
            nearest: nearest(name, BROKER_KEYS.iter().map(|key| key.name)),
        })
    }

    /// All defaults.
    pub fn defaults() -> Self {
        Self::from_pairs::<&str>(&[]).expect("the defaults go together; a test resolves them")
    }

    /// The defaults with some keys set, for tests and for embedding.
    pub fn from_pairs<S: AsRef<str>>(pairs: &[(S, S)]) -> Result<Self, ConfigError> {
        let mut statics = BTreeMap::new();
        for (name, value) in pairs {
            let key = Self::known_key(name.as_ref())?;
            statics.insert(key.name, key.parse(value.as_ref())?);
        }
        Self::resolve(statics, BTreeMap::new())
    }

    /// The same configuration under other dynamic values; what was dynamic before no longer counts.
    /// An unknown or read-only key, or a value that does not do, is an error and changes nothing.
    pub fn with_dynamic(&self, configs: &DynamicConfigs) -> Result<Self, ConfigError> {
        let mut dynamic: BTreeMap<&'static str, Vec<Set>> = BTreeMap::new();
        let layers = [
            (ConfigSource::DynamicBroker, &configs.broker),
            (ConfigSource::DynamicDefaultBroker, &configs.cluster),
        ];
        for (source, layer) in layers {
            for (name, text) in layer {
                let key = Self::known_key(name)?;
                if !key.dynamic {
                    return Err(ConfigError::ReadOnly { name: name.clone() });
                }
                dynamic.entry(key.name).or_default().push(Set {
                    source,
                    value: key.parse(text)?,
                });
            }
        }
        Self::resolve(self.statics.clone(), dynamic)
    }

    /// The value a key has now.
    pub fn value(&self, key: &Key) -> Value {
        match self.set_values(key).into_iter().next() {
            Some(set) => set.value,
            None => key.default_value(),
        }
    }

    /// What was set for the key, the one that counts first.
    pub(crate) fn set_values(&self, key: &Key) -> Vec<Set> {
        let statics = self.statics.get(key.name).cloned();
        let statics = statics.map(|value| Set {
            source: ConfigSource::StaticBroker,
            value,
        });
        self.dynamic
            .get(key.name)
            .into_iter()
            .flatten()
            .cloned()
            .chain(statics)
            .collect()
    }

    /// The value of a key or, where it is not set, of those that stand in for it, in the key's own unit.
    pub(crate) fn effective(&self, name: &'static str) -> Value {
        let Some(key) = Self::key(name) else {
            return Value::Unset;
        };
        let own = self.value(key);
        if own != Value::Unset {
            return own;
        }
        let stand_value = |stand: &crate::key::Stand| match self.effective(stand.name) {
            Value::Integer(count) if count < 0 => Value::Integer(-1),
            Value::Integer(count) => Value::Integer(count.saturating_mul(stand.factor)),
            other => other,
        };
        key.stands
            .iter()
            .map(stand_value)
            .find(|value| *value != Value::Unset)
            .unwrap_or(own)
    }

    pub(crate) fn resolve(
        statics: BTreeMap<&'static str, Value>,
        dynamic: BTreeMap<&'static str, Vec<Set>>,
    ) -> Result<Self, ConfigError> {
        let values: Vec<Value> = BROKER_KEYS
            .iter()
            .map(|key| {
                let first = dynamic.get(key.name).and_then(|sets| sets.first());
                first
                    .map(|set| &set.value)
                    .or(statics.get(key.name))
                    .cloned()
                    .unwrap_or_else(|| key.default_value())
            })
            .collect();
        let mut settings = BrokerSettings::from_values(&values)?;
        if !statics.contains_key("node.id") && settings.broker_id >= 0 {
            settings.node_id = settings.broker_id;
        }
        let listeners = listener::resolve(&settings)?;
        let advertised = listener::resolve_advertised(&settings, &listeners)?;
        let data_dir = data_dir(&settings)?;
        let config = Self {
            settings,
            listeners,
            advertised,
            data_dir,
            statics,
            dynamic,
        };
        config.check_together()?;
        Ok(config)
    }

    /// What no single key can see.
    fn check_together(&self) -> Result<(), ConfigError> {
        let conflict = |first: String, second: String, why: &str| {
            Err(ConfigError::Conflict {
                first,
                second,
                why: why.into(),
            })
        };
        if self.broker_id >= 0 && self.broker_id != self.node_id {
            return conflict(
                format!("node.id={}", self.node_id),
                format!("broker.id={}", self.broker_id),
                "they are one number under two names",
            );
        }
        if self.group_min_session_timeout_ms > self.group_max_session_timeout_ms {
            return conflict(
                format!(
                    "group.min.session.timeout.ms={}",
                    self.group_min_session_timeout_ms
                ),
                format!(
                    "group.max.session.timeout.ms={}",
                    self.group_max_session_timeout_ms
                ),
                "no session timeout would lie between them",
            );
        }
        if self.writes_to_zookeeper() && self.zookeeper_connect.is_empty() {
            let wanted = match self.offsets_storage.as_str() {
                "zookeeper" => "offsets.storage=zookeeper",
                _ => "dual.commit.enabled=true",
            };
            return conflict(
                wanted.into(),
                "zookeeper.connect=".into(),
                "nobody says where that ZooKeeper is; set zookeeper.connect=HOST:PORT",
            );
        }
        if self.zookeeper_commit_required && !self.writes_to_zookeeper() {
            return conflict(
                "zookeeper.commit.required=true".into(),
                format!("offsets.storage={}", self.offsets_storage),
                "no commit is written to ZooKeeper; set dual.commit.enabled=true, or offsets.storage=zookeeper",
            );
        }
        for name in [
            "log.retention.ms",
            "log.retention.minutes",
            "log.retention.hours",
        ] {
            if self.effective(name) == Value::Integer(0) {
                return Err(ConfigError::BadValue {
                    name: name.into(),
                    value: "0".into(),
                    why: "it must be -1 (for ever) or at least 1".into(),
                });
            }
        }
        self.retention_rules()?;
        crate::topic::check_defaults(self)
    }

    /// Whether committed offsets are kept in ZooKeeper as well: `offsets.storage=zookeeper`, or `dual.commit.enabled`.
    pub fn writes_to_zookeeper(&self) -> bool {
        self.dual_commit_enabled || self.offsets_storage == "zookeeper"
    }

    /// `offsets.retention.rules`, read: patterns of groups, and minutes; -1 for ever.
    ///
    /// # Errors
    /// If an entry is not `PATTERN:MINUTES`.
    pub fn retention_rules(&self) -> Result<Vec<(String, i32)>, ConfigError> {
        let rule = |entry: &String| {
            let (pattern, minutes) = entry.rsplit_once(':')?;
            let minutes = minutes.trim().parse().ok()?;
            (!pattern.is_empty() && (minutes == -1 || minutes > 0))
                .then(|| (pattern.trim().to_owned(), minutes))
        };
        let read = |entry: &String| {
            rule(entry).ok_or_else(|| ConfigError::BadValue {
                name: "offsets.retention.rules".into(),
                value: entry.clone(),
                why: "it is not PATTERN:MINUTES, with -1 for ever or at least 1".into(),
            })
        };
        self.offsets_retention_rules.iter().map(read).collect()
    }
}

fn data_dir(settings: &BrokerSettings) -> Result<PathBuf, ConfigError> {
    let (name, dirs) = match &settings.log_dirs {
        Some(dirs) => ("log.dirs", dirs),
        None => ("log.dir", &settings.log_dir),
    };
    match dirs.as_slice() {
        [dir] if !dir.is_empty() => Ok(PathBuf::from(dir)),
        _ => Err(ConfigError::BadValue {
            name: name.into(),
            value: dirs.join(","),
            why: "Catchword keeps its data in one directory".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_rules_are_read_or_refused() {
        let rules = |text: &str| {
            let config = BrokerConfig::from_pairs(&[("offsets.retention.rules", text)]);
            config.and_then(|config| config.retention_rules())
        };
        let read = rules("billing-*:-1, a:b:1440").unwrap();
        assert_eq!(read, [("billing-*".into(), -1), ("a:b".into(), 1440)]);
        assert_eq!(rules("").unwrap(), []);
        for bad in ["billing-*", "x:0", "x:-2", "x:forever", ":5"] {
            let error = rules(bad).unwrap_err().to_string();
            assert!(error.contains("PATTERN:MINUTES"), "{error}");
        }
    }

    #[test]
    fn every_default_is_within_its_own_bounds() {
        for key in BROKER_KEYS {
            if let Some(default) = key.default {
                key.parse(default).unwrap_or_else(|error| panic!("{error}"));
            }
            assert!(!key.doc.is_empty(), "{} has no words", key.name);
        }
        BrokerConfig::defaults();
    }

    #[test]
    fn no_key_is_listed_twice() {
        let mut names: Vec<_> = BROKER_KEYS.iter().map(|key| key.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), BROKER_KEYS.len());
    }

    #[test]
    fn the_older_name_of_the_node_id_counts() {
        let config = BrokerConfig::from_pairs(&[("broker.id", "7")]).unwrap();
        assert_eq!(config.node_id, 7);
        assert!(BrokerConfig::from_pairs(&[("broker.id", "7"), ("node.id", "8")]).is_err());
    }

    #[test]
    fn minutes_come_before_hours_and_milliseconds_before_both() {
        let retention = |pairs: &[(&str, &str)]| {
            BrokerConfig::from_pairs(pairs)
                .unwrap()
                .effective("log.retention.ms")
        };
        assert_eq!(retention(&[]), Value::Integer(604_800_000));
        assert_eq!(
            retention(&[("log.retention.hours", "2")]),
            Value::Integer(7_200_000)
        );
        let both = [("log.retention.hours", "2"), ("log.retention.minutes", "5")];
        assert_eq!(retention(&both), Value::Integer(300_000));
        assert_eq!(
            retention(&[("log.retention.hours", "-1")]),
            Value::Integer(-1)
        );
        assert!(BrokerConfig::from_pairs(&[("log.retention.ms", "0")]).is_err());
    }

    #[test]
    fn a_dynamic_value_comes_before_a_static_one_and_only_where_it_may() {
        let config = BrokerConfig::from_pairs(&[("message.max.bytes", "1000")]).unwrap();
        let mut configs = DynamicConfigs::default();
        configs
            .cluster
            .insert("message.max.bytes".into(), "2000".into());
        assert_eq!(
            config.with_dynamic(&configs).unwrap().message_max_bytes,
            2000
        );
        configs
            .broker
            .insert("message.max.bytes".into(), "3000".into());
        let changed = config.with_dynamic(&configs).unwrap();
        assert_eq!(changed.message_max_bytes, 3000);
        let back = changed.with_dynamic(&DynamicConfigs::default()).unwrap();
        assert_eq!(back.message_max_bytes, 1000);
        configs.broker.insert("num.partitions".into(), "3".into());
        assert!(matches!(
            config.with_dynamic(&configs),
            Err(ConfigError::ReadOnly { .. })
        ));
    }

    #[test]
    fn who_wants_zookeeper_says_where_it_is() {
        let storage = ("offsets.storage", "zookeeper");
        let error = BrokerConfig::from_pairs(&[storage])
            .unwrap_err()
            .to_string();
        assert!(error.contains("zookeeper.connect=HOST:PORT"), "{error}");
        let connect = ("zookeeper.connect", "zk:2181/kafka");
        assert!(BrokerConfig::from_pairs(&[storage, connect]).is_ok());
    }

    #[test]
    fn a_dual_commit_is_what_old_kafka_called_so() {
        let connect = ("zookeeper.connect", "zk:2181");
        let writes = |storage, dual| {
            let pairs = [
                connect,
                ("offsets.storage", storage),
                ("dual.commit.enabled", dual),
            ];
            BrokerConfig::from_pairs(&pairs)
                .unwrap()
                .writes_to_zookeeper()
        };
        for storage in ["builtin", "kafka"] {
            assert!(!writes(storage, "false"), "{storage}");
            assert!(writes(storage, "true"), "{storage}");
        }
        assert!(writes("zookeeper", "false") && writes("zookeeper", "true"));

        let refused = |pair| BrokerConfig::from_pairs(&[pair]).unwrap_err().to_string();
        let error = refused(("dual.commit.enabled", "true"));
        assert!(error.contains("zookeeper.connect=HOST:PORT"), "{error}");
        let error = refused(("zookeeper.commit.required", "true"));
        assert!(error.contains("set dual.commit.enabled=true"), "{error}");
    }

    #[test]
    fn one_data_directory() {
        let config = BrokerConfig::from_pairs(&[("log.dirs", "/var/lib/cw")]).unwrap();
        assert_eq!(config.data_dir, PathBuf::from("/var/lib/cw"));
        assert!(BrokerConfig::from_pairs(&[("log.dirs", "/a,/b")]).is_err());
    }
}
