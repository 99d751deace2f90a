//! DescribeTransactions (65): where transactions stand.

use catchword_coordinator::{TransactionCall, TransactionReply};
use catchword_wire::ErrorCode;
use catchword_wire::messages::describe_transactions_response::TransactionState;
use catchword_wire::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse};

use super::distinct::distinct;
use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(
    call: &Call,
    mut request: DescribeTransactionsRequest,
) -> Outcome<DescribeTransactionsResponse> {
    distinct(&mut request.transactional_ids, Clone::clone);
    let ask = |id: &catchword_wire::Str| {
        let asked = TransactionCall::Describe(id.clone());
        call.broker.transactions.call(call, asked)
    };
    let replies: Vec<_> = request.transactional_ids.iter().map(ask).collect();
    Outcome::later(async move {
        let mut response = DescribeTransactionsResponse::default();
        for (reply, transactional_id) in replies.into_iter().zip(request.transactional_ids) {
            let state = match reply.get().await {
                Some(Some(TransactionReply::Describe(state))) => state,
                _ => TransactionState {
                    transactional_id,
                    error_code: ErrorCode::CoordinatorNotAvailable.code(),
                    ..TransactionState::default()
                },
            };
            response.transaction_states.push(state);
        }
        response
    })
}
