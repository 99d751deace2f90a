//! Expiry: bookmarks that nobody has had a use for in a long time.
//!
//! The clock of a bookmark starts at the last sign that someone cared: its last commit, or the moment when the group
//! lost its last reader, whichever is later. Kafka 4's newer group kinds look at the commit alone, so that a quiet
//! partition's bookmark vanishes at a restart; here no kind does.

use catchword_wire::Str;

use super::{Bookmark, Offsets};
use crate::effect::{Headers, Output};
use crate::record::{offset_tombstone, origin};
use crate::retention::Retention;

/// Whether bookmarks of a group may expire just now, and since when nobody has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// Not while things are as they are: members are between two generations, or we can't know what they read.
    Never,
    /// Since this moment at the latest nobody has read the topics that the group is not subscribed to; `i64::MIN` if
    /// only the commits tell.
    UnreadSince(i64),
}

/// When a bookmark expires if nothing changes; `None`: not as long as things are as they are.
pub(crate) fn expires_at(bookmark: &Bookmark, expiry: Expiry, retention: Retention) -> Option<i64> {
    let (Expiry::UnreadSince(unread_since_ms), Retention::Ms(retention_ms)) = (expiry, retention)
    else {
        return None;
    };
    let base_ms = bookmark.commit_timestamp_ms.max(unread_since_ms);
    let after = base_ms.saturating_add(retention_ms);
    Some(bookmark.expire_timestamp_ms().unwrap_or(after))
}

/// Removes what has expired, but for what somebody reads or a transaction is about to move. Returns whether nothing is left.
pub(crate) fn expire(
    group_id: &Str,
    offsets: &mut Offsets,
    expiry: Expiry,
    is_needed: impl Fn(&str, i32) -> bool,
    (now_ms, retention): (i64, Retention),
    headers: &Headers,
    out: &mut Output,
) -> bool {
    let is_expired = |bookmark: &Bookmark| {
        expires_at(bookmark, expiry, retention).is_some_and(|at_ms| now_ms >= at_ms)
    };
    if !matches!(
        (expiry, retention),
        (Expiry::UnreadSince(_), Retention::Ms(_))
    ) {
        return offsets.is_empty();
    }
    let mut expired: Vec<(Str, i32)> = Vec::new();
    for (topic, bookmarks) in offsets.topics() {
        // Asked for only where something is due: most sweeps find nothing.
        let due = bookmarks
            .iter()
            .filter(|(partition, bookmark)| is_expired(bookmark) && !is_needed(topic, *partition));
        expired.extend(due.map(|(partition, _)| (topic.clone(), *partition)));
    }
    for (topic, partition) in expired {
        let headers = origin::from(headers, offsets.remove(&topic, partition).as_ref());
        offset_tombstone(group_id, &topic, partition, &headers, out);
    }
    offsets.is_empty()
}
