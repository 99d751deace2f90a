//! The topics' keys, and the settings of one topic.
//!
//! A topic key that is not set on the topic takes the value of its broker key (`stands`), else its own default.
//! Names and defaults are Kafka 4.3's, the whole list, so that any tool can set any of them.

use std::collections::BTreeMap;

use crate::broker::BrokerConfig;
use crate::error::{ConfigError, nearest};
use crate::key::{Key, Scope, Type, key_table, same};
use crate::value::{Durability, TimestampType, Value};

const ONE_MACHINE: &str = "a partition lives on one broker here, there are no replicas";
const AS_THEY_CAME: &str = "batches are kept as the producer made them";
const SYNC: &str = "durability says when data is synced";
const TIERED: &str = "there is no tiered storage in the local log";

key_table! {
    /// Every key that is set on a topic.
    TOPIC_KEYS;
    /// The topic keys' values for one topic.
    TopicSettings;
    Scope::Topic;

    cleanup_policy: Vec<String> = Key::list("cleanup.policy", "delete").one_of(&["compact", "delete"]).stands(&[same("log.cleanup.policy")])
        .doc("What happens to old records: `delete` drops them by age and size, `compact` keeps the last of each key; both may be given, and none keeps everything.");
    compression_gzip_level: i32 = Key::int("compression.gzip.level", "-1").between_or(1, 9, -1).stands(&[same("compression.gzip.level")])
        .doc("The level of gzip, where compression.type is gzip.").accepted(AS_THEY_CAME);
    compression_lz4_level: i32 = Key::int("compression.lz4.level", "9").between(1, 17).stands(&[same("compression.lz4.level")])
        .doc("The level of lz4, where compression.type is lz4.").accepted(AS_THEY_CAME);
    compression_type: String = Key::string("compression.type", "producer").one_of(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]).stands(&[same("compression.type")])
        .doc("How batches are kept; `producer` keeps them as they came.").accepted(AS_THEY_CAME);
    compression_zstd_level: i32 = Key::int("compression.zstd.level", "3").between(-131_072, 22).stands(&[same("compression.zstd.level")])
        .doc("The level of zstd, where compression.type is zstd.").accepted(AS_THEY_CAME);
    delete_retention_ms: i64 = Key::long("delete.retention.ms", "86400000").at_least(0).stands(&[same("log.cleaner.delete.retention.ms")])
        .doc("How long a tombstone is kept in a compacted topic, in milliseconds, so that readers can see it.");
    durability: Durability = Key::string("durability", "fsync").one_of(&["fsync", "page-cache"]).ours().stands(&[same("log.durability")])
        .doc("When a record is acknowledged to a producer with acks=all. `fsync`: once it is on stable storage (fdatasync, one sync for all that wait), so it survives a loss of power. `page-cache`: once the operating system has it, which is what Kafka does: it survives a kill -9 of the broker, but a loss of power can take the last seconds. Producers with acks=1 never wait for a sync.");
    file_delete_delay_ms: i64 = Key::long("file.delete.delay.ms", "60000").at_least(0).stands(&[same("log.segment.delete.delay.ms")])
        .doc("How long a segment that is no longer needed stays on disk, in milliseconds.");
    flush_messages: i64 = Key::long("flush.messages", "9223372036854775807").at_least(1).stands(&[same("log.flush.interval.messages")])
        .doc("After how many records data is synced.").accepted(SYNC);
    flush_ms: i64 = Key::long("flush.ms", "9223372036854775807").at_least(0).stands(&[same("log.flush.interval.ms")])
        .doc("After how long data is synced, in milliseconds.").accepted(SYNC);
    follower_replication_throttled_replicas: Vec<String> = Key::list("follower.replication.throttled.replicas", "")
        .doc("Replicas whose copying is throttled on the follower's side.").accepted(ONE_MACHINE);
    index_interval_bytes: i32 = Key::int("index.interval.bytes", "4096").at_least(0).stands(&[same("log.index.interval.bytes")])
        .doc("After how many bytes of records the offset index gets an entry.");
    internal_segment_bytes: Option<i32> = Key::unset("internal.segment.bytes", Type::Int).at_least(1)
        .doc("A segment size below what segment.bytes allows, for tests.");
    leader_replication_throttled_replicas: Vec<String> = Key::list("leader.replication.throttled.replicas", "")
        .doc("Replicas whose copying is throttled on the leader's side.").accepted(ONE_MACHINE);
    local_retention_bytes: i64 = Key::long("local.retention.bytes", "-2").at_least(-2).stands(&[same("log.local.retention.bytes")])
        .doc("How many bytes of a tiered partition stay on local disk.").accepted(TIERED);
    local_retention_ms: i64 = Key::long("local.retention.ms", "-2").at_least(-2).stands(&[same("log.local.retention.ms")])
        .doc("How long records of a tiered topic stay on local disk, in milliseconds.").accepted(TIERED);
    max_compaction_lag_ms: i64 = Key::long("max.compaction.lag.ms", "9223372036854775807").at_least(1).stands(&[same("log.cleaner.max.compaction.lag.ms")])
        .doc("How long a record may stay uncompacted at most, in milliseconds.");
    max_message_bytes: i32 = Key::int("max.message.bytes", "1048588").at_least(0).stands(&[same("message.max.bytes")])
        .doc("The largest record batch a producer may send, in bytes.");
    message_timestamp_after_max_ms: i64 = Key::long("message.timestamp.after.max.ms", "3600000").at_least(0).stands(&[same("log.message.timestamp.after.max.ms")])
        .doc("How far in the future a producer's timestamp may lie, in milliseconds, before the record is refused.");
    message_timestamp_before_max_ms: i64 = Key::long("message.timestamp.before.max.ms", "9223372036854775807").at_least(0).stands(&[same("log.message.timestamp.before.max.ms")])
        .doc("How far in the past a producer's timestamp may lie, in milliseconds, before the record is refused.");
    message_timestamp_type: TimestampType = Key::string("message.timestamp.type", "CreateTime").one_of(&["CreateTime", "LogAppendTime"]).stands(&[same("log.message.timestamp.type")])
        .doc("Whose clock a record's timestamp is from: the producer's (CreateTime) or the broker's (LogAppendTime).");
    min_cleanable_dirty_ratio: f64 = Key::double("min.cleanable.dirty.ratio", "0.5").ratio(0.0, 1.0).stands(&[same("log.cleaner.min.cleanable.ratio")])
        .doc("Which share of a log must be new since the last compaction before it is compacted again.");
    min_compaction_lag_ms: i64 = Key::long("min.compaction.lag.ms", "0").at_least(0).stands(&[same("log.cleaner.min.compaction.lag.ms")])
        .doc("How long a record stays uncompacted at least, in milliseconds.");
    min_insync_replicas: i32 = Key::int("min.insync.replicas", "1").at_least(1).stands(&[same("min.insync.replicas")])
        .doc("How many replicas must have a record before a producer with acks=all hears of it.").accepted(ONE_MACHINE);
    preallocate: bool = Key::bool("preallocate", "false").stands(&[same("log.preallocate")])
        .doc("Whether segments are allocated in full when they are begun.").accepted("the log decides by itself what to allocate ahead");
    remote_log_copy_disable: bool = Key::bool("remote.log.copy.disable", "false")
        .doc("Whether no more is copied to tiered storage.").accepted(TIERED);
    remote_log_delete_on_disable: bool = Key::bool("remote.log.delete.on.disable", "false")
        .doc("Whether what is in tiered storage goes when it is switched off.").accepted(TIERED);
    remote_storage_enable: bool = Key::bool("remote.storage.enable", "false")
        .doc("Whether the topic is kept in tiered storage too. Only `false` is taken.").accepted(TIERED);
    retention_bytes: i64 = Key::long("retention.bytes", "-1").stands(&[same("log.retention.bytes")])
        .doc("How many bytes of each partition are kept; -1 without bound.");
    retention_hold_max_bytes: i64 = Key::long("retention.hold.max.bytes", "10737418240").at_least(0).ours()
        .doc("How many bytes of each partition are kept at most past their time because groups with retention.hold have still to read them; retention works by whole segments.");
    retention_hold_max_ms: i64 = Key::long("retention.hold.max.ms", "604800000").at_least(0).ours()
        .doc("How much longer than retention.ms records are kept at most because groups with retention.hold have still to read them, in milliseconds. Where retention.ms is -1, retention.hold.max.bytes alone bounds that.");
    retention_ms: i64 = Key::long("retention.ms", "604800000").at_least(-1).stands(&[same("log.retention.ms")])
        .doc("How long records are kept, in milliseconds; -1 for ever.");
    segment_bytes: i32 = Key::int("segment.bytes", "1073741824").at_least(1_048_576).stands(&[same("log.segment.bytes")])
        .doc("The size of a segment file, in bytes. Records are deleted by whole segments.");
    segment_index_bytes: i32 = Key::int("segment.index.bytes", "10485760").at_least(4).stands(&[same("log.index.size.max.bytes")])
        .doc("The largest size of an index, in bytes.");
    segment_jitter_ms: i64 = Key::long("segment.jitter.ms", "0").at_least(0).stands(&[same("log.roll.jitter.ms")])
        .doc("Up to how much earlier, at random, a segment may be rolled, in milliseconds.").accepted("segments are rolled without jitter");
    segment_ms: i64 = Key::long("segment.ms", "604800000").at_least(1).stands(&[same("log.roll.ms")])
        .doc("After how long a new segment is begun even if the old one is not full, in milliseconds.");
    unclean_leader_election_enable: bool = Key::bool("unclean.leader.election.enable", "false").stands(&[same("unclean.leader.election.enable")])
        .doc("Whether a replica that is behind may become leader.").accepted(ONE_MACHINE);
}

