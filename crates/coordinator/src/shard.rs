//! The groups of one partition of `__consumer_offsets`, and what may be done to them.
//!
//! A step decides and applies at once. Offsets change here and in `replay` by the same functions; a classic group's
//! record is a snapshot of the group that has changed already.

use std::collections::BTreeMap;

use bytes::Bytes;
use catchword_wire::messages::delete_groups_response::DeletableGroupResult;
use catchword_wire::messages::leave_group_request::MemberIdentity;
use catchword_wire::messages::leave_group_response::MemberResponse;
use catchword_wire::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, LeaveGroupRequest, LeaveGroupResponse,
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
    SyncGroupRequest, SyncGroupResponse,
};
use catchword_wire::{ErrorCode, Str, Uuid};

use crate::config::GroupConfig;
use crate::effect::{Call, Context, CoordinatorRecord, Headers, Output, Reply, ReplyTo};
use crate::group::{ClassicGroup, Group, GroupKind, Scope, describe_unknown, fits_record, passes};
use crate::ids::IdSource;
use crate::offsets::{self, Bookmark, refused_commit};
use crate::record::headers::{Cause, because, by};
use crate::record::{self, Record, ReplayError};
use crate::timer::TimerKey;

/// The state of one partition of `__consumer_offsets`.
#[derive(Debug)]
pub struct GroupShard {
    config: GroupConfig,
    ids: IdSource,
    groups: BTreeMap<Str, Group>,
}

impl GroupShard {
    /// A shard without groups. `seed` makes the member ids; it must differ from run to run of a broker.
    pub fn new(config: GroupConfig, seed: u128) -> GroupShard {
        GroupShard {
            config,
            ids: IdSource::new(seed),
            groups: BTreeMap::new(),
        }
    }

    /// Takes new settings. They hold from the next step on.
    pub fn set_config(&mut self, config: GroupConfig) {
        self.config = config;
    }

    /// Decides a call and applies what it decides. Its records and effects are added to `out`.
    ///
    /// Each call is answered exactly once, by this step or by a later one.
    pub fn step(&mut self, ctx: &Context<'_>, to: ReplyTo, call: Call, out: &mut Output) {
        let reply = match call {
            Call::JoinGroup(request) => return self.join_group(ctx, to, &request, out),
            Call::SyncGroup(request) => return self.sync_group(ctx, to, &request, out),
            Call::Heartbeat(request) => Reply::Heartbeat(self.heartbeat(ctx, &request, out)),
            Call::LeaveGroup(request) => Reply::LeaveGroup(self.leave_group(ctx, request, out)),
            Call::OffsetCommit(request) => {
                Reply::OffsetCommit(self.commit_offsets(ctx, request, out))
            }
            Call::OffsetFetch(call) => {
                let group = self.groups.get(&call.group.group_id);
                Reply::OffsetFetch(offsets::fetch(group.map(|g| &g.offsets), call.group))
            }
            Call::OffsetDelete(request) => {
                Reply::OffsetDelete(self.delete_offsets(ctx, request, out))
            }
            Call::DescribeGroup(group_id) => {
                Reply::DescribeGroup(match self.groups.get(&group_id) {
                    Some(group) => group.classic().describe(),
                    None => describe_unknown(group_id, ctx.api_version),
                })
            }
            Call::ListGroups { states, types } => Reply::ListGroups(
                self.groups
                    .values()
                    .map(|group| group.classic().list())
                    .filter(|group| passes(group, &states, &types))
                    .collect(),
            ),
            Call::DeleteGroup(group_id) => {
                let error_code = self.delete_group(ctx, &group_id, out).code();
                Reply::DeleteGroup(DeletableGroupResult {
                    group_id,
                    error_code,
                })
            }
        };
        out.reply(to, reply);
    }

