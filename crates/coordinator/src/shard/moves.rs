//! Putting bookmarks where they were: all of a call's or none, and only from where the caller saw them.

use catchword_wire::{ErrorCode, Str};

use super::GroupShard;
use crate::call::{BookmarkMove, Context, MoveOffsets};
use crate::effect::Output;
use crate::group::{Group, fits_record};
use crate::offsets::{Bookmark, find};
use crate::record::headers::{BARRED_UNTIL, OF, by, with};
use crate::record::{offset_commit, offset_tombstone, origin};
use crate::reply::Moved;

impl GroupShard {
    /// Refuses with [`ErrorCode::NonEmptyGroup`] while the group has members, as Kafka refuses a reset: they would go on
    /// from where they are, and commit over it. Unless it is to be done live; then they are sent away before.
    pub(super) fn move_offsets(
        &mut self,
        ctx: &Context<'_>,
        call: MoveOffsets,
        out: &mut Output,
    ) -> Moved {
        let texts = |m: &BookmarkMove| {
            fits_record(&m.topic) && m.then.as_ref().is_none_or(|p| fits_record(&p.metadata))
        };
        if !fits_record(&call.group_id) || !call.moves.iter().all(texts) {
            return Moved::Refused(ErrorCode::InvalidRequest);
        }
        let group = self.groups.get(&call.group_id);
        let is_live = group.is_some_and(|group| !group.is_empty());
        if is_live && (!call.live || group.is_some_and(|group| group.share().is_some())) {
            return Moved::Refused(ErrorCode::NonEmptyGroup);
        }
        let is_at = |m: &BookmarkMove| {
            let bookmarks = group.map_or(&[][..], |group| group.offsets.partitions(&m.topic));
            find(bookmarks, m.partition).map(|bookmark| bookmark.offset)
        };
        let elsewhere: Vec<(Str, i32)> = call
            .moves
            .iter()
            // Members commit while the caller makes its plan.
            .filter(|m| !is_live && is_at(m) != m.expected)
            .map(|m| (m.topic.clone(), m.partition))
            .collect();
        if !elsewhere.is_empty() {
            return Moved::Elsewhere(elsewhere);
        }
        let barred_until_ms = match is_live {
            true => self.reseat(ctx, &call.group_id, out),
            false => None,
        };
        let headers = by(call.cause, ctx.client, &Str::EMPTY);
        let headers = match barred_until_ms {
            Some(until_ms) => with(&headers, BARRED_UNTIL, until_ms.to_string()),
            None => headers,
        };
        let headers = match call.of {
            Some(of) => with(&headers, OF, of),
            None => headers,
        };
        if !self.groups.contains_key(&call.group_id) && call.moves.iter().any(|m| m.then.is_some())
        {
            let group = Group::new(&call.group_id);
            self.groups.insert(group.id.clone(), group);
        }
        let Some(group) = self.groups.get_mut(&call.group_id) else {
            return Moved::Done;
        };
        for m in call.moves {
            let key = (group.id.clone(), m.topic.clone(), m.partition);
            match m.then {
                Some(place) => {
                    // The clock of expiry begins anew: somebody cares.
                    let bookmark = Bookmark::new(
                        place.offset,
                        place.leader_epoch,
                        ctx.now_ms,
                        place.topic_id,
                        place.metadata,
                        None,
                    );
                    let before = find(group.offsets.partitions(&m.topic), m.partition);
                    let headers = origin::from(&headers, before);
                    offset_commit(&group.id, &m.topic, m.partition, &bookmark, &headers, out);
                    group.offsets.put(&m.topic, m.partition, bookmark);
                    self.pending.overtake(&key);
                }
                None => {
                    if let Some(was) = group.offsets.remove(&m.topic, m.partition) {
                        let headers = origin::from(&headers, Some(&was));
                        offset_tombstone(&group.id, &m.topic, m.partition, &headers, out);
                        self.pending.forget(&key);
                    }
                }
            }
        }
        Moved::Done
    }
}
