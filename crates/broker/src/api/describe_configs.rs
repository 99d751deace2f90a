//! DescribeConfigs (32): every setting of a topic or of the broker, where it comes from and what it means.

use catchword_config::{
    BrokerConfig, ConfigSource, Described, Synonym, describe_broker, describe_client_metrics,
    describe_group, describe_topic,
};
use catchword_wire::messages::describe_configs_request::DescribeConfigsResource;
use catchword_wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use catchword_wire::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use catchword_wire::{ErrorCode, Str};

use super::distinct::distinct;
use crate::broker::Broker;
use crate::catalog::{
    RESOURCE_BROKER, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP, RESOURCE_TOPIC, TopicError,
};
use crate::dispatch::Call;
use crate::outcome::Outcome;

/// BROKER_LOGGER: levels of the broker's loggers.
const RESOURCE_BROKER_LOGGER: i8 = 8;
const HTTP_LISTENER: &str = "http.listener";

pub(crate) fn handle(
    call: &Call,
    mut request: DescribeConfigsRequest,
) -> Outcome<DescribeConfigsResponse> {
    let with = With {
        synonyms: request.include_synonyms,
        documentation: request.include_documentation,
    };
    distinct(&mut request.resources, |r| {
        (r.resource_type, r.resource_name.clone())
    });
    let results = request
        .resources
        .into_iter()
        .map(|r| one(&call.broker, r, with))
        .collect();
    Outcome::Now(DescribeConfigsResponse {
        results,
        ..DescribeConfigsResponse::default()
    })
}

#[derive(Clone, Copy)]
struct With {
    synonyms: bool,
    documentation: bool,
}

fn one(broker: &Broker, wanted: DescribeConfigsResource, with: With) -> DescribeConfigsResult {
    let keys = wanted.configuration_keys.filter(|keys| !keys.is_empty());
    let mut result = DescribeConfigsResult {
        resource_type: wanted.resource_type,
        resource_name: wanted.resource_name.clone(),
        ..DescribeConfigsResult::default()
    };
    match describe(broker, wanted.resource_type, &wanted.resource_name) {
        Ok(described) => {
            let asked = |d: &Described| {
                keys.as_ref()
                    .is_none_or(|keys| keys.iter().any(|k| k == d.key))
            };
            result.configs = described
                .into_iter()
                .filter(asked)
                .map(|d| entry(d, with))
                .collect();
        }
        Err(error) => {
            result.error_code = error.code.code();
            result.error_message = Some(error.message.into());
        }
    }
    result
}

fn describe(broker: &Broker, resource_type: i8, name: &str) -> Result<Vec<Described>, TopicError> {
    let config = broker.catalog.config();
    match resource_type {
        RESOURCE_TOPIC => {
            crate::catalog::check_name(name)?;
            let unknown = || {
                TopicError::new(
                    ErrorCode::UnknownTopicOrPartition,
                    format!("there is no topic {name}"),
                )
            };
            let topic = broker.catalog.topic(name).ok_or_else(unknown)?;
            Ok(describe_topic(&config, &topic.overrides))
        }
        RESOURCE_BROKER if name.is_empty() => Ok(cluster_wide(broker, &config)),
        RESOURCE_BROKER => {
            check_node(broker, name)?;
            Ok(as_bound(broker, describe_broker(&config)))
        }
        RESOURCE_GROUP => Ok(describe_group(
            &config,
            &broker.catalog.overrides(RESOURCE_GROUP, name),
        )),
        RESOURCE_CLIENT_METRICS if !name.is_empty() => Ok(describe_client_metrics(
            &config,
            &broker.catalog.overrides(RESOURCE_CLIENT_METRICS, name),
        )),
        RESOURCE_BROKER_LOGGER => {
            check_node(broker, name)?;
            Ok(Vec::new())
        }
        other => Err(TopicError::new(
            ErrorCode::InvalidRequest,
            format!("resources of type {other} have no settings"),
        )),
    }
}

/// The default for all brokers holds only what was set there, whatever this broker has set for itself.
fn cluster_wide(broker: &Broker, config: &BrokerConfig) -> Vec<Described> {
    let set = broker.catalog.overrides(RESOURCE_BROKER, "");
    let source = ConfigSource::DynamicDefaultBroker;
    let as_set = |d: Described| {
        let text = set.get(d.key)?;
        let value = (!d.sensitive).then(|| text.clone());
        let synonym = Synonym {
            name: d.key,
            value: value.clone(),
            source,
        };
        Some(Described {
            value,
            source,
            synonyms: vec![synonym],
            ..d
        })
    };
    describe_broker(config)
        .into_iter()
        .filter_map(as_set)
        .collect()
}

/// Where the JSON API really is: by this our command line finds it.
fn as_bound(broker: &Broker, mut described: Vec<Described>) -> Vec<Described> {
    let bound = broker.http().map_or_else(String::new, |a| a.to_string());
    for d in described.iter_mut().filter(|d| d.key == HTTP_LISTENER) {
        d.value = Some(bound.clone());
    }
    described
}

/// A broker's settings are asked of that broker.
pub(super) fn check_node(broker: &Broker, name: &str) -> Result<(), TopicError> {
    if name == broker.node_id.to_string() {
        return Ok(());
    }
    let why = format!(
        "Unexpected broker id, expected {} or empty string, but received {name}",
        broker.node_id
    );
    Err(TopicError::new(ErrorCode::InvalidRequest, why))
}

fn entry(d: Described, with: With) -> DescribeConfigsResourceResult {
    let synonym = |s: catchword_config::Synonym| DescribeConfigsSynonym {
        name: s.name.into(),
        value: s.value.map(Str::from),
        source: s.source.code(),
    };
    DescribeConfigsResourceResult {
        name: d.key.into(),
        value: d.value.map(Str::from),
        read_only: d.read_only,
        config_source: d.source.code(),
        is_sensitive: d.sensitive,
        synonyms: if with.synonyms {
            d.synonyms.into_iter().map(synonym).collect()
        } else {
            Vec::new()
        },
        config_type: d.config_type,
        documentation: with.documentation.then(|| d.documentation.into()),
    }
}