    fn join_group(
        &mut self,
        ctx: &Context<'_>,
        to: ReplyTo,
        request: &JoinGroupRequest,
        out: &mut Output,
    ) {
        let refuse = |error: ErrorCode, out: &mut Output| {
            out.reply(to, Call::JoinGroup(request.clone()).refuse(error));
        };
        if let Err(error) = self.validate_join(request) {
            return refuse(error, out);
        }
        let is_new = !self.groups.contains_key(&request.group_id);
        if is_new {
            // Whoever has a member id was in a group that is gone.
            if !request.member_id.is_empty() {
                return refuse(ErrorCode::UnknownMemberId, out);
            }
            let group = Group::new(&request.group_id, ctx.now_ms);
            self.groups.insert(group.id.clone(), group);
        }
        let group = self
            .groups
            .get_mut(&request.group_id)
            .expect("it was inserted above");
        let records_before = out.records.len();
        let mut scope = Scope {
            now_ms: ctx.now_ms,
            config: &self.config,
            out,
        };
        let classic = group.classic_mut();
        classic.join(ctx, to, request, &mut self.ids, &mut scope);
        if is_new && scope.out.records.len() == records_before {
            classic.record_created(&mut scope);
        }
    }

    /// What can be checked without the group.
    fn validate_join(&self, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
        let GroupConfig {
            group_min_session_timeout_ms: min,
            group_max_session_timeout_ms: max,
            ..
        } = self.config;
        let texts = [
            &request.group_id,
            &request.protocol_type,
            &request.member_id,
        ];
        let mut names = request.protocols.iter().map(|p| &p.name);
        if !is_valid_group_id(&request.group_id) {
            Err(ErrorCode::InvalidGroupId)
        } else if !(min..=max).contains(&request.session_timeout_ms) {
            Err(ErrorCode::InvalidSessionTimeout)
        } else if !texts
            .into_iter()
            .chain(&request.group_instance_id)
            .all(|t| fits_record(t))
            || !names.all(|name| fits_record(name))
        {
            Err(ErrorCode::InvalidRequest)
        } else {
            Ok(())
        }
    }

    fn sync_group(
        &mut self,
        ctx: &Context<'_>,
        to: ReplyTo,
        request: &SyncGroupRequest,
        out: &mut Output,
    ) {
        let error = match self.groups.get_mut(&request.group_id) {
            _ if request.group_id.is_empty() => ErrorCode::InvalidGroupId,
            None => ErrorCode::UnknownMemberId,
            Some(group) => {
                let mut scope = Scope {
                    now_ms: ctx.now_ms,
                    config: &self.config,
                    out,
                };
                return group.classic_mut().sync(ctx, to, request, &mut scope);
            }
        };
        let response = SyncGroupResponse {
            error_code: error.code(),
            ..SyncGroupResponse::default()
        };
        out.reply(to, Reply::SyncGroup(response));
    }

    fn heartbeat(
        &mut self,
        ctx: &Context<'_>,
        request: &HeartbeatRequest,
        out: &mut Output,
    ) -> HeartbeatResponse {
        let error = match self.groups.get_mut(&request.group_id) {
            _ if request.group_id.is_empty() => ErrorCode::InvalidGroupId,
            None => ErrorCode::UnknownMemberId,
            Some(group) => {
                let mut scope = Scope {
                    now_ms: ctx.now_ms,
                    config: &self.config,
                    out,
                };
                group.classic_mut().heartbeat(request, &mut scope)
            }
        };
        HeartbeatResponse {
            error_code: error.code(),
            ..HeartbeatResponse::default()
        }
    }

    fn leave_group(
        &mut self,
        ctx: &Context<'_>,
        request: LeaveGroupRequest,
        out: &mut Output,
    ) -> LeaveGroupResponse {
        if request.group_id.is_empty() {
            let error_code = ErrorCode::InvalidGroupId.code();
            return LeaveGroupResponse {
                error_code,
                ..LeaveGroupResponse::default()
            };
        }
        // Before version 3 one member could leave, and the error was the response's.
        let is_single = ctx.api_version < 3;
        let identities = match is_single {
            true => vec![MemberIdentity {
                member_id: request.member_id,
                ..Default::default()
            }],
            false => request.members,
        };
        let members = match self.groups.get_mut(&request.group_id) {
            Some(group) => {
                let mut scope = Scope {
                    now_ms: ctx.now_ms,
                    config: &self.config,
                    out,
                };
                group.classic_mut().leave(identities, &mut scope)
            }
            None => identities.into_iter().map(unknown_member).collect(),
        };
        match members.first() {
            Some(member) if is_single => LeaveGroupResponse {
                error_code: member.error_code,
                ..LeaveGroupResponse::default()
            },
            _ => LeaveGroupResponse {
                members,
                ..LeaveGroupResponse::default()
            },
        }
    }

