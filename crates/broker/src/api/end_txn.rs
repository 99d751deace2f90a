//! EndTxn (26): a transaction is committed or aborted. Answered when that is decided for good; the markers follow.

use catchword_coordinator::{TransactionCall, TransactionReply};
use catchword_wire::ErrorCode;
use catchword_wire::messages::{EndTxnRequest, EndTxnResponse};

use crate::dispatch::Call;
use crate::outcome::Outcome;

/// First version whose clients know PRODUCER_FENCED.
const KNOWS_FENCED: i16 = 2;

pub(crate) fn handle(call: &Call, request: EndTxnRequest) -> Outcome<EndTxnResponse> {
    let version = call.version;
    call.broker
        .transactions
        .call(call, TransactionCall::EndTxn(request))
        .map(move |reply| match reply {
            Some(TransactionReply::EndTxn(mut response)) => {
                let fenced = ErrorCode::ProducerFenced.code();
                if version < KNOWS_FENCED && response.error_code == fenced {
                    response.error_code = ErrorCode::InvalidProducerEpoch.code();
                }
                response
            }
            _ => EndTxnResponse {
                error_code: ErrorCode::CoordinatorNotAvailable.code(),
                producer_id: -1,
                producer_epoch: -1,
                ..EndTxnResponse::default()
            },
        })
}
