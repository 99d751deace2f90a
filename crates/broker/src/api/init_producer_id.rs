//! InitProducerId (22): an id and an epoch for a producer. With a transactional id its coordinator gives them, and fences
//! whoever had them before.

use catchword_coordinator::{InitCall, TransactionCall, TransactionReply};
use catchword_wire::ErrorCode;
use catchword_wire::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::dispatch::Call;
use crate::outcome::{Outcome, blocking};

/// First version whose clients know PRODUCER_FENCED.
const KNOWS_FENCED: i16 = 4;

pub(crate) fn handle(
    call: &Call,
    request: InitProducerIdRequest,
) -> Outcome<InitProducerIdResponse> {
    if request
        .transactional_id
        .as_ref()
        .is_some_and(|id| id.is_empty())
    {
        return Outcome::Now(failed(ErrorCode::InvalidRequest));
    }
    let call = call.clone();
    Outcome::later(async move {
        let catalog = call.broker.catalog.clone();
        let drawn = blocking(move || catalog.next_producer_id()).await;
        let producer_id = match drawn {
            Some(Ok(producer_id)) => producer_id,
            Some(Err(error)) => {
                tracing::warn!("no producer id could be given out: {error}");
                return failed(ErrorCode::CoordinatorNotAvailable);
            }
            None => return failed(ErrorCode::CoordinatorNotAvailable),
        };
        if request.transactional_id.is_none() {
            return InitProducerIdResponse {
                producer_id,
                producer_epoch: 0,
                ..InitProducerIdResponse::default()
            };
        }
        let asked = TransactionCall::InitProducerId(InitCall {
            request,
            spare_id: producer_id,
        });
        match call.broker.transactions.call(&call, asked).get().await {
            Some(Some(TransactionReply::InitProducerId(mut response))) => {
                let fenced = ErrorCode::ProducerFenced.code();
                if call.version < KNOWS_FENCED && response.error_code == fenced {
                    response.error_code = ErrorCode::InvalidProducerEpoch.code();
                }
                response
            }
            _ => failed(ErrorCode::CoordinatorNotAvailable),
        }
    })
}

fn failed(error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code: error.code(),
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdResponse::default()
    }
}