impl TopicSettings {
    /// The settings of a topic on which `overrides` are set. Everything in them is checked, also against each other.
    pub fn resolve(
        broker: &BrokerConfig,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        for name in overrides.keys() {
            known_key(name)?;
        }
        let mut values = Vec::with_capacity(TOPIC_KEYS.len());
        for key in TOPIC_KEYS {
            values.push(match overrides.get(key.name) {
                Some(text) => key.parse(text)?,
                None => inherited(broker, key),
            });
        }
        let settings = Self::from_values(&values)?;
        settings.check_together()?;
        Ok(settings)
    }

    /// Whether old records are dropped by age and size.
    pub fn deletes(&self) -> bool {
        self.cleanup_policy.iter().any(|policy| policy == "delete")
    }

    /// Whether only the last record of each key is kept.
    pub fn compacts(&self) -> bool {
        self.cleanup_policy.iter().any(|policy| policy == "compact")
    }

    /// The size at which a segment is full, in bytes.
    pub fn effective_segment_bytes(&self) -> i32 {
        self.internal_segment_bytes.unwrap_or(self.segment_bytes)
    }

    fn check_together(&self) -> Result<(), ConfigError> {
        if self.min_compaction_lag_ms > self.max_compaction_lag_ms {
            return Err(ConfigError::Conflict {
                first: format!("min.compaction.lag.ms={}", self.min_compaction_lag_ms),
                second: format!("max.compaction.lag.ms={}", self.max_compaction_lag_ms),
                why: "the first must not be greater".into(),
            });
        }
        if self.remote_storage_enable {
            return Err(ConfigError::BadValue {
                name: "remote.storage.enable".into(),
                value: "true".into(),
                why: format!("it must be false: {TIERED}"),
            });
        }
        Ok(())
    }
}

