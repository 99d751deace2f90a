//! OffsetCommit: from a request that the group accepted to records and bookmarks.
//!
//! The hottest path of all: one key, one value, one shared set of headers.

use catchword_wire::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use catchword_wire::messages::{OffsetCommitRequest, OffsetCommitResponse};
use catchword_wire::{ErrorCode, Str};

use super::{Bookmark, Offsets, Walk, find, put_at};
use crate::call::Context;
use crate::config::GroupConfig;
use crate::effect::{Effect, Output};
use crate::notice::{Notice, Noticed};
use crate::record::headers::{Cause, Reader, by};
use crate::record::{offset_commit, origin};

/// What older clients send for "the broker's own retention".
const DEFAULT_RETENTION_MS: i64 = -1;

/// Who commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Committer {
    /// A member of the group.
    Member,
    /// Somebody else, while the group is empty: a consumer that assigns itself its partitions, or an administrator.
    Outsider,
}

/// Moves the bookmarks of a group. Whether the caller may commit was decided before.
pub(crate) fn commit(
    config: &GroupConfig,
    offsets: &mut Offsets,
    ctx: &Context<'_>,
    committer: Committer,
    request: OffsetCommitRequest,
    out: &mut Output,
) -> OffsetCommitResponse {
    let outsider = (committer == Committer::Outsider).then(|| {
        let reader = Reader::of(ctx.client.client_id.as_bytes());
        (reader, reads_on(offsets, reader, &request))
    });
    let cause = match outsider {
        None => Cause::Commit,
        Some((_, true)) => Cause::Assigned,
        Some((_, false)) => Cause::Standalone,
    };
    let headers = by(cause, ctx.client, &request.member_id);
    // KIP-211: only OffsetCommit 2 to 4 can ask for a retention of their own.
    let expire_timestamp_ms = (request.retention_time_ms != DEFAULT_RETENTION_MS)
        .then(|| ctx.now_ms.saturating_add(request.retention_time_ms));
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut results = Vec::with_capacity(topic.partitions.len());
        let fits =
            |metadata: &Option<Str>| metadata_fits(metadata, config.offset_metadata_max_bytes);
        // A topic without bookmarks must not come to be.
        let any_fits = topic.partitions.iter().any(|p| fits(&p.committed_metadata));
        let mut bookmarks = any_fits.then(|| offsets.topic_mut(&topic.name));
        let mut walk = Walk::default();
        for partition in topic.partitions {
            let fits = fits(&partition.committed_metadata);
            let error = if fits {
                ErrorCode::None
            } else {
                ErrorCode::OffsetMetadataTooLarge
            };
            results.push(OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: error.code(),
            });
            if let (true, Some(bookmarks)) = (fits, bookmarks.as_deref_mut()) {
                let bookmark = Bookmark::new(
                    partition.committed_offset,
                    partition.committed_leader_epoch.max(-1),
                    ctx.now_ms,
                    topic.topic_id,
                    partition.committed_metadata.unwrap_or_default(),
                    expire_timestamp_ms,
                );
                let (group_id, index) = (&request.group_id, partition.partition_index);
                let place = walk.find(bookmarks, index);
                let before = place.ok().map(|at| &bookmarks[at].1);
                if cause == Cause::Commit
                    && let Some(from) = steps_back(before, &bookmark)
                {
                    let what = Noticed::StepBack {
                        topic: topic.name.detached(),
                        partition: index,
                        from,
                        to: bookmark.offset,
                    };
                    notice(ctx, group_id, &request.member_id, what, out);
                }
                if cause == Cause::Standalone
                    && let Some(from) = jumps(before, &bookmark)
                {
                    let what = Noticed::Jump {
                        topic: topic.name.detached(),
                        partition: index,
                        from,
                        to: bookmark.offset,
                    };
                    notice(ctx, group_id, &request.member_id, what, out);
                }
                let bookmark = bookmark.read_by(outsider.map_or(Reader::UNKNOWN, |(who, _)| who));
                if cause == Cause::Standalone {
                    let headers = origin::from(&headers, before);
                    offset_commit(group_id, &topic.name, index, &bookmark, &headers, out);
                } else {
                    offset_commit(group_id, &topic.name, index, &bookmark, &headers, out);
                }
                put_at(place, bookmarks, index, bookmark);
            }
        }
        topics.push(OffsetCommitResponseTopic {
            name: topic.name,
            topic_id: topic.topic_id,
            partitions: results,
        });
    }
    OffsetCommitResponse {
        topics,
        ..OffsetCommitResponse::default()
    }
}

