//! Calls about streams groups (KIP-1071).

use catchword_wire::messages::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse};
use catchword_wire::{ErrorCode, Str};

use super::GroupShard;
use crate::call::Context;
use crate::effect::Output;
use crate::group::streams::{self, Heard, LEFT, Refused, StreamsGroup};
use crate::group::{Env, Group, GroupKind, Kept, Scope, fits_record};
use crate::record::headers::{Cause, because};
use crate::reply::Reply;

impl GroupShard {
    pub(super) fn streams_heartbeat(
        &mut self,
        ctx: &Context<'_>,
        request: &StreamsGroupHeartbeatRequest,
        out: &mut Output,
    ) -> Reply {
        match self.try_streams_heartbeat(ctx, request, out) {
            Ok(heard) => Reply::StreamsGroupHeartbeat {
                response: heard.response,
                missing: heard.missing,
            },
            Err((error, why)) => Reply::StreamsGroupHeartbeat {
                response: StreamsGroupHeartbeatResponse {
                    error_code: error.code(),
                    error_message: Some(why),
                    ..StreamsGroupHeartbeatResponse::default()
                },
                missing: Vec::new(),
            },
        }
    }

    fn try_streams_heartbeat(
        &mut self,
        ctx: &Context<'_>,
        request: &StreamsGroupHeartbeatRequest,
        out: &mut Output,
    ) -> Result<Heard, Refused> {
        streams::validate(request)?;
        if !fits_record(&ctx.client.client_id) {
            return Err((
                ErrorCode::InvalidRequest,
                "the client id is too long".into(),
            ));
        }
        let known = self.kept::<StreamsGroup>(&request.group_id, ctx.now_ms, out);
        match known {
            Some((mut scope, _, group)) if request.member_epoch == LEFT => {
                let response = group.leave(request, &mut scope)?;
                Ok(Heard {
                    response,
                    missing: Vec::new(),
                })
            }
            Some((mut scope, env, group)) => group.heartbeat(ctx, request, &env, &mut scope),
            None if request.member_epoch == 0 => self.found_streams(ctx, request, out),
            None => Err((
                ErrorCode::GroupIdNotFound,
                "there is no such streams group".into(),
            )),
        }
    }

    /// The first member makes the group, if it is not refused. An empty classic group ends for it.
    fn found_streams(
        &mut self,
        ctx: &Context<'_>,
        request: &StreamsGroupHeartbeatRequest,
        out: &mut Output,
    ) -> Result<Heard, Refused> {
        let is_free = match self.groups.get(&request.group_id).map(|group| &group.kind) {
            None | Some(GroupKind::Simple) => true,
            Some(GroupKind::Classic(classic)) => classic.is_empty(),
            Some(_) => false,
        };
        if !is_free {
            let why =
                "the group is of another kind; take another application.id, or delete that group";
            return Err((ErrorCode::GroupIdNotFound, why.into()));
        }
        let mut group = StreamsGroup::new(request.group_id.detached());
        let env = Env {
            image: &self.image,
            settings: self.settings_of(&request.group_id),
        };
        let mut own = Output::default();
        let mut scope = Scope {
            now_ms: ctx.now_ms,
            config: &self.config,
            out: &mut own,
        };
        let heard = group.heartbeat(ctx, request, &env, &mut scope)?;
        let place = self.group_or_new(&request.group_id);
        if let GroupKind::Classic(classic) = &mut place.kind {
            classic.end(out);
            crate::record::group_metadata_tombstone(&place.id, &because(Cause::Rebalance), out);
        }
        place.kind = group.into_kind();
        out.records.append(&mut own.records);
        out.effects.append(&mut own.effects);
        Ok(heard)
    }

    /// Asked of the coordinator, not of the group.
    pub(super) fn describe_streams(&self, group_id: Str) -> Reply {
        let group = self.groups.get(&group_id);
        Reply::StreamsGroupDescribe(match group.and_then(Group::streams) {
            Some(streams) => streams.describe(),
            None => streams::describe_unknown(group_id, group.is_some()),
        })
    }

    /// An empty group of a kind of its own ends where a classic one is to begin. Whether it did.
    pub(super) fn end_empty_streams(&mut self, group_id: &str, out: &mut Output) -> bool {
        let Some(group) = self.groups.get_mut(group_id) else {
            return false;
        };
        match &mut group.kind {
            GroupKind::Streams(streams) if streams.is_empty() => {
                streams.end(&because(Cause::Rebalance), out);
                group.kind = GroupKind::Simple;
                true
            }
            _ => false,
        }
    }
}
