//! AddOffsetsToTxn (25): a transaction will commit offsets of a group, so it spans the group's partition.

use catchword_coordinator::{
    CLIENT_MANAGED, PartitionsCall, ProducerEpoch, TransactionCall, TransactionReply,
};
use catchword_wire::ErrorCode;
use catchword_wire::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use crate::catalog::OFFSETS_TOPIC;
use crate::dispatch::Call;
use crate::groups;
use crate::outcome::{Outcome, blocking};

/// First version whose clients know PRODUCER_FENCED.
const KNOWS_FENCED: i16 = 2;

pub(crate) fn handle(
    call: &Call,
    request: AddOffsetsToTxnRequest,
) -> Outcome<AddOffsetsToTxnResponse> {
    let call = call.clone();
    Outcome::later(async move {
        let error = match add(&call, request).await {
            ErrorCode::ProducerFenced if call.version < KNOWS_FENCED => {
                ErrorCode::InvalidProducerEpoch
            }
            other => other,
        };
        AddOffsetsToTxnResponse {
            error_code: error.code(),
            ..AddOffsetsToTxnResponse::default()
        }
    })
}

async fn add(call: &Call, request: AddOffsetsToTxnRequest) -> ErrorCode {
    let broker = call.broker.clone();
    // The client need not have asked for the group's coordinator yet.
    let ensured = blocking(move || groups::ensure(&broker)).await;
    let partition = call.broker.groups.partition(&request.group_id);
    let (Some(Ok(())), Some(partition)) = (ensured, partition) else {
        return ErrorCode::CoordinatorNotAvailable;
    };
    let asked = TransactionCall::AddPartitions(PartitionsCall {
        transactional_id: request.transactional_id,
        producer: ProducerEpoch {
            id: request.producer_id,
            epoch: request.producer_epoch,
        },
        partitions: vec![(OFFSETS_TOPIC.into(), partition.tp.partition)],
        version: CLIENT_MANAGED,
    });
    match call.broker.transactions.call(call, asked).get().await {
        Some(Some(TransactionReply::Partitions(errors))) => {
            errors.first().copied().unwrap_or(ErrorCode::None)
        }
        _ => ErrorCode::CoordinatorNotAvailable,
    }
}
