//! Calls about the membership of share groups.

use catchword_wire::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};
use catchword_wire::{ErrorCode, Str};

use super::GroupShard;
use crate::call::{Absent, Context};
use crate::effect::Output;
use crate::group::share::{self, LEFT, ShareGroup};
use crate::group::{Group, GroupKind, Refused, fits_record};
use crate::reply::Reply;

impl GroupShard {
    pub(super) fn share_heartbeat(
        &mut self,
        ctx: &Context<'_>,
        request: &ShareGroupHeartbeatRequest,
        out: &mut Output,
    ) -> Reply {
        let outcome = self.try_share_heartbeat(ctx, request, out);
        Reply::ShareGroupHeartbeat(outcome.unwrap_or_else(|(error, why)| {
            ShareGroupHeartbeatResponse {
                error_code: error.code(),
                error_message: Some(why.into()),
                ..ShareGroupHeartbeatResponse::default()
            }
        }))
    }

    fn try_share_heartbeat(
        &mut self,
        ctx: &Context<'_>,
        request: &ShareGroupHeartbeatRequest,
        out: &mut Output,
    ) -> Result<ShareGroupHeartbeatResponse, Refused> {
        share::validate(request)?;
        if !fits_record(&ctx.client.client_id) {
            return Err((ErrorCode::InvalidRequest, "the client id is too long"));
        }
        if request.member_epoch == 0 && !self.groups.contains_key(&request.group_id) {
            self.new_share(&request.group_id);
        }
        let Some((mut scope, env, group)) =
            self.kept::<ShareGroup>(&request.group_id, ctx.now_ms, out)
        else {
            return Err((ErrorCode::GroupIdNotFound, "there is no such share group"));
        };
        match request.member_epoch {
            LEFT => group.leave(&request.member_id, &env, &mut scope),
            _ => group.heartbeat(ctx, request, &env, &mut scope),
        }
    }

    /// Takes a member of a share group out, if it is one.
    pub(super) fn fence_share(
        &mut self,
        group_id: &str,
        member_id: &str,
        now_ms: i64,
        out: &mut Output,
    ) {
        if let Some((mut scope, env, group)) = self.kept::<ShareGroup>(group_id, now_ms, out) {
            group.remove(member_id, &env, &mut scope);
        }
    }

    /// Whether this share group has no members.
    pub(super) fn empty_share(
        &mut self,
        group_id: &Str,
        absent: Absent,
        out: &mut Output,
    ) -> ErrorCode {
        if group_id.is_empty() || !fits_record(group_id) {
            return ErrorCode::InvalidGroupId;
        }
        match (self.groups.get(group_id).map(Group::share), absent) {
            (Some(Some(group)), _) if group.is_empty() => ErrorCode::None,
            (Some(Some(_)), _) => ErrorCode::NonEmptyGroup,
            (Some(None), _) | (None, Absent::Refused) => ErrorCode::GroupIdNotFound,
            (None, Absent::Allowed) => ErrorCode::None,
            (None, Absent::Made) => {
                ShareGroup::new(group_id.clone()).begin(out);
                self.new_share(group_id);
                ErrorCode::None
            }
        }
    }

    /// Makes a group of this id, of which there must be none.
    fn new_share(&mut self, group_id: &Str) {
        let mut group = Group::new(group_id);
        group.kind = GroupKind::Share(Box::new(ShareGroup::new(group.id.clone())));
        self.groups.insert(group.id.clone(), group);
    }

    /// Asked of the coordinator, not of the group.
    pub(super) fn describe_share(&self, group_id: Str) -> Reply {
        let group = self.groups.get(&group_id).and_then(Group::share);
        Reply::ShareGroupDescribe(match group {
            Some(group) => group.describe(&self.image),
            None => share::describe_unknown(group_id),
        })
    }
}
