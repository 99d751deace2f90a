//! ShareAcknowledge (79): what became of records that a member of a share group was given.

use catchword_wire::messages::share_acknowledge_response::{
    PartitionData, ShareAcknowledgeTopicResponse,
};
use catchword_wire::messages::{ShareAcknowledgeRequest, ShareAcknowledgeResponse};
use catchword_wire::{ErrorCode, Str};

use crate::dispatch::Call;
use crate::outcome::Outcome;
use crate::share;

/// The session epoch that ends a session.
const FINAL: i32 = -1;

pub(crate) fn handle(
    call: &Call,
    mut request: ShareAcknowledgeRequest,
) -> Outcome<ShareAcknowledgeResponse> {
    let (Some(group_id), Some(member)) = (request.group_id.take(), request.member_id.take()) else {
        return refused(ErrorCode::InvalidRequest);
    };
    if group_id.is_empty() || member.is_empty() {
        return refused(ErrorCode::InvalidRequest);
    }
    let (group_id, member) = (group_id.detached(), member.detached());
    let epoch = request.share_session_epoch;
    let broker = call.broker.clone();
    if let Err(error) = broker
        .share_sessions
        .acknowledge((&group_id, &member), epoch)
    {
        return refused(error);
    }
    let mut said = Vec::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let batches = partition.acknowledgement_batches.iter();
            let batches =
                batches.map(|b| (b.first_offset, b.last_offset, &b.acknowledge_types[..]));
            let place = (topic.topic_id, partition.partition_index);
            said.push((place, share::read_batches(batches)));
        }
    }
    let acked = share::acknowledge(&broker, &group_id, &member, said);
    broker.shares.locked();
    Outcome::later(async move {
        let acked = acked.await;
        if epoch == FINAL {
            broker.share_sessions.end((&group_id, &member));
            broker.shares.release(&broker.catalog, &group_id, &member);
        }
        let mut responses: Vec<ShareAcknowledgeTopicResponse> = Vec::new();
        for acked in acked {
            let data = PartitionData {
                partition_index: acked.partition,
                error_code: acked.error.code(),
                ..PartitionData::default()
            };
            match responses
                .iter_mut()
                .find(|topic| topic.topic_id == acked.topic_id)
            {
                Some(topic) => topic.partitions.push(data),
                None => responses.push(ShareAcknowledgeTopicResponse {
                    topic_id: acked.topic_id,
                    partitions: vec![data],
                }),
            }
        }
        let lock_ms = share::settings(&broker.catalog, &group_id).lock_ms;
        ShareAcknowledgeResponse {
            acquisition_lock_timeout_ms: i32::try_from(lock_ms).unwrap_or(i32::MAX),
            responses,
            ..ShareAcknowledgeResponse::default()
        }
    })
}

fn refused(error: ErrorCode) -> Outcome<ShareAcknowledgeResponse> {
    Outcome::Now(ShareAcknowledgeResponse {
        error_code: error.code(),
        error_message: Some(Str::from(error.to_string())),
        ..ShareAcknowledgeResponse::default()
    })
}
