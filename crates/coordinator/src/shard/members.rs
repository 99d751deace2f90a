//! Calls about membership: the checks that need no group, then the group's own word.

use catchword_wire::ErrorCode;
use catchword_wire::messages::leave_group_request::MemberIdentity;
use catchword_wire::messages::leave_group_response::MemberResponse;
use catchword_wire::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, LeaveGroupRequest, LeaveGroupResponse,
    SyncGroupRequest, SyncGroupResponse,
};

use super::GroupShard;
use crate::call::{Call, Client, Context, ReplyTo};
use crate::config::GroupConfig;
use crate::effect::Output;
use crate::group::{ClassicGroup, Group, GroupKind, Scope, fits_record};
use crate::reply::Reply;

impl GroupShard {
    pub(super) fn join_group(
        &mut self,
        ctx: &Context<'_>,
        to: ReplyTo,
        request: &JoinGroupRequest,
        out: &mut Output,
    ) {
        let refuse = |error: ErrorCode, out: &mut Output| {
            out.reply(to, Call::JoinGroup(request.clone()).refuse(error));
        };
        if let Err(error) = self.validate_join(ctx.client, request) {
            return refuse(error, out);
        }
        if self.holds_on(ctx.now_ms, request) {
            return refuse(ErrorCode::IllegalGeneration, out);
        }
        if let Some(reply) = self.join_consumer(ctx, request, out) {
            return out.reply(to, reply);
        }
        let known = self.groups.get(&request.group_id);
        let is_new = match known.map(|group| &group.kind) {
            Some(GroupKind::Simple | GroupKind::Classic(_)) => false,
            // What has members was answered above.
            None | Some(GroupKind::Consumer(_)) => true,
            Some(GroupKind::Streams(streams)) if streams.is_empty() => true,
            Some(GroupKind::Streams(_) | GroupKind::Share(_)) => {
                return refuse(ErrorCode::InconsistentGroupProtocol, out);
            }
        };
        if is_new {
            // Whoever has a member id was in a group that is gone.
            if !request.member_id.is_empty() {
                return refuse(ErrorCode::UnknownMemberId, out);
            }
            let ended = self.end_empty_consumer(&request.group_id, out)
                || self.end_empty_streams(&request.group_id, out);
            if !ended {
                let group = Group::new(&request.group_id);
                self.groups.insert(group.id.clone(), group);
            }
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
        let classic = group.make_classic(ctx.now_ms);
        classic.join(ctx, to, request, &mut self.ids, &mut scope);
        if is_new && scope.out.records.len() == records_before {
            classic.record_created(&mut scope);
        }
    }

    /// What can be checked without the group.
    fn validate_join(&self, client: &Client, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
        let GroupConfig {
            group_min_session_timeout_ms: min,
            group_max_session_timeout_ms: max,
            ..
        } = self.config;
        let texts = [
            &request.group_id,
            &request.protocol_type,
            &request.member_id,
            &client.client_id,
            &client.client_host,
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

    pub(super) fn sync_group(
        &mut self,
        ctx: &Context<'_>,
        to: ReplyTo,
        request: &SyncGroupRequest,
        out: &mut Output,
    ) {
        if let Some(reply) = self.sync_consumer(ctx, request, out) {
            return out.reply(to, reply);
        }
        let error = match self.classic_mut(&request.group_id) {
            _ if request.group_id.is_empty() => ErrorCode::InvalidGroupId,
            None => ErrorCode::UnknownMemberId,
            Some((group, config)) => {
                let mut scope = Scope {
                    now_ms: ctx.now_ms,
                    config,
                    out,
                };
                return group.sync(ctx, to, request, &mut scope);
            }
        };
        let response = SyncGroupResponse {
            error_code: error.code(),
            ..SyncGroupResponse::default()
        };
        out.reply(to, Reply::SyncGroup(response));
    }

    pub(super) fn heartbeat(
        &mut self,
        ctx: &Context<'_>,
        request: &HeartbeatRequest,
        out: &mut Output,
    ) -> HeartbeatResponse {
        if let Some(error) = self.heartbeat_consumer(ctx, request, out) {
            return HeartbeatResponse {
                error_code: error.code(),
                ..HeartbeatResponse::default()
            };
        }
        let error = match self.classic_mut(&request.group_id) {
            _ if request.group_id.is_empty() => ErrorCode::InvalidGroupId,
            None => ErrorCode::UnknownMemberId,
            Some((group, config)) => {
                let mut scope = Scope {
                    now_ms: ctx.now_ms,
                    config,
                    out,
                };
                group.heartbeat(request, &mut scope)
            }
        };
        HeartbeatResponse {
            error_code: error.code(),
            ..HeartbeatResponse::default()
        }
    }

    pub(super) fn leave_group(
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
        let group = self.groups.get(&request.group_id);
        let is_consumer = group.is_some_and(|group| group.consumer().is_some());
        let members = match self.classic_mut(&request.group_id) {
            Some((group, config)) => {
                let mut scope = Scope {
                    now_ms: ctx.now_ms,
                    config,
                    out,
                };
                group.leave(identities, &mut scope)
            }
            None if is_consumer => self.leave_consumer(ctx, &request.group_id, identities, out),
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

    /// The classic group of this id, if it is one, and what it needs to know.
    fn classic_mut(&mut self, group_id: &str) -> Option<(&mut ClassicGroup, &GroupConfig)> {
        let classic = self.groups.get_mut(group_id)?.classic_mut()?;
        Some((classic, &self.config))
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
