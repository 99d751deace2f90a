//! IncrementalAlterConfigs (44): single settings set, taken back, or lists added to (KIP-339).

use std::collections::BTreeSet;

use catchword_config::{BrokerConfig, ConfigError, Key, Type};
use catchword_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use catchword_wire::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use catchword_wire::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use catchword_wire::{ErrorCode, Str};

use crate::broker::Broker;
use crate::catalog::{
    CatalogError, RESOURCE_BROKER, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP, RESOURCE_TOPIC,
    TopicError,
};
use crate::dispatch::Call;
use crate::outcome::{Outcome, blocking};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// A setting's new value; `None` takes it back.
pub(super) type Change = (String, Option<String>);

pub(crate) fn handle(
    call: &Call,
    request: IncrementalAlterConfigsRequest,
) -> Outcome<IncrementalAlterConfigsResponse> {
    let broker = call.broker.clone();
    Outcome::later(async move {
        let alter_all = move || {
            let validate_only = request.validate_only;
            request
                .resources
                .into_iter()
                .map(|r| one(&broker, r, validate_only))
                .collect()
        };
        IncrementalAlterConfigsResponse {
            responses: blocking(alter_all).await.unwrap_or_default(),
            ..IncrementalAlterConfigsResponse::default()
        }
    })
}

fn one(
    broker: &Broker,
    resource: AlterConfigsResource,
    validate_only: bool,
) -> AlterConfigsResourceResponse {
    let (kind, name) = (resource.resource_type, resource.resource_name.clone());
    let done = changes(broker, &resource)
        .and_then(|changes| alter(broker, kind, &name, &changes, validate_only));
    let error = done.err();
    AlterConfigsResourceResponse {
        error_code: error.as_ref().map_or(0, |e| e.code.code()),
        error_message: error.map(|e| e.message.into()),
        resource_type: kind,
        resource_name: name,
    }
}

/// Checks that the resource is there, then changes it.
pub(super) fn alter(
    broker: &Broker,
    kind: i8,
    name: &Str,
    changes: &[Change],
    validate_only: bool,
) -> Result<(), TopicError> {
    match kind {
        RESOURCE_TOPIC => {
            crate::catalog::check_name(name)?;
            let unknown = || {
                TopicError::new(
                    ErrorCode::UnknownTopicOrPartition,
                    format!("there is no topic {name}"),
                )
            };
            broker.catalog.topic(name).ok_or_else(unknown)?;
        }
        RESOURCE_BROKER if name.is_empty() => {}
        RESOURCE_BROKER => super::describe_configs::check_node(broker, name)?,
        RESOURCE_GROUP | RESOURCE_CLIENT_METRICS if !name.is_empty() => {}
        other => {
            let why = format!("settings of resources of type {other} cannot be changed");
            return Err(TopicError::new(ErrorCode::InvalidRequest, why));
        }
    }
    let altered = broker
        .catalog
        .alter_configs(kind, name, changes, validate_only);
    altered.map_err(|error| {
        let of_request = kind == RESOURCE_CLIENT_METRICS && is_of_request(&error);
        let mut error = TopicError::from(error);
        if of_request {
            error.code = ErrorCode::InvalidRequest;
        }
        error
    })
}

/// Of a subscription to metrics Kafka calls an unknown key, and an interval out of bounds, errors of the request; what
/// is of the wrong type or form is one of the setting.
fn is_of_request(error: &CatalogError) -> bool {
    match error {
        CatalogError::Config(ConfigError::Unknown { .. }) => true,
        CatalogError::Config(ConfigError::BadValue { name, value, .. }) => {
            name == "interval.ms" && value.trim().parse::<i32>().is_ok()
        }
        _ => false,
    }
}

fn changes(broker: &Broker, resource: &AlterConfigsResource) -> Result<Vec<Change>, TopicError> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = resource
        .configs
        .iter()
        .find(|c| !seen.insert(c.name.clone()))
    {
        let why = format!("Error due to duplicate config keys: {}", twice.name);
        return Err(TopicError::new(ErrorCode::InvalidRequest, why));
    }
    resource
        .configs
        .iter()
        .map(|c| change(broker, resource, c))
        .collect()
}

fn change(
    broker: &Broker,
    resource: &AlterConfigsResource,
    config: &AlterableConfig,
) -> Result<Change, TopicError> {
    let name = config.name.to_string();
    let value = || {
        let missing = || {
            TopicError::new(
                ErrorCode::InvalidRequest,
                format!("Null value not supported for : {name}"),
            )
        };
        config
            .value
            .as_ref()
            .map(Str::to_string)
            .ok_or_else(missing)
    };
    let new = match config.config_operation {
        SET => Some(value()?),
        DELETE => None,
        operation @ (APPEND | SUBTRACT) => {
            let items = value()?;
            Some(with_items(
                broker,
                resource,
                &name,
                operation == APPEND,
                &items,
            )?)
        }
        other => {
            let why = format!("Unknown operation type {other} for config {name}");
            return Err(TopicError::new(ErrorCode::InvalidRequest, why));
        }
    };
    Ok((name, new))
}

/// The list that a setting holds now, with items added or taken out.
fn with_items(
    broker: &Broker,
    resource: &AlterConfigsResource,
    name: &str,
    add: bool,
    items: &str,
) -> Result<String, TopicError> {
    let key: Option<&Key> = match resource.resource_type {
        RESOURCE_TOPIC => catchword_config::TOPIC_KEYS.iter().find(|k| k.name == name),
        RESOURCE_GROUP => catchword_config::GROUP_KEYS.iter().find(|k| k.name == name),
        RESOURCE_CLIENT_METRICS => catchword_config::CLIENT_METRICS_KEYS
            .iter()
            .find(|k| k.name == name),
        _ => BrokerConfig::key(name),
    };
    if !key.is_some_and(|k| k.ty == Type::List) {
        let why = format!("Can't APPEND or SUBTRACT to key {name} because its type is not LIST.");
        return Err(TopicError::new(ErrorCode::InvalidConfig, why));
    }
    let set = broker
        .catalog
        .overrides(resource.resource_type, &resource.resource_name);
    let now = set
        .get(name)
        .cloned()
        .or_else(|| key.and_then(|k| k.default).map(str::to_owned))
        .unwrap_or_default();
    let split = |text: &str| -> Vec<String> {
        text.split(',')
            .map(str::trim)
            .filter(|t| !t.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let mut list = split(&now);
    for item in split(items) {
        list.retain(|present| *present != item);
        if add {
            list.push(item);
        }
    }
    Ok(list.join(","))
}
