//! The groups' keys (KIP-1043's resource GROUP): Kafka 4.3's names for consumer groups.
//!
//! Classic groups have no keys of their own in Kafka. Where the broker has keys for the bounds, these bound a group's
//! values; elsewhere the bounds are the defaults of Kafka's.

use std::collections::BTreeMap;

use crate::broker::BrokerConfig;
use crate::error::{ConfigError, Relation, nearest};
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
        .doc("How long at least between two assignments of a KIP-848 group, in milliseconds.");
    consumer_heartbeat_interval_ms: i32 = Key::int("consumer.heartbeat.interval.ms", "5000").at_least(1).stands(&[same("group.consumer.heartbeat.interval.ms")])
        .doc("Heartbeat interval of the group's members, in milliseconds.");
    lag_objective_age_ms: i64 = Key::long("lag.objective.age.ms", "-1").at_least(-1).ours()
        .doc("How long the oldest record that the group has not read may have waited, in milliseconds; beyond that its lag objective is missed (`/v1/lag`, `catchword_consumergroup_status`, `lag.webhook.url`). -1: no such objective.");
    lag_objective_records: i64 = Key::long("lag.objective.records", "-1").at_least(-1).ours()
        .doc("How many records the group may be behind in a partition; beyond that its lag objective is missed. -1: no such objective.");
    offsets_pin: Vec<String> = Key::list("offsets.pin", "").ours()
        .doc("Committed offsets of the group that never expire and that nobody may delete (POLICY_VIOLATION), with whatever tool: TOPIC or TOPIC:PARTITION, separated by commas; `*` for all. They are moved as ever. Only the deletion of their topic takes them away.");
    offsets_protect: String = Key::string("offsets.protect", "off").one_of(&["off", "forward-only", "frozen"]).ours()
        .doc("What is refused (POLICY_VIOLATION) to whoever is no member of the group, with whatever tool: `forward-only`, to move its committed offsets back or delete them; `frozen`, to touch them at all. Members commit as ever; consumers that assign themselves their partitions are no members.");
    offsets_retention_minutes: i32 = Key::int("offsets.retention.minutes", "10080").at_least(-1).ours().stands(&[same("offsets.retention.minutes")])
        .doc("How long a committed offset of the group outlives its last commit and the group's last member, whichever was later, in minutes. -1: for ever.");
    retention_hold: bool = Key::bool("retention.hold", "false").ours()
        .doc("Whether retention waits for the group: records that it has still to read, in partitions where it has a committed offset, are kept past their time, within retention.hold.max.ms and retention.hold.max.bytes of the topic. Share groups have no committed offsets.");
    share_assignment_interval_ms: i32 = Key::int("share.assignment.interval.ms", "1000").between(0, 15_000)
        .doc("How long at least between two assignments of a share group, in milliseconds.").accepted(LATER);
    share_auto_offset_reset: String = Key::string("share.auto.offset.reset", "latest").not_empty()
        .doc("Where a share group begins to read a partition: `earliest`, `latest`, or `by_duration:` and an ISO 8601 duration such as `PT1H`, that long ago.");
    share_delivery_count_limit: i32 = Key::int("share.delivery.count.limit", "5").between(2, 10).stands(&[same("group.share.delivery.count.limit")])
        .doc("How often a record is delivered to a share group at most.");
    share_heartbeat_interval_ms: i32 = Key::int("share.heartbeat.interval.ms", "5000").between(5000, 15_000).stands(&[same("group.share.heartbeat.interval.ms")])
        .doc("Heartbeat interval of a share group's members, in milliseconds.");
    share_isolation_level: String = Key::string("share.isolation.level", "read_uncommitted").one_of(&["read_committed", "read_uncommitted"])
        .doc("Whether a share group is given records of transactions that are not committed.");
    share_partition_max_record_locks: i32 = Key::int("share.partition.max.record.locks", "2000").between(100, 4000).stands(&[same("group.share.partition.max.record.locks")])
        .doc("How many records of a partition a share group may hold at a time.");
    share_record_lock_duration_ms: i32 = Key::int("share.record.lock.duration.ms", "30000").between(15_000, 60_000).stands(&[same("group.share.record.lock.duration.ms")])
        .doc("How long a member of a share group may hold a record, in milliseconds.");
    share_renew_acknowledge_enable: bool = Key::bool("share.renew.acknowledge.enable", "true")
        .doc("Whether a member of a share group may hold a record for longer by renewing it.");
    share_session_timeout_ms: i32 = Key::int("share.session.timeout.ms", "45000").between(45_000, 60_000).stands(&[same("group.share.session.timeout.ms")])
        .doc("Session timeout of a share group's members, in milliseconds.");
    streams_assignment_interval_ms: i32 = Key::int("streams.assignment.interval.ms", "1000").at_least(0).stands(&[same("group.streams.assignment.interval.ms")])
        .doc("How long at least between two assignments of a streams group, in milliseconds.");
    streams_heartbeat_interval_ms: i32 = Key::int("streams.heartbeat.interval.ms", "5000").at_least(1).stands(&[same("group.streams.heartbeat.interval.ms")])
        .doc("Heartbeat interval of a streams group's members, in milliseconds.");
    streams_initial_rebalance_delay_ms: i32 = Key::int("streams.initial.rebalance.delay.ms", "3000").at_least(0).stands(&[same("group.streams.initial.rebalance.delay.ms")])
        .doc("How long the first rebalance of an empty streams group waits for more members, in milliseconds.");
    streams_num_standby_replicas: i32 = Key::int("streams.num.standby.replicas", "0").at_least(0).stands(&[same("group.streams.num.standby.replicas")])
        .doc("How many standby copies of each task's state a streams group has.");
    streams_session_timeout_ms: i32 = Key::int("streams.session.timeout.ms", "45000").at_least(1).stands(&[same("group.streams.session.timeout.ms")])
        .doc("Session timeout of a streams group's members, in milliseconds.");
    consumer_session_timeout_ms: i32 = Key::int("consumer.session.timeout.ms", "45000").at_least(1).stands(&[same("group.consumer.session.timeout.ms")])
        .doc("Session timeout of the group's members, in milliseconds.");
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

    /// `offsets.pin`, read: topics, each whole or in one partition.
    ///
    /// # Errors
    /// If an entry is neither `TOPIC`, `TOPIC:PARTITION` nor `*`.
    pub fn pins(&self) -> Result<Vec<(String, Option<i32>)>, ConfigError> {
        let pin = |entry: &String| {
            let (topic, partition) = match entry.rsplit_once(':') {
                None => (entry.as_str(), None),
                Some((topic, partition)) => (topic, Some(partition.parse::<u16>().ok()?.into())),
            };
            let is_name = !topic.is_empty() && !topic.contains(':');
            is_name.then(|| (topic.to_owned(), partition))
        };
        let read = |entry: &String| {
            pin(entry).ok_or_else(|| ConfigError::BadValue {
                name: "offsets.pin".into(),
                value: entry.clone(),
                why: "it is neither TOPIC, TOPIC:PARTITION nor *".into(),
            })
        };
        self.offsets_pin.iter().map(read).collect()
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
    let settings = GroupSettings::resolve(broker, overrides)?;
    let bounded = [
        (
            "consumer.session.timeout.ms",
            settings.consumer_session_timeout_ms,
            Some("group.consumer.min.session.timeout.ms"),
            "group.consumer.max.session.timeout.ms",
        ),
        (
            "consumer.heartbeat.interval.ms",
            settings.consumer_heartbeat_interval_ms,
            Some("group.consumer.min.heartbeat.interval.ms"),
            "group.consumer.max.heartbeat.interval.ms",
        ),
        (
            "streams.session.timeout.ms",
            settings.streams_session_timeout_ms,
            Some("group.streams.min.session.timeout.ms"),
            "group.streams.max.session.timeout.ms",
        ),
        (
            "streams.heartbeat.interval.ms",
            settings.streams_heartbeat_interval_ms,
            Some("group.streams.min.heartbeat.interval.ms"),
            "group.streams.max.heartbeat.interval.ms",
        ),
        (
            "streams.assignment.interval.ms",
            settings.streams_assignment_interval_ms,
            Some("group.streams.min.assignment.interval.ms"),
            "group.streams.max.assignment.interval.ms",
        ),
        (
            "streams.num.standby.replicas",
            settings.streams_num_standby_replicas,
            None,
            "group.streams.max.standby.replicas",
        ),
    ];
    // What follows the broker's own key is the broker's affair.
    for (name, value, least, most) in bounded.into_iter().filter(|b| overrides.contains_key(b.0)) {
        let value = i64::from(value);
        let least = least.map(|key| (Relation::AtLeast, key));
        for (relation, key) in least.into_iter().chain([(Relation::AtMost, most)]) {
            if let Value::Integer(limit) = broker.effective(key) {
                within(name, value, relation, (key, limit))?;
            }
        }
    }
    // A member must be able to heartbeat within its session.
    for (session, timeout, heartbeat, interval) in [
        (
            "consumer.session.timeout.ms",
            settings.consumer_session_timeout_ms,
            "consumer.heartbeat.interval.ms",
            settings.consumer_heartbeat_interval_ms,
        ),
        (
            "share.session.timeout.ms",
            settings.share_session_timeout_ms,
            "share.heartbeat.interval.ms",
            settings.share_heartbeat_interval_ms,
        ),
        (
            "streams.session.timeout.ms",
            settings.streams_session_timeout_ms,
            "streams.heartbeat.interval.ms",
            settings.streams_heartbeat_interval_ms,
        ),
    ] {
        let bound = (heartbeat, i64::from(interval));
        within(session, i64::from(timeout), Relation::MoreThan, bound)?;
    }
    settings.pins()?;
    if settings.offsets_retention_minutes == 0 {
        return Err(ConfigError::BadValue {
            name: "offsets.retention.minutes".to_owned(),
            value: "0".to_owned(),
            why: "it must be -1 (for ever) or at least 1".to_owned(),
        });
    }
    if !is_offset_reset(&settings.share_auto_offset_reset) {
        return Err(ConfigError::BadValue {
            name: "share.auto.offset.reset".to_owned(),
            value: settings.share_auto_offset_reset,
            why: "it is neither earliest, latest nor by_duration: with an ISO 8601 duration"
                .to_owned(),
        });
    }
    Ok(())
}

