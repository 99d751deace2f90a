//! ListPartitionReassignments (46): none is ever in progress.

use catchword_wire::messages::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(
    _: &Call,
    _: ListPartitionReassignmentsRequest,
) -> Outcome<ListPartitionReassignmentsResponse> {
    Outcome::Now(ListPartitionReassignmentsResponse::default())
}
