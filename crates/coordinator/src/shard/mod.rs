//! The groups of one partition of `__consumer_offsets`, and what may be done to them.
//!
//! A step decides and applies at once. Offsets change here and in `replay` by the same functions; a classic group's
//! record is a snapshot of the group that has changed already.

mod consumers;
mod kept;
mod log;
mod members;
mod moves;
mod offsets;
mod protection;
mod reseat;
mod retention;
mod shares;
mod streams;
mod survey;
mod tags;
mod transactions;

use std::collections::BTreeMap;
use std::sync::Arc;

use catchword_wire::messages::delete_groups_response::DeletableGroupResult;
use catchword_wire::{ErrorCode, Str};

use crate::call::{Call, Context, ReplyTo};
use crate::config::{GroupConfig, GroupSettings, Protection};
use crate::effect::{Effect, Output};
use crate::group::{Group, GroupKind, Scope, describe_unknown, passes};
use crate::ids::IdSource;
use crate::metadata::MetadataImage;
use crate::notice::Leaving;
use crate::offsets::pending::Pending;
use crate::offsets::{fetch, hide_unstable};
use crate::reply::Reply;
use crate::retention::RetentionRules;
use crate::timer::TimerKey;
pub use retention::Expiring;
pub use survey::{BookmarkNow, GroupNow, Survey, SurveyCall};
pub(crate) use transactions::refused_txn_commit;

/// The state of one partition of `__consumer_offsets`.
#[derive(Debug)]
pub struct GroupShard {
    config: GroupConfig,
    ids: IdSource,
    groups: BTreeMap<Str, Group>,
    /// Offsets of transactions that have not ended.
    pending: Pending,
    /// The topics, as the driver last told.
    image: Arc<MetadataImage>,
    /// What is set on single groups.
    settings: BTreeMap<Str, GroupSettings>,
    /// How long offsets are kept, where it is not as everywhere.
    retention: Arc<RetentionRules>,
    /// Groups that outsiders may not move as they like.
    protected: BTreeMap<Str, Protection>,
    /// Groups whose members were sent away to rejoin, and until when that may take or has taken, ms. In the log it stands on
    /// the records of the move that they were sent away for.
    reseated: BTreeMap<Str, i64>,
}

