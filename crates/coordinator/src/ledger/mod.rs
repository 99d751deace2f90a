//! The ledger: what happened to a group's bookmarks, read back from the records of `__consumer_offsets`.
//!
//! Whoever has the records feeds them in log order, [`Ledger::note`]: a broker from its own log, somebody beside an Apache
//! Kafka over the wire. Nothing is kept between questions. So a commit costs nothing for it, and there is no second
//! truth that could differ from the log.
//!
//! Invariant: what counts as meant (a reset, a deletion, a step back) is judged by the same code that decides what
//! compaction keeps. This module must not know where records come from, nor write any.

mod change;
mod hours;
mod kind;
mod membership;
mod plan;
mod tags;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use catchword_wire::batch::Record;
use catchword_wire::{Str, Uuid};

use crate::offsets::Bookmark;
use crate::offsets::history::Seen;
use crate::record::headers::{
    CAUSE, CLIENT, Cause, FROM, HOST, MEMBER, OF, PRINCIPAL, are_of_one_request,
};
use crate::record::origin::{self, Origin};
use crate::record::{self, decode, quick};

pub use change::{Change, ChangeId, Move, Who};
pub use hours::Hours;
pub use kind::Kind;
pub use membership::{Membership, emptied};
pub use plan::{Obstacle, Plan, Step, plan_restore, plan_set, plan_undo};
pub use tags::{Tag, Tags, tag_record};

/// Where a bookmark is or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The offset of the record that is read next.
    pub offset: i64,
    /// The leader epoch that the client gave, -1 if none.
    pub leader_epoch: i32,
    /// The client's own text.
    pub metadata: Str,
    /// The topic's id, zero where the record does not tell it.
    pub topic_id: Uuid,
}

impl Place {
    pub(crate) fn of(bookmark: &Bookmark) -> Place {
        Place {
            offset: bookmark.offset,
            leader_epoch: bookmark.leader_epoch,
            metadata: bookmark.metadata().clone(),
            topic_id: bookmark.topic_id,
        }
    }
}

/// A partition's bookmark by name.
pub type Key = (Str, i32);

/// A bookmark that is gone, and what took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Where it was.
    pub place: Place,
    /// When it went, ms since 1970.
    pub at_ms: i64,
    /// Why.
    pub kind: Kind,
    /// The change that took it.
    pub change: ChangeId,
    /// Who took it.
    pub who: Arc<Who>,
}

/// How much of a group's past is kept while its records come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most changes that are plain commits; the newest stay.
    pub commits: usize,
    /// The most moves of meant changes; the newest changes stay, the last one whole.
    pub meant_moves: usize,
    /// Records after this time are passed over, ms since 1970.
    pub until_ms: i64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            commits: 1000,
            meant_moves: 200_000,
            until_ms: i64::MAX,
        }
    }
}

/// What is known of one group.
#[derive(Debug)]
pub struct Ledger {
    shard: i32,
    group_id: Str,
    limits: Limits,
    /// Records are missing between those that come by, so none is held against the one before.
    sparse: bool,
    places: BTreeMap<Key, Slot>,
    commits: VecDeque<Change>,
    meant: VecDeque<Change>,
    meant_moves: usize,
    open: Option<Open>,
    first_ms: Option<i64>,
}

/// A bookmark as the last record left it.
#[derive(Debug)]
struct Slot {
    /// The record's own offset.
    at: i64,
    seen: Seen,
    place: Option<Place>,
    gone: Option<Gone>,
}

/// The change that the last record belongs to; the next may be of it as well.
#[derive(Debug)]
struct Open {
    change: Change,
    headers: Vec<(Bytes, Option<Bytes>)>,
    batch: i64,
    last: i64,
    removes_group: bool,
}

impl Ledger {
    /// A ledger of one group, whose records are in partition `shard` of the topic.
    pub fn new(shard: i32, group_id: Str, limits: Limits) -> Ledger {
        Ledger {
            shard,
            group_id,
            limits,
            sparse: false,
            places: BTreeMap::new(),
            commits: VecDeque::new(),
            meant: VecDeque::new(),
            meant_moves: 0,
            open: None,
            first_ms: None,
        }
    }

    /// As [`new`](Ledger::new), for whoever shows it only some records of the log, all of which tell their origin (see
    /// [`tells_origin`]). What it says of changes is right, where it says the bookmarks are is not.
    pub fn sparse(shard: i32, group_id: Str, limits: Limits) -> Ledger {
        Ledger {
            sparse: true,
            ..Ledger::new(shard, group_id, limits)
        }
    }

