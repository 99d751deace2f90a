//! DescribeCluster (60): the cluster's id and its brokers (KIP-700).

use catchword_wire::messages::describe_cluster_response::DescribeClusterBroker;
use catchword_wire::messages::{DescribeClusterRequest, DescribeClusterResponse};
use catchword_wire::{ErrorCode, Str};

use super::metadata::{CLUSTER_OPERATIONS, NO_OPERATIONS};
use crate::dispatch::Call;
use crate::outcome::Outcome;

/// Brokers, as opposed to controllers (KIP-919).
const ENDPOINT_BROKERS: i8 = 1;

pub(crate) fn handle(
    call: &Call,
    request: DescribeClusterRequest,
) -> Outcome<DescribeClusterResponse> {
    let broker = &call.broker;
    if request.endpoint_type != ENDPOINT_BROKERS {
        return Outcome::Now(DescribeClusterResponse {
            error_code: ErrorCode::MismatchedEndpointType.code(),
            error_message: Some(
                "this is a broker's address; Catchword has no separate controllers".into(),
            ),
            endpoint_type: ENDPOINT_BROKERS,
            ..DescribeClusterResponse::default()
        });
    }
    let (host, port) = broker.endpoint(&call.client);
    Outcome::Now(DescribeClusterResponse {
        endpoint_type: ENDPOINT_BROKERS,
        cluster_id: broker.cluster_id.clone(),
        controller_id: broker.node_id,
        brokers: vec![DescribeClusterBroker {
            broker_id: broker.node_id,
            host,
            port,
            rack: broker
                .catalog
                .config()
                .broker_rack
                .as_deref()
                .map(Str::copy),
            is_fenced: false,
        }],
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            NO_OPERATIONS
        },
        ..DescribeClusterResponse::default()
    })
}
