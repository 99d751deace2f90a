//! AlterConfigs (33), the old form: what is not named is taken back.

use catchword_wire::Str;
use catchword_wire::messages::alter_configs_request::AlterConfigsResource;
use catchword_wire::messages::alter_configs_response::AlterConfigsResourceResponse;
use catchword_wire::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::incremental_alter_configs::{Change, alter};
use crate::broker::Broker;
use crate::dispatch::Call;
use crate::outcome::{Outcome, blocking};

pub(crate) fn handle(call: &Call, request: AlterConfigsRequest) -> Outcome<AlterConfigsResponse> {
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
        AlterConfigsResponse {
            responses: blocking(alter_all).await.unwrap_or_default(),
            ..AlterConfigsResponse::default()
        }
    })
}

fn one(
    broker: &Broker,
    resource: AlterConfigsResource,
    validate_only: bool,
) -> AlterConfigsResourceResponse {
    let (kind, name) = (resource.resource_type, &resource.resource_name);
    let mut changes: Vec<Change> = broker
        .catalog
        .overrides(kind, name)
        .into_keys()
        .map(|key| (key, None))
        .collect();
    changes.retain(|(key, _)| !resource.configs.iter().any(|c| c.name == key.as_str()));
    changes.extend(
        resource
            .configs
            .iter()
            .map(|c| (c.name.to_string(), c.value.as_ref().map(Str::to_string))),
    );
    let error = alter(broker, kind, name, &changes, validate_only).err();
    AlterConfigsResourceResponse {
        error_code: error.as_ref().map_or(0, |e| e.code.code()),
        error_message: error.map(|e| e.message.into()),
        resource_type: kind,
        resource_name: resource.resource_name,
    }
}
