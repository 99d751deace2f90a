//! TxnOffsetCommit (28): places of a group that count once the transaction is committed (T1).
//!
//! Topics and partitions that do not exist are answered here, the rest by the group's shard, once the coordinator of the
//! transaction has said that it spans the group's partition (KIP-890).

use catchword_coordinator::{Call as GroupCall, ProducerEpoch, Reply, TxnOffsetCommitCall};
use catchword_log::{Verification, VerificationGuard};
use catchword_wire::messages::txn_offset_commit_request::TxnOffsetCommitRequestTopic;
use catchword_wire::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use catchword_wire::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use catchword_wire::{ErrorCode, Str, Uuid};

use super::error::append_error;
use crate::catalog::OFFSETS_TOPIC;
use crate::dispatch::Call;
use crate::outcome::Outcome;
use crate::transactions::verify::{self, Ability};

/// First version whose clients know COORDINATOR_LOAD_IN_PROGRESS (T6).
const KNOWS_LOADING: i16 = 2;

type Named = Vec<(Str, Vec<i32>)>;

pub(crate) fn handle(
    call: &Call,
    mut request: TxnOffsetCommitRequest,
) -> Outcome<TxnOffsetCommitResponse> {
    let mut refused = Vec::new();
    let mut topic_ids = Vec::new();
    request.topics.retain_mut(|topic| {
        let id = resolve(call, topic, &mut refused);
        topic_ids.extend(id);
        id.is_some()
    });
    let named: Named = request
        .topics
        .iter()
        .map(|topic| {
            let partitions = topic.partitions.iter().map(|p| p.partition_index);
            (topic.name.clone(), partitions.collect())
        })
        .collect();
    let call = call.clone();
    Outcome::later(async move {
        let mut topics = if named.is_empty() {
            Vec::new()
        } else {
            commit(&call, request, topic_ids, named).await
        };
        for topic in refused {
            match topics.iter_mut().find(|t| t.name == topic.name) {
                Some(present) => present.partitions.extend(topic.partitions),
                None => topics.push(topic),
            }
        }
        hide_loading(call.version, &mut topics);
        TxnOffsetCommitResponse {
            topics,
            ..TxnOffsetCommitResponse::default()
        }
    })
}

/// T6: what an old client would take for a failure for good, it takes for one that passes under another name.
fn hide_loading(version: i16, topics: &mut [TxnOffsetCommitResponseTopic]) {
    if version >= KNOWS_LOADING {
        return;
    }
    let partitions = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    let loading = ErrorCode::CoordinatorLoadInProgress.code();
    partitions
        .filter(|partition| partition.error_code == loading)
        .for_each(|p| p.error_code = ErrorCode::CoordinatorNotAvailable.code());
}

async fn commit(
    call: &Call,
    request: TxnOffsetCommitRequest,
    topic_ids: Vec<Uuid>,
    named: Named,
) -> Vec<TxnOffsetCommitResponseTopic> {
    if request.group_id.is_empty() {
        return failed(named, ErrorCode::InvalidGroupId);
    }
    let guard = match permit(call, &request).await {
        Ok(guard) => guard,
        Err(error) => return failed(named, error),
    };
    let asked = GroupCall::TxnOffsetCommit(TxnOffsetCommitCall { request, topic_ids });
    let outcome = call.broker.groups.call_guarded(call, asked, guard);
    match outcome.get().await {
        Some(Some(Reply::TxnOffsetCommit(response))) => response.topics,
        _ => failed(named, ErrorCode::CoordinatorNotAvailable),
    }
}

/// Whether the producer may commit offsets in its transaction; with what the log wants to see if it begins here.
async fn permit(
    call: &Call,
    request: &TxnOffsetCommitRequest,
) -> Result<Option<VerificationGuard>, ErrorCode> {
    let Some(partition) = call.broker.groups.partition(&request.group_id) else {
        return Err(ErrorCode::NotCoordinator);
    };
    let producer = ProducerEpoch {
        id: request.producer_id,
        epoch: request.producer_epoch,
    };
    let ability = Ability::of_offset_commit(call.version);
    let verified = partition
        .log
        .verify(producer.id, producer.epoch, -1, ability.bumps_epoch());
    let guard = match verified {
        Ok(Verification::Ongoing) => return Ok(None),
        Ok(Verification::Ask(guard)) => guard,
        Err(error) => return Err(append_error(&error)),
    };
    let spanned = [(OFFSETS_TOPIC.into(), partition.tp.partition)];
    let id = &request.transactional_id;
    let errors = verify::ask(call, id, producer, &spanned, ability).await;
    match errors.first() {
        Some(ErrorCode::None) => Ok(Some(guard)),
        Some(error) => Err(*error),
        None => Err(ErrorCode::CoordinatorNotAvailable),
    }
}

/// The topic's id. Partitions that do not exist are moved to `refused`; `None` if nothing is left.
fn resolve(
    call: &Call,
    topic: &mut TxnOffsetCommitRequestTopic,
    refused: &mut Vec<TxnOffsetCommitResponseTopic>,
) -> Option<Uuid> {
    let found = call.broker.catalog.topic(&topic.name);
    let mut unknown = Vec::new();
    topic.partitions.retain(|partition| {
        let index = partition.partition_index;
        let exists = found
            .as_ref()
            .is_some_and(|found| found.partition(index).is_some());
        if !exists {
            unknown.push(index);
        }
        exists
    });
    if !unknown.is_empty() {
        let named = vec![(topic.name.clone(), unknown)];
        refused.extend(failed(named, ErrorCode::UnknownTopicOrPartition));
    }
    found
        .filter(|_| !topic.partitions.is_empty())
        .map(|found| found.id)
}

fn failed(named: Named, error: ErrorCode) -> Vec<TxnOffsetCommitResponseTopic> {
    let error_code = error.code();
    let topic = |(name, partitions): (Str, Vec<i32>)| TxnOffsetCommitResponseTopic {
        name,
        partitions: partitions
            .into_iter()
            .map(|partition_index| TxnOffsetCommitResponsePartition {
                partition_index,
                error_code,
            })
            .collect(),
    };
    named.into_iter().map(topic).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t6_an_old_client_is_not_told_that_a_coordinator_is_loading() {
        let told = |version, error: ErrorCode| {
            let mut topics = failed(vec![("t".into(), vec![0])], error);
            hide_loading(version, &mut topics);
            ErrorCode::from_code(topics[0].partitions[0].error_code)
        };
        let loading = ErrorCode::CoordinatorLoadInProgress;
        assert_eq!(told(1, loading), ErrorCode::CoordinatorNotAvailable);
        assert_eq!(told(2, loading), loading);
        let other = ErrorCode::IllegalGeneration;
        assert_eq!(told(1, other), other);
    }
}
