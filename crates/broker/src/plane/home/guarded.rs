//! The groups of a guarded Kafka: asked of it, and moved there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catchword_coordinator::ledger::{Key, Limits};
use catchword_coordinator::{BookmarkMove, MoveOffsets, Moved, Retention, RetentionRule};
use catchword_wire::{Str, Uuid};

use super::super::error::PlaneError;
use super::super::expiry::{self, ExpiryView};
use super::super::now::{GroupList, GroupView, KeptView};
use super::super::{Asker, ledger, shard_of, tags};
use crate::broker::Broker;
use crate::guardian::{Guardian, Terms, settings, stays};
use crate::outcome;

/// See the module.
#[derive(Clone)]
pub(crate) struct Guarded {
    pub(super) broker: Arc<Broker>,
    pub(super) guardian: Arc<Guardian>,
}

impl Guarded {
    /// Has the guardian do what blocks.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Guardian) -> Result<T, PlaneError> + Send + 'static,
    ) -> Result<T, PlaneError> {
        let guardian = self.guardian.clone();
        let done = outcome::blocking(move || work(&guardian)).await;
        done.ok_or_else(PlaneError::stopping)?
    }

    pub(super) async fn groups(&self, _: &Asker) -> Result<GroupList, PlaneError> {
        let terms = Terms::of(&self.broker);
        let asked = self.ask(move |guardian| guardian.groups(&terms));
        let GroupList { groups } = asked.await?;
        let groups = groups.into_iter().map(|group| self.with_pins(group));
        Ok(GroupList {
            groups: groups.collect(),
        })
    }

    pub(super) async fn those(
        &self,
        asker: &Asker,
        wanted: impl Iterator<Item = &Str>,
    ) -> Result<Vec<GroupView>, PlaneError> {
        let wanted: BTreeSet<&str> = wanted.map(Str::as_str).collect();
        let mut all = self.groups(asker).await?.groups;
        all.retain(|group| wanted.contains(group.group.as_str()));
        Ok(all)
    }

    pub(super) async fn group(&self, _: &Asker, group: &Str) -> Result<GroupView, PlaneError> {
        let (group, terms) = (group.clone(), Terms::of(&self.broker));
        let asked = self.ask(move |guardian| guardian.group(&group, &terms));
        Ok(self.with_pins(asked.await?))
    }

    /// What is pinned of that Kafka's groups is known here alone.
    fn with_pins(&self, group: GroupView) -> GroupView {
        let expires_soon = group.kept.expires_soon;
        let kept = expiry::kept(&self.broker, &group.group, group.kept.expires_at_ms);
        group.kept(KeptView {
            expires_soon,
            ..kept
        })
    }

    pub(super) async fn expiry(&self, _: &Asker, group: &Str) -> Result<ExpiryView, PlaneError> {
        let rules = self.broker.catalog.retention_rules();
        if let (Retention::Forever, rule) = rules.of(group, 1) {
            // As far as the guardian is let see to it.
            let bookmarks = self.guardian.bookmarks_of(group).into_iter();
            let bookmarks = bookmarks.map(|(topic, partition)| (topic, partition, None));
            return Ok(expiry::view(group, Retention::Forever, rule, bookmarks));
        }
        let (asked, terms) = (group.clone(), Terms::of(&self.broker));
        let asked = self.ask(move |guardian| guardian.expiry(&asked, &terms));
        let (retention_ms, expiries) = asked.await?;
        let bookmarks = expiries.into_iter();
        let bookmarks = bookmarks.map(|((topic, partition), at_ms)| (topic, partition, at_ms));
        let (retention, rule) = (Retention::Ms(retention_ms), RetentionRule::Default);
        Ok(expiry::view(group, retention, rule, bookmarks))
    }

    pub(super) async fn move_offsets(
        &self,
        asker: &Asker,
        request: MoveOffsets,
    ) -> Result<Moved, PlaneError> {
        if request.live {
            return Err(PlaneError::members_are_elsewhere());
        }
        let rules = self.broker.catalog.retention_rules();
        let stays = |m: &BookmarkMove| {
            m.then.is_none() && stays(&rules, &request.group_id, &m.topic, m.partition)
        };
        if request.moves.iter().any(stays) {
            return Err(PlaneError::is_to_stay(&request.group_id));
        }
        let asker = asker.clone();
        self.ask(move |guardian| guardian.move_offsets(&asker, &request))
            .await
    }

    pub(super) async fn tag(
        &self,
        asker: &Asker,
        group: &Str,
        name: &Str,
        remove: bool,
    ) -> Result<(), PlaneError> {
        let shard = shard_of(&self.broker, group)?;
        let places = match remove {
            true => None,
            false => Some(ledger(&self.broker, group, Limits::default()).await?.places),
        };
        if places.as_ref().is_some_and(BTreeMap::is_empty) {
            return Err(tags::no_places(group));
        }
        let places = places.map(|places| places.into_iter().collect::<Vec<_>>());
        let (asker, group, name) = (asker.clone(), group.clone(), name.clone());
        self.ask(move |guardian| guardian.tag(&shard, &asker, (&group, &name), places.as_deref()))
            .await
    }

    pub(super) fn may_kick(&self) -> Result<(), PlaneError> {
        Err(PlaneError::new(
            409,
            "guarded",
            "the guarded Kafka's members are its own; nothing was changed",
            "stop the consumer itself, or have Kafka's own admin client remove the member (removeMembersFromConsumerGroup)",
        ))
    }

    pub(super) fn may_set(&self, key: &str, value: Option<&str>) -> Result<(), PlaneError> {
        settings::check(key, value)
    }

    pub(super) async fn look_at_topics(&self) {
        let guardian = self.guardian.clone();
        let _ = outcome::blocking(move || guardian.look_at_topics()).await;
    }

    pub(super) fn topic_id(&self, topic: &str) -> Option<Uuid> {
        self.guardian.topics().id(topic)
    }

    pub(super) fn has_partition(&self, topic: &str, partition: i32) -> bool {
        self.guardian.topics().has(topic, partition)
    }

    pub(super) async fn waits_longer(
        &self,
        group: &Str,
        age_ms: i64,
        now_ms: i64,
    ) -> Result<BTreeSet<Key>, PlaneError> {
        let group = group.clone();
        self.ask(move |guardian| guardian.waits_longer(&group, age_ms, now_ms))
            .await
    }
}
