//! What a producer may write within its transaction: asked of the logs, and where its transaction has not begun of the
//! transaction's coordinator, before anything is appended (KIP-890).

use std::collections::HashMap;
use std::sync::Arc;

use catchword_coordinator::ProducerEpoch;
use catchword_log::{AppendOrigin, TopicPartition, Verification, VerificationGuard};
use catchword_wire::batch;
use catchword_wire::messages::ProduceRequest;
use catchword_wire::{ErrorCode, Str};

use crate::api::error::append_error;
use crate::dispatch::Call;
use crate::lookup;
use crate::partition::Partition;
use crate::transactions::verify::{self, Ability};

/// What was found out, by partition.
pub(super) struct Permits(HashMap<TopicPartition, Result<AppendOrigin, ErrorCode>>);

impl Permits {
    /// For a request that names no transaction.
    pub(super) fn none() -> Permits {
        Permits(HashMap::new())
    }

    /// How a transactional batch may be appended to the partition.
    pub(super) fn of(&self, partition: &Partition) -> Result<AppendOrigin, ErrorCode> {
        // A batch of a transaction in a request that names none: Kafka takes it for one who may not.
        let refused = Err(ErrorCode::TransactionalIdAuthorizationFailed);
        self.0.get(&partition.tp).copied().unwrap_or(refused)
    }
}

/// A partition whose log has to be told that the coordinator knows of it.
struct Question {
    partition: Arc<Partition>,
    producer: ProducerEpoch,
    guard: VerificationGuard,
}

/// Asks for every partition of the request that has a transactional batch.
pub(super) async fn ask(call: &Call, request: &ProduceRequest) -> Permits {
    let ability = Ability::of_produce(call.version);
    let mut permits = HashMap::new();
    let mut questions: Vec<Question> = Vec::new();
    for data in &request.topic_data {
        let topic = lookup::topic(&call.broker.catalog, &data.name, data.topic_id);
        let Ok(topic) = topic else { continue };
        if topic.is_internal() {
            continue;
        }
        for part in &data.partition_data {
            let Ok(partition) = lookup::partition(&topic, part.index) else {
                continue;
            };
            // What cannot be read is refused where it is checked.
            let bytes = part.records.clone().unwrap_or_default().read();
            let first = bytes.ok().and_then(|bytes| batch::split(bytes).next());
            let Some(Ok(batch)) = first else { continue };
            let header = batch.header;
            if !header.is_transactional() {
                continue;
            }
            let verified = partition.log.verify(
                header.producer_id,
                header.producer_epoch,
                header.base_sequence,
                ability.bumps_epoch(),
            );
            let known = match verified {
                Ok(Verification::Ongoing) => Ok(AppendOrigin::Client),
                Ok(Verification::Ask(guard)) => {
                    questions.push(Question {
                        partition: partition.clone(),
                        producer: ProducerEpoch {
                            id: header.producer_id,
                            epoch: header.producer_epoch,
                        },
                        guard,
                    });
                    continue;
                }
                Err(error) => Err(append_error(&error)),
            };
            permits.insert(partition.tp.clone(), known);
        }
    }
    // All batches of a request have the same producer, or else each is asked for.
    while let Some(Question { producer, .. }) = questions.first() {
        let producer = *producer;
        let (together, rest) = questions.into_iter().partition(|q| q.producer == producer);
        let together: Vec<Question> = together;
        questions = rest;
        let name = |q: &Question| (Str::copy(&q.partition.tp.topic), q.partition.tp.partition);
        let partitions: Vec<(Str, i32)> = together.iter().map(name).collect();
        let id = request.transactional_id.clone().unwrap_or_default();
        let errors = verify::ask(call, &id, producer, &partitions, ability).await;
        let errors = errors.into_iter();
        let errors = errors.chain(std::iter::repeat(ErrorCode::CoordinatorNotAvailable));
        for (question, error) in together.into_iter().zip(errors) {
            let permit = match error {
                ErrorCode::None => Ok(AppendOrigin::ClientVerified(question.guard)),
                error => Err(retriable(error, ability)),
            };
            permits.insert(question.partition.tp.clone(), permit);
        }
    }
    Permits(permits)
}

/// Producers don't know the errors of a coordinator in the answer to Produce: they get one that they try again at.
fn retriable(error: ErrorCode, ability: Ability) -> ErrorCode {
    match error {
        ErrorCode::ConcurrentTransactions if ability.bumps_epoch() => error,
        ErrorCode::ConcurrentTransactions
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => ErrorCode::NotEnoughReplicas,
        other => other,
    }
}

/// What is told with the error.
pub(super) fn why(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidTxnState | ErrorCode::TransactionAbortable => {
            "the partition is not part of the producer's ongoing transaction"
        }
        ErrorCode::NotEnoughReplicas => "the transaction's coordinator cannot answer just now",
        ErrorCode::TransactionalIdAuthorizationFailed => {
            "a batch of a transaction in a request that names none"
        }
        _ => "",
    }
}
