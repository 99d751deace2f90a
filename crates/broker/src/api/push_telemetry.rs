//! PushTelemetry (72): a client's metrics (KIP-714).

use catchword_wire::messages::{PushTelemetryRequest, PushTelemetryResponse};

use crate::clock;
use crate::dispatch::Call;
use crate::outcome::Outcome;
use crate::telemetry::Asker;

pub(crate) fn handle(call: &Call, request: PushTelemetryRequest) -> Outcome<PushTelemetryResponse> {
    let asker = Asker {
        client: &call.client,
        client_id: &call.client_id,
    };
    let subscriptions = call.broker.catalog.subscriptions();
    let telemetry = &call.broker.telemetry;
    let taken = telemetry.push(request, &asker, &subscriptions, clock::now_ms());
    Outcome::Now(PushTelemetryResponse {
        error_code: taken.err().map_or(0, |error| error.code()),
        ..PushTelemetryResponse::default()
    })
}
