//! Calls about consumer groups (KIP-848), and those of the classic protocol to such groups.

use catchword_wire::messages::leave_group_request::MemberIdentity;
use catchword_wire::messages::leave_group_response::MemberResponse;
use catchword_wire::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatRequest,
    JoinGroupRequest, JoinGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use catchword_wire::{ErrorCode, Str};

use super::GroupShard;
use crate::call::{Call, Context};
use crate::config::{GroupSettings, MigrationPolicy};
use crate::effect::{Effect, Output};
use crate::group::consumer::{ConsumerGroup, compile_regex, validate};
use crate::group::{Committers, Env, Group, GroupKind, Refused, Scope, fits_record};
use crate::notice::Leaving;
use crate::record::headers::{Cause, because};
use crate::reply::Reply;

/// First version of JoinGroup whose newcomers are told their id before they may join (KIP-394).
const KNOWN_MEMBER_ID: i16 = 4;

impl GroupShard {
    /// Takes what is set on a group, in place of the defaults; `None` for the defaults.
    pub fn set_group_settings(&mut self, group_id: &str, settings: Option<GroupSettings>) {
        match settings {
            Some(settings) => self.settings.insert(Str::copy(group_id), settings),
            None => self.settings.remove(group_id),
        };
    }

    /// Takes an image of the topics. It holds from the next step on.
    pub fn set_metadata(&mut self, image: std::sync::Arc<crate::MetadataImage>) {
        self.image = image;
    }

    /// The version of the image that it has.
    pub fn metadata_version(&self) -> u64 {
        self.image.version()
    }

    pub(super) fn consumer_heartbeat(
        &mut self,
        ctx: &Context<'_>,
        mut request: ConsumerGroupHeartbeatRequest,
        out: &mut Output,
    ) -> Reply {
        let outcome = self.try_consumer_heartbeat(ctx, &mut request, out);
        Reply::ConsumerGroupHeartbeat(outcome.unwrap_or_else(|(error, why)| {
            ConsumerGroupHeartbeatResponse {
                error_code: error.code(),
                error_message: Some(why.into()),
                ..ConsumerGroupHeartbeatResponse::default()
            }
        }))
    }

