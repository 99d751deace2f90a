//! How long the offsets of this shard's groups are kept.

use std::sync::Arc;

use catchword_wire::Str;

use super::GroupShard;
use crate::effect::GroupExpiry;
use crate::offsets::expires_at;
use crate::retention::RetentionRules;

impl GroupShard {
    /// Takes rules for how long offsets are kept; they hold from the next step on.
    pub fn set_retention_rules(&mut self, rules: Arc<RetentionRules>) {
        self.retention = rules;
    }

    pub(super) fn describe_expiry(&self, group_id: &Str) -> Option<GroupExpiry> {
        let group = self.groups.get(group_id)?;
        let default_ms = self.config.offsets_retention_ms;
        let (retention, rule) = self.retention.of(group_id, default_ms);
        let expiry = group.expiry();
        let mut offsets = Vec::new();
        for (topic, bookmarks) in group.offsets.topics() {
            let is_read = group.kind.is_subscribed_to(topic);
            offsets.extend(bookmarks.iter().map(|(partition, bookmark)| {
                let at_ms = expires_at(bookmark, expiry, retention).filter(|_| !is_read);
                (topic.clone(), *partition, at_ms)
            }));
        }
        Some(GroupExpiry {
            retention,
            rule,
            offsets,
        })
    }
}