/// The topic key of that name, or an error that names the nearest.
pub fn known_key(name: &str) -> Result<&'static Key, ConfigError> {
    TOPIC_KEYS
        .iter()
        .find(|key| key.name == name)
        .ok_or_else(|| ConfigError::Unknown {
            name: name.to_owned(),
            scope: Scope::Topic,
            nearest: nearest(name, TOPIC_KEYS.iter().map(|key| key.name)),
        })
}

/// The value a topic has for the key without setting it.
pub(crate) fn inherited(broker: &BrokerConfig, key: &Key) -> Value {
    let from_broker = key.stands.iter().map(|stand| broker.effective(stand.name));
    from_broker
        .into_iter()
        .find(|value| *value != Value::Unset)
        .unwrap_or_else(|| key.default_value())
}

/// The settings of a topic on which nothing is set.
pub fn topic_defaults(broker: &BrokerConfig) -> TopicSettings {
    TopicSettings::resolve(broker, &BTreeMap::new())
        .expect("a broker's settings are checked as topic defaults when they are resolved")
}

/// Checks one key of a topic by itself. Use [`validate_topic_configs`] for all that is set on a topic: some values do
/// not go together.
pub fn validate_topic_config(name: &str, value: &str) -> Result<Value, ConfigError> {
    known_key(name)?.parse(value)
}