    fn try_consumer_heartbeat(
        &mut self,
        ctx: &Context<'_>,
        request: &mut ConsumerGroupHeartbeatRequest,
        out: &mut Output,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refused> {
        validate(request, ctx.api_version, &self.config.consumer.assignors)?;
        if !fits_record(&ctx.client.client_id) {
            return Err((ErrorCode::InvalidRequest, "the client id is too long"));
        }
        if request.member_epoch < 0 {
            return self.consumer_leave(ctx, request, out);
        }
        if let Some(regex) = request
            .subscribed_topic_regex
            .as_ref()
            .filter(|r| !r.is_empty())
        {
            compile_regex(regex)?;
        }
        if request.member_epoch == 0 {
            self.make_consumer(ctx, request, out)?;
        }
        if request.member_id.is_empty() {
            request.member_id = self.ids.member_id(&ctx.client.client_id);
        }
        let (mut scope, env, group) = self.consumer(&request.group_id, ctx.now_ms, out)?;
        group.heartbeat(ctx, request, &env, &mut scope)
    }

    /// Makes sure that the group is a consumer group: a new one, or one that was a classic one.
    fn make_consumer(
        &mut self,
        ctx: &Context<'_>,
        request: &ConsumerGroupHeartbeatRequest,
        out: &mut Output,
    ) -> Result<(), Refused> {
        let settings = self.settings_of(&request.group_id);
        let mut scope = Scope {
            now_ms: ctx.now_ms,
            config: &self.config,
            out,
        };
        let env = Env {
            image: &self.image,
            settings,
        };
        let Some(group) = self.groups.get_mut(&request.group_id) else {
            let mut group = Group::new(&request.group_id);
            group.kind = GroupKind::Consumer(Box::new(ConsumerGroup::new(group.id.clone())));
            self.groups.insert(group.id.clone(), group);
            return Ok(());
        };
        let consumer = match &mut group.kind {
            GroupKind::Consumer(_) => return Ok(()),
            GroupKind::Share(_) | GroupKind::Streams(_) => {
                return Err((ErrorCode::GroupIdNotFound, "the group is of another kind"));
            }
            GroupKind::Simple => ConsumerGroup::new(group.id.clone()),
            GroupKind::Classic(classic) if classic.is_empty() => {
                classic.end(scope.out);
                let headers = because(Cause::Rebalance);
                crate::record::group_metadata_tombstone(&group.id, &headers, scope.out);
                ConsumerGroup::new(group.id.clone())
            }
            GroupKind::Classic(classic) => {
                if classic.members().count() >= scope.config.consumer.max_size {
                    return Err((ErrorCode::GroupMaxSizeReached, "the group is full"));
                }
                ConsumerGroup::from_classic(classic, &env, &mut scope)?
            }
        };
        group.kind = GroupKind::Consumer(Box::new(consumer));
        Ok(())
    }

    fn consumer_leave(
        &mut self,
        ctx: &Context<'_>,
        request: &ConsumerGroupHeartbeatRequest,
        out: &mut Output,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refused> {
        let (_, _, group) = self.consumer(&request.group_id, ctx.now_ms, out)?;
        let mut own = Output::default();
        let (response, leaving) = group.leave(request, &mut own)?;
        out.records.append(&mut own.records);
        out.effects.append(&mut own.effects);
        self.depart(&request.group_id, &leaving, Leaving::Left, ctx.now_ms, out);
        Ok(response)
    }

    /// Takes members of a consumer group out that are gone for good, and tells of it.
    pub(super) fn depart(
        &mut self,
        group_id: &str,
        ids: &[Str],
        how: Leaving,
        now_ms: i64,
        out: &mut Output,
    ) {
        let group = self.groups.get(group_id).and_then(Group::consumer);
        let gone = group.map(|group| group.gone(ids, how, &self.image));
        let gone = gone.into_iter().flatten();
        out.effects
            .extend(gone.map(|notice| Effect::Notice(Box::new(notice))));
        self.fence(group_id, ids, now_ms, out);
    }

    /// Takes members of a consumer group out. If those that are left all speak the classic protocol, the group does.
    pub(super) fn fence(&mut self, group_id: &str, ids: &[Str], now_ms: i64, out: &mut Output) {
        let settings = self.settings_of(group_id);
        let env = Env {
            image: &self.image,
            settings,
        };
        let mut scope = Scope {
            now_ms,
            config: &self.config,
            out,
        };
        let Some(group) = self.groups.get_mut(group_id) else {
            return;
        };
        let GroupKind::Consumer(consumer) = &mut group.kind else {
            return;
        };
        if ids.is_empty() {
            return;
        }
        if consumer.becomes_classic_without(ids, scope.config)
            && let Some(mut classic) = consumer.make_classic(ids, &env, &mut scope)
        {
            classic.call_together(&mut scope);
            group.kind = GroupKind::Classic(Box::new(classic));
        } else {
            consumer.remove_members(ids, &env, &mut scope);
        }
    }

    /// JoinGroup to a consumer group that has members. `None` if it is not such a group.
    pub(super) fn join_consumer(
        &mut self,
        ctx: &Context<'_>,
        request: &JoinGroupRequest,
        out: &mut Output,
    ) -> Option<Reply> {
        let group = self.groups.get(&request.group_id)?;
        let consumer = group.consumer().filter(|consumer| !consumer.is_empty())?;
        let mut member_id = request.member_id.detached();
        if member_id.is_empty() {
            let prefix = request.group_instance_id.as_ref();
            member_id = self.ids.member_id(prefix.unwrap_or(&ctx.client.client_id));
        }
        let needs_id = request.member_id.is_empty()
            && request.group_instance_id.is_none()
            && ctx.api_version >= KNOWN_MEMBER_ID;
        let scope = Scope {
            now_ms: ctx.now_ms,
            config: &self.config,
            out,
        };
        let policy = self.config.consumer.migration_policy;
        let checked = match policy == MigrationPolicy::Disabled {
            true => Err(ErrorCode::InconsistentGroupProtocol),
            false => consumer.check_join(request, &member_id, &scope),
        };
        let joined = match checked {
            Ok(()) if needs_id => Err(ErrorCode::MemberIdRequired),
            Ok(()) => self.join_checked(ctx, request, &member_id, out),
            Err(error) => Err(error),
        };
        Some(Reply::JoinGroup(joined.unwrap_or_else(|error| {
            JoinGroupResponse {
                error_code: error.code(),
                member_id: match error {
                    ErrorCode::MemberIdRequired => member_id,
                    _ => request.member_id.clone(),
                },
                ..JoinGroupResponse::default()
            }
        })))
    }

    fn join_checked(
        &mut self,
        ctx: &Context<'_>,
        request: &JoinGroupRequest,
        member_id: &Str,
        out: &mut Output,
    ) -> Result<JoinGroupResponse, ErrorCode> {
        let settings = self.settings_of(&request.group_id);
        let env = Env {
            image: &self.image,
            settings,
        };
        let mut scope = Scope {
            now_ms: ctx.now_ms,
            config: &self.config,
            out,
        };
        let group = self.groups.get_mut(&request.group_id);
        let group = group.ok_or(ErrorCode::UnknownMemberId)?;
        let GroupKind::Consumer(consumer) = &mut group.kind else {
            return Err(ErrorCode::UnknownMemberId);
        };
        let joined = consumer.join(ctx, request, member_id, &env, &mut scope)?;
        if joined.all_classic && consumer.becomes_classic(scope.config) {
            let must_assign = consumer.is_assigning();
            if let Some(mut classic) = consumer.make_classic(&[], &env, &mut scope) {
                if must_assign {
                    classic.call_together(&mut scope);
                }
                group.kind = GroupKind::Classic(Box::new(classic));
            }
        }
        Ok(joined.response)
    }

    /// SyncGroup to a consumer group; `None` if it is none.
    pub(super) fn sync_consumer(
        &mut self,
        ctx: &Context<'_>,
        request: &SyncGroupRequest,
        out: &mut Output,
    ) -> Option<Reply> {
        let (mut scope, env, group) = self.consumer(&request.group_id, ctx.now_ms, out).ok()?;
        let synced = group.sync(request, &env, &mut scope);
        Some(Reply::SyncGroup(synced.unwrap_or_else(|error| {
            SyncGroupResponse {
                error_code: error.code(),
                ..SyncGroupResponse::default()
            }
        })))
    }

    /// The classic Heartbeat to a consumer group; `None` if it is none.
    pub(super) fn heartbeat_consumer(
        &mut self,
        ctx: &Context<'_>,
        request: &HeartbeatRequest,
        out: &mut Output,
    ) -> Option<ErrorCode> {
        let (mut scope, env, group) = self.consumer(&request.group_id, ctx.now_ms, out).ok()?;
        Some(group.classic_heartbeat(request, &env, &mut scope))
    }

    /// LeaveGroup to a consumer group.
    pub(super) fn leave_consumer(
        &mut self,
        ctx: &Context<'_>,
        group_id: &Str,
        identities: Vec<MemberIdentity>,
        out: &mut Output,
    ) -> Vec<MemberResponse> {
        let Some(consumer) = self.groups.get(group_id).and_then(Group::consumer) else {
            return Vec::new();
        };
        let (responses, leaving) = consumer.leaving(identities);
        self.depart(group_id, &leaving, Leaving::Left, ctx.now_ms, out);
        responses
    }

    /// An empty consumer group ends where a classic one is to begin. Whether it did.
    pub(super) fn end_empty_consumer(&mut self, group_id: &str, out: &mut Output) -> bool {
        let Some(group) = self.groups.get_mut(group_id) else {
            return false;
        };
        match &mut group.kind {
            GroupKind::Consumer(consumer) if consumer.is_empty() => {
                consumer.end(&because(Cause::Rebalance), out);
                group.kind = GroupKind::Simple;
                true
            }
            _ => false,
        }
    }

    /// The consumer group of this id, and what it needs.
    fn consumer<'a>(
        &'a mut self,
        group_id: &str,
        now_ms: i64,
        out: &'a mut Output,
    ) -> Result<(Scope<'a>, Env<'a>, &'a mut ConsumerGroup), Refused> {
        let kept = self.kept(group_id, now_ms, out);
        kept.ok_or((
            ErrorCode::GroupIdNotFound,
            "there is no such consumer group",
        ))
    }

    pub(super) fn settings_of(&self, group_id: &str) -> GroupSettings {
        let own = self.settings.get(group_id).copied();
        own.unwrap_or(self.config.consumer.defaults)
    }

    /// Asked of the coordinator, not of the group.
    pub(super) fn describe_consumer(&self, group_id: Str) -> Reply {
        let group = self.groups.get(&group_id);
        Reply::ConsumerGroupDescribe(match group.and_then(Group::consumer) {
            Some(consumer) => consumer.describe(&self.image, &self.config.consumer.assignors),
            None => crate::group::consumer::describe_unknown(group_id, group.is_some()),
        })
    }

    /// The error to an OffsetFetch of a member whose epoch is not right (F3).
    pub(super) fn refuse_fetch(&self, call: &crate::OffsetFetchCall) -> Option<Reply> {
        let group = self.groups.get(&call.group.group_id)?;
        let accepted = match &group.kind {
            GroupKind::Consumer(consumer) => consumer.accept_fetch(&call.group),
            GroupKind::Streams(streams) => streams.accept_fetch(&call.group),
            _ => Ok(()),
        };
        let error = accepted.err()?;
        Some(Call::OffsetFetch(call.clone()).refuse(error))
    }
}
