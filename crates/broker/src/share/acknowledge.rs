//! Acknowledging records: decided at once, in the order of the connection; answered when it is durable.

use catchword_coordinator::share::{AckBatch, AckError, AckType, ShareKey};
use catchword_wire::{ErrorCode, Str, Uuid};

use super::{Pending, settings, wake};
use crate::broker::Broker;
use crate::clock;
use crate::lookup;

/// What became of an acknowledgement.
pub(crate) struct Acked {
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
    pub(crate) error: ErrorCode,
}

/// What a request says of one partition.
pub(crate) type Said = ((Uuid, i32), Result<Vec<AckBatch>, ErrorCode>);

/// Reads one batch of a request: first and last offset, and types.
pub(crate) fn read_batches<'a>(
    batches: impl Iterator<Item = (i64, i64, &'a [i8])>,
) -> Result<Vec<AckBatch>, ErrorCode> {
    let one = |(first, last, types): (i64, i64, &[i8])| {
        let types = types.iter().map(|code| AckType::from_code(*code));
        Some(AckBatch {
            first,
            last,
            types: types.collect::<Option<_>>()?,
        })
    };
    let read: Option<Vec<AckBatch>> = batches.map(one).collect();
    read.ok_or(ErrorCode::InvalidRequest)
}

/// Takes what a member says. The decision stands when this returns; the future waits until it is durable.
pub(crate) fn acknowledge(
    broker: &Broker,
    group_id: &Str,
    member: &Str,
    said: Vec<Said>,
) -> impl Future<Output = Vec<Acked>> + Send + use<> {
    let settings = settings(&broker.catalog, group_id);
    let mut decided: Vec<(Uuid, i32, Result<Pending, ErrorCode>)> = Vec::new();
    for ((topic_id, partition), batches) in said {
        let key = ShareKey {
            group_id: group_id.clone(),
            topic_id,
            partition,
        };
        let decide = || {
            let batches = batches?;
            let topic = broker.catalog.topic_by_id(topic_id);
            let topic = topic.ok_or(ErrorCode::UnknownTopicId)?;
            lookup::partition(&topic, partition)?;
            let shard = broker.shares.shard(&key);
            let shard = shard.ok_or(ErrorCode::InvalidRecordState)?;
            let now = clock::now_ms();
            let (taken, pending) = shard
                .with(|state, out| state.acknowledge(&key, member, &batches, now, &settings, out));
            taken.map_err(|error| match error {
                AckError::Invalid => ErrorCode::InvalidRequest,
                AckError::NotHeld => ErrorCode::InvalidRecordState,
                AckError::NeverRead => ErrorCode::UnknownTopicOrPartition,
            })?;
            // Room has become free, or records have.
            wake(&broker.catalog, &key);
            Ok(pending)
        };
        decided.push((topic_id, partition, decide()));
    }
    async move {
        let mut acked = Vec::with_capacity(decided.len());
        for (topic_id, partition, pending) in decided {
            let result = match pending {
                Ok(pending) => pending.durable().await,
                Err(error) => Err(error),
            };
            acked.push(Acked {
                topic_id,
                partition,
                error: result.err().unwrap_or(ErrorCode::None),
            });
        }
        acked
    }
}
