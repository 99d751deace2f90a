//! Settings of the broker, of topics, of groups and of client metrics, changed while the broker runs.

use std::sync::{Arc, PoisonError};

use catchword_config::{BrokerConfig, ConfigError, DynamicConfigs, TopicSettings};
use catchword_wire::Str;
use catchword_wire::records::ConfigRecord;

use super::record::CatalogRecord;
use super::state::{
    CatalogState, RESOURCE_BROKER, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP, RESOURCE_TOPIC,
};
use super::{Catalog, CatalogError};

impl Catalog {
    /// The broker's settings with what was set while it ran.
    pub(super) fn resolve_broker(&self, state: &CatalogState) -> Result<BrokerConfig, ConfigError> {
        let dynamic = DynamicConfigs {
            broker: state.configs(RESOURCE_BROKER, &self.base.node_id.to_string()),
            cluster: state.configs(RESOURCE_BROKER, ""),
        };
        self.base.with_dynamic(&dynamic)
    }

    /// Replaces what is set on a topic or on the broker. `changes` has `None` for what is taken back. With
    /// `validate_only` nothing changes.
    pub(crate) fn alter_configs(
        &self,
        resource_type: i8,
        name: &str,
        changes: &[(String, Option<String>)],
        validate_only: bool,
    ) -> Result<(), CatalogError> {
        let mut writer = self.writer();
        let mut overrides = writer.state.configs(resource_type, name);
        for (key, value) in changes {
            match value {
                Some(value) => overrides.insert(key.clone(), value.clone()),
                None => overrides.remove(key),
            };
        }
        let config = self.config();
        match resource_type {
            RESOURCE_TOPIC => drop(TopicSettings::resolve(&config, &overrides)?),
            RESOURCE_GROUP => catchword_config::validate_group_configs(&config, &overrides)?,
            RESOURCE_CLIENT_METRICS => drop(catchword_config::Subscription::resolve(&overrides)?),
            _ => {
                let node = self.base.node_id.to_string();
                let of = |resource: &str| match resource == name {
                    true => overrides.clone(),
                    false => writer.state.configs(RESOURCE_BROKER, resource),
                };
                self.base.with_dynamic(&DynamicConfigs {
                    broker: of(&node),
                    cluster: of(""),
                })?;
            }
        }
        if validate_only || changes.is_empty() {
            return Ok(());
        }
        let records: Vec<CatalogRecord> = changes
            .iter()
            .map(|(key, value)| {
                CatalogRecord::Config(ConfigRecord {
                    resource_type,
                    resource_name: Str::copy(name),
                    name: Str::copy(key),
                    value: value.as_deref().map(Str::copy),
                })
            })
            .collect();
        writer.append(&records, true)?;
        match resource_type {
            RESOURCE_TOPIC => self.republish(&writer.state, &config, name),
            RESOURCE_GROUP | RESOURCE_CLIENT_METRICS => {
                self.republish_admin(&writer.state);
                Ok(())
            }
            _ => self.republish_all(&writer.state),
        }
    }

    /// Puts the broker's settings and every topic, which may follow them, into the image anew.
    fn republish_all(&self, state: &CatalogState) -> Result<(), CatalogError> {
        let config = Arc::new(self.resolve_broker(state)?);
        self.image
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .config = config.clone();
        self.republish_admin(state);
        for topic in self.topics() {
            self.republish(state, &config, &topic.name)?;
        }
        Ok(())
    }
}
