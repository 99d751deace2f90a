//! Calls about the membership of share groups.

use catchword_wire::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};
use catchword_wire::{ErrorCode, Str};

use super::GroupShard;
use crate::effect::{Context, Output, Reply};
use crate::group::consumer::{Env, Refused};
use crate::group::share::{self, LEFT, ShareGroup};
use crate::group::{Group, GroupKind, Scope, fits_record};
use crate::record::share::ShareGroupRecord;

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
            let mut group = Group::new(&request.group_id);
            group.kind = GroupKind::Share(Box::new(ShareGroup::new(group.id.clone())));
            self.groups.insert(group.id.clone(), group);
        }
        let mut own = Output::default();
        let answer = self.with_share(
            &request.group_id,
            ctx.now_ms,
            &mut own,
            |group, env, scope| match request.member_epoch {
                LEFT => group.leave(&request.member_id, env, scope),
                _ => group.heartbeat(ctx, request, env, scope),
            },
        );
        out.records.append(&mut own.records);
        out.effects.append(&mut own.effects);
        answer.unwrap_or(Err((
            ErrorCode::GroupIdNotFound,
            "there is no such share group",
        )))
    }

    /// Does something with the share group of this id; `None` if there is none.
    fn with_share<T>(
        &mut self,
        group_id: &str,
        now_ms: i64,
        out: &mut Output,
        f: impl FnOnce(&mut ShareGroup, &Env<'_>, &mut Scope<'_>) -> T,
    ) -> Option<T> {
        let settings = self.settings_of(group_id);
        let env = Env {
            image: &self.image,
            settings,
        };
        let group = self.groups.get_mut(group_id)?;
        let GroupKind::Share(share) = &mut group.kind else {
            return None;
        };
        let mut scope = Scope {
            now_ms,
            config: &self.config,
            out,
        };
        Some(f(share, &env, &mut scope))
    }

    /// Takes a member of a share group out, if it is one.
    pub(super) fn fence_share(
        &mut self,
        group_id: &str,
        member_id: &str,
        now_ms: i64,
        out: &mut Output,
    ) {
        self.with_share(group_id, now_ms, out, |group, env, scope| {
            group.remove(member_id, env, scope);
        });
    }

    /// Asked of the coordinator, not of the group.
    pub(super) fn describe_share(&self, group_id: Str) -> Reply {
        let group = self.groups.get(&group_id).and_then(Group::share);
        Reply::ShareGroupDescribe(match group {
            Some(group) => group.describe(&self.image),
            None => share::describe_unknown(group_id),
        })
    }

    /// The members of all share groups are given their time, from now.
    pub(super) fn shares_loaded(&mut self, now_ms: i64, out: &mut Output) {
        let is_share = |group: &&Group| group.share().is_some();
        let ids = self.groups.values().filter(is_share);
        for id in ids.map(|group| group.id.clone()).collect::<Vec<_>>() {
            self.with_share(&id, now_ms, out, |group, env, scope| {
                group.loaded(env, scope)
            });
        }
    }

    pub(super) fn replay_share(&mut self, ShareGroupRecord { group_id, change }: ShareGroupRecord) {
        let group = self.groups.get(&group_id);
        let exists = group.is_some_and(|group| group.share().is_some());
        if change.is_tombstone() && !exists {
            return;
        }
        let group = self.group_or_new(&group_id);
        if !exists {
            group.kind = GroupKind::Share(Box::new(ShareGroup::new(group.id.clone())));
        }
        if let GroupKind::Share(share) = &mut group.kind
            && !share.replay(change)
        {
            self.unmake(&group_id);
        }
    }
}
