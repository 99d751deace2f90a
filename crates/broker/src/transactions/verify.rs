//! Whether a producer may write to partitions within its transaction (KIP-890). From transaction version 2 on asking
//! makes them part of it.

use std::time::{Duration, Instant};

use catchword_coordinator::{
    EPOCH_BUMP, PartitionsCall, ProducerEpoch, TransactionCall, TransactionReply,
};
use catchword_wire::{ErrorCode, Str};

use crate::dispatch::Call;

/// How long a transaction before may take to be over, until the client has to ask again itself. Kafka's default.
const PATIENCE: Duration = Duration::from_millis(100);
/// Markers take about as long as a sync of the disk.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What the client can do, by the version of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ability {
    /// It adds partitions itself and knows no error but the oldest.
    Old,
    /// It adds partitions itself, and knows that a transaction may have to be aborted.
    Abortable,
    /// Writing adds.
    Adds,
}

impl Ability {
    /// Of a Produce request.
    pub(crate) fn of_produce(version: i16) -> Ability {
        Ability::by(version, 11, 12)
    }

    /// Of a TxnOffsetCommit request.
    pub(crate) fn of_offset_commit(version: i16) -> Ability {
        Ability::by(version, 4, 5)
    }

    fn by(version: i16, abortable: i16, adds: i16) -> Ability {
        if version >= adds {
            Ability::Adds
        } else if version >= abortable {
            Ability::Abortable
        } else {
            Ability::Old
        }
    }

    /// Whether the producer's epoch rises with each end.
    pub(crate) fn bumps_epoch(self) -> bool {
        self == Ability::Adds
    }
}

/// Asks the coordinator of the transaction. Every partition is part of it if there is no error.
pub(crate) async fn ask(
    call: &Call,
    transactional_id: &Str,
    producer: ProducerEpoch,
    partitions: &[(Str, i32)],
    ability: Ability,
) -> Vec<ErrorCode> {
    let asked = PartitionsCall {
        transactional_id: transactional_id.clone(),
        producer,
        partitions: partitions.to_vec(),
        version: EPOCH_BUMP,
    };
    let begun = Instant::now();
    loop {
        let request = match ability.bumps_epoch() {
            true => TransactionCall::AddPartitions(asked.clone()),
            false => TransactionCall::VerifyPartitions(asked.clone()),
        };
        let answer = call.broker.transactions.call(call, request).get().await;
        let errors = match answer {
            Some(Some(TransactionReply::Partitions(errors))) => errors,
            _ => vec![ErrorCode::CoordinatorNotAvailable; partitions.len()],
        };
        let is_early = errors.contains(&ErrorCode::ConcurrentTransactions);
        if ability.bumps_epoch() && is_early && begun.elapsed() < PATIENCE {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        return errors
            .into_iter()
            .map(|error| told(error, ability))
            .collect();
    }
}

/// The error as a producer that writes understands it.
fn told(error: ErrorCode, ability: Ability) -> ErrorCode {
    match error {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if ability == Ability::Old => ErrorCode::InvalidTxnState,
        other => other,
    }
}