/// Whether a key's value is to another's, the bound, as it must be.
fn within(
    name: &'static str,
    value: i64,
    relation: Relation,
    (bound, limit): (&'static str, i64),
) -> Result<(), ConfigError> {
    if relation.holds(value, limit) {
        return Ok(());
    }
    Err(ConfigError::OutOfBounds {
        name,
        value,
        relation,
        bound,
        limit,
    })
}

fn is_offset_reset(text: &str) -> bool {
    match text.strip_prefix("by_duration:") {
        Some(duration) => is_duration(duration),
        None => matches!(text, "earliest" | "latest"),
    }
}

/// The milliseconds of `by_duration:` and a duration, as `share.auto.offset.reset` has it; `None` if it is none.
pub fn offset_reset_duration_ms(text: &str) -> Option<i64> {
    let duration = text
        .strip_prefix("by_duration:")
        .filter(|text| is_duration(text))?;
    let (mut total, mut number, mut in_time) = (0.0, String::new(), false);
    for letter in duration.to_ascii_uppercase().chars().skip(1) {
        let unit = match letter {
            'T' => {
                in_time = true;
                continue;
            }
            'D' => 86_400_000.0,
            'H' => 3_600_000.0,
            'M' if in_time => 60_000.0,
            'S' => 1000.0,
            digit => {
                number.push(digit);
                continue;
            }
        };
        total += number.parse::<f64>().ok()? * unit;
        number.clear();
    }
    Some(total as i64)
}

/// Whether it is a duration as `PnDTnHnMn.nS` has it, with at least one part and none negative.
fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['P', 'p']) else {
        return false;
    };
    let upper = rest.to_ascii_uppercase();
    let (days, time) = match upper.split_once('T') {
        Some((_, "")) => return false,
        Some((days, time)) => (days, time),
        None => (upper.as_str(), ""),
    };
    let parts = |text: &str, units: &str, fraction: char| {
        let mut rest = text;
        for unit in units.chars() {
            if let Some((number, after)) = rest.split_once(unit) {
                let digits = match number.split_once('.') {
                    Some((whole, part)) if unit == fraction => {
                        part.bytes().all(|b| b.is_ascii_digit()).then_some(whole)
                    }
                    _ => Some(number),
                };
                if !digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit())) {
                    return false;
                }
                rest = after;
            }
        }
        rest.is_empty()
    };
    !(days.is_empty() && time.is_empty()) && parts(days, "D", '-') && parts(time, "HMS", 'S')
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

    fn check(pairs: &[(&str, &str)]) -> Result<(), ConfigError> {
        let set = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        validate_group_configs(&BrokerConfig::defaults(), &set.collect())
    }

    #[test]
    fn a_groups_values_stay_within_the_brokers_bounds() {
        assert!(check(&[("consumer.session.timeout.ms", "60000")]).is_ok());
        assert!(check(&[("consumer.session.timeout.ms", "60001")]).is_err());
        assert!(check(&[("consumer.session.timeout.ms", "44999")]).is_err());
        assert!(check(&[("consumer.heartbeat.interval.ms", "4999")]).is_err());
        assert!(check(&[("share.delivery.count.limit", "11")]).is_err());
        assert!(check(&[("streams.num.standby.replicas", "3")]).is_err());
    }

    #[test]
    fn a_value_out_of_bounds_is_refused_in_the_words_that_tools_look_for() {
        let why = |pairs: &[(&str, &str)]| check(pairs).unwrap_err().to_string();
        assert_eq!(
            why(&[("streams.session.timeout.ms", "1")]),
            "streams.session.timeout.ms must be greater than or equal to \
             group.streams.min.session.timeout.ms, which is 45000; it would be 1"
        );
        assert_eq!(
            why(&[("streams.num.standby.replicas", "3")]),
            "streams.num.standby.replicas must be less than or equal to \
             group.streams.max.standby.replicas, which is 2; it would be 3"
        );
        let broker = BrokerConfig::from_pairs(&[("group.streams.min.session.timeout.ms", "100")]);
        let set = BTreeMap::from([("streams.session.timeout.ms".to_owned(), "5000".to_owned())]);
        let beats = validate_group_configs(&broker.unwrap(), &set).unwrap_err();
        assert_eq!(
            beats.to_string(),
            "streams.session.timeout.ms must be greater than streams.heartbeat.interval.ms, \
             which is 5000; it would be 5000"
        );
    }

    #[test]
    fn pins_are_read_or_refused() {
        let pins = |text: &str| {
            let set = BTreeMap::from([("offsets.pin".to_owned(), text.to_owned())]);
            let settings = GroupSettings::resolve(&BrokerConfig::defaults(), &set)?;
            settings.pins()
        };
        let read = pins("orders, pay:3,*").unwrap();
        let pin = |topic: &str, partition| (topic.to_owned(), partition);
        assert_eq!(
            read,
            [pin("orders", None), pin("pay", Some(3)), pin("*", None)]
        );
        assert_eq!(pins("").unwrap(), []);
        for bad in ["pay:", "pay:-1", ":3", "pay:three", "a:b:3"] {
            assert!(check(&[("offsets.pin", bad)]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_share_group_begins_at_an_end_or_some_time_ago() {
        for good in [
            "earliest",
            "latest",
            "by_duration:PT1H",
            "by_duration:P1DT2H3M4.5S",
            "by_duration:P3D",
        ] {
            assert!(
                check(&[("share.auto.offset.reset", good)]).is_ok(),
                "{good}"
            );
        }
        for bad in [
            "none",
            "by_duration:",
            "by_duration:P",
            "by_duration:PT",
            "by_duration:-PT1H",
            "by_duration:PTH",
            "by_duration:1h",
        ] {
            assert!(check(&[("share.auto.offset.reset", bad)]).is_err(), "{bad}");
        }
    }
}
