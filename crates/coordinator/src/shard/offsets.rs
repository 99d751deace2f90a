//! Calls about offsets, and what ends them: deletion, expiry, deleted topics.

use catchword_wire::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
};
use catchword_wire::{ErrorCode, Str, Uuid};

use super::GroupShard;
use crate::call::Context;
use crate::effect::{Headers, Output};
use crate::group::{Group, GroupKind, Scope, fits_record};
use crate::notice::Noticed;
use crate::offsets::{self, Committer, refused_commit};
use crate::record;
use crate::record::headers::{Cause, because, by};

impl GroupShard {
    pub(super) fn commit_offsets(
        &mut self,
        ctx: &Context<'_>,
        request: OffsetCommitRequest,
        out: &mut Output,
    ) -> OffsetCommitResponse {
        // Few shards have any, so that a commit does not ask by key.
        let overtakes = !self.pending.is_empty();
        let group_id = request.group_id.clone();
        let response = self.commit_unless_refused(ctx, request, out);
        if overtakes {
            let topics = response.topics.iter();
            let committed = topics.flat_map(|topic| {
                let partitions = topic.partitions.iter().filter(|p| p.error_code == 0);
                partitions.map(|p| (topic.name.clone(), p.partition_index))
            });
            self.overtake_pending(&group_id, &committed.collect::<Vec<_>>());
        }
        response
    }

    fn commit_unless_refused(
        &mut self,
        ctx: &Context<'_>,
        request: OffsetCommitRequest,
        out: &mut Output,
    ) -> OffsetCommitResponse {
        if let Some(group) = self.groups.get_mut(&request.group_id) {
            let mut scope = Scope {
                now_ms: ctx.now_ms,
                config: &self.config,
                out,
            };
            if let Err(error) = group.accept_commit(&request, ctx.api_version, &mut scope) {
                if is_of_a_member_given_up(&request, error) {
                    let (partitions, again) = offsets::given_up(&group.offsets, &request);
                    let what = Noticed::Refused {
                        error,
                        partitions,
                        again,
                    };
                    offsets::notice(ctx, &request.group_id, &request.member_id, what, out);
                }
                return refused_commit(&request, error);
            }
            let committer = match group.is_empty() {
                true => Committer::Outsider,
                false => Committer::Member,
            };
            let offsets = &mut group.offsets;
            return offsets::commit(&self.config, offsets, ctx, committer, request, out);
        }
        if !fits_record(&request.group_id) {
            return refused_commit(&request, ErrorCode::InvalidGroupId);
        }
        if request.generation_id_or_member_epoch >= 0 {
            // C4: the error that says what is wrong is known only to newer clients.
            let is_known = ctx.api_version >= 9;
            let error = if is_known {
                ErrorCode::GroupIdNotFound
            } else {
                ErrorCode::IllegalGeneration
            };
            return refused_commit(&request, error);
        }
        let mut group = Group::new(&request.group_id);
        let committer = Committer::Outsider;
        let offsets = &mut group.offsets;
        let response = offsets::commit(&self.config, offsets, ctx, committer, request, out);
        // If every partition was refused there is nothing that makes a group.
        if !group.offsets.is_empty() {
            self.groups.insert(group.id.clone(), group);
        }
        response
    }

    pub(super) fn delete_offsets(
        &mut self,
        ctx: &Context<'_>,
        request: OffsetDeleteRequest,
        out: &mut Output,
    ) -> OffsetDeleteResponse {
        let refused = |error: ErrorCode| OffsetDeleteResponse {
            error_code: error.code(),
            ..OffsetDeleteResponse::default()
        };
        if request.group_id.is_empty() {
            return refused(ErrorCode::InvalidGroupId);
        }
        let Some(group) = self.groups.get_mut(&request.group_id) else {
            return refused(ErrorCode::GroupIdNotFound);
        };
        if let Err(error) = group.accept_offset_delete() {
            return refused(error);
        }
        let headers = by(Cause::OffsetDelete, ctx.client, &Str::EMPTY);
        let Group { kind, offsets, .. } = group;
        let is_subscribed = |topic: &str| kind.is_subscribed_to(topic);
        let pending = self.pending.of_group(&request.group_id);
        let pending = pending.filter(|(_, topic, partition)| {
            let mut topics = request.topics.iter().filter(|asked| asked.name == *topic);
            topics.any(|asked| {
                let mut partitions = asked.partitions.iter();
                partitions.any(|p| p.partition_index == *partition)
            }) && !is_subscribed(topic)
        });
        let pending: Vec<_> = pending.cloned().collect();
        let response = offsets::delete_offsets(offsets, request, is_subscribed, &headers, out);
        self.forget_pending(pending, &headers, out);
        response
    }

