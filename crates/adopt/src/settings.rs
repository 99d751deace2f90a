//! Kafka's settings as ours: what is known comes along, what is not is named.

use std::collections::BTreeMap;

use catchword_config::{BrokerConfig, DynamicConfigs, TopicSettings, validate_group_configs};

use crate::metadata::{KafkaMetadata, RESOURCE_TOPIC};
use crate::remark::Remarks;

const RESOURCE_BROKER: i8 = 4;
const RESOURCE_CLIENT_METRICS: i8 = 16;
const RESOURCE_GROUP: i8 = 32;

type Settings = BTreeMap<String, String>;

/// What is set on topics, by name; the rest by type and name.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    pub(crate) topics: BTreeMap<String, Settings>,
    pub(crate) others: BTreeMap<(i8, String), Settings>,
}

/// Sorts the settings into those that come along and those that are named.
pub(crate) fn carry(metadata: &KafkaMetadata, remarks: &mut Remarks) -> Carried {
    let broker = BrokerConfig::defaults();
    let mut carried = Carried::default();
    for ((kind, name), set) in &metadata.configs {
        match *kind {
            RESOURCE_TOPIC => {
                if set
                    .get("remote.storage.enable")
                    .is_some_and(|on| on == "true")
                {
                    remarks.refuse(
                        format!("topic {name} has records in tiered storage (remote.storage.enable=true)"),
                        "they would be missing: turn tiering off in Kafka first, or delete the topic",
                    );
                }
                let accepts = |some: &Settings| {
                    TopicSettings::resolve(&broker, some)
                        .map(drop)
                        .map_err(|e| e.to_string())
                };
                let kept = sieve(set, &accepts, &format!("topic {name}"), remarks);
                carried.topics.insert(name.clone(), kept);
            }
            RESOURCE_BROKER => {
                let accepts = |some: &Settings| {
                    let dynamic = DynamicConfigs {
                        broker: some.clone(),
                        ..DynamicConfigs::default()
                    };
                    broker
                        .with_dynamic(&dynamic)
                        .map(drop)
                        .map_err(|e| e.to_string())
                };
                let of = match name.is_empty() {
                    true => "all brokers".to_owned(),
                    false => format!("broker {name}"),
                };
                let kept = sieve(set, &accepts, &of, remarks);
                carried.others.insert((*kind, name.clone()), kept);
            }
            RESOURCE_GROUP => {
                let accepts = |some: &Settings| {
                    validate_group_configs(&broker, some).map_err(|e| e.to_string())
                };
                let kept = sieve(set, &accepts, &format!("group {name}"), remarks);
                carried.others.insert((*kind, name.clone()), kept);
            }
            RESOURCE_CLIENT_METRICS => remarks.left(
                format!("the client metrics subscription {name}"),
                "clients' metrics are not gathered here",
            ),
            other => remarks.left(
                format!("settings of {name} (a resource of type {other})"),
                "this version knows nothing of that kind",
            ),
        }
    }
    carried
}

/// The settings that are accepted one by one and together.
fn sieve(
    set: &Settings,
    accepts: &dyn Fn(&Settings) -> Result<(), String>,
    of: &str,
    remarks: &mut Remarks,
) -> Settings {
    let mut kept = Settings::new();
    for (key, value) in set {
        kept.insert(key.clone(), value.clone());
        if let Err(why) = accepts(&kept) {
            kept.remove(key);
            remarks.left(format!("the setting {key}={value} of {of}"), why);
        }
    }
    kept
}
