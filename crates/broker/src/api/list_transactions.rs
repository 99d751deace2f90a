//! ListTransactions (66): every transactional id of this broker that passes the filters.

use catchword_coordinator::{TransactionCall, TransactionReply};
use catchword_wire::ErrorCode;
use catchword_wire::messages::{ListTransactionsRequest, ListTransactionsResponse};
use regex::Regex;

use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(
    call: &Call,
    request: ListTransactionsRequest,
) -> Outcome<ListTransactionsResponse> {
    let failed = |error: ErrorCode| ListTransactionsResponse {
        error_code: error.code(),
        ..ListTransactionsResponse::default()
    };
    if call.broker.transactions.is_loading() {
        return Outcome::Now(failed(ErrorCode::CoordinatorLoadInProgress));
    }
    let pattern = request.transactional_id_pattern.as_deref();
    let pattern = match pattern.filter(|pattern| !pattern.is_empty()) {
        // As in Java's `matches` the whole id has to fit.
        Some(pattern) => match Regex::new(&format!("^(?:{pattern})$")) {
            Ok(pattern) => Some(pattern),
            Err(_) => return Outcome::Now(failed(ErrorCode::InvalidRegularExpression)),
        },
        None => None,
    };
    let ask = || TransactionCall::List(request.clone());
    let replies = call.broker.transactions.call_all(call, ask);
    Outcome::later(async move {
        let mut response = ListTransactionsResponse::default();
        for reply in replies {
            match reply.get().await {
                Some(Some(TransactionReply::List(listed))) => {
                    response.unknown_state_filters = listed.unknown_state_filters;
                    response
                        .transaction_states
                        .extend(listed.transaction_states);
                }
                _ => response.error_code = ErrorCode::CoordinatorNotAvailable.code(),
            }
        }
        if let Some(pattern) = pattern {
            let fits = |id: &str| pattern.is_match(id);
            response
                .transaction_states
                .retain(|state| fits(&state.transactional_id));
        }
        response
    })
}
