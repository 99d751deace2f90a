//! The tags of one group, read back from the records of `__consumer_offsets` as the [`Ledger`](super::Ledger) is.

use std::collections::BTreeMap;

use catchword_wire::batch::Record;
use catchword_wire::{ErrorCode, Str};

use super::{Key, Place, Who, who};
use crate::call::Client;
use crate::record::headers::{Cause, by};
use crate::record::tag;
use crate::records::CoordinatorRecord;

/// A group's bookmarks under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// When it was made, ms since 1970.
    pub at_ms: i64,
    /// Who made it.
    pub who: Who,
    /// How many bookmarks it holds.
    pub count: usize,
    /// The bookmarks, if this tag was asked for by name; empty otherwise.
    pub places: BTreeMap<Key, Place>,
}

/// Gathers a group's tags while the records of its log come by.
#[derive(Debug)]
pub struct Tags {
    group_id: Str,
    whole: Option<Str>,
    found: BTreeMap<Str, Tag>,
}

impl Tags {
    /// All tags of a group; of the one named `whole` the bookmarks as well.
    pub fn new(group_id: Str, whole: Option<Str>) -> Tags {
        Tags {
            group_id,
            whole,
            found: BTreeMap::new(),
        }
    }

    /// Takes the next record of the log, of whatever group. What is damaged or of a later version is passed over.
    pub fn note(&mut self, record: &Record) {
        let key = record.key.as_deref().and_then(tag::decode_key);
        let Some(key) = key.filter(|key| key.group_id == self.group_id) else {
            return;
        };
        let Some(value) = record.value.as_deref() else {
            self.found.remove(&key.name);
            return;
        };
        let is_whole = self.whole.as_ref() == Some(&key.name);
        let places = match is_whole {
            true => match tag::decode(value) {
                Ok(Some(places)) => places.into_iter().collect(),
                Ok(None) | Err(_) => return,
            },
            false => BTreeMap::new(),
        };
        let tag = Tag {
            at_ms: record.timestamp,
            who: who(record),
            count: tag::count(value).unwrap_or(0),
            places,
        };
        self.found.insert(key.name.detached(), tag);
    }

    /// The tags by name, once the log has been read to its end.
    pub fn finish(self) -> BTreeMap<Str, Tag> {
        self.found
    }
}