    fn commit_offsets(
        &mut self,
        ctx: &Context<'_>,
        request: OffsetCommitRequest,
        out: &mut Output,
    ) -> OffsetCommitResponse {
        let mut cause = Cause::Commit;
        if let Some(group) = self.groups.get_mut(&request.group_id) {
            let mut scope = Scope {
                now_ms: ctx.now_ms,
                config: &self.config,
                out,
            };
            if let Err(error) = group.accept_commit(&request, &mut scope) {
                return refused_commit(&request, error);
            }
            if group.is_empty() {
                cause = Cause::Standalone;
            }
            return offsets::commit(&self.config, &mut group.offsets, ctx, cause, request, out);
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
        let mut group = Group::new(&request.group_id, ctx.now_ms);
        cause = Cause::Standalone;
        let response = offsets::commit(&self.config, &mut group.offsets, ctx, cause, request, out);
        // If every partition was refused there is nothing that makes a group.
        if !group.offsets.is_empty() {
            self.groups.insert(group.id.clone(), group);
        }
        response
    }

    fn delete_offsets(
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
        if let Err(error) = group.classic().accept_offset_delete() {
            return refused(error);
        }
        let headers = by(Cause::OffsetDelete, ctx.client, &Str::EMPTY);
        let Group { kind, offsets, .. } = group;
        let is_subscribed = |topic: &str| kind.is_subscribed_to(topic);
        offsets::delete_offsets(offsets, request, is_subscribed, &headers, out)
    }

    fn delete_group(&mut self, ctx: &Context<'_>, group_id: &Str, out: &mut Output) -> ErrorCode {
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
    fn remove_group(&mut self, group_id: &Str, headers: &Headers, out: &mut Output) {
        let Some(mut group) = self.groups.remove(group_id) else {
            return;
        };
        offsets::delete_all(&group.id, &mut group.offsets, headers, out);
        group.classic_mut().cancel_timers(out);
        record::group_metadata_tombstone(&group.id, headers, out);
    }

    /// A timer that was asked for fired, on time or late.
    pub fn timer(&mut self, now_ms: i64, key: &TimerKey, out: &mut Output) {
        if let Some(group) = self.groups.get_mut(&key.group_id) {
            group.timer(
                &key.kind,
                &mut Scope {
                    now_ms,
                    config: &self.config,
                    out,
                },
            );
        }
    }

    /// Removes what nobody has had a use for in a long time, and groups that are empty in every sense. To be called
    /// every `offsets.retention.check.interval.ms`.
    pub fn expire_offsets(&mut self, now_ms: i64, out: &mut Output) {
        let headers = because(Cause::Expire);
        let times = (now_ms, self.config.offsets_retention_ms);
        let mut gone = Vec::new();
        for group in self.groups.values_mut() {
            let expiry = group.expiry();
            let GroupKind::Classic(classic) = &group.kind;
            let is_subscribed = |topic: &str| classic.is_subscribed_to(topic);
            let offsets = &mut group.offsets;
            let nothing_left = offsets::expire(
                &group.id,
                offsets,
                expiry,
                is_subscribed,
                times,
                &headers,
                out,
            );
            if nothing_left && group.is_vacant() {
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
    }

    /// Says that a consumer that uses the group without being a member of it, by `assign()`, is alive. Its offsets
    /// don't expire while this is said more often than the retention time.
    pub fn touch(&mut self, group_id: &str, now_ms: i64) {
        if let Some(group) = self.groups.get_mut(group_id) {
            group.touch(now_ms);
        }
    }

    /// Applies a record of the log, on load.
    ///
    /// # Errors
    /// When the record is not understood. [`ReplayError::UnknownKeyType`] is to be logged and skipped, as Kafka does;
    /// the other errors mean a damaged log. The state is as before.
    pub fn replay(
        &mut self,
        _record_timestamp_ms: i64,
        key: &[u8],
        value: Option<&[u8]>,
        _headers: &[(Bytes, Bytes)],
    ) -> Result<(), ReplayError> {
        match record::decode(key, value)? {
            Record::Offset {
                group_id,
                topic,
                partition,
                value: Some(value),
            } => {
                // The group of a consumer that only commits has no record of its own.
                let group = self.group_or_new(&group_id, value.commit_timestamp);
                group
                    .offsets
                    .put(&topic, partition, Bookmark::from_record(value));
            }
            Record::Offset {
                group_id,
                topic,
                partition,
                value: None,
            } => {
                if let Some(group) = self.groups.get_mut(&group_id) {
                    group.offsets.remove(&topic, partition);
                }
            }
            Record::Group {
                group_id,
                value: Some(metadata),
            } => {
                let recorded = Bytes::copy_from_slice(value.unwrap_or_default());
                let classic = ClassicGroup::load(group_id.detached(), metadata, recorded)?;
                let group = self.group_or_new(&group_id, 0);
                group.kind = GroupKind::Classic(Box::new(classic));
            }
            Record::Group {
                group_id,
                value: None,
            } => {
                // Tombstones of its offsets, if it had any, stand before or after this one.
                let keeps = |group: &Group| !group.offsets.is_empty();
                match self.groups.get_mut(&group_id) {
                    Some(group) if keeps(group) => {
                        let classic = ClassicGroup::new(group.id.clone(), 0);
                        group.kind = GroupKind::Classic(Box::new(classic));
                    }
                    _ => drop(self.groups.remove(&group_id)),
                }
            }
        }
        Ok(())
    }

    fn group_or_new(&mut self, group_id: &Str, now_ms: i64) -> &mut Group {
        if !self.groups.contains_key(group_id) {
            let group = Group::new(group_id, now_ms);
            self.groups.insert(group.id.clone(), group);
        }
        self.groups
            .get_mut(group_id)
            .expect("it was inserted above")
    }

    /// The log has been read to its end: members found in it are given a session from now on.
    pub fn loaded(&mut self, now_ms: i64, out: &mut Output) {
        for group in self.groups.values_mut() {
            group.classic_mut().loaded(&mut Scope {
                now_ms,
                config: &self.config,
                out,
            });
        }
    }

    /// Answers everyone who waits with `error`, because this shard moves away, stops, or could not store its records.
    /// The shard is to be dropped afterwards.
    pub fn unload(&mut self, error: ErrorCode, out: &mut Output) {
        for group in self.groups.values_mut() {
            group.classic_mut().refuse_everyone(error, out);
        }
    }

    /// The records that make this state, and nothing that they replace: replayed into a new shard they give the same.
    /// Without headers, which are history and not state.
    pub fn dump_records(&self) -> Vec<CoordinatorRecord> {
        let mut out = Output::default();
        let headers = Headers::default();
        for group in self.groups.values() {
            if let Some(recorded) = group.classic().recorded() {
                out.records.push(CoordinatorRecord {
                    key: record::group_metadata_key(&group.id),
                    value: Some(recorded.clone()),
                    headers: headers.clone(),
                });
            }
            for (topic, bookmarks) in group.offsets.topics() {
                for (partition, bookmark) in bookmarks {
                    let id = &group.id;
                    record::offset_commit(id, topic, *partition, bookmark, &headers, &mut out);
                }
            }
        }
        out.records
    }

    /// How many groups there are, and how many offsets in them.
    pub fn counts(&self) -> (usize, usize) {
        (
            self.groups.len(),
            self.groups.values().map(|group| group.offsets.len()).sum(),
        )
    }
}

fn is_valid_group_id(group_id: &str) -> bool {
    !group_id.is_empty() && fits_record(group_id)
}

fn unknown_member(identity: MemberIdentity) -> MemberResponse {
    MemberResponse {
        member_id: identity.member_id,
        group_instance_id: identity.group_instance_id,
        error_code: ErrorCode::UnknownMemberId.code(),
    }
}