    /// The last record of the change that may still go on; `None` before there is one.
    pub fn reach(&self) -> Option<i64> {
        self.open.as_ref().map(|open| open.last)
    }

    /// Whether a change has ended.
    pub fn has_ended_one(&self) -> bool {
        !self.meant.is_empty() || !self.commits.is_empty()
    }

    /// Takes the next record of the log, of whatever group. `batch` is the base offset of the batch that it is in.
    pub fn note(&mut self, batch: i64, record: &Record) {
        if record.timestamp > self.limits.until_ms {
            return;
        }
        let Some(key) = record.key.as_deref() else {
            return;
        };
        if let Some(key) = quick::offset_key(key) {
            if key.group_id != &*self.group_id {
                return;
            }
            let place = match record.value.as_deref() {
                None => None,
                Some(value) => match place_of(record.key.as_deref().unwrap_or_default(), value) {
                    Some(place) => Some(place),
                    None => return,
                },
            };
            self.moved(batch, record, (Str::copy(key.topic), key.partition), place);
        } else if let Ok(record::Record::Group {
            group_id,
            value: None,
        }) = decode(key, None)
            && group_id == self.group_id
        {
            // The group's own tombstone stands behind those of its offsets, or alone.
            if let Some(open) = &mut self.open
                && open.takes(batch, record)
            {
                open.removes_group = true;
                open.last = record.offset;
            }
        }
    }

    fn moved(&mut self, batch: i64, record: &Record, key: Key, place: Option<Place>) {
        self.first_ms.get_or_insert(record.timestamp);
        let seen = Seen::of(record);
        let before = self.places.get(&key).filter(|_| !self.sparse);
        // T2: what a transaction committed comes by at its end, and does not count against a later commit.
        if before.is_some_and(|slot| slot.at > record.offset) {
            return;
        }
        let is_meant = seen.is_administrative(before.map(|slot| &slot.seen));
        // The record's own word counts more: the move before may have been thinned out.
        let said = header(record, FROM).and_then(|from| origin::read(&from));
        let lost_from = said == Some(Origin::Unknown);
        let knows_from = !lost_from && (said.is_some() || before.is_some());
        let from = match said {
            Some(Origin::Unknown) => None,
            Some(Origin::At(bookmark)) => Some(Place::of(&bookmark)),
            Some(Origin::Nowhere) => None,
            None => before.and_then(|slot| slot.place.clone()),
        };
        let cause = header(record, CAUSE).map(|cause| cause.to_string());
        let kind = Kind::of(cause.as_deref(), is_meant, place.is_none());
        let step = Move {
            topic: key.0.clone(),
            partition: key.1,
            from: from.clone(),
            knows_from,
            lost_from,
            to: place.clone(),
        };
        let joins = self.open.as_ref().is_some_and(|open| {
            open.takes(batch, record) && !open.change.moves.iter().rev().any(|m| m.is_of(&key))
        });
        if !joins {
            self.close();
            self.open = Some(Open {
                change: Change {
                    id: ChangeId {
                        shard: self.shard,
                        offset: record.offset,
                    },
                    at_ms: record.timestamp,
                    kind,
                    who: Arc::new(who(record)),
                    of: header(record, OF).and_then(|of| of.parse().ok()),
                    moves: Vec::new(),
                    removes_group: false,
                },
                headers: record.headers.clone(),
                batch,
                last: record.offset,
                removes_group: false,
            });
        }
        let Some(open) = &mut self.open else { return };
        open.last = record.offset;
        if open.change.kind.is_plain() {
            open.change.kind = kind;
        }
        let gone = match (&place, from) {
            (None, Some(place)) => Some(Gone {
                place,
                at_ms: record.timestamp,
                kind,
                change: open.change.id,
                who: open.change.who.clone(),
            }),
            // A second tombstone takes nothing away.
            (None, None) => self.places.remove(&key).and_then(|slot| slot.gone),
            (Some(_), _) => None,
        };
        // A tombstone of what was not there is no move.
        if step.from.is_some() || step.to.is_some() || step.lost_from {
            open.change.moves.push(step);
        }
        let at = record.offset;
        self.places.insert(
            key,
            Slot {
                at,
                seen,
                place,
                gone,
            },
        );
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let mut change = open.change;
        change.removes_group = open.removes_group;
        if change.moves.is_empty() {
            return;
        }
        if change.kind.is_plain() {
            self.commits.push_back(change);
            if self.commits.len() > self.limits.commits {
                self.commits.pop_front();
            }
            return;
        }
        self.meant_moves += change.moves.len();
        self.meant.push_back(change);
        while self.meant_moves > self.limits.meant_moves && self.meant.len() > 1 {
            let oldest = self.meant.pop_front();
            self.meant_moves -= oldest.map_or(0, |change| change.moves.len());
        }
    }