/// The record of a tag, or with `places` left out of its removal.
///
/// # Errors
/// [`ErrorCode::InvalidRequest`] if a name is too long for a record, [`ErrorCode::RecordListTooLarge`] if the places are too
/// many for one.
pub fn tag_record(
    group_id: &str,
    name: &str,
    places: Option<&[(Key, Place)]>,
    client: &Client,
) -> Result<CoordinatorRecord, ErrorCode> {
    let key = tag::encode_key(group_id, name).map_err(|_| ErrorCode::InvalidRequest)?;
    let value = match places.map(tag::encode) {
        None => None,
        Some(Ok(value)) if value.len() <= tag::MAX_BYTES => Some(value),
        Some(_) => return Err(ErrorCode::RecordListTooLarge),
    };
    Ok(CoordinatorRecord {
        key,
        value,
        headers: by(Cause::Tag, client, &Str::EMPTY),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{BOOK, OTHER_EDITION, World};
    use super::super::{Obstacle, plan_set};
    use super::*;
    use crate::{Call, Reply, TagCall};

    fn tag(w: &mut World, group: &str, name: &str, remove: bool) -> ErrorCode {
        let call = TagCall {
            group_id: Str::copy(group),
            name: Str::copy(name),
            remove,
        };
        match w.call("admin", Call::Tag(call)) {
            Reply::Tag(error) => error,
            other => panic!("{other:?}"),
        }
    }

    fn tags(w: &World, group: &str, whole: &str) -> BTreeMap<Str, Tag> {
        let mut tags = Tags::new(Str::copy(group), Some(Str::copy(whole)));
        for (_, record) in &w.log {
            tags.note(record);
        }
        tags.finish()
    }

    fn offsets(tag: &Tag) -> Vec<(i32, i64)> {
        let places = tag.places.iter();
        places.map(|((_, p), place)| (*p, place.offset)).collect()
    }

    #[test]
    fn a_tag_holds_the_places_of_its_moment_whatever_becomes_of_the_group() {
        let mut w = World::new();
        w.commit("reader", "g", &[(0, 5), (1, 7)]);
        w.commit("reader", "other", &[(0, 1)]);
        assert_eq!(tag(&mut w, "g", "before-deploy", false), ErrorCode::None);
        let at_ms = w.now_ms;
        w.commit("reader", "g", &[(0, 9), (1, 9)]);
        w.delete("g");
        let found = tags(&w, "g", "before-deploy");
        let tag = &found["before-deploy"];
        assert_eq!((tag.at_ms, tag.count), (at_ms, 2));
        assert_eq!(&*tag.who.client, "admin");
        assert_eq!(offsets(tag), [(0, 5), (1, 7)]);
        assert!(tags(&w, "other", "before-deploy").is_empty());
    }

    #[test]
    fn a_tag_is_replaced_by_its_name_and_removed() {
        let mut w = World::new();
        for offset in [5, 6] {
            w.commit("reader", "g", &[(0, offset)]);
            tag(&mut w, "g", "a", false);
        }
        tag(&mut w, "g", "b", false);
        assert_eq!(offsets(&tags(&w, "g", "a")["a"]), [(0, 6)]);
        assert_eq!(tag(&mut w, "g", "a", true), ErrorCode::None);
        let left = tags(&w, "g", "b");
        assert_eq!(left.keys().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn where_nobody_is_there_is_nothing_to_tag() {
        let mut w = World::new();
        assert_eq!(tag(&mut w, "g", "a", false), ErrorCode::GroupIdNotFound);
        assert!(w.log.is_empty());
        w.commit("reader", "g", &[(0, 1)]);
        let long = "x".repeat(40_000);
        assert_eq!(tag(&mut w, "g", &long, false), ErrorCode::InvalidRequest);
    }

    #[test]
    fn tags_are_no_moves_and_no_state() {
        let mut w = World::new();
        w.commit("reader", "g", &[(0, 5)]);
        let before = w.ledger("g");
        tag(&mut w, "g", "a", false);
        assert_eq!(w.ledger("g"), before);
        let mut replayed = crate::GroupShard::new(crate::GroupConfig::default(), 2);
        for (_, record) in &w.log {
            let (key, value) = (record.key.as_deref().unwrap(), record.value.as_deref());
            replayed.replay(0, key, value, &record.headers).unwrap();
        }
        assert_eq!(replayed.dump_records(), w.shard.dump_records());
    }

    #[test]
    fn a_group_is_put_where_it_was_but_never_into_another_edition() {
        let mut w = World::new();
        w.commit("reader", "g", &[(0, 5)]);
        tag(&mut w, "g", "a", false);
        w.commit("reader", "g", &[(0, 9), (1, 3)]);
        let then = &tags(&w, "g", "a")["a"].places;
        let plan = plan_set(then, &w.ledger("g"), |_| Some(BOOK));
        let said: Vec<_> = plan
            .steps
            .iter()
            .map(|step| {
                (
                    step.partition,
                    step.then.as_ref().map(|p| p.offset),
                    step.obstacle,
                )
            })
            .collect();
        assert_eq!(
            said,
            [(0, Some(5), None), (1, None, Some(Obstacle::NoPlace))]
        );
        assert_eq!(plan.writes(true).count(), 1, "what had no place then stays");
        let plan = plan_set(then, &w.ledger("g"), |_| Some(OTHER_EDITION));
        assert_eq!(plan.writes(true).count(), 0);
        let plan = plan_set(then, &w.ledger("g"), |_| None);
        assert_eq!(plan.writes(true).count(), 0);
    }
}
