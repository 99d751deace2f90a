//! What is set on a group. A broker of our own is told by Kafka's protocol as well; of a guardian it is the only way.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchword_wire::Str;
use serde::{Deserialize, Serialize};

use super::error::PlaneError;
use super::home::Home;
use crate::broker::Broker;
use crate::catalog::RESOURCE_GROUP;
use crate::outcome;

/// What is set on a group, by Kafka's names for settings.
#[derive(Debug, Serialize)]
pub(crate) struct SettingsView {
    group: String,
    settings: BTreeMap<String, String>,
}

/// What is to be set; null has the default hold again.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSettings {
    settings: BTreeMap<String, Option<String>>,
}

/// What is set on a group, whether it exists or not.
pub(crate) fn settings(broker: &Broker, group: &str) -> SettingsView {
    SettingsView {
        group: group.to_owned(),
        settings: broker.catalog.overrides(RESOURCE_GROUP, group),
    }
}

/// Sets and takes back, all or nothing, durably.
pub(crate) async fn set(
    broker: &Arc<Broker>,
    group: &Str,
    new: NewSettings,
) -> Result<SettingsView, PlaneError> {
    let home = Home::of(broker);
    for (key, value) in &new.settings {
        home.may_set(key, value.as_deref())?;
    }
    let changes: Vec<(String, Option<String>)> = new.settings.into_iter().collect();
    let (own, name) = (broker.clone(), group.clone());
    let work = move || {
        own.catalog
            .alter_configs(RESOURCE_GROUP, &name, &changes, false)
    };
    let done = outcome::blocking(work).await;
    let done = done.ok_or_else(PlaneError::stopping)?;
    done.map_err(|error| {
        PlaneError::new(
            400,
            "bad-setting",
            format!("{error}; nothing was changed"),
            "docs/config.md lists the keys of groups and what they may be",
        )
    })?;
    Ok(settings(broker, group))
}
