//! FindCoordinator (10): which broker coordinates a group, or the transactions of a transactional id. Here it is this one.

use catchword_wire::messages::find_coordinator_response::Coordinator;
use catchword_wire::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use catchword_wire::{ErrorCode, Str};

use crate::dispatch::Call;
use crate::groups;
use crate::outcome::{Outcome, blocking};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

pub(crate) fn handle(
    call: &Call,
    request: FindCoordinatorRequest,
) -> Outcome<FindCoordinatorResponse> {
    let call = call.clone();
    Outcome::later(async move {
        let is_group = request.key_type == GROUP;
        let problem = match request.key_type {
            GROUP | TRANSACTION => {
                let broker = call.broker.clone();
                let ensure = move || match is_group {
                    true => groups::ensure(&broker),
                    false => broker.transactions.ensure(&broker.catalog),
                };
                match blocking(ensure).await {
                    Some(Ok(())) => None,
                    Some(Err(error)) => Some((ErrorCode::CoordinatorNotAvailable, error.message)),
                    None => Some((
                        ErrorCode::CoordinatorNotAvailable,
                        "the broker is stopping".to_owned(),
                    )),
                }
            }
            SHARE => Some((
                ErrorCode::InvalidRequest,
                "brokers keep the state of share groups to themselves".to_owned(),
            )),
            other => Some((
                ErrorCode::InvalidRequest,
                format!("there is no coordinator of type {other}"),
            )),
        };
        answer(&call, request, problem)
    })
}

fn answer(
    call: &Call,
    request: FindCoordinatorRequest,
    problem: Option<(ErrorCode, String)>,
) -> FindCoordinatorResponse {
    let (host, port) = call.broker.endpoint(&call.client);
    let node_id = call.broker.node_id;
    let coordinator = |key: Str| match &problem {
        None => Coordinator {
            key,
            node_id,
            host: host.clone(),
            port,
            ..Coordinator::default()
        },
        Some((code, why)) => Coordinator {
            key,
            node_id: -1,
            port: -1,
            error_code: code.code(),
            error_message: Some(why.clone().into()),
            ..Coordinator::default()
        },
    };
    if call.version >= 4 {
        let coordinators = request
            .coordinator_keys
            .into_iter()
            .map(coordinator)
            .collect();
        return FindCoordinatorResponse {
            coordinators,
            ..FindCoordinatorResponse::default()
        };
    }
    let one = coordinator(request.key);
    FindCoordinatorResponse {
        error_code: one.error_code,
        error_message: one.error_message,
        node_id: one.node_id,
        host: one.host,
        port: one.port,
        ..FindCoordinatorResponse::default()
    }
}
