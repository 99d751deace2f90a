//! Topics and configurations: making, changing, reading, deleting.

use std::time::Duration;

use catchword_wire::Str;
use catchword_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use catchword_wire::messages::delete_topics_request::DeleteTopicState;
use catchword_wire::messages::describe_configs_request::DescribeConfigsResource;
use catchword_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use catchword_wire::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
    IncrementalAlterConfigsRequest,
};

use crate::client::{ANY, Client};
use crate::error::{ClientError, check};

/// A topic to be made.
#[derive(Debug, Clone, Default)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Its partitions; the broker's `num.partitions` if `None`.
    pub partitions: Option<i32>,
    /// Its replicas; the broker's `default.replication.factor` if `None`.
    pub replication: Option<i16>,
    /// Its configuration.
    pub configs: Vec<(String, String)>,
    /// Whether only to say if it could be made.
    pub validate_only: bool,
}

/// What a configuration belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceType {
    /// A topic, by name.
    Topic,
    /// A broker, by number; all brokers with an empty name.
    Broker,
    /// A group, by name.
    Group,
}

/// What a configuration belongs to, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The kind.
    pub kind: ResourceType,
    /// The name.
    pub name: String,
}

impl Resource {
    /// A topic.
    pub fn topic(name: impl Into<String>) -> Self {
        Self {
            kind: ResourceType::Topic,
            name: name.into(),
        }
    }

    fn code(&self) -> i8 {
        match self.kind {
            ResourceType::Topic => 2,
            ResourceType::Broker => 4,
            ResourceType::Group => 32,
        }
    }

    fn words(&self) -> String {
        let kind = match self.kind {
            ResourceType::Topic => "topic",
            ResourceType::Broker => "broker",
            ResourceType::Group => "group",
        };
        format!("{kind} {:?}", self.name)
    }
}

/// A configuration key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The key.
    pub name: String,
    /// The value; `None` if it is hidden or not set.
    pub value: Option<String>,
    /// Kafka's number of where the value comes from.
    pub source: i8,
    /// Whether a running broker refuses to change it.
    pub read_only: bool,
    /// Whether the value is hidden.
    pub sensitive: bool,
    /// What the key is for, where the broker says it.
    pub documentation: Option<String>,
}

impl ConfigEntry {
    /// Whether the value is neither a default nor inherited.
    pub fn is_set(&self) -> bool {
        matches!(self.source, 1 | 8)
    }

    /// Where the value comes from, in a word.
    pub fn source_word(&self) -> &'static str {
        match self.source {
            1 => "topic",
            2 => "broker (dynamic)",
            3 => "all brokers (dynamic)",
            4 => "broker",
            5 => "default",
            8 => "group",
            _ => "unknown",
        }
    }
}

/// One change of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlterConfig {
    /// Sets the key.
    Set(String, String),
    /// Lets the key take its default again.
    Delete(String),
}

impl Client {
    /// Makes a topic.
    ///
    /// # Errors
    /// If the broker refuses: the topic exists, a name or config is not valid, ...
    pub fn create_topic(&mut self, topic: &NewTopic) -> Result<(), ClientError> {
        let config = |(name, value): &(String, String)| CreatableTopicConfig {
            name: Str::copy(name),
            value: Some(Str::copy(value)),
        };
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: Str::copy(&topic.name),
                num_partitions: topic.partitions.unwrap_or(-1),
                replication_factor: topic.replication.unwrap_or(-1),
                assignments: Vec::new(),
                configs: topic.configs.iter().map(config).collect(),
            }],
            timeout_ms: self.timeout_ms(),
            validate_only: topic.validate_only,
        };
        let what = || format!("create topic {:?}", topic.name);
        self.call_controller(&request, |response| {
            let result = response.topics.first();
            result.map_or(Ok(()), |r| {
                check(r.error_code, r.error_message.as_deref(), what)
            })
        })?;
        self.forget_leaders();
        Ok(())
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`], or if the broker refuses.
    pub fn delete_topic(&mut self, name: &str) -> Result<(), ClientError> {
        self.topic(name, false)?;
        let request = DeleteTopicsRequest {
            topics: vec![DeleteTopicState {
                name: Some(Str::copy(name)),
                ..Default::default()
            }],
            topic_names: vec![Str::copy(name)],
            timeout_ms: self.timeout_ms(),
        };
        let what = || format!("delete topic {name:?}");
        self.call_controller(&request, |response| {
            let result = response.responses.first();
            result.map_or(Ok(()), |r| {
                check(r.error_code, r.error_message.as_deref(), what)
            })
        })?;
        self.forget_leaders();
        Ok(())
    }

    /// Reads a configuration, by key.
    ///
    /// # Errors
    /// If there is no such resource, or the broker refuses.
    pub fn describe_configs(
        &mut self,
        resource: &Resource,
    ) -> Result<Vec<ConfigEntry>, ClientError> {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: resource.code(),
                resource_name: Str::copy(&resource.name),
                configuration_keys: None,
            }],
            include_synonyms: false,
            include_documentation: true,
        };
        let what = || format!("read the configuration of {}", resource.words());
        let response = self.retrying(|client| {
            let response = client.call_any(&request, ANY)?;
            if let Some(result) = response.results.first() {
                check(result.error_code, result.error_message.as_deref(), what)?;
            }
            Ok(response)
        })?;
        let configs = response
            .results
            .into_iter()
            .flat_map(|result| result.configs);
        let mut entries: Vec<_> = configs
            .map(|config| ConfigEntry {
                name: config.name.to_string(),
                value: config.value.map(|value| value.to_string()),
                source: config.config_source,
                read_only: config.read_only,
                sensitive: config.is_sensitive,
                documentation: config.documentation.map(|text| text.to_string()),
            })
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Changes a configuration; all changes are made, or none.
    ///
    /// # Errors
    /// If the broker refuses one of the changes.
    pub fn alter_configs(
        &mut self,
        resource: &Resource,
        changes: &[AlterConfig],
    ) -> Result<(), ClientError> {
        let config = |change: &AlterConfig| match change {
            AlterConfig::Set(name, value) => AlterableConfig {
                name: Str::copy(name),
                config_operation: 0,
                value: Some(Str::copy(value)),
            },
            AlterConfig::Delete(name) => AlterableConfig {
                name: Str::copy(name),
                config_operation: 1,
                value: None,
            },
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: resource.code(),
                resource_name: Str::copy(&resource.name),
                configs: changes.iter().map(config).collect(),
            }],
            validate_only: false,
        };
        let what = || format!("change the configuration of {}", resource.words());
        self.call_controller(&request, |response| {
            let result = response.responses.first();
            result.map_or(Ok(()), |r| {
                check(r.error_code, r.error_message.as_deref(), what)
            })
        })?;
        Ok(())
    }

    /// The time a broker gets for a change, in milliseconds.
    pub(crate) fn timeout_ms(&self) -> i32 {
        let timeout = self
            .options()
            .request_timeout
            .saturating_sub(Duration::from_secs(1));
        i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
    }
}
