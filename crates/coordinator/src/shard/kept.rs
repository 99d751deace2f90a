//! What the shard does alike with all groups that are kept in records of their own.

use catchword_wire::Str;

use super::GroupShard;
use crate::effect::Output;
use crate::group::{Env, Group, Kept, Scope};

impl GroupShard {
    /// The group of this id, if it is of this kind, and what it needs.
    pub(super) fn kept<'a, K: Kept>(
        &'a mut self,
        group_id: &str,
        now_ms: i64,
        out: &'a mut Output,
    ) -> Option<(Scope<'a>, Env<'a>, &'a mut K)> {
        let settings = self.settings_of(group_id);
        let group = self.groups.get_mut(group_id)?;
        let scope = Scope {
            now_ms,
            config: &self.config,
            out,
        };
        let env = Env {
            image: &self.image,
            settings,
        };
        Some((scope, env, K::of_mut(&mut group.kind)?))
    }

    /// Applies a record of such a group, on load.
    pub(super) fn replay_kept<K: Kept>(&mut self, group_id: &Str, change: K::Change) {
        let known = self.groups.get(group_id);
        let exists = known.is_some_and(|group| K::of(&group.kind).is_some());
        if K::is_tombstone(&change) && !exists {
            return;
        }
        let group = self.group_or_new(group_id);
        if !exists {
            group.kind = K::new(group.id.clone()).into_kind();
        }
        if let Some(kept) = K::of_mut(&mut group.kind)
            && !kept.replay(change)
        {
            self.unmake(group_id);
        }
    }

    /// The members of all such groups are given their time, from now.
    pub(super) fn kept_loaded<K: Kept>(&mut self, now_ms: i64, out: &mut Output) {
        let is_kept = |group: &&Group| K::of(&group.kind).is_some();
        let ids = self.groups.values().filter(is_kept);
        for id in ids.map(|group| group.id.clone()).collect::<Vec<_>>() {
            if let Some((mut scope, env, group)) = self.kept::<K>(&id, now_ms, out) {
                group.loaded(&env, &mut scope);
            }
        }
    }
}
