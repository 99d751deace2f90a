//! A key of a GROUP resource, as the commands that keep, pin, hold and protect a group read and change it.

use catchword_client::{AlterConfig, Client, Resource, ResourceType};

use crate::failure::Failure;

/// A group, to the configuration.
pub(super) fn group(name: &str) -> Resource {
    Resource {
        kind: ResourceType::Group,
        name: name.to_owned(),
    }
}

/// What the key says for the group; empty where it has none.
pub(super) fn get(client: &mut Client, name: &str, key: &str) -> Result<String, Failure> {
    let configs = client.describe_configs(&group(name))?;
    let entry = configs.into_iter().find(|entry| entry.name == key);
    Ok(entry.and_then(|entry| entry.value).unwrap_or_default())
}

/// Sets the key for the group, or has the default hold again.
pub(super) fn put(
    client: &mut Client,
    name: &str,
    key: &str,
    value: Option<String>,
) -> Result<(), Failure> {
    Ok(client.alter_configs(&group(name), &[change(key, value)])?)
}

/// The change that sets a key, or has the default hold again.
pub(super) fn change(key: &str, value: Option<String>) -> AlterConfig {
    match value {
        Some(value) => AlterConfig::Set(key.into(), value),
        None => AlterConfig::Delete(key.into()),
    }
}
