//! Produce (0): batches are checked, stamped with their offsets and appended as the producer made them.
//!
//! With acks=all the answer waits until the records are durable (unless the topic's `durability` says otherwise); with
//! acks=1 it does not; with acks=0 there is none.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use catchword_config::{Durability, TimestampType, TopicSettings};
use catchword_log::{AppendError, AppendOrigin, Appended};
use catchword_wire::batch::{self, Batch, InvalidBatch, Stamp, TimestampPolicy, ValidateOptions};
use catchword_wire::messages::produce_request::PartitionProduceData;
use catchword_wire::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use catchword_wire::messages::{ProduceRequest, ProduceResponse};
use catchword_wire::{ErrorCode, Records, Str};

use super::error;
use crate::catalog::Topic;
use crate::clock;
use crate::dispatch::Call;
use crate::flush::FlushAll;
use crate::lookup;
use crate::outcome::Outcome;
use crate::partition::Partition;
use crate::quota::Kind;
use permits::Permits;

mod permits;

const ACKS_ALL: i16 = -1;

/// A partition's part of the request that was refused.
struct Refused {
    code: i16,
    message: String,
    records: Vec<BatchIndexAndErrorMessage>,
}

impl Refused {
    fn new(code: ErrorCode, message: impl Into<String>) -> Refused {
        Refused {
            code: code.code(),
            message: message.into(),
            records: Vec::new(),
        }
    }
}

impl From<InvalidBatch> for Refused {
    fn from(error: InvalidBatch) -> Refused {
        let record = |r: &batch::RecordError| BatchIndexAndErrorMessage {
            batch_index: r.index,
            batch_index_error_message: Some(r.reason.to_string().into()),
        };
        Refused {
            code: error.error_code(),
            message: error.to_string(),
            records: error.record_errors().iter().map(record).collect(),
        }
    }
}

pub(crate) fn handle(call: &Call, request: ProduceRequest) -> Outcome<ProduceResponse> {
    match &request.transactional_id {
        // What has to be asked first is appended when the answer is there: requests of a connection still in their order,
        // since each is looked at again only when it is the oldest.
        Some(_) if request.acks != 0 => {
            let call = call.clone();
            Outcome::later(async move {
                let permits = permits::ask(&call, &request).await;
                let answered = produce(&call, request, &permits).get().await;
                answered.unwrap_or_default()
            })
        }
        Some(_) => Outcome::Close("a transaction's records were sent with acks=0"),
        None => produce(call, request, &Permits::none()),
    }
}

fn produce(call: &Call, request: ProduceRequest, permits: &Permits) -> Outcome<ProduceResponse> {
    let acks = request.acks;
    let now = clock::now_ms();
    let mut flush = FlushAll::default();
    let mut failed = false;
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for data in request.topic_data {
        let topic = lookup::topic(&call.broker.catalog, &data.name, data.topic_id);
        let mut partition_responses = Vec::with_capacity(data.partition_data.len());
        for part in data.partition_data {
            let index = part.index;
            let done = match &topic {
                Err(code) => Err(Refused::new(*code, "")),
                Ok(topic) => append(call, topic, part, acks, now, permits).inspect(
                    |(partition, appended)| {
                        if acks == ACKS_ALL && topic.settings.durability == Durability::Fsync {
                            flush.add(partition.clone(), appended.last_offset + 1);
                        }
                    },
                ),
            };
            failed |= done.is_err();
            partition_responses.push(answer(index, done));
        }
        responses.push(TopicProduceResponse {
            name: data.name,
            topic_id: data.topic_id,
            partition_responses,
        });
    }
    let throttle_time_ms = call.charge_bytes(Kind::Produce, call.size);
    let response = ProduceResponse {
        responses,
        throttle_time_ms,
        ..ProduceResponse::default()
    };
    match acks {
        // Nobody reads an answer: closing the connection is how a producer hears of a failure.
        0 if failed => Outcome::Close("a record produced with acks=0 was refused"),
        0 => Outcome::Silent,
        _ if flush.is_empty() => Outcome::Now(response),
        _ => {
            let flushed = flush.start();
            Outcome::later(async move { with_failures(response, &flushed.await) })
        }
    }
}