impl GroupShard {
    /// A shard without groups. `seed` makes the member ids; it must differ from run to run of a broker.
    pub fn new(config: GroupConfig, seed: u128) -> GroupShard {
        GroupShard {
            config,
            ids: IdSource::new(seed),
            groups: BTreeMap::new(),
            pending: Pending::default(),
            image: Arc::default(),
            settings: BTreeMap::new(),
            retention: Arc::default(),
            protected: BTreeMap::new(),
            reseated: BTreeMap::new(),
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
        let before = out.effects.len();
        self.decide(ctx, to, call, out);
        self.tell_bookmarks(&mut out.effects[before..]);
    }

    fn decide(&mut self, ctx: &Context<'_>, to: ReplyTo, call: Call, out: &mut Output) {
        if let Some(error) = self.protects_from(&call) {
            return out.reply(to, call.refuse(error));
        }
        if self.is_reseating(ctx.now_ms, &call) {
            return out.reply(to, call.refuse(ErrorCode::RebalanceInProgress));
        }
        let reply = match call {
            Call::JoinGroup(request) => return self.join_group(ctx, to, &request, out),
            Call::SyncGroup(request) => return self.sync_group(ctx, to, &request, out),
            Call::Heartbeat(request) => Reply::Heartbeat(self.heartbeat(ctx, &request, out)),
            Call::LeaveGroup(request) => Reply::LeaveGroup(self.leave_group(ctx, request, out)),
            Call::OffsetCommit(request) => {
                Reply::OffsetCommit(self.commit_offsets(ctx, request, out))
            }
            Call::ConsumerGroupHeartbeat(request) => self.consumer_heartbeat(ctx, request, out),
            Call::ConsumerGroupDescribe(group_id) => self.describe_consumer(group_id),
            Call::ShareGroupHeartbeat(request) => self.share_heartbeat(ctx, &request, out),
            Call::ShareGroupDescribe(group_id) => self.describe_share(group_id),
            Call::EmptyShareGroup { group_id, absent } => {
                Reply::EmptyShareGroup(self.empty_share(&group_id, absent, out))
            }
            Call::StreamsGroupHeartbeat(request) => self.streams_heartbeat(ctx, &request, out),
            Call::StreamsGroupDescribe(group_id) => self.describe_streams(group_id),
            Call::OffsetFetch(call) => match self.refuse_fetch(&call) {
                Some(refused) => refused,
                None => {
                    let group = self.groups.get(&call.group.group_id);
                    let mut found = fetch(group.map(|g| &g.offsets), call.group);
                    if call.require_stable {
                        hide_unstable(&mut found, &self.pending);
                    }
                    Reply::OffsetFetch(found)
                }
            },
            Call::OffsetDelete(request) => {
                Reply::OffsetDelete(self.delete_offsets(ctx, request, out))
            }
            Call::TxnOffsetCommit(call) => {
                Reply::TxnOffsetCommit(self.commit_in_transaction(ctx, call, out))
            }
            Call::EndTransaction(marker) => {
                self.end_transaction(marker, out);
                Reply::EndTransaction(ErrorCode::None)
            }
            Call::DescribeGroup(group_id) => {
                Reply::DescribeGroup(match self.groups.get(&group_id) {
                    Some(group) => group.describe(ctx.api_version),
                    None => describe_unknown(group_id, ctx.api_version),
                })
            }
            Call::Roster(group_id) => {
                let group = self.groups.get(&group_id);
                Reply::Roster(group.map(|group| Box::new(group.roster(&self.image))))
            }
            Call::Survey(call) => Reply::Survey(self.survey(&call)),
            Call::ListGroups { states, types } => Reply::ListGroups(
                self.groups
                    .values()
                    .map(|group| group.list())
                    .filter(|group| passes(group, &states, &types))
                    .collect(),
            ),
            Call::Kick { group_id, member } => Reply::Kick(self.kick(ctx, &group_id, &member, out)),
            Call::Tag(call) => Reply::Tag(self.tag(ctx, &call, out)),
            Call::MoveOffsets(call) => Reply::MoveOffsets(self.move_offsets(ctx, call, out)),
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

    /// A timer that was asked for fired, on time or late.
    pub fn timer(&mut self, now_ms: i64, key: &TimerKey, out: &mut Output) {
        let before = out.effects.len();
        self.time_over(now_ms, key, out);
        self.tell_bookmarks(&mut out.effects[before..]);
    }

    fn time_over(&mut self, now_ms: i64, key: &TimerKey, out: &mut Output) {
        let Some(group) = self.groups.get_mut(&key.group_id) else {
            return;
        };
        let mut scope = Scope {
            now_ms,
            config: &self.config,
            out,
        };
        let Some(member_id) = group.timer(&key.kind, &mut scope) else {
            return;
        };
        match &mut group.kind {
            GroupKind::Streams(streams) => streams.remove(&member_id, &mut scope),
            GroupKind::Share(_) => self.fence_share(&key.group_id, &member_id, now_ms, out),
            _ => {
                let (id, how) = (std::slice::from_ref(&member_id), Leaving::TimedOut);
                self.depart(&key.group_id, id, how, now_ms, out);
            }
        }
    }

    /// Adds to notices of members that are gone where the bookmarks are that they leave behind.
    fn tell_bookmarks(&self, effects: &mut [Effect]) {
        for effect in effects {
            if let Effect::Notice(notice) = effect
                && let Some(group) = self.groups.get(&notice.group_id)
            {
                group.tell_bookmarks(&self.image, notice);
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

    /// How many groups there are, and how many offsets in them.
    pub fn counts(&self) -> (usize, usize) {
        (
            self.groups.len(),
            self.groups.values().map(|group| group.offsets.len()).sum(),
        )
    }
}
