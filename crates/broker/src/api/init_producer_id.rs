//! InitProducerId (22): an id and an epoch for an idempotent producer.

use catchword_wire::ErrorCode;
use catchword_wire::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::dispatch::Call;
use crate::outcome::{Outcome, blocking};

pub(crate) fn handle(
    call: &Call,
    request: InitProducerIdRequest,
) -> Outcome<InitProducerIdResponse> {
    let failed = |error: ErrorCode| InitProducerIdResponse {
        error_code: error.code(),
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdResponse::default()
    };
    if request
        .transactional_id
        .as_ref()
        .is_some_and(|id| id.is_empty())
    {
        return Outcome::Now(failed(ErrorCode::InvalidRequest));
    }
    if request.transactional_id.is_some() {
        // Transactions have no coordinator yet; no client gets this far, as FindCoordinator refuses.
        return Outcome::Now(failed(ErrorCode::NotCoordinator));
    }
    let catalog = call.broker.catalog.clone();
    Outcome::later(async move {
        match blocking(move || catalog.next_producer_id()).await {
            Some(Ok(producer_id)) => InitProducerIdResponse {
                producer_id,
                producer_epoch: 0,
                ..InitProducerIdResponse::default()
            },
            Some(Err(error)) => {
                tracing::warn!("no producer id could be given out: {error}");
                failed(ErrorCode::CoordinatorNotAvailable)
            }
            None => failed(ErrorCode::CoordinatorNotAvailable),
        }
    })
}
