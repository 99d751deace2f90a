//! Tags: a group's bookmarks at a moment, kept under a name.
//!
//! The shard only writes them, of what it holds at that very moment. Whoever asks for one reads the log (see
//! `crate::ledger::Tags`), so they cost no memory here and are there whether the group is or not.

use catchword_wire::{ErrorCode, Str};

use super::GroupShard;
use crate::effect::{Context, CoordinatorRecord, Output, TagCall};
use crate::ledger::Place;
use crate::offsets::Bookmark;
use crate::record::headers::{Cause, by};
use crate::record::tag::{self, MAX_BYTES, Tagged};

impl GroupShard {
    /// Writes the tag, or its tombstone. Refuses a group without bookmarks ([`ErrorCode::GroupIdNotFound`]), and one of
    /// which a record would be too large ([`ErrorCode::RecordListTooLarge`]).
    pub(super) fn tag(&mut self, ctx: &Context<'_>, call: &TagCall, out: &mut Output) -> ErrorCode {
        let Ok(key) = tag::encode_key(&call.group_id, &call.name) else {
            return ErrorCode::InvalidRequest;
        };
        let value = if call.remove {
            None
        } else {
            let group = self.groups.get(&call.group_id);
            let Some(group) = group.filter(|group| !group.offsets.is_empty()) else {
                return ErrorCode::GroupIdNotFound;
            };
            let topics = group.offsets.topics();
            let places: Vec<Tagged> = topics
                .flat_map(|(topic, bookmarks)| {
                    let tagged = |(partition, bookmark): &(i32, Bookmark)| {
                        ((topic.clone(), *partition), Place::of(bookmark))
                    };
                    bookmarks.iter().map(tagged).collect::<Vec<_>>()
                })
                .collect();
            match tag::encode(&places) {
                Ok(value) if value.len() <= MAX_BYTES => Some(value),
                _ => return ErrorCode::RecordListTooLarge,
            }
        };
        out.records.push(CoordinatorRecord {
            key,
            value,
            headers: by(Cause::Tag, ctx.client, &Str::EMPTY),
        });
        ErrorCode::None
    }
}
