//! Fetch (1): whole batches as they stand in the logs, sent from the files; waits for more if asked to.

use std::time::Duration;

use catchword_log::ReadLimit;
use catchword_wire::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use catchword_wire::messages::{FetchRequest, FetchResponse};
use catchword_wire::{ErrorCode, Str, Uuid};

use crate::clock;
use crate::dispatch::Call;
use crate::fetch::{Limits, Opened, TopicKey, is_enough, read_all, wait_for_records};
use crate::outcome::Outcome;
use crate::quota::Kind;

const READ_COMMITTED: i8 = 1;

pub(crate) fn handle(call: &Call, request: FetchRequest) -> Outcome<FetchResponse> {
    let opened = match call
        .broker
        .fetch_sessions
        .open(&request, call.version, clock::now_ms())
    {
        Ok(opened) => opened,
        Err(code) => {
            let error_code = code.code();
            return Outcome::Now(FetchResponse {
                error_code,
                ..FetchResponse::default()
            });
        }
    };
    let positive = |n: i32| usize::try_from(n).unwrap_or(0);
    let quotas = &call.broker.quotas;
    let limited = quotas.limits(Kind::Fetch);
    let mut most = positive(call.broker.catalog.config().fetch_max_bytes);
    if limited {
        most = most.min(quotas.most_at_once(Kind::Fetch, &call.client_id));
    }
    let limits = Limits {
        max_bytes: positive(request.max_bytes).min(most),
        upto: if request.isolation_level == READ_COMMITTED {
            ReadLimit::LastStable
        } else {
            ReadLimit::HighWatermark
        },
    };
    let min_bytes = positive(request.min_bytes).min(limits.max_bytes);
    let max_wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let broker = call.broker.clone();
    let reading = call.reading();
    let limited = limited.then(|| call.clone());
    Outcome::later(async move {
        let first = read_all(&broker.catalog, &opened.wants, limits).await;
        let pass = if is_enough(&first, min_bytes) || max_wait.is_zero() || opened.wants.is_empty()
        {
            first
        } else {
            wait_for_records(&broker, &opened.wants, limits, min_bytes, max_wait, first).await
        };
        if let Some(call) = limited {
            let ms = call.charge_bytes(Kind::Fetch, pass.bytes);
            if ms > 0 {
                // It goes away with nothing, so nothing counts.
                let (bytes, now) = (pass.bytes as f64, clock::now_ms());
                broker
                    .quotas
                    .take_back(Kind::Fetch, &call.client_id, bytes, now);
                return held_up(&opened, ms);
            }
        }
        if let Some(reading) = reading
            && !pass.handed.is_empty()
        {
            reading.note(pass.handed, clock::steady_ms());
        }
        answer(&opened, pass.results)
    })
}

/// Nothing but the time for which the client is held up. What the session knows of the partitions stays as it is.
fn held_up(opened: &Opened, throttle_time_ms: i32) -> FetchResponse {
    FetchResponse {
        throttle_time_ms,
        session_id: opened.session_id(),
        ..FetchResponse::default()
    }
}

/// Groups the partitions by topic, in the order in which they were read.
fn answer(opened: &Opened, results: Vec<PartitionData>) -> FetchResponse {
    let (session_id, news) = opened.finish(results);
    let mut responses: Vec<FetchableTopicResponse> = Vec::new();
    let mut last: Option<TopicKey> = None;
    for (want, data) in news {
        if last.as_ref() != Some(&want.topic) {
            let (topic, topic_id) = match &want.topic {
                TopicKey::Name(name) => (name.clone(), Uuid::ZERO),
                TopicKey::Id(id) => (Str::EMPTY, *id),
            };
            responses.push(FetchableTopicResponse {
                topic,
                topic_id,
                partitions: Vec::new(),
            });
            last = Some(want.topic);
        }
        if let Some(topic) = responses.last_mut() {
            topic.partitions.push(data);
        }
    }
    FetchResponse {
        error_code: ErrorCode::None.code(),
        session_id,
        responses,
        ..FetchResponse::default()
    }
}