/// Checks all that is to be set on a topic.
pub fn validate_topic_configs(
    broker: &BrokerConfig,
    overrides: &BTreeMap<String, String>,
) -> Result<(), ConfigError> {
    TopicSettings::resolve(broker, overrides).map(|_| ())
}

/// Checks a broker's settings as defaults of its topics: within the topic keys' bounds, and together.
pub(crate) fn check_defaults(broker: &BrokerConfig) -> Result<(), ConfigError> {
    for key in TOPIC_KEYS {
        if let Some(text) = inherited(broker, key).render() {
            key.parse(&text)?;
        }
    }
    TopicSettings::resolve(broker, &BTreeMap::new()).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn every_default_is_within_its_own_bounds_and_every_stand_is_a_broker_key() {
        for key in TOPIC_KEYS {
            if let Some(default) = key.default {
                key.parse(default).unwrap_or_else(|error| panic!("{error}"));
            }
            for stand in key.stands {
                assert!(BrokerConfig::key(stand.name).is_some(), "{}", stand.name);
            }
            assert!(!key.doc.is_empty(), "{} has no words", key.name);
        }
    }

    #[test]
    fn without_a_word_a_topic_is_as_kafkas_topics_are() {
        let topic = topic_defaults(&BrokerConfig::defaults());
        assert_eq!(topic.retention_ms, 604_800_000);
        assert_eq!(topic.segment_ms, 604_800_000);
        assert_eq!(topic.max_message_bytes, 1_048_588);
        assert_eq!(topic.cleanup_policy, ["delete"]);
        assert_eq!(topic.message_timestamp_type, TimestampType::CreateTime);
        assert_eq!(topic.flush_ms, i64::MAX);
    }

    #[test]
    fn a_topic_follows_its_broker_until_it_is_told_otherwise() {
        let broker = BrokerConfig::from_pairs(&[("log.retention.hours", "1")]).unwrap();
        assert_eq!(topic_defaults(&broker).retention_ms, 3_600_000);
        let own = overrides(&[("retention.ms", "-1"), ("cleanup.policy", "compact,delete")]);
        let topic = TopicSettings::resolve(&broker, &own).unwrap();
        assert_eq!(topic.retention_ms, -1);
        assert!(topic.compacts() && topic.deletes());
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_reason() {
        let broker = BrokerConfig::defaults();
        let refuse = |pairs: &[(&str, &str)]| {
            validate_topic_configs(&broker, &overrides(pairs))
                .unwrap_err()
                .to_string()
        };
        assert!(refuse(&[("retention.mss", "1")]).contains("did you mean \"retention.ms\""));
        assert!(refuse(&[("retention.ms", "a week")]).contains("whole number"));
        assert!(refuse(&[("cleanup.policy", "shred")]).contains("compact, delete"));
        assert!(refuse(&[("segment.bytes", "10")]).contains("at least 1048576"));
        assert!(refuse(&[("compression.zstd.level", "99")]).contains("22"));
        assert!(refuse(&[("remote.storage.enable", "true")]).contains("tiered"));
        let lags = [
            ("min.compaction.lag.ms", "10"),
            ("max.compaction.lag.ms", "5"),
        ];
        assert!(refuse(&lags).contains("do not go together"));
    }

    #[test]
    fn a_broker_that_would_give_its_topics_bad_defaults_does_not_start() {
        let lags = [
            ("log.cleaner.min.compaction.lag.ms", "10"),
            ("log.cleaner.max.compaction.lag.ms", "5"),
        ];
        assert!(BrokerConfig::from_pairs(&lags).is_err());
    }
}