/// Checks one partition's batch and appends it.
fn append(
    call: &Call,
    topic: &Topic,
    part: PartitionProduceData,
    acks: i16,
    now: i64,
    permits: &Permits,
) -> Result<(Arc<Partition>, Appended), Refused> {
    let partition = lookup::partition(topic, part.index).map_err(|code| Refused::new(code, ""))?;
    if topic.is_internal() {
        let why = format!("{} is written by the broker alone", topic.name);
        return Err(Refused::new(ErrorCode::InvalidTopicException, why));
    }
    let mut batch = only_batch(part.records)?;
    if !matches!(acks, -1..=1) {
        let why = format!("acks={acks} is not -1, 0 or 1");
        return Err(Refused::new(ErrorCode::InvalidRequiredAcks, why));
    }
    let validated = batch::validate(&batch, &options(&topic.settings, call.version, now))?;
    let origin = match batch.header.is_transactional() {
        true => permits
            .of(partition)
            .map_err(|code| Refused::new(code, permits::why(code)))?,
        false => AppendOrigin::Client,
    };
    if validated.max_timestamp != batch.header.max_timestamp {
        // The time index rests on the header, so it has to be true: the one case in which a batch is copied.
        batch = Stamp::create_time(&batch, &validated, 0, partition.leader_epoch).apply(&batch);
    }
    let stamp =
        (topic.settings.message_timestamp_type == TimestampType::LogAppendTime).then_some(now);
    if partition.is_watched() {
        call.client.has_woken.store(true, Ordering::Relaxed);
    }
    match partition.append(&[batch], stamp, origin) {
        Ok(appended) => Ok((partition.clone(), appended)),
        Err(error) => Err(refused(partition, &error)),
    }
}

fn refused(partition: &Partition, error: &AppendError) -> Refused {
    let code = error::append_error(error);
    if code == ErrorCode::KafkaStorageError {
        tracing::error!("{}: an append failed: {error}", partition.tp);
    }
    Refused::new(code, error.to_string())
}

/// From version 3 on a partition's records are exactly one batch of format 2.
fn only_batch(records: Option<Records>) -> Result<Batch, Refused> {
    let invalid = |why: &str| Refused::new(ErrorCode::InvalidRecord, why);
    let bytes = records.unwrap_or_default().read().unwrap_or_default();
    let mut batches = batch::split(bytes);
    match (batches.next(), batches.next()) {
        (None, _) => Err(invalid(
            "a produce request must have at least one record batch",
        )),
        (Some(Err(error)), _) => Err(Refused {
            code: error.error_code(),
            message: error.to_string(),
            records: Vec::new(),
        }),
        (Some(Ok(_)), Some(_)) => Err(invalid(
            "a produce request must have exactly one record batch",
        )),
        (Some(Ok(batch)), None) => Ok(batch),
    }
}

fn options(settings: &TopicSettings, version: i16, now: i64) -> ValidateOptions {
    ValidateOptions {
        max_message_bytes: usize::try_from(settings.max_message_bytes).unwrap_or(0),
        require_keys: settings.compacts(),
        timestamps: match settings.message_timestamp_type {
            TimestampType::LogAppendTime => TimestampPolicy::LogAppendTime,
            TimestampType::CreateTime => TimestampPolicy::CreateTime {
                now,
                before_max_ms: settings.message_timestamp_before_max_ms,
                after_max_ms: settings.message_timestamp_after_max_ms,
            },
        },
        allow_zstd: version >= 7,
        ..ValidateOptions::default()
    }
}

fn answer(
    index: i32,
    done: Result<(Arc<Partition>, Appended), Refused>,
) -> PartitionProduceResponse {
    match done {
        Ok((_, appended)) => PartitionProduceResponse {
            index,
            base_offset: appended.base_offset,
            log_append_time_ms: appended.log_append_time,
            log_start_offset: appended.log_start_offset,
            ..PartitionProduceResponse::default()
        },
        Err(refused) => PartitionProduceResponse {
            index,
            error_code: refused.code,
            base_offset: -1,
            record_errors: refused.records,
            error_message: (!refused.message.is_empty()).then(|| Str::from(refused.message)),
            ..PartitionProduceResponse::default()
        },
    }
}

/// What did not become durable was not produced, as far as anybody may count on it.
fn with_failures(
    mut response: ProduceResponse,
    failures: &[(Arc<Partition>, String)],
) -> ProduceResponse {
    for (partition, why) in failures {
        tracing::error!("{}: records did not become durable: {why}", partition.tp);
        for topic in &mut response.responses {
            let here =
                topic.name == *partition.tp.topic || topic.topic_id.0 == partition.log.topic_id().0;
            for part in topic
                .partition_responses
                .iter_mut()
                .filter(|p| here && p.index == partition.tp.partition)
            {
                part.error_code = ErrorCode::KafkaStorageError.code();
                part.base_offset = -1;
                part.error_message = Some(why.clone().into());
            }
        }
    }
    response
}