    /// The log has been read to its end.
    pub fn finish(mut self) -> Finished {
        self.close();
        let mut places = BTreeMap::new();
        let mut gone = BTreeMap::new();
        for (key, slot) in self.places {
            if let Some(place) = slot.place {
                places.insert(key, place);
            } else if let Some(was) = slot.gone {
                gone.insert(key, was);
            }
        }
        Finished {
            places,
            gone,
            commits: self.commits.into(),
            meant: self.meant.into(),
            first_ms: self.first_ms,
        }
    }
}

/// A group's past, and where it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finished {
    /// Where its bookmarks are, or were at the time that was asked for.
    pub places: BTreeMap<Key, Place>,
    /// The bookmarks that are gone: the trash.
    pub gone: BTreeMap<Key, Gone>,
    /// The newest plain commits, oldest first.
    pub commits: Vec<Change>,
    /// What was meant, oldest first.
    pub meant: Vec<Change>,
    /// The time of the oldest record of the group, ms since 1970; `None` if there is none.
    pub first_ms: Option<i64>,
}

impl Finished {
    /// The change of this id.
    pub fn change(&self, id: ChangeId) -> Option<&Change> {
        let mut all = self.meant.iter().rev().chain(self.commits.iter().rev());
        all.find(|change| change.id == id)
    }
}

impl Open {
    /// Whether a record is of the same request: side by side in the log, the same words about who and why.
    fn takes(&self, batch: i64, record: &Record) -> bool {
        (record.offset == self.last + 1 || batch == self.batch)
            && record.timestamp == self.change.at_ms
            && are_of_one_request(&record.headers, &self.headers)
    }
}

fn header(record: &Record, name: &str) -> Option<Str> {
    let found = record.headers.iter().find(|(key, _)| key == name);
    let value = found.and_then(|(_, value)| value.clone())?;
    // Copied, or a name would keep a whole block of the log in memory.
    Some(Str::copy(&Str::from_lossy(value)))
}

fn who(record: &Record) -> Who {
    let text = |name| header(record, name).unwrap_or_default();
    Who {
        client: text(CLIENT),
        host: text(HOST),
        member: text(MEMBER),
        principal: text(PRINCIPAL),
    }
}

fn place_of(key: &[u8], value: &[u8]) -> Option<Place> {
    match decode(key, Some(value)) {
        Ok(record::Record::Offset {
            value: Some(value), ..
        }) => Some(Place {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.detached(),
            topic_id: value.topic_id,
        }),
        _ => None,
    }
}

/// What every record of a group's bookmarks has in its key: a block of the log without these bytes has nothing to say
/// about the group. (The reverse does not hold.)
pub fn needle(group_id: &str) -> Vec<u8> {
    let len = u16::try_from(group_id.len()).unwrap_or(u16::MAX);
    [&len.to_be_bytes()[..], group_id.as_bytes()].concat()
}

/// The group that a record of a bookmark is about.
pub fn group_of(record: &Record) -> Option<&str> {
    let key = quick::offset_key(record.key.as_deref()?)?;
    Some(key.group_id)
}

/// A bookmark's move, as its record tells it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Moved {
    /// The group.
    pub group: Str,
    /// The topic.
    pub topic: Str,
    /// The partition.
    pub partition: i32,
    /// The committed offset and when it was committed, in milliseconds since the epoch; `None`: the bookmark is gone.
    pub to: Option<(i64, i64)>,
}

/// What a record says of a bookmark; `None` if it is about something else or cannot be read.
pub fn moved(record: &Record) -> Option<Moved> {
    match decode(record.key.as_deref()?, record.value.as_deref()) {
        Ok(crate::record::Record::Offset {
            group_id,
            topic,
            partition,
            value,
        }) => Some(Moved {
            group: group_id,
            topic,
            partition,
            to: value.map(|value| (value.offset, value.commit_timestamp)),
        }),
        _ => None,
    }
}

/// Whether a record says itself that it is more than reading on, or says nothing and removes a bookmark.
pub fn is_marked(record: &Record) -> bool {
    let reads_on = |cause: Str| {
        let plain = [Cause::Commit, Cause::Transaction, Cause::Assigned];
        plain.iter().any(|plain| cause == plain.name())
    };
    record.value.is_none() || header(record, CAUSE).is_some_and(|cause| !reads_on(cause))
}

/// Whether a record says itself where the bookmark was: then its change can be told, and undone, without those before it.
pub fn tells_origin(record: &Record) -> bool {
    header(record, FROM).is_some_and(|from| origin::read(&from).is_some())
}
