//! Tags: a group's bookmarks at a moment, kept under a name.
//!
//! The shard only writes them, of what it holds at that very moment. Whoever asks for one reads the log (see
//! `crate::ledger::Tags`), so they cost no memory here and are there whether the group is or not.

use catchword_wire::ErrorCode;

use super::GroupShard;
use crate::call::{Context, TagCall};
use crate::effect::Output;
use crate::ledger::{Key, Place, tag_record};
use crate::offsets::Bookmark;

impl GroupShard {
    /// Writes the tag, or its tombstone. Refuses a group without bookmarks ([`ErrorCode::GroupIdNotFound`]), and one of
    /// which a record would be too large ([`ErrorCode::RecordListTooLarge`]).
    pub(super) fn tag(&mut self, ctx: &Context<'_>, call: &TagCall, out: &mut Output) -> ErrorCode {
        let places = (!call.remove).then(|| self.places(&call.group_id));
        if places.as_ref().is_some_and(Vec::is_empty) {
            return ErrorCode::GroupIdNotFound;
        }
        match tag_record(&call.group_id, &call.name, places.as_deref(), ctx.client) {
            Ok(record) => {
                out.records.push(record.as_ref());
                ErrorCode::None
            }
            Err(error) => error,
        }
    }
    /// Where a group's bookmarks are; nothing if there is no such group.
    pub fn places(&self, group_id: &str) -> Vec<(Key, Place)> {
        let groups = self.groups.get(group_id).into_iter();
        let topics = groups.flat_map(|group| group.offsets.topics());
        let places = topics.flat_map(|(topic, bookmarks)| {
            let place = |(partition, bookmark): &(i32, Bookmark)| {
                ((topic.clone(), *partition), Place::of(bookmark))
            };
            bookmarks.iter().map(place).collect::<Vec<_>>()
        });
        places.collect()
    }
}
