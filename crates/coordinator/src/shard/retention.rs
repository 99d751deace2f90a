//! How long the offsets of this shard's groups are kept.

use std::sync::Arc;

use catchword_wire::Str;

use super::GroupShard;
use crate::group::Group;
use crate::offsets::{Bookmark, expires_at};
use crate::retention::{Retention, RetentionRules};

/// A group of which something expires soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiring {
    /// The group.
    pub group_id: Str,
    /// When the first of it expires, ms since 1970.
    pub first_ms: i64,
    /// How many of its offsets expire soon.
    pub offsets: usize,
}

impl GroupShard {
    /// Takes rules for how long offsets are kept; they hold from the next step on.
    pub fn set_retention_rules(&mut self, rules: Arc<RetentionRules>) {
        self.retention = rules;
    }

    /// The groups of which something expires within `lead_ms` of now if nobody reads it. Of a group whose offsets are kept
    /// for less than twice that, within half of their time: it would be told of forever else.
    pub fn expiring(&self, now_ms: i64, lead_ms: i64) -> Vec<Expiring> {
        let mut all = Vec::new();
        for (group_id, group) in &self.groups {
            let (retention, _) = self
                .retention
                .of(group_id, self.config.offsets_retention_ms);
            let Retention::Ms(retention_ms) = retention else {
                continue;
            };
            let until_ms = now_ms.saturating_add(lead_ms.min(retention_ms / 2));
            let due = self.expiries(group, retention);
            let due = due.filter_map(|(.., at_ms)| at_ms.filter(|at_ms| *at_ms <= until_ms));
            let (mut first_ms, mut offsets) = (i64::MAX, 0);
            for at_ms in due {
                first_ms = first_ms.min(at_ms);
                offsets += 1;
            }
            if offsets > 0 {
                all.push(Expiring {
                    group_id: group_id.clone(),
                    first_ms,
                    offsets,
                });
            }
        }
        all
    }

    /// The bookmarks of a group, and when each expires if nothing changes; `None`: not while things are as they are.
    pub(super) fn expiries<'a>(
        &'a self,
        group: &'a Group,
        retention: Retention,
    ) -> impl Iterator<Item = (&'a Str, i32, &'a Bookmark, Option<i64>)> {
        let (expiry, pins) = (group.expiry(), self.retention.pins.get(&group.id));
        group.offsets.topics().flat_map(move |(topic, bookmarks)| {
            let is_read = group.kind.is_subscribed_to(topic);
            bookmarks.iter().map(move |(partition, bookmark)| {
                let is_pinned = pins.is_some_and(|pins| pins.has(topic, *partition));
                let at_ms = expires_at(bookmark, expiry, retention);
                let at_ms = at_ms.filter(|_| !is_read && !is_pinned);
                (topic, *partition, bookmark, at_ms)
            })
        })
    }
}
