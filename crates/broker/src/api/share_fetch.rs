//! ShareFetch (78): records that nobody else of the group has, for a time; and what became of those before.

use std::sync::Arc;
use std::time::Duration;

use catchword_wire::messages::share_fetch_response::{
    AcquiredRecords, PartitionData, ShareFetchableTopicResponse,
};
use catchword_wire::messages::{ShareFetchRequest, ShareFetchResponse};
use catchword_wire::{ErrorCode, Records, Str, Uuid};

use crate::dispatch::Call;
use crate::outcome::{Outcome, blocking};
use crate::share::{self, Acked, Got, Wanted};

/// The session epoch that ends a session.
const FINAL: i32 = -1;
/// `share.acquire.mode`: not one record more than is asked for.
const RECORD_LIMIT: i8 = 1;
/// First version whose requests may ask for more time.
const RENEW: i16 = 2;

pub(crate) fn handle(call: &Call, mut request: ShareFetchRequest) -> Outcome<ShareFetchResponse> {
    let (Some(group_id), Some(member)) = (request.group_id.take(), request.member_id.take()) else {
        return refused(ErrorCode::InvalidRequest);
    };
    if group_id.is_empty() || member.is_empty() {
        return refused(ErrorCode::InvalidRequest);
    }
    let (group_id, member) = (group_id.detached(), member.detached());
    let only_renews = call.version >= RENEW && request.is_renew_ack;
    let asks = [
        request.max_bytes,
        request.min_bytes,
        request.max_records,
        request.max_wait_ms,
    ];
    if only_renews && asks.iter().any(|asked| *asked != 0) {
        return refused(ErrorCode::InvalidRequest);
    }
    let partitions = request.topics.iter();
    let partitions = partitions.flat_map(|t| t.partitions.iter().map(|p| (t.topic_id, p)));
    let mut said = Vec::new();
    let mut added = Vec::new();
    for (topic_id, partition) in partitions {
        let place = (topic_id, partition.partition_index);
        added.push(place);
        let batches = partition.acknowledgement_batches.iter();
        if !partition.acknowledgement_batches.is_empty() {
            let batches =
                batches.map(|b| (b.first_offset, b.last_offset, &b.acknowledge_types[..]));
            said.push((place, share::read_batches(batches)));
        }
    }
    let forgotten = request.forgotten_topics_data.iter();
    let forgotten: Vec<(Uuid, i32)> = forgotten
        .flat_map(|topic| topic.partitions.iter().map(|p| (topic.topic_id, *p)))
        .collect();
    let epoch = request.share_session_epoch;
    if epoch == 0 && !said.is_empty() {
        return refused(ErrorCode::InvalidRequest);
    }
    let who = (&group_id, &member);
    let connection = Arc::as_ptr(&call.client) as usize;
    let broker = call.broker.clone();
    let max_wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let opened = broker
        .share_sessions
        .fetch(who, epoch, &added, &forgotten, connection);
    let mut places = match opened {
        Ok(places) => places,
        Err(ErrorCode::ShareSessionLimitReached) => {
            // It would come again at once.
            return Outcome::later(async move {
                tokio::time::sleep(max_wait).await;
                failed(ErrorCode::ShareSessionLimitReached)
            });
        }
        Err(error) => return refused(error),
    };
    if !places.is_empty() {
        // Each has its turn to be the first.
        let turn = usize::try_from(epoch).unwrap_or(0) % places.len();
        places.rotate_left(turn);
    }
    let acked = share::acknowledge(&broker, &group_id, &member, said);
    let most = broker
        .catalog
        .config()
        .fetch_max_bytes
        .min(request.max_bytes);
    let wanted = Wanted {
        group_id,
        member,
        places,
        max_bytes: usize::try_from(most).unwrap_or(0),
        max_records: i64::from(request.max_records),
        strict: request.share_acquire_mode == RECORD_LIMIT,
        max_wait,
    };
    Outcome::later(async move {
        let acked = acked.await;
        let mut got = Vec::new();
        if epoch == FINAL {
            broker
                .share_sessions
                .end((&wanted.group_id, &wanted.member));
            broker
                .shares
                .release(&broker.catalog, &wanted.group_id, &wanted.member);
        } else if !only_renews && !wanted.places.is_empty() {
            let starting = broker.clone();
            let started = broker.shares.is_started()
                || matches!(
                    blocking(move || starting.shares.ensure(&starting.catalog)).await,
                    Some(Ok(()))
                );
            if !started {
                return failed(ErrorCode::CoordinatorNotAvailable);
            }
            got = share::fetch(&broker, &wanted).await;
        }
        let lock_ms = share::settings(&broker.catalog, &wanted.group_id).lock_ms;
        if only_renews {
            broker.shares.locked();
        }
        answer(got, acked, lock_ms)
    })
}

fn refused(error: ErrorCode) -> Outcome<ShareFetchResponse> {
    Outcome::Now(failed(error))
}

fn failed(error: ErrorCode) -> ShareFetchResponse {
    ShareFetchResponse {
        error_code: error.code(),
        error_message: Some(Str::from(error.to_string())),
        ..ShareFetchResponse::default()
    }
}

fn answer(got: Vec<Got>, acked: Vec<Acked>, lock_ms: i64) -> ShareFetchResponse {
    let mut responses: Vec<ShareFetchableTopicResponse> = Vec::new();
    let mut at = |topic_id: Uuid, index: i32, fill: &mut dyn FnMut(&mut PartitionData)| {
        let topic = match responses
            .iter()
            .position(|topic| topic.topic_id == topic_id)
        {
            Some(found) => found,
            None => {
                responses.push(ShareFetchableTopicResponse {
                    topic_id,
                    partitions: Vec::new(),
                });
                responses.len() - 1
            }
        };
        let partitions = &mut responses[topic].partitions;
        let partition = partitions.iter().position(|p| p.partition_index == index);
        let partition = partition.unwrap_or_else(|| {
            partitions.push(PartitionData {
                partition_index: index,
                records: Some(Records::EMPTY),
                ..PartitionData::default()
            });
            partitions.len() - 1
        });
        fill(&mut partitions[partition]);
    };
    for mut got in got {
        at(got.topic_id, got.partition, &mut |data| {
            data.error_code = got.error.code();
            data.records = Some(std::mem::replace(&mut got.records, Records::EMPTY));
            let acquired = got.acquired.iter().map(|range| AcquiredRecords {
                first_offset: range.first,
                last_offset: range.last,
                delivery_count: range.deliveries,
            });
            data.acquired_records = acquired.collect();
        });
    }
    for acked in acked {
        at(acked.topic_id, acked.partition, &mut |data| {
            data.acknowledge_error_code = acked.error.code();
        });
    }
    ShareFetchResponse {
        acquisition_lock_timeout_ms: i32::try_from(lock_ms).unwrap_or(i32::MAX),
        responses,
        ..ShareFetchResponse::default()
    }
}
