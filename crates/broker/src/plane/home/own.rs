//! This broker's own groups: asked of their coordinators, and moved by them.

use std::collections::BTreeSet;
use std::sync::Arc;

use catchword_coordinator::ledger::Key;
use catchword_coordinator::{Call as GroupCall, GroupNow, MoveOffsets, Moved, Reply, TagCall};
use catchword_wire::{ErrorCode, Str, Uuid};

use super::super::error::PlaneError;
use super::super::expiry::{self, ExpiryView};
use super::super::now::{GroupList, GroupView, MemberView};
use super::super::{Asker, call, lag, survey, tags};
use crate::broker::Broker;

/// See the module.
#[derive(Clone)]
pub(crate) struct Own {
    pub(super) broker: Arc<Broker>,
}

impl Own {
    /// What the group's coordinator answers; `None` if the broker stops.
    async fn ask(&self, asker: &Asker, request: GroupCall) -> Option<Reply> {
        let call = call(&self.broker, asker);
        self.broker
            .groups
            .call(&call, request)
            .get()
            .await
            .flatten()
    }

    /// Why a group is not found.
    fn unknown(&self, group: &Str) -> PlaneError {
        match self.broker.groups.is_loading() {
            true => PlaneError::loading(),
            false => PlaneError::no_group(group),
        }
    }

    pub(super) async fn groups(&self, asker: &Asker) -> Result<GroupList, PlaneError> {
        let found = survey::all(&self.broker, asker).await;
        let groups = lag::seen(&self.broker, found).await?;
        Ok(GroupList { groups })
    }

    pub(super) async fn those(
        &self,
        asker: &Asker,
        wanted: impl Iterator<Item = &Str> + Clone,
    ) -> Result<Vec<GroupView>, PlaneError> {
        let found = survey::those(&self.broker, asker, wanted).await?;
        lag::seen(&self.broker, found).await
    }

    pub(super) async fn group(&self, asker: &Asker, group: &Str) -> Result<GroupView, PlaneError> {
        let roster = survey::roster(&self.broker, asker, group).await?;
        let roster = roster.ok_or_else(|| self.unknown(group))?;
        let state = roster.state.to_string();
        let members = roster.members.iter().map(MemberView::on_roster).collect();
        let found = survey::one(&self.broker, asker, group).await?;
        let found = found.map(|now| GroupNow {
            roster: Some(roster),
            ..now
        });
        let found = lag::seen(&self.broker, found.into_iter().collect()).await?;
        // It may have gone in between.
        let view = found.into_iter().next();
        let view = view.ok_or_else(|| PlaneError::no_group(group))?;
        Ok(GroupView {
            state,
            members,
            ..view
        })
    }

    pub(super) async fn expiry(
        &self,
        asker: &Asker,
        group: &Str,
    ) -> Result<ExpiryView, PlaneError> {
        let found = survey::one(&self.broker, asker, group).await?;
        let found = found.ok_or_else(|| self.unknown(group))?;
        let bookmarks = found.bookmarks.into_iter();
        let bookmarks = bookmarks.map(|b| (b.topic, b.partition, b.expires_ms));
        Ok(expiry::view(group, found.retention, found.rule, bookmarks))
    }

    pub(super) async fn move_offsets(
        &self,
        asker: &Asker,
        request: MoveOffsets,
    ) -> Result<Moved, PlaneError> {
        match self.ask(asker, GroupCall::MoveOffsets(request)).await {
            Some(Reply::MoveOffsets(moved)) => Ok(moved),
            _ => Err(PlaneError::stopping()),
        }
    }

    pub(super) async fn tag(
        &self,
        asker: &Asker,
        group: &Str,
        name: &Str,
        remove: bool,
    ) -> Result<(), PlaneError> {
        let request = GroupCall::Tag(TagCall {
            group_id: group.clone(),
            name: name.clone(),
            remove,
        });
        match self.ask(asker, request).await {
            Some(Reply::Tag(ErrorCode::None)) => Ok(()),
            Some(Reply::Tag(ErrorCode::GroupIdNotFound)) => Err(tags::no_places(group)),
            Some(Reply::Tag(error)) => Err(PlaneError::refused(error)),
            _ => Err(PlaneError::stopping()),
        }
    }

    /// Its coordinator is here.
    pub(super) fn may_kick(&self) -> Result<(), PlaneError> {
        Ok(())
    }

    /// What it may be is checked where it is set.
    pub(super) fn may_set(&self, _: &str, _: Option<&str>) -> Result<(), PlaneError> {
        Ok(())
    }

    /// The catalog is always as things are.
    pub(super) async fn look_at_topics(&self) {}

    pub(super) fn topic_id(&self, topic: &str) -> Option<Uuid> {
        self.broker.catalog.topic(topic).map(|topic| topic.id)
    }

    pub(super) fn has_partition(&self, topic: &str, partition: i32) -> bool {
        let known = self.broker.catalog.topic(topic);
        known.is_some_and(|topic| topic.partition(partition).is_some())
    }

    /// Each partition's lag tells how old its oldest record is.
    pub(super) async fn waits_longer(
        &self,
        _: &Str,
        _: i64,
        _: i64,
    ) -> Result<BTreeSet<Key>, PlaneError> {
        Ok(BTreeSet::new())
    }
}