/// Whether all of it is reading on: from bookmarks that the same reader has put there, and nowhere backwards. It may begin
/// with another partition at the same time.
fn reads_on(offsets: &Offsets, reader: Reader, request: &OffsetCommitRequest) -> bool {
    let mut knows_one = false;
    let all = request.topics.iter().all(|topic| {
        let bookmarks = offsets.partitions(&topic.name);
        let mut walk = Walk::default();
        topic.partitions.iter().all(|partition| {
            let Ok(at) = walk.find(bookmarks, partition.partition_index) else {
                return true;
            };
            let before = &bookmarks[at].1;
            knows_one = true;
            before.reader == reader && before.offset <= partition.committed_offset
        })
    });
    all && knows_one
}

/// Where the bookmark was, if it is set back now. A place in another edition of the topic is no step at all.
fn steps_back(before: Option<&Bookmark>, now: &Bookmark) -> Option<i64> {
    let before = before.filter(|before| before.topic_id == now.topic_id)?;
    (now.offset < before.offset).then_some(before.offset)
}

/// Where the bookmark was, if it is set forward now, in the same edition of the topic.
fn jumps(before: Option<&Bookmark>, now: &Bookmark) -> Option<i64> {
    let before = before.filter(|before| before.topic_id == now.topic_id)?;
    (now.offset > before.offset).then_some(before.offset)
}

/// What a member whom the group has given up would have committed: the partitions, and by how many offsets in all.
pub(crate) fn given_up(offsets: &Offsets, request: &OffsetCommitRequest) -> (usize, i64) {
    let topics = request.topics.iter();
    let steps = topics.flat_map(|topic| {
        let bookmarks = offsets.partitions(&topic.name);
        topic.partitions.iter().filter_map(move |partition| {
            let now = find(bookmarks, partition.partition_index)?;
            Some(partition.committed_offset.saturating_sub(now.offset)).filter(|by| *by > 0)
        })
    });
    steps.fold((0, 0), |(n, sum), by| (n + 1, by.saturating_add(sum)))
}

/// Tells what a member's commit did.
pub(crate) fn notice(
    ctx: &Context<'_>,
    group_id: &Str,
    member_id: &Str,
    what: Noticed,
    out: &mut Output,
) {
    out.effects.push(Effect::Notice(Box::new(Notice {
        group_id: group_id.detached(),
        member_id: member_id.detached(),
        client_id: ctx.client.client_id.detached(),
        client_host: ctx.client.client_host.detached(),
        what,
    })));
}

/// Kafka counts Java's characters, which are UTF-16 code units. A text has no more of them than bytes.
pub(crate) fn metadata_fits(metadata: &Option<Str>, max: usize) -> bool {
    let Some(metadata) = metadata else {
        return true;
    };
    let short = metadata.len() <= max || metadata.encode_utf16().count() <= max;
    // A version 1 record has a 16-bit length.
    short && metadata.len() <= i16::MAX as usize
}

/// The response to a commit that is refused as a whole.
pub(crate) fn refused_commit(
    request: &OffsetCommitRequest,
    error: ErrorCode,
) -> OffsetCommitResponse {
    let topics = request
        .topics
        .iter()
        .map(|topic| OffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: topic
                .partitions
                .iter()
                .map(|partition| OffsetCommitResponsePartition {
                    partition_index: partition.partition_index,
                    error_code: error.code(),
                })
                .collect(),
        });
    OffsetCommitResponse {
        topics: topics.collect(),
        ..OffsetCommitResponse::default()
    }
}
