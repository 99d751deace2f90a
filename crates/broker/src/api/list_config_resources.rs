//! ListConfigResources (74): what settings can be asked for (KIP-1142); version 0 lists subscriptions to clients' metrics.

use catchword_wire::messages::list_config_resources_response::ConfigResource;
use catchword_wire::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use catchword_wire::{ErrorCode, Str};

use crate::catalog::{RESOURCE_BROKER, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP, RESOURCE_TOPIC};
use crate::dispatch::Call;
use crate::outcome::{Outcome, blocking};

const RESOURCE_BROKER_LOGGER: i8 = 8;
const ALL: [i8; 5] = [
    RESOURCE_GROUP,
    RESOURCE_CLIENT_METRICS,
    RESOURCE_BROKER_LOGGER,
    RESOURCE_BROKER,
    RESOURCE_TOPIC,
];

pub(crate) fn handle(
    call: &Call,
    request: ListConfigResourcesRequest,
) -> Outcome<ListConfigResourcesResponse> {
    let known: &[i8] = if call.version == 0 {
        &[RESOURCE_CLIENT_METRICS]
    } else {
        &ALL
    };
    let asked = request.resource_types;
    if asked.iter().any(|kind| !known.contains(kind)) {
        return Outcome::Now(ListConfigResourcesResponse {
            error_code: ErrorCode::UnsupportedVersion.code(),
            ..ListConfigResourcesResponse::default()
        });
    }
    let wanted = known
        .iter()
        .filter(move |kind| asked.is_empty() || asked.contains(kind));
    let wanted: Vec<i8> = wanted.copied().collect();
    let broker = call.broker.clone();
    Outcome::later(async move {
        let list = move || {
            let mut found = Vec::new();
            for resource_type in wanted {
                let names: Vec<Str> = match resource_type {
                    RESOURCE_TOPIC => broker
                        .catalog
                        .topics()
                        .iter()
                        .map(|t| t.name.clone())
                        .collect(),
                    RESOURCE_BROKER | RESOURCE_BROKER_LOGGER => {
                        vec![Str::from(broker.node_id.to_string())]
                    }
                    _ => broker.catalog.configured(resource_type),
                };
                found.extend(names.into_iter().map(|resource_name| ConfigResource {
                    resource_name,
                    resource_type,
                }));
            }
            found
        };
        ListConfigResourcesResponse {
            config_resources: blocking(list).await.unwrap_or_default(),
            ..ListConfigResourcesResponse::default()
        }
    })
}