    pub(super) fn delete_group(
        &mut self,
        ctx: &Context<'_>,
        group_id: &Str,
        out: &mut Output,
    ) -> ErrorCode {
        match self.groups.get(group_id) {
            None => ErrorCode::GroupIdNotFound,
            Some(group) if !group.is_empty() => ErrorCode::NonEmptyGroup,
            Some(_) => {
                let headers = by(Cause::GroupDelete, ctx.client, &Str::EMPTY);
                self.remove_group(group_id, &headers, out);
                ErrorCode::None
            }
        }
    }

    /// Removes a group and its offsets, with tombstones for all.
    pub(super) fn remove_group(&mut self, group_id: &Str, headers: &Headers, out: &mut Output) {
        let Some(mut group) = self.groups.remove(group_id) else {
            return;
        };
        offsets::delete_all(&group.id, &mut group.offsets, headers, out);
        let pending = self.pending.of_group(group_id).cloned().collect();
        self.forget_pending(pending, headers, out);
        if let GroupKind::Consumer(consumer) = &mut group.kind {
            return consumer.end(headers, out);
        }
        if let Some(share) = group.share() {
            return share.end(headers, out);
        }
        if let Some(streams) = group.streams() {
            return streams.end(headers, out);
        }
        if let Some(classic) = group.classic_mut() {
            classic.cancel_timers(out);
        }
        record::group_metadata_tombstone(&group.id, headers, out);
    }

    /// Removes what nobody has had a use for in a long time, and groups that are empty in every sense. To be called
    /// every `offsets.retention.check.interval.ms`.
    pub fn expire_offsets(&mut self, now_ms: i64, out: &mut Output) {
        let headers = because(Cause::Expire);
        let mut gone = Vec::new();
        for group in self.groups.values_mut() {
            let expiry = group.expiry();
            let Group {
                id, kind, offsets, ..
            } = &mut *group;
            // T5: what a transaction is about to move stays.
            let (pending, pins) = (&self.pending, self.retention.pins.get(id));
            let is_needed = |topic: &str, partition| {
                kind.is_subscribed_to(topic)
                    || pending.has(id, topic, partition)
                    || pins.is_some_and(|pins| pins.has(topic, partition))
            };
            let default_ms = self.config.offsets_retention_ms;
            let (retention, _) = self.retention.of(id, default_ms);
            let times = (now_ms, retention);
            let nothing_left =
                offsets::expire(id, offsets, expiry, is_needed, times, &headers, out);
            if nothing_left && group.is_vacant() && !pending.has_group(&group.id) {
                gone.push(group.id.clone());
            }
        }
        for group_id in gone {
            self.remove_group(&group_id, &headers, out);
        }
    }

    /// Removes the offsets of topics that were deleted, each given by its name and id.
    pub fn topics_deleted(&mut self, topics: &[(Str, Uuid)], out: &mut Output) {
        let headers = because(Cause::TopicDelete);
        for group in self.groups.values_mut() {
            for topic in topics {
                offsets::delete_topic(&group.id, &mut group.offsets, topic, &headers, out);
            }
        }
        let all = self.pending.in_order(false).into_iter();
        let all = all.chain(self.pending.in_order(true));
        let gone = all.filter(|((_, topic, _), waiting)| {
            let id = waiting.bookmark.topic_id;
            topics
                .iter()
                .any(|(name, deleted)| name == topic && (id.is_zero() || id == *deleted))
        });
        let gone = gone.map(|(key, _)| key.clone()).collect();
        self.forget_pending(gone, &headers, out);
    }
}

/// Whether a commit was refused because its sender is a member no more, or is behind its group. A reset that is refused
/// is not.
fn is_of_a_member_given_up(request: &OffsetCommitRequest, error: ErrorCode) -> bool {
    let by_now = matches!(
        error,
        ErrorCode::UnknownMemberId
            | ErrorCode::IllegalGeneration
            | ErrorCode::StaleMemberEpoch
            | ErrorCode::FencedInstanceId
    );
    by_now && !request.member_id.is_empty()
}
