//! Tags: a group's bookmarks at a moment, kept under a name.
//!
//! The shard only writes them, of what it holds at that very moment. Whoever asks for one reads the log (see
//! `crate::ledger::Tags`), so they cost no memory here and are there whether the group is or not.

use catchword_wire::ErrorCode;

use super::GroupShard;
use crate::effect::{Context, Output, TagCall};
use crate::ledger::{Place, tag_record};
use crate::offsets::Bookmark;
use crate::record::tag::Tagged;

impl GroupShard {
    /// Writes the tag, or its tombstone. Refuses a group without bookmarks ([`ErrorCode::GroupIdNotFound`]), and one of
    /// which a record would be too large ([`ErrorCode::RecordListTooLarge`]).
    pub(super) fn tag(&mut self, ctx: &Context<'_>, call: &TagCall, out: &mut Output) -> ErrorCode {
        let places = if call.remove {
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
            Some(places)
        };
        match tag_record(&call.group_id, &call.name, places.as_deref(), ctx.client) {
            Ok(record) => {
                out.records.push(record);
                ErrorCode::None
            }
            Err(error) => error,
        }
    }
}
