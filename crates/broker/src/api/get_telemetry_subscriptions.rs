//! GetTelemetrySubscriptions (71): which metrics a client is asked to push (KIP-714).
//!
//! Kafka names this API and PushTelemetry only where somebody has given it a plugin to hand the metrics to. They are
//! always named here: clients ask a broker that names them once at their start and every five minutes, and learn so of a
//! subscription that is set while they run; where there is none, that small request is all that it costs them. Named
//! only while there is a subscription, no client that is connected already would hear of the first.

use catchword_wire::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse,
};
use catchword_wire::{ErrorCode, Uuid};

use crate::clock;
use crate::dispatch::Call;
use crate::outcome::Outcome;
use crate::random;
use crate::telemetry::Asker;

/// zstd, lz4, gzip, snappy: as Kafka orders them, the best first.
const ACCEPTED: [i8; 4] = [4, 3, 1, 2];

pub(crate) fn handle(
    call: &Call,
    request: GetTelemetrySubscriptionsRequest,
) -> Outcome<GetTelemetrySubscriptionsResponse> {
    let telemetry = &call.broker.telemetry;
    let id = match request.client_instance_id {
        id if id.is_zero() => Uuid::from_random(random::bytes()),
        id => id,
    };
    let asker = Asker {
        client: &call.client,
        client_id: &call.client_id,
    };
    let subscriptions = call.broker.catalog.subscriptions();
    let wanted = telemetry.subscribe(id, &asker, &subscriptions, clock::now_ms());
    Outcome::Now(match wanted {
        Ok(wanted) => GetTelemetrySubscriptionsResponse {
            error_code: ErrorCode::None.code(),
            client_instance_id: id,
            subscription_id: wanted.subscription_id,
            accepted_compression_types: ACCEPTED.to_vec(),
            push_interval_ms: wanted.interval_ms,
            telemetry_max_bytes: telemetry.max_bytes(),
            delta_temporality: true,
            requested_metrics: wanted.metrics,
            ..GetTelemetrySubscriptionsResponse::default()
        },
        Err(error) => GetTelemetrySubscriptionsResponse {
            error_code: error.code(),
            ..GetTelemetrySubscriptionsResponse::default()
        },
    })
}
