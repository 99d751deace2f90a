//! The keys of a group, as the commands that keep, pin, hold, protect a group or hold it to something read and change them: by
//! Kafka's protocol, or where a guardian stands beside a Kafka that knows no such keys, at the guardian.

use std::collections::BTreeMap;

use catchword_client::{AlterConfig, Client, Resource, ResourceType};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::http::encoded;
use crate::plane::Api;

/// Changes to keys; `None` has the default hold again.
pub(super) type Changes<'a> = [(&'a str, Option<String>)];

/// What becomes of offsets that are to stay at a Kafka that knows no such wish.
pub(super) const AT_A_GUARDED_KAFKA: &str = "The guarded Kafka does not know of it: a guardian that runs with --restore-expired commits these offsets again before they expire and puts them back once they are gone; another one warns.";

/// What is set on the group; empty or missing where nothing is.
pub(super) fn all(
    client: &mut Client,
    api: &Api,
    name: &str,
) -> Result<BTreeMap<String, String>, Failure> {
    if api.is_guardian() {
        let told = api.get(&path(name))?;
        let set = told["settings"].as_object().into_iter().flatten();
        let text = |(key, value): (&String, &Value)| {
            (key.clone(), value.as_str().unwrap_or_default().to_owned())
        };
        return Ok(set.map(text).collect());
    }
    let configs = client.describe_configs(&group(name))?.into_iter();
    let pairs = configs.map(|entry| (entry.name, entry.value.unwrap_or_default()));
    Ok(pairs.collect())
}

/// What the key says for the group; empty where it has none.
pub(super) fn get(
    client: &mut Client,
    api: &Api,
    name: &str,
    key: &str,
) -> Result<String, Failure> {
    Ok(all(client, api, name)?.remove(key).unwrap_or_default())
}

/// Sets keys for the group, or has their defaults hold again; all or nothing.
pub(super) fn put(
    client: &mut Client,
    api: &Api,
    name: &str,
    changes: &Changes<'_>,
) -> Result<(), Failure> {
    if api.is_guardian() {
        let settings: BTreeMap<&str, &Option<String>> =
            changes.iter().map(|(key, value)| (*key, value)).collect();
        api.post(&path(name), &json!({ "settings": settings }))?;
        return Ok(());
    }
    let change = |(key, value): &(&str, Option<String>)| match value {
        Some(value) => AlterConfig::Set((*key).into(), value.clone()),
        None => AlterConfig::Delete((*key).into()),
    };
    let changes: Vec<AlterConfig> = changes.iter().map(change).collect();
    Ok(client.alter_configs(&group(name), &changes)?)
}

/// A group, to the configuration.
fn group(name: &str) -> Resource {
    Resource {
        kind: ResourceType::Group,
        name: name.to_owned(),
    }
}

fn path(name: &str) -> String {
    format!("/v1/groups/{}/settings", encoded(name))
}
