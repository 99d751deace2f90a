//! AddPartitionsToTxn (24): partitions that transactions write to. Up to version 3 from a client, for its own; from
//! version 4 on from brokers, for many at once, or only to look them up (KIP-890).

use catchword_coordinator::{
    CLIENT_MANAGED, EPOCH_BUMP, PartitionsCall, ProducerEpoch, TransactionCall, TransactionReply,
};
use catchword_wire::messages::add_partitions_to_txn_request::AddPartitionsToTxnTransaction;
use catchword_wire::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use catchword_wire::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use catchword_wire::{ErrorCode, Str};

use crate::dispatch::Call;
use crate::outcome::Outcome;

/// First version with many transactions.
const MANY: i16 = 4;
/// First version for transactions whose producers' epochs rise.
const BUMPS: i16 = 5;
/// First version whose clients know PRODUCER_FENCED.
const KNOWS_FENCED: i16 = 2;

pub(crate) fn handle(
    call: &Call,
    mut request: AddPartitionsToTxnRequest,
) -> Outcome<AddPartitionsToTxnResponse> {
    if call.version >= MANY {
        let all: Vec<_> = request
            .transactions
            .into_iter()
            .map(|t| add(call, t))
            .collect();
        return Outcome::later(async move {
            let mut response = AddPartitionsToTxnResponse::default();
            for (transactional_id, partitions, outcome) in all {
                response
                    .results_by_transaction
                    .push(AddPartitionsToTxnResult {
                        transactional_id,
                        topic_results: results(partitions, outcome.get().await),
                    });
            }
            response
        });
    }
    let one = AddPartitionsToTxnTransaction {
        transactional_id: std::mem::take(&mut request.v3_and_below_transactional_id),
        producer_id: request.v3_and_below_producer_id,
        producer_epoch: request.v3_and_below_producer_epoch,
        verify_only: false,
        topics: request.v3_and_below_topics,
    };
    let version = call.version;
    let (_, partitions, outcome) = add(call, one);
    outcome.map(move |errors| {
        let mut errors = errors;
        if version < KNOWS_FENCED {
            let fenced = errors
                .iter_mut()
                .filter(|e| **e == ErrorCode::ProducerFenced);
            fenced.for_each(|error| *error = ErrorCode::InvalidProducerEpoch);
        }
        AddPartitionsToTxnResponse {
            results_by_topic_v3_and_below: results(partitions, Some(errors)),
            ..AddPartitionsToTxnResponse::default()
        }
    })
}

type Added = (Str, Vec<(Str, i32)>, Outcome<Vec<ErrorCode>>);

/// Adds or looks up the partitions of one transaction. If one of them does not exist none is added.
fn add(call: &Call, transaction: AddPartitionsToTxnTransaction) -> Added {
    let transactional_id = transaction.transactional_id;
    let topics = transaction.topics.into_iter();
    let partitions: Vec<(Str, i32)> = topics
        .flat_map(|topic| {
            let name = topic.name;
            topic.partitions.into_iter().map(move |p| (name.clone(), p))
        })
        .collect();
    let exists = |(topic, partition): &(Str, i32)| {
        let found = call.broker.catalog.topic(topic);
        found.is_some_and(|found| found.partition(*partition).is_some())
    };
    if !partitions.iter().all(exists) {
        let error = |partition| match exists(partition) {
            true => ErrorCode::OperationNotAttempted,
            false => ErrorCode::UnknownTopicOrPartition,
        };
        let errors = partitions.iter().map(error).collect();
        return (transactional_id, partitions, Outcome::Now(errors));
    }
    let asked = PartitionsCall {
        transactional_id: transactional_id.clone(),
        producer: ProducerEpoch {
            id: transaction.producer_id,
            epoch: transaction.producer_epoch,
        },
        partitions: partitions.clone(),
        version: match call.version >= BUMPS {
            true => EPOCH_BUMP,
            false => CLIENT_MANAGED,
        },
    };
    let request = match transaction.verify_only {
        true => TransactionCall::VerifyPartitions(asked),
        false => TransactionCall::AddPartitions(asked),
    };
    let count = partitions.len();
    let outcome = call.broker.transactions.call(call, request);
    let outcome = outcome.map(move |reply| match reply {
        Some(TransactionReply::Partitions(errors)) => errors,
        _ => vec![ErrorCode::CoordinatorNotAvailable; count],
    });
    (transactional_id, partitions, outcome)
}

fn results(
    partitions: Vec<(Str, i32)>,
    errors: Option<Vec<ErrorCode>>,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let mut topics: Vec<AddPartitionsToTxnTopicResult> = Vec::new();
    let errors = errors.unwrap_or_default().into_iter();
    let errors = errors.chain(std::iter::repeat(ErrorCode::CoordinatorNotAvailable));
    for ((name, partition_index), error) in partitions.into_iter().zip(errors) {
        let result = AddPartitionsToTxnPartitionResult {
            partition_index,
            partition_error_code: error.code(),
        };
        match topics.iter_mut().find(|topic| topic.name == name) {
            Some(topic) => topic.results_by_partition.push(result),
            None => topics.push(AddPartitionsToTxnTopicResult {
                name,
                results_by_partition: vec![result],
            }),
        }
    }
    topics
}
